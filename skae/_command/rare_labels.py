"""P-values of rows that share a rare label: together they are as frequent as the label is."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from pandas.api import types

# Fewer rows may be wrong, as by a typing error, and tell nothing of how their scores scatter.
_FEWEST_ROWS = 4

# Numbers of a column with no more different values are labels.
_MOST_CODES = 20


def list_rare_labels(frame: pd.DataFrame, most: float) -> Iterator[np.ndarray]:
    """Yield the positions of the rows of each label that several rows have, but few.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
        The rows.
    most : float
        The largest share of the rows that have a rare label.
    """
    most_rows = math.floor(most * len(frame) * (1 + 1e-12))
    for _, column in frame.items():
        if types.is_datetime64_any_dtype(column.dtype) or types.is_timedelta64_dtype(column.dtype):
            continue
        codes, labels = pd.factorize(column)
        n_labels = len(labels)
        if n_labels < 2 or (types.is_numeric_dtype(column.dtype) and n_labels > _MOST_CODES):
            continue
        order = np.argsort(codes, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
            if codes[rows[0]] >= 0 and _FEWEST_ROWS <= len(rows) <= most_rows:
                yield rows


def find_label_p_values(
    frame: pd.DataFrame, anomaly_scores: np.ndarray, scale: float, most: float
) -> np.ndarray:
    """Return the share of rows that share a rare label with each row and are as anomalous.

    Where the most anomalous rows are all that have some label, a tail that is extrapolated from
    the others makes each of them far too rare. They are as frequent as the label is, and differ
    from each other as rows do.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
        The rows.
    anomaly_scores : ndarray of shape (n_rows,)
        Their anomaly scores; higher is more anomalous.
    scale : float
        The increase of the score that makes a row rarer by a factor of e.
    most : float
        The largest share of the rows that have a rare label.

    Returns
    -------
    p_values : ndarray of shape (n_rows,)
        The largest share of the row's rare labels; 0 of a row without any.
    """
    found = np.zeros(len(frame))
    for rows in list_rare_labels(frame, most):
        beyond = anomaly_scores[rows] - np.median(anomaly_scores[rows])
        # The median of the upper half, and the lower one of two: a single absurd row is no spread.
        spread = float(np.quantile(beyond[beyond >= 0], 0.5, method="lower")) / math.log(2)
        nats = beyond / max(scale, spread) if max(scale, spread) > 0 else np.zeros(len(rows))
        share = len(rows) / len(frame) * np.minimum(1.0, 0.5 * np.exp(-np.minimum(nats, 99)))
        found[rows] = np.maximum(found[rows], share)
    return found

"""Rows that share a rare label: together they are a kind of rows, whose share is known."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from pandas.api import types

# Fewer rows may be wrong, as by a slip of the pen, and tell nothing of how their scores scatter.
_FEWEST_ROWS = 4

# Numbers of a column with no more different values are labels.
_MOST_CODES = 20


def list_kinds(frame: pd.DataFrame) -> Iterator[np.ndarray]:
    """Yield the positions of the rows that share a label, for each of several rows."""
    for _, column in frame.items():
        if types.is_datetime64_any_dtype(column.dtype) or types.is_timedelta64_dtype(column.dtype):
            continue
        codes, labels = pd.factorize(column)
        n_labels = len(labels)
        if n_labels < 2 or (types.is_numeric_dtype(column.dtype) and n_labels > _MOST_CODES):
            continue
        order = np.argsort(codes, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
            if codes[rows[0]] >= 0 and len(rows) >= _FEWEST_ROWS:
                yield rows


def find_kind_p_values(frame: pd.DataFrame, surprise: np.ndarray, scale: float) -> np.ndarray:
    """Return the share of rows that share a label with each row and are as strange.

    Where the strangest rows are all that have some label, a tail that is extrapolated from the
    others makes each of them far too rare. They are as frequent as the label is, and differ from
    each other as rows do.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
        The rows.
    surprise : ndarray of shape (n_rows,)
        How strange they are.
    scale : float
        By how much more strange a row is that is rarer by a factor of e.

    Returns
    -------
    p_values : ndarray of shape (n_rows,)
        The largest share of the row's labels; 0 of a row without any.
    """
    found = np.zeros(len(frame))
    for rows in list_kinds(frame):
        beyond = surprise[rows] - np.median(surprise[rows])
        # The median of the upper half, and the lower one of two: a single absurd row is no spread.
        spread = float(np.quantile(beyond[beyond >= 0], 0.5, method="lower")) / math.log(2)
        nats = beyond / max(scale, spread) if max(scale, spread) > 0 else np.zeros(len(rows))
        share = len(rows) / len(frame) * np.minimum(1.0, 0.5 * np.exp(-np.minimum(nats, 99)))
        found[rows] = np.maximum(found[rows], share)
    return found

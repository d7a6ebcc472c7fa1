"""How strange rows are under a detector that was not fitted on them, and why."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold

from .._detection import AEAnomalyDetector
from .._detection.anomaly_score import TailSurprisal
from .encoding import ignore_reported
from .findings import AnomalousRow, Reason
from .rare_labels import find_label_p_values
from .steps import show_parts
from .wording import describe_cell

N_ANOMALOUS = 20

_N_FOLDS = 5

# A smaller p-value would say more of the extrapolation than of the row.
_LEAST_P_VALUE = 1e-6

# Beyond this share of the rows the tail is extrapolated; rarer labels may be all of it.
_TAIL_SHARE = 0.02

# Reasons of a row at most, and the least share of its score that one has.
_MOST_REASONS = 5
_LEAST_SHARE = 0.05


@dataclass(frozen=True)
class ScoredRows:
    """The rows of a table, each scored by a detector that was fitted on others.

    Attributes
    ----------
    p_values : ndarray of shape (n_rows,)
        How often a row is as strange.
    order : ndarray of shape (n_strangest,)
        Positions of the strangest rows, the strangest first.
    strangest : tuple of AnomalousRow
        These rows.
    """

    p_values: np.ndarray
    order: np.ndarray
    strangest: tuple[AnomalousRow, ...]


def score_rows(frame: pd.DataFrame, seed: int) -> ScoredRows:
    """Score each row by a detector that was fitted on the rows of other folds.

    Scores of folds are comparable: they are surprisals in nats.
    """
    scores = np.empty(len(frame))
    fold_of = np.empty(len(frame), dtype=int)
    detectors = []
    folds = KFold(min(_N_FOLDS, len(frame)), shuffle=True, random_state=seed)
    parts = show_parts("scoring rows", folds.split(frame), folds.n_splits)
    for number, (train, test) in enumerate(parts):
        detector = AEAnomalyDetector(random_state=seed)
        with ignore_reported():
            detector.fit(frame.iloc[train])
        scores[test], fold_of[test] = detector.score_samples(frame.iloc[test]), number
        detectors.append(detector)
    p_values = compute_p_values(scores, frame)
    order = find_anomalous(p_values, scores)
    strange: dict[int, AnomalousRow] = {}
    explained = show_parts("explaining the strangest rows", detectors, len(detectors))
    for number, detector in enumerate(explained):
        own = order[fold_of[order] == number]
        found = explain_rows(detector, frame, own, p_values)
        strange.update(zip(own.tolist(), found, strict=True))
    return ScoredRows(p_values, order, tuple(strange[row] for row in order.tolist()))


def compute_p_values(scores: np.ndarray, frame: pd.DataFrame) -> np.ndarray:
    """Return the share of rows that are as anomalous as each row; lower scores are more so.

    For rows that are exchangeable these are conformal p-values. Among the rows of one table
    anomalies would hide each other, as no row could have a smaller share than its rank. So the
    tail is that of the others: beyond the most anomalous fiftieth it falls off exponentially. Rows
    that share a label of a fiftieth of the rows at most are no tail of the others: they are as
    frequent as the label is.
    """
    anomaly_scores = -scores
    tail = TailSurprisal.from_values(anomaly_scores[:, None], tail=1 - _TAIL_SHARE)
    p_values = np.exp(-tail.measure(anomaly_scores[:, None]))
    of_labels = find_label_p_values(frame, anomaly_scores, float(tail.scale[0]), _TAIL_SHARE)
    return np.maximum(np.maximum(p_values, of_labels), _LEAST_P_VALUE)


def find_anomalous(p_values: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the positions of the strangest rows, the strangest first."""
    return np.lexsort((scores, p_values))[:N_ANOMALOUS]


def explain_rows(
    detector: AEAnomalyDetector, frame: pd.DataFrame, rows: np.ndarray, p_values: np.ndarray
) -> list[AnomalousRow]:
    """Return rows of a table, by their positions, with the cells that make them strange."""
    if len(rows) == 0:
        return []
    own = frame.iloc[rows]
    found = detector.explain(own)
    shape = (len(rows), frame.shape[1])
    parts = [found[name].to_numpy(dtype=object).reshape(shape) for name in ("value", "expected")]
    gains = found["contribution"].to_numpy().reshape(shape)
    names = [str(name) for name in frame.columns]
    # Two cells that are wrong together may have no share of what a row lacks to a usual one.
    lacking = np.median(detector.calibration_scores_) - detector.score_samples(own)
    return [
        AnomalousRow(str(label), float(p_values[row]), list_reasons(names, *cells))
        for label, row, *cells in zip(own.index, rows, *parts, gains, lacking, strict=True)
    ]


def list_reasons(
    names: list[str], values: np.ndarray, expected: np.ndarray, gains: np.ndarray, lacking: float
) -> tuple[Reason, ...]:
    """Return the cells of a row that have a share in what its score lacks to a usual one.

    Parameters
    ----------
    names : list of str
        Names of the columns.
    values, expected : ndarray of shape (n_columns,)
        What the cells have, and what the others suggest.
    gains : ndarray of shape (n_columns,)
        By how many nats the score rises with the expected value.
    lacking : float
        What the score lacks to a usual one, in nats.
    """
    total = max(gains[gains > 0].sum(), lacking)
    if total <= 0:
        return ()
    found = []
    for n in np.argsort(-gains, kind="stable")[:_MOST_REASONS]:
        value, other = describe_cell(values[n]), describe_cell(expected[n])
        if gains[n] >= _LEAST_SHARE * total and value != other:
            found.append(Reason(names[n], value, other, float(gains[n] / total)))
    return tuple(found)

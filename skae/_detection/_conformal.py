"""Thresholds and p-values from the scores of rows that a model has not seen.

Split-conformal: nothing is assumed of the score, only that fresh inliers and the rows kept
apart are exchangeable (Vovk, Gammerman and Shafer 2005; for anomalies Bates, Candès, Lei,
Romano and Sesia 2023, "Testing for outliers with conformal p-values", Annals of Statistics
51).
"""

import math

import numpy as np


def n_kept_apart(n_rows: int, fraction: float | str, alpha: float) -> int:
    """Return how many rows are kept apart to calibrate on.

    "auto" is a tenth, or as many more as the smallest p-value needs to be `alpha`, but no
    more than a fifth of the rows.
    """
    if not isinstance(fraction, str):
        return min(max(1, round(fraction * n_rows)), n_rows - 1)
    wanted = max(round(n_rows / 10), math.ceil(1 / alpha - 1 - 1e-9))
    return max(1, min(wanted, round(n_rows / 5)))


def conformal_p_values(
    scores: np.ndarray, known: np.ndarray, weight: np.ndarray | None
) -> np.ndarray:
    """Return the p-value of each score, that it comes from an inlier.

    `(1 + how many known scores are as low) / (1 + how many there are)`, which is at most
    `a` with a probability of at most `a` for a fresh inlier.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,)
        Scores; lower is stranger.
    known : ndarray of shape (n_known,)
        Scores of the rows that were kept apart, in increasing order.
    weight : ndarray of shape (n_known,) or None
        How often each of them counts.
    """
    counts = np.ones(len(known)) if weight is None else weight
    as_low = np.concatenate([[0.0], counts.cumsum()])
    place = np.searchsorted(known, scores, side="right")
    return (1 + as_low[place]) / (1 + as_low[-1])


def conformal_threshold(known: np.ndarray, weight: np.ndarray | None, alpha: float) -> float:
    """Return the score below which p-values are at most `alpha`.

    If they cannot be as small as that, it is the lowest known score: below it they are as
    small as they get.
    """
    counts = np.ones(len(known)) if weight is None else weight
    before = np.concatenate([[0.0], counts.cumsum()])
    # Of a score just below a known one: those as low are the ones before it.
    just_below = (1 + before[np.searchsorted(known, known, side="left")]) / (1 + before[-1])
    small = np.flatnonzero(just_below <= alpha * (1 + 1e-12))
    return float(known[small[-1]] if len(small) else known[0])


def score_at_share(scores: np.ndarray, weight: np.ndarray | None, share: float) -> float:
    """Return the score below which that share of the rows lies, by weight."""
    order = scores.argsort()
    counts = np.ones(len(scores)) if weight is None else weight[order]
    upto = counts.cumsum()
    wanted = share * upto[-1]
    place = int(np.searchsorted(upto, wanted + 1e-9 * upto[-1], side="right"))
    return float(scores[order[min(place, len(scores) - 1)]])

"""Thresholds and p-values from the scores of rows that a model has not seen.

Split-conformal: nothing is assumed of the score, only that fresh inliers and the calibration rows
are exchangeable (Vovk, Gammerman and Shafer 2005; for anomalies Bates, Candès, Lei, Romano and
Sesia 2023, "Testing for outliers with conformal p-values", Annals of Statistics 51).
"""

import math

import numpy as np

from .._environment import warn_user

# The rate of false alarms may exceed `alpha` by so much without a warning: about as much as the
# rate varies if it doesn't.
_MOST_EXCESS = 0.04

# If chance gives as many rows beyond all known ones with a smaller probability, it is no reason.
_UNLIKELY = 0.01


def conformal_p_values(
    scores: np.ndarray, known: np.ndarray, weight: np.ndarray | None
) -> np.ndarray:
    """Return the p-value of each score, for the hypothesis that it comes from an inlier.

    `(1 + how many known scores are as low) / (1 + how many there are)`, which is at most
    `a` with a probability of at most `a` for a fresh inlier.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,)
        Scores; lower is more anomalous.
    known : ndarray of shape (n_known,)
        Scores of the calibration rows, in increasing order.
    weight : ndarray of shape (n_known,) or None
        How often each of them counts.
    """
    counts = np.ones(len(known)) if weight is None else weight
    as_low = np.concatenate([[0.0], counts.cumsum()])
    indices = np.searchsorted(known, scores, side="right")
    return (1 + as_low[indices]) / (1 + as_low[-1])


def least_p_value(known: np.ndarray, weight: np.ndarray | None) -> float:
    """Return the least p-value that there is: that of a score below all known ones."""
    return float(conformal_p_values(np.array([-np.inf]), known, weight)[0])


def conformal_threshold(known: np.ndarray, weight: np.ndarray | None, alpha: float) -> float:
    """Return the score below which p-values are at most `alpha`.

    If they cannot be as small as that, it is the lowest known score: below it they are as
    small as they can be.
    """
    counts = np.ones(len(known)) if weight is None else weight
    before = np.concatenate([[0.0], counts.cumsum()])
    # The p-value just below a known score counts the scores before it.
    just_below = (1 + before[np.searchsorted(known, known, side="left")]) / (1 + before[-1])
    small = np.flatnonzero(just_below <= alpha * (1 + 1e-12))
    return float(known[small[-1]] if len(small) else known[0])


def warn_of_few(alpha: float, rate: float, known: str, clean: str, remedy: str) -> None:
    """Warn if too few scores calibrate for `alpha`, by far.

    Parameters
    ----------
    alpha : float
        The rate of false alarms that was asked for.
    rate : float
        The rate to expect instead: the least p-value that there is.
    known : str
        What calibrates.
    clean : str
        What a share of this size are false alarms of.
    remedy : str
        What to do about it, as the beginning of a sentence.
    """
    if rate <= alpha + _MOST_EXCESS:
        return
    warn_user(
        f"alpha={alpha} will not hold: with the {known}, up to {rate:.0%} of {clean} are outliers. "
        f"{remedy}, choose an alpha of {math.ceil(100 * rate) / 100} or more, or set contamination",
        UserWarning,
    )


def warn_of_none(p_values: np.ndarray, rate: float, least: float) -> None:
    """Warn if too few rows calibrate for any discovery.

    Either no p-value can be small enough, or more rows than by chance have the smallest possible
    one, but not as many as a discovery needs.

    Parameters
    ----------
    p_values : ndarray of shape (n_rows,)
        Conformal p-values of a batch in which Benjamini and Hochberg's procedure finds none.
    rate : float
        The false-discovery rate.
    least : float
        The least p-value that there is.
    """
    n_rows, n_known = len(p_values), round(1 / least) - 1
    n_needed = math.ceil(n_rows * least / rate - 1e-9)
    reason = (
        f"at false_discovery_rate={rate}: with {n_known} calibration rows, the smallest possible "
        f"p-value is {least:.2g}"
    )
    if n_needed > n_rows:
        n_wanted = math.ceil(1 / rate - 1e-9) - 1
        warn_user(
            f"no row can be found {reason}. Fit to more rows, so that at least {n_wanted} "
            "calibrate, or choose a larger false_discovery_rate",
            UserWarning,
        )
        return
    n_least = int((p_values <= least * (1 + 1e-9)).sum())
    if n_least == 0 or _chance_of_least(n_least, n_rows, n_known) > _UNLIKELY:
        return
    n_wanted = math.ceil(n_rows / (rate * n_least) - 1e-9) - 1
    warn_user(
        f"no row is found {reason}, and {n_needed} of the {n_rows} rows must have it. Only "
        f"{n_least} do, and about {n_rows * least:.2g} are expected by chance. Fit to more rows, "
        f"so that at least {n_wanted} calibrate, or choose a larger false_discovery_rate",
        UserWarning,
    )


def _chance_of_least(n_least: int, n_rows: int, n_known: int) -> float:
    """Return how probable it is that the most anomalous of all rows are those of the batch."""
    drawn = np.arange(n_least)
    return float(np.prod((n_rows - drawn) / (n_rows + n_known - drawn)))

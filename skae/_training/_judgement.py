"""Which epoch is better than the start, as far as held-out rows can tell."""

import math
from dataclasses import dataclass

import numpy as np

from .._losses import kept_weight

# A gain counts if, less two standard errors, it is above 6 % of the start's loss; losses
# are cut at this quantile. Chosen over many tables: see docs/defaults.md.
_STANDARD_ERRORS = 2.0
_WORTH = 0.06
_QUANTILE = 0.95


@dataclass(frozen=True)
class Rule:
    """What makes an epoch better than another.

    Attributes
    ----------
    trim_fraction : float
        Share of rows, those of largest loss, that doesn't count.
    keeps_start : bool
        Whether the start is worth keeping unless an epoch is surely better; otherwise the
        epoch of the lowest mean loss is the best.
    worth : float or None, default=None
        The least gain that counts; None is a share of the start's loss.
    """

    trim_fraction: float
    keeps_start: bool
    worth: float | None = None

    @property
    def least(self) -> float:
        """What an epoch's gain has to exceed."""
        return 0.0 if self.keeps_start else -math.inf

    def gain(self, start: np.ndarray, losses: np.ndarray, weight: np.ndarray | None) -> float:
        """Return how good an epoch is, by the losses of held-out rows at the start and now."""
        if self.keeps_start:
            return sure_gain(start, losses, weight, self.trim_fraction, self.worth)
        mean = self.mean(losses, weight)
        return -mean if math.isfinite(mean) else -math.inf

    def mean(self, losses: np.ndarray, weight: np.ndarray | None) -> float:
        """Return the mean of the losses that count."""
        return mean_loss(losses, weight, self.trim_fraction)


def mean_loss(losses: np.ndarray, weight: np.ndarray | None, trim_fraction: float) -> float:
    """Return the weighted mean of the losses that are not trimmed."""
    return float(np.average(losses, weights=kept_weight(losses, weight, trim_fraction)))


def sure_gain(
    start: np.ndarray,
    losses: np.ndarray,
    weight: np.ndarray | None,
    trim_fraction: float,
    worth: float | None = None,
) -> float:
    """Return how far an epoch's mean loss is below the start's, or 0 if that isn't sure.

    Sure is what remains above 6 % of the start's loss two standard errors down: for
    less it isn't worth to leave PCA, and some tables would lose by it.

    Each held-out row is compared with itself, which is a far sharper test than comparing
    two means. Few rows can carry most of a table's variance, and the noise of one of them
    would decide; so the gain that must be sure is that of losses cut at a high quantile.
    Yet an epoch whose plain mean is no better than the start's has no gain at all.

    Parameters
    ----------
    start, losses : ndarray of shape (n_rows,)
        Losses of the same held-out rows at the start and after the epoch.
    weight : ndarray of shape (n_rows,) or None
        How often each row counts.
    trim_fraction : float
        Share of rows, those of largest loss, that doesn't count.
    worth : float or None, default=None
        The least gain that counts; None is 6 % of the start's loss.
    """
    left = kept_weight(losses, weight, trim_fraction)
    if not np.isfinite(losses).all():
        return 0.0
    if np.average(start - losses, weights=left) <= 0:
        return 0.0
    cap = np.quantile(start, _QUANTILE)
    gain, error = _mean_and_error(np.minimum(start, cap) - np.minimum(losses, cap), left)
    if worth is None:
        worth = _WORTH * float(np.average(np.minimum(start, cap), weights=left))
    return gain if gain - _STANDARD_ERRORS * error > worth else 0.0


def _mean_and_error(values: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Return a weighted mean and its standard error."""
    mean = np.average(values, weights=weight)
    variance = np.average((values - mean) ** 2, weights=weight)
    n_effective = weight.sum() ** 2 / np.square(weight).sum()
    return float(mean), float(np.sqrt(variance / n_effective))


def best_epoch(
    curves: list[list[np.ndarray]], weights: list[np.ndarray | None], rule: Rule
) -> tuple[int, list[float]]:
    """Return the best epoch over several folds, 0 for the start, and the mean losses.

    A fold that stopped early is taken to have stayed as it was at its end.

    Parameters
    ----------
    curves : list of list of ndarray
        For each fold and epoch, the losses of the fold's held-out rows.
    weights : list of ndarray or None
        For each fold, how often each of its held-out rows counts.
    rule : Rule
        What makes an epoch the best.
    """
    known = [weight for weight in weights if weight is not None]
    weight = np.concatenate(known) if known else None
    n_epochs = max(len(curve) for curve in curves)
    epochs = [
        np.concatenate([curve[min(epoch, len(curve) - 1)] for curve in curves])
        for epoch in range(n_epochs)
    ]
    gains = [rule.least] + [rule.gain(epochs[0], losses, weight) for losses in epochs[1:]]
    return int(np.argmax(gains)), [rule.mean(losses, weight) for losses in epochs]

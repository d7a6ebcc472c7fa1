"""How rarely errors as large as a row's are met: from errors to nats."""

from dataclasses import dataclass

import numpy as np

# Beyond this quantile of the known errors their tail is taken to be exponential.
_TAIL = 0.98
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Surprise:
    """The tails of errors at several levels, as rows that are known had them.

    Attributes
    ----------
    errors : ndarray of shape (n_known, n_levels)
        The known errors at each level, in increasing order.
    shares : ndarray of shape (n_known + 1, n_levels)
        The share of rows, by weight, whose error is at least that large; the last one is
        of rows beyond all that are known.
    tail : ndarray of shape (n_levels,)
        Where the exponential tail begins.
    scale : ndarray of shape (n_levels,)
        How far the error has to grow in the tail for a nat.
    """

    errors: np.ndarray
    shares: np.ndarray
    tail: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, errors: np.ndarray, weight: np.ndarray | None = None) -> "Surprise":
        """Learn the tails of errors (n_known, n_levels) of rows with these weights."""
        weight = np.ones(len(errors)) if weight is None else weight
        order = errors.argsort(axis=0)
        sorted_errors = np.take_along_axis(errors, order, axis=0)
        below = np.vstack([np.zeros(errors.shape[1]), weight[order].cumsum(axis=0)])
        total = weight.sum()
        tail = _quantile(sorted_errors, below[1:], _TAIL * total)
        middle = _quantile(sorted_errors, below[1:], 0.5 * total)
        # An exponential tail through both: half of the rows lie beyond one, 2 % beyond the other.
        scale = (tail - middle) / np.log(0.5 / (1 - _TAIL))
        floor = _SMALLEST * np.maximum(np.abs(tail), 1.0)
        return cls(sorted_errors, (total + 1 - below) / (total + 1), tail, np.maximum(scale, floor))

    def __call__(self, errors: np.ndarray) -> np.ndarray:
        """Return the surprise of each row, in nats: the mean over its levels.

        At each level that is minus the logarithm of the share of known rows whose error is
        as large, and in the tail grows in proportion to the error.
        """
        total = np.zeros(len(errors))
        for level, column in enumerate(errors.T):
            place = np.searchsorted(self.errors[:, level], column, side="left")
            inside = -np.log(np.maximum(self.shares[place, level], 1 - _TAIL))
            beyond = (column - self.tail[level]) / self.scale[level] - np.log(1 - _TAIL)
            total += np.where(column > self.tail[level], beyond, inside)
        return total / errors.shape[1]


def _quantile(values: np.ndarray, below: np.ndarray, wanted: float) -> np.ndarray:
    """Return, of each sorted column, the first value up to which there is so much weight."""
    place = (below < wanted * (1 - 1e-12)).sum(axis=0)
    return values[place.clip(max=len(values) - 1), np.arange(values.shape[1])]

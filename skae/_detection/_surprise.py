"""How rarely errors as large as a row's are met: from errors to nats."""

import math
from dataclasses import dataclass

import numpy as np

# Beyond this quantile of the known errors their tail is taken to be exponential.
_TAIL = 0.98
_N_KNOTS = 64
# Knots are at least so far apart, as a share of what the errors range over, or of the
# largest: a row's rounding must not carry it over a step.
_LEAST_STEP = 1e-6
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Surprise:
    """The tails of errors at several levels, as rows that are known had them.

    Attributes
    ----------
    nats : ndarray of shape (n_knots,)
        Minus the logarithm of the share of rows whose error is as large as a knot.
    knots : ndarray of shape (n_knots, n_levels)
        Errors at each level, in increasing order.
    scale : ndarray of shape (n_levels,)
        How far the error has to grow beyond the last knot for a nat.
    """

    nats: np.ndarray
    knots: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, errors: np.ndarray, weight: np.ndarray | None = None) -> "Surprise":
        """Learn the tails of errors (n_known, n_levels) of rows with these weights."""
        weight = np.ones(len(errors)) if weight is None else weight
        nats = np.linspace(0, -math.log(1 - _TAIL), _N_KNOTS)
        knots = _quantiles(errors, weight, 1 - np.exp(-nats))
        (middle,) = _quantiles(errors, weight, np.array([0.5]))
        smallest = _ROUNDING * np.maximum(np.abs(knots[-1]), 1.0)
        # An exponential tail through both: half of the rows lie beyond one, 2 % beyond the other.
        scale = np.maximum((knots[-1] - middle) / math.log(0.5 / (1 - _TAIL)), smallest)
        step = np.maximum(_LEAST_STEP * (knots[-1] - knots[0]), smallest)
        return cls(nats, knots + step * np.arange(_N_KNOTS)[:, None] / _N_KNOTS, scale)

    def __call__(self, errors: np.ndarray) -> np.ndarray:
        """Return the surprise of each row, in nats: the mean over its levels.

        At each level that is minus the logarithm of the share of known rows whose error is
        as large, and in the tail grows in proportion to the error.
        """
        total = np.zeros(len(errors))
        for column, knots, scale in zip(errors.T, self.knots.T, self.scale, strict=True):
            total += np.interp(column, knots, self.nats)
            total += np.maximum(column - knots[-1], 0) / scale
        return total / errors.shape[1]


def _quantiles(values: np.ndarray, weight: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return, of each column, the least values below or at which there are such shares."""
    order = values.argsort(axis=0)
    upto = weight[order].cumsum(axis=0)
    wanted = shares * (1 - 1e-12)
    places = [np.searchsorted(column / column[-1], wanted) for column in upto.T]
    return np.take_along_axis(np.take_along_axis(values, order, axis=0), np.array(places).T, axis=0)

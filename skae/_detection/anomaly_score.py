"""The anomaly score: how rare a row's denoising errors and neighbour distances are."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .._data import AnyTable, Scaling, row_blocks, weighted_quantile
from .._denoising import DenoisingAutoencoder
from .neighbours import NeighbourDistances

# Share of the reference rows, those with the largest errors, that are not usual: anomalies among
# the training rows lie near each other.
_UNUSUAL = 0.3

# Beyond this quantile of the known values their tail is taken to be exponential.
_TAIL = 0.98
_N_KNOTS = 64

# What two copies of a row may differ by: float32's rounding of a column's values, and a share of
# its range. A column whose values float32 can't tell apart must not blur the others.
_SINGLE_ROUNDING = 2.0**-24
_SHARE_OF_RANGE = 1e-7
_MOST_ROUNDING = 1e-3

# The network's own rounding, in float64: all that there is in a table of zeros.
_LEAST_ROUNDING = 1e-12

# Values that differ by so many times their rounding are not the same, and in the tail so many
# roundings are worth a nat at least.
_MARGIN = 4
_LEAST_SCALE = 1e3

# The increase beyond known values that are all alike that is worth a nat: a column's scale.
_UNIT = 1.0


@dataclass(frozen=True)
class TailSurprisal:
    """Minus the logarithm of the share of known values that are as large, in nats.

    Attributes
    ----------
    nats : ndarray of shape (n_knots,)
        The surprisal at each knot.
    knots : ndarray of shape (n_knots, n_columns)
        Values of each column, in increasing order.
    scale : ndarray of shape (n_columns,)
        The increase beyond the last knot that is worth a nat.
    """

    nats: np.ndarray
    knots: np.ndarray
    scale: np.ndarray

    @classmethod
    def from_values(
        cls,
        values: np.ndarray,
        weight: np.ndarray | None = None,
        find_rounding: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> "TailSurprisal":
        """Return the tails of known values (n_known, n_columns) with these weights.

        Many rows may share a value, up to its rounding. A copy of such a row must be as usual as
        they are, so a value counts as large as a known one up to a margin beyond it.

        Parameters
        ----------
        values : ndarray of shape (n_known, n_columns)
            The known values.
        weight : ndarray of shape (n_known,) or None
            How often each row counts.
        find_rounding : callable or None
            Returns how much the rounding of a row may change values, for an array of them; None
            is the rounding of float64.
        """
        find_rounding = find_rounding or _round_double
        nats = np.linspace(0, -math.log(1 - _TAIL), _N_KNOTS)
        shares = np.append(1 - np.exp(-nats), 0.5)
        # A share that rounding puts just above that of a value is the value's.
        quantiles = weighted_quantile(values, shares * (1 - 1e-12), weight)
        knots, middle, last = quantiles[:-1], quantiles[-1], quantiles[-2]
        rounding = find_rounding(last)
        # The exponential tail through both: half of the rows lie beyond one, 2 % beyond the other.
        scale = (last - middle) / math.log(0.5 / (1 - _TAIL))
        is_tied = scale <= _MARGIN * rounding
        scale = np.where(is_tied, _mean_excess(values, last + _MARGIN * rounding, weight), scale)
        scale = np.maximum(scale, _LEAST_SCALE * rounding)
        knots = knots + _MARGIN * find_rounding(knots)
        gaps = rounding * np.arange(_N_KNOTS)[:, None]
        return cls(nats, np.maximum.accumulate(knots - gaps) + gaps, scale)

    def measure(self, values: np.ndarray) -> np.ndarray:
        """Return the surprisal of each row, in nats: its mean over the columns.

        In the tail it grows in proportion to the value.
        """
        total = np.zeros(len(values))
        for column, knots, scale in zip(values.T, self.knots.T, self.scale, strict=True):
            total += np.interp(column, knots, self.nats)
            total += np.maximum(column - knots[-1], 0) / scale
        return total / values.shape[1]


@dataclass(frozen=True)
class AnomalyScore:
    """The mean tail surprisal of three views of a row: its errors, and two distances.

    Errors know how columns depend on each other, and forget a rare kind of row. The nearest
    row is the finest resolution, where anomalies among the training rows hide each other. The
    fifth of the usual rows is robust and coarse.

    Attributes
    ----------
    by_error : TailSurprisal
        Of the errors at each noise level, among the reference rows.
    neighbours : NeighbourDistances
        The reference rows.
    by_distance : TailSurprisal
        Of the reference rows' distances to each other.
    """

    by_error: TailSurprisal
    neighbours: NeighbourDistances
    by_distance: TailSurprisal

    @classmethod
    def fit(
        cls, denoiser: DenoisingAutoencoder, rows: np.ndarray, weight: np.ndarray | None
    ) -> "AnomalyScore":
        """Return the score that has these training rows of a denoiser as reference."""
        errors = denoiser.denoising_errors(rows)
        rounding = _measure_rounding(denoiser, rows)
        # Squares: `|e + r|^2 - |e|^2` is at most `2 |e| |r| + |r|^2`.
        by_error = TailSurprisal.from_values(
            errors, weight, lambda values: rounding * (2 * np.sqrt(np.abs(values)) + rounding)
        )
        nats = by_error.measure(errors)
        scaled = _scale(denoiser, rows)
        is_usual = nats <= score_at_share(nats, weight, 1 - _UNUSUAL)
        neighbours = NeighbourDistances.from_rows(scaled, is_usual, _MARGIN * rounding)
        by_distance = TailSurprisal.from_values(
            neighbours.measure(scaled), weight, lambda values: np.full_like(values, rounding)
        )
        return cls(by_error, neighbours, by_distance)

    def measure(self, denoiser: DenoisingAutoencoder, rows: AnyTable) -> np.ndarray:
        """Return the score of each row; higher is more anomalous."""
        return np.concatenate([self._measure(denoiser, rows[b]) for b in row_blocks(rows)])

    def _measure(self, denoiser: DenoisingAutoencoder, rows: np.ndarray) -> np.ndarray:
        errors = self.by_error.measure(denoiser.denoising_errors(rows))
        distances = self.by_distance.measure(self.neighbours.measure(_scale(denoiser, rows)))
        return (errors + 2 * distances) / 3


def _round_double(values: np.ndarray) -> np.ndarray:
    return 1e-12 * (1 + np.abs(values))


def _mean_excess(values: np.ndarray, limits: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return the mean of what is above each column's limit, less the limit."""
    excess = np.maximum(values - limits, 0)
    counts = np.ones(len(values)) if weight is None else weight
    n_above = counts @ (excess > 0)
    return np.divide(counts @ excess, n_above, out=np.full_like(limits, _UNIT), where=n_above > 0)


def score_at_share(scores: np.ndarray, weight: np.ndarray | None, share: float) -> float:
    """Return the score below which that share of the weight lies."""
    # Strictly below, so a little more than the share.
    return float(weighted_quantile(scores, min(share + 1e-9, 1.0), weight))


def _measure_rounding(denoiser: DenoisingAutoencoder, rows: np.ndarray) -> float:
    """Return by how much, in scaled columns, two copies of a row may differ."""
    largest = np.abs(rows).max(axis=0).astype(np.float64)
    ranges = np.ptp(rows.astype(np.float64), axis=0)
    each = (_SINGLE_ROUNDING * largest + _SHARE_OF_RANGE * ranges) / denoiser.scale_
    return max(float(np.linalg.norm(np.minimum(each, _MOST_ROUNDING))), _LEAST_ROUNDING)


def _scale(denoiser: DenoisingAutoencoder, rows: np.ndarray) -> np.ndarray:
    return Scaling(denoiser.mean_, denoiser.scale_).forward(rows, np.float64)

"""The anomaly score: how rare a row's denoising errors and neighbour distances are."""

import math
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

# Knots are at least so far apart, as a share of the values' range or of the largest: the rounding
# of a row must not carry it over a step.
_LEAST_STEP = 1e-6
_ROUNDING = 1e-12


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
    def from_values(cls, values: np.ndarray, weight: np.ndarray | None = None) -> "TailSurprisal":
        """Return the tails of known values (n_known, n_columns) with these weights."""
        nats = np.linspace(0, -math.log(1 - _TAIL), _N_KNOTS)
        shares = np.append(1 - np.exp(-nats), 0.5)
        # A share that rounding puts just above that of a value is the value's.
        quantiles = weighted_quantile(values, shares * (1 - 1e-12), weight)
        knots, middle = quantiles[:-1], quantiles[-1]
        smallest = _ROUNDING * np.maximum(np.abs(knots[-1]), 1.0)
        # The exponential tail through both: half of the rows lie beyond one, 2 % beyond the other.
        scale = np.maximum((knots[-1] - middle) / math.log(0.5 / (1 - _TAIL)), smallest)
        step = np.maximum(_LEAST_STEP * (knots[-1] - knots[0]), smallest)
        return cls(nats, knots + step * np.arange(_N_KNOTS)[:, None] / _N_KNOTS, scale)

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
        by_error = TailSurprisal.from_values(errors, weight)
        nats = by_error.measure(errors)
        scaled = _scale(denoiser, rows)
        is_usual = nats <= score_at_share(nats, weight, 1 - _UNUSUAL)
        neighbours = NeighbourDistances.from_rows(scaled, is_usual)
        by_distance = TailSurprisal.from_values(neighbours.measure(scaled), weight)
        return cls(by_error, neighbours, by_distance)

    def measure(self, denoiser: DenoisingAutoencoder, rows: AnyTable) -> np.ndarray:
        """Return the score of each row; higher is more anomalous."""
        return np.concatenate([self._measure(denoiser, rows[b]) for b in row_blocks(rows)])

    def _measure(self, denoiser: DenoisingAutoencoder, rows: np.ndarray) -> np.ndarray:
        errors = self.by_error.measure(denoiser.denoising_errors(rows))
        distances = self.by_distance.measure(self.neighbours.measure(_scale(denoiser, rows)))
        return (errors + 2 * distances) / 3


def score_at_share(scores: np.ndarray, weight: np.ndarray | None, share: float) -> float:
    """Return the score below which that share of the weight lies."""
    # Strictly below, so a little more than the share.
    return float(weighted_quantile(scores, min(share + 1e-9, 1.0), weight))


def _scale(denoiser: DenoisingAutoencoder, rows: np.ndarray) -> np.ndarray:
    return Scaling(denoiser.mean_, denoiser.scale_).forward(rows, np.float64)

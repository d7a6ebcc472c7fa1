"""Margins of drawn numbers, matched to the columns of the table."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import ks_2samp

from .._data import ColumnQuantiles, find_quantiles, interpolate

# Draws of the model that its margins are estimated from, fewer of wide tables.
_MOST_DRAWS, _MOST_CELLS = 4000, 2**21
_FEWEST_DRAWS = 500

# Distances of Kolmogorov and Smirnov, times the root of the sample's size, that one sample in
# twenty exceeds: normal numbers, from the distribution that is fitted to them (Lilliefors 1967,
# table 1), and draws of a known distribution, from it. Up to both, the model's margin may be right.
_OF_ROWS, _OF_DRAWS = 0.886, 1.358


@dataclass(frozen=True)
class MarginMap:
    """Increasing maps of columns, each from the model's margin to that of the table.

    How columns depend on each other, by ranks, stays what the model has.

    Attributes
    ----------
    columns : tuple of int
        The columns that are mapped.
    points : tuple of ndarray of shape (n_points,)
        For each, quantiles of the model's draws, increasing.
    values : tuple of ndarray of shape (n_points,)
        For each, the table's at the same probabilities.
    """

    columns: tuple[int, ...]
    points: tuple[np.ndarray, ...]
    values: tuple[np.ndarray, ...]

    @classmethod
    def fit(
        cls,
        drawn: np.ndarray,
        finished: np.ndarray,
        quantiles: ColumnQuantiles,
    ) -> "MarginMap":
        """Return the maps of columns whose margins can be told from the table's.

        Parameters
        ----------
        drawn : ndarray of shape (n_draws, n_features)
            Draws of the model.
        finished : ndarray of shape (n_draws, n_features)
            The same, rounded and within their columns' ends.
        quantiles : ColumnQuantiles
            Of the table.
        """
        n_known = max(min(quantiles.total, len(drawn)), 2.0)
        even = (np.arange(len(drawn)) + 0.5) / len(drawn)
        # No farther out than rows tell of.
        is_inside = np.abs(quantiles.probability - 0.5) <= 0.5 - 0.5 / n_known
        probability, weight = quantiles.probability[is_inside], np.ones(len(drawn))
        least = np.sqrt(_OF_ROWS**2 / quantiles.total + _OF_DRAWS**2 / len(drawn))
        columns, points, values = [], [], []
        for index, known in zip(quantiles.columns.tolist(), quantiles.values.T, strict=True):
            if np.isnan(known[0]):  # no row has this cell
                continue
            expected = interpolate(even, quantiles.probability, known)
            if ks_2samp(finished[:, index], expected, method="asymp").statistic > least:
                columns.append(index)
                points.append(find_quantiles(drawn[:, index], weight, probability))
                values.append(known[is_inside])
        return cls(tuple(columns), tuple(points), tuple(values))

    def apply(self, rows: np.ndarray) -> np.ndarray:
        """Return drawn rows, in the table's units, with the margins of the table."""
        out = rows.copy()
        for index, points, values in zip(self.columns, self.points, self.values, strict=True):
            out[:, index] = _interpolate(rows[:, index], points, values)
        return out


def count_draws(n_features: int) -> int:
    """Return how many draws of the model to estimate its margins from."""
    return max(min(_MOST_DRAWS, _MOST_CELLS // n_features), _FEWEST_DRAWS)


def _interpolate(numbers: np.ndarray, points: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the values at numbers; beyond the points, in proportion to the half beside them."""
    found = interpolate(numbers, points, values)
    half = len(points) // 2
    for end in (0, -1):
        width = points[end] - points[half]
        slope = 0.0 if width == 0 else (values[end] - values[half]) / width
        beyond = numbers - points[end]
        beyond = np.minimum(beyond, 0.0) if end == 0 else np.maximum(beyond, 0.0)
        found += slope * beyond
    return found

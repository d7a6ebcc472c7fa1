"""The distributions of columns of numbers in training, which drawn numbers are held to."""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from .training_table import TrainingTable

# Steps of the grid between the tails, fewer where all columns together would have more points.
_MOST_STEPS, _FEWEST_STEPS, _MOST_POINTS = 512, 64, 2**18

# A weighted cell is a peak if it stands for so many rows, and for such a share of them.
_PEAK_ROWS, _PEAK_SHARE = 3.0, 0.01

# In the tails steps halve, down to a row among a million.
_LEAST_PROBABILITY = 1e-6


@dataclass(frozen=True)
class ColumnQuantiles:
    """The quantiles of columns at a grid of probabilities, which is finer in the tails.

    Attributes
    ----------
    columns : ndarray of int of shape (n_numbers,)
        Indices of the columns.
    probability : ndarray of shape (n_points,)
        The grid, increasing.
    values : ndarray of shape (n_points, n_numbers)
        The quantiles of observed cells, in the table's units; NaN in a column without any.
    total : float
        How many rows they are of.
    """

    columns: np.ndarray
    probability: np.ndarray
    values: np.ndarray
    total: float

    @classmethod
    def from_table(cls, table: TrainingTable, columns: np.ndarray) -> Self | None:
        """Return the quantiles of a table, of which NaN is a missing cell.

        None of so many columns, such as those of large images, that they would take much memory.

        Parameters
        ----------
        table : TrainingTable
            The rows, in their own units.
        columns : ndarray of int of shape (n_numbers,)
            Indices of the columns.
        """
        if len(columns) * _FEWEST_STEPS > _MOST_POINTS:
            return None
        rows, weight = table.column_sample
        X = rows[:, columns].astype(np.float64)
        total = table.unit.n_rows * len(table)
        return cls._from_cells(columns, X, weight, total, table.unit.n_rows)

    def merge(self, other: Self) -> Self:
        """Return the quantiles of the rows of both."""
        mass = [part.total * _find_masses(part.probability) for part in (self, other)]
        values = np.concatenate([self.values, other.values])
        total = self.total + other.total
        return self._from_cells(self.columns, values, np.concatenate(mass), total)

    @classmethod
    def _from_cells(
        cls, columns: np.ndarray, X: np.ndarray, weight: np.ndarray, total: float, n_rows: float = 0
    ) -> Self:
        probability = _make_grid(len(columns))
        values = np.empty((len(probability), len(columns)))
        for index, column in enumerate(X.T):
            values[:, index] = find_quantiles(column, weight, probability, n_rows)
        return cls(columns, probability, values, float(total))

    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _make_grid(n_columns: int) -> np.ndarray:
    """Return probabilities from zero to one, evenly spread and halving towards both ends."""
    n_steps = min(max(_MOST_POINTS // max(n_columns, 1), _FEWEST_STEPS), _MOST_STEPS)
    even = np.arange(1, n_steps) / n_steps
    n_halves = int(np.log2(even[0] / _LEAST_PROBABILITY))
    tail = even[0] / 2.0 ** np.arange(n_halves, 0, -1)
    return np.concatenate([[0.0], tail, even, 1 - tail[::-1], [1.0]])


def _find_masses(probability: np.ndarray) -> np.ndarray:
    """Return the probability that each point of a grid stands for."""
    steps = np.diff(probability)
    return 0.5 * (np.append(steps, 0.0) + np.append(0.0, steps))


def find_quantiles(
    column: np.ndarray, weight: np.ndarray, probability: np.ndarray, n_rows: float = 0
) -> np.ndarray:
    """Return quantiles of a column, each observed cell at the middle of its own weight.

    Parameters
    ----------
    column : ndarray of shape (n_rows,)
        The cells; NaN is a missing one.
    weight : ndarray of shape (n_rows,)
        How often each counts.
    probability : ndarray of shape (n_points,)
        The probabilities, increasing.
    n_rows : float, default=0
        How many rows a weight of one stands for. A cell that stands for many is as many copies.
    """
    known = ~np.isnan(column) & (weight > 0)
    if not known.any():
        return np.full(len(probability), np.nan)
    own = weight[known]
    is_peak = (own * n_rows >= _PEAK_ROWS) & (own >= _PEAK_SHARE * own.sum())
    if (own == own[0]).all() and not is_peak[0]:  # sorting is a third of finding an order
        middle = (np.arange(len(own)) + 0.5) / len(own)
        return interpolate(probability, middle, np.sort(column[known]))
    order = np.argsort(column[known])
    own, is_peak = own[order], is_peak[order]
    reached = np.cumsum(own)
    middle, values = (reached - 0.5 * own) / reached[-1], column[known][order]
    if is_peak.any():  # from the middle of the first copy to that of the last
        half = np.where(is_peak, 0.5 * (own - 1 / n_rows), 0.0) / reached[-1]
        n_points = 1 + is_peak
        last = np.cumsum(n_points) - 1
        middle, values = np.repeat(middle - half, n_points), np.repeat(values, n_points)
        middle[last[is_peak]] += 2 * half[is_peak]
    return interpolate(probability, middle, values)


def interpolate(numbers: np.ndarray, points: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the values at numbers, linearly between points.

    Between two values each of which several points have, as of a column of 0 and 100, there are
    none: the nearer one is returned.

    Parameters
    ----------
    numbers : ndarray of shape (n_numbers,)
        Where to look.
    points, values : ndarray of shape (n_points,)
        What is known, the points increasing.
    """
    found: np.ndarray = np.interp(numbers, points, values)
    if len(points) < 2:
        return found
    is_same = np.diff(values) == 0
    is_shared = np.append(is_same, False) | np.append(False, is_same)
    is_jump = is_shared[:-1] & is_shared[1:] & ~is_same
    left = np.clip(np.searchsorted(points, numbers) - 1, 0, len(points) - 2)
    is_left = numbers - points[left] < points[left + 1] - numbers
    return np.where(is_jump[left], np.where(is_left, values[left], values[left + 1]), found)

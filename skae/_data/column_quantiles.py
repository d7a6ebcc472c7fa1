"""The distributions of columns of numbers in training, which drawn numbers are held to."""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from .training_table import TrainingTable

# Steps of the grid between the tails, fewer where all columns together would have more points.
_MOST_STEPS, _FEWEST_STEPS, _MOST_POINTS = 512, 64, 2**18

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
        return cls._from_cells(columns, X, weight, total)

    def merge(self, other: Self) -> Self:
        """Return the quantiles of the rows of both."""
        mass = [part.total * _find_masses(part.probability) for part in (self, other)]
        values = np.concatenate([self.values, other.values])
        total = self.total + other.total
        return self._from_cells(self.columns, values, np.concatenate(mass), total)

    @classmethod
    def _from_cells(
        cls, columns: np.ndarray, X: np.ndarray, weight: np.ndarray, total: float
    ) -> Self:
        probability = _make_grid(len(columns))
        values = np.empty((len(probability), len(columns)))
        for index, column in enumerate(X.T):
            values[:, index] = find_quantiles(column, weight, probability)
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


def find_quantiles(column: np.ndarray, weight: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return quantiles of a column, each observed cell at the middle of its own weight.

    Parameters
    ----------
    column : ndarray of shape (n_rows,)
        The cells; NaN is a missing one.
    weight : ndarray of shape (n_rows,)
        How often each counts.
    probability : ndarray of shape (n_points,)
        The probabilities, increasing.
    """
    known = ~np.isnan(column) & (weight > 0)
    if not known.any():
        return np.full(len(probability), np.nan)
    own = weight[known]
    if (own == own[0]).all():  # sorting is a third of the work of finding an order
        middle = (np.arange(len(own)) + 0.5) / len(own)
        found: np.ndarray = np.interp(probability, middle, np.sort(column[known]))
        return found
    order = np.argsort(column[known])
    own = own[order]
    reached = np.cumsum(own)
    middle = (reached - 0.5 * own) / reached[-1]
    return np.interp(probability, middle, column[known][order])

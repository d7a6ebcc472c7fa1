"""The values that columns of numbers had in training, beyond which none are drawn or filled."""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from ..modules.cells import CellLayout
from .columns import Columns
from .scaling import Scaling
from .shared_passes import SharedPass
from .stored_rows import AnyRows
from .training_table import TrainingTable

# The least or largest value of a column is a bound if that share of the rows has it, and at least
# so many.
_BOUND_SHARE = 0.01
_BOUND_ROWS = 3.0

# How far beyond its least and largest values, as a share of the range between them, a column's
# numbers may go: a density has longer tails than that.
_REACH = 0.1

# Rows are scaled in float32: values this near to zero, in scales, are zero.
_ZERO = 1e-5

# So are values as near to each other, as shares of their distance from the mean.
_RESOLUTION = 1e-6


@dataclass(frozen=True)
class ColumnRanges:
    """The least and the largest values of scaled columns, and how many rows have them.

    Attributes
    ----------
    low, high : ndarray of shape (n_features,)
        The values, of observed cells.
    at_low, at_high : ndarray of shape (n_features,)
        How many rows of the table have them.
    total : float
        How many rows there are.
    """

    low: np.ndarray
    high: np.ndarray
    at_low: np.ndarray
    at_high: np.ndarray
    total: float

    @classmethod
    def from_rows(cls, rows: AnyRows) -> Self:
        """Return the ranges of rows, of a stored table by a subsample."""
        sample = rows.subsample()
        X, observed, counts = sample.table, sample.observed, sample.counts
        if observed is None:
            observed = np.ones(X.shape, dtype=bool)
        return cls.from_cells(X, observed, counts)

    @classmethod
    def from_table(cls, table: TrainingTable, scaling: Scaling) -> Self:
        """Return the ranges of all rows of a table, of which NaN is a missing cell.

        Parameters
        ----------
        table : TrainingTable
            The rows, in their own units.
        scaling : Scaling
            Their scaling.
        """
        shared, n_features = SharedPass(table.X), table.X.shape[1]
        ends, none = np.full((2, n_features), -np.inf), np.zeros(n_features)
        found = cls(-ends[0], ends[1], none, none, 0.0)
        for rows in shared.blocks:
            X = scaling.forward(table.X[rows], np.float64)
            weight = np.ones(len(X)) if table.weight is None else table.weight[rows]
            found = found.merge(cls.from_cells(X, ~np.isnan(X), table.unit.n_rows * weight))
        ends[:] = -found.low, found.high
        shared.maximize(ends)
        low, high = -ends[0], ends[1]
        at_low, at_high = found.at_low * (found.low == low), found.at_high * (found.high == high)
        total = np.array([found.total])
        shared.add(at_low, at_high, total)
        return cls(low, high, at_low, at_high, float(total[0]))

    @classmethod
    def from_cells(cls, X: np.ndarray, observed: np.ndarray, counts: np.ndarray) -> Self:
        """Return the ranges of scaled rows, of which not all cells are observed."""
        low = np.where(observed, X, np.inf).min(axis=0)
        high = np.where(observed, X, -np.inf).max(axis=0)
        at_low, at_high = counts @ ((low == X) & observed), counts @ ((high == X) & observed)
        return cls(low.astype(np.float64), high.astype(np.float64), at_low, at_high, counts.sum())

    def merge(self, other: Self) -> Self:
        """Return the ranges of the rows of both."""
        low, high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        return type(self)(
            low,
            high,
            self.at_low * (self.low == low) + other.at_low * (other.low == low),
            self.at_high * (self.high == high) + other.at_high * (other.high == high),
            self.total + other.total,
        )

    def find_bounds(
        self, scaling: Scaling, layout: CellLayout, columns: Columns | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return between which values numbers lie, in the table's units.

        A column has a bound where many rows have its least or largest value, and at zero if all
        its values lie on one side and it holds no times. Others go a tenth of their range beyond.
        What is no number has infinite ends.

        Parameters
        ----------
        scaling : Scaling
            The columns' scaling.
        layout : CellLayout
            What they hold.
        columns : Columns or None, default=None
            What they stand for; None if they are the table's own numbers.
        """
        has_zero = np.True_ if columns is None else columns.has_zero
        known = [np.where(np.isfinite(end), end, 0.0) for end in (self.low, self.high)]
        least, largest = scaling.inverse(np.stack(known))
        reach, ends = _REACH * (largest - least), []
        for value, count, sign in ((least, self.at_low, 1.0), (largest, self.at_high, -1.0)):
            is_common = count >= max(_BOUND_SHARE * self.total, _BOUND_ROWS)
            is_zero = np.abs(value) <= _ZERO * scaling.scale
            is_beside_zero = (sign * value >= 0) | is_zero
            farthest = value - sign * reach
            is_cut = has_zero & is_beside_zero & (sign * farthest < 0)
            beyond = np.where(is_cut, 0.0, farthest)
            common = np.where(is_zero, 0.0, _shorten(value, scaling.mean))
            bound = np.where(is_common, common, beyond)
            ends.append(np.where(layout.is_number, bound, -sign * np.inf))
        return ends[0], ends[1]

    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def scale_ends(ends: np.ndarray, scaling: Scaling) -> np.ndarray:
    """Return bounds in the table's units as the network sees them; infinite ones stay so."""
    is_finite = np.isfinite(ends)
    scaled = scaling.forward(np.where(is_finite, ends, scaling.mean)[None], np.float64)[0]
    return np.where(is_finite, scaled, ends)


def _shorten(values: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return values without digits that they owe to rows that were scaled in float32."""
    error = np.maximum(_RESOLUTION * np.abs(values - mean), 1e-300)
    digits = np.floor(-np.log10(error)).astype(int).tolist()
    return np.array([round(*pair) for pair in zip(values.tolist(), digits, strict=True)])

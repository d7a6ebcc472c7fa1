"""The values that columns of numbers had in training, which limit what is drawn and filled."""

from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, Self

import numpy as np

from ..modules.cells import CellLayout
from .columns import Columns
from .scaling import Scaling
from .shared_passes import SharedPass
from .training_table import TrainingTable

# The least or largest value of a column is a bound if that share of the rows has it, and at least
# so many.
_BOUND_SHARE = 0.01
_BOUND_ROWS = 3.0

# How far beyond its least and largest values, as a share of the range between them, a column's
# numbers may go: a density has longer tails than that.
_REACH = 0.1

# Numbers of more decimals than this are taken for any numbers.
_MOST_DECIMALS = 6

# States of earlier versions have ranges of columns that were scaled in float32. In these, values
# this near to zero, in scales, are zero.
_ZERO = 1e-5

# Others are exact to this share of their distance from the mean.
_RESOLUTION = 1e-6

# The first rows tell of most columns that their numbers have more.
_FIRST_ROWS = 64


class ColumnEnds(NamedTuple):
    """Between which values the numbers of columns lie, infinite where there is no end.

    Attributes
    ----------
    low, high : ndarray of shape (n_features,)
        The values, in the table's units.
    """

    low: np.ndarray
    high: np.ndarray

    def scale(self, scaling: Scaling) -> "ColumnEnds":
        """Return the ends as the network sees them; infinite ones stay so."""
        ends = np.stack(self)
        is_finite = np.isfinite(ends)
        scaled = scaling.forward(np.where(is_finite, ends, scaling.mean), np.float64)
        return ColumnEnds(*np.where(is_finite, scaled, ends))


@dataclass(frozen=True)
class ColumnRanges:
    """The least and the largest values of columns, how many rows have them, and their decimals.

    Attributes
    ----------
    low, high : ndarray of shape (n_features,)
        The values of observed cells, in the table's units.
    at_low, at_high : ndarray of shape (n_features,)
        How many rows of the table have them.
    total : float
        How many rows there are.
    decimals : ndarray of int of shape (n_features,) or None, default=None
        The least number of decimals that all values have; 0 if they are whole. None, in states of
        earlier versions, is unknown, and the values are those of scaled columns.
    """

    low: np.ndarray
    high: np.ndarray
    at_low: np.ndarray
    at_high: np.ndarray
    total: float
    decimals: np.ndarray | None = None

    @classmethod
    def from_table(cls, table: TrainingTable) -> Self:
        """Return the ranges of all rows of a table, of which NaN is a missing cell.

        Parameters
        ----------
        table : TrainingTable
            The rows, in their own units.
        """
        shared, n_features = SharedPass(table.X), table.X.shape[1]
        ends, none = np.full((2, n_features), -np.inf), np.zeros(n_features)
        decimals = np.zeros(n_features, dtype=np.int64)
        found = cls(-ends[0], ends[1], none, none, 0.0, decimals)
        for rows in shared.blocks:
            X = table.X[rows]
            weight = np.ones(len(X)) if table.weight is None else table.weight[rows]
            counts = table.unit.n_rows * weight
            found = found.merge(cls.from_cells(X, counts, _get_decimals(found)))
        ends[:] = -found.low, found.high
        decimals = _get_decimals(found).copy()
        shared.maximize(ends, decimals)
        low, high = -ends[0], ends[1]
        at_low, at_high = found.at_low * (found.low == low), found.at_high * (found.high == high)
        total = np.array([found.total])
        shared.add(at_low, at_high, total)
        return cls(low, high, at_low, at_high, float(total[0]), decimals)

    @classmethod
    def from_cells(cls, X: np.ndarray, counts: np.ndarray, decimals: np.ndarray | int = 0) -> Self:
        """Return the ranges of rows that count that often, of no fewer decimals than these."""
        observed = ~np.isnan(X)
        low = np.where(observed, X, np.inf).min(axis=0)
        high = np.where(observed, X, -np.inf).max(axis=0)
        at_low, at_high = counts @ (low == X), counts @ (high == X)
        least = np.broadcast_to(decimals, low.shape)
        ends = low.astype(np.float64), high.astype(np.float64)
        return cls(*ends, at_low, at_high, float(counts.sum()), _count_decimals(X, least))

    def merge(self, other: Self) -> Self:
        """Return the ranges of the rows of both."""
        low, high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        return type(self)(
            low,
            high,
            self.at_low * (self.low == low) + other.at_low * (other.low == low),
            self.at_high * (self.high == high) + other.at_high * (other.high == high),
            self.total + other.total,
            np.maximum(_get_decimals(self), _get_decimals(other)),
        )

    def in_units(self, scaling: Scaling) -> Self:
        """Return the ranges in the table's units, also those of an earlier version.

        Ends of the latter, where many rows are, lose the digits that they owe to float32: a table's
        9.6 is 9.6 again.

        Parameters
        ----------
        scaling : Scaling
            The scaling of such columns.
        """
        if self.decimals is not None:
            return self
        is_known = np.isfinite(self.low)
        scaled = np.where(is_known, [self.low, self.high], 0.0)
        values = scaling.inverse(scaled)
        is_zero = np.abs(values) <= _ZERO * scaling.scale
        short = _shorten(values, _RESOLUTION * np.abs(values - scaling.mean))
        values = np.where(is_zero, 0.0, np.where(self._find_common(), short, values))
        low, high = np.where(is_known, values, [[np.inf], [-np.inf]])
        return replace(self, low=low, high=high, decimals=_get_decimals(self))

    def find_ends(
        self, layout: CellLayout, columns: Columns | None = None, reach: float | None = _REACH
    ) -> ColumnEnds:
        """Return between which values numbers lie.

        A column ends where many rows have its least or largest value, and at zero if all its
        values lie on one side and it holds no times.

        Parameters
        ----------
        layout : CellLayout
            What the columns hold.
        columns : Columns or None, default=None
            What they stand for; None if they are the table's own numbers.
        reach : float or None, default=0.1
            How far others go beyond their values, as a share of the range between these; None is
            any distance.
        """
        has_zero = np.True_ if columns is None else columns.has_zero
        # A column without any observed cell has no values.
        least, largest = (np.where(np.isfinite(end), end, 0.0) for end in (self.low, self.high))
        beyond = np.inf if reach is None else reach * (largest - least)
        ends = []
        for value, is_common, sign in zip(
            (least, largest), self._find_common(), (1.0, -1.0), strict=True
        ):
            farthest = value - sign * beyond
            is_cut = has_zero & (sign * value >= 0) & (sign * farthest < 0)
            end = np.where(is_common, value, np.where(is_cut, 0.0, farthest))
            ends.append(np.where(layout.is_number, end, -sign * np.inf))
        return ColumnEnds(*ends)

    def open_common(self, ends: ColumnEnds) -> ColumnEnds:
        """Return ends without those that many rows are at.

        Draws beyond such an end are to be moved to it, not avoided: they stand for the rows at it.
        """
        at_low, at_high = self._find_common()
        return ColumnEnds(np.where(at_low, -np.inf, ends.low), np.where(at_high, np.inf, ends.high))

    def _find_common(self) -> tuple[np.ndarray, np.ndarray]:
        """Return which of the least and of the largest values many rows have."""
        least = max(_BOUND_SHARE * self.total, _BOUND_ROWS)
        return self.at_low >= least, self.at_high >= least

    def round_numbers(self, rows: np.ndarray, layout: CellLayout) -> np.ndarray:
        """Return rows of which numbers have no more decimals than those of the table.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
            The rows, in the table's units.
        layout : CellLayout
            What the columns hold.
        """
        out = rows.copy()
        for n_decimals in range(_MOST_DECIMALS + 1):
            own = np.flatnonzero(layout.is_number & (_get_decimals(self) == n_decimals))
            out[:, own] = rows[:, own].round(n_decimals)
        return out

    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays."""
        state = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.decimals is None:  # a detector's digest is also of its estimator's state
            del state["decimals"]
        return state


def _get_decimals(ranges: ColumnRanges) -> np.ndarray:
    """Return each column's decimals, more than are counted where they are unknown."""
    if ranges.decimals is None:
        return np.full(len(ranges.low), _MOST_DECIMALS + 1)
    return ranges.decimals


def _shorten(values: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Return values without the decimals that are smaller than their errors."""
    digits = np.floor(-np.log10(np.maximum(errors, 1e-300))).astype(int)
    pairs = zip(values.ravel().tolist(), digits.ravel().tolist(), strict=True)
    return np.array([round(*pair) for pair in pairs]).reshape(values.shape)


def _count_decimals(X: np.ndarray, least: np.ndarray) -> np.ndarray:
    """Return how many decimals the numbers of each column have, at least that many."""
    found = least.copy()
    with np.errstate(over="ignore"):
        for rows in (X[:_FIRST_ROWS], X):
            for n_decimals in range(_MOST_DECIMALS + 1):
                own = np.flatnonzero(found == n_decimals)
                cells = rows[:, own]
                has_more = (cells.round(n_decimals) != cells) & ~np.isnan(cells)
                found[own[has_more.any(axis=0)]] = n_decimals + 1
    return found

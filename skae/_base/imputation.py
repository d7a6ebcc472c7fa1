"""What fills missing cells after a fit: attention to rows, fitted when it is asked for."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Real
from typing import Any, Self

import numpy as np

from .._attention import REMEMBERED_ROWS, AttentionCompletion, fit_attention
from .._data import (
    AnyTable,
    ColumnEnds,
    ColumnRanges,
    Columns,
    Scaling,
    TrainingTable,
    find_index,
    load_rows,
    row_blocks,
    subsample_indices,
    take_rows,
    wrap_numbers,
)
from .._environment import RandomStreams
from .._linear import Completion
from ..modules.cells import CellLayout
from .parameters import Constraints, Interval, validate_parameter_constraints

_IMPUTE: Constraints = {"interval": [Interval(Real, 0, 1, closed="neither"), None]}

# Filled cells depend on the rows, not on how the network was trained.
_SEED = 19870914

# What is that share of a scale, or of its distance from the mean, beyond an end is at the end.
_SLACK = 1e-5


@dataclass(frozen=True)
class Imputation:
    """Rows with missing cells, and the attention that learns from them.

    Fitting one takes about as long as a fit, and codes and scores don't need it.

    Attributes
    ----------
    rows : ndarray of shape (n_rows, n_encoded)
        Scaled rows, in float32; NaN is a missing cell.
    scaling : Scaling
        Their scaling: linear, so that what is expected is a mean.
    weight : ndarray of shape (n_rows,) or None
        How often each counts.
    layout : CellLayout
        What the columns hold.
    columns : Columns or None
        What they stand for; None if they are the table's own numbers.
    completion : Completion or None
        The normal distribution of the rows; None fits it with the attention.
    ranges : ColumnRanges or None
        Those of the whole table; None, in states of earlier versions, takes those of the rows.
    """

    rows: np.ndarray
    scaling: Scaling
    weight: np.ndarray | None
    layout: CellLayout
    columns: Columns | None
    completion: Completion | None
    ranges: ColumnRanges | None

    @classmethod
    def gather(
        cls,
        table: TrainingTable,
        scaling: Scaling,
        layout: CellLayout,
        columns: Columns | None,
        completion: Completion | None,
    ) -> Self | None:
        """Return rows of a table, None if none of them has a missing cell."""
        indices = subsample_indices(len(table), REMEMBERED_ROWS)
        rows = take_rows(table.X, indices)
        if not np.isnan(rows).any():
            return None
        weight = None if table.weight is None else table.weight[indices]
        linear = replace(scaling, margins=None)
        known = completion if scaling.margins is None else None
        ranges = ColumnRanges.from_table(table)
        scaled = linear.forward(rows, np.float32)
        return cls(scaled, linear, weight, layout, columns, known, ranges)

    @cached_property
    def attention(self) -> AttentionCompletion:
        """Attention to the rows, fitted when first asked for."""
        return fit_attention(
            self.rows, self.layout, RandomStreams(_SEED), self.weight, self.completion
        )

    @cached_property
    def ends(self) -> ColumnEnds:
        """Between which values numbers are filled."""
        ranges = self.ranges
        if ranges is None:
            weight = np.ones(len(self.rows)) if self.weight is None else self.weight
            ranges = ColumnRanges.from_cells(self.scaling.inverse(self.rows), weight)
        return ranges.in_units(self.scaling).find_ends(self.layout, self.columns)

    def expect(self, rows: np.ndarray) -> np.ndarray:
        """Return rows of the encoded table, missing cells as they are expected."""
        return self.scaling.inverse(self.attention.complete(self.scaling.forward(rows, np.float64)))

    def clip(self, table: AnyTable, values: np.ndarray) -> np.ndarray:
        """Return rows of which filled numbers are between the columns' ends; see `clip_fills`."""
        return clip_fills(table, values, self.ends, self.scaling)

    def find_half_widths(self, coverage: float) -> np.ndarray:
        """Return how far, in the table's units, the truth may be from what fills a number."""
        return self.attention.half_widths(coverage) * self.scaling.scale

    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays; attention is fitted again when it is asked for."""
        state = {"rows": self.rows, "weight": self.weight}
        # Not where there are none: a detector's digest is also of states of earlier versions.
        return state if self.ranges is None else {**state, "ranges": self.ranges.get_state()}

    @classmethod
    def from_state(
        cls,
        state: dict[str, Any],
        scaling: Scaling,
        layout: CellLayout,
        columns: Columns | None,
        completion: Completion | None,
    ) -> Self:
        """Return the rows of a stored state."""
        linear = replace(scaling, margins=None)
        known = completion if scaling.margins is None else None
        ranges = ColumnRanges(**state["ranges"]) if "ranges" in state else None
        return cls(state["rows"], linear, state["weight"], layout, columns, known, ranges)


def check_interval(interval: float | None) -> None:
    """Raise unless the parameter of `impute` is a probability or None."""
    validate_parameter_constraints(_IMPUTE, {"interval": interval}, caller_name="impute")


def clip_fills(
    table: AnyTable, values: np.ndarray, ends: ColumnEnds, scaling: Scaling
) -> np.ndarray:
    """Return filled rows, numbers between these ends where all observed ones of the row are.

    Linear regression on unusual cells may lead anywhere. But the trends of a row that is outside
    of the training rows itself go on.

    Parameters
    ----------
    table : ndarray or stored table of shape (n_rows, n_encoded)
        The rows; NaN is a missing cell.
    values : ndarray of shape (n_rows, n_encoded)
        The same with missing cells filled.
    ends : ColumnEnds
        The least and the largest values.
    scaling : Scaling
        The rows' scaling.
    """
    low, high = ends
    # Ends have fewer digits than the values that they are.
    slack = [_SLACK * (np.abs(end - scaling.mean) + scaling.scale) for end in ends]
    out = np.empty_like(values)
    for rows in row_blocks(table):
        given = table[rows]
        missing = np.isnan(given)
        is_within = missing | ((given >= low - slack[0]) & (given <= high + slack[1]))
        is_clipped = missing & is_within.all(axis=1, keepdims=True)
        out[rows] = np.where(is_clipped, values[rows].clip(low, high), values[rows])
    return out


def fill_blocks(table: AnyTable, complete: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return rows of an encoded table with missing cells filled, and all others as they are.

    Parameters
    ----------
    table : ndarray or stored table of shape (n_rows, n_encoded)
        The rows, which are read block by block.
    complete : callable
        Returns rows of the table without gaps.
    """
    out = np.empty(table.shape)
    for rows in row_blocks(table):
        given = table[rows]
        out[rows] = np.where(np.isnan(given), complete(given), given)
    return out


def show_limits(
    X: Any,
    table: AnyTable,
    values: np.ndarray,
    expected: np.ndarray,
    half_widths: np.ndarray,
    columns: Columns | None,
) -> tuple[Any, Any]:
    """Return the limits of filled numbers, in the form of the table.

    Parameters
    ----------
    X : frame or array of shape (n_rows, n_features)
        The table.
    table : ndarray or stored table of shape (n_rows, n_encoded)
        The same as numbers; NaN is a missing cell.
    values : ndarray of shape (n_rows, n_encoded)
        Its rows with missing cells filled.
    expected : ndarray of shape (n_rows, n_encoded)
        The same, without ends to what fills a cell. It is within the limits too.
    half_widths : ndarray of shape (n_encoded,)
        How far the truth may be from what fills a number; NaN or inf where there is no limit.
    columns : Columns or None
        What the encoded columns stand for; None if they are the table's own numbers.
    """
    # Of the others, observed cells and those that are no numbers, there is nothing to show.
    is_shown = np.isnan(load_rows(table)) & np.isfinite(half_widths)
    reach = np.where(is_shown, np.where(np.isfinite(half_widths), half_widths, 0.0), np.nan)

    def show(limits: np.ndarray) -> Any:
        if columns is None:
            return wrap_numbers(limits, X)
        return columns.decode(limits, index=find_index(X))

    low, high = np.minimum(values, expected), np.maximum(values, expected)
    return show(low - reach), show(high + reach)

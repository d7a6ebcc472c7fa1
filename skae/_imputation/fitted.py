"""What a fit of the imputer leads to."""

from dataclasses import astuple, dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from .._attention import REMEMBERED_ROWS, AttentionCompletion, fit_attention
from .._base.imputation import clip_fills, fill_blocks
from .._data import (
    AnyTable,
    ColumnEnds,
    ColumnMoments,
    ColumnRanges,
    Columns,
    Scaling,
    TrainingTable,
    subsample_indices,
    take_rows,
)
from .._data.codings import CategoryCoding
from .._environment import RandomStreams
from ..modules.cells import CellLayout


@dataclass(frozen=True)
class FittedImputer:
    """Columns, their scaling, and the attention that fills their missing cells.

    Attributes
    ----------
    columns : Columns or None
        What the encoded columns stand for; None if they are the table's own numbers.
    scaling : Scaling
        Their scaling.
    attention : AttentionCompletion
        What fills scaled rows.
    ranges : ColumnRanges
        The values that columns had in training.
    """

    columns: Columns | None
    scaling: Scaling
    attention: AttentionCompletion
    ranges: ColumnRanges

    @classmethod
    def fit(
        cls,
        table: TrainingTable,
        columns: Columns | None,
        moments: ColumnMoments,
        streams: RandomStreams,
    ) -> Self:
        """Return what fills the missing cells of tables like this one.

        Parameters
        ----------
        table : TrainingTable
            The rows as numbers; NaN is a missing cell.
        columns : Columns or None
            What their columns stand for; None if they are the table's own numbers.
        moments : ColumnMoments
            The columns' means and spreads.
        streams : RandomStreams
            Source of all that is drawn.
        """
        n_encoded = table.X.shape[1]
        layout = CellLayout.from_numbers(n_encoded) if columns is None else columns.layout
        scaling = Scaling.from_moments(moments, standardize=True, layout=layout)
        indices = subsample_indices(len(table), REMEMBERED_ROWS)
        rows = scaling.forward(take_rows(table.X, indices), np.float64)
        weight = None if table.weight is None else table.weight[indices]
        attention = fit_attention(rows, layout, streams, weight)
        return cls(columns, scaling, attention, ColumnRanges.from_table(table))

    @cached_property
    def ends(self) -> ColumnEnds:
        """Between which values numbers are filled."""
        ranges = self.ranges.in_units(self.scaling)
        return ranges.find_ends(self.attention.layout, self.columns)

    def expect(self, table: AnyTable) -> np.ndarray:
        """Return rows as numbers, missing cells as they are expected."""
        forward, inverse = self.scaling.forward, self.scaling.inverse
        return fill_blocks(
            table, lambda rows: inverse(self.attention.complete(forward(rows, np.float64)))
        )

    def clip(self, table: AnyTable, values: np.ndarray) -> np.ndarray:
        """Return rows of which filled numbers are between the columns' ends; see `clip_fills`."""
        return clip_fills(table, values, self.ends, self.scaling)

    def find_half_widths(self, coverage: float) -> np.ndarray:
        """Return how far, in the table's units, the truth may be from what fills a number."""
        return self.attention.half_widths(coverage) * self.scaling.scale

    def compare_errors(self, n_features: int) -> np.ndarray:
        """Return each column's error as a share of linear regression's; NaN if none is filled."""
        out = np.full(n_features, np.nan)
        owner = np.arange(n_features) if self.columns is None else self.columns.owner
        out[[owner[own.start] for own in self.attention.cells]] = self.attention.shrinkage
        codings = [] if self.columns is None else [one.coding for one in self.columns.columns]
        for index, coding in enumerate(codings):
            # Its one indicator is always told right, but stands for no label.
            if isinstance(coding, CategoryCoding) and coding.is_identifier:
                out[index] = np.nan
        return out

    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays."""
        return {
            "columns": None if self.columns is None else self.columns.get_state(),
            "scaling": astuple(self.scaling),
            "attention": self.attention.get_state(),
            "ranges": self.ranges.get_state(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return what was stored."""
        columns, scaling = state["columns"], Scaling(*state["scaling"])
        attention = AttentionCompletion.from_state(state["attention"])
        ranges = state.get("ranges")
        if ranges is None:  # in states of earlier versions; the rows are a sample of the table
            rows = np.where(attention.observed, attention.rows, np.nan)
            ranges = ColumnRanges.from_cells(scaling.inverse(rows), attention.weight)
        else:
            ranges = ColumnRanges(**ranges)
        return cls(
            None if columns is None else Columns.from_state(columns),
            scaling,
            attention,
            ranges,
        )

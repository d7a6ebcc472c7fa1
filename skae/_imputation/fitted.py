"""What a fit of the imputer leads to."""

from dataclasses import astuple, dataclass
from typing import Any, Self

import numpy as np

from .._attention import REMEMBERED_ROWS, AttentionCompletion, fit_attention
from .._base.imputation import Ends, complete_between, fill_blocks, find_ends
from .._data import (
    AnyTable,
    ColumnMoments,
    Columns,
    Scaling,
    TrainingTable,
    subsample_indices,
    take_rows,
)
from .._data.columns import CategoryCoding
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
    ends : tuple of ndarray of shape (n_encoded,)
        Between which values numbers are filled.
    """

    columns: Columns | None
    scaling: Scaling
    attention: AttentionCompletion
    ends: Ends

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
        ends = find_ends(rows, weight, scaling, layout)
        return cls(columns, scaling, fit_attention(rows, layout, streams, weight), ends)

    def complete(self, table: AnyTable) -> np.ndarray:
        """Return rows as numbers, with missing cells filled by what is expected of them."""
        return fill_blocks(
            table, lambda rows: complete_between(rows, self.scaling, self.attention, self.ends)
        )

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
            "ends": self.ends,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return what was stored."""
        columns = state["columns"]
        return cls(
            None if columns is None else Columns.from_state(columns),
            Scaling(*state["scaling"]),
            AttentionCompletion.from_state(state["attention"]),
            tuple(state["ends"]),
        )

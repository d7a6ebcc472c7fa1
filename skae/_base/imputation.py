"""What fills missing cells after a fit: the rows for an imputer, which is fitted when asked for."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from .._data import Scaling, TrainingTable, subsample_indices, take_rows
from .._environment import RandomStreams
from .._imputation import Imputer, fit_imputer
from .._linear import Completion
from ..modules.cells import CellLayout

# Rows that an imputer learns from and remembers.
_ROWS = 4096

# Filled cells depend on the rows, not on how the network was trained.
_SEED = 19870914


@dataclass(frozen=True)
class Imputation:
    """Rows with missing cells, and the imputer that learns from them.

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
    completion : Completion or None
        The normal distribution of the rows; None fits it with the imputer.
    """

    rows: np.ndarray
    scaling: Scaling
    weight: np.ndarray | None
    layout: CellLayout
    completion: Completion | None

    @classmethod
    def gather(
        cls,
        table: TrainingTable,
        scaling: Scaling,
        layout: CellLayout,
        completion: Completion | None,
    ) -> Self | None:
        """Return rows of a table, None if none of them has a missing cell."""
        indices = subsample_indices(len(table), _ROWS)
        rows = take_rows(table.X, indices)
        if not np.isnan(rows).any():
            return None
        weight = None if table.weight is None else table.weight[indices]
        linear = replace(scaling, margins=None)
        known = completion if scaling.margins is None else None
        return cls(linear.forward(rows, np.float32), linear, weight, layout, known)

    @cached_property
    def imputer(self) -> Imputer:
        """The imputer, fitted to the rows when first asked for."""
        return fit_imputer(
            self.rows, self.layout, RandomStreams(_SEED), self.weight, self.completion
        )

    def complete(self, rows: np.ndarray) -> np.ndarray:
        """Return rows of the encoded table with missing cells filled."""
        scaled = self.scaling.forward(rows, np.float64)
        return self.scaling.inverse(self.imputer.complete(scaled))

    def find_half_widths(self, coverage: float) -> np.ndarray:
        """Return how far, in the table's units, the truth may be from what fills a number."""
        return self.imputer.half_widths(coverage) * self.scaling.scale

    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays; the imputer is fitted again when it is asked for."""
        return {"rows": self.rows, "weight": self.weight}

    @classmethod
    def from_state(
        cls,
        state: dict[str, Any],
        scaling: Scaling,
        layout: CellLayout,
        completion: Completion | None,
    ) -> Self:
        """Return the rows of a stored state."""
        linear = replace(scaling, margins=None)
        known = completion if scaling.margins is None else None
        return cls(state["rows"], linear, state["weight"], layout, known)

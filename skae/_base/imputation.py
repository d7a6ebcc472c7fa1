"""What fills missing cells after a fit: the rows for an imputer, which is fitted when asked for."""

from dataclasses import dataclass
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
    weight : ndarray of shape (n_rows,) or None
        How often each counts.
    layout : CellLayout
        What the columns hold.
    completion : Completion or None
        The normal distribution of the rows.
    """

    rows: np.ndarray
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
        return cls(scaling.forward(rows, np.float32), weight, layout, completion)

    @cached_property
    def imputer(self) -> Imputer:
        """The imputer, fitted to the rows when first asked for."""
        return fit_imputer(
            self.rows, self.layout, RandomStreams(_SEED), self.weight, self.completion
        )

    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays; an imputer that was not asked for is fitted later."""
        return {"rows": self.rows, "weight": self.weight}

    @classmethod
    def from_state(
        cls, state: dict[str, Any], layout: CellLayout, completion: Completion | None
    ) -> Self:
        """Return the rows of a stored state."""
        return cls(state["rows"], state["weight"], layout, completion)

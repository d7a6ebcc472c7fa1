"""What drawn numbers may be: within their columns' ends, and of no more decimals."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .._base.persistence import FittedState
from .._data import ColumnEnds, ColumnRanges, Scaling
from ..modules.cells import CellLayout
from ..modules.likelihoods import Bounds
from .blueprint import VariationalBlueprint
from .density import VariationalDensity


@dataclass(frozen=True)
class DrawnValues:
    """The values that numbers of a table can have.

    Attributes
    ----------
    scaling : Scaling
        The columns' scaling.
    layout : CellLayout
        What they hold.
    ranges : ColumnRanges or None
        The values that they had in training; None is unknown.
    ends : ColumnEnds or None
        Between which values they lie; None is any.
    bounds : ColumnEnds or None
        Those of the ends that draws given a code are conditional on.
    is_binary : bool
        Whether they are drawn as 0 and 1, whatever the columns hold.
    """

    scaling: Scaling
    layout: CellLayout
    ranges: ColumnRanges | None
    ends: ColumnEnds | None
    bounds: ColumnEnds | None
    is_binary: bool

    @classmethod
    def from_state(
        cls, state: FittedState[Any, VariationalBlueprint, VariationalDensity]
    ) -> "DrawnValues":
        """Return what is known of the values after a fit."""
        layout, ranges = state.blueprint.network.cells, state.density.ranges
        is_binary = state.blueprint.likelihood == "bernoulli"
        if ranges is None or is_binary:
            return cls(state.scaling, layout, None, None, None, is_binary)
        ranges = ranges.in_units(state.scaling)
        if state.columns is None:
            # Given a code, numbers are Gaussian, which has no peak where many rows are at an end:
            # draws beyond it are moved to it.
            ends = ranges.find_ends(layout, reach=None)
            bounds = ranges.open_common(ends)
        else:
            # Beside labels, numbers are mapped by default by a mixture of each column's own. It has
            # a peak where many rows are at an end, and no draws need to be moved there.
            ends = bounds = ranges.find_ends(layout, state.columns)
        return cls(state.scaling, layout, ranges, ends, bounds, is_binary)

    def make_bounds(self, device: torch.device) -> Bounds | None:
        """Return the bounds as the network sees them, None if no column has one."""
        if self.bounds is None or np.isinf(self.bounds).all():
            return None
        scaled = self.bounds.scale(self.scaling)
        return Bounds(*(torch.from_numpy(end).to(device) for end in scaled))

    def limit(self, rows: np.ndarray) -> np.ndarray:
        """Return rows, in the table's units, of which numbers are within the ends."""
        return rows if self.ends is None else np.clip(rows, *self.ends)

    def finish(self, rows: np.ndarray) -> np.ndarray:
        """Return drawn rows, in the table's units, as rows of the table."""
        if self.is_binary:
            return rows.round()
        rows = self.limit(rows)
        return rows if self.ranges is None else self.ranges.round_numbers(rows, self.layout)

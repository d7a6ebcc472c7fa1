"""Flat rows as grids of cells with channels, and back."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Grid:
    """Where the cells of a flat row lie.

    Attributes
    ----------
    sizes : tuple of int
        The lengths of its axes in space or time.
    n_channels : int
        Number of values at each place.
    channels_first : bool
        Whether a row has all places of one channel, then those of the next.
    """

    sizes: tuple[int, ...]
    n_channels: int = 1
    channels_first: bool = False

    @classmethod
    def from_sequence(cls, shape: Sequence[int]) -> "Grid":
        """Return the grid of `(time,)` or `(time, features)`."""
        length, n_features = (*map(int, shape), 1)[:2]
        return cls((length,), n_features)

    @classmethod
    def from_image(cls, shape: Sequence[int]) -> "Grid":
        """Return the grid of `(height, width)`, or of one with channels.

        The channels are the shorter one of the first and the last axis, the last if both are equal.
        """
        first, *others = (int(n) for n in shape)
        if len(others) == 1:
            return cls((first, *others))
        if first < others[-1]:
            return cls(tuple(others), first, channels_first=True)
        return cls((first, others[0]), others[1])

    @property
    def n_cells(self) -> int:
        """Number of cells of a row."""
        return self.n_channels * math.prod(self.sizes)

    def label_channels(self) -> np.ndarray:
        """Return the channel of each cell of a row."""
        n_places = math.prod(self.sizes)
        labels = np.arange(self.n_channels)
        return np.repeat(labels, n_places) if self.channels_first else np.tile(labels, n_places)


class RowsToGrid(nn.Module):
    """Rows `(n_rows, n_cells)` as `(n_rows, n_channels, *sizes)`; what follows, as more channels.

    Parameters
    ----------
    grid : Grid
        Where the cells lie.
    n_conditions : int, default=0
        Columns behind the cells: numbers of the row, such as its noise level, that each place is
        given.
    """

    def __init__(self, grid: Grid, n_conditions: int = 0) -> None:
        super().__init__()
        self.grid = grid
        self.n_channels = grid.n_channels + n_conditions

    def forward(self, input: Tensor) -> Tensor:
        """Return rows as grids."""
        grid, n_rows = self.grid, len(input)
        rows = input[:, : grid.n_cells]
        if grid.channels_first:
            cells = rows.reshape(n_rows, grid.n_channels, *grid.sizes)
        else:
            cells = rows.reshape(n_rows, *grid.sizes, grid.n_channels).movedim(-1, 1)
        conditions = input[:, grid.n_cells :]
        if conditions.shape[1] == 0:
            return cells
        spread = conditions.reshape(*conditions.shape, *[1] * len(grid.sizes))
        return torch.cat([cells, spread.expand(-1, -1, *grid.sizes)], dim=1)


class GridToRows(nn.Module):
    """Grids `(n_rows, n_channels, *sizes)` as rows `(n_rows, n_cells)`.

    Parameters
    ----------
    grid : Grid
        Where the cells lie.
    """

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.grid = grid

    def forward(self, input: Tensor) -> Tensor:
        """Return grids as rows."""
        cells = input if self.grid.channels_first else input.movedim(1, -1)
        return cells.reshape(len(input), self.grid.n_cells)

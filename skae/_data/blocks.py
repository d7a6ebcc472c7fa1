"""Passes over tables block by block, so that no step holds a copy of the whole."""

from typing import Protocol

import numpy as np

# A block of a pass over a table: 64 MiB in float64, little beside any table that is large, and
# enough to make the cost of a block's call vanish.
_BLOCK_ROWS = 65_536
_BLOCK_CELLS = 2**23


class Table(Protocol):
    """Anything with a shape that gives its rows by slices: an array, or a table in a store."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of rows and columns."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def __getitem__(self, rows: slice, /) -> np.ndarray:
        """Return a block of rows."""


def block_length(
    cells_per_row: int, most_cells: int | None = None, most_rows: int | None = None
) -> int:
    """Return how many rows to work on at a time, for rows that need that many cells each.

    None is what a pass over a table takes.
    """
    most_cells = _BLOCK_CELLS if most_cells is None else most_cells
    most_rows = _BLOCK_ROWS if most_rows is None else most_rows
    return max(1, min(most_rows, most_cells // max(cells_per_row, 1)))


def row_blocks(X: Table, most_rows: int | None = None) -> list[slice]:
    """Return slices of at most `most_rows` rows that cover a table."""
    n_rows, n_columns = X.shape
    length = block_length(n_columns, most_rows=most_rows)
    return [slice(first, min(first + length, n_rows)) for first in range(0, n_rows, length)]


def subsample_indices(n_rows: int, most: int) -> np.ndarray:
    """Return the sorted indices of at most `most` rows, spread evenly over a table."""
    return np.linspace(0, n_rows - 1, min(n_rows, most)).astype(int)

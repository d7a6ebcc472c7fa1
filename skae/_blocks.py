"""Tables gone through block by block, so that no step holds a copy of the whole."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

# Rows of a block, and cells of a block of a wide table: 64 MiB in float64, few enough beside
# any table that is large, and enough for the cost of a block's call to vanish.
_MOST_ROWS = 65_536
_MOST_CELLS = 2**23


class Table(Protocol):
    """What has a shape and gives its rows by slices: an array, or a table in a store."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of rows and columns."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def __getitem__(self, rows: slice, /) -> np.ndarray:
        """Return a block of rows."""


def row_blocks(X: Table, most: int = _MOST_ROWS) -> list[slice]:
    """Return the blocks that a table's rows are gone through in."""
    n_rows, n_columns = X.shape
    length = max(1, min(most, _MOST_CELLS // max(n_columns, 1)))
    return [slice(first, min(first + length, n_rows)) for first in range(0, n_rows, length)]


def shares(X: Table, weight: np.ndarray | None) -> Callable[[slice], np.ndarray]:
    """Return what gives the share of the weight that each row of a block has.

    Where all rows count alike, nothing as long as the table is made for it.
    """
    if weight is None:
        return lambda rows: np.full(rows.stop - rows.start, 1 / len(X))
    total = weight.sum(dtype=np.float64)
    return lambda rows: weight[rows].astype(np.float64) / total


def evenly(n_rows: int, n_taken: int) -> np.ndarray:
    """Return the numbers of that many rows, or all, evenly spread over a table."""
    return np.linspace(0, n_rows - 1, min(n_rows, n_taken)).astype(int)

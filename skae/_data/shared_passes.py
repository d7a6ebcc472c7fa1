"""Passes over a table that is left in its store, which the processes of a fit divide."""

import numpy as np
import torch

from .._processes import find_group
from .blocks import Table, row_blocks
from .rows import find_shard


class SharedPass:
    """The blocks of a table that this process reads, and what all processes found in theirs.

    Each reads a shard of neighbouring blocks of a stored table. Without other processes, and of a
    table in memory, one process reads all blocks.

    Parameters
    ----------
    X : Table
        The rows.
    """

    def __init__(self, X: Table) -> None:
        group = find_group()
        is_shared = group is not None and group.is_fitting and not isinstance(X, np.ndarray)
        self._group = group if is_shared else None
        self.blocks = row_blocks(X)
        if self._group is not None:
            own = find_shard(len(self.blocks), self._group.rank, self._group.size)
            self.blocks = self.blocks[own]

    def add(self, *arrays: np.ndarray) -> None:
        """Replace sums over this process's blocks by those over all blocks."""
        if self._group is not None:
            for array in arrays:
                self._group.add(torch.from_numpy(array))

    def maximize(self, *arrays: np.ndarray) -> None:
        """Replace maxima over this process's blocks by those over all blocks."""
        if self._group is not None:
            for array in arrays:
                self._group.maximize(torch.from_numpy(array))

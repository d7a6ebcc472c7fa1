"""The iterators over batches that skorch's loop runs on."""

import math
from collections.abc import Iterator

import torch

from .rows import Batch
from .stored_rows import AnyRows


def batch_length(n_rows: int, batch_size: int | str) -> int:
    """Return how many rows a batch has; "auto" gives large tables larger batches."""
    if batch_size == "auto":
        batch_size = min(max(256, n_rows // 64), 1024)
    return min(int(batch_size), n_rows)


class ShuffledBatches:
    """Batches of equal length, in a new order at each pass.

    Parameters
    ----------
    rows : Rows or StoredRows
        The rows to cut into batches.
    batch_size : int
        Rows of the largest batch.
    generator : torch.Generator
        Source of the order, on the rows' device.
    """

    def __init__(self, rows: AnyRows, batch_size: int, generator: torch.Generator) -> None:
        self.rows = rows
        self.generator = generator
        self.n_batches = math.ceil(len(rows) / batch_size)
        self.length = math.ceil(len(rows) / self.n_batches)

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[Batch]:
        if self.n_batches == 1:  # an order would change nothing but the rounding
            yield self.rows[:]
        else:
            yield from self.rows.shuffle(self.length, self.generator)


class ShardBatches:
    """One process's parts of the batches that several share, each from its shard of the rows.

    All processes have equally many; of a process with a row less than others, the last may be
    empty.

    Parameters
    ----------
    rows : Rows or StoredRows
        All rows, also those of other processes.
    batch_size : int
        Rows of the largest batch, all parts together.
    generator : torch.Generator
        Source of this process's order, on the rows' device.
    rank : int
        Which of the processes this one is.
    size : int
        How many there are.
    """

    def __init__(
        self, rows: AnyRows, batch_size: int, generator: torch.Generator, rank: int, size: int
    ) -> None:
        longest = math.ceil(len(rows) / size)
        length = math.ceil(longest / math.ceil(len(rows) / batch_size))
        self.n_batches = math.ceil(longest / length)
        self.own = ShuffledBatches(rows.take_shard(rank, size), length, generator)

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[Batch]:
        n_yielded = 0
        for batch in self.own:
            n_yielded += 1
            yield batch
        for _ in range(n_yielded, self.n_batches):
            yield self.own.rows[:0]


class OrderedBlocks:
    """Rows in their order, in blocks as large as memory likes.

    Parameters
    ----------
    rows : Rows or StoredRows
        The rows to cut into blocks.
    batch_size : int
        Rows of a block.
    """

    def __init__(self, rows: AnyRows, batch_size: int) -> None:
        self.rows = rows
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[Batch]:
        for first in range(0, len(self.rows), self.batch_size):
            yield self.rows[first : first + self.batch_size]

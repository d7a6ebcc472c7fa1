"""The iterators over batches that skorch's loop runs on."""

import math
from collections.abc import Iterator

import torch

from .rows import Batch, find_shard, join_batches
from .stored_rows import AnyRows

# Processes that train together have batches of up to so many rows, as long as an epoch has so many
# steps. See docs/defaults.md.
_LONGEST_SHARED = 2048
_SHARED_STEPS = 512


def batch_length(n_rows: int, batch_size: int | str, is_shared: bool = False) -> int:
    """Return how many rows a batch has; "auto" gives large tables larger batches.

    Parameters
    ----------
    n_rows : int
        Rows of the table.
    batch_size : int or "auto"
        The estimator's parameter.
    is_shared : bool, default=False
        Whether several processes compute a part of each batch.
    """
    if batch_size == "auto":
        batch_size = min(max(256, n_rows // 64), 1024)
        if is_shared:
            batch_size = max(batch_size, min(n_rows // _SHARED_STEPS, _LONGEST_SHARED))
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

    There are as many batches as one process alone would have. Rows are dealt to them as cards are,
    so that their lengths, all parts together, differ by one row at most, and so do the lengths of
    a process's parts. A part has no rows if the shard has fewer rows than there are batches.

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
        shard = find_shard(len(rows), rank, size)
        self.n_batches = math.ceil(len(rows) / batch_size)
        self.least, self.n_longer = divmod(shard.stop - shard.start, self.n_batches)
        self.first_longer = shard.start % self.n_batches  # behind those of the process before
        longest = self.least + (self.n_longer > 0)
        self.own = ShuffledBatches(rows.take_shard(rank, size), longest, generator)

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[Batch]:
        shuffled, left = iter(self.own), self.own.rows[:0]
        for number in range(self.n_batches):
            is_longer = (number - self.first_longer) % self.n_batches < self.n_longer
            length = self.least + is_longer
            while len(left.input) < length:
                more = next(shuffled)
                left = join_batches(left, more) if len(left.input) > 0 else more
            yield left.select(slice(length))
            left = left.select(slice(length, None))


class OrderedBlocks:
    """Rows in their order, in blocks as large as memory likes.

    Parameters
    ----------
    rows : Rows or StoredRows
        The rows to cut into blocks.
    batch_size : int
        Rows of a block.
    indices : range or None, default=None
        Indices of the blocks; None is all.
    """

    def __init__(self, rows: AnyRows, batch_size: int, indices: range | None = None) -> None:
        self.rows = rows
        self.batch_size = batch_size
        self.indices = range(math.ceil(len(rows) / batch_size)) if indices is None else indices

    def __iter__(self) -> Iterator[Batch]:
        for index in self.indices:
            first = index * self.batch_size
            yield self.rows[first : first + self.batch_size]

    def take_shard(self, rank: int, size: int) -> "OrderedBlocks":
        """Return one of `size` parts of neighbouring blocks; fewer blocks are not divided."""
        if len(self.indices) < size:
            return self
        own = self.indices[find_shard(len(self.indices), rank, size)]
        return OrderedBlocks(self.rows, self.batch_size, own)

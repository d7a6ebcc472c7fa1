"""Rows of a table that stays in its store, scaled as they are read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from .blocks import row_blocks
from .rows import Batch, Complete, CompletedRows, Rows, find_shard, shuffle_indices
from .sample_weights import ONE_EACH, WeightUnit
from .scaling import Scaling
from .stores import StoredTable, TablePart, TableRange, subsample_store
from .time_order import TimeSplit

# Rows are shuffled within a buffer of this many bytes, filled with at least _RUNS runs of
# neighbouring rows from anywhere in the table, each of at most _LONGEST_RUN rows. A store reads
# neighbours at once; many runs make each batch come from many places.
_BUFFER_BYTES = 2**26
_RUNS = 128
_LONGEST_RUN = 4096

# Row groups of a file whose rows are mixed.
_MIXED_PARTS = 16

# Held-out rows are kept in memory, and a loss of each of them for each epoch. The mean over this
# many is off by a third of a percent of the losses' spread, and epoch selection asks for gains
# of 6 %.
_MOST_HELD_OUT = 100_000
_HELD_OUT_BYTES = 2**27

# Room that an accelerator is taken to have beside the network.
_DEVICE_BYTES = 2**32


@final
class ScaledTable:
    """A stored table's rows as the network sees them, in float32.

    Parameters
    ----------
    table : StoredTable, TablePart or TableRange
        The rows.
    scaling : Scaling
        How they are scaled.
    complete : callable or None, default=None
        Fills missing cells; None if there are none.
    """

    def __init__(
        self,
        table: StoredTable | TablePart | TableRange,
        scaling: Scaling,
        complete: Complete | None = None,
    ) -> None:
        self.table = table
        self.scaling = scaling
        self.complete = complete
        self.shape = table.shape

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, rows: slice) -> np.ndarray:
        return self.read(rows).values

    def read(self, rows: slice) -> CompletedRows:
        """Return a block of rows, and which of their cells are observed."""
        return self.prepare(self.table[rows])

    def take(self, indices: np.ndarray) -> np.ndarray:
        """Return the rows of these sorted indices, in memory."""
        return self.read_at(indices).values

    def read_at(self, indices: np.ndarray) -> CompletedRows:
        """Return the rows of these sorted indices, and which of their cells are observed."""
        return self.prepare(self.table.take(indices))

    def prepare(self, values: np.ndarray) -> CompletedRows:
        """Return rows of the table scaled and completed."""
        scaled = self.scaling.forward(values, np.float32)
        return CompletedRows(scaled) if self.complete is None else self.complete(scaled)


@final
@dataclass(frozen=True)
class StoredRows(Dataset[Batch]):
    """The counterpart of `Rows` for a table that isn't loaded.

    Attributes
    ----------
    table : ScaledTable
        The input.
    weight : ndarray of shape (n_rows,) or None
        How often each row counts, in float32; None counts each once.
    device : torch.device
        Where batches go.
    unit : WeightUnit
        What a weight of one stands for.
    """

    table: ScaledTable
    weight: np.ndarray | None
    device: torch.device
    unit: WeightUnit = ONE_EACH

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, rows: slice) -> Batch:
        weight = None if self.weight is None else torch.from_numpy(self.weight[rows])
        return self.table.read(rows).to_batch(weight).to(self.device)

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return self.table.shape[1]

    @property
    def weight_array(self) -> np.ndarray | None:
        """The weights as float64."""
        return None if self.weight is None else self.weight.astype(np.float64)

    def take(self, indices: np.ndarray) -> Rows:
        """Return the rows of these indices, in memory."""
        order = np.argsort(indices, kind="stable")
        back, known = np.argsort(order), self.table.read_at(indices[order])
        observed = None if known.observed is None else known.observed[back]
        return self._load(CompletedRows(known.values[back], observed), indices)

    def subsample(self) -> Rows:
        """Return evenly spread rows that represent all, in memory."""
        indices, values = subsample_store(self.table.table)
        return self._load(self.table.prepare(values), indices)

    def _load(self, rows: CompletedRows, indices: np.ndarray) -> Rows:
        weight = None if self.weight is None else self.weight[indices]
        return Rows.from_arrays(
            rows.values, weight, self.device, unit=self.unit, observed=rows.observed
        )

    def split(
        self, fraction: float, generator: np.random.Generator
    ) -> tuple[Rows, "Rows | StoredRows"]:
        """Return that share of the rows, but no more than memory holds, and the others."""
        n_valid = min(max(1, round(fraction * len(self))), self._most_held_out, len(self) - 1)
        held_out = np.sort(generator.choice(len(self), n_valid, replace=False, shuffle=False))
        return self.take(held_out), self._leave_out(held_out)

    def split_in_time(self, split: TimeSplit) -> tuple[Rows, "Rows | StoredRows"]:
        """Return the last rows, but no more than memory holds, and the first ones."""
        n_held_out = min(split.n_held_out, self._most_held_out)
        n_train = split.n_train + split.n_held_out - n_held_out
        held_out = np.arange(len(self) - n_held_out, len(self))
        return self.take(held_out), self._leave_out(np.arange(n_train, len(self)))

    @property
    def _most_held_out(self) -> int:
        return min(_MOST_HELD_OUT, max(100, _HELD_OUT_BYTES // (4 * self.n_features)))

    def _leave_out(self, indices: np.ndarray) -> "StoredRows":
        """Return the rows without those of these sorted indices."""
        part = TablePart(self.table.table, indices)
        weight = None if self.weight is None else np.delete(self.weight, indices)
        scaled = ScaledTable(part, self.table.scaling, self.table.complete)
        return StoredRows(scaled, weight, self.device, self.unit)

    def take_shard(self, rank: int, size: int) -> "StoredRows":
        """Return one of `size` parts of neighbouring rows, the first of them the longest."""
        own = find_shard(len(self), rank, size)
        part = TableRange(self.table.table, own.start, own.stop)
        weight = None if self.weight is None else self.weight[own]
        scaled = ScaledTable(part, self.table.scaling, self.table.complete)
        return StoredRows(scaled, weight, self.device, self.unit)

    def to_device(self) -> "Rows | StoredRows":
        """Return the rows where training reads them: on an accelerator, if they fit there."""
        if self.device.type == "cpu" or 4 * len(self) * self.n_features > _DEVICE_BYTES:
            return self
        X = torch.empty(self.table.shape, device=self.device)
        mask: Tensor | None = None
        for rows in row_blocks(self.table):
            block = self[rows]
            X[rows] = block.input
            if block.mask is not None:
                mask = torch.ones_like(X, dtype=torch.bool) if mask is None else mask
                mask[rows] = block.mask
        weight = None if self.weight is None else torch.from_numpy(self.weight).to(self.device)
        return Rows(Batch(X, mask=mask, weight=weight), self.unit)

    def shuffle(self, length: int, generator: torch.Generator) -> Iterator[Batch]:
        """Yield batches of that many rows, shuffled as far as a buffer reaches."""
        room = max(_BUFFER_BYTES // (4 * self.n_features), 2 * length)
        run = max(1, min(_LONGEST_RUN, room // _RUNS))
        firsts = run * self._shuffle_runs(run, generator)
        buffer = _Buffer(self, room + length)
        for chosen in firsts.split(room // run):
            for first in chosen.sort().values.tolist():
                buffer.read(slice(first, min(first + run, len(self))))
            order = shuffle_indices(buffer.n_rows, generator)
            n_whole = buffer.n_rows // length * length
            if n_whole > 0:
                yield from buffer.rows.cut(order[:n_whole], length)
            buffer.keep(order[n_whole:].cpu())
        if buffer.n_rows > 0:
            yield buffer.rows.batch

    def _shuffle_runs(self, run: int, generator: torch.Generator) -> Tensor:
        """Return the indices of runs of rows in a random order.

        Parts of a store that are read as a whole, as row groups are, are mixed a few at a time:
        otherwise each buffer would read all of them.
        """
        order = shuffle_indices(-(-len(self) // run), generator).cpu()
        ends = self.table.table.ends
        if len(ends) <= _MIXED_PARTS + 1:
            return order
        ranks = shuffle_indices(len(ends) - 1, generator).cpu() // _MIXED_PARTS
        parts = np.searchsorted(ends, run * order.numpy(), side="right") - 1
        return order[ranks[torch.from_numpy(parts)].argsort(stable=True)]


AnyRows = Rows | StoredRows


@final
class _Buffer:
    """Room for rows off the device, filled from the front."""

    def __init__(self, source: StoredRows, n_rows: int) -> None:
        self.source = source
        self.X = torch.empty(n_rows, source.n_features)
        self.mask: Tensor | None = None  # until a row has a missing cell
        self.weight = None if source.weight is None else torch.empty(n_rows)
        self.n_rows = 0

    @property
    def rows(self) -> Rows:
        """Its rows, on the device."""
        whole = Batch(self.X, mask=self.mask, weight=self.weight)
        return Rows(whole.select(slice(self.n_rows)).to(self.source.device))

    def read(self, rows: slice) -> None:
        """Add rows of the source."""
        place = slice(self.n_rows, self.n_rows + rows.stop - rows.start)
        block = self.source.table.read(rows)
        self.X[place] = torch.from_numpy(block.values)
        if block.observed is not None:
            self.mask = (
                torch.ones_like(self.X, dtype=torch.bool) if self.mask is None else self.mask
            )
            self.mask[place] = torch.from_numpy(block.observed)
        elif self.mask is not None:
            self.mask[place] = True
        if self.weight is not None and self.source.weight is not None:
            self.weight[place] = torch.from_numpy(self.source.weight[rows])
        self.n_rows = place.stop

    def keep(self, indices: Tensor) -> None:
        """Empty it except for the rows of these indices."""
        self.X[: len(indices)] = self.X[indices]
        if self.mask is not None:
            self.mask[: len(indices)] = self.mask[indices]
        if self.weight is not None:
            self.weight[: len(indices)] = self.weight[indices]
        self.n_rows = len(indices)

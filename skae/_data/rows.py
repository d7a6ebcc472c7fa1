"""Rows as tensors, and the batches that training slices from them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from .sample_weights import ONE_EACH, WeightUnit
from .time_order import TimeSplit

# Batches gathered at a time: enough to make the gather cheap, few enough to copy a block of the
# table and never the whole of it.
_BATCHES_AT_A_TIME = 64


class CompletedRows(NamedTuple):
    """Scaled rows without missing cells, and which of their cells were observed.

    Attributes
    ----------
    values : ndarray of shape (n_rows, n_columns)
        The rows.
    observed : ndarray of bool of shape (n_rows, n_columns) or None
        Which cells were there; None is all.
    """

    values: np.ndarray
    observed: np.ndarray | None = None

    def to_batch(self, weight: Tensor | None = None) -> "Batch":
        """Return the rows as tensors."""
        mask = None if self.observed is None else torch.from_numpy(self.observed)
        return Batch(torch.from_numpy(self.values), None, mask, weight)


#: Fills the missing cells of scaled rows.
Complete = Callable[[np.ndarray], CompletedRows]


class Batch(NamedTuple):
    """All that a training step needs to know of some rows; None where there is nothing to know.

    Attributes
    ----------
    input : Tensor of shape (n_rows, ...)
        The rows that the network is given.
    target : Tensor of shape (n_rows, ...) or None
        The rows that it is to return; None is `input`.
    mask : Tensor of shape (n_rows, ...) or None
        Which cells are observed; None is all.
    weight : Tensor of shape (n_rows,) or None
        How often each row counts; None counts each once.
    """

    input: Tensor
    target: Tensor | None = None
    mask: Tensor | None = None
    weight: Tensor | None = None

    def select(self, index: Tensor | slice) -> "Batch":
        """Return some of the rows."""
        return Batch(
            self.input[index],
            None if self.target is None else self.target[index],
            None if self.mask is None else self.mask[index],
            None if self.weight is None else self.weight[index],
        )

    def split(self, length: int) -> "Iterator[Batch]":
        """Yield batches of that many rows, in order."""
        for first in range(0, len(self.input), length):
            yield self.select(slice(first, first + length))

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        return Batch(
            self.input.to(device),
            None if self.target is None else self.target.to(device),
            None if self.mask is None else self.mask.to(device),
            None if self.weight is None else self.weight.to(device),
        )


@dataclass(frozen=True)
class Rows(Dataset[Batch]):
    """Scaled rows of a table, in memory, on the device that trains.

    Attributes
    ----------
    batch : Batch
        All of the rows.
    unit : WeightUnit
        What a weight of one stands for.
    """

    batch: Batch
    unit: WeightUnit = ONE_EACH

    @classmethod
    def from_arrays(
        cls,
        X: np.ndarray,
        weight: np.ndarray | None,
        device: torch.device,
        target: np.ndarray | None = None,
        unit: WeightUnit = ONE_EACH,
        observed: np.ndarray | None = None,
    ) -> "Rows":
        """Return arrays as rows on a device."""
        known = None if weight is None else torch.from_numpy(weight.astype(np.float32))
        goal = None if target is None else torch.from_numpy(target)
        batch = CompletedRows(X, observed).to_batch(known)._replace(target=goal)
        return cls(batch.to(device), unit)

    def __len__(self) -> int:
        return len(self.batch.input)

    def __getitem__(self, index: Tensor | slice) -> Batch:
        return self.batch.select(index)

    @property
    def weight_array(self) -> np.ndarray | None:
        """The weights as float64, off the device: MPS has no float64."""
        weight = self.batch.weight
        return None if weight is None else weight.cpu().double().numpy()

    @property
    def given_weight(self) -> np.ndarray:
        """The weights as they were given, of which those of two blocks can be compared."""
        return self.unit.given * self._known_weight

    @property
    def counts(self) -> np.ndarray:
        """How many rows of the table each stands for, see `WeightUnit`."""
        return self.unit.n_rows * self._known_weight

    @property
    def _known_weight(self) -> np.ndarray:
        known = self.weight_array
        return np.ones(len(self)) if known is None else known

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return self.batch.input.shape[1]

    @property
    def device(self) -> torch.device:
        """The device that the rows are on."""
        return self.batch.input.device

    @property
    def table(self) -> np.ndarray:
        """The input, off the device."""
        return self.batch.input.cpu().numpy()

    @property
    def observed(self) -> np.ndarray | None:
        """Which cells of the table were there, off the device; None is all."""
        mask = self.batch.mask
        return None if mask is None else mask.cpu().numpy()

    @property
    def target_table(self) -> np.ndarray:
        """The target, off the device; the input where there is no other."""
        return self.table if self.batch.target is None else self.batch.target.cpu().numpy()

    def take(self, indices: np.ndarray) -> "Rows":
        """Return the rows of these indices."""
        return Rows(self[torch.from_numpy(indices).to(self.device)], self.unit)

    def subsample(self) -> "Rows":
        """Return rows in memory that represent all: these themselves."""
        return self

    def split(self, fraction: float, generator: np.random.Generator) -> tuple["Rows", "Rows"]:
        """Return that share of the rows, drawn at random, and the others."""
        order = generator.permutation(len(self))
        n_taken = min(max(1, round(fraction * len(self))), len(self) - 1)
        return self.take(order[:n_taken]), self.take(order[n_taken:])

    def split_in_time(self, split: TimeSplit) -> tuple["Rows", "Rows"]:
        """Return the last rows, and the first ones, of rows in the order of time."""
        last = slice(len(self) - split.n_held_out, None)
        return Rows(self[last], self.unit), Rows(self[: split.n_train], self.unit)

    def take_shard(self, rank: int, size: int) -> "Rows":
        """Return one of `size` parts of neighbouring rows, the first of them the longest."""
        return Rows(self[find_shard(len(self), rank, size)], self.unit)

    def to_device(self) -> "Rows":
        """Return the rows on the device that trains: they are there."""
        return self

    def shuffle(self, length: int, generator: torch.Generator) -> Iterator[Batch]:
        """Yield batches of that many rows in a random order."""
        return self.cut(shuffle_indices(len(self), generator), length)

    def cut(self, order: Tensor, length: int) -> Iterator[Batch]:
        """Yield batches of that many rows in an order."""
        for chunk in order.split(_BATCHES_AT_A_TIME * length):
            yield from self[chunk].split(length)


def join_batches(first: Batch, second: Batch) -> Batch:
    """Return the rows of two batches of one table, of which one alone may have missing cells."""
    masks = [first.mask, second.mask]
    if any(mask is not None for mask in masks):
        for number, input in enumerate((first.input, second.input)):
            if masks[number] is None:
                masks[number] = torch.ones_like(input, dtype=torch.bool)
    return Batch(
        torch.cat([first.input, second.input]),
        _join(first.target, second.target),
        _join(*masks),
        _join(first.weight, second.weight),
    )


def _join(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    return None if first is None or second is None else torch.cat([first, second])


def find_shard(n_rows: int, rank: int, size: int) -> slice:
    """Return one of `size` parts of neighbouring rows, of which the first have a row more."""
    least, n_longer = divmod(n_rows, size)
    first = rank * least + min(rank, n_longer)
    return slice(first, first + least + (rank < n_longer))


def shuffle_indices(n_rows: int, generator: torch.Generator) -> Tensor:
    """Return the indices of `n_rows` rows in a random order, on the generator's device."""
    return torch.randperm(n_rows, generator=generator, device=generator.device)

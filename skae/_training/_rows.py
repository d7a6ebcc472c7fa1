"""Tables as tensors, and the batches that training slices from them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

if TYPE_CHECKING:
    from ._stored_rows import AnyRows

Batch = tuple[Tensor, Tensor | None]

# Batches gathered at a time: enough to make the gather cheap, few enough to copy a block
# of the table and never the whole of it.
_BATCHES_AT_A_TIME = 64


@dataclass(frozen=True)
class Rows(Dataset):
    """Rows of a table, on the device that trains, with their weights.

    Attributes
    ----------
    X : Tensor of shape (n_rows, n_features)
        The values.
    weight : Tensor of shape (n_rows,) or None
        How often each row counts; None counts each once.
    """

    X: Tensor
    weight: Tensor | None = None

    @classmethod
    def of(cls, X: np.ndarray, weight: np.ndarray | None, device: torch.device) -> "Rows":
        """Return arrays as rows on a device."""
        if weight is None:
            return cls(torch.from_numpy(X).to(device))
        return cls(
            torch.from_numpy(X).to(device), torch.from_numpy(weight.astype(np.float32)).to(device)
        )

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, index: Tensor | slice) -> Batch:
        return self.X[index], None if self.weight is None else self.weight[index]

    @property
    def weight_array(self) -> np.ndarray | None:
        """The weights as float64, off the device; MPS has no float64 to convert to there."""
        return None if self.weight is None else self.weight.cpu().double().numpy()

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return self.X.shape[1]

    @property
    def device(self) -> torch.device:
        """Where the rows are."""
        return self.X.device

    @property
    def table(self) -> np.ndarray:
        """The values, off the device."""
        return self.X.cpu().numpy()

    def take(self, index: np.ndarray) -> "Rows":
        """Return the rows of these numbers."""
        return Rows(*self[torch.from_numpy(index).to(self.X.device)])

    def some(self) -> "Rows":
        """Return rows that stand for all, in memory; these are there, so all."""
        return self

    def split(self, fraction: float, generator: np.random.Generator) -> tuple["Rows", "Rows"]:
        """Return that share of the rows, drawn at random, and the others."""
        order = generator.permutation(len(self))
        n_taken = min(max(1, round(fraction * len(self))), len(self) - 1)
        return self.take(order[:n_taken]), self.take(order[n_taken:])

    def placed(self) -> "Rows":
        """Return the rows where training has them: these are there."""
        return self

    def shuffled(self, length: int, generator: torch.Generator) -> Iterator[Batch]:
        """Yield batches of that many rows in a random order."""
        return self.cut(shuffled_order(len(self), generator), length)

    def cut(self, order: Tensor, length: int) -> Iterator[Batch]:
        """Yield batches of that many rows in an order."""
        for chunk in order.split(_BATCHES_AT_A_TIME * length):
            X, weight = self[chunk]
            if weight is None:
                for part in X.split(length):
                    yield part, None
            else:
                yield from zip(X.split(length), weight.split(length), strict=True)


def shuffled_order(n: int, generator: torch.Generator) -> Tensor:
    """Return the numbers up to `n` in a random order, on the generator's device."""
    return torch.randperm(n, generator=generator, device=generator.device)


def batch_length(n_rows: int, batch_size: int | str) -> int:
    """Return how many rows a batch has; "auto" gives large tables larger batches."""
    if batch_size == "auto":
        batch_size = min(max(256, n_rows // 64), 1024)
    return min(int(batch_size), n_rows)


class ShuffledBatches:
    """Batches of equal length in a new order at each pass.

    Parameters
    ----------
    rows : Rows or StoredRows
        What is cut into batches.
    batch_size : int
        Rows of the largest batch.
    generator : torch.Generator
        Where the order is drawn, on the rows' device.
    """

    def __init__(self, rows: "AnyRows", batch_size: int, generator: torch.Generator) -> None:
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
            yield from self.rows.shuffled(self.length, self.generator)


class Blocks:
    """Rows in their order, in blocks as large as memory likes.

    Parameters
    ----------
    rows : Rows or StoredRows
        What is cut into blocks.
    batch_size : int
        Rows of a block.
    """

    def __init__(self, rows: "AnyRows", batch_size: int) -> None:
        self.rows = rows
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[Batch]:
        for first in range(0, len(self.rows), self.batch_size):
            yield self.rows[first : first + self.batch_size]

"""Noises: functions of tensors, and the levels at which they are drawn."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Noise = Callable[[Tensor, Tensor, torch.Generator | None], Tensor]


def add_gaussian(rows: Tensor, level: Tensor, generator: torch.Generator | None) -> Tensor:
    """Add normal noise of standard deviation `level` to every cell."""
    noise = torch.empty_like(rows).normal_(generator=generator)
    return torch.addcmul(rows, level, noise)


def mask_cells(rows: Tensor, level: Tensor, generator: torch.Generator | None) -> Tensor:
    """Set a share `level` of the cells to zero, which is their column's mean."""
    return rows.masked_fill(_drawn(rows, level, generator), 0.0)


def salt_and_pepper(rows: Tensor, level: Tensor, generator: torch.Generator | None) -> Tensor:
    """Set a share `level` of the cells to their column's least or largest value in the batch."""
    is_hit = _drawn(rows, level, generator)
    is_salt = torch.empty_like(rows).uniform_(generator=generator) < 0.5
    return torch.where(is_hit, torch.where(is_salt, rows.amax(0), rows.amin(0)), rows)


def swap_cells(rows: Tensor, level: Tensor, generator: torch.Generator | None) -> Tensor:
    """Give a share `level` of the cells the value that another row of the batch has there."""
    is_hit = _drawn(rows, level, generator)
    n_rows = len(rows)
    step = torch.empty_like(rows).uniform_(generator=generator) * (n_rows - 1)
    others = (torch.arange(n_rows, device=rows.device)[:, None] + 1 + step.long()) % n_rows
    return torch.where(is_hit, rows.gather(0, others), rows)


def _drawn(rows: Tensor, share: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.empty_like(rows).uniform_(generator=generator) < share


#: The noises by name. The level of the first is a standard deviation, of the others a
#: share of the cells.
NOISES: dict[str, Noise] = {
    "gaussian": add_gaussian,
    "masking": mask_cells,
    "salt_and_pepper": salt_and_pepper,
    "swap": swap_cells,
}


@dataclass(frozen=True)
class Corruption:
    """A noise and the range of its levels.

    Attributes
    ----------
    noise : callable
        One of `NOISES`, or a function of the same arguments.
    low, high : float
        The range; levels are drawn log-uniformly between them, one for each row.
    """

    noise: Noise
    low: float
    high: float

    def draw_levels(self, n_rows: int, generator: torch.Generator | None, like: Tensor) -> Tensor:
        """Return a level for each row, of shape (n_rows, 1)."""
        share = torch.empty(n_rows, 1, dtype=like.dtype, device=like.device)
        if self.low == self.high:
            return share.fill_(self.low)
        share.uniform_(generator=generator)
        return self.low * (share * math.log(self.high / self.low)).exp()

    def draw(self, rows: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Return rows with fresh noise on them, and its levels."""
        level = self.draw_levels(len(rows), generator, rows)
        return self.noise(rows, level, generator), level

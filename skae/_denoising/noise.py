"""Noise: functions of tensors, and the levels at which they are drawn."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._data import Scaling
from ..modules import NoiseLevels
from ..modules.cells import CellLayout

_AUTO_STANDARD_DEVIATIONS = (0.02, 3.0)
_AUTO_SHARES = (0.2, 0.2)

# Float32, in which networks train, holds squares, products and ratios of such levels.
_LEAST_LEVEL, _LARGEST_LEVEL = 1e-15, 1e15

#: Maps rows in the units of the table and a generator to noisy rows.
UserNoiseFunction = Callable[[Tensor, torch.Generator | None], Tensor]

#: Maps rows, their levels (n_rows, 1) and a generator to noisy rows.
Noise = Callable[[Tensor, Tensor, torch.Generator | None], Tensor]


def add_gaussian(rows: Tensor, level: Tensor, generator: torch.Generator | None) -> Tensor:
    """Add normal noise of standard deviation `level` to every cell."""
    noise = torch.empty_like(rows).normal_(generator=generator)
    return torch.addcmul(rows, level, noise)


def mask_cells(
    rows: Tensor, level: Tensor, generator: torch.Generator | None, cells: Tensor | None = None
) -> Tensor:
    """Set a share `level` of the cells to zero, which is their column's mean."""
    return rows.masked_fill(_draw_cells(rows, level, generator, cells), 0.0)


def salt_and_pepper(
    rows: Tensor, level: Tensor, generator: torch.Generator | None, cells: Tensor | None = None
) -> Tensor:
    """Set a share `level` of the cells to their column's smallest or largest value in the batch."""
    is_hit = _draw_cells(rows, level, generator, cells)
    is_salt = _draw_uniform(rows, generator, cells) < 0.5
    return torch.where(is_hit, torch.where(is_salt, rows.amax(0), rows.amin(0)), rows)


def swap_cells(
    rows: Tensor, level: Tensor, generator: torch.Generator | None, cells: Tensor | None = None
) -> Tensor:
    """Set a share `level` of the cells to the value of another row of the batch."""
    is_hit = _draw_cells(rows, level, generator, cells)
    n_rows = len(rows)
    step = _draw_uniform(rows, generator, cells) * (n_rows - 1)
    others = (torch.arange(n_rows, device=rows.device)[:, None] + 1 + step.long()) % n_rows
    return torch.where(is_hit, rows.gather(0, others), rows)


def _draw_cells(
    rows: Tensor, share: Tensor, generator: torch.Generator | None, cells: Tensor | None
) -> Tensor:
    return _draw_uniform(rows, generator, cells) < share


def _draw_uniform(rows: Tensor, generator: torch.Generator | None, cells: Tensor | None) -> Tensor:
    """Return a uniform number for each cell, which encoded columns of one cell share."""
    drawn = torch.empty_like(rows).uniform_(generator=generator)
    return drawn if cells is None else drawn[:, cells]


#: Noise by name. The level of the first is a standard deviation, that of the others a share of
#: the cells; `cells` has the first encoded column of each column's cell.
NOISES: dict[str, Noise] = {
    "gaussian": add_gaussian,
    "masking": mask_cells,
    "salt_and_pepper": salt_and_pepper,
    "swap": swap_cells,
}


@dataclass(frozen=True)
class CellNoise:
    """Noise that strikes all indicators of a category together.

    Attributes
    ----------
    noise : callable
        A value of `NOISES` other than Gaussian noise.
    cells : tuple of int
        Index of the first encoded column of each encoded column's cell.
    """

    noise: Callable[..., Tensor]
    cells: tuple[int, ...]

    def __call__(self, rows: Tensor, level: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return noisy rows."""
        return self.noise(rows, level, generator, torch.tensor(self.cells, device=rows.device))


def make_noise(name: str, layout: CellLayout) -> Noise:
    """Return the noise of a name, for rows of a layout."""
    if name == "gaussian" or not layout.categories:
        return NOISES[name]
    cells = list(range(layout.n_encoded))
    for first, end in layout.categories:
        cells[first:end] = [first] * (end - first)
    return CellNoise(NOISES[name], tuple(cells))


@dataclass(frozen=True)
class Corruption:
    """A noise and the range of its levels.

    Attributes
    ----------
    noise : callable
        A value of `NOISES`, or a function of the same arguments.
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
        """Return noisy rows, and their levels."""
        level = self.draw_levels(len(rows), generator, rows)
        return self.noise(rows, level, generator), level


@dataclass(frozen=True)
class UserNoise:
    """A user's noise, which takes rows in the units of the table.

    Attributes
    ----------
    noise : callable
        `noise(X, generator)` maps a tensor of rows to noisy ones.
    scaling : Scaling
        The scaling of the rows.
    """

    noise: UserNoiseFunction
    scaling: Scaling

    def __call__(self, rows: Tensor, level: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return noisy rows."""
        dtype = rows.dtype if self.scaling.is_single else torch.float64
        mean = torch.as_tensor(self.scaling.mean, dtype=dtype, device=rows.device)
        scale = torch.as_tensor(self.scaling.scale, dtype=dtype, device=rows.device)
        noisy = self.noise(rows * scale + mean, generator)
        if not isinstance(noisy, Tensor) or noisy.shape != rows.shape:
            got = type(noisy).__name__
            if isinstance(noisy, Tensor):
                got = f"shape {tuple(noisy.shape)}"
            raise ValueError(
                f"noise must return a tensor of the same shape as its input, {tuple(rows.shape)}; "
                f"got {got}"
            )
        scaled = ((noisy - mean) / scale).to(rows.dtype)
        if not torch.isfinite(scaled).all():
            raise ValueError(
                "noise must return finite numbers that are comparable with the columns, whose "
                f"scales are {self.scaling.scale.min():g} to {self.scaling.scale.max():g}; got "
                f"values from {float(noisy.min()):g} to {float(noisy.max()):g}"
            )
        return scaled


def resolve_noise_range(noise: str | UserNoiseFunction, noise_level: Any) -> tuple[float, float]:
    """Return the lowest and the highest level; zeros for a callable."""
    if callable(noise):
        if noise_level != "auto":
            raise ValueError(
                'noise_level must be "auto" for a callable noise, which sets its own level; got '
                f"{noise_level!r}"
            )
        return 0.0, 0.0
    if isinstance(noise_level, str):
        return _AUTO_STANDARD_DEVIATIONS if noise == "gaussian" else _AUTO_SHARES
    given = (noise_level,) * 2 if np.isscalar(noise_level) else tuple(noise_level)
    # As Python's: NumPy compares numbers in the type of its own, which overflows.
    levels = [level.item() if isinstance(level, np.generic) else level for level in given]
    are_numbers = len(levels) == 2 and all(isinstance(level, Real) for level in levels)
    largest = float(np.finfo(np.float64).max) if noise == "gaussian" else 1.0
    if not are_numbers or not 0 < levels[0] <= levels[1] <= largest:
        kind = "finite" if noise == "gaussian" else "shares of the cells of at most 1"
        raise ValueError(
            "noise_level must be one positive number or (low, high) with 0 < low <= high, "
            f"{kind}; got {noise_level!r}"
        )
    return float(levels[0]), float(levels[1])


def scale_noise_range(low: float, high: float, unit: float) -> tuple[float, float]:
    """Return a range of levels in the units of the network.

    Parameters
    ----------
    low, high : float
        The range.
    unit : float
        The network's unit.
    """
    least, largest = _LEAST_LEVEL * unit, _LARGEST_LEVEL * unit
    if not least <= low <= high <= largest:
        raise ValueError(
            f"noise_level must be from {least:g} to {largest:g}, where float32 holds its squares, "
            f"got {low:g} to {high:g}: choose levels that are comparable with the columns"
        )
    return low / unit, high / unit


def check_level(levels: NoiseLevels, noise_level: float | None, unit: float) -> float | None:
    """Return a user's level in the units of the network, None for the one that it has."""
    if noise_level is None:
        return None
    low, high = unit * float(levels.low), unit * float(levels.high)
    slack = 1 + 1e-6  # the network stores the range in float32
    if not levels.noise_conditional:
        if low / slack <= noise_level <= low * slack:
            return None
        known = f"None or {low:g}, the level that the network was trained for" if low else "None"
        raise ValueError(
            f"noise_level must be {known}, got {noise_level!r}: the network is not conditioned on "
            "the level; fit with noise_level=(low, high) to choose it"
        )
    if not low / slack <= noise_level <= high * slack:
        raise ValueError(
            f"noise_level must be in the range that the network was trained on, {low:g} to "
            f"{high:g}; got {noise_level!r}"
        )
    return noise_level / unit

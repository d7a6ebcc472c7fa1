"""Maps of each axis that make room for crowded codes."""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

KINDS = ("as_is", "squash", "rank")

# Ranks are turned into codes smoothly, through so many quantiles.
_N_QUANTILES = 25

# The quartiles of a normal distribution are so many standard deviations apart.
_QUARTILES_APART = 1.349


@dataclass(frozen=True)
class Spread:
    """An increasing map of each axis.

    "squash" is the inverse hyperbolic sine around the median: linear among most codes, and
    logarithmic far out. "rank" is the share of codes that are lower.
    """

    kind: str
    center: np.ndarray
    width: np.ndarray
    known: tuple[tuple[np.ndarray, np.ndarray], ...]

    @classmethod
    def from_codes(cls, kind: str, codes: np.ndarray) -> "Spread":
        """Return the map that suits codes."""
        if kind not in KINDS:
            raise ValueError(f"spread must be one of {KINDS}, got {kind!r}")
        low, center, high = np.percentile(codes, [25, 50, 75], axis=0)
        width = (high - low) / _QUARTILES_APART
        width = np.where(width > 0, width, codes.std(axis=0))
        width = np.where(width > 0, width, 1.0)
        return cls(kind, center, width, tuple(_rank(axis) for axis in codes.T))

    @property
    def suffix(self) -> str:
        """What to add to the names of the axes."""
        return {"as_is": "", "squash": " (squashed)", "rank": " (share of rows below)"}[self.kind]

    def forward(self, codes: np.ndarray) -> np.ndarray:
        """Return where codes are drawn."""
        if self.kind == "as_is":
            return codes
        if self.kind == "squash":
            return np.arcsinh((codes - self.center) / self.width)
        axes = zip(np.moveaxis(codes, -1, 0), self.known, strict=True)
        return np.stack([np.interp(axis, *known) for axis, known in axes], axis=-1)

    def inverse(self, places: np.ndarray) -> np.ndarray:
        """Return the codes that are drawn at places."""
        if self.kind == "as_is":
            return places
        if self.kind == "squash":
            return self.center + self.width * np.sinh(places)
        axes = zip(np.moveaxis(places, -1, 0), self.known, strict=True)
        return np.stack([_interpolate_codes(axis, *known) for axis, known in axes], axis=-1)


def _rank(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct codes of an axis, and the share of rows below each; ties share one."""
    values, counts = np.unique(codes, return_counts=True)
    return values, (np.cumsum(counts) - counts / 2) / len(codes)


def _interpolate_codes(places: np.ndarray, codes: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    if len(codes) < 2:
        return np.full(places.shape, codes[0])
    knots = np.linspace(ranks[0], ranks[-1], min(_N_QUANTILES, len(codes)))
    smooth = PchipInterpolator(knots, np.interp(knots, ranks, codes))
    return smooth(np.clip(places, ranks[0], ranks[-1]))

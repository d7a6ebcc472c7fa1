"""Tables of two columns: their true density, and sums of a density over a grid."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp

# Steps of the quadrature along a curve: far shorter than the noise is wide.
_N_STEPS = 2000

# Ticks of a grid in each direction.
_N_TICKS = 400


@dataclass(frozen=True)
class Plane:
    """Points on curves or at centres, with normal noise.

    Attributes
    ----------
    centres : ndarray of shape (n_centres, 2)
        Where the noise is added, each as likely as any other.
    noise : float
        Its standard deviation.
    """

    centres: np.ndarray
    noise: float

    def draw(self, n_rows: int, generator: np.random.Generator) -> np.ndarray:
        """Return random rows."""
        chosen = self.centres[generator.integers(len(self.centres), size=n_rows)]
        return chosen + self.noise * generator.normal(size=chosen.shape)

    def log_density(self, X: np.ndarray) -> np.ndarray:
        """Return the true log-density of rows."""
        variance = self.noise**2
        values = np.empty(len(X))
        for first in range(0, len(X), 1000):
            part = X[first : first + 1000]
            squares = np.square(part[:, None] - self.centres).sum(axis=2)
            values[first : first + 1000] = logsumexp(-0.5 * squares / variance, axis=1)
        return values - np.log(2 * np.pi * variance * len(self.centres))


def make_moons(noise: float) -> Plane:
    """Return the two half circles of scikit-learn."""
    angle = np.pi * (np.arange(_N_STEPS) + 0.5) / _N_STEPS
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    return Plane(np.vstack([upper, [1, 0.5] - upper]), noise)


def make_ring() -> Plane:
    """Return eight clusters on a circle."""
    angle = 2 * np.pi * np.arange(8) / 8
    return Plane(2 * np.column_stack([np.cos(angle), np.sin(angle)]), 0.2)


#: The tables whose density is known.
PLANES: dict[str, Plane] = {
    "moons, noise 0.05": make_moons(0.05),
    "moons, noise 0.1": make_moons(0.1),
    "ring of eight": make_ring(),
}

_T = 2 * (np.arange(_N_STEPS) + 0.5) / _N_STEPS - 1
_CURVES = {
    "bow": np.column_stack([_T, _T**2]),
    "wave": np.column_stack([_T, np.sin(3 * _T)]),
    "arc": np.column_stack([np.cos(2 * _T), np.sin(2 * _T)]),
}

#: Curves with noise, on which sums over grids are measured.
CURVES: dict[str, Plane] = {
    f"{name}, noise {noise:g}": Plane(points, noise)
    for name, points in _CURVES.items()
    for noise in (0.05, 0.1, 0.2)
}


def sum_over_grid(
    score_samples: Callable[[np.ndarray], Any], X: np.ndarray, n_ticks: int = _N_TICKS
) -> float:
    """Return the integral of a density, over three times the box that rows span."""
    low, high = X.min(axis=0), X.max(axis=0)
    size = high - low
    ticks = [np.linspace(a, b, n_ticks) for a, b in zip(low - size, high + size, strict=True)]
    points = np.stack(np.meshgrid(*ticks), axis=-1).reshape(-1, 2)
    cell = np.prod([line[1] - line[0] for line in ticks])
    return float(np.exp(score_samples(points)).sum() * cell)

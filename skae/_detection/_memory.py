"""Rows that are remembered, and how far others are from them."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .._environment import limited_threads

# Neighbours among the usual rows: one is chance, and a few anomalies that lie together are
# neighbours of each other.
_NEIGHBOURS = 5

# Distances computed at a time, which stay in the processor's cache.
_BLOCK_CELLS = 2**19

# A row as near as this, relative to its length, is a copy.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Memory:
    """Scaled rows, the usual ones among them first.

    Attributes
    ----------
    rows : ndarray of shape (n_rows, n_features)
        The rows, in float64.
    n_usual : int
        How many of them are usual, one at least.
    """

    rows: np.ndarray
    n_usual: int

    @classmethod
    def of(cls, rows: np.ndarray, is_usual: np.ndarray) -> "Memory":
        """Remember rows, with those marked as usual first."""
        return cls(np.vstack([rows[is_usual], rows[~is_usual]]), int(is_usual.sum()))

    def distances(self, rows: np.ndarray) -> np.ndarray:
        """Return the distances (n_rows, 2) to the nearest row, and to the fifth usual one.

        One copy of a row does not count: of a row that is remembered, it is the row itself,
        whose distance would say nothing. With no other row to be far from, it is 0.
        """
        known = torch.from_numpy(self.rows)
        length = max(1, _BLOCK_CELLS // len(known))
        with limited_threads(1), torch.no_grad():
            parts = [self._distances(part, known) for part in torch.from_numpy(rows).split(length)]
        return torch.cat(parts).numpy()

    def _distances(self, rows: Tensor, known: Tensor) -> Tensor:
        apart = torch.cdist(rows, known, compute_mode="use_mm_for_euclid_dist")
        least, place = apart.min(dim=1)
        is_copy = least <= _copy_within(rows)
        apart[is_copy, place[is_copy]] = torch.inf
        nearest = torch.where(is_copy, apart.amin(dim=1), least)
        usual = apart[:, : self.n_usual]
        n_neighbours = min(_NEIGHBOURS, max(1, self.n_usual - 1))
        fifth = usual.topk(n_neighbours, dim=1, largest=False, sorted=False).values.amax(dim=1)
        both = torch.stack([nearest, fifth], dim=1)
        return torch.where(both.isinf(), 0.0, both)


def _copy_within(rows: Tensor) -> Tensor:
    """Return the distance up to which each row takes another for a copy of itself."""
    return _ROUNDING * (rows.square().sum(dim=1) + rows.shape[1]).sqrt()

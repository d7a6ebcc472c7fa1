"""Distances to the nearest training row, and to the fifth nearest usual one.

`sklearn.neighbors.NearestNeighbors` needs two searches, among all rows and among the usual ones. It
takes 0.8 to 1.0 of the time for 10,000 rows, and two to five times as long for a single one.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .._data import block_length
from .._environment import limit_threads

# Neighbours among the usual rows: one would be chance, and a few anomalies that lie together are
# neighbours of each other.
_N_NEIGHBOURS = 5

# Distances computed at a time, which stay in the processor's cache.
_BLOCK_CELLS = 2**19

# A row as near as this, relative to its length, is a copy.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class NeighbourDistances:
    """Reference rows, scaled, the usual ones first.

    Attributes
    ----------
    rows : ndarray of shape (n_rows, n_features)
        The rows, in float64.
    n_usual : int
        How many of them are usual, one at least.
    rounding : float
        How far copies may lie from each other.
    variance : ndarray of shape (n_rows, n_features) or None, default=None
        How uncertain the rows' cells are; None is not at all.
    """

    rows: np.ndarray
    n_usual: int
    rounding: float
    variance: np.ndarray | None = None

    @classmethod
    def from_rows(
        cls,
        rows: np.ndarray,
        is_usual: np.ndarray,
        rounding: float = 0.0,
        variance: np.ndarray | None = None,
    ) -> "NeighbourDistances":
        """Return reference rows, those marked as usual first."""

        def order(values: np.ndarray) -> np.ndarray:
            return np.vstack([values[is_usual], values[~is_usual]])

        spread = None if variance is None else order(variance)
        return cls(order(rows), int(is_usual.sum()), rounding, spread)

    def measure(self, rows: np.ndarray, observed: np.ndarray | None = None) -> np.ndarray:
        """Return the distances (n_rows, 2) to the nearest row, and to the fifth usual one.

        The distance of copies is 0. One copy of a row does not count: for a reference row it is
        the row itself, whose distance would say nothing. Without another row the distance is 0.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
            The rows, scaled, in float64.
        observed : ndarray of bool of shape (n_rows, n_features) or None, default=None
            Their cells that count; None counts all. Of a reference row's cells that are uncertain
            the square of the distance is the expected one.
        """
        known = torch.from_numpy(self.rows)
        if observed is None and self.variance is not None:
            observed = np.ones(rows.shape, dtype=bool)
        length = block_length(len(known), _BLOCK_CELLS, most_rows=_BLOCK_CELLS)
        with limit_threads(1), torch.no_grad():
            if observed is None:
                split = torch.from_numpy(rows).split(length)
                parts = [self._find_nearest(part, _measure_all(part, known)) for part in split]
            else:
                size = known.square()
                if self.variance is not None:
                    size += torch.from_numpy(self.variance)
                cells = torch.from_numpy(np.where(observed, rows, 0.0)).split(length)
                masks = torch.from_numpy(observed.astype(np.float64)).split(length)
                parts = [
                    self._find_nearest(part, _measure_some(part, mask, known, size))
                    for part, mask in zip(cells, masks, strict=True)
                ]
        return torch.cat(parts).numpy()

    def _find_nearest(self, rows: Tensor, distances: Tensor) -> Tensor:
        distances[distances <= self._copy_radius(rows)[:, None]] = 0.0
        least, indices = distances.min(dim=1)
        is_copy = least == 0
        distances[is_copy, indices[is_copy]] = torch.inf
        nearest = torch.where(is_copy, distances.amin(dim=1), least)
        usual = distances[:, : self.n_usual]
        n_neighbours = min(_N_NEIGHBOURS, max(1, self.n_usual - 1))
        fifth = usual.topk(n_neighbours, dim=1, largest=False, sorted=False).values.amax(dim=1)
        both = torch.stack([nearest, fifth], dim=1)
        return torch.where(both.isinf(), 0.0, both)

    def _copy_radius(self, rows: Tensor) -> Tensor:
        """Return the distance up to which another row counts as a copy of each row."""
        return self.rounding + _ROUNDING * (rows.square().sum(dim=1) + rows.shape[1]).sqrt()


def _measure_all(rows: Tensor, known: Tensor) -> Tensor:
    return torch.cdist(rows, known, compute_mode="use_mm_for_euclid_dist")


def _measure_some(rows: Tensor, mask: Tensor, known: Tensor, size: Tensor) -> Tensor:
    """Return distances over the cells of a mask, of rows that are 0 elsewhere."""
    squares = mask @ size.T - 2 * rows @ known.T + rows.square().sum(dim=1, keepdim=True)
    return squares.clamp_min(0).sqrt()

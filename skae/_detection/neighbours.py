"""Distances to the nearest training row, and to the fifth nearest usual one.

`sklearn.neighbors.NearestNeighbors` needs two searches, among all rows and among the usual ones. It
takes 0.8 to 1.0 of the time for 10,000 rows, and two to five times as long for a single one.
"""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._data import block_length
from .._environment import isolate_torch, limit_threads

#: Neighbours among the usual rows: one would be chance, and a few anomalies that lie together are
# neighbours of each other.
N_NEIGHBOURS = 5

# Distances computed at a time, which stay in the processor's cache.
_BLOCK_CELLS = 2**18

# Groups of the usual reference rows, and of the others: rows that are not in the groups of the
# smallest minima are not looked at one by one. Whole vectors of the processor find the minima.
_N_GROUPS = (64, 32)

#: A row as near as this, relative to its length, is a copy.
COPY_ROUNDING = 1e-6


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
        return self.find(rows, observed)[0]

    def find(
        self, rows: np.ndarray, observed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the distances (n_rows, 2), see `measure`, and which rows (n_rows,) are copies."""
        if observed is None and self.variance is not None:
            observed = np.ones(rows.shape, dtype=bool)
        length = block_length(len(self.rows), _BLOCK_CELLS, most_rows=_BLOCK_CELLS)
        with isolate_torch(), limit_threads(1), torch.no_grad():
            if observed is None:
                whole = torch.from_numpy(rows)
                near = self._groups.measure_nearest(whole, length)
                found = self._find_nearest(whole, near, self._groups.n_near)
            else:
                known = torch.from_numpy(self.rows)
                size = known.square()
                if self.variance is not None:
                    size += torch.from_numpy(self.variance)
                cells = torch.from_numpy(np.where(observed, rows, 0.0)).split(length)
                masks = torch.from_numpy(observed.astype(np.float64)).split(length)
                parts = [
                    self._find_nearest(part, _measure_some(part, mask, known, size), self.n_usual)
                    for part, mask in zip(cells, masks, strict=True)
                ]
                found = torch.cat(parts)
        return found[:, :2].numpy(), found[:, 2].numpy() == 1

    @cached_property
    def _groups(self) -> "_Groups":
        return _Groups.from_rows(self.rows, self.n_usual)

    def __getstate__(self) -> dict[str, Any]:
        # Without the groups, which are made again.
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def _find_nearest(self, rows: Tensor, distances: Tensor, n_usual: int) -> Tensor:
        """Return both distances, and 1 for copies.

        The first so many of the given distances are to usual rows.
        """
        distances.masked_fill_(distances <= self._copy_radius(rows)[:, None], 0.0)
        least, indices = distances.min(dim=1)
        is_copy = least == 0
        distances[is_copy, indices[is_copy]] = torch.inf
        nearest = torch.where(is_copy, distances.amin(dim=1), least)
        usual = distances[:, :n_usual]
        n_neighbours = min(N_NEIGHBOURS, max(1, self.n_usual - 1))
        fifth = usual.topk(n_neighbours, dim=1, largest=False, sorted=False).values.amax(dim=1)
        found = torch.stack([nearest, fifth, is_copy.to(nearest.dtype)], dim=1)
        return torch.where(found.isinf(), 0.0, found)

    def _copy_radius(self, rows: Tensor) -> Tensor:
        """Return the distance up to which another row counts as a copy of each row."""
        return self.rounding + COPY_ROUNDING * (rows.square().sum(dim=1) + rows.shape[1]).sqrt()


@dataclass(frozen=True)
class _Groups:
    """Reference rows in groups, those of usual ones first, laid out for one product.

    Attributes
    ----------
    factor : Tensor of shape (n_features + 2, n_places)
        The rows, and what makes its product with `[-2 x, |x|^2, 1]` squared distances: those to
        rows that fill the last places of each kind are infinite. Neighbouring places are of
        different groups, so that minima are those of whole vectors.
    n_usual : int
        How many places are of usual rows.
    """

    factor: Tensor
    n_usual: int

    @classmethod
    def from_rows(cls, rows: np.ndarray, n_usual: int) -> "_Groups":
        """Return the groups of rows of which the first so many are usual."""
        parts = (rows[:n_usual], rows[n_usual:])
        kinds = [_fill_groups(*pair) for pair in zip(parts, _N_GROUPS, strict=True)]
        return cls(torch.cat(kinds).T.contiguous(), len(kinds[0]))

    @property
    def n_near(self) -> int:
        """How many distances `measure_nearest` returns to usual rows."""
        return min(N_NEIGHBOURS + 1, self.n_usual)

    def measure_nearest(self, rows: Tensor, length: int) -> Tensor:
        """Return distances to the six nearest usual rows, and to the two nearest other ones.

        So many rows are compared at a time, in memory that all use in turn.
        """
        squares = rows.square().sum(dim=1, keepdim=True)
        augmented = torch.cat([-2 * rows, squares, torch.ones_like(squares)], dim=1)
        whole = self.factor.new_empty(min(length, len(rows)), self.factor.shape[1])
        parts = []
        for part in augmented.split(length):
            distances = torch.mm(part, self.factor, out=whole[: len(part)])
            kinds = (distances[:, : self.n_usual], distances[:, self.n_usual :])
            most = (N_NEIGHBOURS + 1, 2)
            each = [_find_least(*trio) for trio in zip(kinds, most, _N_GROUPS, strict=True)]
            parts.append(torch.cat(each, dim=1))
        return torch.cat(parts).clamp_min_(0).sqrt_()


def _find_least(values: Tensor, most: int, n_groups: int) -> Tensor:
    """Return the smallest numbers of each row, up to so many.

    They are in as many groups, those with the smallest minima.
    """
    if not values.shape[1]:
        return values
    groups = values.unflatten(1, (-1, n_groups))
    # NumPy's partitions take a fraction of the time of `topk`.
    chosen = np.argpartition(groups.amin(dim=1).numpy(), most - 1, axis=1)[:, :most]
    index = torch.from_numpy(chosen).unsqueeze(1).expand(-1, groups.shape[1], -1)
    near = groups.gather(2, index).flatten(1).numpy()
    near.partition(most - 1, axis=1)
    return torch.from_numpy(near[:, :most])


def _fill_groups(rows: np.ndarray, n_groups: int) -> Tensor:
    """Return rows, their squared lengths and their factors of those of others, in whole groups."""
    n_rows = -(-len(rows) // n_groups) * n_groups
    filled = torch.zeros(n_rows, rows.shape[1] + 2, dtype=torch.float64)
    filled[:, -1] = torch.inf
    own = torch.from_numpy(rows)
    filled[: len(rows), :-2] = own
    filled[:, -2] = 1.0
    filled[: len(rows), -1] = own.square().sum(dim=1)
    return filled


def _measure_some(rows: Tensor, mask: Tensor, known: Tensor, size: Tensor) -> Tensor:
    """Return distances over the cells of a mask, of rows that are 0 elsewhere."""
    squares = mask @ size.T - 2 * rows @ known.T + rows.square().sum(dim=1, keepdim=True)
    return squares.clamp_min(0).sqrt()

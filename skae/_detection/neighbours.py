"""Distances to the nearest training row, and to the fifth nearest usual one.

`sklearn.neighbors.NearestNeighbors` needs two searches, among all rows and among the usual ones. It
takes 0.8 to 1.0 of the time for 10,000 rows, and two to five times as long for a single one.
"""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple

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

# Groups of the usual reference rows: rows that are not in the groups of the smallest minima are not
# looked at one by one. Whole vectors of the processor find the minima, also of others.
_N_GROUPS, _GROUPS_OF_A_VECTOR = 128, 8

# Distances that are looked at: one more of each kind than count, of which one may be to a copy.
_N_NEAR = (N_NEIGHBOURS + 1, 2)

# Products of so many rows, or of a multiple, are computed alike: a row's distances do not depend on
# the other rows.
_ROWS_OF_A_PRODUCT = 4

# Of fewer rows than this, distances are looked at one by one.
_FEW_ROWS = 8

# The square of the distance to what fills a group: finite, so that it has a mantissa.
_FARTHEST = 1e300

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
        with isolate_torch(), limit_threads(1), torch.no_grad():
            if observed is None:
                near = self._groups.measure_nearest(rows)
            else:
                rows = np.where(observed, rows, 0.0)
                near = self._measure_observed(rows, observed)
        return self._choose(near, self._find_copy_radius(rows))

    def _measure_observed(self, rows: np.ndarray, observed: np.ndarray) -> "_Near":
        """Return the nearest distances over observed cells, of rows that are 0 elsewhere."""
        known = torch.from_numpy(self.rows)
        size = known.square()
        if self.variance is not None:
            size += torch.from_numpy(self.variance)
        length = block_length(len(self.rows), _BLOCK_CELLS, most_rows=_BLOCK_CELLS)
        cells = torch.from_numpy(rows).split(length)
        masks = torch.from_numpy(observed.astype(np.float64)).split(length)
        return _Near.join(
            [
                _Near.from_distances(_measure_some(part, mask, known, size).numpy(), self.n_usual)
                for part, mask in zip(cells, masks, strict=True)
            ]
        )

    @cached_property
    def _groups(self) -> "_Groups":
        return _Groups.from_rows(self.rows, self.n_usual)

    def __getstate__(self) -> dict[str, Any]:
        # Without the groups, which are made again.
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def _choose(self, near: "_Near", radius: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return both distances of rows, and which are copies: nearer than that radius."""
        usual, others = near
        count = min(N_NEIGHBOURS, max(1, self.n_usual - 1))
        is_usual_copy = usual[:, 0] <= radius
        is_other_copy = ~is_usual_copy & (others[:, 0] <= radius)
        nearest = np.minimum(
            np.where(is_usual_copy, usual[:, 1], usual[:, 0]),
            np.where(is_other_copy, others[:, 1], others[:, 0]),
        )
        fifth = np.where(is_usual_copy, usual[:, count], usual[:, count - 1])
        found = np.stack([nearest, fifth], axis=1)
        found[(found <= radius[:, None]) | np.isinf(found)] = 0.0
        return found, is_usual_copy | is_other_copy

    def _find_copy_radius(self, rows: np.ndarray) -> np.ndarray:
        """Return the distance up to which another row counts as a copy of each row."""
        squares = np.einsum("ij,ij->i", rows, rows)
        return self.rounding + COPY_ROUNDING * np.sqrt(squares + rows.shape[1])


class _Near(NamedTuple):
    """The smallest distances of rows, in increasing order; infinite where there are no more rows.

    Attributes
    ----------
    usual : ndarray of shape (n_rows, 6)
        Those to usual reference rows.
    others : ndarray of shape (n_rows, 2)
        Those to others.
    """

    usual: np.ndarray
    others: np.ndarray

    @classmethod
    def from_distances(cls, distances: np.ndarray, n_usual: int) -> "_Near":
        """Return the smallest of all distances, of which the first so many are to usual rows."""
        kinds = (distances[:, :n_usual], distances[:, n_usual:])
        return cls(*(_sort_least(*pair) for pair in zip(kinds, _N_NEAR, strict=True)))

    @classmethod
    def join(cls, parts: "list[_Near]") -> "_Near":
        """Return those of the rows of all parts."""
        return cls(*(np.concatenate(own) for own in zip(*parts, strict=True)))


@dataclass(frozen=True)
class _Groups:
    """Reference rows in groups of one size, those of usual ones first, laid out for one product.

    Attributes
    ----------
    factor : Tensor of shape (n_features + 1, n_members * n_groups)
        The rows, and what makes its product with `[x, 1]` squared distances less `|x|^2`: those to
        what fills groups are very large. Neighbouring places are of different groups, so that
        minima are those of whole vectors.
    n_groups : int
        How many groups there are.
    """

    factor: Tensor
    n_groups: int

    @classmethod
    def from_rows(cls, rows: np.ndarray, n_usual: int) -> "_Groups":
        """Return the groups of rows of which the first so many are usual."""
        n_members = -(-n_usual // _N_GROUPS)
        n_others = max(1, -(-(len(rows) - n_usual) // n_members))
        n_others += -n_others % _GROUPS_OF_A_VECTOR
        usual = _fill_groups(rows[:n_usual], _N_GROUPS, n_members)
        others = _fill_groups(rows[n_usual:], n_others, n_members)
        filled = torch.cat([usual, others], dim=1)
        return cls(filled.flatten(0, 1).T.contiguous(), _N_GROUPS + n_others)

    def measure_nearest(self, rows: np.ndarray) -> _Near:
        """Return the nearest distances of rows, in memory that all use in turn."""
        n_rows, n_features = rows.shape
        augmented = np.ones((n_rows + -n_rows % _ROWS_OF_A_PRODUCT, n_features + 1))
        augmented[:n_rows, :-1] = rows
        n_places = self.factor.shape[1]
        length = block_length(n_places, _BLOCK_CELLS, most_rows=len(augmented))
        length = max(_ROWS_OF_A_PRODUCT, length - length % _ROWS_OF_A_PRODUCT)
        whole = self.factor.new_empty(min(length, len(augmented)), n_places)
        parts = []
        for part in torch.from_numpy(augmented).split(length):
            distances = torch.mm(part, self.factor, out=whole[: len(part)])
            parts.append(self._find_least(distances.unflatten(1, (-1, self.n_groups))))
        squares = np.einsum("ij,ij->i", rows, rows)[:, None]
        usual, others = (kind[:n_rows] + squares for kind in _Near.join(parts))
        return _Near(_find_root(usual), _find_root(others))

    def _find_least(self, values: Tensor) -> _Near:
        """Return the smallest numbers of rows (n_rows, n_members, n_groups)."""
        if len(values) < _FEW_ROWS:
            near = values.numpy()
            kinds = (near[:, :, :_N_GROUPS], near[:, :, _N_GROUPS:])
        else:
            # They are in as many groups, those with the smallest minima.
            chosen = torch.from_numpy(_choose_groups(values.amin(dim=1).numpy()))
            index = chosen.unsqueeze(1).expand(-1, values.shape[1], -1)
            near = values.gather(2, index).numpy()
            kinds = (near[:, :, : _N_NEAR[0]], near[:, :, _N_NEAR[0] :])
        flat = [kind.reshape(len(values), -1) for kind in kinds]
        return _Near(*(_sort_least(*pair) for pair in zip(flat, _N_NEAR, strict=True)))


def _choose_groups(minima: np.ndarray) -> np.ndarray:
    """Return the indices of the groups of each kind with the smallest minima, which change a bit.

    Their last bits become a group's index: NumPy's partitions of numbers take a third of the time
    of those of indices.
    """
    n_groups = minima.shape[1]
    marks = np.int64((1 << n_groups.bit_length()) - 1)
    bits = minima.view(np.int64)
    bits &= ~marks
    bits |= np.arange(n_groups)
    kinds = (minima[:, :_N_GROUPS], minima[:, _N_GROUPS:])
    least = [_take_least(*pair) for pair in zip(kinds, _N_NEAR, strict=True)]
    return np.concatenate(least, axis=1).view(np.int64) & marks


def _take_least(values: np.ndarray, most: int) -> np.ndarray:
    """Return the smallest numbers of each row."""
    return np.partition(values, most - 1, axis=1)[:, :most]


def _sort_least(values: np.ndarray, most: int) -> np.ndarray:
    """Return the smallest numbers of each row in increasing order, infinite if there are fewer."""
    if values.shape[1] >= most:
        return np.sort(_take_least(values, most), axis=1)
    missing = np.full((len(values), most - values.shape[1]), np.inf)
    return np.concatenate([np.sort(values, axis=1), missing], axis=1)


def _find_root(squares: np.ndarray) -> np.ndarray:
    """Return the roots of squared distances; those to what fills groups are infinite."""
    squares[squares >= _FARTHEST / 2] = np.inf
    return np.sqrt(np.maximum(squares, 0.0, out=squares), out=squares)


def _fill_groups(rows: np.ndarray, n_groups: int, n_members: int) -> Tensor:
    """Return rows and their squared lengths (n_members, n_groups, n_features + 1), filled up."""
    filled = torch.zeros(n_members * n_groups, rows.shape[1] + 1, dtype=torch.float64)
    filled[:, -1] = _FARTHEST
    own = torch.from_numpy(rows)
    filled[: len(rows), :-1] = -2 * own
    filled[: len(rows), -1] = own.square().sum(dim=1)
    return filled.view(n_members, n_groups, -1)


def _measure_some(rows: Tensor, mask: Tensor, known: Tensor, size: Tensor) -> Tensor:
    """Return distances over the cells of a mask, of rows that are 0 elsewhere."""
    squares = mask @ size.T - 2 * rows @ known.T + rows.square().sum(dim=1, keepdim=True)
    return squares.clamp_min(0).sqrt()

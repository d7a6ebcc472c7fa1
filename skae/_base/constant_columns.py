"""Columns that are constant in training, of which a network learns nothing."""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np

from .._data import AnyTable, ColumnMoments, Scaling, row_blocks
from .._linear import SMALLEST_VARIANCE
from ..modules.cells import CellLayout

# Width of the distribution of unseen values, in scales of the column.
_BACKGROUND = 10.0


@dataclass(frozen=True)
class ConstantColumns:
    """The columns of numbers that are constant in training.

    Their values were no more than that to the network, whose weights for them are arbitrary. So a
    score takes the known values in their place, and adds what it costs that they are others.

    Attributes
    ----------
    indices : ndarray of shape (n_constant,)
        The columns.
    n_rows : int
        How many rows have shown their values.
    """

    indices: np.ndarray
    n_rows: int

    @classmethod
    def find(cls, moments: ColumnMoments, layout: CellLayout) -> Self | None:
        """Return the constant columns of rows with these moments, None if there are none.

        Parameters
        ----------
        moments : ColumnMoments
            Of the encoded table.
        layout : CellLayout
            What its columns hold.
        """
        is_known = True if moments.observed is None else moments.observed > 0
        indices = np.flatnonzero(~moments.varies & layout.is_number & is_known)
        return cls(indices, moments.n_rows) if len(indices) else None

    def keep(self, moments: ColumnMoments, scaling: Scaling) -> Self | None:
        """Return the columns that further rows with these moments leave constant."""
        observed = 1.0 if moments.observed is None else moments.observed
        shift = np.abs(moments.mean - scaling.mean)
        together = replace(moments, spread=np.where(observed > 0, moments.spread + shift, 0.0))
        indices = self.indices[~together.varies[self.indices]]
        return type(self)(indices, self.n_rows + moments.n_rows) if len(indices) else None

    def fill(self, rows: np.ndarray, scaling: Scaling) -> np.ndarray:
        """Return rows with the known values in the place of others; NaN is a missing cell."""
        own = rows[:, self.indices]
        known = np.broadcast_to(scaling.mean[self.indices], own.shape)
        if np.array_equal(own, known):
            return rows
        rows = rows.astype(np.result_type(rows, np.float64))
        rows[:, self.indices] = np.where(np.isnan(own), np.nan, known)
        return rows

    def measure(self, table: AnyTable, scaling: Scaling) -> np.ndarray:
        """Return by how much the log-density of each row differs from that with known values.

        Each column has a narrow normal distribution around its value, with the least variance
        that noise may have, and a Cauchy distribution, far wider, that counts as one more row.

        Parameters
        ----------
        table : ndarray or stored table of shape (n_rows, n_encoded)
            The rows; NaN is a missing cell.
        scaling : Scaling
            Their scaling.
        """
        out = np.empty(len(table))
        mean, scale = scaling.mean[self.indices], scaling.scale[self.indices]
        for block in row_blocks(table):
            rows = np.asarray(table[block][:, self.indices], dtype=np.float64)
            distance = np.nan_to_num(np.abs(rows - mean) / scale)
            out[block] = (self._log_density(distance) - self._log_density(np.zeros(1))).sum(axis=1)
        return out

    def _log_density(self, distance: np.ndarray) -> np.ndarray:
        """Return the log-density of values at distances from the known one, in scales."""
        log_rows = math.log(self.n_rows)
        narrow = np.square(distance) / SMALLEST_VARIANCE + math.log(2 * math.pi * SMALLEST_VARIANCE)
        wide = 2 * np.log(np.hypot(1, distance / _BACKGROUND)) + math.log(math.pi * _BACKGROUND)
        return np.logaddexp(log_rows - 0.5 * narrow, -wide) - math.log1p(self.n_rows)

    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays."""
        return asdict(self)

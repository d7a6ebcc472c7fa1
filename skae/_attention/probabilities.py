"""Scaled indicators as probabilities, and back."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ..modules.cells import CellLayout
from .hiding import list_cells


@dataclass(frozen=True)
class IndicatorScale:
    """The scaled values that stand for 0 and 1.

    Attributes
    ----------
    layout : CellLayout
        What the encoded columns hold.
    zero : ndarray of shape (n_encoded,)
        What stands for 0.
    unit : ndarray of shape (n_encoded,)
        How much more stands for 1; 0 in cells that hold the same in all rows, and in numbers.
    """

    layout: CellLayout
    zero: np.ndarray
    unit: np.ndarray

    @classmethod
    def from_rows(cls, rows: np.ndarray, layout: CellLayout) -> Self:
        """Return the scale of scaled rows, NaN where a cell is missing."""
        zero, unit = np.zeros(layout.n_encoded), np.zeros(layout.n_encoded)
        for own in _list_indicators(layout):
            known = rows[~np.isnan(rows[:, own.start]), own]
            if len(known):
                zero[own] = known.min(axis=0)
                # A level without rows shares the unit of the others.
                unit[own] = (known.max(axis=0) - zero[own]).max()
        return cls(layout, zero, unit)

    def normalize(self, rows: np.ndarray) -> np.ndarray:
        """Return complete rows whose indicators are probabilities, scaled."""
        out = rows.copy()
        for own, shares in self._measure_shares(rows):
            out[:, own] = self.zero[own] + self.unit[own] * shares
        return out

    def _measure_shares(self, rows: np.ndarray) -> list[tuple[slice, np.ndarray]]:
        shares = []
        for own in _list_indicators(self.layout):
            if self.unit[own.start] == 0:
                continue
            found = ((rows[:, own] - self.zero[own]) / self.unit[own]).clip(0.0, 1.0)
            if found.shape[1] > 1:
                total = found.sum(axis=1, keepdims=True)
                uniform = np.full_like(found, 1 / found.shape[1])
                found = np.divide(found, total, out=uniform, where=total > 0)
            shares.append((own, found))
        return shares


def _list_indicators(layout: CellLayout) -> list[slice]:
    """Return the encoded columns of each boolean and category."""
    return [own for own in list_cells(layout) if not layout.is_number[own.start]]

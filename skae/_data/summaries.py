"""What the cells of a column are, summed up: those of a whole column, or of its blocks."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .frames import Cells, Dtype


@dataclass(frozen=True)
class ColumnSummary:
    """What the coding of a column is made from.

    Attributes
    ----------
    kind : str
        As in `Cells`: "empty" if no cell is observed.
    dtype : tuple
        The column's type.
    n_known : float
        Number of observed cells, with those of copies of rows.
    totals : dict
        How often each label of categories and text counts; those that count are there only.
    unit : str
        The unit of times.
    origin : int
        The earliest time.
    common : int
        The greatest common divisor of all differences of times; 0 if they are the same.
    """

    kind: str
    dtype: Dtype
    n_known: float = 0
    totals: dict[Any, float] = field(default_factory=dict)
    unit: str = ""
    origin: int = 0
    common: int = 0

    @classmethod
    def from_cells(
        cls,
        cells: Cells,
        dtype: Dtype,
        weight: np.ndarray | None = None,
        are_copies: bool = False,
    ) -> "ColumnSummary":
        """Return the summary of cells whose rows count that often, maybe as so many copies."""
        known = ~cells.missing
        n_known = float(known.sum())
        if weight is not None and are_copies:
            n_known = float(weight[known].sum())
        if cells.kind == "empty":
            return cls("empty", dtype)
        if len(cells.labels):
            share = None if weight is None else weight[known]
            counts = np.bincount(cells.values[known], share, minlength=len(cells.labels))
            totals = {label: n for label, n in zip(cells.labels, counts.tolist(), strict=True) if n}
            return cls(cells.kind, dtype, n_known, totals)
        if cells.kind in ("number", "boolean"):
            return cls(cells.kind, dtype, n_known)
        times = cells.values[known]
        origin = int(times.min())
        # Without a sign they hold the difference of any two.
        differences = times.view(np.uint64) - np.array(origin).view(np.uint64)
        common = int(np.gcd.reduce(differences))
        return cls(cells.kind, dtype, n_known, {}, cells.unit, origin, common)

    def merge(self, other: "ColumnSummary") -> "ColumnSummary":
        """Return the summary of both blocks of a column."""
        if other.kind == "empty":
            return self
        if self.kind == "empty":
            return replace(other, dtype=self.dtype)
        totals = self.totals.copy()
        for label, total in other.totals.items():
            totals[label] = totals.get(label, 0) + total
        return replace(
            self,
            n_known=self.n_known + other.n_known,
            totals=totals,
            origin=min(self.origin, other.origin),
            common=math.gcd(self.common, other.common, self.origin - other.origin),
        )

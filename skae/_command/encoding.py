"""The rows of a table as both models see them: encoded, scaled and completed."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd

from .._autoencoder import AutoencoderTransformer
from .._base.estimator import fit_completion
from .._base.persistence import complete_rows
from .._data import ColumnMoments, Columns, Scaling, TrainingTable, merge_copies
from .._data.codings import BooleanCoding, CategoryCoding, EmptyCoding, TimeCoding
from .._data.columns import Column
from .._linear import Completion
from .printing import list_some, quote

# What the report calls columns, in its order.
_KINDS = (
    "numbers",
    "booleans",
    "categories",
    "dates",
    "times of day",
    "durations",
    "periods",
    "identifiers",
    "empty",
)
_TIMES = {"date": "dates", "zoned date": "dates", "time": "times of day", "duration": "durations"}
_HEADINGS = {
    "identifiers": "columns of identifiers, pooled",
    "empty": "columns without a value in the rows to train on",
}

# Warnings that the report says in its own words, and one of a threshold that it does not use.
_REPORTED = (
    "X has (no observed cell|a label for nearly every row|numbers or dates)|alpha=.* will not hold"
)


@dataclass(frozen=True)
class Encoding:
    """How rows become numbers: as in the autoencoder, and PCA is fitted to what comes out.

    Attributes
    ----------
    columns : Columns
        What the table's columns hold.
    moments : ColumnMoments
        Means and spreads of the encoded columns.
    scaling : Scaling
        Their scaling.
    completion : Completion or None
        What fills missing cells; None fills in means.
    """

    columns: Columns
    moments: ColumnMoments
    scaling: Scaling
    completion: Completion | None

    @classmethod
    def fit(cls, frame: pd.DataFrame) -> Self:
        """Return the encoding of training rows."""
        with ignore_reported():
            columns = Columns.from_table(
                frame, max_categories=AutoencoderTransformer().max_categories
            )
        rows = merge_copies(TrainingTable(columns.encode(frame).values))
        moments = ColumnMoments.from_table(rows.X, rows.weight)
        scaling = Scaling.from_moments(moments, standardize=True, layout=columns.layout)
        return cls(columns, moments, scaling, fit_completion(rows, scaling))

    @property
    def n_dimensions(self) -> int:
        """Number of dimensions of encoded rows: the indicators of a category add up to 1."""
        return self.columns.n_encoded - len(self.columns.layout.categories)

    @property
    def kinds(self) -> dict[str, str]:
        """What each column was taken for."""
        return {column.name: _name_kind(column) for column in self.columns.columns}

    def scale(self, frame: pd.DataFrame) -> np.ndarray:
        """Return encoded rows, scaled; NaN is a missing cell."""
        return self.scaling.forward(self.columns.encode(frame).values, np.float64)

    def encode_column(self, cells: pd.Series) -> np.ndarray:
        """Return a column, which its name tells, as numbers; NaN is a missing cell."""
        own = tuple(column for column in self.columns.columns if column.name == cells.name)
        return replace(self.columns, columns=own).encode(cells.to_frame()).values

    def complete(self, frame: pd.DataFrame) -> np.ndarray:
        """Return encoded rows, scaled, whose missing cells are filled."""
        return complete_rows(self.scale(frame), self.completion).values

    def sum_cells(self, squares: np.ndarray) -> np.ndarray:
        """Return the sum over the encoded columns of each column; NaN for missing cells."""
        sums = [squares[:, own].sum(axis=1) for _, own in self.columns.slices()]
        return np.column_stack(sums)

    def describe(self) -> list[str]:
        """Return what the columns were taken for, a line for each kind."""
        kinds, lines = self.kinds, []
        for kind in _KINDS:
            own = [column for column in self.columns.columns if kinds[column.name] == kind]
            if not own:
                continue
            parts = [quote(column.name) + _count_levels(column) for column in own]
            listed = f"all {len(own)}" if kind == "numbers" and len(own) == len(kinds) else None
            lines.append(
                f"{_HEADINGS.get(kind, f'columns of {kind}')}: {listed or list_some(parts)}"
            )
        return lines


@contextmanager
def ignore_reported() -> Iterator[None]:
    """Silence warnings of what the report says in its own words, or does not use."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", _REPORTED, UserWarning)
        yield


def _name_kind(column: Column) -> str:
    coding = column.coding
    if isinstance(coding, CategoryCoding):
        return "identifiers" if coding.decoded == (-1,) else "categories"
    if isinstance(coding, TimeCoding):
        return _TIMES.get(coding.kind, "periods")
    if isinstance(coding, BooleanCoding):
        return "booleans"
    return "empty" if isinstance(coding, EmptyCoding) else "numbers"


def _count_levels(column: Column) -> str:
    """Return how many levels a column of categories has, and how many of them are pooled."""
    coding = column.coding
    if not isinstance(coding, CategoryCoding):
        return ""
    n_levels = len(coding.levels)
    counted = f"{n_levels} level{'s' if n_levels > 1 else ''}"
    n_pooled = n_levels - coding.n_encoded + 1
    if n_pooled > 1 and coding.decoded != (-1,):
        counted += f", the {n_pooled} rarest pooled"
    return f" ({counted})"

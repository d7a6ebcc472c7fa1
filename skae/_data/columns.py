"""A table's columns: what they hold, the matrix of numbers that stands for it, and back.

What follows sees a matrix of *encoded* columns, in which missing cells are NaN.
"""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy import sparse

from .._environment import warn_user
from ..modules.cells import CellLayout
from .cells import Cell
from .codings import (
    KIND_WORDS,
    AnyCoding,
    BooleanCoding,
    CategoryCoding,
    EmptyCoding,
    NumberCoding,
    TimeCoding,
    load_coding,
    name_numbers,
)
from .frames import (
    Cells,
    Dtype,
    build_column,
    build_frame,
    find_library,
    open_columns,
    read_column,
    to_array,
)
from .sample_weights import scale_weight
from .summaries import ColumnSummary
from .written_values import are_written_values

# Text of more different values than this, and longer ones on average, is prose, not labels.
_MOST_TEXTS = 1000
_LONGEST_LABEL = 50

# A column of more labels than this, that has one for nearly every row, identifies the rows.
_FEW_LABELS = 20
_NEARLY_UNIQUE = 0.9

# No weights that are numbers of rows are larger.
_MOST_COPIES = 1e9


class EncodedTable(NamedTuple):
    """A table as a matrix of numbers.

    Attributes
    ----------
    values : ndarray of shape (n_rows, n_encoded)
        float64; NaN where the cell is missing.
    observed : ndarray of bool of shape (n_rows, n_encoded) or None
        Which are not missing; None if all are observed.
    """

    values: np.ndarray
    observed: np.ndarray | None


@dataclass(frozen=True)
class Column:
    """A column of the table that was fitted.

    Attributes
    ----------
    name : str or int
        Its name, or its index in an array.
    dtype : tuple
        Its type as plain values.
    coding : Coding
        The numbers that stand for its cells.
    """

    name: Any
    dtype: Dtype
    coding: AnyCoding


@dataclass(frozen=True)
class Columns:
    """All columns of the table that was fitted.

    Attributes
    ----------
    library : str
        Whose frame it was: "pandas", "polars", "pyarrow" or, for arrays and lists, "array".
    array_dtype : str
        The type of an array: "object", or that of floats, which integers come back as, or dates.
    columns : tuple of Column
        The columns in their order.
    """

    library: str
    array_dtype: str
    columns: tuple[Column, ...]

    @classmethod
    def from_table(
        cls,
        X: Any,
        categorical_features: Any = "from_dtype",
        max_categories: int | None = None,
        weight: np.ndarray | None = None,
    ) -> "Columns":
        """Return the columns of a table.

        Parameters
        ----------
        X : frame or array of shape (n_rows, n_columns)
            The table.
        categorical_features : "from_dtype", None, or array-like of bool, int or str
            The columns that hold categories: those whose types are categories or text; none; or
            those of a mask, of indices, or of names.
        max_categories : int or None, default=None
            Number of indicators of a category; the levels beyond it are pooled.
        weight : ndarray of shape (n_rows,) or None, default=None
            How often each row counts.

        Raises
        ------
        TypeError
            If a column holds what is neither a number, a boolean, a category nor a date.
        ValueError
            If a column holds prose or infinite numbers, or no cell is observed.
        """
        return cls.from_blocks([(slice(None), X)], categorical_features, max_categories, weight)

    @classmethod
    def from_blocks(
        cls,
        blocks: Iterable[tuple[slice, Any]],
        categorical_features: Any = "from_dtype",
        max_categories: int | None = None,
        weight: np.ndarray | None = None,
    ) -> "Columns":
        """Return the columns of a table that comes in blocks of rows.

        Parameters
        ----------
        blocks : iterable of (slice, frame)
            The rows of each block, and the block; at least one.
        categorical_features, max_categories, weight
            As in `from_table`.
        """
        known: list[ColumnSummary] = []
        is_counted = None if weight is None else scale_weight(weight) > 0
        are_copies = weight is not None and _are_copies(weight)
        for rows, X in blocks:
            names, natives = open_columns(X)
            library, array_dtype = find_library(X), _find_array_dtype(X)
            chosen = _choose_categories(names, library, categorical_features)
            found = []
            for index, (name, native) in enumerate(zip(names, natives, strict=True)):
                cells, dtype = read_column(native, name)
                _check_finite(cells, name, rows.start or 0)
                if chosen is not None and index in chosen:
                    cells = name_numbers(cells)
                if weight is None or is_counted is None:
                    found.append(ColumnSummary.from_cells(cells, dtype))
                    continue
                counted = is_counted[rows]
                cells, share = cells.take(counted), weight[rows][counted]
                found.append(ColumnSummary.from_cells(cells, dtype, share, are_copies))
            known = [a.merge(b) for a, b in zip(known, found, strict=True)] if known else found
        columns, identifiers, empty, written = [], [], [], []
        for index, (name, summary) in enumerate(zip(names, known, strict=True)):
            if summary.kind == "empty":
                empty.append(name)
                coding: AnyCoding = EmptyCoding()
            elif _is_category(summary, name, chosen, index):
                coding = CategoryCoding.from_totals(summary.totals, max_categories)
                if _is_identifier(coding, summary.n_known):
                    identifiers.append(name)
                    coding = coding.pool_all()
                elif chosen is None and summary.kind == "text" and _pools_values(coding):
                    written.append(name)
            elif summary.kind in ("number", "boolean"):
                coding = BooleanCoding() if summary.kind == "boolean" else NumberCoding()
            else:
                coding = TimeCoding.from_summary(summary)
            columns.append(Column(name, summary.dtype, coding))
        if len(empty) == len(names):
            raise ValueError(
                "X must have an observed cell, got missing ones only: pass rows with values"
            )
        if empty:
            warn_user(
                f"X has no observed cell in {_list(empty)}: nothing is learnt there, and cells "
                "come back as missing",
                UserWarning,
            )
        if identifiers:
            warn_user(
                f"X has a label for nearly every row in {_list(identifiers)}: such labels are "
                "pooled as infrequent, so that they tell whether a cell is missing and no more: "
                "they decode to missing cells, and missing ones are not imputed. Drop "
                "identifiers, turn numbers or dates that are written as text into such, with "
                "pandas.to_numeric or pandas.to_datetime, or encode text with skrub.TextEncoder",
                UserWarning,
            )
        if written:
            warn_user(
                f"X has numbers or dates as text in {_list(written)}: each is taken for a label, "
                f"and infrequent ones are pooled so that max_categories={max_categories} are left. "
                "Turn the text into numbers or dates, with pandas.to_numeric, pandas.to_datetime, "
                "or thousands= and parse_dates= of pandas.read_csv; or into categories, with "
                "astype('category'), if it names something",
                UserWarning,
            )
        return cls(library, array_dtype, tuple(columns))

    @classmethod
    def from_names(cls, X: Any) -> "Columns":
        """Return columns of numbers, whatever a table holds."""
        names, natives = open_columns(X)
        known = zip(names, natives, strict=True)
        columns = [Column(name, read_column(own, name)[1], NumberCoding()) for name, own in known]
        return cls(find_library(X), "object", tuple(columns))

    @cached_property
    def owner(self) -> np.ndarray:
        """Index of the column that each encoded column is of."""
        counts = [column.coding.n_encoded for column in self.columns]
        return np.repeat(np.arange(len(self.columns)), counts)

    @property
    def n_encoded(self) -> int:
        """Number of encoded columns."""
        return len(self.owner)

    @property
    def names(self) -> list[Any]:
        """Names of the columns."""
        return [column.name for column in self.columns]

    @property
    def has_zero(self) -> np.ndarray:
        """Which encoded columns have a zero that means something: times are counted from any."""
        is_time = [isinstance(column.coding, TimeCoding) for column in self.columns]
        return ~np.array(is_time)[self.owner]

    @cached_property
    def layout(self) -> CellLayout:
        """What the encoded columns hold."""
        numbers, booleans, categories = [], [], []
        for column, own in self.slices():
            if isinstance(column.coding, BooleanCoding):
                booleans.append(own.start)
            elif isinstance(column.coding, CategoryCoding):
                categories.append((own.start, own.stop))
            elif column.coding.n_encoded:
                numbers.append(own.start)
        return CellLayout(tuple(numbers), tuple(booleans), tuple(categories))

    def slices(self) -> Iterator[tuple[Column, slice]]:
        """Yield each column with the slice of its encoded columns."""
        first = 0
        for column in self.columns:
            yield column, slice(first, first + column.coding.n_encoded)
            first += column.coding.n_encoded

    def encode(self, X: Any, unseen: float = np.nan, first: int = 0) -> EncodedTable:
        """Return a table as numbers; a frame's columns may be in any order.

        Parameters
        ----------
        X : frame or array of shape (n_rows, n_columns)
            The table.
        unseen : float, default=NaN
            The indicators of a label that was not there in fitting, where none was infrequent.
        first : int, default=0
            What messages call its first row.

        Raises
        ------
        TypeError
            If a column holds other things than in fitting, with its name.
        ValueError
            If columns are missing or new, or numbers are infinite.
        """
        natives = self.match(X)
        n_rows = len(X) if hasattr(X, "__len__") else X.shape[0]
        values = np.empty((n_rows, self.n_encoded))
        for (column, own), native in zip(self.slices(), natives, strict=True):
            cells, _ = read_column(native, column.name)
            _check_finite(cells, column.name, first)
            if isinstance(column.coding, CategoryCoding):
                values[:, own] = column.coding.encode(cells, column.name, unseen)
            else:
                values[:, own] = column.coding.encode(cells, column.name)
        observed = ~np.isnan(values)
        return EncodedTable(values, None if observed.all() else observed)

    def match(self, X: Any) -> list[Any]:
        """Return a table's columns in the order of fitting."""
        names, natives = open_columns(X)
        if self.library == "array" or find_library(X) == "array":
            if len(natives) != len(self.columns):
                raise ValueError(
                    f"X has {len(natives)} features, but {len(self.columns)} are expected, as in "
                    "fitting"
                )
            return natives
        known = dict(zip(names, natives, strict=True))
        absent = [name for name in self.names if name not in known]
        if absent:
            raise ValueError(
                f"X must have the columns of fitting, and {_list(absent)} is not there: add it, "
                "with missing cells if nothing is known of it"
            )
        new = set(names) - set(self.names)
        if new:
            raise ValueError(
                f"X must have the columns of fitting only, got "
                f"{_list([name for name in names if name in new])}: drop what is new"
            )
        return [known[name] for name in self.names]

    def decode(
        self, values: np.ndarray, observed: np.ndarray | None = None, index: Any = None
    ) -> Any:
        """Return a frame of the kind that was fitted, or an array for an array.

        NumPy's integers and booleans have no missing cells: with some, a pandas frame gets floats
        and objects in their place, as pandas does.

        Parameters
        ----------
        values : ndarray of shape (n_rows, n_encoded)
            Encoded columns, or anything near to them. NaN is a missing cell.
        observed : ndarray of bool of shape (n_rows, n_encoded) or None, default=None
            Which cells are not missing; None takes all that are not NaN.
        index : pandas.Index or None, default=None
            Names of the rows of a pandas frame.
        """
        natives = []
        for column, own in self.slices():
            block = np.asarray(values[:, own], dtype=np.float64)
            hidden = np.isnan(block)
            if observed is not None:
                hidden |= ~observed[:, own]
            missing = np.asarray(hidden.any(axis=1))
            cells = column.coding.decode(block, missing)
            natives.append(build_column(cells, column.dtype, column.name))
        frame = build_frame(self.library, self.names, natives, index)
        if self.library != "array":
            return frame
        if self.array_dtype.startswith(("datetime64", "timedelta64")):
            frame[pd.isna(frame)] = None  # NumPy makes no NaT of one of pandas
        return frame.astype(self.array_dtype)

    def get_state(self) -> dict[str, Any]:
        """Return the columns as plain values."""
        return {
            "library": self.library,
            "array_dtype": self.array_dtype,
            "columns": [
                {
                    "name": column.name,
                    "dtype": column.dtype,
                    "coding": column.coding.name,
                    "state": column.coding.get_state(),
                }
                for column in self.columns
            ],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Columns":
        """Return the columns of a state."""
        columns = [
            Column(known["name"], known["dtype"], load_coding(known["coding"], known["state"]))
            for known in state["columns"]
        ]
        return cls(state["library"], state["array_dtype"], tuple(columns))


def needs_encoding(X: Any, categorical_features: Any = "from_dtype") -> bool:
    """Whether a table has columns that aren't numbers.

    Of arrays of numbers and of frames it looks at the types alone, and at no cell.
    """
    names_some = _names_some(categorical_features)
    library = find_library(X)
    if library == "pandas":
        return names_some or not all(map(_is_number_dtype, X.dtypes))
    if library == "polars":
        return names_some or not all(d.is_integer() or d.is_float() for d in X.dtypes)
    if library == "pyarrow":
        return names_some or not all(map(_is_arrow_number, X.schema.types))
    if isinstance(X, torch.Tensor) or sparse.issparse(X):
        return False
    if not isinstance(X, np.ndarray | list | tuple):  # a store
        return False
    if not isinstance(X, np.ndarray) and any(isinstance(row, torch.Tensor) for row in X):
        return False
    if isinstance(X, np.ndarray) and X.dtype.kind in "biufc":
        return names_some
    return names_some or _has_objects(X)


def encode_numbers(X: Any) -> np.ndarray:
    """Return a table all of whose columns were numbers in fitting, as such; NaN is missing.

    Raises
    ------
    TypeError
        If a column holds anything else, with its name.
    """
    names, natives = open_columns(X)
    coding, blocks = NumberCoding(), []
    for name, native in zip(names, natives, strict=True):
        cells, _ = read_column(native, name)
        _check_finite(cells, name)
        blocks.append(coding.encode(cells, name))
    return np.hstack(blocks)


def _names_some(chosen: Any) -> bool:
    if chosen is None or isinstance(chosen, str):
        return chosen not in (None, "from_dtype")
    asked = np.asarray(chosen)
    return bool(asked.any() if asked.dtype.kind == "b" else asked.size)


def _is_number_dtype(dtype: Any) -> bool:
    return getattr(dtype, "kind", "O") in "iuf"


def _is_arrow_number(type_: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_))


def _has_objects(X: Any) -> bool:
    """Whether an array of objects, or a list, has a column that isn't one of numbers."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array = to_array(X) if isinstance(X, np.ma.MaskedArray) else np.asarray(X)
    except ValueError:  # ragged, or of other dimensions: scikit-learn says so
        return False
    if array.ndim != 2 or array.dtype.kind in "biufcV":
        return False
    _, columns = open_columns(array if array.dtype.kind == "O" else X)
    return any(read_column(own, index)[0].kind != "number" for index, own in enumerate(columns))


def _choose_categories(names: list[Any], library: str, chosen: Any) -> set[int] | None:
    """Return the indices of the columns that a user takes for categories; None asks the types."""
    if isinstance(chosen, str):
        if chosen == "from_dtype":
            return None
        chosen = [chosen]
    if chosen is None:
        return set()
    asked = np.asarray(chosen)
    expected = (
        'categorical_features must be "from_dtype", None, a mask, or the indices or names of '
        "columns of X"
    )
    if asked.ndim != 1:
        raise ValueError(f"{expected}, got an array of {asked.ndim} dimensions")
    if asked.size == 0:
        return set()
    if asked.dtype.kind == "b":
        if len(asked) != len(names):
            raise ValueError(
                f"{expected}, got a mask of {len(asked)} columns where X has {len(names)}"
            )
        return set(np.flatnonzero(asked).tolist())
    if asked.dtype.kind in "iu":
        wrong = [index for index in asked.tolist() if not 0 <= index < len(names)]
        if wrong:
            raise ValueError(f"{expected}, got {wrong[0]}, where X has {len(names)} columns")
        return set(asked.tolist())
    if not all(isinstance(name, str) for name in asked):
        raise ValueError(f"{expected}, got {chosen!r}")
    wrong = [name for name in asked.tolist() if library == "array" or name not in names]
    if wrong:
        raise ValueError(f"{expected}, got {wrong[0]!r}, where X has {_list(names)}")
    return {names.index(name) for name in asked.tolist()}


def _are_copies(weight: np.ndarray) -> bool:
    """Whether weights are whole, so that they count rows."""
    return bool((weight == np.floor(weight)).all() and weight.max() < _MOST_COPIES)


def _is_category(summary: ColumnSummary, name: Any, chosen: set[int] | None, index: int) -> bool:
    """Whether a column holds categories; raise for text that a user doesn't take for them."""
    kind = summary.kind
    if chosen is not None and index in chosen:
        if kind in ("text", "category"):  # also what were numbers and booleans
            return True
        raise TypeError(
            f"categorical_features must name columns of labels or numbers, and column {name!r} has "
            f"{KIND_WORDS.get(kind, kind)}: turn them into text, with astype(str)"
        )
    if kind not in ("text", "category"):
        return False
    labels = list(summary.totals) or [""]  # none of them counts
    if chosen is not None:
        raise TypeError(
            f"X must have numbers in the columns that categorical_features doesn't name, got "
            f"{labels[0]!r} in column {name!r}: name it too, or drop the column"
        )
    if kind == "text" and len(labels) > _MOST_TEXTS:
        length = np.mean([len(label) for label in labels])
        if length > _LONGEST_LABEL:
            text = f"{labels[0][:57]}..."
            raise ValueError(
                f"X must have labels rather than prose, got {len(labels)} different texts of "
                f"{length:.0f} characters on average, such as {text!r}, in column {name!r}: encode "
                "it with skrub.TextEncoder or skrub.TableVectorizer, name it in "
                "categorical_features, or drop the column"
            )
    return True


def _is_identifier(coding: CategoryCoding, n_known: float) -> bool:
    """Whether a column has a label for nearly every row."""
    return len(coding.levels) > max(_FEW_LABELS, _NEARLY_UNIQUE * n_known)


def _pools_values(coding: CategoryCoding) -> bool:
    """Whether labels that are too many, so that some are pooled, are numbers or dates."""
    most = coding.max_categories
    return (
        most is not None
        and len(coding.levels) > max(most, _FEW_LABELS)
        and are_written_values(coding.levels)
    )


def _check_finite(cells: Cells, name: Any, first: int = 0) -> None:
    if cells.kind != "number":
        return
    infinite = np.flatnonzero(np.isinf(cells.values))
    if len(infinite):
        row = int(infinite[0])
        cell = Cell(name, first + row, float(cells.values[row]))
        raise ValueError(cell.describe("X", allow_nan=True))


def _find_array_dtype(X: Any) -> str:
    if find_library(X) != "array":
        return "object"
    dtype = to_array(X).dtype
    if dtype.kind in "biu":
        return "float64"
    return str(dtype) if dtype.kind in "fmM" else "object"


def _list(names: list[Any]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"column{'s' if len(names) > 1 else ''} {shown}{more}"

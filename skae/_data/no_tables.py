"""What is no table of rows and columns, and what to pass in its place.

Libraries' own errors for these say neither what was given nor what to do.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd
from torch.utils.data import DataLoader, Dataset

from .cells import shorten

_STREAMS = (Iterator, DataLoader, Dataset)
_NO_TABLES = (str, bytes, Mapping, Set)

# What tables, and numbers, of which scikit-learn says what is wrong, have one of.
_TABLES = ("__len__", "__array__", "__dataframe__", "__float__")

# What makes a table of rows of a type that are none.
_REMEDIES: tuple[tuple[Any, str], ...] = (
    (Mapping, "pandas.DataFrame(list(X))"),
    (str | bytes, "[X] for a single row, or [[cell] for cell in X] for a single column"),
    (Set, "lists, whose cells have an order"),
    (Iterator, "[list(row) for row in X]"),
)

# How columns become lists.
_LISTS = ("to_pylist", "to_list", "tolist")

_FLAT = (
    "Expected 2D array, got 1D array instead: X must have rows and columns. Reshape your data with "
    "X.reshape(-1, 1) if it is a single column, or with X.reshape(1, -1) if it is a single row"
)
_FLAT_SEQUENCE = (
    "X must have rows and columns, got numbers in {}: pass [[cell] for cell in X] if it is a "
    "single column, or [X] if it is a single row"
)


def check_kind(X: Any, name: str) -> None:
    """Raise for an object of a type that no table, codes or targets have.

    Parameters
    ----------
    X : object
        What a user passed.
    name : str
        What messages call it.
    """
    expected = f"{name} must be a table, such as an array or a data frame, got {type(X).__name__}"
    if is_delayed(X):
        raise TypeError(
            f"{expected}, which is not computed: pass {name}.compute(), or a dask collection, with "
            "dask.array.from_delayed or dask.dataframe.from_delayed"
        )
    kind = type(X)  # a frame's own columns are its attributes too
    if hasattr(kind, "collect") and not hasattr(kind, "__array__"):
        call = "toPandas" if hasattr(kind, "toPandas") else "collect"
        raise TypeError(f"{expected}, which is a query: pass {name}.{call}()")
    if isinstance(X, _STREAMS):
        raise TypeError(
            f"{expected}, which gives it piece by piece: stack the pieces with np.vstack, or call "
            "partial_fit on each"
        )
    if isinstance(X, np.ndarray) and X.dtype.names is not None:
        raise TypeError(
            f"{name} must be an array of numbers, got a structured array with the fields "
            f"{list(X.dtype.names)}: pass numpy.lib.recfunctions.structured_to_unstructured(X), or "
            "pandas.DataFrame(X)"
        )
    if isinstance(X, _NO_TABLES) or not any(hasattr(X, each) for each in _TABLES):
        raise TypeError(f"{expected}: pass rows and columns, with np.asarray or pandas.DataFrame")


def check_has_columns(X: Any) -> None:
    """Raise for a table without rows of cells: a single column or row, a list of other things.

    Parameters
    ----------
    X : object
        A table as users pass it.
    """
    shape = getattr(X, "shape", None)
    if isinstance(shape, tuple) and len(shape) > 1:
        return
    check_kind(X, "X")
    if isinstance(X, Sequence):
        _check_list(X)
        return
    if _has_array_cells(X):
        return
    if _is_series(X):
        shape = (len(X),)
    elif isinstance(X, Number):
        shape = ()
    if not isinstance(shape, tuple):
        return
    if len(shape) == 0:
        raise ValueError(
            "Expected 2D array, got scalar array instead: X must have rows and columns; pass [[X]] "
            "for a single cell"
        )
    _check_cells_are_no_rows(X)
    if _is_series(X) or hasattr(type(X), "to_frame"):
        raise ValueError(
            f"Expected a 2-dimensional container, got {type(X).__name__}: X must have rows and "
            "columns; pass a frame that has it as a column"
        )
    raise ValueError(_FLAT)


def is_delayed(X: Any) -> bool:
    """Whether an object is a `dask.delayed.Delayed`, which seems to have all attributes."""
    return type(X).__module__ == "dask.delayed"


def _check_list(X: Sequence[Any]) -> None:
    if len(X) == 0:
        raise ValueError(
            "Found array with 0 sample(s) while a minimum of 1 is required: X must have rows, got "
            f"an empty {type(X).__name__}"
        )
    rows: dict[type, int] = {}
    for index, row in enumerate(X):
        rows.setdefault(type(row), index)
    for kind, index in rows.items():
        _check_row(X[index], index)
        if hasattr(kind, "columns") and hasattr(kind, "shape"):
            raise TypeError(
                f"X must be a table, got {type(X).__name__} with {kind.__name__} as row {index}: "
                "pass one table, such as pandas.concat(X), or of sequences the arrays, such as "
                "[frame.to_numpy() for frame in X]"
            )
    if not any(map(_is_row, rows)):
        raise ValueError(_FLAT_SEQUENCE.format(type(X).__name__))


def _is_row(kind: type) -> bool:
    """Whether an entry of a list may be a row: NumPy's numbers look like arrays."""
    is_array = hasattr(kind, "__array__") and not issubclass(kind, np.generic)
    return is_array or hasattr(kind, "__len__")


def _check_row(row: Any, index: int) -> None:
    """Raise for an entry of a list of rows that is no row."""
    if is_delayed(row):
        check_kind(row, f"X[{index}]")
    for kind, remedy in _REMEDIES:
        if isinstance(row, kind):
            raise TypeError(
                f"X must have rows of cells, got {shorten(row)} of type {type(row).__name__} as "
                f"row {index}: pass {remedy}"
            )


def _is_series(X: Any) -> bool:
    owner, name = type(X).__module__.split(".")[0], type(X).__name__
    is_array = owner == "pyarrow" and name.endswith("Array")  # a class for each type
    return isinstance(X, pd.Series) or is_array or (owner, name) == ("polars", "Series")


def _has_array_cells(X: Any) -> bool:
    """Whether a series of polars has arrays of one width as cells, and is a table of NumPy."""
    return _is_series(X) and type(getattr(X, "dtype", None)).__name__ == "Array"


def _check_cells_are_no_rows(X: Any) -> None:
    """Raise for a column whose cells are the rows of a table."""
    if not (_is_series(X) or (isinstance(X, np.ndarray) and X.dtype.kind == "O")):
        return
    values = X.to_pylist() if hasattr(type(X), "to_pylist") else list(X)
    first = next((cell for cell in values if hasattr(cell, "__len__")), None)
    if first is None or isinstance(first, str | bytes):
        return
    remedy = next(name for name in _LISTS if hasattr(type(X), name))
    rows = f"X.{remedy}()"
    raise TypeError(
        f"X must have rows and columns, got {type(X).__name__}, whose cells are rows, such as "
        f"{shorten(first)} of type {type(first).__name__}: pass "
        f"{f'pandas.DataFrame({rows})' if isinstance(first, Mapping) else rows}"
    )

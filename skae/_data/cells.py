"""The cell that makes a table unreadable, named by its column, row and value."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

_TEXT = "turn the column into numbers, with pandas.to_numeric, or drop it"
_DATES = "turn the column into numbers, such as days since a date, or drop it"
_FILL = "fill such cells, or drop their rows"
_HIDE = "set such cells to NaN, which is a missing cell, or drop their rows"
_SPLIT = "split its parts into columns of real numbers, or drop the column"

# Beginnings of the names of types in pandas, polars and pyarrow.
_TEMPORAL = ("date", "time", "duration", "period")


class Cell(NamedTuple):
    """A cell that is not a finite number.

    Attributes
    ----------
    column : str or int
        Name of its column, or its index.
    row : int
        Index of its row.
    value : object
        What it holds.
    """

    column: Any
    row: int
    value: Any

    def describe(self, name: str, allow_nan: bool = False) -> str:
        """Return what is wrong with a table that has it, and what to do."""
        return (
            f"{name} must have finite numbers {'or NaN' if allow_nan else 'only'}, got "
            f"{shorten(self.value)} in column {self.column!r} and row {self.row}: "
            f"{self._find_remedy(allow_nan)}"
        )

    def _find_remedy(self, allow_nan: bool) -> str:
        value = self.value
        if isinstance(value, str | bytes):
            return _TEXT
        if isinstance(value, np.datetime64 | np.timedelta64) or hasattr(value, "resolution"):
            return _DATES
        if isinstance(value, int) or (isinstance(value, np.floating) and np.isfinite(value)):
            return "it is too large for float64: scale the column"
        if _is_missing(value) or isinstance(value, float | np.floating):
            return _HIDE if allow_nan else _FILL
        return _SPLIT


@contextmanager
def name_cells(X: Any, name: str, first_row: int = 0, *, allow_nan: bool = False) -> Iterator[None]:
    """Add to an error that a table raises which of its cells is the reason.

    The beginning of the message, and whether it is a `TypeError`, are those of the error.

    Parameters
    ----------
    X : object
        The table, or a block of it.
    name : str
        What messages call it.
    first_row : int, default=0
        Index of the block's first row.
    allow_nan : bool, default=False
        Whether cells may be missing.
    """
    try:
        # What overflows is found to be infinite; sums of finite cells may be so in both directions.
        with np.errstate(over="ignore", invalid="ignore"):
            yield
    except (ValueError, TypeError, OverflowError) as error:
        if "feature names" in str(error).lower():  # of the columns, whatever they hold
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        reason = str(error).split("\n")[0].rstrip(".")
        cell = find_cell(X, allow_nan)
        if cell is not None:
            cell = cell._replace(row=cell.row + first_row)
            raise kind(f"{cell.describe(name, allow_nan)} ({reason})") from error
        row = _find_ragged_row(X)
        if row is not None:
            raise ValueError(
                f"{name} must have rows of equal length, got {len(X[row])} cells in row {row} and "
                f"{len(X[0])} in row 0 ({reason})"
            ) from error
        if isinstance(error, OverflowError):
            raise ValueError(f"{name} must have numbers that float64 holds ({reason})") from error
        raise


def find_temporal_column(X: Any) -> Any:
    """Return the name of a frame's first column of dates or durations, None without one.

    Of an array it is the index.
    """
    if isinstance(X, np.ndarray):
        return 0 if X.dtype.kind in "mM" else None
    names, schema = list_names(X), getattr(X, "schema", None)
    if names is None:
        return None
    dtypes = getattr(schema, "types", getattr(X, "dtypes", ()))
    for name, dtype in zip(names, dtypes, strict=False):
        if str(dtype).lower().startswith(_TEMPORAL):
            return name
    return None


def find_cell(X: Any, allow_nan: bool = False) -> Cell | None:
    """Return the first cell that is not a finite number, None if there is none.

    Columns are searched in their order.
    """
    if sparse.issparse(X):
        entries = X.tocoo()
        wrong = np.flatnonzero(~_are_finite(entries.data, allow_nan))
        if len(wrong) == 0:
            return None
        first = wrong[0]
        return Cell(int(entries.col[first]), int(entries.row[first]), entries.data[first])
    names = list_names(X)
    for index, values in enumerate(_read_columns(X)):
        row = _find_row(values, allow_nan)
        if row is not None:
            return Cell(index if names is None else names[index], row, values[row])
    return None


def list_names(X: Any) -> list[Any] | None:
    """Return the names of a frame's columns, None for other tables."""
    own = "column_names" if hasattr(type(X), "column_names") else "columns"
    names = getattr(X, own, None)
    return None if names is None else list(names)


def _read_columns(X: Any) -> Iterator[Any]:
    """Yield a table's columns, as arrays or lists; nothing if it isn't a table."""
    if hasattr(X, "iloc") and hasattr(X, "columns"):
        yield from (X.iloc[:, index].to_numpy() for index in range(X.shape[1]))
    elif hasattr(X, "column_names"):
        yield from (X.column(index).to_pylist() for index in range(X.num_columns))
    elif hasattr(X, "get_columns"):
        yield from (column.to_list() for column in X.get_columns())
    else:
        try:
            array = X if isinstance(X, np.ndarray) else np.array(X, dtype=object)
        except ValueError:  # ragged
            return
        if array.ndim == 2:
            yield from array.T


def _find_row(values: Any, allow_nan: bool) -> int | None:
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        with np.errstate(over="ignore"):
            wrong = np.flatnonzero(~_are_finite(values.astype(np.float64), allow_nan))
        return int(wrong[0]) if len(wrong) else None
    for row, value in enumerate(values):
        if not (_is_finite_number(value) or (allow_nan and _is_missing(value))):
            return row
    return None


def _are_finite(values: np.ndarray, allow_nan: bool) -> np.ndarray:
    return ~np.isinf(values) if allow_nan else np.isfinite(values)


def _find_ragged_row(X: Any) -> int | None:
    """Return the first row of a list that is shorter or longer than the first one."""
    if not isinstance(X, list | tuple) or not all(hasattr(row, "__len__") for row in X):
        return None
    return next((row for row, cells in enumerate(X) if len(cells) != len(X[0])), None)


def _is_finite_number(value: Any) -> bool:
    if isinstance(value, np.datetime64 | np.timedelta64 | complex | np.complexfloating):
        return False
    try:
        return bool(np.isfinite(float(value)))
    except (TypeError, ValueError, OverflowError):
        return False


def _is_missing(value: Any) -> bool:
    if isinstance(value, float | np.floating):
        return bool(np.isnan(value))
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def shorten(value: Any) -> str:
    """Return what a message shows of a value."""
    text = repr(value.item() if isinstance(value, np.generic) else value)
    text = " ".join(text.split())  # those of arrays have lines
    return text if len(text) <= 60 else f"{text[:57]}..."

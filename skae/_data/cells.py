"""The cell that makes a table unreadable, named by its column, row and value."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

_ENCODE = (
    "encode text and categories as numbers, with sklearn.preprocessing.OneHotEncoder or "
    "skrub.TableVectorizer, or drop the column"
)
_DATES = (
    "turn dates and durations into numbers, such as days since a date, with "
    "skrub.DatetimeEncoder or by hand, or drop the column"
)
_FILL = (
    "fill such cells, with sklearn.impute.SimpleImputer or KNNImputer after setting infinite ones "
    "to NaN, or drop the row or the column"
)
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

    def describe(self, name: str) -> str:
        """Return what is wrong with a table that has it, and what to do."""
        return (
            f"{name} must have finite numbers only, got {_shorten(self.value)} in column "
            f"{self.column!r} and row {self.row}: {self._remedy}"
        )

    @property
    def _remedy(self) -> str:
        value = self.value
        if isinstance(value, str | bytes):
            return _ENCODE
        if isinstance(value, np.datetime64 | np.timedelta64) or hasattr(value, "resolution"):
            return _DATES
        if isinstance(value, int) or (isinstance(value, np.floating) and np.isfinite(value)):
            return "it is too large for float64: scale the column"
        is_missing = value is None or type(value).__name__ == "NAType"
        return _FILL if is_missing or isinstance(value, float | np.floating) else _SPLIT


@contextmanager
def name_cells(X: Any, name: str, first_row: int = 0) -> Iterator[None]:
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
        cell = find_cell(X)
        if cell is not None:
            cell = cell._replace(row=cell.row + first_row)
            raise kind(f"{cell.describe(name)} ({reason})") from error
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
    names, schema = _name_columns(X), getattr(X, "schema", None)
    if names is None:
        return None
    dtypes = getattr(schema, "types", getattr(X, "dtypes", ()))
    for name, dtype in zip(names, dtypes, strict=False):
        if str(dtype).lower().startswith(_TEMPORAL):
            return name
    return None


def find_cell(X: Any) -> Cell | None:
    """Return the first cell that is not a finite number, None if there is none.

    Columns are searched in their order.
    """
    if sparse.issparse(X):
        entries = X.tocoo()
        wrong = np.flatnonzero(~np.isfinite(entries.data))
        if len(wrong) == 0:
            return None
        first = wrong[0]
        return Cell(int(entries.col[first]), int(entries.row[first]), entries.data[first])
    names = _name_columns(X)
    for index, values in enumerate(_read_columns(X)):
        row = _find_row(values)
        if row is not None:
            return Cell(index if names is None else names[index], row, values[row])
    return None


def _name_columns(X: Any) -> list[Any] | None:
    names = getattr(X, "column_names", getattr(X, "columns", None))
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


def _find_row(values: Any) -> int | None:
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        with np.errstate(over="ignore"):
            wrong = np.flatnonzero(~np.isfinite(values.astype(np.float64)))
        return int(wrong[0]) if len(wrong) else None
    return next((row for row, value in enumerate(values) if not _is_finite_number(value)), None)


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


def _shorten(value: Any) -> str:
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."

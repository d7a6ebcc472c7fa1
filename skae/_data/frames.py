"""Columns of frames and arrays as plain cells, and back into the type that they came in.

pandas is a dependency. polars and pyarrow are imported only where a table of theirs, or a pandas
column backed by Arrow, has already brought them in; narwhals is not among the dependencies of
every scikit-learn that the package supports.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, localcontext
from functools import partial
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from pandas.api import types as pandas_types

from .cells import name_cells, shorten

#: A column's type as plain values: "numpy", "pandas", "string", "category", "arrow", "polars" or
#: "object", and what determines the type among those.
Dtype = tuple[Any, ...]

# NumPy's units that pandas has not.
_LONG_UNITS = ("Y", "M", "W", "D", "h", "m")

# Digits of decimals of which no type says how many they have: those of Python's own arithmetic.
_DIGITS = 28

# Digits of polars' decimals without a precision.
_MOST_DIGITS = 38

# NaT among times of 64 bits.
_NOT_A_TIME = np.iinfo(np.int64).min

# Cells of objects, by what pandas infers that they are.
_OBJECT_KINDS = {
    "string": "text",
    "boolean": "boolean",
    "integer": "number",
    "floating": "number",
    "mixed-integer-float": "number",
    "decimal": "number",
    "date": "date",
    "datetime": "date",
    "datetime64": "date",
    "time": "time",
    "timedelta": "duration",
    "timedelta64": "duration",
    "interval": "category",
    "empty": "empty",
}

# What to do with a column, by the type of a cell in it that can't be read.
_REMEDIES: tuple[tuple[Any, str], ...] = (
    (
        complex | np.complexfloating,
        "pass the real and the imaginary parts as columns of their own",
    ),
    (bytes, "decode the column, with .str.decode('utf-8')"),
    (str, "turn the column into numbers, with pandas.to_numeric, or into text, with astype(str)"),
    (date | time | np.datetime64, "turn the column into dates, with pandas.to_datetime"),
    (timedelta | np.timedelta64, "turn the column into durations, with pandas.to_timedelta"),
    (pd.Interval, "turn the column into categories, with astype('category')"),
)
_SPLIT = (
    "split its parts into columns of their own, such as with pandas.DataFrame(column.tolist()), or "
    "drop the column"
)
_NAME = "turn the column into text, with astype(str), or drop it"

_SIMPLE_NUMBERS = (int, float, Decimal, np.number, np.bool_)


@dataclass(frozen=True)
class Cells:
    """The cells of a column.

    Attributes
    ----------
    kind : str
        "number", "boolean", "category", "text", "empty" if all cells are missing; "date",
        "zoned date", "time", "duration", or a period's type.
    values : ndarray of shape (n_rows,)
        float64 for numbers and booleans, int64 for times in `unit`, for categories and text the
        index of each cell's label. Of missing cells they mean nothing.
    missing : ndarray of bool of shape (n_rows,)
        Which cells are missing.
    labels : sequence
        The labels of categories and text, each once.
    unit : str
        The unit of times.
    """

    kind: str
    values: np.ndarray
    missing: np.ndarray
    labels: Sequence[Any] = ()
    unit: str = ""

    def take(self, rows: np.ndarray) -> "Cells":
        """Return the cells of some rows."""
        missing = self.missing[rows]
        if missing.all():
            return Cells.make_empty(len(missing))
        return Cells(self.kind, self.values[rows], missing, self.labels, self.unit)

    @classmethod
    def make_empty(cls, n_rows: int) -> "Cells":
        """Return cells that are all missing."""
        return cls("empty", np.zeros(n_rows), np.ones(n_rows, dtype=bool))

    @classmethod
    def from_numbers(cls, values: np.ndarray, kind: str = "number") -> "Cells":
        """Return numbers of which NaN are missing."""
        missing = np.isnan(values)
        return cls.make_empty(len(values)) if missing.all() else cls(kind, values, missing)

    @classmethod
    def from_labels(cls, values: Any, kind: str) -> "Cells":
        """Return labels of which None, NaN, NA and NaT are missing."""
        codes, labels = pd.factorize(np.asarray(values, dtype=object))
        return cls.from_codes(codes, list(labels), kind)

    @classmethod
    def from_codes(cls, codes: np.ndarray, labels: Sequence[Any], kind: str) -> "Cells":
        """Return labels by their indices, of which -1 is missing."""
        missing = codes < 0
        if missing.all():
            return cls.make_empty(len(codes))
        return cls(kind, codes.astype(np.int64), missing, labels)

    @classmethod
    def from_times(cls, values: np.ndarray, missing: np.ndarray, kind: str, unit: str) -> "Cells":
        """Return times in a unit."""
        if missing.all():
            return cls.make_empty(len(values))
        return cls(kind, np.where(missing, 0, values).astype(np.int64), missing, unit=unit)


def find_library(X: Any) -> str:
    """Return whose frame a table is: "pandas", "polars" or "pyarrow", else "array"."""
    if isinstance(X, pd.DataFrame):
        return "pandas"
    owner = type(X).__module__.split(".")[0]
    if (owner == "polars" and hasattr(X, "get_columns")) or (
        owner == "pyarrow" and hasattr(X, "column_names")
    ):
        return owner
    return "array"


def find_index(X: Any) -> pd.Index | None:
    """Return the names of a pandas frame's rows; None for other tables."""
    return X.index if isinstance(X, pd.DataFrame) else None


def to_pandas(X: Any) -> Any:
    """Return a frame of pandas for one of another library; arrays stay as they are.

    Polars needs pyarrow for it, without which its frames stay as they are.
    """
    if find_library(X) not in ("polars", "pyarrow"):
        return X
    with suppress(ModuleNotFoundError):
        return X.to_pandas()
    return X


def open_columns(X: Any) -> tuple[list[Any], list[Any]]:
    """Return a table's names of columns, indices for arrays, and the columns."""
    library = find_library(X)
    if library == "pandas":
        return list(X.columns), [X.iloc[:, index] for index in range(X.shape[1])]
    if library == "polars":
        return list(X.columns), list(X.get_columns())
    if library == "pyarrow":
        return list(X.column_names), list(X.columns)
    array = to_array(X)
    return list(range(array.shape[1])), list(array.T)


def to_array(X: Any) -> np.ndarray:
    """Return a table as an array of numbers, or of objects where it has others."""
    if isinstance(X, np.ma.MaskedArray):
        values, is_masked = X.data, np.ma.getmaskarray(X)
        X = values.astype(values.dtype if values.dtype.kind == "f" else object)
        X[is_masked] = np.nan if X.dtype.kind == "f" else None
    with name_cells(X, "X", allow_nan=True):
        array = X if isinstance(X, np.ndarray) else np.array(X)
        if array.dtype.kind not in "biufcmMO":  # text makes text of its neighbours
            array = np.array(X, dtype=object)
    if array.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {array.ndim}D array instead: X must have rows and columns; "
            "pass X.reshape(-1, 1) for a single column, or X.reshape(1, -1) for a single row"
        )
    return array


def read_column(column: Any, name: Any) -> tuple[Cells, Dtype]:
    """Return the cells of a frame's or an array's column, and its type.

    Raises
    ------
    TypeError
        If the cells are neither numbers, booleans, categories, text nor dates, with the column's
        name, a value and a remedy.
    """
    if isinstance(column, np.ndarray):
        if column.dtype.kind in "mM" and np.datetime_data(column.dtype)[0] in _LONG_UNITS:
            column = column.astype(f"{column.dtype.kind}8[s]")
        column = pd.Series(column, dtype=column.dtype)  # objects that are text stay objects
    if isinstance(column, pd.Series):
        return _read_pandas(column, name)
    if type(column).__module__.startswith("polars"):
        return _read_polars(column, name)
    return _read_arrow(column, name)


def build_column(cells: Cells, dtype: Dtype, name: Any) -> Any:
    """Return cells as a column of a type that `read_column` gave."""
    if dtype[0] == "polars":
        return _build_polars(cells, dtype, name)
    if dtype[0] == "arrow":
        return _build_arrow(cells, dtype)
    return _build_pandas(cells, dtype)


def find_integers(dtype: Dtype) -> np.dtype | None:
    """Return NumPy's type for a column of integers that `read_column` gave; None for others."""
    family, kind = dtype[:2]
    if family == "object":
        return np.dtype(np.int64) if kind == "integer" else None
    if family == "arrow" and kind[0] == "alias":
        kind = kind[1]
    elif family not in ("pandas", "polars"):
        return None
    known = getattr(np, kind.lower(), None)
    return np.dtype(known) if isinstance(known, type) and issubclass(known, np.integer) else None


def find_decimals(dtype: Dtype) -> tuple[int, int] | None:
    """Return the digits of a column of decimals, and those behind the point; None for others."""
    family, kind, *parts = dtype
    if family == "object" and kind == "decimal":
        return _DIGITS, parts[1]
    if family == "arrow" and kind[0].startswith("decimal"):
        return kind[1], kind[2]
    if family == "polars" and kind == "Decimal":
        return _MOST_DIGITS if parts[0] is None else parts[0], parts[1]
    return None


def add_labels(dtype: Dtype, labels: Sequence[Any], name: Any) -> Dtype:
    """Return a pandas type of categories with the labels that it has not, behind its own."""
    kind, known, ordered, type_ = dtype
    new = [label for label in map(partial(freeze_label, name=name), labels) if label not in known]
    return kind, (*known, *new), ordered, type_


def convert_column(column: Any, native: Any, name: Any) -> Any:
    """Return a column in the library of another one; its type may become a plain one there."""
    libraries = [_find_owner(one) for one in (column, native)]
    if libraries[0] == libraries[1] or isinstance(native, np.ndarray):
        return column
    if libraries == ["pyarrow", "pandas"]:  # a frame takes it as it is
        return column
    values = column.to_pylist() if hasattr(type(column), "to_pylist") else list(column)
    if libraries[1] == "pandas":
        return pd.Series(values)
    if libraries[1] == "polars":
        import polars as pl

        return pl.Series(name, values)
    import pyarrow as pa

    return pa.array(values)


def _find_owner(column: Any) -> str:
    return type(column).__module__.split(".")[0]


def choose_cells(column: Any, other: Any, is_other: np.ndarray) -> Any:
    """Return a frame's or an array's column with some cells of another one of its type."""
    if isinstance(column, np.ndarray):
        out = column.copy()
        out[is_other] = other.to_numpy()[is_other]
        return out
    if isinstance(column, pd.Series):
        column = column.reset_index(drop=True)
        if not isinstance(other, pd.Series):
            other = _wrap_arrow(other)
        # Only a column without integers and booleans of NumPy can have had missing cells.
        return column.mask(is_other, other) if column.dtype == other.dtype else other
    if type(column).__module__.startswith("polars"):
        import polars as pl

        return column.zip_with(pl.Series(~is_other), other)
    import pyarrow as pa
    from pyarrow import compute

    if pa.types.is_dictionary(column.type):
        return other
    return compute.if_else(pa.array(is_other), other, column)


def build_frame(library: str, names: list[Any], columns: list[Any], index: Any) -> Any:
    """Return built columns as a frame of a library, or as an array.

    Parameters
    ----------
    library : str
        As `find_library` returns it.
    names : list
        Names of the columns.
    columns : list
        The columns.
    index : pandas.Index or None
        The rows' names in a pandas frame; None numbers them.
    """
    if library == "polars":
        import polars as pl

        return pl.DataFrame(columns)
    if library == "pyarrow":
        import pyarrow as pa

        return pa.table(columns, names=names)
    if library == "pandas":
        columns = [
            column.reset_index(drop=True) if isinstance(column, pd.Series) else _wrap_arrow(column)
            for column in columns
        ]
        frame = pd.concat(columns, axis=1, ignore_index=True)
        frame.columns = pd.Index(names)
        if index is not None:
            frame.index = index
        return frame
    out = np.empty((len(columns[0]), len(columns)), dtype=object)
    for place, column in enumerate(columns):
        out[:, place] = column.to_numpy(dtype=object)
    return out


def _raise_unreadable(name: Any, values: Any, missing: np.ndarray) -> NoReturn:
    """Raise for a column that no coding reads, with the cell that shows what is wrong with it."""
    rows = np.flatnonzero(~np.asarray(missing, dtype=bool))
    odd = next((row for row in rows if not _is_number(values[row])), rows[0] if len(rows) else 0)
    cell = values[odd] if len(rows) else None
    other = next((values[row] for row in rows if type(values[row]) is not type(cell)), cell)
    expected, beside = "numbers, booleans, categories, text or dates", ""
    if other is not cell:
        expected, beside = "cells of one kind", f" beside {shorten(other)}"
    other_remedy = (_SPLIT if hasattr(cell, "__len__") else _NAME) + _find_reason(cell)
    remedy = next((remedy for kind, remedy in _REMEDIES if isinstance(cell, kind)), other_remedy)
    raise TypeError(
        f"X must have {expected} in each column, got {shorten(cell)}{beside} in column {name!r} "
        f"and row {odd}: {remedy}"
    )


def _find_reason(cell: Any) -> str:
    """Return why a cell is no number, as scikit-learn's checks expect it in a message."""
    try:
        float(cell)
    except TypeError as error:
        return f" ({error})"
    except ValueError:
        pass
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, _SIMPLE_NUMBERS) and not isinstance(value, np.complexfloating)


# pandas


def _read_pandas(column: pd.Series, name: Any) -> tuple[Cells, Dtype]:
    dtype: Any = column.dtype
    known: Dtype
    if isinstance(dtype, pd.SparseDtype):
        return _read_pandas(column.astype(dtype.subtype), name)
    if isinstance(dtype, pd.CategoricalDtype):
        labels = [freeze_label(label, name) for label in dtype.categories]
        known = ("category", tuple(labels), bool(dtype.ordered), _describe(dtype.categories.dtype))
        thawed = [thaw_label(label) for label in labels]
        return Cells.from_codes(column.cat.codes.to_numpy(), thawed, "category"), known
    if isinstance(dtype, pd.ArrowDtype):
        import pyarrow as pa

        return _read_arrow(pa.chunked_array([pa.array(column.array)]), name)
    if isinstance(dtype, pd.StringDtype):
        return Cells.from_labels(column.to_numpy(dtype=object), "text"), _describe(dtype)
    if dtype.kind == "O" and not pandas_types.is_extension_array_dtype(dtype):
        return _read_objects(column.to_numpy(), name)
    if isinstance(dtype, pd.PeriodDtype):
        known = ("pandas", str(dtype))
        values: Any = column.array
        return Cells.from_times(values.asi8, column.isna().to_numpy(), str(dtype), "period"), known
    if dtype.kind in "mM":
        kind = "duration" if dtype.kind == "m" else "date"
        kind = "zoned date" if isinstance(dtype, pd.DatetimeTZDtype) else kind
        times: Any = column.array
        cells = Cells.from_times(times.asi8, column.isna().to_numpy(), kind, times.unit)
        return cells, ("pandas", str(dtype))
    if dtype.kind not in "biuf":
        _raise_unreadable(name, column.to_numpy(dtype=object), column.isna().to_numpy())
    kind = "boolean" if dtype.kind == "b" else "number"
    numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return Cells.from_numbers(numbers, kind), ("pandas", str(dtype))


def _build_pandas(cells: Cells, dtype: Dtype) -> pd.Series:
    if dtype[0] == "object":
        return _build_objects(cells, dtype)
    if dtype[0] == "category":
        _, labels, ordered, kind = dtype
        levels = [thaw_label(label) for label in labels]
        categories = pd.Index(levels, dtype=_make_type(kind))
        known = {level: index for index, level in enumerate(levels)}
        own = np.array([known.get(label, -1) for label in cells.labels] or [-1])
        codes = np.where(cells.missing, -1, own[_clip_codes(cells)])
        return pd.Series(
            pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(categories, ordered))
        )
    target = _make_type(dtype)
    if isinstance(target, pd.StringDtype):
        return pd.Series(take_labels(cells), dtype=target)
    if isinstance(target, pd.PeriodDtype):
        ordinals = np.where(cells.missing, _NOT_A_TIME, _to_integers(cells, np.int64))
        return pd.Series(pd.arrays.PeriodArray(ordinals, dtype=target))
    if target.kind in "mM":
        zone = getattr(target, "tz", None)
        plain = f"{target.kind}8[{cells.unit or np.datetime_data(_to_numpy(target))[0]}]"
        values = _to_integers(cells, np.int64).view(plain)
        values[cells.missing] = "NaT"
        times = pd.Series(values)
        return times if zone is None else times.dt.tz_localize("UTC").dt.tz_convert(zone)
    if cells.labels:  # numbers that were taken for categories
        cells = _to_numbers(cells)
    if not pandas_types.is_extension_array_dtype(target):
        if not cells.missing.any() or target.kind == "f":
            return pd.Series(_convert_numbers(cells, target.type))
        if target.kind == "b":  # NumPy has no missing booleans or integers
            return _build_objects(cells, ("object", "boolean", "none"))
        return pd.Series(np.where(cells.missing, np.nan, np.rint(cells.values)))
    own = _convert_numbers(cells, _to_numpy(target).type)
    array = pd.array(own, dtype=target)
    array[cells.missing] = pd.NA
    return pd.Series(array)


def _describe(dtype: Any) -> Dtype:
    """Return a pandas type as plain values."""
    if isinstance(dtype, pd.ArrowDtype):
        return ("arrow", _describe_arrow(dtype.pyarrow_dtype))
    if isinstance(dtype, pd.StringDtype):
        return ("string", dtype.storage, dtype.na_value is pd.NA)
    return ("pandas", str(dtype))


def _make_type(described: Dtype) -> Any:
    """Return the pandas type of a described one."""
    if described[0] == "arrow":
        return pd.ArrowDtype(_make_arrow_type(described[1]))
    if described[0] == "string":
        return pd.StringDtype(described[1], pd.NA if described[2] else np.nan)
    return pandas_types.pandas_dtype(described[1])


def _to_numpy(dtype: Any) -> np.dtype:
    """Return the NumPy type behind a pandas type."""
    if isinstance(dtype, pd.DatetimeTZDtype):
        return np.dtype(f"M8[{dtype.unit}]")
    return np.dtype(getattr(dtype, "numpy_dtype", dtype))


# Objects


def _read_objects(values: np.ndarray, name: Any) -> tuple[Cells, Dtype]:
    inferred = pandas_types.infer_dtype(values, skipna=True)
    missing = pd.isna(values)
    kind = _OBJECT_KINDS.get(inferred)
    if kind is None and all(map(_is_number, values[~missing])):
        kind = "number"
    if kind is None:
        _raise_unreadable(name, values, missing)
    marker = "nan" if missing.any() and isinstance(values[np.argmax(missing)], float) else "none"
    known = values[~missing]
    dtype: Dtype = ("object", inferred, marker)
    if kind == "empty":
        return Cells.make_empty(len(values)), dtype
    if kind in ("text", "category"):
        labels = [thaw_label(freeze_label(label, name)) for label in pd.unique(known)]
        cells = Cells.from_labels(values, kind)
        return Cells(kind, cells.values, missing, labels), dtype
    if kind in ("number", "boolean"):
        if inferred == "decimal":
            exponents = [number.as_tuple().exponent for number in known]
            places = max([0, *(-e for e in exponents if isinstance(e, int))])
            dtype = (*dtype, places)
        numbers = np.full(len(values), np.nan)
        try:
            numbers[~missing] = known.astype(np.float64)
        except OverflowError as error:
            row = next(row for row, cell in enumerate(values) if _is_too_large(cell))
            raise ValueError(
                f"X must have finite numbers, got {shorten(values[row])} in column {name!r} and "
                f"row {row}: it is too large for float64: scale the column"
            ) from error
        return Cells.from_numbers(numbers, kind), dtype
    times = np.zeros(len(values), dtype=np.int64)
    unit = "us"
    if kind == "time":
        if any(cell.tzinfo is not None for cell in known):
            raise TypeError(
                "X must have times of the day without a time zone, got "
                f"{next(cell for cell in known if cell.tzinfo is not None)!r} in column {name!r}: "
                "drop the zones, with cell.replace(tzinfo=None)"
            )
        times[~missing] = [_count_microseconds(cell) for cell in known]
    elif kind == "duration":
        times[~missing] = pd.to_timedelta(known).as_unit("us").asi8
    else:
        if len({getattr(cell, "tzinfo", None) is None for cell in known}) == 2:
            raise TypeError(
                "X must have dates with a time zone or dates without one in each column, got both "
                f"in column {name!r}: give all cells a time zone, or none"
            )
        if getattr(known[0], "tzinfo", None) is not None:
            kind = "zoned date"
        moments = pd.to_datetime(known, utc=kind == "zoned date")
        times[~missing] = moments.as_unit("us").asi8
    return Cells.from_times(times, missing, kind, unit), (*dtype, kind)


def _build_objects(cells: Cells, dtype: Dtype) -> pd.Series:
    inferred, marker = dtype[1], dtype[2]
    out = np.full(len(cells.missing), np.nan if marker == "nan" else None, dtype=object)
    known = ~cells.missing
    if cells.labels:
        labels = np.empty(len(cells.labels), dtype=object)
        labels[:] = cells.labels
        out[known] = labels[cells.values[known]]
    elif cells.unit:
        make = {"date": _make_date, "time": _make_time, "timedelta": _make_duration}
        zone = UTC if dtype[-1] == "zoned date" else None
        for row in np.flatnonzero(known):
            value = int(cells.values[row])
            made = make[inferred](value) if inferred in make else _make_moment(value, zone)
            out[row] = made
    elif inferred == "decimal":
        out[known] = _make_decimals(cells.values[known], _DIGITS, dtype[3])
    elif inferred == "boolean":
        out[known] = (cells.values[known] > 0.5).tolist()
    elif inferred == "integer":
        out[known] = [int(value) for value in np.rint(cells.values[known])]
    else:
        out[known] = cells.values[known].astype(np.float64).tolist()
    return pd.Series(out, dtype=object)


def _count_microseconds(cell: time) -> int:
    seconds = 3600 * cell.hour + 60 * cell.minute + cell.second
    return 1_000_000 * seconds + cell.microsecond


def _make_decimals(values: np.ndarray, precision: int, scale: int) -> list[Decimal]:
    """Return the nearest decimals of so many digits, some of them behind the point."""
    with localcontext(prec=2 * precision + 400):
        step = Decimal(1).scaleb(-scale)
        most = (10**precision - 1) * step
        exact = [Decimal(repr(value)) for value in values.astype(np.float64).tolist()]
        return [min(max(value, -most), most).quantize(step) for value in exact]


def _make_moment(value: int, zone: Any) -> pd.Timestamp:
    moment = pd.Timestamp(value, unit="us")
    return moment if zone is None else moment.tz_localize(zone)


def _make_date(value: int) -> date:
    return _make_moment(value, None).date()


def _make_time(value: int) -> time:
    moment = datetime(1970, 1, 1) + timedelta(microseconds=min(max(value, 0), 86_399_999_999))
    return moment.time()


def _make_duration(value: int) -> pd.Timedelta:
    most = np.iinfo(np.int64).max // 1000  # pandas counts some durations in nanoseconds
    return pd.Timedelta(min(max(value, -most), most), unit="us")


def _is_too_large(number: Any) -> bool:
    try:
        float(number)
    except OverflowError:
        return True
    except TypeError:  # a missing cell
        return False
    return False


def freeze_label(label: Any, name: Any) -> Any:
    """Return a label as plain values, from which `thaw_label` makes it again.

    Raises
    ------
    TypeError
        If that is not possible, with the column's name.
    """
    if isinstance(label, np.generic):
        label = label.item()
    if isinstance(label, str | int | float):
        return label
    if isinstance(label, pd.Interval):
        ends = (freeze_label(label.left, name), freeze_label(label.right, name))
        return ("interval", *ends, label.closed)
    if isinstance(label, datetime):
        return ("moment", label.isoformat())
    if isinstance(label, date):
        return ("date", label.isoformat())
    raise TypeError(
        f"X must have categories whose labels are text, numbers, dates or intervals, got {label!r} "
        f"in column {name!r}: turn the labels into text, with astype(str)"
    )


def thaw_label(label: Any) -> Any:
    """Return the label of a frozen one."""
    if not isinstance(label, tuple):
        return label
    if label[0] == "interval":
        return pd.Interval(thaw_label(label[1]), thaw_label(label[2]), label[3])
    if label[0] == "moment":
        return pd.Timestamp(label[1])
    return date.fromisoformat(label[1])


# Arrow


def _read_arrow(column: Any, name: Any) -> tuple[Cells, Dtype]:
    import pyarrow as pa

    is_type = pa.types
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    array = pa.concat_arrays(chunks) if chunks else pa.array([], type=column.type)
    dtype: Dtype = ("arrow", _describe_arrow(array.type))
    if is_type.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
        kind = "category"
    else:
        kind = "text"
    type_, missing = array.type, array.is_null().to_numpy(zero_copy_only=False)
    if is_type.is_null(type_):
        return Cells.make_empty(len(array)), dtype
    if kind == "category" or str(type_) in ("string", "large_string", "string_view"):
        return Cells.from_labels(array.to_pylist(), kind), dtype
    if is_type.is_boolean(type_):
        array = array.cast(pa.int8())
        numbers = array.cast(pa.float64()).to_numpy(zero_copy_only=False)
        return Cells.from_numbers(numbers, "boolean"), dtype
    if is_type.is_integer(type_) or is_type.is_floating(type_) or is_type.is_decimal(type_):
        numbers = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return Cells.from_numbers(numbers), dtype
    if is_type.is_temporal(type_) and not is_type.is_interval(type_):
        unit = "D" if is_type.is_date32(type_) else getattr(type_, "unit", "ms")
        if is_type.is_time(type_) or is_type.is_duration(type_):
            kind = "time" if is_type.is_time(type_) else "duration"
        else:
            kind = "zoned date" if getattr(type_, "tz", None) else "date"
        plain = pa.int32() if type_.bit_width == 32 else pa.int64()
        values = array.cast(plain).fill_null(0).to_numpy(zero_copy_only=False)
        return Cells.from_times(values, missing, kind, unit), dtype
    _raise_unreadable(name, array.to_pylist(), missing)


def _build_arrow(cells: Cells, dtype: Dtype) -> Any:
    import pyarrow as pa

    type_, missing = _make_arrow_type(dtype[1]), cells.missing
    if cells.kind == "empty":
        return pa.nulls(len(missing), type=type_)
    own = type_.value_type if pa.types.is_dictionary(type_) else type_
    if cells.labels and not isinstance(cells.labels[0], int | float):
        array = pa.array(take_labels(cells).tolist(), type=own)
        return array if own is type_ else array.cast(type_)
    if cells.labels:
        cells = _to_numbers(cells)
    if cells.unit or pa.types.is_temporal(own):
        plain: Any = np.int32 if own.bit_width == 32 else np.int64
        return pa.array(_to_integers(cells, plain), mask=missing).cast(own)
    if pa.types.is_decimal(own):
        return pa.array(_fill_decimals(cells, own.precision, own.scale), type=own)
    array = pa.array(_convert_numbers(cells, own.to_pandas_dtype()), mask=missing, type=own)
    return array if own is type_ else array.cast(type_)


def _wrap_arrow(array: Any) -> pd.Series:
    return pd.Series(pd.arrays.ArrowExtensionArray(array))


def _describe_arrow(type_: Any) -> Dtype:
    import pyarrow as pa

    is_type = pa.types
    if is_type.is_dictionary(type_):
        parts = (_describe_arrow(type_.index_type), _describe_arrow(type_.value_type))
        return ("dictionary", *parts, type_.ordered)
    if is_type.is_decimal(type_):
        return (str(type_).split("(")[0], type_.precision, type_.scale)
    if is_type.is_timestamp(type_):
        return ("timestamp", type_.unit, type_.tz)
    return ("alias", str(type_))


def _make_arrow_type(described: Dtype) -> Any:
    import pyarrow as pa

    name, *parts = described
    if name == "dictionary":
        return pa.dictionary(*(_make_arrow_type(part) for part in parts[:2]), ordered=parts[2])
    return pa.type_for_alias(parts[0]) if name == "alias" else getattr(pa, name)(*parts)


# polars


def _read_polars(column: Any, name: Any) -> tuple[Cells, Dtype]:
    import polars as pl

    own = column.dtype
    base = own.base_type()
    arguments = {
        "Datetime": ("time_unit", "time_zone"),
        "Duration": ("time_unit",),
        "Decimal": ("precision", "scale"),
    }.get(base.__name__, ())
    dtype: Dtype = ("polars", base.__name__, *(getattr(own, part) for part in arguments))
    if base == pl.Enum:
        dtype = (*dtype, tuple(own.categories.to_list()))
    if base == pl.Null:
        return Cells.make_empty(len(column)), dtype
    if base in (pl.Categorical, pl.Enum, pl.String):
        kind = "text" if base == pl.String else "category"
        return Cells.from_labels(column.cast(pl.String).to_list(), kind), dtype
    if base == pl.Boolean or own.is_numeric():
        kind = "boolean" if base == pl.Boolean else "number"
        numbers = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
        return Cells.from_numbers(numbers, kind), dtype
    if own.is_temporal():
        kinds = {pl.Time: "time", pl.Duration: "duration"}
        zone = getattr(own, "time_zone", None)
        kind = kinds.get(base, "zoned date" if zone else "date")
        unit = {pl.Date: "D", pl.Time: "ns"}.get(base) or own.time_unit
        values = column.to_physical().cast(pl.Int64).fill_null(0).to_numpy()
        return Cells.from_times(values, column.is_null().to_numpy(), kind, unit), dtype
    _raise_unreadable(name, column.to_list(), column.is_null().to_numpy())


def _build_polars(cells: Cells, dtype: Dtype, name: Any) -> Any:
    import polars as pl

    base = getattr(pl, dtype[1])
    target = base(list(dtype[2])) if dtype[1] == "Enum" else base(*dtype[2:])
    if cells.kind == "empty":
        return pl.Series(name, [None] * len(cells.missing), dtype=target)
    if cells.labels and not isinstance(cells.labels[0], int | float):
        return pl.Series(name, take_labels(cells).tolist(), dtype=target)
    if cells.labels:
        cells = _to_numbers(cells)
    if base == pl.Decimal:
        precision = _MOST_DIGITS if target.precision is None else target.precision
        return pl.Series(name, _fill_decimals(cells, precision, target.scale), dtype=target)
    if target.is_temporal():
        values = _to_integers(cells, np.int32 if base == pl.Date else np.int64)
    elif base == pl.Boolean:
        values = cells.values > 0.5
    else:
        values = _convert_numbers(cells, dtype[1].lower())
    known = pl.Series(name, values)
    return known.set(pl.Series(cells.missing), None).cast(target)


# Cells as arrays


def _clip_codes(cells: Cells) -> np.ndarray:
    return np.where(cells.missing, 0, cells.values).astype(np.int64)


def take_labels(cells: Cells, missing: Any = None) -> np.ndarray:
    """Return each cell's label, and `missing` where there is none."""
    labels = np.empty(max(len(cells.labels), 1), dtype=object)
    labels[: len(cells.labels)] = cells.labels
    out = labels[_clip_codes(cells)]
    out[cells.missing] = missing
    return out


def _fill_decimals(cells: Cells, precision: int, scale: int) -> list[Decimal | None]:
    known = iter(_make_decimals(cells.values[~cells.missing], precision, scale))
    return [None if is_missing else next(known) for is_missing in cells.missing]


def _to_numbers(cells: Cells) -> Cells:
    """Return labels that are numbers as numbers."""
    values = np.asarray(cells.labels, dtype=np.float64)[_clip_codes(cells)]
    return Cells("number", values, cells.missing)


def _to_integers(cells: Cells, kind: type) -> np.ndarray:
    """Return the nearest integers that a type holds; of missing cells they are zero."""
    values = np.where(cells.missing, 0, cells.values)
    limits = np.iinfo(kind)
    if values.dtype.kind == "i":
        return values.clip(limits.min, limits.max).astype(kind)
    # The largest integer of 64 bits rounds to a double beyond it.
    high = np.nextafter(float(limits.max), 0) if limits.bits == 64 else limits.max
    return np.clip(np.rint(values), limits.min, high).astype(kind)


def _convert_numbers(cells: Cells, kind: Any) -> np.ndarray:
    """Return numbers as a NumPy type; rounded where it is one of integers."""
    plain = np.dtype(kind)
    if plain.kind in "iu":
        return _to_integers(cells, plain.type)
    if plain.kind == "b":
        return np.where(cells.missing, False, cells.values > 0.5)
    values = np.where(cells.missing, np.nan, cells.values)
    largest = np.finfo(plain).max
    return np.clip(values, -largest, largest).astype(plain)

"""The part of a source that models can be compared on: columns that hold something, a target."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api import types

from .._data import Columns
from .arguments import FEWEST_ROWS, CommandError, NothingToCompressError
from .encoding import ignore_reported
from .printing import list_names, list_some, quote
from .source import FEWEST_COUNTED, ROW_NUMBERS, Source, is_name_of_names

# The variance of larger values could overflow.
_LARGEST = 1e150

# Numbers of which so many are different may name the rows; some rows may be copies.
_LEAST_DIFFERENT = 0.9

_DROPPED = "by --drop"
_EMPTY = "empty"
_UNREADABLE = "neither numbers, labels nor dates"
_PROSE = "prose"


@dataclass(frozen=True)
class Target:
    """The target, one value for each row.

    Attributes
    ----------
    name : str
        Name of its column or array.
    values : ndarray of shape (n_rows,)
        Floats, NaN where there is no value; or strings, None where there is no value.
    """

    name: str
    values: np.ndarray


@dataclass(frozen=True)
class Table:
    """A table that models can be fitted to.

    Attributes
    ----------
    name : str
        Name of the file or data set.
    frame : DataFrame of shape (n_rows, n_columns)
        Columns of float64, and others in their own types; each row has a value.
    target : Target or None
        What the clustering and neighbour scores are about.
    columns_left_out : dict of str to str
        The other columns, and why they are left out.
    n_rows_left_out : int
        Number of rows without any value.
    notes : list of str
        What the user should know, one line each.
    """

    name: str
    frame: pd.DataFrame
    target: Target | None
    columns_left_out: dict[str, str]
    n_rows_left_out: int
    notes: list[str]

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self.frame.columns)

    @property
    def missing(self) -> np.ndarray:
        """Which cells are missing."""
        return self.frame.isna().to_numpy(dtype=bool)


def select_table(
    source: Source,
    target_name: str | None,
    n_rows: int | None,
    seed: int,
    dropped: Sequence[str] = (),
) -> Table:
    """Select the columns and rows of a source that hold something, or a sample of the rows.

    Parameters
    ----------
    source : Source
        The source.
    target_name : str or None
        The target, if it isn't the source's own.
    n_rows : int or None
        The size of a sample.
    seed : int
        Its seed.
    dropped : sequence of str, default=()
        Columns to leave out.
    """
    target, given = _split_off_target(source, target_name)
    given = _drop(source, given, dropped)
    frame, reasons, n_infinite = _select_columns(given)
    left_out = source.left_out | dict.fromkeys(dropped, _DROPPED) | reasons
    if frame.shape[1] == 0:
        notes = [*source.notes, *_describe_omissions(left_out)]
        raise CommandError(
            f"{source.name} must have columns of numbers, labels or dates, got none"
            f"{_append(notes)}; choose another table"
        )
    has_value = frame.notna().to_numpy(dtype=bool).any(axis=1)
    rows = np.flatnonzero(has_value)
    n_known, n_blank = len(rows), len(frame) - len(rows)
    if n_known < FEWEST_ROWS:
        raise CommandError(
            f"{source.name} must have at least {FEWEST_ROWS} rows with a value, got {n_known} of "
            f"{len(frame)}; add rows"
        )
    _refuse_large(frame, source.name)
    notes = [*source.notes, *_describe_texts(frame, source.first_texts)]
    notes += [*_describe_omissions(left_out), *_describe_names(frame)]
    if n_infinite:
        notes.append(f"infinite values that count as missing cells: {n_infinite}")
    if n_blank:
        notes.append(f"rows left out (no value in any column): {n_blank}")
    if n_rows is not None and n_rows < n_known:
        rows = sample_rows(rows, n_rows, seed)
        notes.append(f"rows sampled: {n_rows} of {n_known}")
    elif n_rows is not None and n_rows > n_known:
        notes.append(f"rows sampled: none, for --rows {n_rows} is more than there are")
    if target is not None:
        target = Target(target.name, target.values[rows])
    frame = frame.iloc[rows]
    return Table(
        source.name, frame, target, left_out, n_blank, [*notes, *_describe_constants(frame)]
    )


def check_can_compress(table: Table) -> None:
    """Raise an error if a table has a single column, which codes can only repeat."""
    if table.frame.shape[1] < 2:
        # What was assumed of the file may be what went wrong.
        raise NothingToCompressError(
            f"{table.name} must have at least 2 columns of numbers, labels or dates, got 1",
            _append(table.notes),
        )


def _append(notes: list[str]) -> str:
    return "".join(f"; {note}" for note in notes)


def sample_rows(rows: np.ndarray, n_rows: int, seed: int) -> np.ndarray:
    """Return some of the rows by chance, in their order."""
    return np.sort(np.random.default_rng(seed).choice(rows, n_rows, replace=False))


def _split_off_target(source: Source, name: str | None) -> tuple[Target | None, pd.DataFrame]:
    """Return the target and the columns that remain for the models."""
    frame = source.columns
    if name is None:
        name = source.default_target
    if name is None:
        return None, frame
    if name in source.extra_targets:
        return Target(name, _convert_target(source.extra_targets[name]())), frame
    if name not in frame.columns:
        candidates = list_names([*source.extra_targets, *map(str, frame.columns)])
        raise CommandError(
            f"--target must be one of {candidates} in {source.name}, got {quote(name)}"
        )
    column = int(np.flatnonzero(frame.columns == name)[0])
    others = [number for number in range(frame.shape[1]) if number != column]
    return Target(name, _convert_target(frame.iloc[:, column])), frame.iloc[:, others]


def check_columns(option: str, names: Sequence[str], source: Source) -> None:
    """Raise an error if an option names a column that a table does not have."""
    _check_known(option, names, source.name, [*map(str, source.columns.columns), *source.left_out])


def _check_known(option: str, names: Sequence[str], table: str, known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise CommandError(
                f"{option} must name columns of {table}, got {quote(name)}; there are "
                f"{list_names(known)}"
            )


def _drop(source: Source, frame: pd.DataFrame, dropped: Sequence[str]) -> pd.DataFrame:
    """Return a frame without some of its columns."""
    known = [*map(str, frame.columns), *source.left_out]
    _check_known("--drop", dropped, f"{source.name}, and not its target", known)
    return frame.loc[:, [str(name) not in dropped for name in frame.columns]]


def _convert_target(column: pd.Series) -> np.ndarray:
    numbers = convert_to_floats(column)
    if numbers is not None:
        return np.where(np.isfinite(numbers), numbers, np.nan)
    missing = column.isna()
    texts = [None if absent else str(value) for value, absent in zip(column, missing, strict=True)]
    return np.array(texts, dtype=object)


def _select_columns(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str], int]:
    """Return the columns that models take, why the others are left out, and a count.

    The count is that of infinite values, which become missing cells.
    """
    kept: dict[str, pd.Series | np.ndarray] = {}
    left_out: dict[str, str] = {}
    n_infinite = 0
    for label, column in frame.items():
        name = str(label)
        is_boolean = types.is_bool_dtype(column.dtype)
        values = None if is_boolean else convert_to_floats(column)
        if values is not None:
            is_infinite = np.isinf(values)
            values = np.where(is_infinite, np.nan, values)
        if (column.isna() if values is None else np.isnan(values)).all():
            left_out[name] = _EMPTY
        elif values is not None:
            kept[name] = values
            n_infinite += int(is_infinite.sum())
        elif (reason := _find_fault(column)) is not None:
            left_out[name] = reason
        else:
            kept[name] = column
    return pd.DataFrame(kept, index=frame.index), left_out, n_infinite


def _find_fault(column: pd.Series) -> str | None:
    """Return why models can't take a column."""
    try:
        with ignore_reported():
            Columns.from_table(column.to_frame())
    except TypeError:
        return _UNREADABLE
    except ValueError:
        return _PROSE
    return None


def convert_to_floats(column: pd.Series) -> np.ndarray | None:
    """Return the column as floats, or None if it holds no real numbers."""
    dtype = column.dtype
    if not types.is_numeric_dtype(dtype) or types.is_complex_dtype(dtype):
        return None
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _refuse_large(frame: pd.DataFrame, name: str) -> None:
    numbers = frame.select_dtypes("float64").to_numpy()
    largest = float(np.nanmax(np.abs(numbers), initial=0.0))
    if largest > _LARGEST:
        raise CommandError(
            f"the values in {name} must be at most {_LARGEST:g} in size, got {largest:g}; "
            "rescale the column"
        )


def _describe_texts(frame: pd.DataFrame, first_texts: dict[str, str]) -> list[str]:
    """Return a line about text that may have been meant to be numbers."""
    found = [f"{quote(name)} ({text})" for name, text in first_texts.items() if name in frame]
    if not found:
        return []
    return [f"text, though most of it is numbers (mend it to have numbers): {list_some(found)}"]


def _describe_constants(frame: pd.DataFrame) -> list[str]:
    """Return a line about columns that have one value, or none in the rows that were drawn."""
    counts = {str(name): column.nunique() for name, column in frame.items()}
    headings = {
        1: "columns of a single value, which tell nothing of the others",
        0: "columns without a value in the rows sampled",
    }
    return [
        f"{heading}: {list_names(own)}"
        for count, heading in headings.items()
        if (own := [name for name, n_values in counts.items() if n_values == count])
    ]


def _describe_names(frame: pd.DataFrame) -> list[str]:
    """Return a line about whole numbers that may name the rows, as numbers of customers do."""
    if len(frame) < FEWEST_COUNTED:
        return []
    numbers = frame.select_dtypes("float64")
    found = [
        str(name)
        for name, column in numbers.items()
        if (np.diff(column) == 1).all() or (is_name_of_names(str(name)) and _are_names(column))
    ]
    if not found:
        return []
    return [
        "numbers that may only name rows, which models take for quantities (leave such columns out "
        f"with --drop): {list_names(found)}"
    ]


def _are_names(column: pd.Series) -> bool:
    """Return whether numbers are whole and nearly all different."""
    known = column.dropna()
    is_whole = (known == known.round()).all()
    return bool(is_whole and known.nunique() >= max(2, _LEAST_DIFFERENT * len(known)))


def _describe_omissions(left_out: dict[str, str]) -> list[str]:
    notes = []
    for reason in sorted(set(left_out.values())):
        alike = [name for name, why in left_out.items() if why == reason]
        remedy = "; --keep has them in" if reason == ROW_NUMBERS else ""
        notes.append(f"columns left out ({reason}{remedy}): {list_names(alike)}")
    return notes

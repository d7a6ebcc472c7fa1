"""A table as its file has it, before anything is selected."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from pandas.api import types

from .arguments import CommandError
from .dialect import Dialect
from .printing import list_names, list_some, quote

# pandas gives such names to columns without one, and writes them back to files.
_BLANK_NAME = re.compile(r"Unnamed: \d+(\.\d+)*|__index_level_\d+__")

ROW_NUMBERS = "row numbers"

#: Fewer rows may be in order by chance.
FEWEST_COUNTED = 10

_NAMES_OF_NAMES = {
    "id", "ids", "idx", "index", "key", "pk", "row", "rowid", "rowname", "rownames", "rows",
    "uuid", "guid",
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """A table as its file has it.

    Attributes
    ----------
    name : str
        Name of the file or data set.
    columns : DataFrame
        The columns; their names are strings, each different.
    extra_targets : dict of str to callable
        Possible targets that are not columns, by name; a call reads one.
    default_target : str or None
        The target unless the user names another.
    dialect : Dialect
        How the file writes its numbers.
    left_out : dict of str to str
        Columns of the file that are not in `columns`, and why.
    first_texts : dict of str to str
        For columns of text that are mostly numbers, the first cell that isn't, and where.
    notes : list of str
        What the user should know about the reading, one line each.
    """

    name: str
    columns: pd.DataFrame
    extra_targets: dict[str, Callable[[], pd.Series]] = field(default_factory=dict)
    default_target: str | None = None
    dialect: Dialect = field(default_factory=lambda: Dialect(","))
    left_out: dict[str, str] = field(default_factory=dict)
    first_texts: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def refuse_without_rows(name: str, n_rows: int) -> None:
    """Raise an error for a table that has only names of columns."""
    if n_rows == 0:
        raise CommandError(f"{name} has column names but no rows; add a line for each row")


def name_columns(names: list[str]) -> tuple[list[str], list[str]]:
    """Name columns without a name, tell apart those with the same, and say which."""
    found, taken, renamed = [], set(names), []
    seen: set[str] = set()
    n_blank = 0
    for index, name in enumerate(names):
        new = name.strip()
        if not new:
            new, n_blank = f"Unnamed: {index}", n_blank + 1
        if new in seen:
            first, number = new, 1
            while (new := f"{first}.{number}") in taken or new in seen:
                number += 1
            renamed.append(f"{quote(first)} to {quote(new)}")
        seen.add(new)
        found.append(new)
    notes = []
    if renamed:
        notes.append(f"columns with the name of another, renamed: {list_some(renamed)}")
    return found, notes


def is_blank(name: str) -> bool:
    """Return whether the name stands for a column without one."""
    return _BLANK_NAME.fullmatch(name) is not None


def leave_out_row_numbers(source: Source, kept: Collection[str] = ()) -> Source:
    """Leave out columns that number the rows in their order, but those that are to be kept.

    Their numbers grow by one from row to row, from 0 or 1, or from anywhere in a column whose name
    says so: years count up from elsewhere. Rows without a value in any column don't count.
    """
    rows = source.columns[source.columns.notna().any(axis=1)]
    if len(rows) < FEWEST_COUNTED:
        return source
    found = [
        str(name)
        for name, column in rows.items()
        if str(name) not in kept and _number_rows(str(name), column)
    ]
    # A table of nothing else is about these numbers.
    if not found or len(found) == rows.shape[1]:
        return source
    return replace(
        source,
        columns=source.columns.drop(columns=found),
        left_out={**source.left_out, **dict.fromkeys(found, ROW_NUMBERS)},
    )


def is_name_of_names(column: str) -> bool:
    """Return whether a column's name has a word for the names of things, such as id."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", column)
    return is_blank(column) or any(word.lower() in _NAMES_OF_NAMES for word in words)


def _number_rows(name: str, column: pd.Series) -> bool:
    if not types.is_numeric_dtype(column.dtype) or types.is_complex_dtype(column.dtype):
        return False
    if types.is_bool_dtype(column.dtype) or column.isna().any():
        return False
    values = column.to_numpy(dtype=np.float64)
    start = values[0]
    if start < 0 or start != np.round(start) or not (np.diff(values) == 1).all():
        return False
    return bool(start <= 1 or is_name_of_names(name))


def leave_out_index(source: Source, kept: Collection[str] = ()) -> Source:
    """Leave out the index that pandas or R has written beside a table, and note unnamed columns.

    An index are first columns without a name that number the rows: whole numbers that, taken
    together, differ from row to row, in whatever order, as after a split into training and
    test rows; or that count up anew in each part of a table put together from several. Those
    in `kept` stay.
    """
    frame, n_blank = source.columns, 0
    while n_blank < frame.shape[1] and is_blank(str(frame.columns[n_blank])):
        n_blank += 1
    found = [
        n
        for n in range(n_blank)
        if str(frame.columns[n]) not in kept and _are_whole(frame.iloc[:, n])
    ]
    numbers = frame.iloc[:, found]
    left_out: dict[str, str] = {}
    if found and len(frame) and (_are_unique(numbers) or _count_up(numbers)):
        frame = frame.drop(columns=numbers.columns)
        left_out = dict.fromkeys(map(str, numbers.columns), ROW_NUMBERS)
    blank = [name for name in map(str, frame.columns) if is_blank(name)]
    notes = [f"columns without a name: {list_names(blank)}"] if blank else []
    return replace(
        source,
        columns=frame,
        left_out={**source.left_out, **left_out},
        notes=[*source.notes, *notes],
    )


def _are_whole(column: pd.Series) -> bool:
    if not types.is_integer_dtype(column.dtype) or column.isna().any():
        return False
    return bool((column >= 0).all())


def _are_unique(frame: pd.DataFrame) -> bool:
    return not frame.duplicated().any()


def _count_up(frame: pd.DataFrame) -> bool:
    """Return whether a column counts up, from 0 or 1, in parts of several rows."""
    if frame.shape[1] > 1:
        return False
    values = frame.to_numpy(dtype=np.float64)[:, 0]
    starts = np.append(True, values[1:] == values[0])
    follows = np.append(False, values[1:] == values[:-1] + 1)
    is_counted = values[0] in (0, 1) and (follows | starts).all()
    return bool(is_counted and 3 * starts.sum() <= len(values))

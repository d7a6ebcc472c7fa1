"""A second table, with the columns of the first one."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import numpy as np
import pandas as pd
from pandas.api import types

from .._data.codings import CategoryCoding
from .arguments import CommandError
from .encoding import Encoding
from .printing import list_names, list_some, quote
from .source import Source
from .table import Table, convert_to_floats, sample_rows
from .wording import describe_cell, describe_cells, name_kinds

# Columns of which more cells can't be read are of another kind.
_FEW = 0.05

# How tables write booleans, in lower case: as text, or as numbers, which `fit` takes for them too.
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}

# Labels of a column that a note names.
_MOST_LABELS = 3


class _MixedTimeZonesError(ValueError):
    """Dates of one column have different time zones, or only some of them have one."""


@dataclass(frozen=True)
class SecondTable:
    """A second table, and the columns of the first that it has too.

    Attributes
    ----------
    name, first_name : str
        Names of the second and of the first table.
    frame : DataFrame of shape (n_rows, n_columns)
        Rows of the second table.
    first : DataFrame of shape (n_first_rows, n_columns)
        Rows of the first table, with the same columns.
    encoding : Encoding
        How cells of either become numbers.
    lost : tuple of str
        Columns of the first table that the second lacks, or has of another kind.
    unlike : tuple of str
        Those that it has of another kind.
    notes : list of str
        What the user should know, one line each.
    apart : tuple of str
        Columns that have no value in common with the first table, by which no row is judged.
    broken : tuple of str
        Cells that are unlike all others of their column, and count as missing, such as
        "'n/k' in 'age' of row 7".
    """

    name: str
    first_name: str
    frame: pd.DataFrame
    first: pd.DataFrame
    encoding: Encoding
    lost: tuple[str, ...]
    unlike: tuple[str, ...]
    notes: list[str]
    broken: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()


def select_second_table(source: Source, table: Table, n_rows: int | None, seed: int) -> SecondTable:
    """Select the columns of a table in a second one, or raise an error if there are too few."""
    encoding = Encoding.fit(table.frame)
    kept: dict[str, pd.Series] = {}
    lacking, unlike = [], {}
    broken: list[str] = []
    n_infinite = 0
    for column in encoding.columns.columns:
        name = column.name
        if name not in source.columns:
            lacking.append(name)
            continue
        cells, n_own = _hide_infinite(source.columns[name])
        reason = f"not {encoding.kinds[name]} in {source.name}"
        found = _convert(cells, encoding, isinstance(column.coding, CategoryCoding))
        if found is None and not isinstance(column.coding, CategoryCoding):
            try:
                found, own = _hide_broken(cells, encoding)
                broken += own
            except _MixedTimeZonesError:
                reason = f"different time zones in {source.name}; write all dates in one"
        if found is None:
            unlike[name] = reason
        else:
            kept[name], n_infinite = found, n_infinite + n_own
    notes = [*source.notes, *_describe_columns(source, table, lacking, unlike)]
    if not kept:
        others = "".join(f"; {note}" for note in notes)
        raise CommandError(
            f"{source.name} must have a column of {table.name} with values of the same kind, got "
            f"none{others}; choose another table"
        )
    frame = pd.DataFrame(kept, index=source.columns.index)
    rows = np.flatnonzero(frame.notna().to_numpy(dtype=bool).any(axis=1))
    if len(rows) == 0:
        raise CommandError(
            f"{source.name} must have a row with a value in a column of {table.name}, got none; "
            "choose another table"
        )
    if n_infinite:
        notes.append(f"infinite values of {source.name} that count as missing cells: {n_infinite}")
    if len(rows) < len(frame):
        n_blank = len(frame) - len(rows)
        notes.append(f"rows of {source.name} left out (no value in any column): {n_blank}")
    if n_rows is not None and n_rows < len(rows):
        notes.append(f"rows of {source.name} sampled: {n_rows} of {len(rows)}")
        rows = sample_rows(rows, n_rows, seed)
    frame, first = frame.iloc[rows], table.frame[list(kept)]
    notes += _describe_labels(source, table, first, frame, name_kinds(encoding.kinds))
    lost = tuple(name for name in table.columns if name not in kept)
    return SecondTable(
        name=source.name,
        first_name=table.name,
        frame=frame,
        first=first,
        encoding=encoding,
        lost=lost,
        unlike=tuple(unlike),
        notes=notes,
        broken=tuple(broken),
    )


def _hide_infinite(column: pd.Series) -> tuple[pd.Series, int]:
    """Return numbers as floats, the infinite ones missing, and the number of these."""
    values = None if types.is_bool_dtype(column.dtype) else convert_to_floats(column)
    if values is None:
        return column, 0
    is_infinite = np.isinf(values)
    values = np.where(is_infinite, np.nan, values)
    return pd.Series(values, index=column.index, name=column.name), int(is_infinite.sum())


def _convert(cells: pd.Series, encoding: Encoding, is_category: bool) -> pd.Series | None:
    """Return cells as the first table has them, or None if they are of another kind."""
    choices = [cells]
    if is_category:
        # Of labels such as 1, 2 and A a table may have those that are numbers alone.
        texts = pd.Series(describe_cells(cells), index=cells.index, name=cells.name, dtype=object)
        choices.append(texts.where(cells.notna(), None))
    for choice in choices:
        try:
            encoding.encode_column(choice)
        except (TypeError, ValueError):
            continue
        return choice
    return None


def _hide_broken(cells: pd.Series, encoding: Encoding) -> tuple[pd.Series | None, list[str]]:
    """Return a column without the few cells that make it text, and what these are.

    None is a column of which more than a few cells are of another kind.

    Raises
    ------
    _MixedTimeZonesError
        If dates have different time zones.
    """
    if not types.is_object_dtype(cells.dtype) and not types.is_string_dtype(cells.dtype):
        return None, []
    kind, texts = encoding.kinds[str(cells.name)], cells.astype(object)
    if kind == "numbers":
        readable = pd.to_numeric(texts, errors="coerce")
    elif kind == "dates":
        try:
            readable = pd.to_datetime(texts, errors="coerce", format="ISO8601")
        except ValueError as error:
            raise _MixedTimeZonesError from error
    elif kind == "booleans":
        readable = texts.map(lambda cell: _BOOLEANS.get(str(cell).casefold()))
    else:
        return None, []
    is_broken = (texts.notna() & readable.isna()).to_numpy(dtype=bool)
    n_broken = int(is_broken.sum())
    if n_broken > max(1, _FEW * cells.notna().sum()) or readable.notna().sum() <= n_broken:
        return None, []
    found = _convert(_hide_infinite(readable)[0], encoding, is_category=False)
    if found is None:
        return None, []
    name = quote(str(cells.name))
    return found, [
        f"{quote(describe_cell(cell))} in {name} of row {label}"
        for label, cell in texts[is_broken].items()
    ]


def _describe_columns(
    source: Source, table: Table, lacking: list[str], unlike: dict[str, str]
) -> list[str]:
    known = {*table.columns, *table.columns_left_out}
    if table.target is not None:
        known.add(table.target.name)
    new = [name for name in map(str, source.columns.columns) if name not in known]
    notes = []
    if lacking:
        notes.append(f"columns of {table.name} that {source.name} lacks: {list_names(lacking)}")
    for reason in sorted(set(unlike.values())):
        alike = [name for name, why in unlike.items() if why == reason]
        notes.append(f"columns that are not compared ({reason}): {list_names(alike)}")
    if new:
        notes.append(f"columns of {source.name} that {table.name} lacks: {list_names(new)}")
    return notes


def _describe_labels(
    source: Source, table: Table, first: pd.DataFrame, second: pd.DataFrame, kinds: dict[str, str]
) -> list[str]:
    """Return a line about labels that the first table never has, and one about their writing."""
    parts, unlike = [], []
    for name in first.columns:
        if kinds[name] != "category":
            continue
        known = set(describe_cells(first[name].dropna()))
        counts = pd.Series(describe_cells(second[name].dropna()), dtype=object).value_counts()
        new = {str(label): n for label, n in counts.items() if label not in known}
        if not new:
            continue
        listed = [f"{quote(label)} ({n})" for label, n in new.items()]
        more = f" and {len(new) - _MOST_LABELS} more" if len(new) > _MOST_LABELS else ""
        parts.append(f"{', '.join(listed[:_MOST_LABELS])}{more} in {quote(name)}")
        pair = _find_same_number(list(new), known)
        if pair is not None:
            unlike.append(f"{quote(pair[0])} for {quote(pair[1])} in {quote(name)}")
    notes = [f"labels that are new, and their rows: {list_some(parts)}"] if parts else []
    if unlike:
        notes.append(
            f"labels that {source.name} writes otherwise than {table.name}: {list_some(unlike)}; "
            "they count as new, so write numbers alike in both tables"
        )
    return notes


def _find_same_number(new: list[str], known: set[str]) -> tuple[str, str] | None:
    """Return the first new label that is the number of a known one, such as 1 of 01."""
    by_number = {_read_number(label): label for label in sorted(known, reverse=True)}
    by_number.pop(None, None)
    for label in new:
        number = _read_number(label)
        if number in by_number:
            return label, by_number[number]
    return None


def _read_number(label: str) -> Decimal | None:
    # Identifiers may have more digits than a float holds.
    try:
        number = Decimal(label)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None

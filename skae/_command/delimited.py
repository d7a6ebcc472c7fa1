"""Text with a line for each row: CSV and its kin."""

import re
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd

from .arguments import CommandError, TextFormat
from .dialect import WHITESPACE, Dialect, find_dialect, split_lines
from .printing import describe_error, list_names, quote
from .source import Source, name_columns, refuse_without_rows
from .unpacking import UNPACKING_ERRORS, TextFile, find_encoding

# What the separator and the marks in numbers are found from.
_MOST_SAMPLED_LINES = 200
_MOST_SAMPLED_CHARACTERS = 2**18
_LONGEST_LINE = 2**28

# A column of text with as many numbers was meant to be one of numbers.
_SHARE_OF_NUMBERS = 0.5

# Dates that can be read in one way only.
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?)?")

# More blank cells behind the named ones are no trailing separators.
_MOST_PADDING = 1000


@dataclass(frozen=True)
class _Layout:
    """Where the rows of a text start, and how they are written.

    Attributes
    ----------
    file : TextFile
        The text.
    n_lines_above : int
        How many lines stand above the first row.
    names : list of str
        The columns' names as they are written.
    width : int
        How many cells the widest row has.
    dialect : Dialect
        How the cells are written.
    """

    file: TextFile
    n_lines_above: int
    names: list[str]
    width: int
    dialect: Dialect

    @contextmanager
    def open_rows(self) -> Iterator[TextIO]:
        """Open the text at its first row."""
        with self.file.open() as text:
            for _ in islice(text, self.n_lines_above):
                pass
            yield text

    def scan(self) -> Iterator[tuple[int, list[str]]]:
        """Yield each row's line number and cells; slower than pandas, which tells no lines."""
        with self.open_rows() as text:
            for number, record in split_lines(text, self.dialect.separator):
                yield self.n_lines_above + number, record


def read_delimited(path: Path, name: str, asked: TextFormat) -> Source:
    """Read a file of text; what the user has not said is found out.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Its name in messages.
    asked : TextFormat
        What the user has said of its cells.
    """
    try:
        notes: list[str] = []
        encoding = asked.encoding
        if encoding is None:
            encoding, notes = find_encoding(path, name)
        layout, layout_notes = _find_layout(TextFile(path, name, encoding), asked)
        frame, reading_notes = _read_rows(layout, asked.text)
        notes += [*layout_notes, *reading_notes]
        return _make_source(layout, frame, notes, asked.text)
    except UnicodeError as error:
        raise CommandError(
            f"{name} can't be read as {encoding} ({describe_error(error)}); "
            "name its encoding with --encoding"
        ) from error
    except UNPACKING_ERRORS as error:
        raise CommandError(
            f"{name} can't be unpacked ({describe_error(error)}); check that it is whole"
        ) from error


# The lines above the rows -------------------------------------------------------------


def _find_layout(file: TextFile, asked: TextFormat) -> tuple[_Layout, list[str]]:
    with file.open() as text:
        comments, separator, line, n_above = _skip_preamble(text, file.name)
        sample = [line, *_take_sample(text)]
    asked = replace(asked, separator=asked.separator or separator)
    notes = []
    named = _find_names_in_comment(comments, line, asked)
    if named is not None:
        sample.insert(0, named)
        comments, n_above = comments[:-1], n_above - 1
    if comments:
        notes.append(f"lines skipped that start with #: {len(comments)}")
    dialect, dialect_notes = find_dialect(sample, asked)
    records = list(split_lines(sample, dialect.separator))
    n_header_lines = records[1][0] - 1 if len(records) > 1 else len(sample)
    layout = _Layout(
        file=file,
        n_lines_above=n_above + n_header_lines,
        names=records[0][1],
        width=max(len(record) for _, record in records),
        dialect=dialect,
    )
    return layout, [*notes, *dialect_notes]


def _skip_preamble(text: TextIO, name: str) -> tuple[list[str], str | None, str, int]:
    """Read up to the first line that is neither blank nor a comment.

    Returns
    -------
    comments : list of str
        The comments.
    separator : str or None
        The separator, if a first line as `sep=;`, which Excel understands, names it.
    line : str
        The first other line.
    n_above : int
        How many lines stand above it.
    """
    comments, separator, n_above = [], None, 0
    while line := text.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise CommandError(f"{name} has a line of over {_LONGEST_LINE} characters; split it")
        line = line.removeprefix("\ufeff")  # left where the user names the encoding
        content = line.strip()
        if n_above == 0 and len(content) <= 5 and content.lower().startswith("sep="):
            separator = line.strip("\r\n")[4:] or None
        elif content.startswith("#"):
            comments.append(line)
        elif content:
            return comments, separator, line, n_above
        n_above += 1
    if comments:
        raise CommandError(f"{name} has comments but no rows; add a line for each row")
    raise CommandError(f"{name} can't be read: it is empty or blank; add rows and columns")


def _take_sample(text: TextIO) -> list[str]:
    lines: list[str] = []
    n_characters = 0
    while line := text.readline(_LONGEST_LINE):
        lines.append(line)
        n_characters += len(line)
        if len(lines) == _MOST_SAMPLED_LINES or n_characters > _MOST_SAMPLED_CHARACTERS:
            break
    return lines


def _find_names_in_comment(comments: list[str], line: str, asked: TextFormat) -> str | None:
    """Return the last comment without its mark if it names the columns, as NumPy writes it."""
    if not comments:
        return None
    named = comments[-1].strip().lstrip("#").strip() + "\n"
    if not named.strip():
        return None
    separator = find_dialect([line, line], asked)[0].separator
    (_, names), (_, cells) = split_lines([named, line], separator)
    has_numbers = all(_is_number(cell) for cell in cells)
    is_named = len(names) == len(cells) > 1 and not any(_is_number(cell) for cell in names)
    return named if has_numbers and is_named else None


def _is_number(name: str) -> bool:
    return Dialect(",").is_number(name)


# The rows -----------------------------------------------------------------------------


def _read_rows(layout: _Layout, as_written: Collection[str]) -> tuple[pd.DataFrame, list[str]]:
    """Read the rows, whose cells must have names; return them and what was assumed."""
    try:
        frame = _parse(layout, layout.width, as_written)
    except pd.errors.ParserError as error:
        # Most often a row that is wider than those before it.
        width = max((len(record) for _, record in _scan_named(layout)), default=0)
        if width <= layout.width:
            raise CommandError(
                f"{layout.file.name} can't be read ({describe_error(error)}); "
                "check that each quote is closed"
            ) from error
        frame = _parse(layout, width, as_written)
    n_names = len(layout.names)
    notes = []
    if frame.shape[1] > n_names:
        if (frame.iloc[:, n_names:].to_numpy(dtype=object) != "").any():
            for _ in _scan_named(layout):
                pass
        frame = frame.iloc[:, :n_names]
        notes.append("separators at the end of lines are ignored")
    # Lines may end in fewer separators than the line of names.
    n_named = max((n for n, name in enumerate(layout.names, 1) if name.strip()), default=n_names)
    if frame.iloc[:, n_named - 1].isna().any():
        notes += _describe_short_rows(layout, n_named)
    return frame, notes


def _parse(layout: _Layout, width: int, as_written: Collection[str]) -> pd.DataFrame:
    dialect = layout.dialect
    names, _ = name_columns(layout.names)
    unnamed = range(len(layout.names), width)
    with layout.open_rows() as text, warnings.catch_warnings():
        # A first row that is too wide is a warning, a later one is an error.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            frame: pd.DataFrame = pd.read_csv(
                text,
                sep=dialect.separator,
                decimal=dialect.decimal,
                header=None,
                names=range(width),
                index_col=False,
                skipinitialspace=dialect.separator not in (" ", WHITESPACE),
                converters={index: str.strip for index in unnamed},
                dtype={index: "string" for index, name in enumerate(names) if name in as_written},
                # Nullable types: otherwise booleans with missing values would become text.
                dtype_backend="numpy_nullable",
                low_memory=False,
            )
        except pd.errors.ParserWarning as warning:
            raise pd.errors.ParserError(str(warning)) from warning
        except pd.errors.EmptyDataError:
            frame = pd.DataFrame()
    refuse_without_rows(layout.file.name, len(frame))
    return frame


def _scan_named(layout: _Layout) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows; raise an error for one that has more cells than there are names."""
    n_names = len(layout.names)
    for number, record in layout.scan():
        extra = record[n_names:]
        if any(cell.strip() for cell in extra) or len(extra) > _MOST_PADDING:
            columns, remedy = f"{n_names} columns", "name every column there, also one of row names"
            if n_names == 1:
                columns, remedy = "1 column", "delete what stands above the names of the columns"
            raise CommandError(
                f"line {number} of {layout.file.name} has {len(record)} cells, but its first line "
                f"names {columns} ({list_names(layout.names)}); {remedy}, and quote cells that "
                "hold the separator"
            )
        yield number, record


def _describe_short_rows(layout: _Layout, n_names: int) -> list[str]:
    short = [number for number, record in layout.scan() if len(record) < n_names]
    if not short:
        return []
    return [
        f"lines with fewer cells than there are names (the first is line {short[0]}): {len(short)}"
    ]


# The columns --------------------------------------------------------------------------


def _make_source(
    layout: _Layout, frame: pd.DataFrame, notes: list[str], as_written: Collection[str]
) -> Source:
    n_names = frame.shape[1]
    while n_names > 1 and not layout.names[n_names - 1].strip() and _is_empty(frame, n_names - 1):
        n_names -= 1
    if n_names < frame.shape[1] and "separators at the end of lines are ignored" not in notes:
        notes.append("separators at the end of lines are ignored")
    if n_names == 1:
        notes.append("no separator found between cells; --sep names one")
    names, name_notes = name_columns(layout.names[:n_names])
    frame = frame.iloc[:, :n_names].set_axis(names, axis=1)
    given = [name for name in layout.names if name.strip()]
    if all(map(layout.dialect.is_number, given)) and not _count_up(given):
        notes.append("the first line was taken for column names, though all of it is numbers")
    frame, texts = _convert_texts(frame, layout.dialect, as_written)
    return Source(
        layout.file.name,
        frame,
        dialect=layout.dialect,
        first_texts=_place_texts(layout, texts, names),
        notes=[*notes, *name_notes],
    )


def _is_empty(frame: pd.DataFrame, index: int) -> bool:
    return bool(frame.iloc[:, index].isna().all())


def _count_up(names: list[str]) -> bool:
    """Return whether names number the columns, from 0 or 1."""
    stripped = [name.strip() for name in names]
    return any(stripped == [str(first + n) for n in range(len(names))] for first in (0, 1))


def _convert_texts(
    frame: pd.DataFrame, dialect: Dialect, as_written: Collection[str]
) -> tuple[pd.DataFrame, dict[str, tuple[int, str]]]:
    """Convert text that is all numbers or all dates; find the first text in what is mostly numbers.

    pandas leaves numbers as text if they have separators of thousands, or as many digits as no
    integer has.
    """
    converted: dict[str, np.ndarray | pd.Series] = {}
    texts: dict[str, tuple[int, str]] = {}
    for name, column in frame.items():
        if name in as_written or not pd.api.types.is_string_dtype(column.dtype):
            continue
        cells: list[str | None] = column.astype(object).where(column.notna(), None).tolist()
        n_cells = len(cells) - cells.count(None)
        rows = (row for row, cell in enumerate(cells) if cell and not dialect.is_number(cell))
        first = next(rows, None)
        if first is None:
            values = [np.nan if cell is None else dialect.convert(cell) for cell in cells]
            converted[str(name)] = np.array(values)
        elif 1 + sum(1 for _ in rows) <= (1 - _SHARE_OF_NUMBERS) * n_cells:
            texts[str(name)] = first, str(cells[first])
        elif (dates := _convert_dates(column)) is not None:
            converted[str(name)] = dates
    return (frame.assign(**converted) if converted else frame), texts


def _convert_dates(column: pd.Series) -> pd.Series | None:
    """Return a column of text as dates, or None if a cell isn't one."""
    known = column.dropna()
    if not known.str.fullmatch(_DATE).all():
        return None
    try:
        return pd.to_datetime(column, format="ISO8601")
    except ValueError:  # such as February 30
        return None


def _place_texts(
    layout: _Layout, texts: dict[str, tuple[int, str]], names: list[str]
) -> dict[str, str]:
    """Return the cells in words, with the number of their line."""
    wanted = {row for row, _ in texts.values()}
    found: dict[int, tuple[int, list[str]]] = {}
    for row, (number, record) in enumerate(layout.scan() if wanted else ()):
        if row in wanted:
            found[row] = number, record
        if len(found) == len(wanted):
            break
    places = {}
    for name, (row, cell) in texts.items():
        number, record = found.get(row, (0, []))
        index = names.index(name)
        # pandas may have read odd quotes otherwise; then the line is not known.
        is_there = index < len(record) and record[index].strip() == cell.strip()
        places[name] = f"{quote(cell)} in line {number}" if is_there else quote(cell)
    return places

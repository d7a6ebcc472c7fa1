"""How the cells of a text are separated, and how its numbers are written."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from .arguments import CommandError, TextFormat
from .printing import quote

# Separates cells by any number of spaces and tabs; pandas knows it by this name.
WHITESPACE = r"\s+"

_SEPARATORS = (",", ";", "\t", "|")
_NAMES = {"\t": "tab", " ": "space", WHITESPACE: "spaces"}

# Digits with any marks between them, and an exponent.
_NUMBER = re.compile(r"[+-]?([\d.,'_ \u00a0\u202f]*)([eE][+-]?\d+)?", re.ASCII)
_GROUPING = (",", ".", "'", " ", "\u00a0", "\u202f", "_")
_COMPLEMENT = {",": ".", ".": ","}


@dataclass(frozen=True)
class Dialect:
    """How a text is written."""

    separator: str
    decimal: str = "."
    thousands: str | None = None

    def is_number(self, cell: str) -> bool:
        """Return whether a cell is a number."""
        return _compile_number(self.decimal, self.thousands).fullmatch(cell) is not None

    def convert(self, cell: str) -> float:
        """Return the number that a cell holds."""
        return float(cell.replace(self.thousands or "", "").replace(self.decimal, "."))


@cache
def _compile_number(decimal: str, thousands: str | None) -> re.Pattern[str]:
    point, digits = re.escape(decimal), r"\d*"
    if thousands is not None:
        digits = rf"(?:[1-9]\d{{0,2}}(?:{re.escape(thousands)}\d{{3}})+|\d*)"
    pattern = rf"\s*[+-]?(?={point}?\d){digits}(?:{point}\d*)?(?:[eE][+-]?\d+)?\s*"
    return re.compile(pattern, re.ASCII)


@contextmanager
def allow_long_cells() -> Iterator[None]:
    """Let Python's reader read cells as long as pandas does."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def split_lines(lines: Iterable[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each record, and the number of its first line, from 1.

    As in pandas, a blank line is no record.
    """
    if separator == WHITESPACE:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield number, line.split()
        return
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=separator != " ")
    number = 1
    with allow_long_cells():
        for record in reader:
            if len(record) > 1 or "".join(record).strip():
                yield number, record
            number = reader.line_num + 1


def find_dialect(lines: list[str], asked: TextFormat) -> tuple[Dialect, list[str]]:
    """Return how the first lines of a text are written, and what was assumed.

    Parameters
    ----------
    lines : list of str
        The line of the columns' names and some of those below it.
    asked : TextFormat
        What the user has said.
    """
    separator = asked.separator or _find_separator(lines)
    records = [record for _, record in split_lines(lines, separator)]
    dialect, notes = _find_marks(separator, records[1:], asked)
    if asked.separator is None and separator != ",":
        notes.insert(0, f"separator taken: {_name_mark(separator)}")
    return dialect, notes


# The separator ------------------------------------------------------------------------


def _find_separator(lines: list[str]) -> str:
    """Return the separator that splits each line into as many cells, most of them numbers."""
    scores = {separator: _rate_separator(lines, separator) for separator in _SEPARATORS}
    best = max(scores.values())
    if best == (0, 0, 0):
        return WHITESPACE if _are_columns_of_numbers(lines) else ","
    found = [separator for separator, score in scores.items() if score == best]
    if len(found) > 1 and best[2] > 0:
        names = " or ".join(_name_mark(separator) for separator in found)
        raise CommandError(
            f"cells may be separated by {names}; say which with --sep, and --decimal if the "
            "other is the decimal mark"
        )
    return found[0]


def _rate_separator(lines: list[str], separator: str) -> tuple[float, float, float]:
    """Return how well a separator explains the lines; all zero if it separates nothing."""
    header, *rows = [record for _, record in split_lines(lines, separator)]
    if len(header) == 1 and all(len(row) == 1 for row in rows):
        return 0, 0, 0
    fitting = [row for row in rows if len(row) == len(header) or _is_padded(row, len(header))]
    cells = [cell for row in rows for cell in row if cell.strip()]
    n_numbers = sum(read_marks(cell) is not None for cell in cells)
    return (
        1.0 if len(header) > 1 else 0.5,
        round(len(fitting) / max(1, len(rows)), 1),
        n_numbers / max(1, len(cells)),
    )


def _is_padded(row: list[str], width: int) -> bool:
    return len(row) > width and not any(cell.strip() for cell in row[width:])


def _are_columns_of_numbers(lines: list[str]) -> bool:
    header, *rows = [line.split() for line in lines if line.strip()]
    return len(header) > 1 and all(
        len(row) == len(header) and all(read_marks(cell) for cell in row) for row in rows
    )


def _name_mark(mark: str) -> str:
    return _NAMES.get(mark, repr(mark))


# The marks in numbers -----------------------------------------------------------------


@dataclass(frozen=True)
class Marks:
    """What a cell says of the marks; `either` may be the decimal mark or divide thousands."""

    decimal: str | None = None
    thousands: str | None = None
    either: str | None = None


def read_marks(cell: str) -> Marks | None:
    """Return what a cell says of the marks in numbers, or None if it is no number."""
    match = _NUMBER.fullmatch(cell.strip())
    if match is None or not any(c.isdigit() for c in match[1]):
        return None
    body, exponent = match[1], match[2]
    marks = [c for c in body if not c.isdigit()]
    if not marks:
        return Marks()
    first, last = marks[0], marks[-1]
    whole = body.rpartition(last)[0]
    if first != last:
        is_number = last in _COMPLEMENT and _is_grouped(whole, first)
        return Marks(decimal=last, thousands=first) if is_number else None
    if not _is_grouped(body, first) or exponent is not None:
        is_number = len(marks) == 1 and last in _COMPLEMENT
        return Marks(decimal=last) if is_number else None
    if len(marks) > 1 or first not in _COMPLEMENT:
        return Marks(thousands=first)
    # No number starts with a zero that is followed by a group of thousands.
    return Marks(decimal=last) if whole.startswith("0") else Marks(either=first)


def _is_grouped(digits: str, mark: str) -> bool:
    return re.fullmatch(rf"\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+", digits) is not None


def _find_marks(
    separator: str, rows: list[list[str]], asked: TextFormat
) -> tuple[Dialect, list[str]]:
    """Return the dialect with the marks of most columns, and what was assumed."""
    decimals: Counter[str] = Counter()  # in how many columns
    groupings: Counter[str] = Counter()
    either: dict[str, str] = {}  # a cell with each
    for index in range(max((len(row) for row in rows), default=0)):
        cells = [row[index] for row in rows if index < len(row) and row[index].strip()]
        found = [marks for cell in cells if (marks := read_marks(cell)) is not None]
        if 2 * len(found) < len(cells):
            continue  # a column of text
        decimals.update({marks.decimal for marks in found if marks.decimal})
        groupings.update({marks.thousands for marks in found if marks.thousands})
        for cell in cells:
            marks = read_marks(cell)
            if marks is not None and marks.either is not None:
                either.setdefault(marks.either, cell)
    decimal, notes = asked.decimal, list[str]()
    if decimal is None and asked.thousands in _COMPLEMENT:
        decimal = _COMPLEMENT[asked.thousands]
    if decimal is None:
        decimal, notes = _choose_decimal(separator, decimals, groupings, either)
    other = _COMPLEMENT[decimal]
    thousands = asked.thousands
    # A mark that is the decimal mark of other columns separates no thousands in these.
    if thousands is None and (groupings[other] or (other in either and not decimals[other])):
        thousands = other
    elif thousands is None:
        thousands = next((mark for mark, _ in groupings.most_common() if mark != decimal), None)
    if asked.decimal is None and decimal != ".":
        notes.insert(0, f"decimal mark taken: {decimal!r}")
    if asked.thousands is None and thousands is not None:
        notes.append(f"separator of thousands taken: {thousands!r}")
    return Dialect(separator, decimal, thousands), notes


def _choose_decimal(
    separator: str, decimals: Counter[str], groupings: Counter[str], either: dict[str, str]
) -> tuple[str, list[str]]:
    """Return the decimal mark, and a note if the cells leave it open."""
    commas = decimals[","] + groupings["."]
    points = decimals["."] + groupings[","]
    if commas or points:
        decimal = "," if commas > points else "."
        if decimals[","] and decimals["."]:
            return decimal, ["columns differ in their decimal mark; --decimal names one"]
        return decimal, []
    if "," in either and separator not in (",", ";"):
        cell = quote(either[","])
        raise CommandError(
            f"the comma in {cell} may be a decimal mark or separate thousands; "
            "pass --decimal ',' or --thousands ','"
        )
    if "," in either:
        # A semicolon separates cells where the comma is the decimal mark.
        other = "--thousands ','" if separator == ";" else "--decimal ','"
        note = f"numbers such as {quote(either[','])} may be meant otherwise: {other} says so"
        return ("," if separator == ";" else "."), [note]
    if "." in either and separator == ";":
        note = f"numbers such as {quote(either['.'])} may be meant otherwise: --decimal ',' says so"
        return ".", [note]
    return ".", []

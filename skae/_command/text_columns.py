"""Columns of text that are amounts or dates, as spreadsheets and web pages write them."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from pandas.api import types

from .arguments import TextFormat
from .dialect import Dialect, read_marks
from .printing import list_some, quote
from .source import Source
from .wording import describe_cell

# A column is of amounts or of dates if so many of its cells are; the others count as missing.
_NEARLY_ALL = 0.95

# A column of text with as many numbers was meant to be one of numbers.
_MOST = 0.5

# So many different cells have one unit in columns of amounts.
_CELLS_PER_UNIT = 3

# Different cells from which a column of another kind is known.
_N_SAMPLED = 200


@dataclass(frozen=True)
class AmountFormat:
    """How a column writes amounts: the marks in its numbers."""

    decimal: str
    thousands: str | None

    def read(self, cells: pd.Series) -> pd.Series:
        """Return text as numbers; NaN is no amount."""
        dialect = Dialect(",", self.decimal, self.thousands)
        parsed = {cell: _read_amount(cell, dialect) for cell in cells.unique()}
        return cells.map(parsed).astype(np.float64)


@dataclass(frozen=True)
class DateFormat:
    """How a column writes dates: its pattern, and for three numbers whether the day is first."""

    pattern: str
    day_first: bool | None = None

    def read(self, cells: pd.Series) -> pd.Series:
        """Return text as dates; NaT is none."""
        found = cells.astype(object).str.extract(_DATES[self.pattern])
        return _assemble(found, self.day_first)


Format = AmountFormat | DateFormat


@dataclass
class _Found:
    """What was found of the columns of text, by name."""

    columns: dict[str, pd.Series] = field(default_factory=dict)
    formats: dict[str, Format] = field(default_factory=dict)
    amounts: list[str] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    ambiguous_amounts: list[str] = field(default_factory=list)
    ambiguous_dates: list[str] = field(default_factory=list)
    unlike: list[str] = field(default_factory=list)
    first_texts: dict[str, str] = field(default_factory=dict)


def convert_texts(
    source: Source,
    asked: TextFormat,
    known: Mapping[str, Format] | None = None,
) -> tuple[Source, dict[str, Format]]:
    """Convert columns of text of which nearly all cells are amounts, or dates that read in one way.

    Parameters
    ----------
    source : Source
        The table.
    asked : TextFormat
        What the user has said of the marks in numbers, of the order in dates, and of columns that
        remain text.
    known : mapping of str to Format or None, default=None
        Columns that are written as those of another table. A cell that is not remains as it is.

    Returns
    -------
    source : Source
        The table with converted columns, and with notes of them.
    formats : dict of str to Format
        How these columns are written.
    """
    found = _Found()
    for label, column in source.columns.items():
        name = str(label)
        if name in asked.text or not _is_text(column):
            continue
        cells = column.dropna().astype(object).str.strip()
        if known is not None and name in known:
            found.columns[name] = _replace_readable(column, known[name].read(cells))
        elif len(cells):
            _convert_column(name, column, cells, asked, source.dialect, found)
    first_texts = {**source.first_texts, **found.first_texts}
    return (
        replace(
            source,
            columns=source.columns.assign(**found.columns) if found.columns else source.columns,
            first_texts={n: text for n, text in first_texts.items() if n not in found.columns},
            notes=[*source.notes, *_describe(found)],
        ),
        found.formats,
    )


def take_as_text(frame: pd.DataFrame, names: Collection[str]) -> pd.DataFrame:
    """Return a frame some columns of which are labels, as they are written."""
    texts = {
        name: column.astype("string")
        for name, column in frame.items()
        if name in names and not _is_text(column)
    }
    return frame.assign(**texts) if texts else frame  # type: ignore[arg-type]


def list_texts(frame: pd.DataFrame, first: pd.DataFrame) -> tuple[str, ...]:
    """Return the columns of a frame that are text in a first one, or not in it."""
    return tuple(
        str(name) for name in frame.columns if name not in first.columns or _is_text(first[name])
    )


def _is_text(column: pd.Series) -> bool:
    if types.is_object_dtype(column.dtype):
        return types.infer_dtype(column, skipna=True) == "string"
    return types.is_string_dtype(column.dtype)


def _convert_column(
    name: str,
    column: pd.Series,
    cells: pd.Series,
    asked: TextFormat,
    dialect: Dialect,
    found: _Found,
) -> None:
    sample = cells.drop_duplicates().iloc[:_N_SAMPLED]
    pattern = _find_pattern(sample)
    own: Format | None
    if pattern is not None:
        own = _find_date_format(cells, pattern, asked.day_first)
        if own is None:
            found.ambiguous_dates.append(f"{quote(name)} ({quote(cells.iloc[0])})")
            return
    else:
        amounts = [match for cell in sample if (match := _AMOUNT.fullmatch(cell))]
        if len(amounts) < _MOST * len(sample):
            return
        own, doubt = _find_amount_format(cells, asked, dialect)
        if own is None:
            if doubt:
                found.unlike.append(f"{quote(name)} ({doubt})")
            return
        if doubt:
            found.ambiguous_amounts.append(doubt)
    values = own.read(cells)
    is_broken = values.isna()
    n_broken = int(is_broken.sum())
    if n_broken > (1 - _NEARLY_ALL) * len(cells):
        if n_broken <= (1 - _MOST) * len(cells) and isinstance(own, AmountFormat):
            found.first_texts[name] = _place(cells[is_broken])
        return
    found.columns[name] = values.reindex(column.index)
    found.formats[name] = own
    # The longest amount shows most of how a column is read, and so does the last day of a month.
    readable = cells[~is_broken]
    telling = readable.str.len() if isinstance(own, AmountFormat) else values.dropna().dt.day
    example = readable.iloc[int(telling.to_numpy().argmax())]
    value = describe_cell(own.read(pd.Series([example])).iloc[0])
    text = f"{quote(name)} ({quote(example)} is {value}"
    if isinstance(own, AmountFormat):
        found.amounts.append(f"{text})")
    else:
        if _SHORT_YEAR.search(example):
            text += f"; {describe_cell(values.min())} to {describe_cell(values.max())}"
        found.dates.append(f"{text})")
    if n_broken:
        others = f", {n_broken} in all" if n_broken > 1 else ""
        found.broken.append(f"{quote(name)} ({_place(cells[is_broken])}{others})")


def _place(cells: pd.Series) -> str:
    return f"{quote(str(cells.iloc[0]))} in row {cells.index[0]}"


def _replace_readable(column: pd.Series, values: pd.Series) -> pd.Series:
    """Return a column as numbers or dates, or as it is but for those if others remain."""
    if values.notna().all():
        return values.reindex(column.index)
    own = column.astype(object).where(column.notna(), None)
    readable = values[values.notna()]
    own[readable.index] = readable.astype(object)
    return own


def _describe(found: _Found) -> list[str]:
    """Return what was converted, and what may be meant otherwise, a line for each."""
    lines = [
        ("text read as numbers (--text keeps it)", found.amounts),
        ("text read as dates (--text keeps it)", found.dates),
        ("cells of these columns that can't be read, and count as missing", found.broken),
        (
            "text that may be dates, taken for labels (--date-order day or month says what is "
            "first in them)",
            found.ambiguous_dates,
        ),
        ("text of numbers that do not compare, taken for labels", found.unlike),
    ]
    notes = [f"{heading}: {list_some(parts)}" for heading, parts in lines if parts]
    return [*notes, *dict.fromkeys(found.ambiguous_amounts)]


# Amounts ------------------------------------------------------------------------------

# Signs of currencies, but for those of hundredths, and what is written for some of them.
_SIGN = r"[$£¤¥֏؋৳฿៛\u20a0-\u20cf\ufdfc\uff04\uffe1\uffe5\uffe6]"
_CURRENCY = (
    rf"(?:[A-Z]{{0,2}}{_SIGN}|AED|ARS|AUD|BRL|CAD|CHF|CLP|CNY|COP|CZK|DKK|EGP|EUR|GBP|HKD|HUF|IDR|"
    r"ILS|INR|JPY|KRW|MXN|MYR|NGN|NOK|NZD|PHP|PKR|PLN|RON|RUB|SAR|SEK|SGD|THB|TRY|TWD|UAH|USD|VND|"
    r"ZAR|kr\.?|zł|Kč|Ft|Fr\.?|Rs\.?)"
)
# Neither 1st nor "1. Married" is an amount. Without cents, 2- is a grade and (2) a footnote.
_UNIT = (
    r"%|(?!(?:st|nd|rd|th)\b)[A-Za-z\u00b5\u03bc\u00b0][A-Za-z\u00b5\u03bc/]{0,7}[23\u00b2\u00b3]?"
)
_FACTORS = {None: 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9}
_MINUS = "[+\\-\u2212]"
_GAP = r"[\s\u00a0\u202f]*"
_AMOUNT = re.compile(
    rf"(?P<open>\()?{_GAP}(?P<sign>{_MINUS})?{_GAP}(?P<before>{_CURRENCY})?{_GAP}"
    rf"(?P<inner>{_MINUS})?{_GAP}(?P<digits>[.,]?\d[\d.,'\u2019_ \u00a0\u202f]*?)(?<=\d){_GAP}"
    rf"(?:(?P<last>(?<=[.,]\d\d)[-\u2212])|(?P<factor>(?<=\d)[kKMB](?![A-Za-z])))?{_GAP}"
    rf"(?:(?P<after>{_CURRENCY})|(?P<unit>{_UNIT}))?{_GAP}(?P<close>\))?",
    re.ASCII,
)
_SIGNS = ("sign", "inner", "last")
_SPACES = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2019": "'"})


def _read_digits(match: re.Match[str]) -> str:
    return match["digits"].translate(_SPACES)


def _read_amount(cell: str, dialect: Dialect) -> float:
    """Return the number that a cell holds, NaN if it holds none."""
    match = _AMOUNT.fullmatch(cell)
    if match is None or not dialect.is_number(digits := _read_digits(match)):
        return np.nan
    is_enclosed = match["open"] is not None
    signs = [sign for sign in match.group(*_SIGNS) if sign is not None]
    if is_enclosed != (match["close"] is not None) or len(signs) > 1:
        return np.nan
    # Accounts enclose negative amounts, or write the sign behind them.
    is_negative = is_enclosed or (signs[0] if signs else "+") != "+"
    value = dialect.convert(digits) * _FACTORS[match["factor"]]
    return -value if is_negative else value


def _is_debit(match: re.Match[str]) -> bool:
    """Return whether an amount is negative in a way that labels aren't written."""
    if match["open"] and match["close"]:
        return re.search(r"[.,]\d\d$", match["digits"]) is not None
    return match["last"] is not None or "\u2212" in (match["sign"], match["inner"])


def _find_amount_format(
    cells: pd.Series, asked: TextFormat, dialect: Dialect
) -> tuple[AmountFormat | None, str]:
    """Return how a column writes amounts, None if it is of none, and what is in doubt."""
    counts = Counter(cells)
    matches = {cell: match for cell in counts if (match := _AMOUNT.fullmatch(cell))}
    currencies = {match["before"] or match["after"] for match in matches.values()} - {None}
    units = Counter(match["unit"] for match in matches.values() if match["unit"])
    factors = {match["factor"] for match in matches.values()} - {None}
    has_sign = bool(currencies or units or factors) or any(map(_is_debit, matches.values()))
    read = {cell: read_marks(_read_digits(match)) for cell, match in matches.items()}
    marks = [found for found in read.values() if found is not None]
    decimals = {found.decimal for found in marks if found.decimal} & {",", "."}
    groupings = Counter(found.thousands for found in marks if found.thousands)
    either = {found.either for found in marks if found.either}
    decimal = asked.decimal or {",": ".", ".": ","}.get(asked.thousands or "")
    is_open = False
    if decimal is None and has_sign:
        # A comma that groups digits is no decimal mark, and neither is a point.
        decimals |= {other for mark, other in ((",", "."), (".", ",")) if groupings[mark]}
        if len(decimals) > 1:
            return None, "different decimal marks"
        is_open = bool(either) and not decimals
        decimal = decimals.pop() if decimals else None
    # A code or a list of numbers, such as 1,3, has no decimal mark.
    decimal = decimal or dialect.decimal
    thousands = asked.thousands or next(
        (mark for mark, _ in groupings.most_common() if mark != decimal), None
    )
    if thousands is None:
        thousands = next(iter(either - {decimal}), None)
    if not has_sign and not any(
        thousands is not None and thousands in _read_digits(match) for match in matches.values()
    ):
        return None, ""
    written = Dialect(",", decimal, thousands)
    # Of zero it doesn't matter what it counts; currencies are often left out.
    if units and any(
        not match["unit"] and _read_amount(cell, written) != 0 for cell, match in matches.items()
    ):
        return None, f"some with {units.most_common(1)[0][0]} and some without"
    signs = [*units, *map(str, currencies)]
    if len(signs) > 1:
        # A word for each number makes labels, such as "0 no" and "1 yes".
        are_amounts = len(matches) >= _CELLS_PER_UNIT * len(units)
        return None, list_some(sorted(signs)) if are_amounts else ""
    doubt = ""
    if is_open:
        cell = next(cell for cell, found in read.items() if found and found.either)
        other = {",": ".", ".": ","}[decimal]
        doubt = f"amounts such as {quote(cell)} may be meant otherwise: --decimal '{other}' says so"
    return AmountFormat(decimal, thousands), doubt


# Dates --------------------------------------------------------------------------------

_TIME = (
    r"(?:[T ,]\s*(?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d)(?P<fraction>\.\d{1,9})?)?"
    r"(?:\s?(?P<half>[AaPp])\.?[Mm]\.?)?\s?(?P<zone>Z|[+-]\d\d:?\d\d)?)?"
)
_YEAR = r"(?P<year>1[89]\d\d|2[01]\d\d)"
_YEARS = r"(?P<year>1[89]\d\d|2[01]\d\d|\d\d)"
_DATES = {
    name: re.compile(rf"^{pattern}{_TIME}$", re.ASCII)
    for name, pattern in {
        "year first": r"(?P<year>\d{4})(?P<mark>[-/.])(?P<month>\d\d?)(?P=mark)(?P<day>\d\d?)",
        "year last": rf"(?P<first>\d\d?)(?P<mark>[-/.])(?P<other>\d\d?)(?P=mark){_YEARS}",
        "day and name": rf"(?P<day>\d\d?)[ -](?P<name>[A-Za-z]{{3,9}})\.?,?[ -]{_YEARS}",
        "name and day": rf"(?P<name>[A-Za-z]{{3,9}})\.? (?P<day>\d\d?)(?:st|nd|rd|th)?,? {_YEAR}",
    }.items()
}
_SHORT_YEAR = re.compile(r"^(\d\d?[-/.]\d\d?[-/.]|\d\d?[ -][A-Za-z]+\.?,?[ -])\d\d(?!\d)")
_NAMES = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_MONTHS = {
    month[:length]: number
    for number, month in enumerate(_NAMES, 1)
    for length in range(3, len(month) + 1)
}
_CLOCK = ("hour", "minute", "second")

# Years of two digits from here on are of the last century, as in POSIX.
_LAST_CENTURY = 69


def _find_pattern(sample: pd.Series) -> str | None:
    """Return the pattern that most of these cells have, None if most are no dates."""
    counts = {name: int(sample.str.match(pattern).sum()) for name, pattern in _DATES.items()}
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] > _MOST * len(sample) else None


def _find_date_format(cells: pd.Series, pattern: str, day_first: bool | None) -> DateFormat | None:
    """Return how a column writes dates, None if the day or the month may be first."""
    if pattern != "year last":
        return DateFormat(pattern)
    if day_first is not None:
        return DateFormat(pattern, day_first)
    different = cells.drop_duplicates()
    parts = different.str.extract(_DATES[pattern])
    known = parts["year"].notna()
    if (parts["mark"][known] == ".").all():
        return DateFormat(pattern, day_first=True)  # nobody puts points behind months
    if (parts["year"][known].str.len() == 2).any():
        # Years of two digits may come first.
        swapped = parts.rename(columns={"first": "year", "other": "month", "year": "day"})
        if _assemble(swapped[known], None).notna().all():
            return None
    n_read = {order: int(_assemble(parts, order).notna().sum()) for order in (True, False)}
    least, n_all = _NEARLY_ALL * len(different), int(known.sum())
    fitting = [order for order in (True, False) if n_read[order] >= least]
    if len(fitting) > 1:
        fitting = [order for order in fitting if n_read[order] == n_all]
    return DateFormat(pattern, fitting[0]) if len(fitting) == 1 else None


def _assemble(parts: pd.DataFrame, day_first: bool | None) -> pd.Series:
    """Return the dates of what a pattern has found; NaT where it has found none."""
    if "first" in parts:
        names = ("day", "month") if day_first else ("month", "day")
        parts = parts.rename(columns=dict(zip(("first", "other"), names, strict=True)))
    if "name" in parts:
        parts = parts.assign(month=parts["name"].str.lower().map(_MONTHS))
    year, month, day, hour, minute, second = (
        pd.to_numeric(parts[name]) for name in ("year", "month", "day", *_CLOCK)
    )
    is_short = parts["year"].str.len() == 2
    year = year.where(~is_short, year + np.where(year >= _LAST_CENTURY, 1900, 2000))
    half = parts["half"].str.lower()
    is_time = (hour.isna() | (hour < 24)) & ~(minute >= 60) & ~(second >= 60)
    is_time &= half.isna() | hour.between(1, 12)
    # Of a clock with halves, 12 comes before 1.
    hour = hour.where(half.isna(), hour % 12 + 12 * (half == "p"))
    dates = pd.to_datetime(
        pd.DataFrame({"year": year, "month": month, "day": day}).where(is_time), errors="coerce"
    )
    second = second.fillna(0) + pd.to_numeric(parts["fraction"]).fillna(0)
    dates += pd.to_timedelta(3600 * hour.fillna(0) + 60 * minute.fillna(0) + second, unit="s")
    zones = parts["zone"]
    if zones.isna().all():
        return dates
    # A column is of instants only if all of its dates have a zone.
    return dates.where(zones.notna()).dt.tz_localize("UTC") - pd.to_timedelta(
        zones.map(_read_zone), unit="min"
    )


def _read_zone(zone: str | float) -> float:
    """Return the minutes that a zone is ahead of UTC; NaN of none."""
    if not isinstance(zone, str):
        return np.nan
    if zone == "Z":
        return 0.0
    minutes = 60 * int(zone[1:3]) + int(zone[-2:])
    return float(-minutes if zone[0] == "-" else minutes)

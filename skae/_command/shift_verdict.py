"""What is said of a second table: whether it differs, and how far that can be told."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import false_discovery_control

from .chance import SMALL, expect_share
from .column_shift import find_detectable
from .findings import MOST_DETECTABLE, SURE, ColumnShift
from .printing import list_names, list_some, quote
from .scored_rows import find_anomalous
from .second_table import SecondTable
from .tail_guess import count_far
from .wording import format_percent, name_kinds

#: The false-discovery rate of the rows that are called anomalies.
FALSE_DISCOVERY_RATE = 0.1

# The largest share of the rows that can stand out from the others of their table.
_FEW = 0.05


@dataclass(frozen=True)
class SecondRows:
    """The rows of a second table under the first one's model.

    Attributes
    ----------
    scores, p_values : ndarray of shape (n_rows,)
        Their scores and conformal p-values.
    known : ndarray of shape (n_known,)
        The scores of the rows that calibrate.
    """

    scores: np.ndarray
    p_values: np.ndarray
    known: np.ndarray

    @property
    def least(self) -> float:
        """The smallest possible p-value."""
        return 1 / (len(self.known) + 1)

    @property
    def n_needed(self) -> int:
        """How many rows must have the smallest possible p-value for any to be called anomalous."""
        return math.ceil(len(self.scores) * self.least / FALSE_DISCOVERY_RATE - 1e-9)


def conclude(
    tables: SecondTable, rows: SecondRows, rows_differ: bool, columns: list[ColumnShift]
) -> tuple[str, ...]:
    """Return the answer in words, and what it rests on."""
    scope = _measure_scope(tables, rows, columns)
    return (
        _answer(tables, scope, rows, rows_differ, columns)
        + _name_unlike(tables)
        + _name_apart(tables)
        + _name_outstanding(tables, rows),
        _describe_scope(tables, scope, rows, columns),
        *_describe_p_values(rows),
        *_describe_anomalies(tables, rows),
    )


def count_discoveries(p_values: np.ndarray) -> int:
    """Return how many rows are anomalies, as `AEAnomalyDetector.discoveries` finds them."""
    return int((false_discovery_control(p_values) <= FALSE_DISCOVERY_RATE).sum())


@dataclass(frozen=True)
class _Scope:
    """How much of two tables could be compared.

    Attributes
    ----------
    compared, others : tuple of str
        Columns of the first table that could be compared, and those that could not.
    has_enough_rows : bool
        Whether a difference between the rows would have been noticed, unless it is small.
    """

    compared: tuple[str, ...]
    others: tuple[str, ...]
    has_enough_rows: bool

    @property
    def n_columns(self) -> int:
        """Number of columns, without identifiers."""
        return len(self.compared) + len(self.others)

    @property
    def has_enough_columns(self) -> bool:
        """Whether most columns could be compared."""
        return len(self.compared) > len(self.others)


def _measure_scope(tables: SecondTable, rows: SecondRows, columns: list[ColumnShift]) -> _Scope:
    kinds = name_kinds(tables.encoding.kinds)
    others = [column.name for column in columns if not column.is_compared]
    others += [name for name in tables.lost if kinds[name] != "identifier"]
    detectable = find_detectable(len(rows.known), len(rows.scores), 1 + len(columns))
    return _Scope(
        compared=tuple(column.name for column in columns if column.is_compared),
        others=tuple(others),
        has_enough_rows=detectable <= MOST_DETECTABLE,
    )


def _answer(
    tables: SecondTable,
    scope: _Scope,
    rows: SecondRows,
    rows_differ: bool,
    columns: list[ColumnShift],
) -> str:
    """Return whether the tables differ, or why that can't be told."""
    second, first = tables.name, tables.first_name
    moved = [column for column in columns if column.p_value < SURE]
    reasons = _explain_ignorance(tables, scope, rows)
    if not moved and not rows_differ:
        if reasons:
            return f"Whether {second} differs from {first} can't be told: {' and '.join(reasons)}."
        where = f" in {len(scope.compared)} of {scope.n_columns} columns" if scope.others else ""
        return (
            f"{second} does not surely differ from {first}{where}: its rows do not surely "
            "differ, and no column has surely changed."
        )
    parts = []
    if moved:
        changed = f"{len(moved)} of {scope.n_columns} columns"
        most = ", most of all" if len(moved) > 1 else ":"
        parts.append(f"{changed} changed{most} {quote(moved[0].name)}")
    else:
        parts.append("no column has surely changed")
    # The p-values of rows like those of the first table average one half.
    if rows_differ:
        likeness = "stranger" if rows.p_values.mean() < 0.5 else "more usual"
        parts.insert(0, f"its rows are {likeness}")
    elif scope.has_enough_rows:
        parts.append("its rows do not surely differ")
    link = ", and " if rows_differ == bool(moved) else ", but "
    return f"{second} differs from {first}: {link.join(parts)}."


def _name_unlike(tables: SecondTable) -> str:
    """Return which columns are of another kind: no test tells how much these have changed."""
    if not tables.unlike:
        return ""
    have = "have" if len(tables.unlike) > 1 else "has"
    return (
        f" {list_names(tables.unlike)} {have} values of another kind than in {tables.first_name}."
    )


def _name_apart(tables: SecondTable) -> str:
    """Return which columns have no value in common: rows can't be judged by these."""
    if not tables.apart:
        return ""
    have = "have" if len(tables.apart) > 1 else "has"
    return (
        f" {list_names(tables.apart)} {have} no value in common with {tables.first_name}, as dates "
        "of two periods have none; the rows are judged by the other columns."
    )


def _name_outstanding(tables: SecondTable, rows: SecondRows) -> str:
    """Return which rows are wrong by themselves, whether or not the table has moved."""
    n_rows = len(rows.scores)
    n_outstanding = count_discoveries(rows.p_values) or count_far(rows.scores, rows.known)
    sentences = ""
    # Where many are, the table has moved.
    if 0 < n_outstanding <= max(1, _FEW * n_rows):
        order = find_anomalous(rows.p_values, rows.scores)
        labels = [str(label) for label in tables.frame.index[order]]
        alone = "A single row stands" if n_outstanding == 1 else f"{n_outstanding} rows stand"
        sentences += f" {alone} out: {_name_rows(labels, n_outstanding)}."
    if tables.broken:
        sentences += f" Cells that can't be read: {list_some(list(tables.broken))}."
    return sentences


def _explain_ignorance(tables: SecondTable, scope: _Scope, rows: SecondRows) -> list[str]:
    """Return why a difference could have gone unnoticed; nothing if only a small one could."""
    reasons = []
    if not scope.has_enough_rows:
        sides = [(len(rows.scores), tables.name), (len(rows.known), tables.first_name)]
        n_rows, name = min(sides, key=lambda side: side[0])
        rest = " that its model has not seen" if n_rows < len(rows.scores) else ""
        reasons.append(
            f"{n_rows} rows of {name}{rest} are too few"
            if n_rows > 1
            else f"a single row of {name}{rest} is too little"
        )
    if not scope.has_enough_columns:
        n_compared = f"only {len(scope.compared)}" if scope.compared else "none"
        reasons.append(f"{n_compared} of {scope.n_columns} columns could be compared")
    return reasons


def _describe_scope(
    tables: SecondTable, scope: _Scope, rows: SecondRows, columns: list[ColumnShift]
) -> str:
    """Return how much was compared, and which change would go unnoticed."""
    text = (
        f"Compared: {_count_rows(len(rows.scores))} with {_count_rows(len(rows.known))} of "
        f"{tables.first_name} that its model has not seen, and {len(scope.compared)} of "
        f"{scope.n_columns} columns"
    )
    if scope.others:
        text += f", without {list_names(scope.others)}"
    # What goes unnoticed among labels depends on how many there are, and how frequent.
    unmoved = [
        c.detectable for c in columns if c.is_ordered and c.is_compared and c.p_value >= SURE
    ]
    if unmoved:
        text += (
            "; a column of numbers or dates that has moved by a distance of less than about "
            f"{max(unmoved):.2f} may go unnoticed (0 is no change, 1 no value in common)"
        )
    return f"{text}."


def _describe_p_values(rows: SecondRows) -> list[str]:
    """Return how many rows are unlike those of the first table, and how many chance gives."""
    n_rows, n_known = len(rows.p_values), len(rows.known)
    chance = expect_share(SMALL, n_known)
    if chance == 0:
        return [f"{n_known} rows to compare with are too few for p-values of at most {SMALL:g}."]
    if n_rows * SMALL < 1:
        return []  # not one row is expected
    error = 2 * math.sqrt(chance * (1 - chance) * (1 / n_rows + 1 / n_known))
    share = float((rows.p_values <= SMALL).mean())
    return [
        f"{format_percent(share)} of its rows have a p-value of at most {SMALL:g}, where chance "
        f"gives {format_percent(chance)} ± {format_percent(error)}."
    ]


def _describe_anomalies(tables: SecondTable, rows: SecondRows) -> list[str]:
    """Return which rows are called anomalous, or how far that can be told."""
    order = find_anomalous(rows.p_values, rows.scores)
    labels = [str(label) for label in tables.frame.index[order]]
    n_found = count_discoveries(rows.p_values)
    found = f"{n_found or 'No'} {'rows are' if n_found > 1 else 'row is'}"
    text = f"{found} called anomalous at a false-discovery rate of {FALSE_DISCOVERY_RATE:g}"
    if n_found:
        return [f"{text}: {_name_rows(labels, n_found)}."]
    n_beyond = int((rows.p_values <= rows.least * (1 + 1e-9)).sum())
    if not n_beyond:
        return [f"{text}."]
    chance = rows.least * len(rows.scores)
    needed = (
        f"and {rows.n_needed} rows must have it"
        if rows.n_needed <= len(rows.scores)
        else "which is too large for any row to be called"
    )
    sentences = [
        f"{text}: with {_count_rows(len(rows.known))} to compare with, the smallest "
        f"possible p-value is {rows.least:.2g}, {needed}.",
        f"{_count_rows(n_beyond)} {'are' if n_beyond > 1 else 'is'} stranger than all of these, "
        f"where chance gives {_format_count(chance)}: {_name_rows(labels, n_beyond)}.",
    ]
    # Far beyond all known rows only their tail tells how strange a row is.
    n_far = count_far(rows.scores, rows.known)
    if n_far:
        sentences.append(
            f"{_count_rows(n_far)} {'are' if n_far > 1 else 'is'} so far beyond that chance is an "
            "unlikely reason, as a rough guess from how the scores fall off: "
            f"{_name_rows(labels, n_far)}."
        )
    return sentences


def _name_rows(labels: list[str], n_rows: int) -> str:
    """Return the strangest rows, and how many more there are."""
    return f"row{'s' if n_rows > 1 else ''} {list_some(labels[:n_rows], n_rows)}"


def _format_count(expected: float) -> str:
    """Return a mean count with two significant digits, and one behind the point at least."""
    return f"{expected:.1f}" if expected >= 1 else f"{float(f'{expected:.2g}')}"


def _count_rows(n_rows: int) -> str:
    return f"{n_rows} row{'s' if n_rows > 1 else ''}"

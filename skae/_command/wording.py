"""Cells, columns and shares in a few words."""

from datetime import datetime
from typing import Any

import pandas as pd

from .printing import quote

MISSING = "missing"

# Whole numbers beyond this have digits that a double does not hold.
_MOST_EXACT = 1e15

# Labels that a change is told by.
_MOST_LABELS = 3

#: Kinds whose values are labels; those of the others have an order.
LABELS = ("boolean", "category", "identifier", "empty")

_KINDS = {
    "numbers": "number",
    "booleans": "boolean",
    "categories": "category",
    "dates": "date",
    "times of day": "time of day",
    "durations": "duration",
    "periods": "period",
    "identifiers": "identifier",
    "empty": "empty",
}


def name_kinds(kinds: dict[str, str]) -> dict[str, str]:
    """Return what each column was taken for, in the singular."""
    return {name: _KINDS[kind] for name, kind in kinds.items()}


def describe_cell(value: Any) -> str:
    """Return a cell as its table would write it."""
    if pd.isna(value):
        return MISSING
    if isinstance(value, float):
        is_whole = value == round(value) and abs(value) < _MOST_EXACT
        return str(int(value)) if is_whole else f"{value:.6g}"
    if isinstance(value, datetime) and value == value.replace(
        hour=0, minute=0, second=0, microsecond=0
    ):
        return value.strftime("%Y-%m-%d")
    return str(value)


def describe_cells(column: pd.Series) -> list[str]:
    """Return all cells of a column as their table would write them."""
    return [describe_cell(value) for value in column]


def describe_values(column: pd.Series, kind: str) -> str:
    """Return what values a column has, such as "0 to 99, median 35"."""
    values = column.dropna()
    if len(values) == 0:
        return "no value"
    if kind in LABELS:
        counts = values.map(describe_cell).value_counts()
        first = quote(str(counts.index[0]))
        if len(counts) == 1:
            return f"always {first}"
        if kind == "identifier":
            return f"{len(counts)} labels, one for nearly every row"
        return f"{len(counts)} labels, most often {first}"
    least, median, largest = _find_quantiles(values, (0.0, 0.5, 1.0))
    if least == largest:
        return f"always {least}"
    return f"{least} to {largest}, median {median}"


def contrast_values(before: pd.Series, after: pd.Series, kind: str) -> tuple[str, str]:
    """Return the values of a column in two tables, in the words in which they differ most."""
    if kind in LABELS:
        shares = share_labels(before, after)
        order = (shares["after"] - shares["before"]).abs().sort_values(ascending=False)
        chosen = shares.loc[order.index[:_MOST_LABELS]]
        names = [MISSING if name is None else quote(name) for name in chosen.index]
        return (
            ", ".join(map(_give_share, names, chosen["before"])),
            ", ".join(map(_give_share, names, chosen["after"])),
        )
    return _describe_spread(before, after), _describe_spread(after, before)


def share_labels(before: pd.Series, after: pd.Series) -> pd.DataFrame:
    """Return the share of each label in two columns; that of missing cells is named None."""
    counts = count_labels(before, after)
    return counts / counts.sum()


def count_labels(before: pd.Series, after: pd.Series) -> pd.DataFrame:
    """Return how often each label is in two columns; missing cells are counted as None."""
    named = {
        name: pd.Series(
            [None if text == MISSING and pd.isna(value) else text for value, text in cells],
            dtype=object,
        ).value_counts(dropna=False)
        for name, cells in (
            ("before", zip(before, describe_cells(before), strict=True)),
            ("after", zip(after, describe_cells(after), strict=True)),
        )
    }
    return pd.DataFrame(named).fillna(0.0)


def _describe_spread(column: pd.Series, other: pd.Series) -> str:
    """Return the median and the quartiles, and the share of missing cells if either has any."""
    values, text = column.dropna(), "no value"
    if len(values):
        low, median, high = _find_quantiles(values, (0.25, 0.5, 0.75))
        text = f"median {median}, half within {low} to {high}"
    if column.isna().any() or other.isna().any():
        text += f", {_give_share(MISSING, float(column.isna().mean()))}"
    return text


def _find_quantiles(values: pd.Series, shares: tuple[float, ...]) -> list[str]:
    """Return values of an ordered column, as texts; they are its own."""
    ordered = values.sort_values()
    last = len(ordered) - 1
    return [describe_cell(ordered.iloc[round(share * last)]) for share in shares]


def _give_share(name: str, share: float) -> str:
    return f"{name} {format_percent(share)}"


def format_percent(share: float) -> str:
    """Return a share in percent, with a digit behind the point where it is small."""
    percent = 100 * share
    return f"{percent:.0f}%" if percent >= 10 or percent == 0 else f"{percent:.1f}%"

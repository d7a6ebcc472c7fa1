"""Cells, columns and shares in a few words."""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from .printing import quote

MISSING = "missing"

# Whole numbers beyond this have digits that a double does not hold.
_MOST_EXACT = 1e15

# Labels that describe a change.
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
        is_whole = abs(value) < _MOST_EXACT and value == round(value)
        return str(int(value)) if is_whole else f"{value:.6g}"
    if isinstance(value, pd.Timestamp) and value == value.normalize():
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
    if kind not in LABELS:
        return _describe_spread(before, after), _describe_spread(after, before)
    labels, counts = count_labels(before, after)
    shares = counts / counts.sum(axis=0)
    most = np.argsort(-np.abs(shares[:, 1] - shares[:, 0]), kind="stable")[:_MOST_LABELS]
    names = [MISSING if labels[n] is None else quote(str(labels[n])) for n in most]
    first, second = (", ".join(map(_give_share, names, own)) for own in shares[most].T)
    return first, second


def count_labels(before: pd.Series, after: pd.Series) -> tuple[list[str | None], np.ndarray]:
    """Return the labels of two columns, and how often each is in either; None is missing."""
    counts = [
        Counter(
            None if is_missing else text
            for text, is_missing in zip(describe_cells(column), column.isna(), strict=True)
        )
        for column in (before, after)
    ]
    labels = list(dict.fromkeys([*counts[0], *counts[1]]))
    return labels, np.array([[own[label] for own in counts] for label in labels], dtype=float)


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
    """Return quantiles of an ordered column, as texts.

    They are values of the column, but for the median of numbers if it lies between two of them.
    """
    ordered = values.sort_values()
    last = len(ordered) - 1
    found = [ordered.iloc[round(share * last)] for share in shares]
    if pd.api.types.is_numeric_dtype(values.dtype) and 0.5 in shares:
        lower, upper = ordered.iloc[last // 2], ordered.iloc[(last + 1) // 2]
        found[shares.index(0.5)] = lower if lower == upper else float(values.median())
    return [describe_cell(value) for value in found]


def _give_share(name: str, share: float) -> str:
    return f"{name} {format_percent(share)}"


def format_percent(share: float) -> str:
    """Return a share in percent, with a digit behind the point where it is small."""
    percent = 100 * share
    return f"{percent:.0f}%" if percent >= 10 or percent == 0 else f"{percent:.1f}%"

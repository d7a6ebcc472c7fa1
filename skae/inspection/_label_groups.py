"""Labels of points, as a scale of colours or as a few groups."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

# More groups than this can't be told apart.
MOST_GROUPS = 10
_LONGEST_NAME = 20


@dataclass(frozen=True)
class Group:
    """Points that are drawn alike; the rest are those that have no colour of their own."""

    name: str
    members: np.ndarray
    is_rest: bool = False


@dataclass(frozen=True)
class ColourScale:
    """A number for each point, NaN where there is none, and where the colours end."""

    values: np.ndarray
    lowest: float
    highest: float


def labels_as_groups(labels: Any) -> list[Group] | ColourScale:
    """Return groups of points, the rest first; many different numbers are a scale.

    Names that are too many for colours keep them for the most frequent ones.
    """
    labels = np.asarray(labels)
    if labels.dtype.kind == "b":
        labels = labels.astype(object)
    numbers, values = pd.factorize(labels, sort=True)
    if len(values) > MOST_GROUPS and labels.dtype.kind in "iuf":
        return _scale(labels.astype(np.float64))
    frequency = np.bincount(numbers[numbers >= 0], minlength=len(values))
    shown = np.arange(len(values))
    if len(values) > MOST_GROUPS:
        # One colour fewer than there might be: "others" is a group as well.
        shown = np.sort(np.argsort(-frequency, kind="stable")[: MOST_GROUPS - 1])
    groups = []
    if (numbers < 0).any():
        groups.append(Group("no value", numbers < 0, is_rest=True))
    n_others = len(values) - len(shown)
    if n_others:
        others = (numbers >= 0) & ~np.isin(numbers, shown)
        groups.append(Group(f"{n_others} others", others, is_rest=True))
    return groups + [Group(_short(values[number]), numbers == number) for number in shown]


def _scale(values: np.ndarray) -> ColourScale:
    finite = values[np.isfinite(values)]
    # One far value would leave all others the same colour.
    lowest, highest = np.percentile(finite, [1, 99])
    return ColourScale(values, float(lowest), float(highest))


def _short(value: Any) -> str:
    name = f"{value:g}" if isinstance(value, float | np.floating) else str(value)
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 3] + "..."

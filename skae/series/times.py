"""The times of a series, where the index of a frame has them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .._environment import warn_user

# Times are regular if so many of the steps between them are alike, within a tenth. Business days
# are not: a weekend is no hole.
_REGULAR_SHARE = 0.9

# A longer step is a hole, in steps of regular times.
_LONGEST_STEP = 1.5

# Times jitter if so many steps are within a factor of two of the usual one, which those of
# independent events are not. A longer step is a hole then.
_LONGEST_JITTERED_STEP = 10


@dataclass(frozen=True)
class TimeFault:
    """Steps in time that windows should not reach across.

    Attributes
    ----------
    count : int
        How many there are.
    where : str
        The two times at the first of them.
    remedy : str
        What else to do about them than to cut the series.
    """

    count: int
    where: str
    remedy: str


def warn_of_times(indices: Sequence[pd.Index | None], is_list: bool) -> None:
    """Warn if times go back, or if regular ones have holes: windows take rows as they come.

    Parameters
    ----------
    indices : sequence of pandas.Index or None
        The index of each recording; one without times says nothing.
    is_list : bool
        Whether the recordings came as a list.
    """
    backward, holes = {}, {}
    for number, index in enumerate(indices):
        if not isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex | pd.PeriodIndex):
            continue
        steps = np.diff(index.asi8)
        if index.hasnans:
            continue
        if (steps < 0).any():
            backward[number] = _describe(index, steps < 0, steps, "sort it, with sort_index()")
        elif (is_hole := _find_holes(steps)).any():
            # Only a series of points in time has an asfreq that adds rows.
            method = "asfreq" if isinstance(index, pd.DatetimeIndex) else "reindex"
            remedy = f"add the times with missing cells, with {method}"
            holes[number] = _describe(index, is_hole, steps, remedy)
    if backward:
        first = next(iter(backward.values()))
        name, place = _name(list(backward), len(indices), is_list)
        warn_user(
            f"{name} must be in the order of time, got {first.where} in {place}: "
            f"{first.remedy}, or pass several recordings as a list",
            UserWarning,
        )
    if holes:
        first = next(iter(holes.values()))
        name, place = _name(list(holes), len(indices), is_list)
        if len(holes) > 1:
            has = "have holes in time, the first"
        elif first.count > 1:
            has = f"has {first.count} holes in time, the first"
        else:
            has = "has a hole in time,"
        warn_user(
            f"{name} {has} {first.where} in {place}, which windows reach across: split the series "
            f"there into recordings, a list of frames, or {first.remedy}",
            UserWarning,
        )


def _find_holes(steps: np.ndarray) -> np.ndarray:
    """Return which steps are longer than those of regular or jittered times."""
    # Several rows may have one time, up to its last digit.
    positive = steps[steps > 0]
    if len(positive) == 0:
        return np.zeros(len(steps), dtype=bool)
    usual = np.median(positive)
    if (np.abs(positive - usual) <= 0.1 * usual).mean() >= _REGULAR_SHARE:
        return steps > _LONGEST_STEP * usual
    if ((positive >= usual / 2) & (positive <= 2 * usual)).mean() >= _REGULAR_SHARE:
        return steps > _LONGEST_JITTERED_STEP * usual
    return np.zeros(len(steps), dtype=bool)


def _describe(index: pd.Index, is_meant: np.ndarray, steps: np.ndarray, remedy: str) -> TimeFault:
    first = int(is_meant.argmax())
    if _is_clock_change(index, steps, is_meant):
        remedy = (
            f"give local times their zone, with tz_localize, if clocks change there, or {remedy}"
        )
    return TimeFault(int(is_meant.sum()), f"{index[first + 1]} after {index[first]}", remedy)


def _is_clock_change(index: pd.Index, steps: np.ndarray, is_meant: np.ndarray) -> bool:
    """Whether a step may be due to clocks that change by an hour."""
    if not isinstance(index, pd.DatetimeIndex) or index.tz is not None:
        return False
    excess = np.abs(steps - np.median(np.abs(steps[steps != 0])))
    return bool((excess[is_meant] == pd.Timedelta(hours=1) / pd.Timedelta(1, index.unit)).any())


def _name(numbers: list[int], n_recordings: int, is_list: bool) -> tuple[str, str]:
    """Return what to call recordings, and where the first of them has its times."""
    if not is_list:
        return "X", "its index"
    if len(numbers) == 1:
        return f"recording {numbers[0]} of X", "its index"
    return f"{len(numbers)} of {n_recordings} recordings of X", f"the index of number {numbers[0]}"

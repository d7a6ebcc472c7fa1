"""The times of a series, where the index of a frame has them."""

import numpy as np
import pandas as pd

from .._environment import warn_user

# Times are regular if so many of the steps between them are alike, within a tenth. Business days
# are not: a weekend is no hole.
_REGULAR_SHARE = 0.9

# A longer step is a hole, in steps of regular times.
_LONGEST_STEP = 1.5


def warn_of_times(index: pd.Index, name: str) -> None:
    """Warn if times go back, or if regular ones have holes: windows take rows as they come.

    Parameters
    ----------
    index : pandas.Index
        The index of a series; one without times says nothing.
    name : str
        What to call the series.
    """
    if not isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex | pd.PeriodIndex):
        return
    steps = np.diff(index.asi8)
    if index.hasnans or len(steps) == 0:
        return
    if (steps < 0).any():
        warn_user(
            f"{name} must be in the order of time, got {_show(index, steps < 0)} in its index: "
            "sort it, with sort_index(), or pass several recordings as a list",
            UserWarning,
        )
        return
    usual = np.median(steps)
    is_hole = steps > _LONGEST_STEP * usual
    is_regular = (np.abs(steps - usual) <= 0.1 * usual).mean() >= _REGULAR_SHARE
    if is_hole.any() and is_regular:
        number = "a hole" if is_hole.sum() == 1 else f"{is_hole.sum()} holes, the first"
        warn_user(
            f"{name} has {number} in time, {_show(index, is_hole)} in its index, and windows "
            "reach across it: split the series there into recordings, a list of frames, or add "
            "the times with missing cells, with asfreq",
            UserWarning,
        )


def _show(index: pd.Index, is_meant: np.ndarray) -> str:
    """Return the two times at the first step that is meant."""
    first = int(is_meant.argmax())
    return f"{index[first + 1]} after {index[first]}"

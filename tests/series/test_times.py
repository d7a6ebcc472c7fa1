"""An index of times says where windows would not be what they seem."""

import warnings

import numpy as np
import pandas as pd
import pytest

from skae.series import Windows

HOURS = pd.date_range("2025-03-01", periods=40, freq="h")
LATER = pd.date_range("2025-03-05", periods=40, freq="h")


def make_frame(index):
    return pd.DataFrame({"a": np.arange(float(len(index)))}, index=index)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (
            HOURS[::-1],
            "X must be in the order of time, got 2025-03-02 14:00:00 after 2025-03-02 15",
        ),
        (HOURS.append(HOURS), "got 2025-03-01 00:00:00 after 2025-03-02 15:00:00"),
        (HOURS.append(LATER), "X has a hole in time, 2025-03-05 00:00:00 after 2025-03-02 15:00"),
        (HOURS.delete([9, 20, 21]), "3-01 10:00:00 after 2025-03-01 08:00:00 in its index"),
        (HOURS.delete([9, 20, 21]), "X has 2 holes, the first in time"),
        (HOURS.append(LATER).tz_localize("CET"), "X has a hole in time"),
        (HOURS.append(LATER).to_period("h"), "X has a hole in time, 2025-03-05 00:00 after"),
        (HOURS.append(LATER) - HOURS[0], "X has a hole in time, 4 days 00:00:00 after 1 days 15"),
    ],
)
def test_times_that_go_back_and_holes_are_named(index, message):
    frame = make_frame(index)
    with pytest.warns(UserWarning, match=message) as caught:
        windows = Windows(5).fit(frame)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match=message):
        windows.transform(frame)
    with pytest.warns(UserWarning, match=message):
        Windows(5).fit(frame["a"])


@pytest.mark.parametrize(
    "index",
    [
        HOURS,
        HOURS.repeat(2),
        pd.bdate_range("2025-03-03", periods=40),
        pd.date_range("2025-01-01", periods=40, freq="MS"),
        pd.DatetimeIndex(np.random.default_rng(0).choice(10**15, size=40)).sort_values(),
        HOURS.append(LATER).insert(3, pd.NaT),
        pd.RangeIndex(40)[::-1],
        HOURS.append(LATER).astype(str),
        HOURS[:5],
    ],
)
def test_other_indices_say_nothing(index):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Windows(5).fit(make_frame(index))


def test_recordings_have_their_own_times():
    first, second = make_frame(HOURS), make_frame(LATER)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Windows(5).fit([second, first])
    with pytest.warns(UserWarning, match="recording 1 of X must be in the order of time"):
        Windows(5).fit([first, second[::-1]])

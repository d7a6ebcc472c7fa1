"""An index of times says where windows would not be what they seem."""

import warnings

import numpy as np
import pandas as pd
import pytest

from skae import AutoencoderTransformer
from skae.series import SeriesAnomalyDetector, Windows

LINEAR = AutoencoderTransformer(2, hidden_layer_sizes=())

HOURS = pd.date_range("2025-03-01", periods=40, freq="h")
LATER = pd.date_range("2025-03-05", periods=40, freq="h")

# Twenty rows a second, with whole seconds.
SECONDS = pd.date_range("2025-03-01", periods=400, freq="50ms").floor("s")

# Every ten minutes or so.
JITTERED = pd.date_range("2025-03-01", periods=200, freq="10min") + pd.to_timedelta(
    np.random.default_rng(0).uniform(-150, 150, size=200), unit="s"
)

# Clocks of a place that go back by an hour.
BACK = pd.date_range("2025-10-25", periods=120, freq="15min", tz="Europe/Berlin").tz_localize(None)


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
        (HOURS.delete([9, 20, 21]), "X has 2 holes in time, the first 2025-03-01 10:00:00 after"),
        (
            HOURS.delete(9),
            "zone, with tz_localize, if clocks change there, or add the times with missing",
        ),
        (HOURS.insert(9, HOURS[8]).delete(10), "X has a hole in time, .* 10:00:00 after .* 08:00"),
        (SECONDS.delete(slice(100, 180)), "X has a hole in time, .* 00:00:09 after .* 00:00:04 "),
        (JITTERED.append(JITTERED + pd.Timedelta(days=3)), "X has a hole in time, 2025-03-04"),
        (HOURS.append(LATER), "missing cells, with asfreq"),
        (HOURS.append(LATER).to_period("h"), "missing cells, with reindex"),
        (HOURS.append(LATER) - HOURS[0], "missing cells, with reindex"),
        (
            BACK,
            "02:00:00 after .* 02:45:00 in its index: give local times their zone, with tz_lo",
        ),
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
        SECONDS,
        HOURS[:1].repeat(40),
        JITTERED,
        pd.DatetimeIndex(np.random.default_rng(0).exponential(1e11, 5000).cumsum().astype(int)),
        pd.date_range("2025-03-29", periods=40, freq="h", tz="Europe/Berlin"),
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
    with pytest.warns(UserWarning, match="recording 1 of X has 2 holes in time, the first"):
        Windows(5).fit([first, second.drop(index=LATER[[7, 9]])])


def test_many_recordings_are_one_warning():
    whole, broken = make_frame(HOURS), make_frame(HOURS.delete(9))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Windows(5).fit([whole, whole, whole[::-1], broken, broken, make_frame(HOURS)[::-1]])
    backward, holes = (str(each.message) for each in caught)
    assert backward.startswith("2 of 6 recordings of X must be in the order of time, got ")
    assert " in the index of number 2: sort it" in backward
    assert holes.startswith("2 of 6 recordings of X have holes in time, the first 2025-03-01 10:")
    assert " in the index of number 3, which windows reach across: split" in holes


@pytest.mark.parametrize(
    "estimator",
    [Windows(5), SeriesAnomalyDetector(LINEAR, length=5, contamination=0.1, random_state=0)],
)
def test_a_fit_that_goes_on_to_its_own_series_warns_once(estimator):
    frame = make_frame(HOURS.append(LATER))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        is_detector = isinstance(estimator, SeriesAnomalyDetector)
        found = estimator.fit_predict(frame) if is_detector else estimator.fit_transform(frame)
        again = estimator.predict(frame) if is_detector else estimator.transform(frame)
    assert [each.filename for each in caught] == [__file__] * 2
    assert caught[0].lineno != caught[1].lineno
    np.testing.assert_array_equal(found, again)

"""Windows of a series and back."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skae.series import SeriesAnomalyDetector, Windows


@pytest.fixture
def series():
    return np.random.default_rng(0).normal(size=(24, 3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_windows_are_rows_of_time_steps(series, dtype):
    series = series.astype(dtype)
    rows = Windows(4, step=3).fit_transform(series)
    assert rows.dtype == dtype
    assert rows.shape == (8, 12)
    for row, start in zip(rows, [0, 3, 6, 9, 12, 15, 18, 20], strict=True):
        np.testing.assert_array_equal(row.reshape(4, 3), series[start : start + 4])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("length", [1, 6, 24])
def test_tiles_come_back_to_the_bit(series, length, dtype):
    windows = Windows(length, step=length)
    back = windows.inverse_transform(windows.fit_transform(series.astype(dtype)))
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, series.astype(dtype))


@pytest.mark.parametrize(("length", "step"), [(5, 1), (7, 3), (4, 4)])
def test_overlapping_windows_come_back_up_to_rounding(series, length, step):
    windows = Windows(length, step=step)
    back = windows.inverse_transform(windows.fit_transform(series))
    np.testing.assert_allclose(back, series, rtol=1e-14)


def test_a_series_without_channels_comes_back_without_them(series):
    windows = Windows(4, step=4)
    for flat in (series[:, 0], list(series[:, 0])):
        np.testing.assert_array_equal(
            windows.fit_transform(flat), windows.fit_transform(series[:, :1])
        )
        assert windows.fit(flat).inverse_transform(windows.transform(flat)).shape == (24,)
    assert windows.fit(series[:, :1]).inverse_transform(np.zeros((6, 4))).shape == (24, 1)


def test_missing_cells_stay_missing(series):
    series[5, 1] = np.nan
    windows = Windows(4, step=2)
    back = windows.inverse_transform(windows.fit_transform(series))
    assert np.argwhere(np.isnan(back)).tolist() == [[5, 1]]


def test_recordings_are_not_cut_across_their_ends(series):
    recordings = [series[:7], series[7:12], series[12:]]
    windows = Windows(4, step=2).fit(recordings)
    rows = windows.transform(recordings)
    expected = [Windows(4, step=2).fit_transform(part) for part in recordings]
    np.testing.assert_array_equal(rows, np.concatenate(expected))
    back = windows.inverse_transform(rows)
    assert [len(part) for part in back] == windows.lengths_ == [7, 5, 12]
    np.testing.assert_allclose(np.concatenate(back), series, rtol=1e-14)


def test_lengths_of_another_series(series):
    windows = Windows(4, step=2).fit(series)
    rows = windows.transform(series[:11])
    np.testing.assert_allclose(windows.inverse_transform(rows, 11), series[:11], rtol=1e-14)
    (back,) = windows.inverse_transform(rows, [11])
    np.testing.assert_allclose(back, series[:11], rtol=1e-14)


def test_spread_scores_are_means_over_windows():
    windows = Windows(3).fit(np.zeros(6))
    np.testing.assert_allclose(windows.spread([1, 2, 3, 4]), [1, 1.5, 2, 3, 3.5, 4])
    parts = windows.spread([1, 2, 5], lengths=[3, 4])
    np.testing.assert_allclose(parts[0], [1, 1, 1])
    np.testing.assert_allclose(parts[1], [2, 3.5, 3.5, 5])


def test_frames_of_pandas_keep_times_and_names(series):
    times = pd.date_range("2024-01-01", periods=24, freq="h")
    frame = pd.DataFrame(series, index=times, columns=["a", "b", "c"])
    windows = Windows(2, step=2)
    rows = windows.fit_transform(frame)
    assert list(rows.columns) == ["a[0]", "b[0]", "c[0]", "a[1]", "b[1]", "c[1]"]
    assert rows.index.equals(times[1::2])
    np.testing.assert_array_equal(rows.to_numpy(), Windows(2, step=2).fit_transform(series))
    np.testing.assert_array_equal(windows.inverse_transform(rows), series)
    several = windows.fit_transform([frame[:5], frame[10:]])
    assert several.index.equals(times[[1, 3, 4, *range(11, 24, 2)]])


def test_a_column_of_a_frame_is_a_series(series):
    column = pd.Series(series[:, 0], name="a")
    windows = Windows(2).fit(column)
    assert list(windows.transform(column).columns) == ["a[0]", "a[1]"]
    assert windows.inverse_transform(windows.transform(column)).shape == (24,)
    rows = Windows(2).fit_transform(pl.Series("a", series[:, 0]))
    assert isinstance(rows, pl.DataFrame)
    assert rows.columns == ["a[0]", "a[1]"]


@pytest.mark.parametrize(("name", "kind"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
def test_set_output(series, name, kind):
    windows = Windows(2).set_output(transform=name)
    frames = [series, pd.DataFrame(series, columns=list("abc")), pl.DataFrame(series)]
    for given in frames:
        rows = windows.fit_transform(given)
        assert isinstance(rows, kind)
        assert list(rows.columns) == list(windows.get_feature_names_out())
        np.testing.assert_array_equal(rows.to_numpy(), Windows(2).fit_transform(series))


def test_names_of_cells(series):
    windows = Windows(2).fit(series[:, :2])
    assert windows.get_feature_names_out().tolist() == ["x0[0]", "x1[0]", "x0[1]", "x1[1]"]
    assert windows.get_feature_names_out(["a", "b"]).tolist() == ["a[0]", "b[0]", "a[1]", "b[1]"]


def test_a_step_of_a_pipeline(series):
    pipeline = make_pipeline(Windows(6, step=6), PCA()).fit(series)
    codes = pipeline.transform(series)
    np.testing.assert_allclose(pipeline.inverse_transform(codes), series, atol=1e-12)


FAULTS = [
    ({}, np.zeros((3, 2)), "n_samples = 3 with length=4"),
    ({}, [np.zeros((9, 2)), np.zeros((3, 2))], "recording 1 of X must have as many time steps"),
    ({}, [np.zeros((9, 2)), np.zeros((9, 3))], "X has 3 features, but Windows is expecting 2"),
    ({}, np.zeros((9, 2, 2)), "dim 3"),
    ({}, pd.DataFrame({"a": list("abcdefgh")}), "could not convert string to float"),
    ({"length": 0}, np.zeros((9, 2)), "The 'length' parameter"),
    ({"step": 0.5}, np.zeros((9, 2)), "The 'step' parameter"),
]


@pytest.mark.parametrize(("parameters", "X", "message"), FAULTS)
def test_faults_are_named_and_leave_the_transformer_as_it_was(parameters, X, message, series):
    windows = Windows(4).fit(series).set_params(**parameters)
    before = dict(vars(windows))
    with pytest.raises(ValueError, match=message):
        windows.fit(X)
    assert vars(windows) == before


def test_windows_that_are_not_those_of_the_series(series):
    windows = Windows(4).fit(series)
    with pytest.raises(ValueError, match="X must have 12 columns, length=4 times 3 channels"):
        windows.inverse_transform(np.zeros((21, 4)))
    for call in (windows.inverse_transform, lambda rows: windows.spread(rows[:, 0])):
        with pytest.raises(ValueError, match="series of 24 time steps have 21 windows, got 20"):
            call(np.zeros((20, 12)))
    with pytest.raises(ValueError, match="lengths must be integers"):
        windows.spread(np.zeros(21), lengths=2)
    with pytest.raises(ValueError, match="lengths must be integers"):
        windows.spread(np.zeros(21), lengths=24.0)
    with pytest.raises(ValueError, match="X must have 3 channels, as in fit"):
        windows.transform(series[:, 0])
    with pytest.raises(NotFittedError):
        clone(windows).inverse_transform(np.zeros((21, 12)))


def test_windows_beyond_memory_are_refused():
    # Views of a single number: the series takes no memory, its windows would take terabytes.
    series = np.broadcast_to(np.float32(0), (2_000_000, 1))
    windows = Windows(1_000_000).fit(series)
    with pytest.raises(MemoryError, match="choose a larger step or a smaller length"):
        windows.transform(series)


def test_no_time_step_is_between_two_windows():
    message = r"step must be at most length, .* got step=9 and length=5"
    with pytest.raises(ValueError, match=message):
        Windows(5, step=9).fit(np.arange(30.0))
    with pytest.raises(ValueError, match=message):
        SeriesAnomalyDetector(length=5, step=9).fit(np.arange(30.0))

"""Where windows lie, and means over those that overlap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skae.series.overlaps import average_overlaps, count_overlapping, find_starts


@pytest.mark.parametrize(
    ("lengths", "length", "step", "expected"),
    [
        ([5], 3, 1, [0, 1, 2]),
        ([6], 3, 3, [0, 3]),
        ([7], 3, 3, [0, 3, 4]),
        ([3], 3, 9, [0]),
        ([4, 3, 5], 3, 2, [0, 1, 4, 7, 9]),
    ],
)
def test_windows_end_where_recordings_do(lengths, length, step, expected):
    assert find_starts(lengths, length, step).tolist() == expected


SIZES = st.tuples(
    st.lists(st.integers(6, 30), min_size=1, max_size=3), st.integers(1, 6), st.integers(1, 8)
)


@given(SIZES)
def test_each_step_is_in_a_window_and_no_window_in_two_recordings(sizes):
    lengths, length, step = sizes
    starts = find_starts(lengths, length, step)
    recording = np.repeat(np.arange(len(lengths)), lengths)
    members = starts[:, None] + np.arange(length)
    assert (recording[members] == recording[members[:, :1]]).all()
    if step <= length:
        assert set(members.ravel()) == set(range(sum(lengths)))


@given(SIZES)
def test_windows_behind_the_gap_share_no_step(sizes):
    lengths, length, step = sizes
    starts = find_starts(lengths, length, step)
    apart = count_overlapping(length, step) + 1
    assert (starts[apart:] - starts[:-apart] >= length).all()


def test_the_gap_is_no_longer_than_it_must_be():
    starts = find_starts([100], 6, 2)
    gap = count_overlapping(6, 2)
    assert starts[gap] - starts[0] == 6
    assert starts[gap - 1] - starts[0] < 6


def test_means_are_those_of_the_windows_that_have_a_step():
    generator = np.random.default_rng(0)
    windows, starts = generator.normal(size=(4, 3, 2)), np.array([0, 1, 3, 7])
    averaged = average_overlaps(windows, starts, 11)
    for time in range(11):
        known = [w[time - s] for w, s in zip(windows, starts, strict=True) if s <= time < s + 3]
        expected = np.mean(known, axis=0) if known else np.full(2, np.nan)
        np.testing.assert_allclose(averaged[time], expected, rtol=1e-15)

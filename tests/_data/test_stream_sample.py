"""What is kept of a stream."""

import numpy as np
import pytest

from skae._data import ColumnMoments, StoredTable, StreamSample, TrainingTable


def begin(X, weight=None, target=None):
    return StreamSample.begin(TrainingTable(X, weight, target), measure(X, weight))


def extend(sample, X, weight=None, target=None):
    return sample.extend(TrainingTable(X, weight, target), measure(X, weight))


def measure(X, weight):
    return ColumnMoments.from_table(X, weight, len(X) if weight is None else weight.sum())


def number_rows(first, last):
    return np.arange(first, last, dtype=float)[:, None] * [1, 1]


def test_all_rows_of_a_short_stream_are_kept_in_order():
    sample = extend(begin(number_rows(0, 900)), number_rows(900, 1500))
    np.testing.assert_array_equal(sample.table.X, number_rows(0, 1500))


def test_of_a_long_stream_each_block_has_its_share():
    sample = begin(number_rows(0, 3000))
    for first in range(3000, 30_000, 3000):
        sample = extend(sample, number_rows(first, first + 3000))
    kept = sample.table.X[:, 0]
    assert len(kept) == len(np.unique(kept)) == 2000
    counts = np.histogram(kept, bins=10, range=(0, 30_000))[0]
    assert counts.min() > 150  # 200 expected, standard deviation 13
    assert counts.max() < 250


def test_rows_are_kept_in_proportion_to_their_weight():
    weight = np.where(np.arange(20_000) % 2, 3.0, 1.0)
    kept = begin(number_rows(0, 20_000), weight).table.X[:, 0]
    assert (kept % 2).mean() == pytest.approx(0.75, abs=0.03)


def test_targets_stay_with_their_rows_and_wide_rows_are_few():
    X = np.random.default_rng(0).normal(size=(300, 20_000))
    sample = extend(begin(X[:150], target=2 * X[:150]), X[150:], target=2 * X[150:])
    assert len(sample.table) == 2**21 // 20_000
    np.testing.assert_array_equal(sample.table.target, 2 * sample.table.X)


def test_a_block_in_a_store_is_sampled(tmp_path):
    X = np.random.default_rng(0).normal(size=(2500, 3))
    np.testing.assert_array_equal(begin(StoredTable(X)).table.X, begin(X).table.X)


def test_a_scale_that_is_a_tenth_matters_at_once():
    X = np.random.default_rng(0).normal(size=(100, 3))
    X[:, 2] = 0
    sample = begin(X)
    np.testing.assert_array_equal(sample.find_wrong_scales(False), 1)
    once = extend(sample, 40 * X[:50])
    np.testing.assert_array_equal(once.find_wrong_scales(False) > 10, [True, True, False])
    np.testing.assert_array_equal(once.find_wrong_scales(True) > 10, True)
    np.testing.assert_array_equal(once.begin_again().find_wrong_scales(False), 1)


def test_other_scales_wait_until_the_stream_is_twice_as_long():
    X = np.random.default_rng(0).normal(size=(100, 3)) * [1, 1, 0]
    late = X * [1, 4, 0] + [0, 0, 0.01] * np.random.default_rng(1).normal(size=(100, 1))
    once = extend(begin(X), late[:99])
    np.testing.assert_array_equal(once.find_wrong_scales(False), 1)
    ratios = extend(once, late[99:]).find_wrong_scales(False)
    np.testing.assert_array_equal(ratios < 0.5, [False, False, True])
    np.testing.assert_array_equal(ratios > 2, [False, True, False])

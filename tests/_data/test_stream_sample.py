"""What is kept of a stream."""

import numpy as np
import pytest

from skae._data import (
    ColumnMoments,
    Scaling,
    StoredTable,
    StreamSample,
    TrainingTable,
    measure_distance,
)
from skae.modules.cells import CellLayout


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
    np.testing.assert_array_equal(sample.rows.X, number_rows(0, 1500))


def test_of_a_long_stream_each_block_has_its_share():
    sample = begin(number_rows(0, 3000))
    for first in range(3000, 30_000, 3000):
        sample = extend(sample, number_rows(first, first + 3000))
    kept = sample.rows.X[:, 0]
    assert len(kept) == len(np.unique(kept)) == 2000
    counts = np.histogram(kept, bins=10, range=(0, 30_000))[0]
    assert counts.min() > 150  # 200 expected, standard deviation 13
    assert counts.max() < 250


def test_rows_are_kept_in_proportion_to_their_weight():
    weight = np.where(np.arange(20_000) % 2, 3.0, 1.0)
    kept = begin(number_rows(0, 20_000), weight).rows.X[:, 0]
    assert (kept % 2).mean() == pytest.approx(0.75, abs=0.03)


def test_targets_stay_with_their_rows_and_wide_rows_are_few():
    X = np.random.default_rng(0).normal(size=(300, 20_000))
    sample = extend(begin(X[:150], target=2 * X[:150]), X[150:], target=2 * X[150:])
    assert len(sample.rows.X) == 2**21 // 20_000
    np.testing.assert_array_equal(sample.rows.target, 2 * sample.rows.X)


def test_a_block_in_a_store_is_sampled(tmp_path):
    X = np.random.default_rng(0).normal(size=(2500, 3))
    np.testing.assert_array_equal(begin(StoredTable(X)).rows.X, begin(X).rows.X)


@pytest.mark.parametrize("n_rows", [300, 20_000])
def test_weights_of_the_sample_stand_for_all_rows(n_rows):
    """Of few rows, which are all kept, exactly; of many up to chance."""
    rng = np.random.default_rng(0)
    blocks = np.array_split(rng.normal(size=(n_rows, 2)), 4)
    weights = [
        10.0**k * rng.uniform(0.2, 1, size=len(b))
        for k, b in zip((0, 1, -6, 1), blocks, strict=True)
    ]
    sample = begin(blocks[0], weights[0])
    for block, weight in zip(blocks[1:], weights[1:], strict=True):
        sample = extend(sample, block, weight)
    table = sample.rows.make_table()
    expected = np.average(np.vstack(blocks), axis=0, weights=np.concatenate(weights))
    found = np.average(table.X, axis=0, weights=table.weight)
    tolerance = 1e-9 if n_rows < 2000 else 0.1
    np.testing.assert_allclose(found, expected, atol=tolerance)
    kept = np.isin(sample.rows.X[:, 0], blocks[2][:, 0])
    assert kept.any() == (n_rows < 2000)


def test_a_scale_that_is_a_tenth_matters_at_once():
    X = np.random.default_rng(0).normal(size=(100, 3))
    X[:, 2] = 0
    sample = begin(X)
    assert not sample.find_wrong_scales(False)[0].any()
    once = extend(sample, 40 * X[:50])
    is_wrong, ratios = once.find_wrong_scales(False)
    np.testing.assert_array_equal(is_wrong, [True, True, False])
    assert (ratios[:2] > 10).all()
    assert once.find_wrong_scales(True)[0].all()
    assert not once.begin_again().find_wrong_scales(False)[0].any()


def test_other_scales_wait_until_the_stream_is_twice_as_long():
    X = np.random.default_rng(0).normal(size=(100, 4)) * [1, 1, 0, 0]
    late = X * [1, 4, 0, 0] + [0, 0, 0.01, 1] * np.random.default_rng(1).normal(size=(100, 1))
    once = extend(begin(X), late[:99])
    assert not once.find_wrong_scales(False)[0].any()
    is_wrong, ratios = extend(once, late[99:]).find_wrong_scales(False)
    np.testing.assert_array_equal(is_wrong, [False, True, True, True])
    assert 0.5 < ratios[3] < 2  # which the scale of a constant column happens to fit
    assert ratios[1] > 2
    assert ratios[2] < 0.5


def test_indicators_of_a_category_have_one_scale():
    """A level that was rare at first has the scale of its category, which hardly changes."""
    labels = np.repeat([0, 1, 2], [1, 100, 99])
    later = np.repeat([0, 1, 2], [100, 50, 50])
    sample = extend(begin(np.eye(3)[labels]), np.eye(3)[later])
    layout = CellLayout((), (), ((0, 3),))
    assert sample.find_wrong_scales(False)[0].any()
    assert not sample.find_wrong_scales(False, layout)[0].any()


def test_a_column_without_a_cell_is_not_far_out():
    X = np.random.default_rng(0).normal(1e3, 1, size=(20, 2))
    scaling = Scaling.from_moments(ColumnMoments.from_table(X, None), True)
    none = np.column_stack([X[:, 0], np.full(20, np.nan)])
    # Shares of seven rows do not sum to one exactly.
    for rows in (none, none[:7]):
        moments = ColumnMoments.from_table(rows, None)
        assert moments.observed[1] == 0
        assert not measure_distance(scaling, moments).any()

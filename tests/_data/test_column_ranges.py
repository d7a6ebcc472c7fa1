"""The values of columns, which limit samples and filled cells."""

import numpy as np
import pytest

from skae._data import ColumnRanges, Scaling, TrainingTable, merge_copies, row_blocks
from skae.modules.cells import CellLayout

LAYOUT = CellLayout(numbers=(0, 1, 2, 3), booleans=(4,))


def make_table(n_rows, seed=0):
    """Columns with many rows at a bound, of both signs, above zero, below zero; a boolean."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 5))
    X[:, 0] = np.clip(X[:, 0], -0.5, 1.0) + 10.1
    X[:, 2:4] = [1.25, -1.25] + np.abs(X[:, 2:4]) * [1, -1]
    X[:, 4] = X[:, 4] > 0
    return X


def make_ranges(X, weight=None):
    return ColumnRanges.from_table(TrainingTable(X, weight))


def test_ends_are_where_many_rows_are_and_at_zero():
    X = make_table(500)
    low, high = make_ranges(X).find_ends(LAYOUT)
    least, largest = X.min(axis=0), X.max(axis=0)
    reach = (largest - least) / 10
    expected = [9.6, (least - reach)[1], (least - reach)[2], (least - reach)[3], -np.inf]
    expected[2] = max(expected[2], 0.0)
    np.testing.assert_allclose(low, expected)
    expected = [11.1, (largest + reach)[1], (largest + reach)[2], 0.0, np.inf]
    expected[3] = min((largest + reach)[3], 0.0)
    np.testing.assert_allclose(high, expected)


def test_without_a_reach_other_columns_have_no_ends():
    low, high = make_ranges(make_table(500)).find_ends(LAYOUT, reach=None)
    np.testing.assert_array_equal(low, [9.6, -np.inf, 0, -np.inf, -np.inf])
    np.testing.assert_array_equal(high, [11.1, np.inf, np.inf, 0, np.inf])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_ends_are_values_of_the_table(dtype):
    X = np.tile([1 / 3, 0.1, 20231105.0, -3.3, 0.0], (50, 1)).astype(dtype)
    X[::2, 0] = 12.3
    low, high = make_ranges(X).find_ends(LAYOUT)
    np.testing.assert_array_equal(low[:4], X[1, :4])
    np.testing.assert_array_equal(high[:4], X[0, :4])


def test_columns_on_one_side_of_zero_stay_there():
    X = np.abs(make_table(500)) + 0.01
    X[:, 3] *= -1
    low, high = make_ranges(X).find_ends(LAYOUT)
    assert low[1] == 0
    assert low[2] > 0
    assert high[3] <= 0


def test_a_few_rows_are_no_end():
    X = make_table(500)
    X[:2, 1] = X[:, 1].min()
    for n_copies, is_end in ((2, False), (6, True)):
        X[:n_copies, 1] = X[:, 1].min()
        low, _ = make_ranges(X).find_ends(LAYOUT)
        assert (low[1] == X[:, 1].min()) == is_end
    few = X[:40]
    few[:, 1] = np.arange(40) - 20.0  # the least is more than a hundredth of the rows
    low, _ = make_ranges(few).find_ends(LAYOUT)
    np.testing.assert_allclose(low[1], -20 - 0.1 * 39)


def test_missing_cells_are_no_end():
    X = make_table(500)
    X[:50, 1] = np.nan
    X[:5, 0] = np.nan
    low, _ = make_ranges(X).find_ends(LAYOUT)
    assert low[1] < X[50:, 1].min() - 0.1
    assert low[0] == 9.6


def test_draws_beyond_what_many_rows_have_are_moved_there():
    ranges = make_ranges(make_table(500))
    low, high = ranges.open_common(ranges.find_ends(LAYOUT, reach=None))
    np.testing.assert_array_equal(low, [-np.inf, -np.inf, 0, -np.inf, -np.inf])
    np.testing.assert_array_equal(high, [np.inf, np.inf, np.inf, 0, np.inf])


def test_ends_are_scaled():
    scaling = Scaling(np.array([10.0, 0.3, 5.0, -7.0, 0.5]), np.array([2.0, 0.5, 3.0, 2.0, 0.5]))
    low, _ = make_ranges(make_table(500)).find_ends(LAYOUT, reach=None).scale(scaling)
    np.testing.assert_allclose(low, [-0.2, -np.inf, -5 / 3, -np.inf, -np.inf])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_decimals_are_those_of_all_numbers(dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(scale=5, size=(300, 5)).astype(dtype)
    for column, n_decimals in ((0, 0), (1, 1), (2, 3)):
        X[:, column] = X[:, column].round(n_decimals)
    X[:, 3] = X[:, 3].round()
    X[200, 3] = 0.25  # beyond the first rows
    X[::7, :4] = np.nan
    ranges = make_ranges(X)
    np.testing.assert_array_equal(ranges.decimals[:4], [0, 1, 3, 2])
    drawn = rng.normal(scale=5, size=(50, 5))
    rounded = ranges.round_numbers(drawn, CellLayout.from_numbers(5))
    for column, n_decimals in enumerate([0, 1, 3, 2]):
        np.testing.assert_array_equal(rounded[:, column], drawn[:, column].round(n_decimals))
    if dtype is np.float64:
        np.testing.assert_array_equal(rounded[:, 4], drawn[:, 4])
    labels = ranges.round_numbers(drawn, CellLayout((1, 2, 3, 4), (0,), ()))
    np.testing.assert_array_equal(labels[:, 0], drawn[:, 0])


def test_large_numbers_are_whole():
    X = np.array([[1.0, 1e300], [123_456_789_012_345.0, -1e300], [np.nan, 5.5]])
    ranges = make_ranges(X)
    assert ranges.decimals[0] == 0
    assert np.isfinite(ranges.round_numbers(X[:2], CellLayout.from_numbers(2))).all()


def test_ranges_of_blocks_are_those_of_all_rows():
    X = make_table(500)
    X[250:, 0] += 0.05
    weight = np.random.default_rng(1).uniform(0.5, 2, size=500)
    whole = make_ranges(X, weight)
    parts = [make_ranges(X[part], weight[part]) for part in (slice(200), slice(200, None))]
    for name, value in whole.get_state().items():
        merged = parts[0].merge(parts[1]).get_state()
        np.testing.assert_allclose(merged[name], value, rtol=1e-6)


def test_ranges_of_a_table_are_of_all_its_rows(monkeypatch):
    """Block by block, and by the number of rows that its distinct ones stand for."""
    X = make_table(500)
    X[::7, 2] = np.nan
    monkeypatch.setattr("skae._data.shared_passes.row_blocks", lambda X: row_blocks(X, 70))
    whole = make_ranges(X)
    assert whole.low[0] == 9.6
    assert whole.at_low[0] == (X[:, 0] == 9.6).sum() > 100
    assert whole.total == 500
    few = np.repeat([[9.0, 1.0], [9.0, 2.0], [11.0, 2.0]], [300, 200, 1], axis=0)
    ranges = ColumnRanges.from_table(merge_copies(TrainingTable(few)).set_total(501.0))
    np.testing.assert_allclose([*ranges.at_low, *ranges.at_high], [500, 300, 1, 201])
    low, high = ranges.find_ends(CellLayout.from_numbers(2))
    np.testing.assert_allclose(low, [9, 1])
    np.testing.assert_allclose(high, [11.2, 2])  # one row is no bound


def test_ranges_of_an_earlier_version_are_read():
    """They were of scaled columns in float32, and without decimals."""
    X = make_table(500)
    X[:, 2] = np.maximum(X[:, 2] - 1.5, 0)
    X[:, 3] = np.nan
    scaling = Scaling(np.array([10.0, 0.3, 5.0, -7.0, 0.5]), np.array([2.0, 0.5, 3.0, 2.0, 0.5]))
    state = make_ranges(scaling.forward(X, np.float32).astype(np.float64)).get_state()
    del state["decimals"]
    old = ColumnRanges(**state)
    assert old.get_state().keys() == state.keys()  # as the digest of a detector needs it
    found, expected = old.in_units(scaling), make_ranges(X)
    np.testing.assert_allclose(found.low, expected.low, rtol=1e-6)
    assert (found.low[0], found.low[2], found.high[0]) == (9.6, 0, 11.1)
    for ends, others in zip(found.find_ends(LAYOUT), expected.find_ends(LAYOUT), strict=True):
        np.testing.assert_allclose(ends, others, rtol=1e-5)
    np.testing.assert_array_equal(found.round_numbers(X, LAYOUT), X)


def test_ends_of_an_earlier_version_are_values_of_the_table():
    X = np.tile([9.7, 0.1, 20231105.0, -3.3, 0.0], (50, 1))
    X[::2] += [1.6, 1234.5, 3.0, 1e-3, 0.25]
    scaling = Scaling(X.mean(axis=0), np.array([1.3, 600.0, 1.0, 1e-3, 0.1]))
    state = make_ranges(scaling.forward(X, np.float32).astype(np.float64)).get_state()
    del state["decimals"]
    ranges = ColumnRanges(**state).in_units(scaling)
    low, high = ranges.find_ends(CellLayout.from_numbers(5))
    np.testing.assert_array_equal(low, [9.7, 0.1, 20231105.0, -3.3, 0.0])
    np.testing.assert_array_equal(high, [11.3, 1234.6, 20231108.0, -3.299, 0.25])

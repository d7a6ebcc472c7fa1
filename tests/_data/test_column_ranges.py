"""Bounds of columns that samples keep."""

import numpy as np
import torch

from skae._data import ColumnRanges, Rows, Scaling, TrainingTable, merge_copies, row_blocks
from skae.modules.cells import CellLayout

LAYOUT = CellLayout(numbers=(0, 1, 2, 3), booleans=(4,))
SCALING = Scaling(np.array([10.0, 0.3, 5.0, -7.0, 0.5]), np.array([2.0, 0.5, 3.0, 2.0, 0.5]))


def make_table(n_rows, seed=0):
    """Columns with many rows at a bound, of both signs, above zero, below zero; a boolean."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 5))
    X[:, 0] = np.clip(X[:, 0], -0.5, 1.0) + 10.1
    X[:, 2:4] = [1.25, -1.25] + np.abs(X[:, 2:4]) * [1, -1]
    X[:, 4] = X[:, 4] > 0
    return X


def make_rows(X, observed=None, weight=None):
    scaled = SCALING.forward(X, np.float32)
    return Rows.from_arrays(scaled, weight, torch.device("cpu"), observed=observed)


def test_bounds_are_where_many_rows_are_and_at_zero():
    X = make_table(500)
    low, high = ColumnRanges.from_rows(make_rows(X)).find_bounds(SCALING, LAYOUT)
    least, largest = X.min(axis=0), X.max(axis=0)
    reach = (largest - least) / 10
    expected = [9.6, (least - reach)[1], (least - reach)[2], (least - reach)[3], -np.inf]
    expected[2] = max(expected[2], 0.0)
    np.testing.assert_allclose(low, expected, rtol=1e-5)
    expected = [11.1, (largest + reach)[1], (largest + reach)[2], 0.0, np.inf]
    expected[3] = min((largest + reach)[3], 0.0)
    np.testing.assert_allclose(high, expected, rtol=1e-5)


def test_bounds_are_values_of_the_table():
    X = np.tile([9.7, 0.1, 20231105.0, -3.3, 0.0], (50, 1))
    X[::2, 0] = 12.3
    scaling = Scaling(X.mean(axis=0), np.array([1.3, 1.0, 1.0, 1.0, 1.0]))
    scaled = scaling.forward(X, np.float32)
    rows = Rows.from_arrays(scaled, None, torch.device("cpu"))
    low, high = ColumnRanges.from_rows(rows).find_bounds(scaling, LAYOUT)
    np.testing.assert_array_equal(low[:4], X[1, :4])
    np.testing.assert_array_equal(high[:4], X[0, :4])


def test_columns_on_one_side_of_zero_stay_there():
    X = np.abs(make_table(500)) + 0.01
    X[:, 3] *= -1
    low, high = ColumnRanges.from_rows(make_rows(X)).find_bounds(SCALING, LAYOUT)
    assert low[1] == 0
    assert low[2] > 0
    assert high[3] <= 0


def test_a_few_rows_are_no_bound():
    X = make_table(500)
    X[:2, 1] = X[:, 1].min()
    for n_copies, is_bound in ((2, False), (6, True)):
        X[:n_copies, 1] = X[:, 1].min()
        low, _ = ColumnRanges.from_rows(make_rows(X)).find_bounds(SCALING, LAYOUT)
        assert np.isclose(low[1], X[:, 1].min(), rtol=1e-5) == is_bound
    few = X[:40]
    few[:, 1] = np.arange(40) - 20.0  # the least is more than a hundredth of the rows
    low, _ = ColumnRanges.from_rows(make_rows(few)).find_bounds(SCALING, LAYOUT)
    np.testing.assert_allclose(low[1], -20 - 0.1 * 39, rtol=1e-5)


def test_missing_cells_are_no_bound():
    X = make_table(500)
    observed = np.ones(X.shape, dtype=bool)
    observed[:50, 1] = False
    X[:50, 1] = X[50:, 1].min()
    X[:5, 0] = -100
    observed[:5, 0] = False
    low, _ = ColumnRanges.from_rows(make_rows(X, observed)).find_bounds(SCALING, LAYOUT)
    assert low[1] < X[50:, 1].min() - 0.1
    assert low[0] == 9.6


def test_ranges_of_blocks_are_those_of_all_rows():
    X = make_table(500)
    weight = np.random.default_rng(1).uniform(0.5, 2, size=500)
    whole = ColumnRanges.from_rows(make_rows(X, weight=weight))
    parts = [make_rows(X[part], weight=weight[part]) for part in (slice(200), slice(200, None))]
    merged = ColumnRanges.from_rows(parts[0]).merge(ColumnRanges.from_rows(parts[1]))
    for name, value in whole.get_state().items():
        np.testing.assert_allclose(merged.get_state()[name], value, rtol=1e-6)


def test_ranges_of_a_table_are_of_all_its_rows(monkeypatch):
    """Block by block, and by the number of rows that its distinct ones stand for."""
    X = make_table(500)
    X[::7, 2] = np.nan
    monkeypatch.setattr("skae._data.shared_passes.row_blocks", lambda X: row_blocks(X, 70))
    whole = ColumnRanges.from_table(TrainingTable(X), SCALING)
    np.testing.assert_array_equal(SCALING.inverse(whole.low[None])[0, 0], 9.6)
    assert whole.at_low[0] == (X[:, 0] == 9.6).sum() > 100
    assert whole.total == 500
    few = np.repeat([[9.0, 1.0], [9.0, 2.0], [11.0, 2.0]], [300, 200, 1], axis=0)
    scaling = Scaling(np.zeros(2), np.ones(2))
    ranges = ColumnRanges.from_table(merge_copies(TrainingTable(few)).set_total(501.0), scaling)
    np.testing.assert_allclose([*ranges.at_low, *ranges.at_high], [500, 300, 1, 201])
    low, high = ranges.find_bounds(scaling, CellLayout.from_numbers(2))
    np.testing.assert_allclose(low, [9, 1])
    np.testing.assert_allclose(high, [11.2, 2])  # one row is no bound

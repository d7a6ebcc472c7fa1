"""Tables to train on: copies of rows become weights, and weights become copies."""

import numpy as np
import pytest

from skae._data import (
    StoredTable,
    TrainingTable,
    keep_order,
    merge_copies,
    training_table,
    write_out_copies,
)
from skae._data.training_table import _find_distinct


def test_copies_become_weights():
    X = np.array([[2.0, 1.0], [0.0, 5.0], [2.0, 1.0], [2.0, 1.0]])
    merged = merge_copies(TrainingTable(X))
    assert merged.X.tolist() == [[0.0, 5.0], [2.0, 1.0]]
    np.testing.assert_allclose(merged.weight, [0.5, 1.5])
    equal = merge_copies(TrainingTable(X, np.array([1.0, 3.0, 0.0, 2.0])))
    assert equal.weight is None  # three and three: equal weights are no weights


def test_copies_have_equal_targets_too():
    X = np.array([[2.0, 1.0], [0.0, 5.0], [2.0, 1.0], [2.0, 1.0]])
    target = np.array([[1.0, 1.0], [0.0, 0.0], [7.0, 7.0], [1.0, 1.0]])
    merged = merge_copies(TrainingTable(X, None, target))
    assert merged.X.tolist() == [[0.0, 5.0], [2.0, 1.0], [2.0, 1.0]]
    assert merged.target.tolist() == [[0.0, 0.0], [1.0, 1.0], [7.0, 7.0]]
    np.testing.assert_allclose(merged.weight, [0.75, 1.5, 0.75])
    assert merged.X.flags.c_contiguous
    assert merged.target.flags.c_contiguous


def test_the_order_of_rows_does_not_matter():
    X = np.random.default_rng(0).integers(0, 4, size=(50, 2)).astype(float)
    merged, reversed_ = merge_copies(TrainingTable(X)), merge_copies(TrainingTable(X[::-1]))
    np.testing.assert_array_equal(merged.X, reversed_.X)
    np.testing.assert_array_equal(merged.weight, reversed_.weight)


def test_long_tables_keep_their_copies(monkeypatch):
    monkeypatch.setattr(training_table, "_MERGE_UP_TO", 3)
    X = np.zeros((5, 2))
    assert len(merge_copies(TrainingTable(X))) == 5
    assert merge_copies(TrainingTable(X)).weight is None
    merged = merge_copies(TrainingTable(X, np.array([0.0, 1.0, 1.0, 2.0, 4.0]), X))
    assert len(merged) == len(merged.target) == 4
    np.testing.assert_allclose(merged.weight, [0.5, 0.5, 1.0, 2.0])
    assert len(merge_copies(TrainingTable(X[:3]))) == 1


def test_huge_weights_do_not_overflow():
    weight = np.array([1e308, 1e308, 0.5e308])
    merged = merge_copies(TrainingTable(np.arange(3.0)[:, None], weight))
    np.testing.assert_allclose(merged.weight, [1.2, 1.2, 0.6])


def test_counts_are_written_out():
    X = np.array([[2.0], [0.0], [1.0]])
    written = write_out_copies(TrainingTable(X, np.array([2.0, 0.0, 1.0])))
    assert written.X.tolist() == [[1.0], [2.0], [2.0]]
    assert written.weight is None
    rows = write_out_copies(TrainingTable(np.array([[2.0], [1.0], [2.0]])))
    np.testing.assert_array_equal(rows.X, written.X)


@pytest.mark.parametrize("weight", [[0.5, 1.0, 2.0], [1.0, 2.0, 100.0]])
def test_other_weights_stay_weights(weight):
    written = write_out_copies(TrainingTable(np.array([[2.0], [0.0], [1.0]]), np.array(weight)))
    assert written.X.tolist() == [[0.0], [1.0], [2.0]]
    expected = np.array(weight)[[1, 2, 0]]
    np.testing.assert_allclose(written.weight, expected / expected.mean())


def test_rows_of_weight_zero_are_dropped_with_their_targets():
    X, target = np.arange(4.0)[:, None], 10 * np.arange(4.0)[:, None]
    merged = merge_copies(TrainingTable(X, np.array([1.0, 0.0, 3.0, 0.0]), target))
    assert merged.X.tolist() == [[0.0], [2.0]]
    assert merged.target.tolist() == [[0.0], [20.0]]
    np.testing.assert_allclose(merged.weight, [0.5, 1.5])


@pytest.mark.parametrize("function", [merge_copies, write_out_copies])
def test_stored_tables_keep_their_weights(function):
    X = np.arange(8.0).reshape(4, 2)
    table = function(TrainingTable(StoredTable(X), np.array([2.0, 0.0, 1.0, 0.0])))
    np.testing.assert_array_equal(table.X[:], X[[0, 2]])
    np.testing.assert_allclose(table.weight, [4 / 3, 2 / 3])


def test_written_out_rows_are_sorted_by_their_first_column_first():
    X = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    written = write_out_copies(TrainingTable(X, np.array([1.0, 2.0, 1.0])))
    assert written.X.tolist() == [[0.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]
    merged = merge_copies(TrainingTable(X))
    np.testing.assert_array_equal(write_out_copies(TrainingTable(X)).X, merged.X)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distinct_rows_are_those_of_numpy(dtype, order):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 3)).round(1).astype(dtype) * [1, 1e30, 1e-30]
    rows = rows.astype(dtype)[rng.integers(0, 40, size=60)]
    rows[5], rows[9], rows[11, 0] = 0.0, -0.0, np.inf
    found, inverse = _find_distinct(np.array(rows, order=order))
    expected, theirs = np.unique(rows, axis=0, return_inverse=True)
    assert len(found) < len(rows)
    assert np.array_equal(found, expected)
    assert np.array_equal(inverse, theirs.ravel())


@pytest.mark.parametrize("stored", [False, True])
def test_rows_in_the_order_of_time_keep_it_and_their_copies(stored):
    X = np.array([[3.0], [1.0], [3.0], [2.0], [0.0]])
    weight = np.array([1.0, 2.0, 1.0, 0.0, 4.0])
    kept = keep_order(TrainingTable(StoredTable(X) if stored else X, weight))
    np.testing.assert_array_equal(kept.X[:], X[[0, 1, 2, 4]])
    np.testing.assert_array_equal(kept.weight, [0.5, 1.0, 0.5, 2.0])

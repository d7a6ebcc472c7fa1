"""Rows in memory, and batches: all that belongs to a row goes with it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skae._data import (
    Batch,
    Rows,
    ScaledTable,
    Scaling,
    StoredRows,
    StoredTable,
    TimeSplit,
    TrainingTable,
    merge_copies,
    stored_rows,
)

PARTS = ("input", "target", "mask", "weight")


@pytest.fixture
def batch():
    X = torch.arange(14.0).reshape(7, 2)
    return Batch(X, X + 100, X > 5, torch.arange(7.0))


@pytest.mark.parametrize("index", [slice(2, 5), torch.tensor([6, 0, 0])], ids=["slice", "indices"])
def test_selecting_takes_all_parts_of_the_rows(batch, index):
    chosen = batch.select(index)
    for name in PARTS:
        assert torch.equal(getattr(chosen, name), getattr(batch, name)[index])
    alone = Batch(batch.input).select(index)
    assert torch.equal(alone.input, batch.input[index])
    assert alone[1:] == (None, None, None)


@pytest.mark.parametrize("length", [1, 3, 7, 9])
def test_splitting_keeps_order_and_rows(batch, length):
    parts = list(batch.split(length))
    for name in PARTS:
        joined = torch.cat([getattr(part, name) for part in parts])
        assert torch.equal(joined, getattr(batch, name))
    assert max(len(part.input) for part in parts) <= length


def test_all_parts_move_to_the_device(batch):
    moved = batch.to(torch.device("meta"))
    assert all(part.device.type == "meta" for part in moved)
    assert Batch(batch.input).to(torch.device("meta"))[1:] == (None, None, None)


def test_arrays_become_rows():
    X, target = np.ones((5, 3), dtype=np.float32), np.zeros((5, 3), dtype=np.float32)
    rows = Rows.from_arrays(X, np.arange(5.0), torch.device("cpu"), target)
    assert (len(rows), rows.n_features) == (5, 3)
    assert rows.batch.weight.dtype == torch.float32
    assert rows.weight_array.dtype == np.float64
    np.testing.assert_array_equal(rows.table, X)
    np.testing.assert_array_equal(rows.target_table, target)
    plain = Rows.from_arrays(X, None, torch.device("cpu"))
    assert plain.weight_array is None
    np.testing.assert_array_equal(plain.target_table, X)


@pytest.mark.parametrize(
    ("n_rows", "fraction", "n_taken"), [(10, 0.3, 3), (10, 0.01, 1), (10, 0.99, 9), (2, 0.9, 1)]
)
def test_a_split_draws_rows_and_leaves_the_others(n_rows, fraction, n_taken):
    X = np.arange(n_rows, dtype=np.float32)[:, None]
    rows = Rows.from_arrays(X, X[:, 0], torch.device("cpu"), X + 1)
    taken, left = rows.split(fraction, np.random.default_rng(0))
    assert (len(taken), len(left)) == (n_taken, n_rows - n_taken)
    both = np.concatenate([taken.table, left.table])
    np.testing.assert_array_equal(np.sort(both, axis=0), X)
    for part in (taken, left):
        np.testing.assert_array_equal(part.weight_array, part.table[:, 0])
        np.testing.assert_array_equal(part.target_table, part.table + 1)


def test_a_split_is_random():
    rows = Rows.from_arrays(np.arange(50, dtype=np.float32)[:, None], None, torch.device("cpu"))
    first, second = (rows.split(0.5, np.random.default_rng(seed))[0].table for seed in (0, 1))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, rows.table[:25])


def make_rows(weight):
    """Return four rows as an estimator's training has them, with float32 weights of mean one."""
    given = np.asarray(weight, float)
    X = np.arange(8.0, dtype=np.float32).reshape(4, 2)
    table = merge_copies(TrainingTable(X, given)).set_total(given.sum())
    return Rows.from_arrays(table.X, table.weight, torch.device("cpu"), None, table.unit)


@pytest.mark.parametrize(
    "weight", [[1, 1, 1, 1], [5, 5, 5, 5], [1, 2, 3, 7], [1, 1, 123_457, 3], [0.5, 1, 2, 0.1]]
)
def test_rows_keep_the_weights_that_were_given(weight):
    rows = make_rows(weight).take(np.array([3, 1]))
    np.testing.assert_allclose(rows.given_weight, np.take(weight, [3, 1]), rtol=1e-6)


@pytest.mark.parametrize("weight", [[1, 1, 1, 1], [5, 5, 5, 5], [1, 2, 3, 7], [1, 1, 123_457, 3]])
def test_whole_numbers_count_rows(weight):
    np.testing.assert_allclose(make_rows(weight).counts, weight, rtol=1e-6)


def test_parts_of_a_table_count_alike():
    """A part whose own weights happen to be whole numbers has the unit of its table."""
    rows = make_rows([100.0, 100, 0.5, 100])
    whole = np.concatenate([rows.take(np.array([0, 1])).counts, rows.take(np.array([2, 3])).counts])
    np.testing.assert_allclose(whole, rows.counts)
    assert rows.counts.mean() == pytest.approx(1)


@pytest.mark.parametrize("factor", [0.1, 1.5, 1e-300, 1e20])
def test_other_weights_count_each_row_once_on_average(factor):
    """Also whole numbers of more rows than any table has."""
    counts = make_rows(factor * np.array([1.0, 2, 1, 4])).counts
    np.testing.assert_allclose(counts, [0.5, 1, 0.5, 2], rtol=1e-6)


@pytest.mark.parametrize("stored", [False, True])
@given(st.integers(2, 60), st.floats(0.01, 0.99), st.integers(0, 80))
def test_a_split_in_time_leaves_the_gap(stored, n_rows, fraction, gap):
    split = TimeSplit.from_fraction(n_rows, fraction, gap)
    if split.n_train < 1:
        assert gap >= n_rows - split.n_held_out
        return
    X, weight = np.arange(n_rows, dtype=np.float32)[:, None], np.arange(1.0, n_rows + 1)
    if stored:
        table = ScaledTable(StoredTable(X), Scaling(np.zeros(1), np.ones(1)))
        rows = StoredRows(table, weight.astype(np.float32), torch.device("cpu"))
    else:
        rows = Rows.from_arrays(X, weight, torch.device("cpu"))
    valid, part = rows.split_in_time(split)
    held_out, train = valid.table[:, 0], part[:].input.numpy()[:, 0]
    np.testing.assert_array_equal(train, np.arange(len(train)))
    np.testing.assert_array_equal(held_out, np.arange(n_rows - len(held_out), n_rows))
    assert held_out[0] - train[-1] == gap + 1
    np.testing.assert_array_equal(valid.weight_array, held_out + 1)
    np.testing.assert_array_equal(part.weight_array, train + 1)


def test_stored_rows_beyond_those_that_memory_holds_train(monkeypatch):
    monkeypatch.setattr(stored_rows, "_MOST_HELD_OUT", 10)
    X = np.arange(100, dtype=np.float32)[:, None]
    table = ScaledTable(StoredTable(X), Scaling(np.zeros(1), np.ones(1)))
    rows = StoredRows(table, None, torch.device("cpu"))
    valid, part = rows.split_in_time(TimeSplit.from_fraction(100, 0.4, 5))
    np.testing.assert_array_equal(valid.table[:, 0], np.arange(90, 100))
    np.testing.assert_array_equal(part[:].input.numpy()[:, 0], np.arange(85))

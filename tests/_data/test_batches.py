"""Rows cut into batches, in memory and from a store."""

import numpy as np
import pytest
import torch

from skae._data import (
    Batch,
    OrderedBlocks,
    Rows,
    ScaledTable,
    Scaling,
    ShuffledBatches,
    StoredRows,
    StoredTable,
    batch_length,
    stored_rows,
)


@pytest.mark.parametrize(("n_rows", "size"), [(10, 3), (1000, 256), (5000, 7), (64, 64), (65, 64)])
@pytest.mark.parametrize("weighted", [True, False])
def test_shuffled_batches_hold_each_row_once(n_rows, size, weighted):
    X = torch.arange(n_rows, dtype=torch.float32)[:, None]
    rows = Rows(Batch(X, weight=X[:, 0] * 2 if weighted else None))
    batches = ShuffledBatches(rows, size, torch.Generator().manual_seed(0))
    first, second = list(batches), list(batches)
    seen = torch.cat([batch.input for batch in first]).flatten()
    assert seen.sort().values.tolist() == X.flatten().tolist()
    sizes = {len(batch.input) for batch in first}
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= len(first)
    assert len(first) == len(batches)
    if weighted:
        assert all(torch.equal(batch.weight, batch.input[:, 0] * 2) for batch in first)
    if len(first) > 1:
        assert not torch.equal(seen, torch.cat([batch.input for batch in second]).flatten())


@pytest.mark.parametrize(("n_rows", "size"), [(1000, 256), (5000, 7), (64, 64), (3001, 100)])
@pytest.mark.parametrize("weighted", [True, False])
def test_batches_of_a_stored_table_are_those_of_an_array(n_rows, size, weighted, monkeypatch):
    monkeypatch.setattr(stored_rows, "_BUFFER_BYTES", 4096)
    X = np.arange(n_rows, dtype=np.float32)[:, None]
    table = ScaledTable(StoredTable(X), Scaling(np.zeros(1), np.ones(1)))
    rows = StoredRows(table, X[:, 0] * 2 if weighted else None, torch.device("cpu"))
    batches, in_memory = (
        ShuffledBatches(source, size, torch.Generator().manual_seed(0))
        for source in (rows, Rows(Batch(torch.from_numpy(X))))
    )
    first, second = list(batches), list(batches)
    seen = torch.cat([batch.input for batch in first]).flatten()
    assert seen.sort().values.tolist() == X.flatten().tolist()
    assert [len(b.input) for b in first] == [len(b.input) for b in in_memory]
    if weighted:
        assert all(torch.equal(batch.weight, batch.input[:, 0] * 2) for batch in first)
    if len(first) > 1:
        assert not torch.equal(seen, torch.cat([batch.input for batch in second]).flatten())
    if n_rows == 3001:  # a batch is of many places, though the buffer holds a third of the rows
        assert min(float(batch.input.std()) for batch in first[:-1]) > n_rows / 12


@pytest.mark.parametrize("weighted", [True, False])
def test_a_stored_table_is_split_in_two(weighted):
    X = np.arange(2000, dtype=np.float32)[:, None]
    table = ScaledTable(StoredTable(X), Scaling(np.zeros(1), np.ones(1)))
    rows = StoredRows(table, X[:, 0] if weighted else None, torch.device("cpu"))
    valid, part = rows.split(0.1, np.random.default_rng(0))
    assert len(valid) == 200
    held_out, left = valid.table, part.table[:]
    np.testing.assert_array_equal(np.sort(np.concatenate([held_out, left]), axis=0), X)
    some = part.take(np.array([7, 3, 1799]))
    np.testing.assert_array_equal(some.table, left[[7, 3, 1799]])
    if weighted:
        np.testing.assert_array_equal(valid.weight_array, held_out[:, 0])
        np.testing.assert_array_equal(part.weight_array, left[:, 0])
        np.testing.assert_array_equal(some.weight_array, some.table[:, 0])


def test_a_table_that_fits_on_an_accelerator_is_put_there(monkeypatch):
    table = ScaledTable(StoredTable(np.ones((2000, 3))), Scaling(np.zeros(3), np.ones(3)))
    rows = StoredRows(table, None, torch.device("meta"))  # which has no memory, but tells
    placed = rows.to_device()
    assert isinstance(placed, Rows)
    assert placed.batch.input.shape == (2000, 3)
    assert placed.device.type == "meta"
    monkeypatch.setattr(stored_rows, "_DEVICE_BYTES", 2000)
    assert rows.to_device() is rows
    assert StoredRows(table, None, torch.device("cpu")).to_device().device.type == "cpu"


def test_blocks_keep_the_order():
    X = torch.arange(10.0)[:, None]
    assert torch.equal(torch.cat([batch.input for batch in OrderedBlocks(Rows(Batch(X)), 4)]), X)


def test_automatic_batches_grow_with_the_table():
    assert [batch_length(n, "auto") for n in (5, 1000, 32_000, 10**6)] == [5, 256, 500, 1024]

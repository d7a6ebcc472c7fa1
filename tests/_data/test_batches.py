"""Rows cut into batches, in memory and from a store."""

import numpy as np
import pytest
import torch

from skae._data import (
    Batch,
    CompletedRows,
    OrderedBlocks,
    Rows,
    ScaledTable,
    Scaling,
    ShardBatches,
    ShuffledBatches,
    StoredRows,
    StoredTable,
    TablePart,
    TableRange,
    batch_length,
    stored_rows,
)
from skae._data.rows import join_batches


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
    if n_rows == 3001:  # a batch has rows from all over the table, though few fit in the buffer
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
    taken = part.take(np.array([7, 3, 1799]))
    np.testing.assert_array_equal(taken.table, left[[7, 3, 1799]])
    if weighted:
        np.testing.assert_array_equal(valid.weight_array, held_out[:, 0])
        np.testing.assert_array_equal(part.weight_array, left[:, 0])
        np.testing.assert_array_equal(taken.weight_array, taken.table[:, 0])


def test_a_table_that_fits_on_an_accelerator_moves_there(monkeypatch):
    table = ScaledTable(StoredTable(np.ones((2000, 3))), Scaling(np.zeros(3), np.ones(3)))
    rows = StoredRows(table, None, torch.device("meta"))  # a device without memory
    moved = rows.to_device()
    assert isinstance(moved, Rows)
    assert moved.batch.input.shape == (2000, 3)
    assert moved.device.type == "meta"
    monkeypatch.setattr(stored_rows, "_DEVICE_BYTES", 2000)
    assert rows.to_device() is rows
    assert StoredRows(table, None, torch.device("cpu")).to_device().device.type == "cpu"


@pytest.mark.parametrize("size", [1, 3, 4, 10, 20])
def test_blocks_keep_the_order(size):
    X = torch.arange(10.0)[:, None]
    blocks = list(OrderedBlocks(Rows(Batch(X)), size))
    assert torch.equal(torch.cat([batch.input for batch in blocks]), X)
    assert max(len(batch.input) for batch in blocks) <= size


def test_a_single_batch_keeps_the_order():
    X = torch.arange(10.0)[:, None]
    (batch,) = ShuffledBatches(Rows(Batch(X)), 10, torch.Generator().manual_seed(0))
    assert torch.equal(batch.input, X)


@pytest.mark.parametrize(("fraction", "n_taken"), [(0.99, 100), (1e-9, 1), (0.5, 100)])
def test_a_split_of_a_stored_table_fits_in_memory(fraction, n_taken, monkeypatch):
    monkeypatch.setattr(stored_rows, "_MOST_HELD_OUT", 100)
    table = ScaledTable(StoredTable(np.ones((500, 1))), Scaling(np.zeros(1), np.ones(1)))
    valid, part = StoredRows(table, None, torch.device("cpu")).split(
        fraction, np.random.default_rng(0)
    )
    assert (len(valid), len(part)) == (n_taken, 500 - n_taken)


def test_a_split_of_a_stored_table_leaves_a_row():
    table = ScaledTable(StoredTable(np.ones((5, 1))), Scaling(np.zeros(1), np.ones(1)))
    valid, part = StoredRows(table, None, torch.device("cpu")).split(1.0, np.random.default_rng(0))
    assert (len(valid), len(part)) == (4, 1)


def test_slices_and_subsamples_of_a_stored_table_have_their_weights():
    X = np.arange(3000.0)[:, None]
    table = ScaledTable(StoredTable(X), Scaling(np.array([10.0]), np.array([2.0])))
    rows = StoredRows(table, np.arange(3000, dtype=np.float32), torch.device("cpu"))
    for batch in (rows[40:60], rows.subsample().batch):
        torch.testing.assert_close(batch.input[:, 0], (batch.weight - 10) / 2)
    assert rows[40:60].weight.tolist() == list(range(40, 60))


def test_automatic_batches_grow_with_the_table():
    assert [batch_length(n, "auto") for n in (5, 1000, 32_000, 10**6)] == [5, 256, 500, 1024]


def test_batches_that_processes_share_grow_where_an_epoch_has_many_of_them():
    sizes = (1000, 32_000, 500_000, 800_000, 10**6, 10**7)
    found = [batch_length(n, "auto", is_shared=True) for n in sizes]
    assert found == [256, 500, 1024, 1562, 1953, 2048]
    assert batch_length(10**7, 300, is_shared=True) == 300


def test_a_store_with_gaps_gives_its_masks(monkeypatch):
    monkeypatch.setattr("skae._data.stored_rows._BUFFER_BYTES", 4 * 2 * 300)
    monkeypatch.setattr("skae._data.stored_rows._LONGEST_RUN", 16)
    X = np.column_stack([np.arange(2000.0), np.arange(2000.0)])
    X[1500::7, 1] = np.nan

    def complete(values):
        filled = np.where(np.isnan(values), np.float32(-1), values)
        return CompletedRows(filled, ~np.isnan(values))

    table = ScaledTable(StoredTable(X), Scaling(np.zeros(2), np.ones(2)), complete)
    rows = StoredRows(table, None, torch.device("cpu"))
    batches = list(rows.shuffle(64, torch.Generator().manual_seed(0)))
    input = torch.cat([batch.input for batch in batches])
    mask = torch.cat([batch.mask for batch in batches])
    order = input[:, 0].argsort()
    np.testing.assert_array_equal(input[order, 0], X[:, 0])
    np.testing.assert_array_equal(mask[order], ~np.isnan(X))
    np.testing.assert_array_equal(input[:, 1][~mask[:, 1]], -1)
    taken = rows.take(np.array([1507, 3, 1500]))
    np.testing.assert_array_equal(taken.observed, [[True, False], [True, True], [True, False]])
    np.testing.assert_array_equal(taken.table[:, 0], [1507, 3, 1500])


@pytest.mark.parametrize(
    ("n_rows", "size", "n_parts"), [(10, 4, 2), (1001, 100, 3), (7, 7, 2), (100, 3, 2), (101, 9, 8)]
)
@pytest.mark.parametrize("stored", [True, False])
def test_parts_of_shared_batches_make_as_many_as_one_process_has_and_hold_each_row_once(
    n_rows, size, n_parts, stored, monkeypatch
):
    monkeypatch.setattr(stored_rows, "_BUFFER_BYTES", 4096)
    X = np.arange(n_rows, dtype=np.float32)[:, None]
    table = ScaledTable(StoredTable(X), Scaling(np.zeros(1), np.ones(1)))
    rows = Rows(Batch(torch.from_numpy(X), weight=torch.from_numpy(X[:, 0] * 2)))
    if stored:
        rows = StoredRows(table, X[:, 0] * 2, torch.device("cpu"))
    parts = [
        ShardBatches(rows, size, torch.Generator().manual_seed(rank), rank, n_parts)
        for rank in range(n_parts)
    ]
    found = [list(part) for part in parts]
    n_batches = -(-n_rows // size)
    assert {len(batches) for batches in found} == {len(part) for part in parts} == {n_batches}
    lengths = np.array([[len(batch.input) for batch in batches] for batches in found])
    assert (np.ptp(lengths, axis=1) <= 1).all()
    assert np.ptp(lengths.sum(axis=0)) <= 1
    assert lengths.sum(axis=0).max() <= size
    every = [batch for batches in found for batch in batches]
    seen = torch.cat([batch.input for batch in every]).flatten()
    assert seen.sort().values.tolist() == X.flatten().tolist()
    assert all(torch.equal(batch.weight, batch.input[:, 0] * 2) for batch in every)


def test_a_part_without_rows_takes_its_place():
    rows = Rows(Batch(torch.arange(5.0)[:, None]))
    own = [ShardBatches(rows, 2, torch.Generator().manual_seed(0), rank, 2) for rank in range(2)]
    assert [[len(batch.input) for batch in part] for part in own] == [[1, 1, 1], [1, 1, 0]]


def test_joined_batches_keep_what_is_missing_in_either():
    X, mask = torch.arange(6.0).reshape(3, 2), torch.tensor([[True, False]] * 3)
    whole, gaps = Batch(X, weight=X[:, 0]), Batch(X + 9, mask=mask, weight=X[:, 1])
    assert join_batches(whole, whole).mask is None
    for first, second in ((whole, gaps), (gaps, whole), (gaps, gaps)):
        joined = join_batches(first, second)
        torch.testing.assert_close(joined.input, torch.cat([first.input, second.input]))
        torch.testing.assert_close(joined.weight, torch.cat([first.weight, second.weight]))
        expected = [[True, one.mask is None] for one in (first, second) for _ in range(3)]
        assert joined.mask.tolist() == expected
        assert joined.target is None


def test_neighbouring_rows_of_a_store_are_read_as_its_own():
    X = np.arange(40, dtype=np.float32).reshape(20, 2)
    inside = TableRange(TablePart(StoredTable(X), np.array([3, 4])), 2, 9)
    expected = np.delete(X, [3, 4], axis=0)[2:9]
    assert len(inside) == 7
    np.testing.assert_array_equal(inside[:], expected)
    np.testing.assert_array_equal(inside[2:4], expected[2:4])
    np.testing.assert_array_equal(inside[5:3], expected[5:3])
    np.testing.assert_array_equal(inside.take(np.array([0, 6])), expected[[0, 6]])
    assert inside.ends.tolist() == [0, 7]


def test_parts_that_are_read_as_a_whole_end_within_neighbouring_rows():
    table = StoredTable(np.zeros((20, 2), dtype=np.float32))
    table.source = type("Parts", (), {"ends": np.array([0, 4, 8, 20])})()
    assert TableRange(table, 2, 10).ends.tolist() == [0, 2, 6, 8]


@pytest.mark.parametrize(("n_rows", "n_parts"), [(10, 2), (13, 4), (100, 3)])
def test_blocks_are_divided_as_they_are(n_rows, n_parts):
    whole = OrderedBlocks(Rows(Batch(torch.arange(float(n_rows))[:, None])), 3)
    parts = [list(whole.take_shard(rank, n_parts)) for rank in range(n_parts)]
    found = [batch.input.tolist() for part in parts for batch in part]
    assert found == [batch.input.tolist() for batch in whole]
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_fewer_blocks_than_parts_are_not_divided():
    whole = OrderedBlocks(Rows(Batch(torch.arange(5.0)[:, None])), 3)
    assert all(len(list(whole.take_shard(rank, 3))) == 2 for rank in range(3))

"""Passes over stored tables that two processes share, here threads."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch

from skae._data import ColumnMoments, ScaledTable, Scaling, SharedPass, blocks
from skae._data.stores import StoredTable
from skae._linear import pca
from skae._processes import enter_group


class Counting:
    """A store that counts the rows that are read."""

    def __init__(self, X):
        self.X, self.shape, self.n_read = X, X.shape, 0

    def __getitem__(self, rows):
        block = self.X[rows]
        self.n_read += len(block)
        return block


class ThreadGroup:
    """A process of two that fit together."""

    size = 2
    is_fitting = True

    def __init__(self, rank, parts, barrier):
        self.rank, self.parts, self.barrier = rank, parts, barrier

    def add(self, vector):
        self._combine(vector, lambda both: both.sum(dim=0))

    def maximize(self, vector):
        self._combine(vector, lambda both: both.amax(dim=0))

    def _combine(self, vector, function):
        self.parts[self.rank] = vector.clone()
        self.barrier.wait(30)
        vector.copy_(function(torch.stack(self.parts)))
        self.barrier.wait(30)

    def leave(self, error):
        self.barrier.abort()

    def close(self):
        pass


def compute_in_both(function):
    """What a function returns in each of two processes."""
    parts, barrier = [None, None], Barrier(2)

    def compute(rank):
        with enter_group(ThreadGroup(rank, parts, barrier)):
            return function()

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(compute, range(2)))


@pytest.fixture
def X(monkeypatch):
    monkeypatch.setattr(blocks, "_BLOCK_ROWS", 60)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 4)) * [1.0, 2.0, 5.0, 0.1] + [0.0, 3.0, -1.0, 100.0]
    X[7, 1] = 400.0  # the largest are in one process's blocks
    return X


def test_moments_are_those_of_one_process(X):
    X[:300, 0], X[300:, 0] = 0.0, 1e-200 * X[300:, 0]  # their squares are zero
    X[:400, 2] = np.nan
    X[:, 3] = np.nan
    weight = np.random.default_rng(1).integers(1, 5, len(X)).astype(float)
    alone = ColumnMoments.from_table(StoredTable(X), weight)
    first, second = compute_in_both(lambda: ColumnMoments.from_table(StoredTable(X), weight))
    for name in "mean", "spread", "observed":
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        np.testing.assert_allclose(getattr(first, name), getattr(alone, name), rtol=1e-12)


@pytest.mark.parametrize("full_up_to", [1000, 2])
def test_axes_are_those_of_one_process(full_up_to, X, monkeypatch):
    monkeypatch.setattr(pca, "FULL_UP_TO", full_up_to)  # beyond it, from a Krylov space
    scaling = Scaling(X.mean(axis=0), X.std(axis=0))

    def find():
        table = ScaledTable(StoredTable(X), scaling)
        return pca.decompose(table, None, 2, np.random.default_rng(0))

    alone, (first, second) = find(), compute_in_both(find)
    for name in "mean", "axes", "variances", "total":
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        np.testing.assert_allclose(
            getattr(first, name), getattr(alone, name), rtol=1e-6, atol=1e-9, err_msg=name
        )


def test_each_process_reads_a_part_of_a_store(X):
    def count():
        store = Counting(X)
        table = StoredTable(store)
        before = store.n_read
        sums = SharedPass(table)
        for rows in sums.blocks:
            table[rows]
        return store.n_read - before

    assert compute_in_both(count) == [300, 200]
    assert count() == 500


def test_each_process_reads_all_of_an_array(X):
    assert compute_in_both(lambda: SharedPass(X).blocks) == [blocks.row_blocks(X)] * 2


def test_passes_outside_of_a_fit_are_not_shared(X, monkeypatch):
    monkeypatch.setattr(ThreadGroup, "is_fitting", False)
    table = StoredTable(X)
    assert compute_in_both(lambda: SharedPass(table).blocks) == [blocks.row_blocks(X)] * 2

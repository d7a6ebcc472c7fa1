"""The split into training and calibration rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skae._data import StoredTable, TrainingTable, stores
from skae._detection.calibration import CalibrationSplit, count_calibration_rows, cut_blocks


def make_table(n_rows, weighted=True, stored=False):
    """Return a table whose cells are the indices of its rows, and their weights half of them."""
    X = np.repeat(np.arange(float(n_rows))[:, None], 2, axis=1)
    weight = 1 + X[:, 0] / 2 if weighted else None
    return TrainingTable(StoredTable(X) if stored else X, weight)


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_each_row_trains_or_calibrates_and_keeps_its_weight(weighted, stored):
    split = CalibrationSplit.draw(make_table(50, weighted, stored), 20, np.random.default_rng(0))
    train = split.train.X[:]
    assert len(split.indices) == 20
    np.testing.assert_array_equal(split.calibration[:, 0], split.indices)
    together = np.concatenate([train[:, 0], split.calibration[:, 0]])
    np.testing.assert_array_equal(np.sort(together), np.arange(50))
    if weighted:
        np.testing.assert_array_equal(split.train.weight, 1 + train[:, 0] / 2)
    else:
        assert split.train.weight is None


@pytest.mark.parametrize("stored", [False, True])
def test_all_rows_calibrate_equally_often(stored):
    generator = np.random.default_rng(0)
    table = make_table(10, stored=stored)
    counts = np.zeros(10)
    for _ in range(2000):
        counts[CalibrationSplit.draw(table, 3, generator).indices] += 1
    # Each count is binomial, of 2000 draws with a probability of 0.3.
    np.testing.assert_allclose(counts, 600, atol=4 * np.sqrt(2000 * 0.3 * 0.7))


def test_a_stored_table_calibrates_on_no_more_rows_than_a_subsample_has(monkeypatch):
    monkeypatch.setattr(stores, "LOADED_UP_TO", 4000)
    split = CalibrationSplit.draw(make_table(3000, stored=True), 1500, np.random.default_rng(0))
    assert len(split.calibration) == len(split.indices) == stores.subsample_size(2) == 1000
    assert len(split.train) == 2000
    in_memory = CalibrationSplit.draw(make_table(3000), 1500, np.random.default_rng(0))
    assert len(in_memory.calibration) == 1500


@pytest.mark.parametrize(
    ("n_rows", "fraction", "expected"),
    [
        (10_000, "auto", 1000),
        (990, "auto", 99),
        (600, "auto", 99),
        (100, "auto", 20),
        (2, "auto", 1),
        (496, "auto", 99),
        (100, 0.3, 30),
        (3, 0.99, 2),
        (3, 0.01, 1),
    ],
)
def test_number_of_calibration_rows(n_rows, fraction, expected):
    assert count_calibration_rows(n_rows, fraction, 0.01) == expected


@pytest.mark.parametrize("alpha", [0.01, 0.03, 0.05, 0.07])
def test_calibration_rows_are_just_enough_for_alpha(alpha):
    assert 1 / (1 + count_calibration_rows(2000, "auto", alpha)) <= alpha
    n_calibration = count_calibration_rows(600, "auto", alpha)
    assert 1 / (1 + n_calibration) <= alpha
    assert n_calibration == 60 or 1 / n_calibration > alpha


def test_rounding_of_alpha_takes_no_further_row():
    alpha = 1 - 0.9  # a little less than 0.1
    assert count_calibration_rows(50, "auto", alpha) == count_calibration_rows(50, "auto", 0.1) == 9


# Rows in the order of time ----------------------------------------------------------------


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@given(st.integers(2, 60), st.data())
def test_the_last_rows_calibrate_behind_a_gap(stored, weighted, n_rows, data):
    n_calibration = data.draw(st.integers(1, n_rows - 1))
    gap = data.draw(st.integers(0, n_rows - n_calibration - 1))
    table = make_table(n_rows, weighted, stored)
    split = CalibrationSplit.take_last(table, n_calibration, gap)
    train = split.train.X[:][:, 0]
    np.testing.assert_array_equal(train, np.arange(n_rows - n_calibration - gap))
    np.testing.assert_array_equal(split.indices, np.arange(n_rows - n_calibration, n_rows))
    np.testing.assert_array_equal(split.calibration[:, 0], split.indices)
    assert split.indices[0] - train[-1] == gap + 1
    if weighted:
        np.testing.assert_array_equal(split.train.weight, 1 + train / 2)


@pytest.mark.parametrize("stored", [False, True])
def test_a_gap_that_leaves_no_rows_is_refused(stored):
    with pytest.raises(ValueError, match="got gap=8 and 10 rows, of which 2 calibrate"):
        CalibrationSplit.take_last(make_table(10, stored=stored), 2, 8)


def test_a_stored_table_calibrates_on_its_last_rows_that_memory_holds(monkeypatch):
    monkeypatch.setattr(stores, "LOADED_UP_TO", 4000)
    split = CalibrationSplit.take_last(make_table(3000, stored=True), 1500, 100)
    np.testing.assert_array_equal(split.indices, np.arange(2000, 3000))
    assert len(split.train) == 1900


@pytest.mark.parametrize("stored", [False, True])
def test_a_block_leaves_out_the_rows_near_it(stored):
    table = make_table(50, stored=stored)
    blocks = cut_blocks(50, 4, gap=5)
    np.testing.assert_array_equal(np.concatenate(blocks), np.arange(50))
    for block in blocks:
        split = CalibrationSplit.take_block(table, block, gap=5)
        np.testing.assert_array_equal(split.calibration[:, 0], block)
        distance = np.abs(np.arange(50)[:, None] - block).min(axis=1)
        np.testing.assert_array_equal(split.train.X[:][:, 0], np.flatnonzero(distance > 5))
        np.testing.assert_array_equal(split.train.weight, 1 + split.train.X[:][:, 0] / 2)


@pytest.mark.parametrize(("n_rows", "gap"), [(3, 1), (50, 31)])
def test_blocks_that_leave_no_row_are_refused(n_rows, gap):
    message = f"gap must leave rows to train on, got gap={gap} and {n_rows} rows"
    with pytest.raises(ValueError, match=message):
        cut_blocks(n_rows, 4, gap)

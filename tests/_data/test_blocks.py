"""Blocks of rows: they cover a table, and none is too large."""

import numpy as np
import pytest

from skae._data import block_length, row_blocks, subsample_indices


@pytest.mark.parametrize("n_rows", [1, 6, 7, 8, 21, 22])
def test_blocks_cover_a_table_once(n_rows):
    blocks = row_blocks(np.zeros((n_rows, 3)), 7)
    covered = [row for block in blocks for row in range(block.start, block.stop)]
    assert covered == list(range(n_rows))
    assert max(block.stop - block.start for block in blocks) <= 7


def test_blocks_are_bounded_in_rows_and_in_cells():
    assert block_length(10, most_cells=100, most_rows=50) == 10
    assert block_length(1, most_cells=100, most_rows=50) == 50
    assert block_length(1000, most_cells=100, most_rows=50) == 1
    assert block_length(0, most_cells=100, most_rows=50) == 50
    for n_columns in (1, 1000, 10**6):  # 64 MiB of float64, unless one row is larger
        assert block_length(n_columns) * n_columns <= 2**23
        assert 1 <= block_length(n_columns) <= 65_536


@pytest.mark.parametrize(("n_rows", "most"), [(10, 3), (3, 10), (1, 5), (10, 10), (1000, 7)])
def test_a_subsample_is_sorted_and_spread_over_the_table(n_rows, most):
    indices = subsample_indices(n_rows, most)
    assert len(indices) == min(n_rows, most)
    assert indices[0] == 0
    if len(indices) > 1:
        assert indices[-1] == n_rows - 1
        gaps = np.diff(indices)
        assert gaps.min() >= 1
        assert gaps.max() - gaps.min() <= 1

"""Flat rows as grids, and back."""

import numpy as np
import pytest
import torch

from skae.modules.grids import Grid, GridToRows, RowsToGrid


@pytest.mark.parametrize(
    ("shape", "sizes", "n_channels", "channels_first"),
    [
        ((5, 7), (5, 7), 1, False),
        ((5, 7, 3), (5, 7), 3, False),
        ((3, 5, 7), (5, 7), 3, True),
        ((1, 5, 7), (5, 7), 1, True),
        ((5, 7, 5), (5, 7), 5, False),
        ((8, 5, 9), (5, 9), 8, True),
    ],
)
def test_the_shorter_outer_axis_of_an_image_has_the_channels(
    shape, sizes, n_channels, channels_first
):
    assert Grid.from_image(shape) == Grid(sizes, n_channels, channels_first)


def test_the_last_axis_of_a_sequence_has_the_features():
    assert Grid.from_sequence((50,)) == Grid((50,), 1)
    assert Grid.from_sequence((50, 3)) == Grid((50,), 3)
    assert Grid.from_sequence((3, 50)) == Grid((3,), 50)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3), (3, 4, 5)])
def test_cells_lie_where_the_row_has_them(shape):
    grid = Grid.from_image(shape)
    rows = torch.arange(2.0 * grid.n_cells).reshape(2, -1)
    cells = RowsToGrid(grid)(rows)
    images = rows.reshape(2, *shape)
    if len(shape) == 2:
        assert torch.equal(cells, images[:, None])
    else:
        assert torch.equal(cells, images if shape[0] == 3 else images.permute(0, 3, 1, 2))
    assert torch.equal(GridToRows(grid)(cells), rows)
    labels = np.repeat(np.arange(3), 20) if shape[0] == 3 else np.tile(np.arange(3), 20)
    assert np.array_equal(grid.label_channels(), labels if len(shape) == 3 else np.zeros(20))


def test_a_condition_is_a_channel():
    rows = torch.arange(2.0 * 13).reshape(2, 13)
    module = RowsToGrid(Grid((4, 3)), n_conditions=1)
    cells = module(rows)
    assert cells.shape == (2, module.n_channels, 4, 3) == (2, 2, 4, 3)
    assert torch.equal(cells[:, 0], rows[:, :12].reshape(2, 4, 3))
    assert torch.equal(cells[:, 1], rows[:, 12:, None].expand(2, 4, 3))


def test_no_rows_have_a_condition_too():
    module = RowsToGrid(Grid((4, 3)), n_conditions=1)
    assert module(torch.empty(0, 13)).shape == (0, 2, 4, 3)

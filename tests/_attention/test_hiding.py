"""Which cells are hidden to learn to fill them."""

import numpy as np
import pytest

from skae._attention.hiding import hide_cells, list_cells
from skae.modules.cells import CellLayout

LAYOUT = CellLayout((0, 4), (5,), ((1, 4), (6, 8)))


def draw_observed(n_rows=2000, seed=0):
    cells = list_cells(LAYOUT)
    observed = np.random.default_rng(seed).random((n_rows, len(cells))) < 0.7
    return np.repeat(observed, [own.stop - own.start for own in cells], axis=1)


def test_cells_are_listed_in_the_order_of_their_columns():
    assert list_cells(LAYOUT) == (slice(0, 1), slice(1, 4), slice(4, 5), slice(5, 6), slice(6, 8))


def test_only_observed_cells_are_hidden_and_one_is_left():
    observed = draw_observed()
    hidden = hide_cells(observed, list_cells(LAYOUT), (0.9, 1.0), np.random.default_rng(0))
    assert not (hidden & ~observed).any()
    assert ((observed & ~hidden).any(axis=1) == observed.any(axis=1)).all()
    assert hidden.any()


def test_indicators_of_a_category_are_hidden_together():
    hidden = hide_cells(draw_observed(), list_cells(LAYOUT), (0.3, 0.3), np.random.default_rng(0))
    for own in list_cells(LAYOUT):
        assert (hidden[:, own] == hidden[:, own.start : own.start + 1]).all()


def test_shares_are_those_asked_for():
    observed = np.ones((4000, LAYOUT.n_encoded), dtype=bool)
    hidden = hide_cells(observed, list_cells(LAYOUT), (0.1, 0.3), np.random.default_rng(0))
    first = [own.start for own in list_cells(LAYOUT)]
    assert hidden[:, first].mean() == pytest.approx(0.2, abs=0.01)

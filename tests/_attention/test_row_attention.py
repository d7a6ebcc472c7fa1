"""Attention, against sums written out."""

import numpy as np
import pytest
import torch

from skae._attention.row_attention import RememberedRows, RowAttention

CELLS = (slice(0, 1), slice(1, 3), slice(3, 4))


def draw_remembered(n_rows=6, weight=None, observed=None, seed=0):
    rng = np.random.default_rng(seed)
    values, residuals = rng.normal(size=(2, n_rows, 4))
    observed = np.ones((n_rows, 4), dtype=bool) if observed is None else observed
    weight = np.ones(n_rows) if weight is None else weight
    return RememberedRows.from_arrays(values, residuals, observed, weight, torch.float64)


def make_attention():
    return RowAttention(CELLS, np.random.default_rng(1).uniform(size=(3, 4))).double()


@pytest.mark.parametrize("cell", [0, 1, 2])
def test_weights_are_a_power_of_the_distance_over_observed_columns(cell):
    attention, remembered = make_attention(), draw_remembered()
    row = np.array([0.3, -0.2, 0.5, 1.0])
    observed = np.array([1.0, 1.0, 1.0, 0.0])
    found = attention.look_up(
        cell, torch.from_numpy(row)[None], torch.from_numpy(observed)[None], remembered
    )
    own = CELLS[cell]
    metric = attention.log_metric[cell].exp().detach().numpy().copy()
    metric[own] = 0.0
    values = remembered.values.numpy()
    distance = (metric * observed * np.square(row - values)).sum(axis=1)
    weight = (1 + distance) ** -attention.log_sharpness[cell].exp().item()
    expected = weight @ values[:, own] / weight.sum()
    np.testing.assert_allclose(found.values[0].detach(), expected, atol=1e-9)
    expected = weight @ remembered.residuals.numpy()[:, own] / weight.sum()
    np.testing.assert_allclose(found.residuals[0].detach(), expected, atol=1e-9)


def test_a_row_of_weight_two_is_two_rows():
    attention = make_attention()
    weighted = draw_remembered(weight=np.array([2.0, 1, 1, 1, 1, 1]))
    twice = draw_remembered().take(torch.tensor([0, 0, 1, 2, 3, 4, 5]))
    row, observed = torch.ones(1, 4).double(), torch.ones(1, 4).double()
    for one, other in zip(
        attention.look_up(1, row, observed, weighted),
        attention.look_up(1, row, observed, twice),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_one_cell_of_each_row_is_looked_up_as_cells_one_by_one_are():
    attention = make_attention()
    remembered = draw_remembered(weight=np.array([2.0, 1, 1, 1, 3, 1]))
    rows = torch.from_numpy(np.random.default_rng(2).normal(size=(3, 4)))
    observed = torch.tensor([[0.0, 1, 1, 1], [1, 0, 0, 0], [1, 0, 0, 0]]).double()
    weights = attention.weigh_each(torch.tensor([0, 1, 2]), rows, observed, remembered)
    for cell, own in enumerate(CELLS):
        found = attention.look_up(cell, rows[[cell]], observed[[cell]], remembered)
        torch.testing.assert_close(weights[[cell]] @ remembered.values[:, own], found.values)


def test_rows_without_the_cell_do_not_count():
    observed = np.ones((6, 4), dtype=bool)
    observed[:2, 1:3] = False
    attention = make_attention()
    row, mask = torch.zeros(1, 4).double(), torch.ones(1, 4).double()
    some = attention.look_up(1, row, mask, draw_remembered(observed=observed))
    left = attention.look_up(1, row, mask, draw_remembered().take(torch.arange(2, 6)))
    torch.testing.assert_close(some.values, left.values)


def test_the_average_of_several_is_that_of_their_weights():
    first, second = make_attention(), make_attention()
    with torch.no_grad():
        second.log_metric.add_(1.0)
    mean = RowAttention.average([first, second])
    torch.testing.assert_close(mean.log_metric, first.log_metric + 0.5)
    torch.testing.assert_close(make_attention().log_metric, first.log_metric)

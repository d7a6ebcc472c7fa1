"""A linear model of numbers and shares of levels, as one density."""

import numpy as np
import pytest
import torch
from torch import nn

from skae.modules.background import measure_background
from skae.modules.cells import CellLayout
from skae.modules.likelihoods import Bounds
from skae.modules.linear_mixture import LinearMixture
from skae.modules.mixed_floor import MixedFloor
from skae.modules.priors import StandardPrior

LAYOUT = CellLayout(numbers=(1, 5), booleans=(0,), categories=((2, 5),))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def floor():
    model = MixedFloor(LAYOUT, LinearMixture(2, 2, 1, is_full=False)).double()
    loadings = torch.randn(6, 2, generator=generator(), dtype=torch.float64)
    output = torch.tensor([0.5, 3.0, 0.1, 1.0, -2.0, -4.0], dtype=torch.float64)
    codes = StandardPrior(2).double().components(lambda rows: (rows, rows))
    model.set_scaling(torch.full((6,), 0.25), torch.full((6,), 0.5))
    model.set_model(0.25, loadings, output, torch.tensor([0.3, 0.7]), codes)
    return model, loadings, output


def draw_rows(n_rows):
    """Scaled rows, and the log-mass of their cells that are no numbers."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n_rows, 6))
    rows[:, 0] = (rng.integers(2, size=n_rows) - 0.25) / 0.5
    rows[:, 2:5] = (np.eye(3)[rng.integers(3, size=n_rows)] - 0.25) / 0.5
    return torch.from_numpy(rows)


def expect_log_density(floor, rows, mask):
    model, _, output = floor
    numbers = model.numbers.log_density(rows[:, [1, 5]], mask[:, [1, 5]])
    chance = torch.stack([(-output[0]).sigmoid(), output[0].sigmoid()]).log()
    boolean = chance[(rows[:, 0] > 0).long()]
    category = output[2:5].log_softmax(0)[rows[:, 2:5].argmax(1)]
    return numbers + boolean * mask[:, 0] + category * mask[:, 2]


def test_it_is_a_density_of_numbers_times_a_mass(floor):
    rows = draw_rows(20)
    everything = torch.ones(20, 6, dtype=torch.bool)
    found = floor[0].log_density(rows)
    torch.testing.assert_close(found, expect_log_density(floor, rows, everything))
    mask = torch.rand(20, 6, generator=generator()) < 0.5
    mask[:, 2:5] = mask[:, 2:3]
    mask[0] = False
    expected = expect_log_density(floor, rows, mask)
    found = floor[0].log_density(torch.where(mask, rows, 99.0), mask)
    torch.testing.assert_close(found, expected)
    assert found[0] == pytest.approx(0, abs=1e-12)
    other = torch.linspace(-5, 0, 20, dtype=torch.float64)
    numbers, seen = rows[:, [1, 5]], mask[:, [1, 5]]
    own = floor[0].numbers.log_density(numbers, seen)
    far = measure_background(numbers, seen)
    expected += torch.logaddexp(own + np.log(0.9), far + np.log(0.1)) - own
    mixed = torch.logaddexp(other + np.log(0.75), expected + np.log(0.25))
    torch.testing.assert_close(floor[0].mix(other, rows, mask), mixed)


def test_rows_are_drawn_from_it(floor):
    model, loadings, output = floor
    codes = model.components.draw(20_000, generator())
    expected = model.decode(codes)
    torch.testing.assert_close(expected[:, [1, 5]], (codes @ loadings.T + output)[:, [1, 5]])
    drawn = model.add_noise(expected, generator())
    cells = drawn * 0.5 + 0.25
    discrete = cells[:, [0, 2, 3, 4]]
    assert torch.minimum(discrete.abs(), (discrete - 1).abs()).max() < 1e-6
    chance = torch.cat([output[:1].sigmoid(), output[2:5].softmax(0)])
    torch.testing.assert_close(discrete.mean(0), chance, atol=0.02, rtol=0)
    noise = (drawn - expected)[:, [1, 5]].var(0)
    torch.testing.assert_close(noise, torch.tensor([0.3, 0.7]).double(), rtol=0.05, atol=0)


def test_numbers_are_drawn_within_bounds(floor):
    model = floor[0]
    rows = model.decode(model.components.draw(1000, generator()))
    low, high = torch.full((6,), -torch.inf), torch.full((6,), torch.inf)
    low[1], high[5] = 2.5, -3.0
    drawn = model.add_noise(rows, generator(), Bounds(low, high))
    assert drawn[:, 1].min() >= 2.5
    assert drawn[:, 5].max() <= -3
    assert drawn[:, 5].min() < -5


def test_a_table_without_numbers():
    layout = CellLayout((), (0,), ((1, 3),))
    model = MixedFloor(layout, LinearMixture(0, 2, 1, is_full=False))
    codes = StandardPrior(2).components(lambda rows: (rows, rows))
    output = torch.tensor([0.0, 1.0, -1.0])
    model.set_model(0.1, torch.zeros(3, 2), output, torch.ones(1), codes)
    rows = torch.tensor([[1.0, 1, 0], [0, 1, 0], [1, 0, 1], [0, 0, 1]])
    assert float(model.log_density(rows).exp().sum()) == pytest.approx(1)
    assert model.add_noise(model.decode(torch.zeros(5, 2)), generator()).shape == (5, 3)


def test_it_is_stored_with_the_module(floor):
    model = floor[0]
    other = MixedFloor(LAYOUT, LinearMixture(2, 2, 1, is_full=False)).double()
    assert other.share == 0
    nn.Module.load_state_dict(other, model.state_dict())
    rows = draw_rows(5)
    assert other.share == 0.25
    torch.testing.assert_close(other.log_density(rows), model.log_density(rows))

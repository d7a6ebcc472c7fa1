"""Linear layers, dropout, and columns of fixed length."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from skae.modules import Dropout, set_weight
from skae.modules.layers import fix_column_norms, make_linear


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_weights_are_spread_as_torchs_are():
    layer = make_linear(400, 300, generator())
    assert layer.weight.abs().max() <= 1 / 20
    assert layer.weight.std().item() == pytest.approx(1 / 20 / np.sqrt(3), rel=0.02)


def test_dropout_draws_from_its_own_generator():
    ones = torch.ones(1000, 10)
    a, b = Dropout(0.3, generator()), Dropout(0.3, generator())
    out = a(ones)
    assert torch.equal(out, b(ones))
    assert not torch.equal(out, a(ones))
    assert out.mean().item() == pytest.approx(1, abs=0.02)
    assert set(out.unique().tolist()) == {0.0, torch.tensor(1 / 0.7).item()}
    assert torch.equal(a.eval()(ones), ones)
    assert pickle.loads(pickle.dumps(a)).generator is None
    assert repr(a) == "Dropout(p=0.3)"


def test_fixed_columns_turn_but_do_not_stretch():
    layer = make_linear(3, 5, generator())
    lengths = layer.weight.norm(dim=0).detach()
    fix_column_norms(layer)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    X = torch.randn(20, 3, generator=generator())
    before = layer.weight.detach().clone()
    for _ in range(5):
        optimizer.zero_grad()
        layer(X).square().sum().backward()
        optimizer.step()
    torch.testing.assert_close(layer.weight.norm(dim=0), lengths)
    assert (layer.weight - before).abs().max() > 0.01
    with torch.no_grad():
        set_weight(layer, 3 * before)
    torch.testing.assert_close(layer.weight, 3 * before)


def test_biases_are_spread_as_torchs_are_and_drawn_from_the_generator():
    layer, again = make_linear(4, 4000, generator()), make_linear(4, 4000, generator())
    assert torch.equal(layer.bias, again.bias)
    assert layer.bias.abs().max() <= 0.5
    assert layer.bias.std().item() == pytest.approx(0.5 / np.sqrt(3), rel=0.05)


def test_no_dropout_draws_nothing():
    source = generator()
    state = source.get_state()
    ones = torch.ones(5, 2)
    assert Dropout(0.0, source)(ones) is ones
    assert torch.equal(source.get_state(), state)


def test_a_new_weight_sets_the_fixed_lengths():
    layer = make_linear(3, 5, generator())
    fix_column_norms(layer)
    with torch.no_grad():
        set_weight(layer, torch.zeros(5, 3))
        assert torch.equal(layer.weight, torch.zeros(5, 3))  # a column of no length stays one
        set_weight(layer, torch.ones(5, 3))
        torch.testing.assert_close(layer.weight, torch.ones(5, 3))
        layer.parametrizations.weight.original.mul_(7)  # as a step of training might
    torch.testing.assert_close(layer.weight, torch.ones(5, 3))


def test_a_copy_of_dropouts_draws_what_they_would_have_drawn():
    """From one generator of its own, if they share theirs."""
    source = torch.Generator().manual_seed(0)
    network = nn.Sequential(Dropout(0.5, source), Dropout(0.5, source))
    X = torch.ones(30, 4)
    network(X)
    twin = copy.deepcopy(network)
    assert twin[0].generator is twin[1].generator is not source
    expected = [network(X) for _ in range(3)]
    assert all(torch.equal(twin(X), one) for one in expected)
    assert not torch.equal(expected[0], expected[1])
    plain = copy.deepcopy(Dropout(0.3))
    assert (plain.generator, plain.p) == (None, 0.3)
    assert pickle.loads(pickle.dumps(network))[0].generator is None

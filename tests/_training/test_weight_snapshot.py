"""Weights saved and restored."""

import math

import pytest
import torch
from torch import nn

from skae._training.weight_snapshot import WeightSnapshot, are_all_finite


def make_module():
    with torch.random.fork_rng():
        return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).train()


def read(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def change(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1.0)
        module(torch.arange(12.0).reshape(4, 3))  # moves the running mean and counts a batch


def assert_same(module, saved):
    assert module.state_dict().keys() == saved.keys()
    for name, value in module.state_dict().items():
        assert torch.equal(value, saved[name]), name


def test_the_first_weights_are_saved_with_buffers_of_every_type():
    module = make_module()
    saved = read(module)
    snapshot = WeightSnapshot(module)
    change(module)
    assert all(not torch.equal(value, saved[name]) for name, value in module.state_dict().items())
    snapshot.restore()
    assert_same(module, saved)


def test_the_last_save_is_restored_as_often_as_asked():
    module = make_module()
    snapshot = WeightSnapshot(module)
    change(module)
    snapshot.save(snapshot.read())
    saved = read(module)
    for _ in range(2):
        change(module)
        snapshot.restore()
        assert_same(module, saved)


def test_values_that_are_read_do_not_change_with_the_module():
    module = nn.utils.skip_init(nn.Linear, 3, 1, bias=False)  # one tensor, nothing to join
    nn.init.ones_(module.weight)
    snapshot = WeightSnapshot(module)
    values = snapshot.read()
    nn.init.zeros_(module.weight)
    assert values.tolist() == [1.0, 1.0, 1.0]
    snapshot.restore()
    assert module.weight.tolist() == [[1.0, 1.0, 1.0]]


def test_weights_side_by_side_in_memory_are_one():
    module = make_module()
    values = torch.arange(24.0)
    places = {"0.weight": (1, 6), "0.bias": (7, 2), "1.weight": (9, 2), "1.bias": (12, 2)}
    for name, (first, length) in places.items():
        parameter = module.get_parameter(name)
        parameter.data = values[first : first + length].view(parameter.shape)
    saved = read(module)
    snapshot = WeightSnapshot(module)
    # But for a gap before the last one, and for buffers, which are elsewhere.
    assert [tensor.numel() for tensor in snapshot.floats] == [10, 2, 2, 2]
    change(module)
    snapshot.restore()
    assert_same(module, saved)
    assert values.tolist() == list(range(24))


def test_what_lies_in_another_order_stays_apart():
    values = torch.arange(6.0)
    module = nn.Module()
    module.later = nn.Parameter(values[3:])
    module.earlier = nn.Parameter(values[:3])
    module.turned = nn.Parameter(torch.arange(4.0).view(2, 2).t())
    snapshot = WeightSnapshot(module)
    assert snapshot.read().tolist() == [3.0, 4.0, 5.0, 0.0, 1.0, 2.0, 0.0, 2.0, 1.0, 3.0]
    nn.init.zeros_(module.turned)
    snapshot.restore()
    assert module.turned.tolist() == [[0.0, 2.0], [1.0, 3.0]]


@pytest.mark.parametrize("values", [[1.0, 2.0], [3e38, 3e38], [1.0, torch.inf], [torch.nan, 0.0]])
def test_finite_values_are_told_from_others(values):
    assert are_all_finite(torch.tensor(values)) == all(map(math.isfinite, values))


def test_a_loaded_state_does_not_change_with_the_snapshot():
    snapshot = WeightSnapshot(make_module())
    state = {"floats": snapshot.read(), "others": [torch.tensor(3)]}
    before = state["floats"].clone()
    snapshot.load_state_dict(state)
    snapshot.saved_floats.add_(1.0)
    snapshot.saved_others[0].add_(1)
    assert torch.equal(state["floats"], before)
    assert state["others"] == [torch.tensor(3)]

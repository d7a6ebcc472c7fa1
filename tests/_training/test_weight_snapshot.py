"""Weights saved and restored."""

import torch
from torch import nn

from skae._training.weight_snapshot import WeightSnapshot


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


def test_a_loaded_state_does_not_change_with_the_snapshot():
    snapshot = WeightSnapshot(make_module())
    state = {"floats": snapshot.read(), "others": [torch.tensor(3)]}
    before = state["floats"].clone()
    snapshot.load_state_dict(state)
    snapshot.saved_floats.add_(1.0)
    snapshot.saved_others[0].add_(1)
    assert torch.equal(state["floats"], before)
    assert state["others"] == [torch.tensor(3)]

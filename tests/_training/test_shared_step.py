"""Steps that processes take together, with the messages of others made up."""

from types import SimpleNamespace

import torch
from torch import nn

from skae._data import Batch
from skae._training.objective import Objective
from skae._training.shared_step import ShardSeeds, SharedStep


class FakeGroup:
    """Two processes, of which the other's message is known."""

    rank, size = 0, 2

    def __init__(self, other=None):
        self.other = other

    def add(self, vector):
        self.sent = vector.clone()
        if self.other is not None:
            vector += self.other


class MeanSquare(Objective):
    def row_losses(self, module, batch):
        return module(batch.input).square().mean(dim=1)


def take(layer, batch, group):
    """The loss and the gradients of a step, which other processes have a part of."""
    layer.zero_grad(set_to_none=False)
    objective, shared = MeanSquare(), SharedStep(group)

    def step(part):
        loss = objective.loss(layer, part)
        loss.backward()
        return loss.detach()

    def gather():
        return [parameter.grad for parameter in layer.parameters()]

    loss = shared.take(step, batch, gather)
    return loss, [gradient.clone() for gradient in gather()], shared.n_rows


def make_layer():
    layer = nn.utils.skip_init(nn.Linear, 3, 2)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
        parameter.grad = torch.zeros_like(parameter)
    return layer


def make_batch():
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(7, 3, generator=generator)
    return Batch(X, weight=torch.tensor([1.0, 2, 3, 1, 5, 1, 2]))


def test_a_step_on_two_parts_is_that_on_the_whole():
    layer, batch = make_layer(), make_batch()
    first, second = batch.select(slice(3)), batch.select(slice(3, 7))
    other = FakeGroup()
    take(layer, second, other)
    loss, gradients, n_rows = take(layer, first, FakeGroup(other.sent))
    layer.zero_grad(set_to_none=False)
    expected = MeanSquare().loss(layer, batch)
    expected.backward()
    assert n_rows == 7
    torch.testing.assert_close(loss, expected.detach())
    for found, parameter in zip(gradients, layer.parameters(), strict=True):
        torch.testing.assert_close(found, parameter.grad)


def test_a_part_without_rows_or_weight_counts_nothing():
    layer, batch = make_layer(), make_batch()
    for part in (batch.select(slice(0)), batch._replace(weight=torch.zeros(7))):
        group = FakeGroup()
        group.other = torch.cat([torch.full((8,), 4.0), torch.tensor([6.0, 2.0, 3.0])])
        loss, _, n_rows = take(layer, part, group)
        assert group.sent[:-1].abs().max() == 0
        assert loss == 3.0
        assert n_rows == 3 + len(part.input)


def draw_epochs(rank, n_epochs):
    """What a process draws in each epoch of a training, and then."""
    generator = torch.Generator().manual_seed(5)
    net = SimpleNamespace(history=[], find_generators=lambda: [generator])
    seeds = ShardSeeds(SimpleNamespace(rank=rank, size=2))
    seeds.on_train_begin(net)
    drawn = []
    for _ in range(n_epochs):
        net.history.append({})
        seeds.on_epoch_begin(net)
        drawn.append(torch.rand(1 + rank, generator=generator)[0].item())
    seeds.on_train_end(net)
    return [*drawn, torch.rand(1, generator=generator).item()]


def test_processes_draw_their_own_numbers_and_the_same_ones_afterwards():
    first, second = draw_epochs(0, 3), draw_epochs(1, 3)
    assert first[-1] == second[-1]
    assert len({*first, *second}) == 7
    assert draw_epochs(1, 3) == second

"""How much work a network is."""

import pytest
import torch
from torch import nn

from skae._environment import seed_default_generator
from skae._training.workload import count_products
from skae.modules import Autoencoder

PLACES = {
    "perceptron": (lambda: nn.Linear(12, 5), 12 * 5 + 5),
    "convolution": (
        lambda: nn.Sequential(nn.Unflatten(1, (1, 12)), nn.Conv1d(1, 2, 3, stride=2), nn.Flatten()),
        (3 * 2 + 2) * 5,
    ),
    "transposed": (
        lambda: nn.Sequential(
            nn.Unflatten(1, (3, 2, 2)), nn.ConvTranspose2d(3, 2, 2, stride=2), nn.Flatten()
        ),
        (3 * 2 * 4 + 2) * 4,
    ),
    "recurrent": (lambda: Last(), 3 * (4 * 3 + 4 * 4 + 8) * 3),
    "recurrent, called by keyword": (lambda: Last(True), 3 * (4 * 3 + 4 * 4 + 8) * 3),
}


class Last(nn.Module):
    """The last output of a recurrent layer over three steps."""

    def __init__(self, by_keyword=False):
        super().__init__()
        self.layer = nn.GRU(3, 4, batch_first=True)
        self.by_keyword = by_keyword

    def forward(self, rows):
        steps = rows.reshape(-1, 4, 3)[:, :3]
        return (self.layer(input=steps) if self.by_keyword else self.layer(steps))[0][:, -1]


@pytest.mark.parametrize(("make", "n_products"), PLACES.values(), ids=PLACES)
def test_weights_count_as_often_as_a_row_uses_them(make, n_products):
    with seed_default_generator(0):
        module = Autoencoder(make(), nn.Identity()).train()
    n_weights = sum(parameter.numel() for parameter in module.parameters())
    assert count_products(module, None) == n_weights
    assert count_products(module, 12) == n_products
    assert module.training
    assert not any(part._forward_hooks for part in module.modules())


def test_a_batch_is_not_noticed_by_running_statistics():
    with seed_default_generator(0):
        path = nn.Sequential(nn.Unflatten(1, (1, 6)), nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2))
    module = Autoencoder(path, nn.Flatten()).train()
    assert count_products(module, 6) == 8 * 4 + 4
    assert int(path[2].num_batches_tracked) == 0
    assert torch.equal(path[2].running_mean, torch.zeros(2))

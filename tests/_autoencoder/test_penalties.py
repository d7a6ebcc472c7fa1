"""Penalties by their definitions."""

import numpy as np
import pytest
import torch
from torch import nn

from skae._autoencoder.penalties import (
    TARGET_ACTIVITY,
    contractive_penalty,
    kl_penalty,
    l1_penalty,
)
from skae.modules.layers import make_linear


def test_l1_is_a_sum_over_the_code():
    code = torch.tensor([[1.0, 2.0], [0.0, -1.0]])
    assert l1_penalty(code).tolist() == [3.0, 1.0]


def test_kl_is_zero_at_the_target_and_positive_elsewhere():
    at_target = torch.full((10, 3), TARGET_ACTIVITY, dtype=torch.float64)
    assert kl_penalty(at_target).item() == pytest.approx(0, abs=1e-12)
    rho, activity = TARGET_ACTIVITY, 0.4
    expected = rho * np.log(rho / activity) + (1 - rho) * np.log((1 - rho) / (1 - activity))
    assert kl_penalty(torch.full((10, 3), activity).double()).item() == pytest.approx(3 * expected)
    for edge in (0.0, 1.0):
        assert torch.isfinite(kl_penalty(torch.full((4, 2), edge)))


def test_kl_counts_weights():
    code = torch.rand(5, 2, generator=torch.Generator().manual_seed(0)).double()
    weight = torch.tensor([1.0, 2.0, 0.0, 3.0, 1.0]).double()
    repeated = code.repeat_interleave(weight.long(), dim=0)
    assert kl_penalty(code, weight).item() == pytest.approx(kl_penalty(repeated).item())


def test_contractive_penalty_of_one_sigmoid_layer():
    """Rifai et al. (2011), equation 5: sum_j (h_j (1 - h_j))^2 |W_j|^2."""
    layer = make_linear(4, 3, torch.Generator().manual_seed(0)).double()
    X = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    code = torch.sigmoid(layer(X))
    expected = ((code * (1 - code)) ** 2 @ layer.weight.square().sum(1)).detach()
    torch.testing.assert_close(contractive_penalty(code, X).detach(), expected)


def test_contractive_penalty_of_a_deep_network():
    generator = torch.Generator().manual_seed(0)
    layers = make_linear(4, 8, generator), nn.Tanh(), make_linear(8, 3, generator), nn.SiLU()
    network = nn.Sequential(*layers).double()
    X = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    penalty = contractive_penalty(network(X), X)
    jacobians = [torch.autograd.functional.jacobian(network, row) for row in X.detach()]
    expected = torch.stack([j.square().sum() for j in jacobians])
    torch.testing.assert_close(penalty.detach(), expected)
    penalty.sum().backward()  # and it can be trained on
    assert network[0].weight.grad.abs().sum() > 0

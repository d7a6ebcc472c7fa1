"""Densities, divergences and entropies of diagonal Gaussians, against torch's distributions."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from skae.modules.gaussians import (
    bound_log_variance,
    gaussian_entropy,
    gaussian_log_density,
    standard_divergence,
    unbound_log_variance,
)


@pytest.fixture
def gaussian():
    generator = torch.Generator().manual_seed(0)
    mean, log_variance = torch.randn(2, 7, 3, generator=generator).double()
    return mean, log_variance, Normal(mean, (0.5 * log_variance).exp())


def test_densities_divergences_and_entropies_are_torchs(gaussian):
    mean, log_variance, expected = gaussian
    code = torch.linspace(-2, 2, 21).double().reshape(7, 3)
    torch.testing.assert_close(
        gaussian_log_density(code, mean, log_variance), expected.log_prob(code).sum(1)
    )
    standard = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    torch.testing.assert_close(
        standard_divergence(mean, log_variance), kl_divergence(expected, standard).sum(1)
    )
    torch.testing.assert_close(gaussian_entropy(log_variance), expected.entropy().sum(1))


def test_log_variances_stay_in_bounds():
    raw = torch.tensor([-1e9, -40.0, -10.0, 0.0, 5.0, 1e9]).double()
    bounded = bound_log_variance(raw)
    assert bounded[0] == -26
    assert bounded[-1] == 6
    assert (bounded.diff() > 0).all()
    assert bounded[2] == -10  # the middle stays as it is, and has slope one
    raw = torch.tensor(-10.0, requires_grad=True)
    bound_log_variance(raw).backward()
    assert raw.grad == 1


def test_unbounding_is_the_inverse():
    log_variance = torch.linspace(-25.9, 5.9, 50).double()
    torch.testing.assert_close(bound_log_variance(unbound_log_variance(log_variance)), log_variance)
    beyond = unbound_log_variance(torch.tensor([-1e3, 1e3]))
    assert torch.isfinite(beyond).all()
    torch.testing.assert_close(
        bound_log_variance(beyond), torch.tensor([-26.0, 6.0]), atol=0.02, rtol=0
    )

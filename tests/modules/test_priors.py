"""Mixtures of Gaussians as priors, against torch's distributions."""

import math

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from skae.modules.priors import GaussianComponents, make_prior


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def posterior(rows):
    return rows[:, :2], rows[:, 2:]


def as_distribution(mixture):
    scale = (0.5 * mixture.log_variance).exp()
    parts = Independent(Normal(mixture.mean, scale), 1)
    return MixtureSameFamily(Categorical(logits=mixture.log_weight), parts)


@pytest.fixture
def mixture():
    mean, log_variance = torch.randn(2, 3, 2, generator=generator()).double()
    log_weight = torch.tensor([0.2, 0.3, 0.5]).double().log()
    return GaussianComponents(log_weight, mean, log_variance)


@pytest.mark.parametrize("shape", [(7, 2), (7, 4, 2)])
def test_densities_are_torchs(mixture, shape):
    code = torch.randn(*shape, generator=generator(1)).double()
    expected = as_distribution(mixture)
    torch.testing.assert_close(mixture.log_density(code), expected.log_prob(code))
    shares = mixture.responsibilities(code)
    torch.testing.assert_close(shares.sum(-1), torch.ones(shape[:-1]).double())
    parts = expected.component_distribution.log_prob(code[..., None, :]) + mixture.log_weight
    torch.testing.assert_close(shares.log(), parts - expected.log_prob(code)[..., None])


def test_draws_have_the_moments_of_the_mixture(mixture):
    codes = mixture.draw(200_000, generator())
    expected = as_distribution(mixture)
    torch.testing.assert_close(codes.mean(0), expected.mean, atol=0.03, rtol=0)
    torch.testing.assert_close(codes.var(0), expected.variance, atol=0, rtol=0.03)
    assert torch.equal(codes, mixture.draw(200_000, generator()))


@pytest.mark.parametrize("name", ["standard", "mixture", "vamp"])
def test_priors_are_normalized_mixtures(name):
    prior = make_prior(name, 4, 2, 3, generator())
    found = prior.components(posterior)
    assert found.log_weight.exp().sum().item() == pytest.approx(1)
    assert len(found.log_weight) == len(found.mean) == prior.n_mixed
    assert found.mean.shape == found.log_variance.shape == (prior.n_mixed, 2)


def test_the_standard_prior_is_standard():
    code = torch.randn(9, 2, generator=generator())
    found = make_prior("standard", 4, 2, 3, None).components(posterior).log_density(code)
    torch.testing.assert_close(found, Normal(0.0, 1.0).log_prob(code).sum(1))


def test_the_mixtures_weights_stay_a_distribution_and_its_variances_in_bounds():
    prior = make_prior("mixture", 4, 2, 3, generator())
    assert prior.mean.std() > 0
    assert torch.equal(prior.mean, make_prior("mixture", 4, 2, 3, generator()).mean)
    with torch.no_grad():
        prior.logit.copy_(torch.tensor([1.0, 2.0, 3.0]))
        prior.raw_log_variance.fill_(1e6)
    found = prior.components(posterior)
    torch.testing.assert_close(found.log_weight.exp(), prior.logit.softmax(0))
    assert found.log_variance.max() <= 6


def test_the_vamp_prior_is_half_standard_and_half_posteriors():
    prior = make_prior("vamp", 4, 2, 5, generator())
    found = prior.components(posterior)
    torch.testing.assert_close(found.log_weight[0], torch.tensor(math.log(0.5)))
    torch.testing.assert_close(found.log_weight[1:].exp(), torch.full((5,), 0.1))
    assert not found.mean[0].any()
    assert not found.log_variance[0].any()
    torch.testing.assert_close(found.mean[1:], prior.pseudo_rows[:, :2])
    torch.testing.assert_close(found.log_variance[1:], prior.pseudo_rows[:, 2:])

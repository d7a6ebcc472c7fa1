"""Mixtures of Gaussians as priors, against torch's distributions."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)

from skae.modules.priors import FULL_UP_TO, GaussianComponents, make_prior


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def posterior(rows):
    return rows[:, :2], rows[:, 2:]


def as_distribution(mixture):
    weights = Categorical(logits=mixture.log_weight)
    scale = (0.5 * mixture.log_variance).exp()
    if mixture.regression is None:
        return MixtureSameFamily(weights, Independent(Normal(mixture.mean, scale), 1))
    # The residual of a unit is what the units before it leave.
    unit = torch.eye(mixture.mean.shape[1]).double() - mixture.regression
    precision = unit.mT @ torch.diag_embed(scale**-2) @ unit
    return MixtureSameFamily(weights, MultivariateNormal(mixture.mean, precision_matrix=precision))


@pytest.fixture(params=["diagonal", "full"])
def mixture(request):
    mean, log_variance = torch.randn(2, 3, 2, generator=generator()).double()
    log_weight = torch.tensor([0.2, 0.3, 0.5]).double().log()
    regression = torch.randn(3, 2, 2, generator=generator(2)).double().tril(-1)
    return GaussianComponents(
        log_weight, mean, log_variance, None if request.param == "diagonal" else regression
    )


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


def test_the_added_gaussian_has_the_moments_of_all_codes(mixture):
    wider = mixture.add_whole(0.3)
    expected = as_distribution(mixture)
    found = as_distribution(wider)
    torch.testing.assert_close(found.mixture_distribution.probs[-1], torch.tensor(0.3).double())
    torch.testing.assert_close(
        found.mixture_distribution.probs[:-1], 0.7 * expected.mixture_distribution.probs
    )
    whole = found.component_distribution
    torch.testing.assert_close(whole.mean[-1], expected.mean)
    torch.testing.assert_close(whole.variance[-1], expected.variance)
    if mixture.regression is not None:
        centred = expected.component_distribution.mean - expected.mean
        weight = expected.mixture_distribution.probs
        covariance = torch.einsum(
            "m,mij->ij", weight, expected.component_distribution.covariance_matrix
        )
        covariance = covariance + torch.einsum("m,mi,mj->ij", weight, centred, centred)
        torch.testing.assert_close(whole.covariance_matrix[-1], covariance)


def set_to(prior, fit):
    prior.set_components(
        torch.from_numpy(fit.weights_),
        torch.from_numpy(fit.means_),
        torch.from_numpy(fit.covariances_),
    )
    return prior.double().components(posterior)


@pytest.fixture
def clusters():
    turned = np.array([[[1.0, 0.9, 0.0], [0.0, 0.3, 0.0], [0.4, 0.0, 0.2]], np.eye(3)])
    return np.random.default_rng(0).normal(size=(2, 400, 3)) @ turned + [[[3, 0, 1]], [[0, 0, 0]]]


def test_set_to_scikit_learns_mixture_it_is_the_same(clusters):
    X = clusters.reshape(-1, 3)
    fit = GaussianMixture(2, random_state=0).fit(X)
    prior = make_prior("mixture", 4, 3, 2, generator())
    assert prior.is_full
    found = set_to(prior, fit)
    code = torch.from_numpy(X)
    np.testing.assert_allclose(
        found.log_density(code).detach(), fit.score_samples(X), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(
        found.responsibilities(code).detach(), fit.predict_proba(X), atol=1e-4
    )
    drawn = found.draw(100_000, generator()).detach()
    kind = found.responsibilities(drawn).argmax(1)
    for m in range(2):
        wanted = fit.sample(100_000)[0]
        wanted = wanted[fit.predict(wanted) == m]
        np.testing.assert_allclose(np.cov(drawn[kind == m].T), np.cov(wanted.T), atol=0.05)


@pytest.mark.parametrize("size", [3, FULL_UP_TO + 1])
def test_only_the_gaussians_that_were_set_count(size):
    """Wherever they are stored and moved, and in training too."""
    X = np.random.default_rng(0).normal(size=(400, size))
    X[:200] += 4
    kind = "full" if size <= FULL_UP_TO else "diag"
    fit = GaussianMixture(2, covariance_type=kind, random_state=0).fit(X)
    prior = make_prior("mixture", 4, size, 5, generator())
    assert prior.n_mixed == 5
    found = set_to(prior, fit)
    assert prior.n_mixed == len(found.mean) == len(found.log_weight) == 2
    code = torch.from_numpy(X)
    np.testing.assert_allclose(
        found.log_density(code).detach(), fit.score_samples(X), rtol=1e-4, atol=1e-4
    )
    found.log_density(code[:150]).sum().backward()
    for weight in prior.parameters():
        assert weight.grad[:2].any()
        assert not weight.grad[2:].any()
    other = make_prior("mixture", 4, size, 5, generator(1)).double()
    other.load_state_dict(prior.state_dict())
    for copied in (other, copy.deepcopy(prior), pickle.loads(pickle.dumps(prior)).float().double()):
        assert copied.n_mixed == 2
        torch.testing.assert_close(
            copied.components(posterior).log_density(code), found.log_density(code)
        )


def test_the_number_of_gaussians_stays_on_the_cpu():
    """A training step that reads it doesn't wait for a device."""
    prior = make_prior("mixture", 4, 2, 3, generator()).to("meta")
    assert prior.mean.is_meta
    assert prior.n_mixed == 3


def test_large_codes_have_diagonal_gaussians():
    size = FULL_UP_TO + 1
    prior = make_prior("mixture", 4, size, 2, generator())
    assert not prior.is_full
    X = np.random.default_rng(0).normal(size=(200, size)) * np.geomspace(0.1, 2, size)
    fit = GaussianMixture(2, covariance_type="diag", random_state=0).fit(X)
    found = set_to(prior, fit)
    np.testing.assert_allclose(
        found.log_density(torch.from_numpy(X)).detach(), fit.score_samples(X), rtol=1e-4
    )


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

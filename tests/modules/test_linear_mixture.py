"""Mixtures of factor analysers against scipy's densities."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from torch import nn

from skae.modules.background import measure_background
from skae.modules.linear_mixture import LinearMixture
from skae.modules.priors import MixturePrior


def make_mixture(n_components, share=0.25, *, is_full=True, most=3):
    """Return a mixture of three Gaussians in five columns, and scipy's means and covariances."""
    rng = np.random.default_rng(0)
    layer = nn.utils.skip_init(nn.Linear, n_components, 5).double()
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(rng.normal(size=(5, n_components))))
        layer.bias.copy_(torch.from_numpy(rng.normal(size=5)))
    root = rng.normal(size=(3, n_components, n_components))
    spread = root @ root.transpose(0, 2, 1) + 0.1 * np.eye(n_components)
    centres, weight = rng.normal(size=(3, n_components)), np.array([0.2, 0.5, 0.3])
    prior = MixturePrior(n_components, 3, torch.Generator()).double()
    prior.set_components(*(torch.from_numpy(part) for part in (weight, centres, spread)))
    components = prior.components(lambda rows: (rows, rows))
    if not is_full:
        components = components._replace(regression=None)
        spread = np.stack([np.diag(line) for line in components.log_variance.detach().exp()])
    variance = rng.uniform(0.1, 1, size=5)
    model = LinearMixture(5, n_components, most, is_full=is_full).double()
    model.set_model(share, layer.weight, layer.bias, torch.from_numpy(variance), components)
    loadings, centre = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    covariance = loadings @ spread @ loadings.T + np.diag(variance)
    return model, weight, centres @ loadings.T + centre, covariance


@pytest.mark.parametrize("most", [3, 6])
@pytest.mark.parametrize("is_full", [True, False])
@pytest.mark.parametrize("n_components", [1, 2, 7])
def test_the_density_is_that_of_a_gaussian_mixture(n_components, is_full, most):
    """Also where it has fewer Gaussians than there is room for."""
    model, weight, means, covariances = make_mixture(n_components, is_full=is_full, most=most)
    assert len(model.components.mean) == 3
    X = 3 * np.random.default_rng(1).normal(size=(20, 5))
    each = [
        multivariate_normal(mean, covariance).logpdf(X) + np.log(share)
        for share, mean, covariance in zip(weight, means, covariances, strict=True)
    ]
    found = model.log_density(torch.from_numpy(X))
    np.testing.assert_allclose(found, logsumexp(each, axis=0), rtol=1e-5)


@pytest.mark.parametrize("is_full", [True, False])
@pytest.mark.parametrize("n_components", [1, 2, 7])
def test_the_density_of_observed_cells_is_their_marginal(n_components, is_full):
    model, weight, means, covariances = make_mixture(n_components, is_full=is_full)
    rng = np.random.default_rng(1)
    X, observed = 3 * rng.normal(size=(20, 5)), rng.random((20, 5)) < 0.6
    observed[0], observed[1] = False, True
    filled = torch.from_numpy(np.where(observed, X, 1e6))
    found = model.log_density(filled, torch.from_numpy(observed))
    assert found[0] == pytest.approx(0, abs=1e-6)
    for row, seen, value in zip(X[1:], observed[1:], found[1:], strict=True):
        each = [
            multivariate_normal(mean[seen], covariance[np.ix_(seen, seen)]).logpdf(row[seen])
            for mean, covariance in zip(means, covariances, strict=True)
        ]
        assert float(value) == pytest.approx(logsumexp(each + np.log(weight)), rel=1e-5)
    other, seen = torch.zeros(20, dtype=torch.float64), torch.from_numpy(observed)
    parts = [other + np.log(0.75), found + np.log(0.225)]
    parts.append(measure_background(filled, seen) + np.log(0.025))
    torch.testing.assert_close(model.mix(other, filled, seen), torch.stack(parts).logsumexp(0))


def test_it_makes_its_share_of_another_density():
    X = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    model, *_ = make_mixture(2, share=0.25)
    other = torch.linspace(-9, -1, 6, dtype=torch.float64)
    expected = 0.75 * other.exp() + 0.225 * model.log_density(X).exp()
    expected += 0.025 * measure_background(X).exp()
    torch.testing.assert_close(model.mix(other, X).exp(), expected)
    nowhere = torch.full_like(other, -1e6)
    assert (model.mix(nowhere, X) > model.log_density(X) - 1.5).all()
    far = 1e3 * X
    assert (model.log_density(far) < -1e6).all()
    assert (model.mix(nowhere, far) > -70).all()
    without, *_ = make_mixture(2, share=0.0)
    assert without.mix(other, X) is other


def test_rows_far_away_have_a_finite_density():
    model, *_ = make_mixture(2)
    assert torch.isfinite(model.log_density(torch.full((1, 5), 1e100, dtype=torch.float64))).all()


def test_rows_are_drawn_from_it():
    model, weight, means, covariances = make_mixture(2)
    generator = torch.Generator().manual_seed(0)
    expected = model.decode(model.components.draw(50_000, generator))
    rows = model.add_noise(expected, generator).detach().numpy()
    mean = weight @ means
    spread = means - mean
    covariance = np.tensordot(weight, covariances, 1) + spread.T @ (weight[:, None] * spread)
    np.testing.assert_allclose(rows.mean(axis=0), mean, atol=0.05)
    np.testing.assert_allclose(np.cov(rows.T), covariance, atol=0.15)

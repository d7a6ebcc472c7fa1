"""Scores against densities that are known."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer
from skae._autoencoder.density import (
    CodeModel,
    decoder_jacobian,
    laplace_log_density,
    prior_factor,
)
from skae._linear import SMALLEST_VARIANCE


@pytest.mark.parametrize(("n_components", "n_features"), [(1, 1), (2, 5), (5, 5), (7, 4)])
def test_exact_for_any_linear_decoder_at_any_code(n_components, n_features):
    """log N(x; V m + c, V S V' + s2 I), wherever the expansion is made."""
    rng = np.random.default_rng(0)
    V, c = rng.normal(size=(n_features, n_components)), rng.normal(size=n_features)
    factor = rng.normal(size=(n_components, n_components))
    mean, variance = rng.normal(size=n_components), 0.3
    X = rng.normal(size=(20, n_features))
    code = rng.normal(size=(20, n_components))  # not even near the posterior mode
    T = torch.from_numpy
    ours = laplace_log_density(
        lambda z: z @ T(V).T + T(c), T(X), T(code), CodeModel(T(mean), T(factor), variance)
    )
    covariance = V @ factor @ factor.T @ V.T + variance * np.eye(n_features)
    expected = multivariate_normal(V @ mean + c, covariance).logpdf(X)
    np.testing.assert_allclose(ours, expected, rtol=1e-10)


def test_a_singular_code_is_no_trouble():
    T = torch.from_numpy
    X = np.random.default_rng(0).normal(size=(5, 3))
    ours = laplace_log_density(
        lambda z: z @ torch.ones(2, 3, dtype=torch.float64),
        T(X),
        torch.zeros(5, 2, dtype=torch.float64),
        CodeModel(torch.zeros(2).double(), torch.zeros(2, 2).double(), 2.0),
    )
    np.testing.assert_allclose(ours, multivariate_normal(np.zeros(3), 2 * np.eye(3)).logpdf(X))


@pytest.mark.parametrize(("n_components", "n_features"), [(3, 5), (5, 3)])
def test_jacobian_is_the_derivative(n_components, n_features):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(n_components, n_features, generator=generator, dtype=torch.float64)

    def decode(z):
        return torch.tanh(z @ weight) ** 2

    code = torch.randn(4, n_components, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        ours = decoder_jacobian(decode, code, n_features)
        step = 1e-6
        for k in range(n_components):
            moved = torch.zeros_like(code)
            moved[:, k] = step
            slope = (decode(code + moved) - decode(code - moved)) / (2 * step)
            torch.testing.assert_close(ours[:, :, k], slope, atol=1e-8, rtol=1e-6)


def test_prior_is_the_codes_covariance_less_the_noise():
    covariance, gain = torch.diag(torch.tensor([4.0, 1.0])).double(), torch.eye(2).double()
    factor = prior_factor(covariance, 0.5, gain)
    np.testing.assert_allclose(factor @ factor.T, np.diag([3.5, 0.5]), atol=1e-12)
    factor = prior_factor(covariance, 2.0, gain)  # more noise than variance: nothing is left
    np.testing.assert_allclose(factor @ factor.T, np.diag([2.0, 0.0]), atol=1e-12)


def test_curved_density_against_the_true_one():
    """Rows around an arc: the marginal over the hidden angle, by quadrature."""
    rng = np.random.default_rng(0)

    def arc(angle):
        return 5 * np.column_stack([np.cos(angle), np.sin(angle)])

    def rows(n):
        return arc(0.6 * rng.normal(size=n)) + 0.2 * rng.normal(size=(n, 2))

    train, test = rows(4000), rows(1000)
    grid = np.linspace(-4, 4, 2001)
    squares = ((test[:, None] - arc(grid)) ** 2).sum(2)
    joint = np.exp(-squares / 0.08 - grid**2 / 0.72) / (2 * np.pi * 0.04 * np.sqrt(0.72 * np.pi))
    truth = np.log(joint.sum(1) * (grid[1] - grid[0])).mean()
    ours = AutoencoderTransformer(1, standardize=False, random_state=0).fit(train).score(test)
    linear = PCA(1).fit(train).score(test)
    assert linear < truth - 0.5
    assert truth - 0.1 < ours < truth + 0.02


def test_score_is_that_of_pca_where_pca_is_kept():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5)) * [3, 2, 1, 1, 1]
    ours = AutoencoderTransformer(2, standardize=False, random_state=0).fit(X)
    assert ours.n_iter_ == 0
    np.testing.assert_allclose(ours.score_samples(X), PCA(2).fit(X).score_samples(X), atol=0.02 * 5)


def test_a_perfect_reconstruction_has_some_width():
    X = np.random.default_rng(0).normal(size=(50, 1)) @ np.ones((1, 4))
    ours = AutoencoderTransformer(1, hidden_layer_sizes=()).fit(X)
    assert ours.noise_variance_ == SMALLEST_VARIANCE
    assert np.isfinite(ours.score_samples(X)).all()


def test_noise_is_what_held_out_rows_show(digits):
    ours = AutoencoderTransformer(8, random_state=0).fit(digits)
    share = ours.validation_scores_[ours.n_iter_]
    assert ours.noise_variance_ >= share * 64 / (64 - 8) - 1e-12
    assert share > ours.reconstruction_error(digits).mean()


def test_float32_rows_score_as_float64_ones(wine):
    ours = AutoencoderTransformer(2, hidden_layer_sizes=(8,), max_epochs=3, random_state=0).fit(
        wine
    )
    np.testing.assert_allclose(
        ours.score_samples(wine.astype(np.float32)), ours.score_samples(wine), rtol=1e-4
    )

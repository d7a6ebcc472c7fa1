"""Scores against densities that are known."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer
from skae._autoencoder.density import (
    CodeModel,
    CodeMoments,
    decoder_jacobian,
    laplace_log_density,
    prior_factor,
)
from skae._data import Batch, Rows
from skae._linear import SMALLEST_VARIANCE, Moments
from skae._training import TrainedModule
from skae.modules import mlp_autoencoder


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


def test_a_singular_code_has_a_density():
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
    ours = AutoencoderTransformer(2, standardize=False, prior="gaussian", random_state=0).fit(X)
    assert ours.n_iter_ == 0
    np.testing.assert_allclose(ours.score_samples(X), PCA(2).fit(X).score_samples(X), atol=0.02 * 5)


def test_a_perfect_reconstruction_has_the_smallest_variance():
    X = np.random.default_rng(0).normal(size=(50, 1)) @ np.ones((1, 4))
    ours = AutoencoderTransformer(1, hidden_layer_sizes=()).fit(X)
    assert ours.noise_variance_ == SMALLEST_VARIANCE
    assert np.isfinite(ours.score_samples(X)).all()


def test_noise_is_that_of_held_out_rows(digits):
    ours = AutoencoderTransformer(8, random_state=0).fit(digits)
    share = ours.validation_scores_[ours.n_iter_]
    assert ours.noise_variance_ >= share * 64 / (64 - 8) - 1e-12
    assert share > ours.reconstruction_error(digits).mean()


def test_a_penalty_is_no_noise(curve):
    """Held-out losses contain it; the noise is what the reconstruction leaves."""
    ours = AutoencoderTransformer(
        2, penalty="kl", alpha=1.0, init="random", max_epochs=1, random_state=0
    ).fit(curve)
    assert ours.n_iter_ > 0
    left = ours.reconstruction_error(curve).mean() * 6 / (6 - 2)
    assert ours.validation_scores_[ours.n_iter_] * 6 / (6 - 2) > 1.05 * left
    assert ours.noise_variance_ == pytest.approx(left, rel=1e-3)


def test_the_noise_of_trimmed_training_is_that_of_clean_rows():
    rng = np.random.default_rng(0)
    clean = rng.normal(size=(400, 3)) @ rng.normal(size=(3, 10)) + 0.1 * rng.normal(size=(400, 10))
    spoilt = np.vstack([clean, 10 * rng.normal(size=(20, 10))])
    ours = AutoencoderTransformer(
        3, hidden_layer_sizes=(), trim_fraction=0.1, standardize=False, random_state=0
    ).fit(spoilt)
    assert ours.noise_variance_ * ours.scale_[0] ** 2 == pytest.approx(0.01, rel=0.25)


def test_float32_rows_score_as_float64_ones(wine):
    ours = AutoencoderTransformer(2, hidden_layer_sizes=(8,), max_epochs=3, random_state=0).fit(
        wine
    )
    np.testing.assert_allclose(
        ours.score_samples(wine.astype(np.float32)), ours.score_samples(wine), rtol=1e-4
    )


# Moments of the training rows ---------------------------------------------------------------


def make_trained(n_components=2):
    module = mlp_autoencoder(5, n_components, (6,), generator=torch.Generator().manual_seed(0))
    torch.nn.init.ones_(module.encoder.gate)
    torch.nn.init.ones_(module.decoder.gate)
    return TrainedModule(module)


def make_rows(X, weight=None):
    weight = None if weight is None else torch.from_numpy(weight).float()
    return Rows(Batch(torch.from_numpy(X).float(), weight=weight))


def draw(n_rows, seed=0):
    return np.random.default_rng(seed).normal(size=(n_rows, 5)) * [3, 2, 1, 1, 1]


def assert_same_moments(found, expected):
    assert found.codes.total == pytest.approx(expected.codes.total)
    np.testing.assert_allclose(found.codes.mean, expected.codes.mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.codes.covariance, expected.codes.covariance, rtol=1e-4)
    assert found.error == pytest.approx(expected.error, rel=1e-4)
    np.testing.assert_allclose(found.gain, expected.gain, rtol=1e-4)


def test_merged_moments_are_those_of_all_rows():
    trained, X = make_trained(), draw(300)
    X[200:] += 2
    parts = [CodeMoments.from_rows(make_rows(part), trained, 0.0) for part in np.split(X, [200])]
    whole = CodeMoments.from_rows(make_rows(X), trained, 0.0)
    assert_same_moments(parts[0].merge(parts[1]), whole)
    assert_same_moments(parts[1].merge(parts[0]), whole)


def test_weighted_moments_are_those_of_repeated_rows():
    trained, X = make_trained(), draw(200)
    weight = np.random.default_rng(1).integers(0, 4, size=200)
    weighted = CodeMoments.from_rows(make_rows(X, weight), trained, 0.0)
    repeated = CodeMoments.from_rows(make_rows(X.repeat(weight, axis=0)), trained, 0.0)
    assert_same_moments(weighted, repeated)


def test_trimmed_moments_leave_out_the_largest_errors():
    trained, X = make_trained(), draw(200)
    errors = np.square(trained.apply(lambda module, rows: module(rows), X) - X).sum(axis=1)
    trimmed = CodeMoments.from_rows(make_rows(X), trained, 0.25)
    kept = X[np.sort(np.argsort(errors)[:150])]
    assert_same_moments(trimmed, CodeMoments.from_rows(make_rows(kept), trained, 0.0))


def test_a_subsample_stands_for_all_rows_of_a_stored_table():
    trained, X = make_trained(), draw(100)

    class Stored:
        """Three times as many rows as the subsample."""

        def __len__(self):
            return 300

        def subsample(self):
            return make_rows(X)

    stored = CodeMoments.from_rows(Stored(), trained, 0.0)
    assert stored.codes.total == pytest.approx(300)
    assert_same_moments(stored, CodeMoments.from_rows(make_rows(np.tile(X, (3, 1))), trained, 0.0))


def test_jacobians_of_rows_without_weight_count_only_if_there_are_no_others():
    """The Jacobians of a thousand rows are averaged, which may all have no weight."""
    trained, X = make_trained(), draw(3000)
    weight = np.ones(3000)
    with_all = CodeMoments.from_rows(make_rows(X), trained, 0.0).gain
    weight[np.linspace(0, 2999, 1000).astype(int)] = 0
    weight[::3] = 0
    found = CodeMoments.from_rows(make_rows(X, weight), trained, 0.0).gain
    np.testing.assert_allclose(found, with_all, rtol=0.05)


@pytest.mark.parametrize(
    ("n_components", "held_out", "expected"),
    [
        (2, None, 6 / 3),  # the error over the residual's degrees of freedom
        (2, 1.0, 6 / 3),  # a held-out error of 5 is smaller
        (2, 2.0, 10 / 3),
        (5, None, 6 / 5),
        (7, None, 6 / 5),
    ],
)
def test_noise_is_the_error_over_the_degrees_of_freedom(n_components, held_out, expected):
    codes = Moments(100.0, np.zeros(n_components), 9 * np.eye(n_components))
    moments = CodeMoments(codes, 6.0, np.eye(n_components), 5)
    model = moments.make_model(held_out)
    assert model.variance == pytest.approx(expected)
    np.testing.assert_allclose(
        model.factor @ model.factor.T, (9 - expected) * np.eye(n_components), atol=1e-12
    )

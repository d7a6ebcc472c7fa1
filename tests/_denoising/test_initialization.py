"""A denoiser is initialized at the best linear one."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from skae import AutoencoderTransformer, DenoisingAutoencoder

from .corruption import corrupt

SMALL = DenoisingAutoencoder(2, hidden_layer_sizes=(8,), max_epochs=4, random_state=0)


@pytest.mark.parametrize("n_components", [None, 5, 12])
def test_the_linear_path_is_the_wiener_filter(normal, n_components):
    train, test, _ = normal
    ours = DenoisingAutoencoder(
        n_components, hidden_layer_sizes=(), standardize=False, noise_level=(0.05, 2.0)
    ).fit(train)
    mean, covariance = train.mean(axis=0), np.cov(train.T, bias=True)
    gain = covariance @ np.linalg.inv(covariance + 0.5**2 * np.eye(5))
    expected = mean + (test - mean) @ gain.T
    np.testing.assert_allclose(ours.denoise(test, 0.5), expected, atol=1e-4)
    assert ours.n_iter_ == 0


def test_one_level_gives_the_wiener_filter_of_that_level(normal):
    train, test, _ = normal
    ours = DenoisingAutoencoder(
        None, hidden_layer_sizes=(), standardize=False, noise_level=0.5
    ).fit(train)
    mean, covariance = train.mean(axis=0), np.cov(train.T, bias=True)
    gain = covariance @ np.linalg.inv(covariance + 0.5**2 * np.eye(5))
    np.testing.assert_allclose(ours.denoise(test), mean + (test - mean) @ gain.T, atol=1e-4)


def test_pairs_are_initialized_at_their_regression(normal):
    clean = normal[0]
    rng = np.random.default_rng(0)
    noisy = clean @ np.diag([1, 2, 0.5, 1, 1]) + 0.3 * rng.normal(size=clean.shape) + 1.0
    ours = DenoisingAutoencoder(None, hidden_layer_sizes=()).fit(noisy, clean)
    design = np.column_stack([noisy, np.ones(len(noisy))])
    expected = design @ np.linalg.lstsq(design, clean, rcond=None)[0]
    np.testing.assert_allclose(ours.denoise(noisy), expected, atol=0.01)


@pytest.mark.parametrize("noise", ["masking", "salt_and_pepper", "swap"])
def test_other_noise_is_initialized_at_a_regression(digits, noise):
    X = digits[:, digits.std(axis=0) > 1.0]  # the others are nearly constant
    scale = X.std(axis=0)
    linear = DenoisingAutoencoder(
        None, noise=noise, noise_level=0.4, hidden_layer_sizes=(), random_state=0
    )
    plain = AutoencoderTransformer(X.shape[1], hidden_layer_sizes=()).fit(X)
    rng = np.random.default_rng(0)
    noisy = corrupt(X, noise, 0.4, rng)
    error = np.square((linear.fit(X).denoise(noisy) - X) / scale).mean()
    assert error < 0.8 * np.square((plain.reconstruct(noisy) - X) / scale).mean()


# With weights, pairs and codes ------------------------------------------------------------


@pytest.fixture(scope="module")
def weight():
    """Weights that are no counts, and depend on the rows."""
    return 0.1 + np.random.default_rng(5).uniform(size=3000) ** 3


def moments(X, weight):
    return np.average(X, axis=0, weights=weight), np.cov(X.T, aweights=weight, bias=True)


@pytest.mark.parametrize("n_components", [None, 5])
def test_weights_count_in_the_wiener_filter(normal, weight, n_components):
    train, test, _ = normal
    weight = weight * (1 + (train[:, 0] > train[:, 0].mean()))
    ours = DenoisingAutoencoder(
        n_components, hidden_layer_sizes=(), standardize=False, noise_level=(0.05, 2.0)
    ).fit(train, sample_weight=weight)
    mean, covariance = moments(train, weight)
    gain = covariance @ np.linalg.inv(covariance + 0.5**2 * np.eye(5))
    np.testing.assert_allclose(ours.denoise(test, 0.5), mean + (test - mean) @ gain.T, atol=1e-3)


def test_trimming_leaves_far_rows_out_of_the_wiener_filter(normal):
    train, test, _ = normal
    far = np.vstack([train, train[:150] + 30])
    parameters = {"hidden_layer_sizes": (), "standardize": False, "noise_level": (0.05, 2.0)}
    clean = DenoisingAutoencoder(None, **parameters).fit(train).denoise(test, 0.5)
    trimmed = DenoisingAutoencoder(None, trim_fraction=0.05, **parameters).fit(far)
    plain = DenoisingAutoencoder(None, **parameters).fit(far)
    error, expected = (np.abs(each.denoise(test, 0.5) - clean).mean() for each in (trimmed, plain))
    assert error < 0.2 * expected


@pytest.fixture(scope="module")
def noisy(normal):
    clean = normal[0]
    rng = np.random.default_rng(0)
    noise = 0.3 * rng.normal(size=clean.shape) * (1 + np.abs(clean))
    return clean @ np.diag([1, 2, 0.5, 1, 1]) + 0.1 * clean**2 + noise + 1.0


@pytest.mark.parametrize("n_components", [None, 2])
def test_weighted_pairs_are_initialized_at_their_weighted_regression(
    normal, noisy, weight, n_components
):
    """With a code, at the reduced-rank regression: the fit, on its own principal axes."""
    clean = normal[0]
    ours = DenoisingAutoencoder(n_components, hidden_layer_sizes=(), standardize=False).fit(
        noisy, clean, sample_weight=weight
    )
    design, root = np.column_stack([noisy, np.ones(3000)]), np.sqrt(weight)[:, None]
    fit = design @ np.linalg.lstsq(root * design, root * clean, rcond=None)[0]
    if n_components is not None:
        mean, covariance = moments(fit, weight)
        axes = np.linalg.eigh(covariance)[1][:, -n_components:]
        fit = mean + (fit - mean) @ axes @ axes.T
    spread = clean.std(axis=0).mean()
    np.testing.assert_allclose(ours.denoise(noisy) / spread, fit / spread, atol=0.01)


def test_linear_pairs_have_the_gaussian_density_of_the_noisy_rows(normal, noisy):
    ours = DenoisingAutoencoder(None, hidden_layer_sizes=()).fit(noisy, normal[0])
    gaussian = multivariate_normal(noisy.mean(axis=0), np.cov(noisy.T))
    np.testing.assert_allclose(ours.score_samples(noisy), gaussian.logpdf(noisy), atol=0.02)


def test_weights_count_in_the_regression_of_drawn_noise():
    """Two groups of rows whose columns are copies of each other, with opposite signs."""
    rng = np.random.default_rng(0)
    first = rng.normal(size=2000)
    is_heavy = np.arange(2000) % 2 == 1
    X = np.column_stack([first, np.where(is_heavy, first, -first)])
    weight = np.where(is_heavy, 1.0, 0.011)
    ours = DenoisingAutoencoder(
        None, noise="masking", noise_level=0.5, hidden_layer_sizes=(), random_state=0
    ).fit(X, sample_weight=weight)
    # A masked second cell is estimated from the first, by the copies of large weight: among
    # rows (a, a) with cells masked half of the time, from (a, 0) at 2/3 a.
    found = ours.denoise([[1.0, ours.mean_[1]]])[0, 1]
    assert found == pytest.approx(2 / 3, abs=0.06)


def test_few_rows_are_repeated_under_noise(wine):
    """A regression of 13 columns on 20 rows, each drawn once, would fit their noise."""
    X = wine[::9]
    ours = DenoisingAutoencoder(
        None, noise="swap", noise_level=0.3, hidden_layer_sizes=(), random_state=0
    ).fit(X)
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(50):
        hit = corrupt(X, "swap", 0.3, rng)
        errors.append(np.square((ours.denoise(hit) - X) / ours.scale_).mean())
    assert np.mean(errors) < 0.5


@pytest.mark.parametrize("noise", ["gaussian", "swap"])
def test_tied_weights_are_initialized_at_principal_axes(curve, noise):
    ours = DenoisingAutoencoder(
        2, noise=noise, tied_weights=True, hidden_layer_sizes=(8,), lr=1e-30, max_epochs=1
    ).fit(curve)
    axes = np.linalg.svd((curve - ours.mean_) / ours.scale_, full_matrices=False)[2][:2]
    overlap = np.linalg.svd(axes @ np.linalg.qr(ours.components_.T)[0])[1]
    np.testing.assert_allclose(overlap, 1, atol=1e-4)


@pytest.mark.parametrize(
    ("parameters", "is_closed_form"),
    [
        ({"n_components": None}, True),
        ({}, True),
        ({"noise": "swap"}, True),
        ({"tied_weights": True}, True),
        ({"tied_weights": True, "noise": "swap"}, False),
        ({"penalty": "l1"}, False),
        ({"penalty": "kl"}, False),
        ({"penalty": "l1", "noise": "swap"}, False),
        ({"hidden_layer_sizes": (8,)}, False),
    ],
    ids=str,
)
def test_linear_denoisers_without_a_penalty_are_not_trained(curve, parameters, is_closed_form):
    ours = DenoisingAutoencoder(2, hidden_layer_sizes=(), max_epochs=2, early_stopping=False)
    ours.set_params(**parameters).fit(curve)
    assert ours.n_iter_ == (0 if is_closed_form else 2)


def test_noise_does_not_shrink_sparse_codes(curve):
    """The penalty "kl" fixes the mean of each code, which noise must not move."""
    ours = DenoisingAutoencoder(
        3, penalty="kl", hidden_layer_sizes=(8,), lr=1e-30, max_epochs=1, early_stopping=False
    ).fit(curve)
    module = ours.module_.eval()
    X = torch.from_numpy((curve - ours.mean_) / ours.scale_).float()
    with torch.no_grad():
        low, high = (module.encode(X, torch.full((1,), level)) for level in (0.02, 3.0))
    torch.testing.assert_close(low, high)


def test_weights_count_in_the_decoder_of_sparse_codes(curve):
    """Errors of a least-squares decoder have a weighted mean of zero."""
    weight = np.where(curve[:, 0] > 0, 1.0, 0.123)
    ours = DenoisingAutoencoder(
        3, penalty="kl", hidden_layer_sizes=(8,), lr=1e-30, max_epochs=1, early_stopping=False
    ).fit(curve, sample_weight=weight)
    errors = (curve - ours.reconstruct(curve)) / ours.scale_
    np.testing.assert_allclose(np.average(errors, axis=0, weights=weight), 0, atol=1e-3)
    assert np.abs(errors.mean(axis=0)).max() > 0.05

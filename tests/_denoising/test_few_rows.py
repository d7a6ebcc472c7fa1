"""Densities and estimates of tables that have few rows for their columns."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from skae import DenoisingAutoencoder

QUICK = DenoisingAutoencoder(2, hidden_layer_sizes=(16,), max_epochs=3, random_state=0)


def draw_noise(n_rows, n_features):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(n_rows, n_features)), rng.normal(size=(200, n_features))
    truth = -0.5 * (np.square(Y).sum(axis=1).mean() + n_features * np.log(2 * np.pi))
    return X, Y, truth


def draw_factors(n_rows, n_features, seed):
    loadings = np.random.default_rng(7).normal(size=(3, n_features))
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_rows, 3)) @ loadings + rng.normal(size=(n_rows, n_features))


@pytest.mark.parametrize("shape", [(45, 44), (45, 50), (100, 120)])
@pytest.mark.parametrize("n_components", [2, None])
def test_the_score_of_noise_is_near_the_truth(shape, n_components):
    X, Y, truth = draw_noise(*shape)
    denoiser = clone(QUICK).set_params(n_components=n_components).fit(X)
    assert denoiser.score(Y) > truth - 3


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_components": 20},
        {"n_components": 60},
        {"standardize": False},
        {"trim_fraction": 0.1},
        {"stacking": False},
        {"noise_level": 0.3, "n_components": None},
        {"hidden_layer_sizes": ()},
    ],
)
def test_so_it_is_with_other_parameters(parameters):
    X, Y, truth = draw_noise(45, 50)
    assert clone(QUICK).set_params(**parameters).fit(X).score(Y) > truth - 6


@pytest.mark.parametrize("n_features", [60, 1100])
def test_wide_rows_of_factors_are_scored_no_worse_than_by_pca(n_features):
    X, Y = draw_factors(45, n_features, 0), draw_factors(100, n_features, 1)
    denoiser = clone(QUICK).set_params(n_components=3).fit(X)
    # Scaled columns have noise of their own, which axes with one remainder don't: 0.1 nats a cell.
    best = PCA(3, random_state=0).fit(X).score(Y)
    assert denoiser.score(Y) > best - 0.1 * n_features


def test_real_columns_that_nearly_determine_each_other():
    order = np.random.default_rng(0).permutation(569)
    X = load_breast_cancer().data[order]
    scaler = StandardScaler().fit(X[:25])
    X, Y = scaler.transform(X[:25]), scaler.transform(X[25:225])
    assert clone(QUICK).fit(X).score(Y) > PCA(5, random_state=0).fit(X).score(Y)


def test_more_rows_are_better():
    Y = draw_factors(300, 40, 1)
    scores = [clone(QUICK).fit(draw_factors(n, 40, 0)).score(Y) for n in (20, 60, 180, 390)]
    assert (np.diff(scores) > -0.5).all()


def test_ten_rows_a_column_cost_little():
    """From there on the covariance is that of the rows, which know nothing of common factors."""
    X, Y = draw_factors(1000, 40, 0), draw_factors(300, 40, 1)
    few, many, all_rows = (clone(QUICK).fit(X[:n]).score(Y) for n in (390, 400, 1000))
    assert many > few - 0.03 * 40
    assert all_rows > few - 0.5


@pytest.mark.parametrize("n_features", [30, 60])
def test_noise_is_removed_as_well_as_the_factors_allow(n_features):
    X, Y = draw_factors(45, n_features, 0), draw_factors(200, n_features, 1)
    noisy = Y + np.random.default_rng(2).normal(size=Y.shape)
    denoiser = clone(QUICK).set_params(n_components=None, standardize=False).fit(X)
    loadings = np.random.default_rng(7).normal(size=(3, n_features))
    covariance = loadings.T @ loadings + np.eye(n_features)
    best = noisy @ np.linalg.solve(covariance + np.eye(n_features), covariance)
    error = np.square(denoiser.denoise(noisy) - Y).mean()
    assert error < 1.35 * np.square(best - Y).mean()

"""Covariances of few rows, as held-out rows prefer them."""

import numpy as np
import pytest

from skae._linear import fit_covariance, pca, shrink_covariance


def shrink(X, weight=None, trim_fraction=0.0):
    rng = np.random.default_rng(0)
    return shrink_covariance(fit_covariance(X, weight, trim_fraction, rng), X, rng)


def score(found, X):
    """Return the mean log-density of rows, in nats."""
    n_left = X.shape[1] - len(found.axes)
    determinant = np.log(found.variances).sum() + n_left * np.log(found.remainder)
    constant = X.shape[1] * np.log(2 * np.pi)
    return -0.5 * (found.distances(X).mean() + determinant + constant)


def score_truth(covariance, X):
    _, determinant = np.linalg.slogdet(2 * np.pi * covariance)
    return -0.5 * (np.einsum("ij,ji->", X, np.linalg.solve(covariance, X.T)) / len(X) + determinant)


def draw_factors(n_rows, n_features, seed):
    loadings = np.random.default_rng(7).normal(size=(3, n_features))
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n_rows, 3)) @ loadings + rng.normal(size=(n_rows, n_features))
    return rows, loadings.T @ loadings + np.eye(n_features)


@pytest.mark.parametrize("n_rows", [20, 45, 52, 100, 300])
def test_rows_of_noise_have_one_variance(n_rows):
    rng = np.random.default_rng(0)
    found = shrink(rng.normal(size=(n_rows, 50)))
    X = rng.normal(size=(500, 50))
    assert score(found, X) > score_truth(np.eye(50), X) - 3


@pytest.mark.parametrize(("n_rows", "most"), [(20, 15), (45, 6), (100, 3), (300, 1.5)])
def test_factors_are_kept(n_rows, most):
    found = shrink(draw_factors(n_rows, 60, 0)[0])
    X, covariance = draw_factors(500, 60, 1)
    assert score(found, X) > score_truth(covariance, X) - most
    assert (found.variances[:3] > 10 * found.variances[3]).all()


def test_beyond_a_thousand_columns_the_remainder_is_shrunk_too(monkeypatch):
    monkeypatch.setattr(pca, "FULL_UP_TO", 50)
    found = shrink(draw_factors(40, 120, 0)[0])
    X, covariance = draw_factors(500, 120, 1)
    assert found.axes.shape == (39, 120)
    assert found.remainder == pytest.approx(1, abs=0.3)
    assert score(found, X) > score_truth(covariance, X) - 15


def test_many_rows_are_left_as_they_are():
    rng = np.random.default_rng(0)
    for n_rows, is_left in ((300, True), (299, False)):
        X = rng.normal(size=(n_rows, 30))
        found = fit_covariance(X, None, 0.0, rng)
        assert (shrink_covariance(found, X, rng) is found) == is_left


def test_a_covariance_that_holds_for_other_rows_is_left():
    """Variances over six orders of magnitude, which a share of their mean would hide."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 20)) * np.logspace(0, -2.5, 20)
    found = fit_covariance(X, None, 0.0, rng)
    np.testing.assert_allclose(shrink(X).variances, found.variances)


def test_a_single_row_far_out_does_not_hide_the_others():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 20)) * np.logspace(0, -2.5, 20)
    Y = rng.normal(size=(500, 20)) * np.logspace(0, -2.5, 20)
    X[0] = 0.5
    assert score(shrink(X), Y) > score(fit_covariance(X, None, 0.0, rng), Y) - 0.1


def test_a_weight_of_two_is_a_row_twice():
    X = np.random.default_rng(0).normal(size=(40, 12))
    weight = np.where(np.arange(40) < 15, 2.0, 1.0)
    weighted, repeated = shrink(X, weight), shrink(np.vstack([X, X[:15]]))
    np.testing.assert_allclose(weighted.variances, repeated.variances)
    assert weighted.variances[-1] > 0.5


def test_columns_that_others_determine_stay_determined():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 20))
    X = np.hstack([X, X[:, :1] + X[:, 1:2]])
    found = shrink(X)
    assert found.variances[-1] == 1e-6
    assert found.variances[-2] > 0.5


@pytest.mark.parametrize("n_rows", [1, 2, 3, 5])
def test_a_few_rows_have_a_width(n_rows):
    found = shrink(np.random.default_rng(0).normal(size=(n_rows, 8)))
    assert np.isfinite(found.variances).all()
    assert (found.variances[-1] > 0.05) == (n_rows > 1)


def test_rows_without_weight_do_not_count():
    X = np.random.default_rng(0).normal(size=(60, 20))
    X[40:] *= 100
    weight = np.repeat([1.0, 0.0], [40, 20])
    np.testing.assert_allclose(shrink(X, weight).variances, shrink(X[:40]).variances)

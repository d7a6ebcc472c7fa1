"""Covariances by principal axes: weighted, trimmed, of any shape."""

import numpy as np
import pytest
from sklearn.covariance import MinCovDet

from skae._linear import fit_covariance, pca


def matrix_of(found):
    n_features = found.axes.shape[1]
    across = np.eye(n_features) - found.axes.T @ found.axes
    return found.axes.T @ (found.variances[:, None] * found.axes) + found.remainder * across


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return rng.normal(size=(3000, 4)) @ rng.normal(size=(4, 4)) + 2.0


def test_without_trimming_it_is_the_covariance(table):
    found = fit_covariance(table, None, 0.0, np.random.default_rng(0))
    np.testing.assert_allclose(found.mean, table.mean(axis=0))
    np.testing.assert_allclose(matrix_of(found), np.cov(table.T, bias=True), rtol=1e-8, atol=1e-8)
    centred = table - table.mean(axis=0)
    precision = np.linalg.inv(np.cov(table.T, bias=True))
    expected = np.einsum("ij,jk,ik->i", centred, precision, centred)
    np.testing.assert_allclose(found.distances(table), expected)


def test_a_weight_of_two_is_a_row_twice(table):
    weight = np.where(np.arange(3000) < 1000, 2.0, 1.0)
    twice = np.vstack([table, table[:1000]])
    for trim_fraction in (0.0, 0.1):
        weighted = fit_covariance(table, weight, trim_fraction, np.random.default_rng(0))
        repeated = fit_covariance(twice, None, trim_fraction, np.random.default_rng(0))
        np.testing.assert_allclose(matrix_of(weighted), matrix_of(repeated), rtol=1e-6)


def test_trimmed_it_is_consistent_on_normal_rows(table):
    found = fit_covariance(table, None, 0.1, np.random.default_rng(0))
    np.testing.assert_allclose(matrix_of(found), np.cov(table.T), rtol=0.1, atol=0.05)


def test_trimmed_it_withstands_outliers(table):
    spoiled = table.copy()
    spoiled[:150] += 20
    robust = matrix_of(fit_covariance(spoiled, None, 0.1, np.random.default_rng(0)))
    clean = np.cov(table.T)
    assert np.abs(robust - clean).max() < 0.15 * np.abs(clean).max()
    reference = MinCovDet(random_state=0).fit(spoiled).covariance_
    assert np.abs(robust - reference).max() < 0.15 * np.abs(clean).max()


def test_trimming_ends_where_the_same_rows_are_left_out(table):
    """A concentration step of its own, from the result, changes nothing."""
    spoiled = table.copy()
    spoiled[:300] += 4
    found = fit_covariance(spoiled, None, 0.1, np.random.default_rng(0))
    assert found.weight.sum() == pytest.approx(2700)
    order = np.argsort(found.distances(spoiled))
    np.testing.assert_array_equal(np.sort(order[:2700]), np.flatnonzero(found.weight))
    np.testing.assert_allclose(found.mean, spoiled[order[:2700]].mean(axis=0))


def test_fewer_rows_than_columns_and_constant_columns():
    rng = np.random.default_rng(0)
    X = np.hstack([rng.normal(size=(5, 8)), np.ones((5, 2))])
    found = fit_covariance(X, None, 0.0, rng)
    assert found.axes.shape == (10, 10)
    np.testing.assert_allclose(found.axes @ found.axes.T, np.eye(10), atol=1e-8)
    assert (found.variances > 0).all()
    assert np.isfinite(found.distances(X)).all()


@pytest.mark.parametrize(("n_least", "n_axes"), [(1, 39), (50, 50), (1100, 1000)])
def test_beyond_a_thousand_columns_the_rest_is_one_variance(n_least, n_axes):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 1200))
    found = fit_covariance(X, None, 0.0, rng, n_least)
    assert found.axes.shape == (n_axes, 1200)
    np.testing.assert_allclose(found.axes @ found.axes.T, np.eye(n_axes), atol=1e-8)
    assert (found.variances > 0).all()
    assert found.remainder == 1e-6  # forty rows lie in a plane
    total = np.square(X - X.mean(axis=0)).mean(axis=0).sum()
    assert found.variances.sum() == pytest.approx(total, rel=1e-4)


def test_a_single_wide_row_has_an_axis():
    found = fit_covariance(np.ones((1, 1200)), None, 0.0, np.random.default_rng(0))
    assert found.axes.shape == (1, 1200)
    np.testing.assert_array_equal(found.variances, [1e-6])


@pytest.mark.parametrize("trim_fraction", [0.0, 0.1])
def test_the_rest_has_the_mean_variance_of_the_other_directions(trim_fraction, monkeypatch):
    monkeypatch.setattr(pca, "FULL_UP_TO", 3)
    X = np.random.default_rng(0).normal(size=(4000, 10)) * [5, 4, 3, 1, 1, 1, 1, 1, 1, 1]
    found = fit_covariance(X, None, trim_fraction, np.random.default_rng(0))
    assert found.axes.shape == (3, 10)
    np.testing.assert_allclose(found.variances, [25, 16, 9], rtol=0.15)
    assert found.remainder == pytest.approx(1, rel=0.05)
    expected = np.linalg.inv(matrix_of(found))
    centred = X[:50] - found.mean
    distances = np.einsum("ij,jk,ik->i", centred, expected, centred)
    np.testing.assert_allclose(found.distances(X[:50]), distances)


def test_axes_beyond_the_rank_have_the_least_variance():
    found = fit_covariance(np.eye(3, 6), None, 0.0, np.random.default_rng(0))
    np.testing.assert_allclose(found.variances[2:], 1e-6)
    constant = fit_covariance(np.ones((9, 2)), None, 0.0, np.random.default_rng(0))
    np.testing.assert_array_equal(constant.variances, [1e-6, 1e-6])

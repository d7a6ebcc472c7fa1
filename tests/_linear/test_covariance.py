"""The covariance of a linear denoiser: weighted, trimmed, of any shape."""

import numpy as np
import pytest
from sklearn.covariance import MinCovDet

from skae._linear import fit_covariance


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
    distances = found.distances(table)
    assert distances.mean() == pytest.approx(4)  # exactly the number of columns


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


def test_fewer_rows_than_columns_and_constant_columns():
    rng = np.random.default_rng(0)
    X = np.hstack([rng.normal(size=(5, 8)), np.ones((5, 2))])
    found = fit_covariance(X, None, 0.0, rng)
    assert found.axes.shape == (10, 10)
    np.testing.assert_allclose(found.axes @ found.axes.T, np.eye(10), atol=1e-8)
    assert (found.variances > 0).all()
    assert np.isfinite(found.distances(X)).all()


def test_beyond_a_thousand_columns_the_rest_is_one_variance():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 1200))
    found = fit_covariance(X, None, 0.0, rng)
    assert found.axes.shape == (1000, 1200)
    total = found.variances.sum() + 200 * found.remainder
    assert np.isfinite(found.distances(X)).all()
    assert total >= np.square(X - X.mean(axis=0)).mean(axis=0).sum() * (1 - 1e-6)

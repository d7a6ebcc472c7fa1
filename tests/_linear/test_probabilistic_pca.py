"""Probabilistic PCA for any factor of the divergence: no other linear model has a higher bound."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from skae._linear import fit_probabilistic_pca, fit_with_unit_noise

from .bounds import covariance_of, draw_neighbours, evidence_bound, measure_slopes


def rng():
    return np.random.default_rng(0)


@pytest.fixture
def table():
    rotation = np.linalg.qr(rng().normal(size=(8, 8)))[0]
    return rng().normal(size=(300, 8)) * np.geomspace(2, 0.3, 8) @ rotation + 3


def test_with_beta_one_it_is_scikit_learns_pca(table):
    found = fit_probabilistic_pca(table, None, 3, 1.0, 0.0, rng())
    expected = PCA(3).fit(table)
    shrunk = 299 / 300  # scikit-learn's covariance is the unbiased one
    np.testing.assert_allclose(found.mean, expected.mean_)
    np.testing.assert_allclose(covariance_of(found), shrunk * expected.get_covariance(), atol=1e-9)
    # Tipping and Bishop (1999), section 3.2
    inner = found.loadings.T @ found.loadings + found.noise * np.eye(3)
    np.testing.assert_allclose(found.components, np.linalg.solve(inner, found.loadings.T))
    np.testing.assert_allclose(found.variance, found.noise * np.linalg.inv(inner).diagonal())


def test_with_beta_zero_it_is_pca(table):
    found = fit_probabilistic_pca(table, None, 3, 0.0, 0.0, rng())
    pca = PCA(3).fit(table)
    seen = (table - found.mean) @ found.components.T @ found.loadings.T + found.mean
    expected = pca.inverse_transform(pca.transform(table))
    np.testing.assert_allclose(seen, expected, atol=1e-9)
    assert found.noise == pytest.approx(np.square(table - expected).mean())
    np.testing.assert_array_equal(found.variance, 0)


@pytest.mark.parametrize("n_components", [3, 8])
@pytest.mark.parametrize("beta", [0.25, 1.0, 2.0])
def test_no_neighbour_has_a_higher_bound(beta, n_components, table):
    found = fit_probabilistic_pca(table, None, n_components, beta, 0.0, rng())
    best = evidence_bound(found, table, beta)
    assert all(evidence_bound(other, table, beta) < best for other in draw_neighbours(found, rng()))


def test_more_components_never_lower_the_bound(table):
    for beta in (0.25, 1.0, 2.0, 4.0):
        bounds = [
            evidence_bound(fit_probabilistic_pca(table, None, k, beta, 0.0, rng()), table, beta)
            for k in range(1, 9)
        ]
        assert (np.diff(bounds) >= -1e-12).all()


def test_components_without_use_are_the_prior(table):
    counts = []
    for beta in (0.0, 1.0, 2.0, 50.0):
        found = fit_probabilistic_pca(table, None, 5, beta, 0.0, rng())
        active = np.square(found.loadings).sum(axis=0) > 0
        counts.append(int(active.sum()))
        np.testing.assert_array_equal(found.variance[~active], 1)
        np.testing.assert_array_equal(found.components[~active], 0)
    assert counts == [5, 5, 2, 0]
    plane = fit_probabilistic_pca(table[:3], None, 5, 0.0, 0.0, rng())
    assert plane.variance.tolist() == [0, 0, 1, 1, 1]


def test_weights_repeat_rows(table):
    weight = rng().integers(0, 3, size=300)
    ours = fit_probabilistic_pca(table, weight.astype(float), 3, 1.0, 0.0, rng())
    repeated = fit_probabilistic_pca(table.repeat(weight, axis=0), None, 3, 1.0, 0.0, rng())
    assert ours.noise == pytest.approx(repeated.noise)
    np.testing.assert_allclose(covariance_of(ours), covariance_of(repeated), atol=1e-9)


def test_outliers_are_left_out(table):
    outliers = 100 * np.random.default_rng(1).normal(size=(15, 8))
    spoiled = np.vstack([outliers, table])
    share = 15 / len(spoiled)
    found = fit_probabilistic_pca(spoiled, None, 3, 1.0, share, rng())
    clean = fit_probabilistic_pca(table, None, 3, 1.0, 0.0, rng())
    np.testing.assert_allclose(covariance_of(found), covariance_of(clean), atol=1e-9)


@pytest.mark.parametrize("beta", [0.0, 1.0])
@pytest.mark.parametrize("shape", [(1, 4), (3, 6), (20, 3)])
def test_a_perfect_reconstruction_keeps_some_noise(shape, beta):
    X = rng().normal(size=shape)
    found = fit_probabilistic_pca(X, None, 5, beta, 0.0, rng())
    assert found.noise >= 1e-6
    for name in ("loadings", "components", "variance"):
        assert np.isfinite(getattr(found, name)).all()
    assert found.loadings.shape == (shape[1], 5)
    assert found.variance.shape == (5,)


def test_a_wide_code_of_a_large_beta_is_the_prior():
    """With `beta` times the components above the columns, no noise would be left."""
    X = rng().normal(size=(50, 4)) * [9, 9, 9, 1e-3]
    found = fit_probabilistic_pca(X, None, 4, 3.0, 0.0, rng())
    best = evidence_bound(found, X, 3.0)
    assert all(evidence_bound(other, X, 3.0) < best for other in draw_neighbours(found, rng()))


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_with_unit_noise_no_neighbour_has_a_higher_bound(beta, table):
    found = fit_with_unit_noise(3 * table, None, 3, beta, 0.0, rng())
    assert found.noise == 1
    best = evidence_bound(found, 3 * table, beta)
    fields = ("loadings", "components", "variance")
    slopes = measure_slopes(found, 3 * table, beta, rng(), fields=fields)
    np.testing.assert_allclose(slopes, 0, atol=1e-3)
    others = draw_neighbours(found, rng(), fields=fields)
    assert all(evidence_bound(other, 3 * table, beta) < best for other in others)


def test_with_unit_noise_every_direction_keeps_a_gradient():
    X = 0.1 * rng().normal(size=(200, 3))
    found = fit_with_unit_noise(X, None, 3, 1.0, 0.0, rng())
    variances = np.linalg.eigvalsh(np.cov(X.T, ddof=0))[::-1]
    np.testing.assert_allclose(np.square(found.loadings).sum(axis=0), 0.05 * variances)


@pytest.mark.parametrize("n_components", [8, 10])
def test_with_a_full_code_the_noise_is_free(n_components):
    """Any up to the smallest variance gives the same Gaussian."""
    X = rng().normal(size=(300, 8)) * np.geomspace(2, 0.3, 8)
    smallest = np.linalg.eigvalsh(np.cov(X.T, bias=True))[0]
    for share in (1.0, 0.1, 0.001):
        found = fit_probabilistic_pca(X, None, n_components, 1.0, 0.0, rng(), share)
        assert found.noise == pytest.approx(share * smallest, rel=1e-4)
        covariance = found.loadings @ found.loadings.T + found.noise * np.eye(8)
        np.testing.assert_allclose(covariance, np.cov(X.T, bias=True), atol=1e-6)
        assert (np.square(found.loadings).sum(0) > 0).sum() == (7 if share == 1 else 8)
    for beta, size in [(0.5, 8), (2.0, 8), (1.0, 7)]:
        expected = fit_probabilistic_pca(X, None, size, beta, 0.0, rng())
        found = fit_probabilistic_pca(X, None, size, beta, 0.0, rng(), 0.1)
        assert found.noise == expected.noise
        np.testing.assert_array_equal(found.loadings, expected.loadings)

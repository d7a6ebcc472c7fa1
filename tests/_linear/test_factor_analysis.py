"""Factor analysis against scikit-learn's likelihood, and against its own bound."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.decomposition import FactorAnalysis

from skae._linear import (
    Moments,
    factor_analysis,
    fit_factor_analysis,
    fit_probabilistic_pca,
)

from .bounds import covariance_of, draw_neighbours, evidence_bound, measure_slopes


def rng():
    return np.random.default_rng(0)


def fit(X, weight=None, beta=1.0, trim_fraction=0.0, n_components=2):
    initial = fit_probabilistic_pca(X, weight, n_components, beta, trim_fraction, rng())
    return fit_factor_analysis(initial, X, weight, beta, trim_fraction)


@pytest.fixture
def table():
    loadings = 1.5 * rng().normal(size=(2, 7))
    noise = np.geomspace(0.2, 2, 7) * np.random.default_rng(1).normal(size=(400, 7))
    return np.random.default_rng(2).normal(size=(400, 2)) @ loadings + noise + 4


def test_is_as_likely_as_scikit_learns(table):
    found = fit(table)
    expected = FactorAnalysis(2, tol=1e-8, max_iter=10_000).fit(table)
    ours = multivariate_normal(found.mean, covariance_of(found)).logpdf(table)
    assert ours.mean() == pytest.approx(expected.score(table), abs=1e-4)
    np.testing.assert_allclose(found.noise, expected.noise_variance_, rtol=0.02)
    np.testing.assert_allclose(covariance_of(found), expected.get_covariance(), atol=0.02)


def test_its_posterior_is_the_true_one_and_diagonal(table):
    found = fit(table)
    precision = np.eye(2) + (found.loadings.T / found.noise) @ found.loadings
    np.testing.assert_allclose(precision, np.diag(precision.diagonal()), atol=1e-8)
    assert precision[0, 0] > precision[1, 1]  # the components that tell most come first
    np.testing.assert_allclose(found.variance, 1 / precision.diagonal())
    inverse = np.linalg.inv(covariance_of(found))
    np.testing.assert_allclose(found.components, found.loadings.T @ inverse)


@pytest.mark.parametrize("beta", [0.3, 1.0, 2.0])
def test_no_neighbour_has_a_higher_bound(beta, table):
    found = fit(table, beta=beta)
    best = evidence_bound(found, table, beta)
    assert all(evidence_bound(other, table, beta) < best for other in draw_neighbours(found, rng()))
    if beta >= 1:  # below, some noises are at their lower bound
        assert np.abs(measure_slopes(found, table, beta, rng())).max() < 0.01
    initial = fit_probabilistic_pca(table, None, 2, beta, 0.0, rng())
    assert best > evidence_bound(initial, table, beta) + 0.1


def test_without_beta_the_scale_of_the_codes_stays_finite(table):
    found = fit(table, beta=0.0)
    for name in ("loadings", "components", "variance", "noise"):
        assert np.isfinite(getattr(found, name)).all()


@pytest.mark.parametrize("wide", [False, True])
def test_weights_repeat_rows(wide, table, monkeypatch):
    """Also where columns are so many that their covariance is not kept."""
    weight = rng().integers(0, 4, size=400)
    repeated = fit(table.repeat(weight, axis=0))
    if wide:
        monkeypatch.setattr(factor_analysis, "_COVARIANCE_UP_TO", 6)
    ours = fit(table, weight.astype(float))
    np.testing.assert_allclose(covariance_of(ours), covariance_of(repeated), atol=1e-8)


def test_of_a_wide_table_a_subsample_counts(table, monkeypatch):
    monkeypatch.setattr(factor_analysis, "_COVARIANCE_UP_TO", 6)
    monkeypatch.setattr(factor_analysis, "_SUBSAMPLE_ROWS", 200)
    weight = rng().uniform(0.5, 2, size=400)
    initial = fit_probabilistic_pca(table, weight, 2, 1.0, 0.0, rng())
    ours = fit_factor_analysis(initial, table, weight, 1.0, 0.0)
    indices = np.linspace(0, 399, 200).astype(int)
    expected = fit_factor_analysis(initial, table[indices], weight[indices], 1.0, 0.0)
    np.testing.assert_allclose(covariance_of(ours), covariance_of(expected), atol=1e-9)


@pytest.mark.parametrize("wide", [False, True])
def test_the_prior_counts_as_rows_without_correlations(wide, table, monkeypatch):
    """Rows that differ from the mean in one cell have the columns' variances, and no others."""
    if wide:
        monkeypatch.setattr(factor_analysis, "_COVARIANCE_UP_TO", 6)
    table, prior_share = table[:20], 0.3
    initial = fit_probabilistic_pca(table, None, 2, 1.0, 0.0, rng())
    found = fit_factor_analysis(initial, table, None, 1.0, 0.0, prior_share)
    cells = np.diag(np.sqrt(7 * table.var(axis=0)))
    rows = np.vstack([table, initial.mean + cells, initial.mean - cells])
    weight = np.repeat([1 / 20, prior_share / 14], [20, 14])
    expected = fit_factor_analysis(initial, rows, weight, 1.0, 0.0)
    np.testing.assert_allclose(covariance_of(found), covariance_of(expected), rtol=1e-5, atol=1e-6)
    without = fit_factor_analysis(initial, table, None, 1.0, 0.0)
    assert np.abs(covariance_of(found) - covariance_of(without)).max() > 0.1


def test_outliers_are_left_out(table):
    spoiled = np.vstack([100 * np.random.default_rng(3).normal(size=(20, 7)), table])
    found = fit(spoiled, trim_fraction=20 / 420)
    np.testing.assert_allclose(covariance_of(found), covariance_of(fit(table)), atol=1e-8)


def test_a_column_without_noise_keeps_some(table):
    exact = np.hstack([table[:, :3], table[:, :1]])
    found = fit(exact, n_components=3)
    assert (found.noise >= 1e-6).all()
    assert np.isfinite(found.loadings).all()


def test_known_moments_take_the_place_of_rows(table):
    """Filled cells make rows too narrow."""
    moments = Moments.from_rows(table, np.ones(len(table)), 400.0)
    expected = fit(table)
    narrow = 0.5 * table
    initial = fit_probabilistic_pca(narrow, None, 2, 1.0, 0.0, rng(), known=moments)
    plain = fit_probabilistic_pca(table, None, 2, 1.0, 0.0, rng())
    np.testing.assert_allclose(covariance_of(initial), covariance_of(plain), atol=1e-8)
    np.testing.assert_allclose(initial.mean, plain.mean)
    found = fit_factor_analysis(initial, narrow, None, 1.0, 0.0, known=moments)
    np.testing.assert_allclose(covariance_of(found), covariance_of(expected), atol=1e-4)
    np.testing.assert_allclose(found.noise, expected.noise, rtol=1e-3)


def test_noise_that_is_known_stays(table):
    given = np.full(7, np.nan)
    given[[1, 4]] = 0.7, 2.0
    initial = fit_probabilistic_pca(table, None, 2, 1.0, 0.0, rng())
    found = fit_factor_analysis(initial, table, None, 1.0, 0.0, given_noise=given)
    np.testing.assert_array_equal(found.noise[[1, 4]], [0.7, 2.0])
    others = np.isnan(given)
    assert len(np.unique(found.noise[others])) == 5
    tied = fit_factor_analysis(
        initial, table, None, 1.0, 0.0, given_noise=given, is_shared=True
    ).noise
    np.testing.assert_array_equal(tied[[1, 4]], [0.7, 2.0])
    assert len(np.unique(tied[others])) == 1


def test_noise_that_all_share_is_probabilistic_pcas(table):
    initial = fit_probabilistic_pca(table, None, 2, 1.0, 0.0, rng())
    found = fit_factor_analysis(initial, table, None, 1.0, 0.0, is_shared=True)
    np.testing.assert_allclose(found.noise, initial.noise, rtol=1e-3)

"""Mean and covariance of rows with missing cells, against closed forms."""

import numpy as np
import pytest
from scipy import stats
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer

from skae._linear import Moments, fit_covariance, missing_covariance
from skae._linear.missing_covariance import (
    draw_missing,
    fill_missing,
    fit_with_missing,
    measure_uncertainty,
    score_observed,
)


def draw_rows(n_rows=2000, n_columns=5, seed=0):
    """Normal rows, and their covariance."""
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(n_columns, n_columns)) / np.sqrt(n_columns)
    covariance = factor @ factor.T + 0.1 * np.eye(n_columns)
    mean = rng.normal(size=n_columns)
    return rng.multivariate_normal(mean, covariance, n_rows), mean, covariance


def hide(X, fraction, seed=1):
    hidden = np.random.default_rng(seed).random(X.shape) < fraction
    return np.where(hidden, np.nan, X)


@pytest.mark.parametrize("is_weighted", [True, False])
def test_complete_rows_have_their_own_covariance(is_weighted):
    X, _, _ = draw_rows(200)
    weight = np.random.default_rng(2).uniform(size=200) if is_weighted else None
    found = fit_with_missing(X, weight)
    expected = fit_covariance(X, weight, 0.0, np.random.default_rng(0))
    np.testing.assert_allclose(found.mean, expected.mean, atol=1e-12)
    as_matrix = (expected.axes.T * expected.variances) @ expected.axes
    np.testing.assert_allclose(found.covariance, as_matrix, atol=1e-12)
    assert found.total == pytest.approx(200 if weight is None else weight.sum())


def test_two_columns_have_the_closed_form_of_a_monotone_pattern():
    """The second is missing where the first is large: Little and Rubin, section 7.2."""
    X, _, _ = draw_rows(500, 2)
    is_hidden = X[:, 0] > np.median(X[:, 0])
    known = X[~is_hidden]
    slope = np.cov(known.T)[0, 1] / known[:, 0].var(ddof=1)
    offset = known[:, 1].mean() - slope * known[:, 0].mean()
    noise = np.var(known[:, 1] - slope * known[:, 0])
    gaps = X.copy()
    gaps[is_hidden, 1] = np.nan
    found = fit_with_missing(gaps, tol=1e-12, max_iter=2000)
    first = X[:, 0]
    np.testing.assert_allclose(found.mean, [first.mean(), offset + slope * first.mean()], rtol=1e-8)
    variance = noise + slope**2 * first.var()
    expected = [[first.var(), slope * first.var()], [slope * first.var(), variance]]
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-8)


def test_cells_missing_at_random_leave_the_covariance():
    """Where large values of the first column hide others, rows without gaps are biased."""
    X, mean, covariance = draw_rows(20_000)
    gaps = hide(X, 0.3)
    gaps[:, 0] = X[:, 0]
    gaps[X[:, 0] > mean[0], 1] = np.nan
    found = fit_with_missing(gaps)
    spread = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(found.mean, mean, atol=0.04)
    np.testing.assert_allclose(found.covariance, covariance, atol=0.05 * spread.max() ** 2)
    assert abs(np.nanmean(gaps[:, 1]) - mean[1]) > 0.1


def test_the_likelihood_never_falls():
    X, _, _ = draw_rows(100, 6)
    gaps = hide(X, 0.4)
    scores = [score_observed(gaps, fit_with_missing(gaps, max_iter=n)).sum() for n in range(8)]
    assert (np.diff(scores) > 0).all()


@pytest.mark.parametrize("n_rows", [40, 1000], ids=["few rows a pattern", "many"])
def test_conditional_means_and_densities_are_those_of_scipy(n_rows):
    X, mean, covariance = draw_rows(n_rows, 4)
    moments = Moments(1.0, mean, covariance)
    gaps = hide(X, 0.5)
    gaps[3] = np.nan
    filled, scores = fill_missing(gaps, moments), score_observed(gaps, moments)
    np.testing.assert_array_equal(filled[~np.isnan(gaps)], gaps[~np.isnan(gaps)])
    for row in range(40):
        o = ~np.isnan(gaps[row])
        inverse = np.linalg.pinv(covariance[np.ix_(o, o)])
        expected = mean + covariance[:, o] @ inverse @ (gaps[row, o] - mean[o])
        np.testing.assert_allclose(filled[row], expected, atol=1e-9)
        density = 0.0
        if o.any():
            density = stats.multivariate_normal(mean[o], covariance[np.ix_(o, o)]).logpdf(
                gaps[row, o]
            )
        assert scores[row] == pytest.approx(density, abs=1e-9)


def test_the_uncertainty_is_the_conditional_variance():
    X, mean, covariance = draw_rows(60, 4)
    gaps = hide(X, 0.5)
    gaps[3] = np.nan
    found = measure_uncertainty(gaps, Moments(1.0, mean, covariance))
    for row, variance in zip(gaps, found, strict=True):
        o, m = ~np.isnan(row), np.isnan(row)
        left = (
            covariance - covariance[:, o] @ np.linalg.pinv(covariance[np.ix_(o, o)]) @ covariance[o]
        )
        np.testing.assert_allclose(variance[m], np.diag(left)[m], atol=1e-9)
        assert not variance[o].any()


def test_weights_count_rows():
    X, _, _ = draw_rows(60)
    gaps = hide(X, 0.3)
    weight = np.random.default_rng(3).integers(0, 4, size=60)
    by_weight = fit_with_missing(gaps, weight, ridge=2.0)
    repeated = fit_with_missing(np.repeat(gaps, weight, axis=0), ridge=2.0)
    np.testing.assert_allclose(by_weight.covariance, repeated.covariance, atol=1e-10)
    np.testing.assert_allclose(by_weight.mean, repeated.mean, atol=1e-10)
    assert by_weight.total == repeated.total


def test_the_order_of_columns_changes_nothing():
    X, _, _ = draw_rows(100)
    gaps, order = hide(X, 0.3), np.array([3, 1, 4, 0, 2])
    found, other = fit_with_missing(gaps), fit_with_missing(gaps[:, order])
    np.testing.assert_allclose(other.covariance, found.covariance[np.ix_(order, order)], atol=1e-8)


def test_a_column_that_others_determine_is_recovered():
    X, _, _ = draw_rows(300, 3)
    X = np.column_stack([X, X.sum(axis=1)])
    gaps = X.copy()
    gaps[::3, 3] = np.nan
    filled = fill_missing(gaps, fit_with_missing(gaps))
    np.testing.assert_allclose(filled, X, atol=1e-3)


def test_tables_of_few_rows_are_finite():
    """More columns than rows, a column without a cell, a constant one, a row without a cell."""
    X, _, _ = draw_rows(12, 30)
    gaps = hide(X, 0.3)
    gaps[:, 4], gaps[:, 5], gaps[2] = np.nan, 1.0, np.nan
    for ridge in (0.0, 5.0):
        found = fit_with_missing(gaps, ridge=ridge)
        assert np.isfinite(found.covariance).all()
        assert np.linalg.eigvalsh(found.covariance).min() > -1e-10
        filled = fill_missing(gaps, found)
        assert np.isfinite(filled).all()
        np.testing.assert_allclose(filled[2], found.mean)


def test_columns_that_repeat_each_other_fill_each_other():
    """Their covariance has no inverse."""
    x = draw_rows(50, 1)[0][:, 0]
    X = np.column_stack([x, x, -2 * x])
    gaps = X.copy()
    gaps[::2, 1], gaps[1::2, 2] = np.nan, np.nan
    np.testing.assert_allclose(fill_missing(gaps, fit_with_missing(gaps)), X, atol=1e-2)
    exact = np.array([[1.0, 1.0], [1.0, 1.0]])
    filled = fill_missing(np.array([[2.0, np.nan]]), Moments(1.0, np.zeros(2), exact))
    np.testing.assert_allclose(filled, [[2, 2]], atol=1e-4)


def test_rows_that_say_nothing_change_nothing():
    X, _, _ = draw_rows(60)
    gaps = hide(X, 0.3)
    found = fit_with_missing(gaps)
    padded = np.vstack([gaps, np.full((90, 5), np.nan), np.full((3, 5), 1e6)])
    weight = np.repeat([1.0, 1.0, 0.0], [60, 90, 3])
    other = fit_with_missing(padded, weight)
    np.testing.assert_allclose(other.covariance, found.covariance, rtol=1e-12)
    np.testing.assert_allclose(other.mean, found.mean, rtol=1e-12)


def test_patterns_that_do_not_fit_into_memory_are_split(monkeypatch):
    X, mean, covariance = draw_rows(300, 6)
    gaps, moments = hide(X, 0.4), Moments(1.0, mean, covariance)
    whole = fill_missing(gaps, moments), score_observed(gaps, moments), fit_with_missing(gaps)
    monkeypatch.setattr("skae._linear.missing_covariance.block_length", lambda *_: 3)
    parts = fill_missing(gaps, moments), score_observed(gaps, moments), fit_with_missing(gaps)
    for one, other in zip(whole[:2], parts[:2], strict=True):
        np.testing.assert_allclose(other, one, atol=1e-12)
    np.testing.assert_allclose(parts[2].covariance, whole[2].covariance, atol=1e-12)


def test_a_ridge_shrinks_correlations_alone():
    X, _, _ = draw_rows(50)
    plain, shrunk = fit_with_missing(X), fit_with_missing(X, ridge=50.0)
    np.testing.assert_allclose(np.diag(shrunk.covariance), np.diag(plain.covariance))
    off = ~np.eye(5, dtype=bool)
    np.testing.assert_allclose(shrunk.covariance[off], plain.covariance[off] / 2)


def test_the_errors_are_those_of_scikit_learns_regressions():
    X, _, _ = draw_rows(500, 6)
    gaps = hide(X, 0.2)
    hidden = np.isnan(gaps)
    own = fill_missing(gaps, fit_with_missing(gaps))
    theirs = IterativeImputer(max_iter=30, tol=1e-4, random_state=0).fit_transform(gaps)
    errors = [np.sqrt(np.square(filled - X)[hidden].mean()) for filled in (own, theirs)]
    assert errors[0] < 1.01 * errors[1]


def test_draws_have_the_moments_of_complete_rows():
    X, mean, covariance = draw_rows(20_000, 4)
    gaps = hide(X, 0.5)
    drawn = draw_missing(gaps, Moments(1.0, mean, covariance), np.random.default_rng(0))
    np.testing.assert_array_equal(drawn[~np.isnan(gaps)], gaps[~np.isnan(gaps)])
    spread = np.sqrt(np.diag(covariance))
    found = (np.cov(drawn.T) - np.cov(X.T)) / np.outer(spread, spread)
    np.testing.assert_allclose(found, 0, atol=0.03)
    np.testing.assert_allclose(drawn.mean(0), X.mean(0), atol=0.03 * spread.max())


def test_a_draw_from_a_repeated_column_is_its_value():
    exact = np.ones((2, 2))
    gaps = np.array([[2.0, np.nan], [np.nan, -1.0], [0.5, 0.5]])
    drawn = draw_missing(gaps, Moments(1.0, np.zeros(2), exact), np.random.default_rng(0))
    np.testing.assert_allclose(drawn, [[2, 2], [-1, -1], [0.5, 0.5]], atol=0.01)


def test_steps_begin_where_they_are_told():
    rng = np.random.default_rng(0)
    X = rng.multivariate_normal([1, -1, 0], [[2, 1, 0], [1, 2, 0.5], [0, 0.5, 1]], size=300)
    X[rng.random(X.shape) < 0.3] = np.nan
    whole = fit_with_missing(X, tol=1e-8)
    once = fit_with_missing(X, max_iter=1, initial=whole)
    np.testing.assert_allclose(once.covariance, whole.covariance, atol=1e-5)
    alone = fit_with_missing(X, max_iter=1)
    assert np.abs(alone.covariance - whole.covariance).max() > 0.05


def test_rows_without_a_cell_leave_scaled_columns_as_they_are():
    moments = fit_with_missing(np.full((3, 2), np.nan), ridge=1.0)
    np.testing.assert_array_equal(moments.mean, [0, 0])
    np.testing.assert_array_equal(moments.covariance, np.eye(2))


@pytest.mark.parametrize("rank", [20, 3])
def test_rows_that_end_early_share_a_factor(rank, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, rank)) @ rng.normal(size=(rank, 20))
    ends = rng.integers(0, 21, size=200)
    X[np.arange(20) >= ends[:, None]] = np.nan
    X[::7, 2] = np.nan  # further gaps, and rows without a cell
    weight = rng.integers(1, 4, size=200).astype(float)
    ours = fit_with_missing(X, weight, ridge=5.0, max_iter=5)
    filled = fill_missing(X, ours)
    monkeypatch.setattr(missing_covariance, "_MANY_ENDS", 99)
    theirs = fit_with_missing(X, weight, ridge=5.0, max_iter=5)
    assert np.allclose(ours.mean, theirs.mean, rtol=1e-6)
    assert np.allclose(ours.covariance, theirs.covariance, rtol=1e-6, atol=1e-6)
    assert np.allclose(filled, fill_missing(X, ours), rtol=1e-6, atol=1e-6)


def test_few_ends_are_patterns_like_others():
    observed = np.arange(20) < np.arange(13, 21)[:, None]
    assert missing_covariance._find_ends(observed) is None
    more = np.arange(20) < np.arange(9, 21)[:, None]
    assert missing_covariance._find_ends(more).tolist() == [*range(9, 21)]
    more[0, 1] = False
    assert missing_covariance._find_ends(more)[0] == 20

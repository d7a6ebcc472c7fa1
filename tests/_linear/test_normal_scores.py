"""Numbers as normal scores, against what a change of variables says."""

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.stats import norm

from skae._linear.normal_scores import NormalScores, ScoredColumns


def draw_columns(n_rows=4000, seed=0):
    """Normal numbers, log-normal ones, whole ones with a little noise, and a peak with a tail."""
    rng = np.random.default_rng(seed)
    whole = rng.integers(0, 4, n_rows) + 0.05 * rng.normal(size=n_rows)
    peak = np.where(rng.random(n_rows) < 0.8, 0.0, rng.exponential(size=n_rows))
    skewed = np.exp(rng.normal(size=n_rows))
    return np.column_stack([2 * rng.normal(size=n_rows) + 1, skewed, whole, peak])


@pytest.fixture(scope="module")
def margins():
    return NormalScores.fit(draw_columns(), np.ones(4000))


def test_scores_are_standard_normal(margins):
    scores = margins.transform(draw_columns(seed=1)).scores[:, :3]
    levels = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    found = np.quantile(scores, levels, axis=0)
    expected = np.array([-1.645, -0.674, 0, 0.674, 1.645])
    np.testing.assert_allclose(found, np.tile(expected[:, None], 3), atol=0.12)


def test_the_slope_is_the_derivative(margins):
    X, step = draw_columns(300, seed=1)[:, :3], 1e-6
    margins = NormalScores(*(part[:3] for part in margins.get_state().values()))
    moved = [margins.transform(X + sign * step).scores for sign in (-1, 1)]
    slope = np.log((moved[1] - moved[0]) / (2 * step)).sum(axis=1)
    np.testing.assert_allclose(margins.transform(X).log_slope, slope, atol=1e-5)


def test_a_column_of_normal_numbers_has_one_gaussian_and_its_background(margins):
    n_mixed = np.isfinite(margins.log_weight).sum(axis=1)
    assert n_mixed[0] == 4
    assert (n_mixed[1:] > 4).all()


def test_independent_scores_are_as_likely_as_their_columns(margins):
    """Whole numbers with noise of a twentieth: three nats more than a Gaussian has."""
    X = draw_columns(seed=1)
    scores, log_slope = margins.transform(X)
    found = (log_slope - 0.5 * np.square(scores).sum(axis=1) - 2 * np.log(2 * np.pi)).mean()
    each = [-0.5 * np.log(2 * np.pi * np.e * column.var()) for column in X.T]
    truth = np.array(
        [
            each[0],
            -0.5 * np.log(2 * np.pi * np.e),
            -np.log(4) - 0.5 * np.log(2 * np.pi * np.e * 0.05**2),
        ]
    )
    one_by_one = []
    for index in range(3):
        alone = np.full_like(X, np.nan)
        alone[:, index] = X[:, index]
        own = margins.transform(alone)
        squares = np.square(np.nan_to_num(own.scores)).sum(axis=1)
        one_by_one.append((own.log_slope - 0.5 * squares).mean() - 0.5 * np.log(2 * np.pi))
    np.testing.assert_allclose(one_by_one, truth, atol=0.06)
    assert found > sum(each) + 4


def test_missing_numbers_stay_missing_and_count_for_nothing():
    X = draw_columns(200)
    gaps = np.where(np.random.default_rng(0).random(X.shape) < 0.3, np.nan, X)
    gaps[:, 3] = np.nan  # a whole column
    margins = NormalScores.fit(gaps, np.ones(200))
    scores, log_slope = margins.transform(gaps)
    np.testing.assert_array_equal(np.isnan(scores), np.isnan(gaps))
    assert np.isfinite(log_slope).all()
    np.testing.assert_array_equal(margins.transform(np.full((1, 4), np.nan)).log_slope, 0)


def test_numbers_beyond_all_others_have_finite_scores(margins):
    scores, log_slope = margins.transform(np.array([[1e6, -1e300, 1e300, 1e6]]))
    assert np.isfinite(scores).all()
    assert np.isfinite(log_slope).all()


def test_the_order_of_rows_changes_nothing():
    X, order = draw_columns(200), np.random.default_rng(1).permutation(200)
    weight = np.random.default_rng(2).uniform(size=200)
    found = NormalScores.fit(X, weight).get_state().values()
    other = NormalScores.fit(X[order], weight[order]).get_state().values()
    for own, mixed in zip(found, other, strict=True):
        np.testing.assert_allclose(own, mixed, rtol=1e-8, atol=1e-10)


def test_rows_of_weight_zero_have_no_part_in_it():
    X = draw_columns(100)
    spoilt = np.vstack([X, np.full((50, 4), 1e3)])
    found = NormalScores.fit(spoilt, np.repeat([1.0, 0.0], [100, 50]))
    np.testing.assert_array_equal(found.mean, NormalScores.fit(X, np.ones(100)).mean)


def test_a_table_without_numbers_has_no_scores():
    margins = NormalScores.fit(np.empty((5, 0)), np.ones(5))
    scores, log_slope = margins.transform(np.empty((3, 0)))
    assert scores.shape == (3, 0)
    np.testing.assert_array_equal(log_slope, 0)


def test_blocks_of_rows_are_scored_alike(margins, monkeypatch):
    X = draw_columns(50)
    whole = margins.transform(X)
    monkeypatch.setattr("skae._linear.normal_scores._BLOCK_CELLS", 7 * margins.mean.size)
    np.testing.assert_array_equal(margins.transform(X).scores, whole.scores)
    np.testing.assert_array_equal(margins.transform(X).log_slope, whole.log_slope)


# And back -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table():
    """Columns that are normal, half zeros, counts, and long-tailed."""
    rng = np.random.default_rng(0)
    half = np.where(rng.random(800) < 0.5, 0.0, rng.exponential(size=800))
    tail = np.exp(1.5 * rng.normal(size=800))
    return np.column_stack([rng.normal(size=800), half, rng.integers(4, size=800), tail])


@pytest.fixture(scope="module")
def peaked(table):
    return NormalScores.fit(table, np.ones(len(table)))


def test_scores_of_peaks_and_tails_are_standard_normal(table, peaked):
    scores = peaked.transform(table).scores
    assert np.abs(scores.mean(axis=0)).max() < 0.1
    for column in (0, 3):
        quantiles = np.quantile(scores[:, column], [0.1, 0.3, 0.5, 0.7, 0.9])
        np.testing.assert_allclose(quantiles, norm.ppf([0.1, 0.3, 0.5, 0.7, 0.9]), atol=0.15)


def test_the_inverse_returns_the_numbers(table, peaked):
    np.testing.assert_allclose(peaked.inverse(peaked.transform(table).scores), table, atol=1e-8)
    far = np.array([[30.0, 40.0, -20.0, 300.0], [-30.0, -40.0, 25.0, -5.0]])
    found = peaked.inverse(peaked.transform(far).scores)
    np.testing.assert_allclose(found, far, rtol=1e-3)
    between = np.linspace(-5, 5, 400)[:, None].repeat(4, axis=1)
    scores = peaked.transform(peaked.inverse(between)).scores
    np.testing.assert_allclose(scores, between, atol=1e-3)  # between two peaks they are steep
    assert np.isnan(peaked.inverse(np.full((2, 4), np.nan))).all()


def test_slopes_are_those_of_the_scores(peaked):
    """The density of numbers whose scores are standard normal integrates to one."""
    grid = np.linspace(-8, 8, 20_001)
    for column in range(3):
        X = np.full((len(grid), 4), np.nan)
        X[:, column] = grid
        scored = peaked.transform(X)
        density = np.exp(norm.logpdf(scored.scores[:, column]) + scored.log_slope)
        assert trapezoid(density, grid) == pytest.approx(1, abs=0.02)


def test_columns_among_others(table):
    X = np.column_stack([table[:, 0], table[:, 0] > 0, table[:, 3]])
    columns = ScoredColumns.fit(X, np.array([0, 2]), np.ones(len(X)))
    mapped = columns.forward(X)
    np.testing.assert_array_equal(mapped[:, 1], X[:, 1])
    expected = columns.margins.transform(X[:, [0, 2]])
    np.testing.assert_array_equal(mapped[:, [0, 2]], expected.scores)
    np.testing.assert_array_equal(columns.log_slope(X), expected.log_slope)
    np.testing.assert_allclose(columns.inverse(mapped), X, atol=1e-8)
    again = ScoredColumns.from_state(columns.get_state())
    np.testing.assert_array_equal(again.forward(X), mapped)

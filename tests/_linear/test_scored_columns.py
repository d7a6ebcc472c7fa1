"""Numbers as normal scores and back, among other columns."""

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.stats import norm

from skae._linear.normal_scores import NormalScores, ScoredColumns


@pytest.fixture(scope="module")
def table():
    """Columns that are normal, half zeros, counts, and long-tailed."""
    rng = np.random.default_rng(0)
    half = np.where(rng.random(800) < 0.5, 0.0, rng.exponential(size=800))
    tail = np.exp(1.5 * rng.normal(size=800))
    return np.column_stack([rng.normal(size=800), half, rng.integers(4, size=800), tail])


@pytest.fixture(scope="module")
def margins(table):
    return NormalScores.fit(table, np.ones(len(table)))


def test_scores_are_standard_normal(table, margins):
    scores = margins.transform(table).scores
    assert np.abs(scores.mean(axis=0)).max() < 0.1
    for column in (0, 3):
        quantiles = np.quantile(scores[:, column], [0.1, 0.3, 0.5, 0.7, 0.9])
        np.testing.assert_allclose(quantiles, norm.ppf([0.1, 0.3, 0.5, 0.7, 0.9]), atol=0.15)


def test_the_inverse_returns_the_numbers(table, margins):
    np.testing.assert_allclose(margins.inverse(margins.transform(table).scores), table, atol=1e-8)
    far = np.array([[30.0, 40.0, -20.0, 300.0], [-30.0, -40.0, 25.0, -5.0]])
    found = margins.inverse(margins.transform(far).scores)
    np.testing.assert_allclose(found, far, rtol=1e-3)
    between = np.linspace(-5, 5, 400)[:, None].repeat(4, axis=1)
    scores = margins.transform(margins.inverse(between)).scores
    np.testing.assert_allclose(scores, between, atol=1e-3)  # between two peaks they are steep
    assert np.isnan(margins.inverse(np.full((2, 4), np.nan))).all()


def test_slopes_are_those_of_the_scores(margins):
    """The density of numbers whose scores are standard normal integrates to one."""
    grid = np.linspace(-8, 8, 20_001)
    for column in range(3):
        X = np.full((len(grid), 4), np.nan)
        X[:, column] = grid
        scored = margins.transform(X)
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

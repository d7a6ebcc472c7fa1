"""Counterfactuals: the cells whose change makes a row typical."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from skae._detection.explanation import choose_candidates, find_counterfactual

N_FEATURES = 5


@pytest.fixture(scope="module")
def normal():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(N_FEATURES, N_FEATURES))
    covariance = mixing @ mixing.T + 0.1 * np.eye(N_FEATURES)
    distribution = multivariate_normal(np.zeros(N_FEATURES), covariance, seed=1)
    return distribution, distribution.rvs(2000)


def score_of(distribution):
    return lambda rows: np.atleast_1d(distribution.logpdf(rows))


def test_a_row_in_single_precision_among_values_that_only_double_precision_holds():
    def score(rows):
        assert np.isfinite(rows).all()
        return -np.abs(rows - [1e150, 1.0]).max(axis=1)

    candidates = [np.array([1e150, 2e150]), np.array([1.0, 2.0])]
    row = np.array([3.0, 2.0], dtype=np.float32)
    found = find_counterfactual(score, row, candidates, 0.0)
    np.testing.assert_array_equal(found.expected, [1e150, 1.0])
    np.testing.assert_array_equal(row, [3.0, 2.0])


def test_a_single_fault_has_the_largest_gain(normal):
    distribution, rows = normal
    score, candidates = score_of(distribution), choose_candidates(rows)
    enough = np.median(score(rows))
    for column in range(N_FEATURES):
        row = rows[column].copy()
        row[column] += 8 * rows[:, column].std()
        changed = find_counterfactual(score, row, candidates, enough)
        assert changed.gains.argmax() == column


def test_the_first_cell_has_the_largest_likelihood_ratio(normal):
    distribution, _ = normal
    precision = np.linalg.inv(distribution.cov)
    rng = np.random.default_rng(2)
    fine = [np.linspace(-12, 12, 2001)] * N_FEATURES
    for row in 3 * rng.normal(size=(20, N_FEATURES)):
        gains = 0.5 * (precision @ row) ** 2 / np.diag(precision)
        changed = find_counterfactual(score_of(distribution), row, fine, np.inf)
        first = find_counterfactual(
            score_of(distribution), row, fine, distribution.logpdf(row) + 1e-9
        )
        assert first.gains.argmax() == gains.argmax()
        assert first.gains.max() == pytest.approx(gains.max(), rel=1e-3)
        assert changed.gains.sum() >= first.gains.sum()


def test_gains_add_up_until_the_row_is_typical(normal):
    distribution, rows = normal
    score, candidates = score_of(distribution), choose_candidates(rows)
    enough = np.median(score(rows))
    row = rows[0] + 10.0
    changed = find_counterfactual(score, row, candidates, enough)
    counterfactual = np.where(changed.gains > 0, changed.expected, row)
    gained = score(counterfactual[None])[0] - score(row[None])[0]
    assert changed.gains.sum() == pytest.approx(gained, rel=1e-12)
    assert score(counterfactual[None])[0] >= enough


def test_a_typical_row_is_not_changed(normal):
    distribution, rows = normal
    changed = find_counterfactual(
        score_of(distribution), np.zeros(N_FEATURES), choose_candidates(rows), -20.0
    )
    assert not changed.gains.any()


def test_expected_is_the_likeliest_value_given_the_others(normal):
    distribution, rows = normal
    precision = np.linalg.inv(distribution.cov)
    fine = [np.linspace(-12, 12, 2001)] * N_FEATURES
    row = rows[3]
    changed = find_counterfactual(score_of(distribution), row, fine, -np.inf)
    expected = row - precision @ row / np.diag(precision)
    np.testing.assert_allclose(changed.expected, expected, atol=0.01)


def test_candidates_are_values_of_the_column():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=500), rng.integers(0, 3, size=500), np.ones(500)])
    candidates = choose_candidates(X)
    for values, column in zip(candidates, X.T, strict=True):
        assert np.isin(values, column).all()
        assert (np.diff(values) > 0).all()
    assert [len(values) for values in candidates[1:]] == [3, 1]


def test_a_row_that_scores_exactly_enough_is_not_changed(normal):
    distribution, rows = normal
    score = score_of(distribution)
    changed = find_counterfactual(score, rows[0], choose_candidates(rows), score(rows[:1])[0])
    assert not changed.gains.any()


def test_small_gains_count_and_values_better_than_all_candidates_stay():
    """Squared distance from the origin: the second cell is nearer to it than any candidate."""
    changed = find_counterfactual(
        lambda rows: -np.square(rows).sum(axis=1),
        np.array([0.5, 0.1, 0.0]),
        [np.array([0.4]), np.array([-1.0, 1.0]), np.array([0.0])],
        np.inf,
    )
    np.testing.assert_allclose(changed.gains, [0.25 - 0.16, 0, 0])
    np.testing.assert_allclose(changed.expected, [0.4, 0.1, 0])

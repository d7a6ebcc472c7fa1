"""Counterfactuals: the cells whose change makes a row typical."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

from skae._data import Columns
from skae._detection import explanation
from skae._detection.explanation import (
    CellChoice,
    choose_candidates,
    choose_encoded_candidates,
    find_counterfactual,
)
from skae._detection.labels import SeenLabels

N_FEATURES = 5


@pytest.fixture(scope="module")
def normal():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(N_FEATURES, N_FEATURES))
    covariance = mixing @ mixing.T + 0.1 * np.eye(N_FEATURES)
    distribution = multivariate_normal(np.zeros(N_FEATURES), covariance, seed=1)
    return distribution, distribution.rvs(2000)


def choose(candidates):
    return CellChoice.from_candidates(candidates, None)


def score_of(distribution):
    return lambda rows: np.atleast_1d(distribution.logpdf(rows))


def test_a_row_in_single_precision_among_values_that_only_double_precision_holds():
    def score(rows):
        assert np.isfinite(rows).all()
        return -np.abs(rows - [1e150, 1.0]).max(axis=1)

    candidates = [np.array([1e150, 2e150]), np.array([1.0, 2.0])]
    row = np.array([3.0, 2.0], dtype=np.float32)
    found = find_counterfactual(score, row, choose(candidates), 0.0)
    np.testing.assert_array_equal(found.expected, [1e150, 1.0])
    np.testing.assert_array_equal(row, [3.0, 2.0])


def test_a_single_fault_has_the_largest_gain(normal):
    distribution, rows = normal
    score, candidates = score_of(distribution), choose(choose_candidates(rows))
    enough = np.median(score(rows))
    for column in range(N_FEATURES):
        row = rows[column].copy()
        row[column] += 8 * rows[:, column].std()
        changed = find_counterfactual(score, row, candidates, enough)
        assert changed.gains.argmax() == column


def test_changed_rows_are_made_in_blocks_and_the_reasons_are_the_same(normal, monkeypatch):
    distribution, rows = normal
    candidates = choose(choose_candidates(rows))
    lengths = []

    def score(rows):
        lengths.append(len(rows))
        return np.atleast_1d(distribution.logpdf(rows))

    row = rows[0] + [9.0, 0.0, -9.0, 0.0, 0.0]
    at_once = find_counterfactual(score, row, candidates, np.inf)
    assert max(lengths) == 32 * N_FEATURES
    lengths.clear()
    monkeypatch.setattr(explanation, "_BLOCK_CELLS", 64 * N_FEATURES)
    in_blocks = find_counterfactual(score, row, candidates, np.inf)
    assert max(lengths) == 64
    np.testing.assert_array_equal(in_blocks.gains, at_once.gains)
    np.testing.assert_array_equal(in_blocks.expected, at_once.expected)


def test_the_first_cell_has_the_largest_likelihood_ratio(normal):
    distribution, _ = normal
    precision = np.linalg.inv(distribution.cov)
    rng = np.random.default_rng(2)
    fine = choose([np.linspace(-12, 12, 2001)] * N_FEATURES)
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
    score, candidates = score_of(distribution), choose(choose_candidates(rows))
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
        score_of(distribution), np.zeros(N_FEATURES), choose(choose_candidates(rows)), -20.0
    )
    assert not changed.gains.any()


def test_expected_is_the_likeliest_value_given_the_others(normal):
    distribution, rows = normal
    precision = np.linalg.inv(distribution.cov)
    fine = choose([np.linspace(-12, 12, 2001)] * N_FEATURES)
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
    candidates = choose(choose_candidates(rows))
    changed = find_counterfactual(score, rows[0], candidates, score(rows[:1])[0])
    assert not changed.gains.any()


def test_small_gains_count_and_values_better_than_all_candidates_stay():
    """Squared distance from the origin: the second cell is nearer to it than any candidate."""
    changed = find_counterfactual(
        lambda rows: -np.square(rows).sum(axis=1),
        np.array([0.5, 0.1, 0.0]),
        choose([np.array([0.4]), np.array([-1.0, 1.0]), np.array([0.0])]),
        np.inf,
    )
    np.testing.assert_allclose(changed.gains, [0.25 - 0.16, 0, 0])
    np.testing.assert_allclose(changed.expected, [0.4, 0.1, 0])


def test_missing_cells_are_no_candidates_and_not_changed():
    X = np.array([[1.0, 2.0], [np.nan, 3.0], [4.0, np.nan]])
    candidates = choose_candidates(X)
    np.testing.assert_array_equal(candidates[0], [1, 4])
    np.testing.assert_array_equal(candidates[1], [2, 3])
    row = np.array([np.nan, 3.0])
    changed = find_counterfactual(
        lambda rows: -np.abs(rows[:, 1] - 2) - np.isnan(rows[:, 0]), row, choose(candidates), np.inf
    )
    np.testing.assert_array_equal(changed.gains, [0, 1])
    np.testing.assert_array_equal(changed.expected, [np.nan, 2])
    nothing = find_counterfactual(
        lambda rows: np.zeros(len(rows)), row * np.nan, choose(candidates), 1
    )
    assert not nothing.gains.any()
    assert np.isnan(nothing.expected).all()


def test_the_indicators_of_a_category_change_together():
    frame = pd.DataFrame(
        {"x": [1.0, 2.0, 3.0, 4.0], "k": ["u", "u", "v", "w"], "b": [True, True, True, True]}
    )
    columns = Columns.from_table(frame)
    rows = columns.encode(frame).values
    labels = SeenLabels.from_rows(columns, rows[:3], None)
    candidates = choose_encoded_candidates(rows[:3], columns, labels)
    np.testing.assert_array_equal(candidates[0], [1, 2, 3])
    np.testing.assert_array_equal(candidates[1], [[1, 0, 0], [0, 1, 0]])  # no training row has "w"
    np.testing.assert_array_equal(candidates[2], [0, 1])
    asked = []

    def score(rows):
        asked.append(rows)
        return rows[:, 2]  # the indicator of "v"

    choices = CellChoice.from_candidates(candidates, columns)
    changed = find_counterfactual(score, rows[0], choices, 1.0)
    np.testing.assert_array_equal(np.vstack(asked)[:, 1:4].sum(axis=1), 1)
    np.testing.assert_array_equal(changed.gains, [0, 1, 0])
    np.testing.assert_array_equal(changed.expected, [1, 0, 1, 0, 1])


def change_one_by_one(score, row, choices, enough):
    """Return what each cell gains if all of them are looked at after every change."""
    row, gains = row.copy(), np.zeros(len(choices))
    while (reached := score(row[None])[0]) < enough:
        best = np.full(len(choices), -np.inf)
        values = row.copy()
        for place, choice in enumerate(choices):
            changed = np.repeat(row[None], len(choice.values), axis=0)
            changed[:, choice.own] = choice.values
            scores = score(changed)
            best[place], values[place] = scores.max(), choice.values[scores.argmax(), 0]
        place = best.argmax()
        if best[place] - reached <= 1e-6:
            break
        gains[place] += best[place] - reached
        row[place] = values[place]
    return gains


def test_columns_that_gain_little_are_looked_at_less_often():
    rng = np.random.default_rng(3)
    n_columns = 40
    distribution = multivariate_normal(np.zeros(n_columns), 0.6 * np.eye(n_columns) + 0.4)
    rows = distribution.rvs(1000, random_state=rng)
    choices = choose(choose_candidates(rows))
    enough = np.quantile(distribution.logpdf(rows), 0.25)
    n_scored = []

    def score(rows):
        n_scored.append(len(rows))
        return np.atleast_1d(distribution.logpdf(rows))

    for number, row in enumerate(rows[:4]):
        row[rng.choice(n_columns, 4, replace=False)] += 9 * rng.choice([-1, 1], 4)
        n_scored.clear()
        found = find_counterfactual(score, row, choices, enough)
        n_found = sum(n_scored)
        n_scored.clear()
        np.testing.assert_allclose(found.gains, change_one_by_one(score, row, choices, enough))
        assert np.count_nonzero(found.gains) >= 4, number
        assert n_found < 0.7 * sum(n_scored)


def test_a_cell_that_gains_only_after_others_changed_is_found():
    """Two cells count only where the first is right."""

    def score(rows):
        wrong = np.abs(rows)
        return np.where(wrong[:, 0] > 0.5, -100.0, -wrong[:, 1:].sum(axis=1))

    values = np.linspace(-1.0, 1.0, 21)
    row = np.array([1.0, *np.zeros(20), 1.0, -1.0])
    found = find_counterfactual(score, row, choose([values] * len(row)), -0.1)
    np.testing.assert_array_equal(np.flatnonzero(found.gains), [0, 21, 22])
    np.testing.assert_allclose(found.expected[-2:], 0.0, atol=1e-12)
    assert found.gains.sum() == pytest.approx(100.0)

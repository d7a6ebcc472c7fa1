"""Thresholds and p-values of scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skae._detection.anomaly_score import score_at_share
from skae._detection.calibration import count_calibration_rows
from skae._detection.conformal import conformal_p_values, conformal_threshold

SCORES = st.lists(st.integers(-5, 5), min_size=1, max_size=40)


@given(SCORES, st.integers(-7, 7))
def test_p_values_count(scores, score):
    known = np.sort(np.array(scores, dtype=float))
    (found,) = conformal_p_values(np.array([float(score)]), known, None)
    assert found == pytest.approx((1 + (known <= score).sum()) / (1 + len(known)))


@given(SCORES, st.floats(0.01, 0.9), st.integers(-7, 7))
def test_below_the_threshold_are_the_small_p_values(scores, alpha, score):
    known = np.sort(np.array(scores, dtype=float))
    threshold = conformal_threshold(known, None, alpha)
    (p_value,) = conformal_p_values(np.array([float(score)]), known, None)
    least = 1 / (1 + len(known))
    if score < threshold:
        assert p_value <= max(alpha, least) + 1e-9
    elif alpha >= least:
        just_below = conformal_p_values(np.array([threshold]), known, None)[0]
        assert p_value >= just_below > alpha - 1e-9


@given(SCORES, st.lists(st.integers(1, 3), min_size=40, max_size=40), st.floats(0.01, 0.5))
def test_a_weight_of_two_is_two_rows(scores, weights, share):
    known = np.sort(np.array(scores, dtype=float))
    weight = np.array(weights[: len(known)], dtype=float)
    often = np.repeat(known, weight.astype(int))
    grid = np.linspace(-6, 6, 25)
    np.testing.assert_allclose(
        conformal_p_values(grid, known, weight), conformal_p_values(grid, often, None)
    )
    assert conformal_threshold(known, weight, share) == conformal_threshold(often, None, share)
    assert score_at_share(known, weight, share) == score_at_share(often, None, share)


def test_p_values_of_fresh_rows_are_uniform():
    rng = np.random.default_rng(0)
    known = np.sort(rng.normal(size=(4000, 99)), axis=1)
    fresh = rng.normal(size=4000)
    found = np.array([conformal_p_values(fresh[[i]], known[i], None)[0] for i in range(len(fresh))])
    for alpha in (0.01, 0.05, 0.2, 0.5):
        error = np.sqrt(alpha * (1 - alpha) / len(found))
        assert abs((found <= alpha).mean() - alpha) < 4 * error


@pytest.mark.parametrize("share", [0.1, 1 / 3, 0.5])
def test_so_many_scores_lie_below(share):
    scores = np.random.default_rng(0).normal(size=300)
    assert (scores < score_at_share(scores, None, share)).sum() == round(share * 300)


@pytest.mark.parametrize(
    ("n_rows", "fraction", "expected"),
    [
        (10_000, "auto", 1000),
        (990, "auto", 99),
        (600, "auto", 99),
        (100, "auto", 20),
        (2, "auto", 1),
        (496, "auto", 99),
        (100, 0.3, 30),
        (3, 0.99, 2),
        (3, 0.01, 1),
    ],
)
def test_rows_kept_apart(n_rows, fraction, expected):
    assert count_calibration_rows(n_rows, fraction, 0.01) == expected


def test_rows_kept_apart_are_enough_for_alpha():
    for alpha in (0.01, 0.03, 0.05, 0.07):
        assert 1 / (1 + count_calibration_rows(2000, "auto", alpha)) <= alpha
    assert count_calibration_rows(200, "auto", 0.03) == 33

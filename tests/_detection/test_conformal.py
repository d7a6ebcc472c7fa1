"""Thresholds and p-values of scores."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skae._detection.conformal import conformal_p_values, conformal_threshold, warn_of_none

SCORES = st.lists(st.integers(-5, 5), min_size=1, max_size=40)


@given(SCORES, st.integers(-7, 7))
def test_p_values_count_the_scores_that_are_as_low(scores, score):
    known = np.sort(np.array(scores, dtype=float))
    (found,) = conformal_p_values(np.array([float(score)]), known, None)
    assert found == pytest.approx((1 + (known <= score).sum()) / (1 + len(known)))


@given(SCORES, st.floats(0.01, 0.9), st.integers(-7, 7))
def test_small_p_values_are_those_below_the_threshold(scores, alpha, score):
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


def test_p_values_of_fresh_rows_are_uniform():
    rng = np.random.default_rng(0)
    known = np.sort(rng.normal(size=(4000, 99)), axis=1)
    fresh = rng.normal(size=4000)
    found = np.array([conformal_p_values(fresh[[i]], known[i], None)[0] for i in range(len(fresh))])
    for alpha in (0.01, 0.05, 0.2, 0.5):
        error = np.sqrt(alpha * (1 - alpha) / len(found))
        assert abs((found <= alpha).mean() - alpha) < 4 * error


def test_rounding_of_alpha_does_not_move_the_threshold():
    known = np.arange(19.0)
    alpha = 1 - 0.9
    assert alpha < 0.1
    assert conformal_threshold(known, None, alpha) == conformal_threshold(known, None, 0.1) == 1


def test_too_few_known_scores_for_any_discovery():
    p_values = np.full(40, 1 / 9)
    with pytest.warns(UserWarning, match="no row can be found at false_discovery_rate=0.1: with 8"):
        warn_of_none(p_values, 0.1, 1 / 9)
    with pytest.warns(UserWarning, match="p-value is 0.11. Fit to more rows, so that at least 9"):
        warn_of_none(p_values, 0.1, 1 / 9)


def test_too_few_known_scores_for_the_rows_beyond_them():
    p_values = np.append(np.full(12, 0.01), np.linspace(0.02, 1, 188))
    message = "p-value is 0.01, and 20 of the 200 rows must have it. Only 12 do, and about 2 are"
    with pytest.warns(UserWarning, match=message):
        warn_of_none(p_values, 0.1, 0.01)
    with pytest.warns(UserWarning, match="Fit to more rows, so that at least 166 calibrate"):
        warn_of_none(p_values, 0.1, 0.01)


@pytest.mark.parametrize("n_known", [20, 99, 400])
def test_rows_alike_seldom_warn(n_known):
    rng, n_warned = np.random.default_rng(0), 0
    for _ in range(200):
        known = np.sort(rng.normal(size=n_known))
        p_values = conformal_p_values(rng.normal(size=300), known, None)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warn_of_none(p_values, 0.1, 1 / (n_known + 1))
        n_warned += len(caught)
    assert n_warned <= 6

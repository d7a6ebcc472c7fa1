"""The choice of the epoch to keep."""

import numpy as np
import pytest

from skae._training.epoch_selection import SelectionRule, select_epoch, sure_gain


def test_a_gain_must_exceed_its_noise():
    rng = np.random.default_rng(0)
    start = rng.exponential(size=200)
    noise = rng.normal(size=200) * 0.5
    assert sure_gain(start, start, None, 0.0) == 0
    assert sure_gain(start, start + noise - noise.mean() - 0.01, None, 0.0) == 0
    capped = np.minimum(start, np.quantile(start, 0.95)).mean()
    assert sure_gain(start, start * 0.5, None, 0.0) == pytest.approx(
        capped - np.minimum(start * 0.5, np.quantile(start, 0.95)).mean()
    )
    assert sure_gain(start, np.full(200, np.nan), None, 0.0) == 0


def test_one_row_does_not_decide():
    start = np.ones(200)
    start[0] = 1e4
    better_but_for_one = start * 0.5
    better_but_for_one[0] = 1e4
    assert sure_gain(start, better_but_for_one, None, 0.0) > 0.4
    worse_on_average = better_but_for_one.copy()
    worse_on_average[0] = 2e4
    assert sure_gain(start, worse_on_average, None, 0.0) == 0
    assert sure_gain(start, worse_on_average, None, 0.1) > 0.4


def test_weights_count_in_the_gain():
    rng = np.random.default_rng(0)
    start = rng.exponential(size=100)
    after = start * rng.uniform(0.5, 1.0, size=100)
    weight = rng.integers(1, 4, size=100)
    cap = np.quantile(start, 0.95)
    gains = np.minimum(start, cap) - np.minimum(after, cap)
    assert sure_gain(start, after, weight.astype(float), 0.0) == pytest.approx(
        gains.repeat(weight).mean()
    )
    assert SelectionRule(0.0, True).mean(start, weight.astype(float)) == pytest.approx(
        start.repeat(weight).mean()
    )


def test_a_random_initialization_is_not_kept_without_a_sure_gain():
    rng = np.random.default_rng(0)
    start = rng.exponential(size=100)
    losses = start * rng.uniform(0.9, 1.09, size=(3, 100))
    means = losses.mean(axis=1)
    for keeps_initialization, best in ((True, 0), (False, 1 + means.argmin())):
        rule = SelectionRule(0.0, keeps_initialization)
        assert select_epoch([[start, *losses]], [None], rule)[0] == best


def test_a_gain_in_nats_is_absolute_not_relative_to_the_loss():
    start = np.random.default_rng(0).normal(size=1000)  # a log-likelihood: of either sign
    assert (
        0.045
        < SelectionRule(0.0, True, minimum_improvement=0.03).gain(start, start - 0.05, None)
        < 0.05
    )
    assert SelectionRule(0.0, True, minimum_improvement=0.03).gain(start, start - 0.02, None) == 0


def test_best_epoch_over_folds_of_different_length():
    rng = np.random.default_rng(0)
    start = rng.exponential(size=(2, 100))
    long = [start[0], start[0] * 0.8, start[0] * 0.5, start[0] * 0.9]
    short = [start[1], start[1] * 0.8, start[1] * 0.6]
    epoch, means = select_epoch(
        [long, short], [None, None], SelectionRule(0.0, keeps_initialization=True)
    )
    assert epoch == 2
    assert len(means) == 4
    assert means[2] == pytest.approx((long[2].mean() + short[2].mean()) / 2)
    assert means[3] == pytest.approx((long[3].mean() + short[2].mean()) / 2)

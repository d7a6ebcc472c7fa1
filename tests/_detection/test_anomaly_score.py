"""Tail surprisals, and the anomaly score that is their mean."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skae import DenoisingAutoencoder
from skae._detection.anomaly_score import (
    _PLAN,
    AnomalyScore,
    TailSurprisal,
    _measure_errors,
    _measure_linear_errors,
    _weigh_errors,
    score_at_share,
)


@pytest.fixture(scope="module")
def known():
    return np.random.default_rng(0).exponential([1.0, 10.0], size=(20_000, 2))


def test_surprisal_of_exponential_values_is_the_value_over_its_mean(known):
    for share in (0.5, 1.0, 2.0, 4.0, 20.0):
        nats = TailSurprisal.from_values(known).measure(np.array([[share, 10 * share]]))
        assert nats[0] == pytest.approx(share, rel=0.05)


def test_surprisal_is_the_mean_over_the_columns(known):
    both = TailSurprisal.from_values(known).measure(known[:50])
    each = [
        TailSurprisal.from_values(known[:, [level]]).measure(known[:50, [level]])
        for level in (0, 1)
    ]
    np.testing.assert_allclose(both, np.mean(each, axis=0))


def test_surprisal_grows_beyond_the_largest_known_value(known):
    nats = TailSurprisal.from_values(known).measure(
        np.array([[1e2, 1e2], [1e4, 1e4], [1e200, 1e200]])
    )
    assert np.isfinite(nats).all()
    assert (np.diff(nats) > 0).all()


@given(st.integers(1, 30), st.integers(0, 10_000))
def test_surprisal_never_falls_with_the_value(n_known, seed):
    rng = np.random.default_rng(seed)
    errors = rng.integers(0, 5, size=(n_known, 1)).astype(float)  # with ties
    grid = np.linspace(-1, 12, 53)[:, None]
    nats = TailSurprisal.from_values(errors).measure(grid)
    assert (np.diff(nats) >= 0).all()
    assert np.isfinite(nats).all()
    assert (nats >= 0).all()


def test_a_score_of_an_earlier_version_keeps_its_levels(denoiser, rows):
    score = AnomalyScore.fit(denoiser, rows, None)
    errors = denoiser.denoising_errors(rows)
    stored = {name: getattr(score, name) for name in ("neighbours", "by_distance", "weight")}
    stored["by_error"] = surprisal_of_errors(denoiser, rows, errors)
    earlier = AnomalyScore.__new__(AnomalyScore)
    earlier.__setstate__(stored)
    np.testing.assert_allclose(earlier.view(denoiser, rows[:9]).errors, errors[:9], rtol=1e-6)
    assert pickle.loads(pickle.dumps(score)).plan == score.plan


def test_a_weight_of_two_is_two_rows():
    rng = np.random.default_rng(0)
    errors, weight = rng.exponential(size=(200, 3)), rng.integers(1, 4, size=200)
    once = TailSurprisal.from_values(errors, weight.astype(float))
    often = TailSurprisal.from_values(np.repeat(errors, weight, axis=0))
    grid = rng.exponential(2.0, size=(100, 3))
    np.testing.assert_allclose(once.measure(grid), often.measure(grid), rtol=1e-12)


def test_copies_of_a_shared_value_are_as_usual_as_it_is():
    values = np.repeat([[1.0], [2.0], [5.0]], [50, 40, 10], axis=0)
    surprisal = TailSurprisal.from_values(values, None, lambda v: np.full_like(v, 1e-6))
    shared = np.array([1.0, 2.0, 5.0])
    expected = surprisal.measure(shared[:, None])
    np.testing.assert_allclose(expected, [0, np.log(2), np.log(10)], atol=0.07)
    for rounding in (-1e-6, 1e-6):
        found = surprisal.measure(shared[:, None] + rounding)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_beyond_a_value_that_all_share_the_surprisal_grows_by_a_nat_a_unit():
    surprisal = TailSurprisal.from_values(np.full((10, 1), 2.0))
    nats = surprisal.measure(np.array([[1.0], [2.0], [2.1], [3.1]]))
    np.testing.assert_array_equal(nats[:2], 0)
    np.testing.assert_allclose(nats[2:], [np.log(50) + 0.1, np.log(50) + 1.1], rtol=1e-6)


@pytest.mark.parametrize("weight", [None, np.r_[np.ones(990), np.full(10, 0.5)]])
def test_beyond_a_value_that_nearly_all_share_it_grows_by_a_nat_a_mean_excess(weight):
    """One in a hundred lies beyond 2, by 3 or 5: less than the last knot's share."""
    values = np.r_[np.full(990, 2.0), np.full(5, 5.0), np.full(5, 7.0)][:, None]
    nats = TailSurprisal.from_values(values, weight).measure(np.array([[6.0], [10.0]]))
    assert nats[1] - nats[0] == pytest.approx(1, rel=1e-6)


def test_in_the_tail_a_rounding_is_worth_little():
    values = 2 + 1e-5 * np.random.default_rng(0).exponential(size=(500, 1))
    surprisal = TailSurprisal.from_values(values, None, lambda v: np.full_like(v, 1e-6))
    nats = surprisal.measure(np.array([[2.001], [2.001 + 1e-6]]))
    assert 0 < nats[1] - nats[0] <= 1.01e-3


def test_the_tail_is_exponential_through_the_median_and_the_98_percent_quantile():
    """Uniform values: half exceed 0.5, and 2 % exceed 0.98."""
    values = np.arange(1, 10_001)[:, None] / 10_000
    nats = TailSurprisal.from_values(values).measure(np.array([[0.5], [0.98], [0.98 + 0.48]]))
    np.testing.assert_allclose(nats, np.log([2, 50, 50 * 25]), rtol=1e-3)


# Rows -----------------------------------------------------------------------------------------


def fit_rows(values, weight=None):
    return TailSurprisal.from_rows(values, weight, lambda v: 1e-9 * (1 + v))


def exponential_at(values, nats):
    """The values that have these surprisals if the tail is exponential."""
    tail = TailSurprisal.from_values(values, None, lambda v: 1e-9 * (1 + v))
    inside = np.array([np.interp(nats, tail.nats, knots) for knots in tail.knots.T]).T
    return inside + np.maximum(nats - tail.nats[-1], 0)[:, None] * tail.scale


def test_the_tail_of_rows_is_exponential_up_to_twice_the_logarithm_of_their_number():
    values = np.random.default_rng(0).exponential(size=(1000, 2))
    nats = np.linspace(0, 2 * np.log(1000), 200)
    found = fit_rows(values).measure(exponential_at(values, nats))
    np.testing.assert_allclose(found, nats, atol=1e-12)


def test_beyond_that_it_grows_with_the_logarithm():
    values = np.random.default_rng(0).exponential(size=(1000, 1))
    bend, excess = 2 * np.log(1000), np.array([0.1, 1.0, 10.0, 1e3, 1e9])
    nats = fit_rows(values).measure(exponential_at(values, bend + excess))
    np.testing.assert_allclose(nats - bend, np.log1p(excess), atol=0.04)
    far = fit_rows(values).measure(np.array([[1e18], [1e30], [1e200]]))
    np.testing.assert_allclose(np.diff(far), np.log([1e12, 1e170]), rtol=1e-6)


def test_a_tail_of_an_earlier_version_stays_in_proportion():
    """Stored without a bend, it scores as it did."""
    nats, knots = np.linspace(0, 4, 64), np.linspace([0.0, 1.0], [8.0, 2.0], 64)
    tail = TailSurprisal(nats, knots, np.array([2.0, 0.5]))
    assert tail.measure(np.array([[8.0 + 2e30, 0.0]]))[0] == (4 + 1e30) / 2


@pytest.mark.parametrize("n_known", [1, 2, 5])
def test_the_tail_of_very_few_rows_bends_where_knots_end(n_known):
    values = np.arange(1.0, n_known + 1)[:, None]
    nats = fit_rows(values).measure(np.geomspace(1, 1e9, 30)[:, None])
    assert (np.diff(nats) >= 0).all()
    assert nats[-1] < 40
    assert fit_rows(values).measure(values[-1:] + 0.01)[0] > np.log(50)


def test_a_weight_of_two_is_two_rows_far_out_too():
    values, weight = np.random.default_rng(0).exponential(size=(200, 1)), np.arange(200) % 3 + 1
    once = fit_rows(values, weight.astype(float))
    often = fit_rows(np.repeat(values, weight, axis=0))
    grid = np.geomspace(0.1, 1e4, 50)[:, None]
    np.testing.assert_allclose(once.measure(grid), often.measure(grid), rtol=1e-12)


# Rows with labels ------------------------------------------------------------------------------


def fit_mixed(values, weight=None, wider=None):
    return TailSurprisal.from_rows(values, weight, lambda v: 1e-9 * (1 + v), True, wider)


def draw_with_wrong_labels(n_rows, n_wrong):
    """Small errors, and a few that are hundreds of times as large."""
    small = np.random.default_rng(0).exponential(size=n_rows - n_wrong)
    return np.r_[small, 300 + np.arange(n_wrong)][:, None]


def test_the_known_values_of_mixed_rows_tell_the_tail():
    values = draw_with_wrong_labels(1000, 5)
    nats = fit_mixed(values).measure(values)
    ranks = 1000 - values[:, 0].argsort().argsort()
    np.testing.assert_allclose(nats, -np.log(ranks / 1000), atol=0.12)


def test_beyond_the_largest_value_of_mixed_rows_it_grows_with_the_logarithm():
    values = draw_with_wrong_labels(1000, 5)
    scale = (values.max() - np.median(values)) / np.log(1000)
    beyond = values.max() + np.array([[1e-3], [1.0], [10.0], [1e9]]) * scale
    nats = fit_mixed(values).measure(beyond)
    np.testing.assert_allclose(nats - np.log(2000), np.log1p([1e-3, 1, 10, 1e9]), atol=0.04)
    far = fit_mixed(values).measure(np.array([[1e30], [1e200]]))
    assert far[1] - far[0] == pytest.approx(np.log(1e170))


def test_a_few_mixed_rows_take_the_scale_of_a_tail_that_they_lack():
    many, wrong = draw_with_wrong_labels(1000, 5), np.array([[300.0]])
    alone = fit_mixed(many[:100])
    beside = fit_mixed(many[:100], wider=fit_mixed(many))
    np.testing.assert_array_equal(beside.measure(many[:100]), alone.measure(many[:100]))
    assert np.log(200) < beside.measure(wrong)[0] < np.log(2000) < alone.measure(wrong)[0]
    assert fit_mixed(many[:100], wider=alone).scale == alone.scale


def test_a_weight_of_two_is_two_mixed_rows():
    values, weight = draw_with_wrong_labels(200, 3), np.arange(200) % 3 + 1
    once = fit_mixed(values, weight.astype(float))
    often = fit_mixed(np.repeat(values, weight, axis=0))
    grid = np.geomspace(0.1, 1e4, 50)[:, None]
    np.testing.assert_allclose(once.measure(grid), often.measure(grid), rtol=1e-12)


# Shares -------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.1, 1 / 3, 0.5, 1.0])
def test_that_share_of_the_scores_is_below(share):
    scores = np.random.default_rng(0).normal(size=300)
    is_below = scores < score_at_share(scores, None, share)
    assert is_below.sum() == min(round(share * 300), 299)


def test_a_weight_of_two_is_two_scores():
    rng = np.random.default_rng(0)
    scores, weight = rng.normal(size=60), rng.integers(1, 4, size=60)
    for share in (0.01, 0.3, 0.7, 1.0):
        expected = score_at_share(np.repeat(scores, weight), None, share)
        assert score_at_share(scores, weight.astype(float), share) == expected


# The score -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def denoiser(curve):
    return DenoisingAutoencoder(
        None, hidden_layer_sizes=(), standardize=True, noise_level=(0.1, 5.0), n_draws=2
    ).fit(curve * np.geomspace(0.01, 100, 6))


@pytest.fixture(scope="module")
def rows(curve):
    return curve[:300] * np.geomspace(0.01, 100, 6)


def measure_rounding(denoiser, rows):
    each = 2**-24 * np.abs(rows).max(axis=0) + 1e-7 * np.ptp(rows, axis=0)
    return np.linalg.norm(each / denoiser.scale_)


def surprisal_of_errors(denoiser, rows, known):
    """Squares are rounded by twice their root times the rows' rounding."""
    rounding = measure_rounding(denoiser, rows)
    return TailSurprisal.from_rows(
        known, None, lambda values: 2 * rounding * np.sqrt(values) + rounding**2
    )


def surprisal_of_distances(denoiser, rows, known):
    rounding = measure_rounding(denoiser, rows)
    return TailSurprisal.from_rows(known, None, lambda values: 0 * values + rounding)


def neighbour_distances(denoiser, rows, errors):
    """Distances of rows among themselves, to the nearest and to the fifth usual one."""
    scaled = (rows - denoiser.mean_) / denoiser.scale_
    distances = np.linalg.norm(scaled[:, None] - scaled, axis=2)
    np.fill_diagonal(distances, np.inf)
    is_usual = errors.argsort().argsort() <= 0.7 * len(rows)
    fifth = np.sort(distances[:, is_usual], axis=1)[:, 4]
    return np.column_stack([distances.min(axis=1), fifth])


def errors_at_levels(denoiser, rows):
    """The third, seventh and eleventh of twelve levels."""
    return denoiser.denoising_errors(rows)[:, [2, 6, 10]]


def test_the_score_is_the_mean_surprisal_of_errors_and_two_distances(denoiser, rows):
    errors = errors_at_levels(denoiser, rows)
    by_error = surprisal_of_errors(denoiser, rows, errors).measure(errors)
    distances = neighbour_distances(denoiser, rows, by_error)
    by_distance = surprisal_of_distances(denoiser, rows, distances).measure(distances)
    expected = (by_error + 2 * by_distance) / 3
    found = AnomalyScore.fit(denoiser, rows, None).measure(denoiser, rows)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_weight_of_two_is_two_reference_rows(denoiser, rows):
    """But for the nearest row, of which a copy is as near as can be."""
    weight = np.random.default_rng(0).integers(1, 4, size=len(rows))
    score = AnomalyScore.fit(denoiser, rows, weight.astype(float))
    errors = errors_at_levels(denoiser, rows)
    expected = surprisal_of_errors(denoiser, rows, np.repeat(errors, weight, axis=0))
    np.testing.assert_allclose(score.by_error.measure(errors), expected.measure(errors))
    distances = score.neighbours.measure((rows - denoiser.mean_) / denoiser.scale_)
    expected = surprisal_of_distances(denoiser, rows, np.repeat(distances, weight, axis=0))
    np.testing.assert_allclose(score.by_distance.measure(distances), expected.measure(distances))
    nats = score.by_error.measure(errors)
    usual = np.sort(nats)[: score.neighbours.n_usual]
    order = nats.argsort()
    share = weight[order].cumsum()[len(usual) - 1] / weight.sum()
    assert share == pytest.approx(0.7, abs=4 / weight.sum())


def test_a_large_offset_does_not_round_distances_away(curve):
    """Rows are scaled in float64: in float32, all values near 1e9 would be equal."""
    X = curve[:200] + 1e9
    denoiser = DenoisingAutoencoder(
        None, hidden_layer_sizes=(), noise_level=(0.1, 5.0), n_draws=2
    ).fit(X)
    near = DenoisingAutoencoder(None, hidden_layer_sizes=(), noise_level=(0.1, 5.0), n_draws=2).fit(
        curve[:200]
    )
    found = AnomalyScore.fit(denoiser, X, None).neighbours.measure(
        (X - denoiser.mean_) / denoiser.scale_
    )
    expected = AnomalyScore.fit(near, curve[:200], None).neighbours.measure(
        (curve[:200] - near.mean_) / near.scale_
    )
    np.testing.assert_allclose(found[:, 0], expected[:, 0], rtol=1e-3)
    # Which rows are usual may differ for a few, whose errors are as large up to rounding.
    relative = np.abs(found[:, 1] / expected[:, 1] - 1)
    assert np.quantile(relative, 0.75) < 1e-3
    assert relative.max() < 0.75


# Linear rows ---------------------------------------------------------------------------------


def draw_errors(n_rows, gain):
    """Errors of a linear path, and those that a network has which lowers them by a share."""
    rng = np.random.default_rng(0)
    linear = rng.chisquare(10, size=(n_rows, 2))
    return linear * (1 - gain + 0.1 * rng.normal(size=linear.shape)), linear


@pytest.mark.parametrize(("gain", "expected"), [(-0.05, 8), (0.03, 8), (0.1, 1), (0.5, 1)])
def test_errors_of_linear_rows_count_more(gain, expected):
    assert _weigh_errors(*draw_errors(500, gain), None) == expected


def test_what_a_network_gains_at_one_level_is_a_gain():
    errors, linear = draw_errors(500, 0.0)
    errors[:, 1] *= 0.8
    assert _weigh_errors(errors, linear, None) == 1


@pytest.mark.parametrize("gain", [0.0, 0.3])
def test_a_few_rows_far_out_do_not_tell_whether_rows_are_linear(gain):
    """The network learns to restore one of them, and leaves others to the path."""
    errors, linear = draw_errors(500, gain)
    linear[:4] = 1e6
    errors[:4] = [[1e6], [0.0], [0.0], [1e6]] if gain == 0 else 1e6
    assert _weigh_errors(errors, linear, None) == (8 if gain == 0 else 1)


def test_a_weight_of_two_is_two_rows_that_tell_whether_rows_are_linear():
    errors, linear = draw_errors(400, 0.0)
    errors[:200] *= 0.85
    for share, expected in ((0.0, 1), (10.0, 8)):
        weight = np.repeat([1.0, share], 200)
        assert _weigh_errors(errors, linear, weight) == expected
    assert _weigh_errors(errors, linear, None) == 1


def test_linear_errors_are_those_of_observed_cells_alone(denoiser, rows):
    """The denoiser has no hidden layers, so that its errors are nearly those of its path."""
    hidden = np.arange(6) == np.arange(len(rows))[:, None] % 6
    prepared = denoiser._state.prepare(np.where(hidden, np.nan, rows), np.float64)
    linear = _measure_linear_errors(denoiser._state, prepared, _PLAN)
    found = _measure_errors(denoiser._state, prepared, _PLAN)
    np.testing.assert_allclose(linear.mean(axis=0), found.mean(axis=0), rtol=0.05)


def test_only_the_errors_count_more(denoiser, rows):
    plain = AnomalyScore.fit(denoiser, rows, None)
    asked = AnomalyScore.fit(denoiser, rows, None, asks_linear=True)
    assert (plain.weight, asked.weight) == (1, 8)
    errors, distances = asked.view(denoiser, rows)
    nats = 8 * plain.by_error.measure(errors) + 2 * plain.by_distance.measure(distances)
    np.testing.assert_allclose(asked.measure(denoiser, rows), nats / 10)

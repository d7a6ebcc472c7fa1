"""Gaussian mixtures of many sizes, weighted by held-out rows."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from skae._linear import may_have_share, split_for_stacking, stack_mixtures
from skae._linear.stacked_mixture import weigh_densities


def draw(n_rows, seed=0):
    """Rows in three clusters, of mean zero and with the identity for a covariance."""
    rng = np.random.default_rng(seed)
    centres = np.array([[-1.2, 0.5], [1.2, 0.5], [0.0, -1.0]])
    X = centres[rng.integers(3, size=n_rows)] + 0.3 * rng.normal(size=(n_rows, 2))
    whitening = np.linalg.cholesky(np.linalg.inv(np.cov(X.T)))
    return (X - X.mean(axis=0)) @ whitening


def stack(X, rival=None, weight=None):
    weight = np.ones(len(X)) if weight is None else weight
    return stack_mixtures(X, weight, split_for_stacking(len(X)), rival)


@pytest.mark.parametrize("n_rows", [200, 1000])
def test_it_is_near_the_density_of_clusters(n_rows):
    X = draw(4000 + n_rows)
    mixture, share = stack(X[:n_rows])
    others = X[n_rows:]
    best = GaussianMixture(3, random_state=0).fit(others).score(others)
    assert share == 0
    assert mixture.weight.sum() == pytest.approx(1)
    assert mixture.log_density(others).mean() == pytest.approx(best, abs=0.12)
    assert mixture.log_density(others).mean() > multivariate_normal([0, 0]).logpdf(others).mean()


def test_it_is_a_density():
    mixture, _ = stack(draw(300))
    ticks = np.linspace(-8, 8, 400)
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    cell = (ticks[1] - ticks[0]) ** 2
    assert np.exp(mixture.log_density(grid)).sum() * cell == pytest.approx(1, abs=0.01)


def test_normal_rows_get_about_one_gaussian():
    rng = np.random.default_rng(0)
    X, others = rng.normal(size=(400, 3)), rng.normal(size=(4000, 3))
    mixture, _ = stack(X)
    lost = multivariate_normal(np.zeros(3)).logpdf(others) - mixture.log_density(others)
    assert lost.mean() < 0.05


def test_a_row_unlike_all_others_costs_little():
    X = draw(300)
    mixture, _ = stack(X)
    assert mixture.log_density(np.array([[25.0, 25.0]]))[0] > -25


@pytest.mark.parametrize("n_rows", [200, 1000])
def test_the_truth_as_a_rival_gets_most(n_rows):
    X = np.random.default_rng(0).uniform(-(3**0.5), 3**0.5, size=(n_rows, 2))  # no mixture
    truth = np.full(n_rows, -2 * np.log(2 * 3**0.5))
    _, share = stack(X, truth)
    assert 0.8 < share < 1


def test_a_bad_rival_gets_nothing():
    X = draw(300)
    wrong = multivariate_normal([5.0, 5.0], 0.1 * np.eye(2)).logpdf(X)
    alone, _ = stack(X)
    mixture, share = stack(X, wrong)
    assert share == 0
    np.testing.assert_allclose(mixture.log_density(X), alone.log_density(X), atol=0.05)


def test_a_rival_is_judged_by_held_out_rows_alone():
    X = draw(1000)
    splits = split_for_stacking(len(X))
    rival = np.full(len(X), 100.0)  # absurd, where rows were fitted
    rival[splits[0].held_out] = -100.0
    assert stack_mixtures(X, np.ones(len(X)), splits, rival)[1] == 0


@pytest.mark.parametrize("n_rows", [10, 499, 500, 2000])
def test_splits_hold_out_rows_once(n_rows):
    splits = split_for_stacking(n_rows)
    held_out = np.concatenate([split.held_out for split in splits])
    assert len(set(held_out)) == len(held_out) == (n_rows if n_rows < 500 else n_rows // 10)
    for split in splits:
        both = np.concatenate([split.fitted, split.held_out])
        np.testing.assert_array_equal(np.sort(both), np.arange(n_rows))


def test_rows_without_weight_have_no_say():
    X = draw(300)
    far = np.vstack([X, X[:30] + 40])
    weight = np.repeat([1.0, 0.0], [300, 30])
    mixture, _ = stack(far, weight=weight)
    assert mixture.log_density(X).mean() > stack(far)[0].log_density(X).mean()
    assert mixture.log_density(X).mean() == pytest.approx(
        stack(X)[0].log_density(X).mean(), abs=0.1
    )


def test_few_rows_in_many_columns():
    X = np.random.default_rng(0).normal(size=(12, 30))
    mixture, _ = stack(X)
    assert np.isfinite(mixture.log_density(X)).all()
    assert np.linalg.eigvalsh(mixture.covariance).min() > 0


def test_a_covariance_that_is_known_is_among_the_choices():
    """Not even strong regularization leaves as little to lose to few rows."""
    rng = np.random.default_rng(0)
    X, others = rng.normal(size=(40, 20)), rng.normal(size=(2000, 20))
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    truth = multivariate_normal(np.zeros(20)).logpdf(others).mean()
    splits, lost = split_for_stacking(40), []
    for is_known in (False, True):
        mixture, _ = stack_mixtures(X, np.ones(40), splits, None, is_known)
        lost.append(truth - mixture.log_density(others).mean())
    assert lost[1] < 0.1 < 1 < lost[0]


def test_clusters_are_found_beside_a_covariance_that_is_known():
    X = draw(4300)
    known, _ = stack_mixtures(X[:300], np.ones(300), split_for_stacking(300), None, True)
    found = known.log_density(X[300:]).mean()
    assert found == pytest.approx(stack(X[:300])[0].log_density(X[300:]).mean(), abs=0.02)


def test_shares_are_those_of_the_likeliest_mixture():
    """Against a search over shares."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=300), 2 + 0.3 * rng.normal(size=700)])
    table = np.column_stack(
        [multivariate_normal(0, 1).logpdf(X), multivariate_normal(2, 0.09).logpdf(X)]
    )
    shares = np.linspace(0, 1, 1001)[1:-1]
    values = [np.logaddexp(table[:, 0] + np.log(s), table[:, 1] + np.log1p(-s)) for s in shares]
    best = shares[np.argmax(np.mean(values, axis=1))]
    found = weigh_densities(table, np.ones(len(X)))
    assert found.sum() == pytest.approx(1)
    assert found[0] == pytest.approx(best, abs=0.005)
    # A weight of two is a row that is there twice.
    weight = rng.integers(1, 3, size=len(X))
    np.testing.assert_allclose(
        weigh_densities(table, weight.astype(float)),
        weigh_densities(np.repeat(table, weight, axis=0), np.ones(weight.sum())),
        atol=1e-12,
    )


def test_a_rival_of_next_to_no_weight_is_left_out():
    X = draw(300)
    rival = np.full(300, -1000.0)
    rival[7] = 10.0  # right about one row: a share of 1/300
    assert stack(X, rival)[1] == 0


def test_strong_regularization_is_among_the_choices():
    """It takes a large part of what is lost to covariances of ten columns by forty rows."""
    rng = np.random.default_rng(0)
    X, others = rng.normal(size=(40, 10)), rng.normal(size=(4000, 10))
    truth = multivariate_normal(np.zeros(10)).logpdf(others).mean()
    fitted = multivariate_normal(X.mean(axis=0), np.cov(X.T)).logpdf(others).mean()
    assert truth - stack(X)[0].log_density(others).mean() < 0.7 * (truth - fitted)


@pytest.mark.parametrize("gain", [8.0, 50.0, 1e4])
def test_a_rival_far_above_leaves_the_mixture_as_it_is(gain):
    X = draw(300)
    alone, _ = stack(X)
    mixture, share = stack(X, alone.log_density(X) + gain)
    assert share == 1 - 1 / 300
    np.testing.assert_array_equal(mixture.log_density(X), alone.log_density(X))


@pytest.mark.parametrize("gap", [-1.0, 1.0])
def test_a_rival_may_have_a_share_where_its_mean_ratio_exceeds_one(gap):
    noise = np.random.default_rng(0).normal(size=400)
    ratio = noise - np.log(np.exp(noise).mean()) + gap
    weight = np.ones(400)
    assert may_have_share(ratio, np.zeros(400), weight) == (gap > 0)
    share = weigh_densities(np.column_stack([np.zeros(400), ratio]), weight)[1]
    assert (share > 0.05) == (gap > 0)
    ratio[:10] = 100.0
    weight[:10] = 0.0
    assert may_have_share(ratio, np.zeros(400), weight) == (gap > 0)

"""A mixture fitted to codes that are known up to a Gaussian each."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from skae._linear import choose_spread_rows, fit_mixture


def rng():
    return np.random.default_rng(0)


def log_density(mixture, X):
    parts = [
        weight * multivariate_normal(mean, np.diag(variance)).pdf(X)
        for weight, mean, variance in zip(
            mixture.weight, mixture.mean, mixture.variance, strict=True
        )
    ]
    return np.log(np.sum(parts, axis=0))


@pytest.fixture
def overlapping():
    """Two Gaussians of different weight and width, one within reach of the other."""
    wide = rng().normal(size=(3000, 2)) * [2.0, 1.0]
    return np.vstack([wide, np.random.default_rng(1).normal(size=(1000, 2)) * 0.5 + [3, 2]])


def test_of_points_it_is_scikit_learns_mixture(overlapping):
    found = fit_mixture(overlapping, np.zeros_like(overlapping), None, 2, rng())
    expected = GaussianMixture(2, covariance_type="diag", tol=1e-6, random_state=0)
    expected.fit(overlapping)
    assert found.weight.sum() == pytest.approx(1)
    assert log_density(found, overlapping).mean() == pytest.approx(
        expected.score(overlapping), abs=2e-3
    )
    ours, theirs = np.argsort(found.weight), np.argsort(expected.weights_)
    np.testing.assert_allclose(found.weight[ours], expected.weights_[theirs], atol=0.02)
    np.testing.assert_allclose(found.mean[ours], expected.means_[theirs], atol=0.1)
    np.testing.assert_allclose(found.variance[ours], expected.covariances_[theirs], rtol=0.15)


@pytest.mark.parametrize("weighted", [False, True])
def test_one_gaussian_has_the_moments_of_the_posteriors(weighted):
    """The prior counts as one row, at zero and of variance one."""
    mean, variance = rng().normal(size=(50, 3)) + 2, rng().uniform(0.1, 4, size=(50, 3))
    weight = rng().uniform(0.2, 2, size=50) if weighted else np.ones(50)
    found = fit_mixture(mean, variance, weight if weighted else None, 1, rng())
    counts = 50 * weight / weight.sum()
    centre = counts @ mean / 51
    spread = counts @ (np.square(mean - centre) + variance) + 1 + np.square(centre)
    np.testing.assert_allclose(found.weight, [1.0])
    np.testing.assert_allclose(found.mean[0], centre)
    np.testing.assert_allclose(found.variance[0], spread / 51)


def test_what_is_unknown_of_a_row_widens_its_gaussian():
    points = np.array([[-5.0, 0.0], [5.0, 1.0]]).repeat(500, axis=0)
    found = fit_mixture(points, np.full_like(points, 0.3), None, 2, rng())
    order = np.argsort(found.mean[:, 0])
    np.testing.assert_allclose(found.mean[order], [[-5, 0], [5, 1]], atol=0.02)
    np.testing.assert_allclose(found.variance, 0.3, atol=0.06)


def test_no_neighbour_has_a_higher_bound():
    """`E_q log p(z)`, with a row of the standard Gaussian in each component as a prior."""
    mean = np.vstack(
        [rng().normal(size=(60, 2)), np.random.default_rng(1).normal(size=(30, 2)) + 4]
    )
    variance = np.random.default_rng(2).uniform(0.1, 5, size=(90, 2))
    weight = np.random.default_rng(3).uniform(0.5, 1.5, size=90)
    weight *= 90 / weight.sum()

    def expect_log(points, spreads, part, mixture):
        squares = (np.square(points - mixture.mean[part]) + spreads) / mixture.variance[part]
        logs = np.log(2 * np.pi * mixture.variance[part])
        return np.log(mixture.weight[part]) - 0.5 * (squares + logs).sum(axis=-1)

    def bound(mixture):
        joint = np.array([expect_log(mean, variance, part, mixture) for part in range(2)])
        prior = sum(expect_log(np.zeros(2), np.ones(2), part, mixture) for part in range(2))
        return weight @ np.logaddexp(*joint) + prior

    found = fit_mixture(mean, variance, weight, 2, rng())
    best = bound(found)
    generator = rng()
    for _ in range(40):
        share = found.weight * np.exp(0.1 * generator.normal(size=2))
        other = replace(
            found,
            weight=share / share.sum(),
            mean=found.mean + 0.1 * generator.normal(size=(2, 2)),
            variance=found.variance * np.exp(0.1 * generator.normal(size=(2, 2))),
        )
        assert bound(other) < best


def test_weights_repeat_rows():
    X = np.array([-5.0, 5.0]).repeat(20)[:, None] + 0.5 * rng().normal(size=(40, 1))
    weight = np.array([1, 3]).repeat(20)
    found = fit_mixture(X, 0.1 * np.ones_like(X), weight.astype(float), 2, rng())
    repeated = X.repeat(weight, axis=0)
    expected = fit_mixture(repeated, 0.1 * np.ones_like(repeated), None, 2, rng())
    ours, theirs = np.argsort(found.mean[:, 0]), np.argsort(expected.mean[:, 0])
    # Weights are divided by their mean, so that the prior's row is one of 40 and not of 80.
    np.testing.assert_allclose(found.mean[ours], expected.mean[theirs], rtol=0.06)
    np.testing.assert_allclose(found.weight[ours], expected.weight[theirs], atol=0.02)
    np.testing.assert_allclose(found.weight[ours], [11 / 42, 31 / 42])


def test_more_gaussians_than_rows():
    found = fit_mixture(rng().normal(size=(3, 2)), np.ones((3, 2)), None, 5, rng())
    assert found.mean.shape == (5, 2)
    assert np.isfinite(found.mean).all()
    assert (found.variance > 0).all()
    assert found.weight.sum() == pytest.approx(1)


def test_chosen_rows_are_spread_and_count():
    codes = np.repeat([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]], 10, axis=0)
    codes += 0.1 * rng().normal(size=codes.shape)
    chosen = choose_spread_rows(codes, np.ones(30), 3, rng())
    assert sorted(chosen // 10) == [0, 1, 2]
    weight = np.zeros(30)
    weight[[4, 17]] = 1.0
    for seed in range(5):
        generator = np.random.default_rng(seed)
        assert set(choose_spread_rows(codes, weight, 2, generator)) == {4, 17}
    repeated = choose_spread_rows(codes[:2], np.ones(2), 5, rng())
    assert len(repeated) == 5
    assert set(repeated) == {0, 1}

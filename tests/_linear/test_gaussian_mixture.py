"""A mixture fitted to codes that are known up to a Gaussian each."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.cluster import kmeans_plusplus
from sklearn.mixture import GaussianMixture

from skae._linear import (
    Codes,
    choose_mixture,
    choose_spread_rows,
    fit_mixture,
    gaussian_mixture,
)

# What counts beside the rows, see the module.
PRIOR, ORIGIN = 1.0, 0.01


def rng():
    return np.random.default_rng(0)


def points(X, weight=None):
    return Codes(X, np.zeros_like(X), np.ones(len(X)) if weight is None else weight)


def spreads(mixture):
    return mixture.covariance if mixture.is_full else [np.diag(v) for v in mixture.covariance]


def log_density(mixture, X):
    parts = [
        weight * multivariate_normal(mean, covariance).pdf(X)
        for weight, mean, covariance in zip(
            mixture.weight, mixture.mean, spreads(mixture), strict=True
        )
    ]
    return np.log(np.sum(parts, axis=0))


@pytest.fixture
def overlapping():
    """Two Gaussians of different weight and shape, one within reach of the other."""
    wide = rng().normal(size=(3000, 2)) @ [[2.0, 0.8], [0.0, 1.0]]
    return np.vstack([wide, np.random.default_rng(1).normal(size=(1000, 2)) * 0.5 + [3, 2]])


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_of_points_it_is_scikit_learns_mixture(overlapping, kind):
    found, bound = fit_mixture(points(overlapping), 2, kind == "full", rng())
    expected = GaussianMixture(2, covariance_type=kind, tol=1e-6, random_state=0)
    expected.fit(overlapping)
    assert found.weight.sum() == pytest.approx(1)
    assert bound == pytest.approx(expected.score(overlapping), abs=2e-3)
    assert log_density(found, overlapping).mean() == pytest.approx(bound, abs=1e-9)
    ours, theirs = np.argsort(found.weight), np.argsort(expected.weights_)
    np.testing.assert_allclose(found.weight[ours], expected.weights_[theirs], atol=0.02)
    np.testing.assert_allclose(found.mean[ours], expected.means_[theirs], atol=0.1)
    np.testing.assert_allclose(
        found.covariance[ours], expected.covariances_[theirs], rtol=0.15, atol=0.1
    )


@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_one_gaussian_has_the_moments_of_the_posteriors(weighted, is_full):
    """Beside them counts a row of variance one, and a bit of the origin."""
    mean, variance = rng().normal(size=(50, 3)) + 2, rng().uniform(0.1, 4, size=(50, 3))
    weight = rng().uniform(0.2, 2, size=50) if weighted else np.ones(50)
    found, _ = fit_mixture(Codes(mean, variance, weight), 1, is_full, rng())
    total = weight.sum()
    centre = weight @ mean / (total + ORIGIN)
    squares = (mean - centre).T @ ((mean - centre) * weight[:, None]) + np.diag(weight @ variance)
    squares += PRIOR * np.eye(3) + ORIGIN * np.outer(centre, centre)
    spread = squares / (total + PRIOR + ORIGIN)
    np.testing.assert_allclose(found.weight, [1.0])
    np.testing.assert_allclose(found.mean[0], centre)
    np.testing.assert_allclose(found.covariance[0], spread if is_full else spread.diagonal())


def test_what_is_unknown_of_a_row_widens_its_gaussian():
    known = np.array([[-5.0, 0.0], [5.0, 1.0]]).repeat(500, axis=0)
    codes = Codes(known, np.full_like(known, 0.3), np.ones(1000))
    found, _ = fit_mixture(codes, 2, True, rng())
    order = np.argsort(found.mean[:, 0])
    np.testing.assert_allclose(found.mean[order], [[-5, 0], [5, 1]], atol=0.02)
    np.testing.assert_allclose(found.covariance, np.array([0.3 * np.eye(2)] * 2), atol=0.01)


@pytest.mark.parametrize("is_full", [False, True])
def test_no_neighbour_has_a_higher_bound(is_full):
    """`E_q log p(z)`, with what is known beforehand of each component."""
    mean = np.vstack(
        [rng().normal(size=(60, 2)), np.random.default_rng(1).normal(size=(30, 2)) + 4]
    )
    variance = np.random.default_rng(2).uniform(0.1, 1, size=(90, 2))
    weight = np.random.default_rng(3).uniform(0.5, 1.5, size=90)

    def expect_log(points, spreads, part, mixture):
        """Of normal points with the given mean and variances."""
        covariance = mixture.covariance[part]
        covariance = covariance if is_full else np.diag(covariance)
        precision = np.linalg.inv(covariance)
        difference = points - mixture.mean[part]
        squares = ((difference @ precision) * difference).sum(-1) + spreads @ precision.diagonal()
        return -0.5 * (squares + np.linalg.slogdet(2 * np.pi * covariance)[1])

    def bound(mixture):
        parts = range(2)
        joint = [np.log(mixture.weight[m]) + expect_log(mean, variance, m, mixture) for m in parts]
        volume = np.full(2, 1 / 2)  # two Gaussians in a plane
        prior = sum(
            PRIOR * np.log(mixture.weight[m])
            + PRIOR * expect_log(mixture.mean[m], volume, m, mixture)
            + ORIGIN * expect_log(np.zeros(2), np.zeros(2), m, mixture)
            for m in parts
        )
        return weight @ np.logaddexp(*joint) + prior

    found, _ = fit_mixture(Codes(mean, variance, weight), 2, is_full, rng())
    best = bound(found)
    generator = rng()
    for _ in range(40):
        share = found.weight * np.exp(0.1 * generator.normal(size=2))
        stretch = np.exp(0.1 * generator.normal(size=(2, 2)))
        turn = np.eye(2) + 0.1 * generator.normal(size=(2, 2, 2))
        other = replace(
            found,
            weight=share / share.sum(),
            mean=found.mean + 0.1 * generator.normal(size=(2, 2)),
            covariance=turn @ found.covariance @ turn.transpose(0, 2, 1)
            if is_full
            else found.covariance * stretch,
        )
        assert bound(other) < best


def test_weights_repeat_rows():
    X = np.array([-5.0, 5.0]).repeat(20)[:, None] + 0.5 * rng().normal(size=(40, 1))
    weight = np.array([1, 3]).repeat(20)
    found, bound = fit_mixture(points(X, weight.astype(float)), 2, True, rng())
    expected, same = fit_mixture(points(X.repeat(weight, axis=0)), 2, True, rng())
    ours, theirs = np.argsort(found.mean[:, 0]), np.argsort(expected.mean[:, 0])
    assert bound == pytest.approx(same)
    np.testing.assert_allclose(found.mean[ours], expected.mean[theirs])
    np.testing.assert_allclose(found.weight[ours], expected.weight[theirs])
    np.testing.assert_allclose(found.weight[ours], [21 / 82, 61 / 82])


@pytest.mark.parametrize("is_full", [False, True])
def test_more_gaussians_than_rows(is_full):
    codes = Codes(rng().normal(size=(3, 2)), np.ones((3, 2)), np.ones(3))
    found, _ = fit_mixture(codes, 5, is_full, rng())
    assert found.mean.shape == (5, 2)
    assert np.isfinite(found.mean).all()
    assert (np.linalg.eigvalsh(spreads(found)) > 0).all()
    assert found.weight.sum() == pytest.approx(1)


@pytest.mark.parametrize("is_full", [False, True])
def test_as_many_gaussians_as_the_codes_have(is_full):
    centres = np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 20.0], [20.0, 20.0]])
    X = centres.repeat(100, axis=0) + rng().normal(size=(400, 2))
    for most, expected in [(10, 4), (4, 4), (3, 3), (1, 1)]:
        found = choose_mixture(points(X), most, is_full, rng())
        assert len(found.weight) == len(found.mean) == len(found.covariance) == expected
        assert found.weight.sum() == pytest.approx(1)
    single = choose_mixture(points(rng().normal(size=(400, 2))), 10, is_full, rng())
    assert len(single.weight) == 1


def test_the_criterion_counts_parameters():
    assert fit_mixture(points(rng().normal(size=(20, 3))), 2, True, rng())[0].n_parameters == 19
    assert fit_mixture(points(rng().normal(size=(20, 3))), 2, False, rng())[0].n_parameters == 13


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


@pytest.mark.parametrize(("n_rows", "n_chosen"), [(3, 1), (40, 7), (700, 64)])
def test_spread_rows_are_those_of_kmeans_plusplus(n_rows, n_chosen):
    codes, weight = rng().normal(size=(n_rows, 5)), rng().uniform(size=n_rows)
    chosen = choose_spread_rows(codes, weight, n_chosen, rng())
    seed = int(rng().integers(2**31))
    _, expected = kmeans_plusplus(codes, n_chosen, sample_weight=weight, random_state=seed)
    np.testing.assert_array_equal(chosen, expected)


@pytest.mark.parametrize("is_full", [False, True])
def test_blocks_of_rows_have_the_mixture_of_all(is_full, overlapping, monkeypatch):
    codes = Codes(overlapping, np.full_like(overlapping, 0.1), rng().uniform(size=4000))
    expected, bound = fit_mixture(codes, 3, is_full, rng())
    monkeypatch.setattr(gaussian_mixture, "block_length", lambda width: 700)
    found, same = fit_mixture(codes, 3, is_full, rng())
    assert same == pytest.approx(bound)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-6)
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-6, atol=1e-9)

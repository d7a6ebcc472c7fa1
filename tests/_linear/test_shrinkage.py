"""Covariances of few rows, as held-out rows prefer them."""

import numpy as np
import pytest
from scipy.special import logsumexp

from skae._linear import Moments, fit_covariance, has_few_rows, pca, shrink_covariance, shrinkage


def shrink(X, weight=None, trim_fraction=0.0):
    rng = np.random.default_rng(0)
    return shrink_covariance(fit_covariance(X, weight, trim_fraction, rng), X, rng)


def score(found, X):
    """Return the mean log-density of rows, in nats."""
    n_left = X.shape[1] - len(found.axes)
    determinant = np.log(found.variances).sum() + n_left * np.log(found.remainder)
    constant = X.shape[1] * np.log(2 * np.pi)
    return -0.5 * (found.distances(X).mean() + determinant + constant)


def score_truth(covariance, X):
    _, determinant = np.linalg.slogdet(2 * np.pi * covariance)
    return -0.5 * (np.einsum("ij,ji->", X, np.linalg.solve(covariance, X.T)) / len(X) + determinant)


def draw_factors(n_rows, n_features, seed, ratio=1.0):
    """Rows with three factors, whose noises differ by up to a ratio, and their covariance."""
    known = np.random.default_rng(7)
    loadings = known.normal(size=(3, n_features))
    noise = ratio ** known.uniform(-0.5, 0.5, size=n_features)
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n_rows, 3)) @ loadings
    rows += np.sqrt(noise) * rng.normal(size=rows.shape)
    return rows, loadings.T @ loadings + np.diag(noise)


def find_loss(found, n_features, ratio):
    """Return by how many nats a row the truth is better."""
    X, covariance = draw_factors(500, n_features, 1, ratio)
    return score_truth(covariance, X) - score(found, X)


@pytest.mark.parametrize("n_rows", [20, 45, 52, 100, 300])
def test_rows_of_noise_have_one_variance(n_rows):
    rng = np.random.default_rng(0)
    found = shrink(rng.normal(size=(n_rows, 50)))
    X = rng.normal(size=(500, 50))
    assert score(found, X) > score_truth(np.eye(50), X) - 3


@pytest.mark.parametrize(("n_rows", "most"), [(20, 12), (45, 6), (100, 2), (300, 0.8)])
@pytest.mark.parametrize("ratio", [1.0, 20.0])
def test_factors_are_kept(n_rows, most, ratio):
    """Also where noises differ, which no variances along the rows' own axes express."""
    found = shrink(draw_factors(n_rows, 60, 0, ratio)[0])
    assert find_loss(found, 60, ratio) < most
    assert (found.variances[:3] > 2 * found.variances[3]).all()
    np.testing.assert_allclose(found.axes @ found.axes.T, np.eye(60), atol=1e-10)


def test_factors_are_kept_beside_constant_columns():
    X = draw_factors(100, 40, 0, 20.0)[0]
    found = shrink(np.hstack([X[:, :10], np.ones((100, 2)), X[:, 10:]]))
    expected = shrink(X)
    np.testing.assert_allclose(found.variances, [*expected.variances, 1e-6, 1e-6])
    np.testing.assert_allclose(found.axes @ found.axes.T, np.eye(42), atol=1e-10)
    np.testing.assert_allclose(found.axes[:40, 10:12], 0, atol=1e-10)


def test_the_scale_of_rows_that_are_left_is_that_of_all():
    X = draw_factors(150, 30, 0)[0]
    trimmed, whole = shrink(X, trim_fraction=0.2), shrink(X)
    assert trimmed.variances.sum() == pytest.approx(whole.variances.sum(), rel=0.2)
    assert find_loss(trimmed, 30, 1.0) < 1


def test_wide_tables_have_no_factors(monkeypatch):
    """Their covariances would take too long."""

    def refuse(*arguments):
        raise AssertionError("factors were tried")

    monkeypatch.setattr(shrinkage, "_FACTORED_UP_TO", 59)
    monkeypatch.setattr(shrinkage, "_analyse_factors", refuse)
    assert np.isfinite(shrink(draw_factors(45, 60, 0)[0]).variances).all()


def test_copies_do_not_make_many_rows():
    X = draw_factors(40, 12, 0)[0]
    once, copied = shrink(X, np.full(40, 5.0)), shrink(np.tile(X, (5, 1)))
    assert has_few_rows(np.tile(X, (5, 1)))
    assert not has_few_rows(draw_factors(120, 12, 0)[0])
    np.testing.assert_allclose(copied.variances, once.variances)


def test_beyond_a_thousand_columns_the_remainder_is_shrunk_too(monkeypatch):
    monkeypatch.setattr(pca, "FULL_UP_TO", 50)
    found = shrink(draw_factors(40, 120, 0)[0])
    X, covariance = draw_factors(500, 120, 1)
    assert found.axes.shape == (39, 120)
    assert found.remainder == pytest.approx(1, abs=0.3)
    assert score(found, X) > score_truth(covariance, X) - 15


def test_many_rows_are_left_as_they_are():
    rng = np.random.default_rng(0)
    for n_rows, is_left in ((300, True), (299, False)):
        X = rng.normal(size=(n_rows, 30))
        found = fit_covariance(X, None, 0.0, rng)
        assert (shrink_covariance(found, X, rng) is found) == is_left


def test_a_covariance_that_holds_for_other_rows_is_left():
    """Variances over six orders of magnitude, which a share of their mean would hide."""
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(20, 20)))[0]
    X = (rng.normal(size=(150, 20)) * np.logspace(0, -2.5, 20)) @ rotation
    found = fit_covariance(X, None, 0.0, rng)
    np.testing.assert_allclose(shrink(X).variances, found.variances)


def test_a_single_row_far_out_does_not_hide_the_others():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 20)) * np.logspace(0, -2.5, 20)
    Y = rng.normal(size=(500, 20)) * np.logspace(0, -2.5, 20)
    X[0] = 0.5
    assert score(shrink(X), Y) > score(fit_covariance(X, None, 0.0, rng), Y) - 0.1


def test_a_weight_of_two_is_a_row_twice():
    X = np.random.default_rng(0).normal(size=(40, 12))
    weight = np.where(np.arange(40) < 15, 2.0, 1.0)
    weighted, repeated = shrink(X, weight), shrink(np.vstack([X, X[:15]]))
    np.testing.assert_allclose(weighted.variances, repeated.variances)
    assert weighted.variances[-1] > 0.5


def test_columns_that_others_determine_stay_determined():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 20))
    X = np.hstack([X, X[:, :1] + X[:, 1:2]])
    found = shrink(X)
    assert found.variances[-1] == 1e-6
    assert found.variances[-2] > 0.5


@pytest.mark.parametrize("n_rows", [1, 2, 3, 5])
def test_a_few_rows_have_a_width(n_rows):
    found = shrink(np.random.default_rng(0).normal(size=(n_rows, 8)))
    assert np.isfinite(found.variances).all()
    assert (found.variances[-1] > 0.05) == (n_rows > 1)


def test_rows_without_weight_do_not_count():
    X = np.random.default_rng(0).normal(size=(60, 20))
    X[40:] *= 100
    weight = np.repeat([1.0, 0.0], [40, 20])
    np.testing.assert_allclose(shrink(X, weight).variances, shrink(X[:40]).variances)


def test_folds_measure_their_rows_once(monkeypatch):
    """Not once for each number of factors; what candidates share doesn't change any of them."""
    X = draw_factors(100, 60, 0, 20.0)[0]
    measured, decomposed = [], []
    from_rows, decompose = Moments.from_rows, pca.decompose
    monkeypatch.setattr(
        Moments, "from_rows", lambda *given: measured.append(len(given[0])) or from_rows(*given)
    )
    monkeypatch.setattr(
        pca, "decompose", lambda *given: decomposed.append(len(given[0])) or decompose(*given)
    )
    found = shrink(X)
    assert sorted(measured) == [80] * 5 + [100]
    assert sorted(decomposed) == [80] * 5 + [100]
    analyse = shrinkage._analyse_factors

    def analyse_anew(X, moments, *given):
        again = Moments(moments.total, moments.mean, moments.covariance)
        return analyse(X, again, *given)

    monkeypatch.setattr(shrinkage, "_analyse_factors", analyse_anew)
    alone = shrink(X)
    np.testing.assert_array_equal(found.variances, alone.variances)
    np.testing.assert_array_equal(found.axes, alone.axes)


def test_losses_are_those_of_a_mixture_of_scales():
    rng = np.random.default_rng(0)
    distance, determinant = rng.chisquare(30, size=(50, 4)) * 10 ** rng.normal(size=4), np.arange(4)
    scales = np.square(shrinkage._SCALES)
    parts = -0.5 * (distance[..., None] / scales + 30 * np.log(scales))
    expected = 0.5 * determinant - logsumexp(parts, axis=-1, b=shrinkage._SCALE_WEIGHTS)
    found = shrinkage._score_distances(distance, determinant, 30)
    np.testing.assert_allclose(found, expected, rtol=1e-12)

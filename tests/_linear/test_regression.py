"""Ridge regression and its approximation of low rank, against closed forms and SVDs."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from skae._linear import AffineMap, fit_ridge_regression, reduce_rank, repeat_axes

RIDGES = np.logspace(-6, 1, 15)


def apply(affine, X):
    return X @ affine.slope.T + affine.offset


def draw_pairs(n_rows, n_inputs, n_outputs=3, noise=1.0):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, n_inputs)) + 2
    Y = X @ rng.normal(size=(n_inputs, n_outputs)) / np.sqrt(n_inputs) - 5
    return X, Y + noise * rng.normal(size=Y.shape)


def score_ridges(X, Y, weight):
    """Return the generalized cross-validation scores, from the residuals themselves."""
    share = weight / weight.sum()
    root = np.sqrt(share)[:, None]
    centred = root * (X - share @ X)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    along = np.square(vectors.T @ (root * (Y - share @ Y))).sum(axis=1)
    left = RIDGES[:, None] / (values.clip(0) + RIDGES[:, None])
    return np.square(left) @ along / ((left.sum(axis=1) - 1) / len(X)) ** 2


def find_ridge(regression, X, Y, weight):
    """Return the index of the ridge with which scikit-learn's regression is the nearest."""
    models = [
        Ridge(ridge * weight.sum(), solver="svd").fit(X, Y, sample_weight=weight)
        for ridge in RIDGES
    ]
    distances = [np.abs(model.coef_ - regression.slope).max() for model in models]
    index = int(np.argmin(distances))
    np.testing.assert_allclose(regression.slope, models[index].coef_, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(regression.offset, models[index].intercept_, rtol=1e-6)
    return index


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("noise", [0.01, 1.0, 10.0])
@pytest.mark.parametrize("shape", [(60, 4), (25, 20), (15, 30)])
def test_is_scikit_learns_ridge_of_the_best_score(shape, noise, weighted):
    X, Y = draw_pairs(*shape, noise=noise)
    weight = np.random.default_rng(1).uniform(0.2, 2, size=len(X)) if weighted else np.ones(len(X))
    found = fit_ridge_regression(X, Y, weight if weighted else None)
    scores = score_ridges(X, Y, weight)
    assert scores[find_ridge(found, X, Y, weight)] < scores.min() * (1 + 1e-4)


def test_the_more_noise_the_larger_the_ridge():
    ridges = []
    for noise in (0.01, 1.0, 10.0):
        X, Y = draw_pairs(25, 20, noise=noise)
        ridges.append(find_ridge(fit_ridge_regression(X, Y, None), X, Y, np.ones(25)))
    assert 0 < ridges[0] < ridges[1] < ridges[2]


@pytest.mark.parametrize("seed", range(4))
def test_rounding_does_not_choose_the_ridge_of_a_wide_table(seed):
    """A small ridge reproduces fewer rows than columns, up to an error that is all rounding."""
    rng = np.random.default_rng(seed)
    clean = rng.normal(size=(30, 2)) @ rng.normal(size=(2, 400))
    X, Y = clean + rng.normal(size=(30, 400)), clean + 0.3 * rng.normal(size=(30, 400))
    scores = score_ridges(X, Y, np.ones(30))
    found = find_ridge(fit_ridge_regression(X, Y, None), X, Y, np.ones(30))
    assert scores[found] < scores.min() * (1 + 1e-4)


def test_parallel_columns_and_single_rows():
    X, Y = draw_pairs(40, 3, noise=0.1)
    doubled = fit_ridge_regression(np.hstack([X, X]), Y, None)
    np.testing.assert_allclose(doubled.slope[:, :3], doubled.slope[:, 3:], atol=1e-6)
    np.testing.assert_allclose(
        apply(doubled, np.hstack([X, X])), apply(fit_ridge_regression(X, Y, None), X), atol=1e-2
    )
    single = fit_ridge_regression(X[:1], Y[:1], None)
    np.testing.assert_array_equal(single.slope, 0)
    np.testing.assert_allclose(single.offset, Y[0])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_components", [1, 2, 3, 7])
def test_reduced_rank_is_the_truncated_svd_of_the_predictions(n_components, weighted):
    X, Y = draw_pairs(50, 5)
    weight = np.random.default_rng(1).uniform(0.2, 2, size=50) if weighted else None
    regression = fit_ridge_regression(X, Y, weight)
    to_code, to_rows = reduce_rank(regression, X, weight, n_components)
    assert to_code.slope.shape == (n_components, 5)
    codes = apply(to_code, X)
    np.testing.assert_allclose(np.average(codes, axis=0, weights=weight), 0, atol=1e-12)
    predicted = apply(regression, X)
    centre = np.average(predicted, axis=0, weights=weight)
    root = np.sqrt(np.ones(50) if weight is None else weight)[:, None]
    left, spread, right = np.linalg.svd((predicted - centre) * root, full_matrices=False)
    spread[n_components:] = 0.0
    expected = centre + (left * spread) @ right / root
    np.testing.assert_allclose(apply(to_rows, codes), expected, atol=1e-9)


def test_reduced_rank_is_the_best_linear_map_of_that_rank():
    """No other map of rank one predicts better, where the ridge is negligible."""
    rng = np.random.default_rng(2)
    X, Y = draw_pairs(400, 4, noise=0.01)
    to_code, to_rows = reduce_rank(fit_ridge_regression(X, Y, None), X, None, 1)
    error = np.square(Y - apply(to_rows, apply(to_code, X))).sum()
    for _ in range(20):
        nearby = AffineMap(to_code.slope + 0.1 * rng.normal(size=(1, 4)), to_code.offset)
        code = apply(nearby, X)
        best = np.hstack([code, np.ones_like(code)])
        assert np.square(Y - best @ np.linalg.lstsq(best, Y)[0]).sum() > error


@pytest.mark.parametrize("n_components", [1, 3, 4, 8])
def test_repeated_axes_project_as_the_axes_do(n_components):
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 3)))[0].T
    repeated, indices = repeat_axes(axes, n_components)
    assert indices.tolist() == [i % 3 for i in range(n_components)]
    used = axes[:n_components]
    np.testing.assert_allclose(repeated.T @ repeated, used.T @ used, atol=1e-12)

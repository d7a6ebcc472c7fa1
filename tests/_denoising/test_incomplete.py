"""Completed rows of training, and densities of rows with missing cells."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from skae import DenoisingAutoencoder
from skae._data import Batch
from skae._denoising.incomplete import (
    CellCodes,
    DrawMissing,
    make_gaussian_class,
    score_with_completion,
)
from skae._linear import Completion, LatentClasses, Moments, fill_missing
from skae.modules import WienerFilter
from skae.modules.cells import CellLayout

MOMENTS = Moments(
    100.0,
    np.array([0.5, -1.0, 0.0]),
    np.array([[1.0, 0.7, 0.2], [0.7, 1.5, -0.3], [0.2, -0.3, 0.8]]),
)
NUMBERS = DrawMissing(CellLayout.from_numbers(3), np.zeros(3), np.ones(3), Completion(MOMENTS))


def test_draws_have_the_conditional_mean_and_spread():
    X = np.tile([0.3, np.nan, np.nan], (20_000, 1))
    drawn, observed = NUMBERS(X)
    np.testing.assert_array_equal(drawn[:, 0], 0.3)
    np.testing.assert_array_equal(observed, ~np.isnan(X))
    covariance = MOMENTS.covariance
    slope = covariance[1:, 0] / covariance[0, 0]
    left = covariance[1:, 1:] - np.outer(slope, covariance[0, 1:])
    mean = MOMENTS.mean[1:] + slope * (0.3 - MOMENTS.mean[0])
    np.testing.assert_allclose(drawn[:, 1:].mean(axis=0), mean, atol=0.03)
    np.testing.assert_allclose(np.cov(drawn[:, 1:].T), left, atol=0.03)
    np.testing.assert_array_equal(NUMBERS(X).values, drawn)
    np.testing.assert_allclose(fill_missing(X[:1], MOMENTS)[0, 1:], mean)


def test_complete_rows_stay_as_they_are():
    X = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
    values, observed = NUMBERS(X)
    assert observed is None
    np.testing.assert_array_equal(values, X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_levels_are_drawn_whole(dtype):
    """A boolean that a number predicts, and a category of three levels."""
    rng = np.random.default_rng(0)
    number = rng.normal(size=5000)
    is_set = rng.random(5000) < 0.5 + 0.2 * number.clip(-2, 2)
    level = rng.choice(3, 5000, p=[0.6, 0.3, 0.1])
    raw = np.column_stack([number, is_set, level[:, None] == np.arange(3)])
    mean, scale = raw.mean(axis=0), raw.std(axis=0)
    scale[2:] = np.sqrt(np.square(scale[2:]).sum())
    X = ((raw - mean) / scale).astype(dtype)
    layout = CellLayout(numbers=(0,), booleans=(1,), categories=((2, 5),))
    hidden = X.copy()
    hidden[:, 1:] = np.nan
    completion = Completion.fit(X.astype(np.float64))
    drawn = DrawMissing(layout, mean, scale, completion)(hidden).values
    assert drawn.dtype == dtype
    back = drawn * scale + mean
    np.testing.assert_allclose(back[:, 1:], back[:, 1:].round(), atol=1e-5)
    np.testing.assert_allclose(back[:, 2:].sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(back[:, 2:].mean(axis=0), [0.6, 0.3, 0.1], atol=0.03)
    assert np.corrcoef(back[:, 1], number)[0, 1] > np.corrcoef(is_set, number)[0, 1] - 0.06


# Densities of observed cells ------------------------------------------------------------------


def marginal(X, mean, covariance):
    found = np.zeros(len(X))
    for n, row in enumerate(X):
        own = ~np.isnan(row)
        if own.any():
            found[n] = multivariate_normal(mean[own], covariance[np.ix_(own, own)]).logpdf(row[own])
    return found


def draw_normal(n_rows, share, seed=0, n_columns=4):
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(5).normal(size=(n_columns, n_columns))
    X = rng.normal(size=(n_rows, n_columns)) @ mixing.T + 3.0
    X[rng.random(X.shape) < share] = np.nan
    covariance = mixing @ mixing.T
    return X, np.full(n_columns, 3.0), covariance


def test_completion_is_exact_for_the_classes_themselves():
    X, mean, covariance = draw_normal(50, 0.4)
    classes = LatentClasses(np.ones(1), mean[None], covariance[None], np.empty((1, 0)))
    mask = torch.from_numpy(~np.isnan(X))
    batch = Batch(torch.from_numpy(np.nan_to_num(X)), mask=mask)

    def score(rows):
        return torch.from_numpy(multivariate_normal(mean, covariance).logpdf(rows.numpy()))

    expected = marginal(X, mean, covariance)
    known, own = score_with_completion(CellCodes.from_numbers(4), classes, batch, score)
    np.testing.assert_allclose(known, expected, atol=1e-9)
    np.testing.assert_allclose(own, expected, atol=1e-9)


def test_a_filter_is_a_class():
    filter = WienerFilter(3, 2).double()
    axes = torch.tensor([[0.6, 0.8, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    filter.axes.copy_(axes)
    filter.variances.copy_(torch.tensor([2.0, 0.5]))
    filter.remainder.fill_(0.1)
    filter.mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    rows = torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = CellCodes.from_numbers(3).score(make_gaussian_class(filter), Batch(rows))
    torch.testing.assert_close(found, filter.log_density(rows))


LINEAR = {"hidden_layer_sizes": ()}
QUICK = {"hidden_layer_sizes": (16,), "max_epochs": 5}


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_components": None, **LINEAR},
        {"n_components": 2, **LINEAR},
        {"n_components": None, **QUICK},
        {"n_components": 2, **QUICK},
        {"n_components": None, "stacking": False, **QUICK},
        {"n_components": None, "noise_level": 0.5, **LINEAR},
        {"n_components": None, "noise": "masking", **LINEAR},
    ],
    ids=["linear", "linear code", "network", "code", "alone", "one level", "masking"],
)
def test_normal_rows_have_their_marginal_density(parameters):
    """Within 0.02 nats a cell, with a fifth of the cells missing in training and in scoring."""
    X, mean, covariance = draw_normal(3000, 0.2)
    others = draw_normal(200, 0.2, seed=1)[0]
    ours = DenoisingAutoencoder(random_state=0, **parameters).fit(X)
    error = ours.score_samples(others) - marginal(others, mean, covariance)
    n_cells = (~np.isnan(others)).sum()
    assert abs(error.sum()) / n_cells < 0.02
    assert np.abs(error).sum() / n_cells < 0.05
    assert error[np.isnan(others).all(axis=1)] == pytest.approx(0, abs=1e-9)


def test_a_row_does_not_depend_on_the_others():
    X = draw_normal(400, 0.2)[0]
    ours = DenoisingAutoencoder(None, random_state=0, **QUICK).fit(X)
    whole = ours.score_samples(X[:40])
    alone = np.concatenate([ours.score_samples(row[None]) for row in X[:40]])
    np.testing.assert_allclose(alone, whole, atol=1e-7)


def test_a_network_does_not_learn_from_what_fills_gaps():
    """Filled by means, which tell of the observed cells, these rows would be worth training on."""
    X = draw_normal(1000, 0.4)[0]
    assert DenoisingAutoencoder(None, random_state=0, max_epochs=20).fit(X).n_iter_ == 0

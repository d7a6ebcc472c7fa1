"""The density of the observed cells of rows, against marginals that are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, multivariate_t

from skae._autoencoder.density import (
    CodeModel,
    CodeMoments,
    LaplaceDensity,
    laplace_log_density,
    measure_tangents,
)
from skae._autoencoder.tangent_mixture import (
    TangentMixture,
    Tangents,
    fit_tangent_mixture,
)
from skae._data import Batch, Rows
from skae._linear import Moments
from skae._linear.missing_covariance import fill_missing
from skae._training import TrainedModule
from skae.modules import mlp_autoencoder
from skae.modules.background import measure_background

T = torch.from_numpy


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


def hide(X, share, seed=1):
    """Return which cells are observed: none of the first row, all of the second."""
    observed = np.random.default_rng(seed).random(X.shape) >= share
    observed[0], observed[1] = False, True
    return observed


def score_parts(X, observed, centres, covariances, log_weight):
    """The marginal of a mixture, with a Cauchy background as its last part, row by row."""
    scores = np.zeros(len(X))
    for row, (x, o) in enumerate(zip(X, observed, strict=True)):
        if o.any():
            parts = [
                multivariate_normal(m[o], C[np.ix_(o, o)]).logpdf(x[o])
                for m, C in zip(centres, covariances, strict=True)
            ]
            far = multivariate_t(np.zeros(o.sum()), 100 * np.eye(o.sum()), df=1)
            scores[row] = logsumexp(np.append(parts, far.logpdf(x[o])) + log_weight)
    return scores


@pytest.mark.parametrize("n_components", [2, 5])
def test_one_gaussian_has_the_marginal_of_a_linear_decoder(n_components):
    rng = np.random.default_rng(0)
    V, c = rng.normal(size=(4, n_components)), rng.normal(size=4)
    factor, mean = rng.normal(size=(n_components, n_components)), rng.normal(size=n_components)
    X, code = rng.normal(size=(20, 4)), rng.normal(size=(20, n_components))
    observed = hide(X, 0.5)
    model = CodeModel(T(mean), T(factor), 0.3)
    ours = laplace_log_density(
        lambda z: z @ T(V).T + T(c), T(X), T(code), model, T(observed)
    ).numpy()
    covariance = V @ factor @ factor.T @ V.T + 0.3 * np.eye(4)
    log_weight = np.log([1.0, 1e-300])
    expected = score_parts(X, observed, [V @ mean + c], [covariance], log_weight)
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("full", [False, True])
def test_a_mixture_has_the_marginal_of_a_linear_decoder(full, monkeypatch):
    rng = np.random.default_rng(0)
    noise = rng.uniform(0.2, 1.5, size=(3, 4))
    whitening, spreads = 1 / np.sqrt(noise), [np.diag(part) for part in noise]
    if full:
        roots = rng.normal(size=(3, 4, 4))
        spreads = [root @ root.T + 0.1 * np.eye(4) for root in roots]
        whitening = np.stack([np.linalg.inv(np.linalg.cholesky(part)) for part in spreads])
        # So that rows are scored in parts.
        monkeypatch.setattr("skae._autoencoder.tangent_mixture._BLOCK_CELLS", 7 * 16)
    mean, factor = rng.normal(size=(3, 2)), rng.normal(size=(3, 2, 2))
    offset, log_weight = rng.normal(size=(3, 4)), np.log([0.5, 0.3, 0.1, 0.1])
    mixture = TangentMixture(T(log_weight), T(mean), T(factor), T(offset), T(whitening))
    V, c = rng.normal(size=(4, 2)), rng.normal(size=4)
    X, code = rng.normal(size=(30, 4)), rng.normal(size=(30, 2))
    observed = hide(X, 0.5)
    ours = mixture.log_density(
        T(X),
        T(code),
        T(X - code @ V.T - c),
        T(np.tile(V, (30, 1, 1))),
        lambda z: z @ T(V).T + T(c),
        T(observed),
    )
    centres = mean @ V.T + c + offset
    covariances = [V @ f @ f.T @ V.T + N for f, N in zip(factor, spreads, strict=True)]
    expected = score_parts(X, observed, centres, covariances, log_weight)
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12)


def test_missing_cells_may_hold_anything():
    rng = np.random.default_rng(0)
    X, observed = rng.normal(size=(10, 3)), hide(np.empty((10, 3)), 0.5)
    ours = measure_background(T(X), T(observed))
    other = measure_background(T(np.where(observed, X, 7.0)), T(observed))
    np.testing.assert_array_equal(ours, other)
    complete = measure_background(T(X), torch.ones(10, 3, dtype=torch.bool))
    np.testing.assert_allclose(complete, measure_background(T(X)))


# From training rows with missing cells -------------------------------------------------------


def draw_linear(n_rows, seed, share=0.3, n_components=2):
    """Rows of probabilistic PCA with missing cells, a linear autoencoder of them, the truth."""
    rng = np.random.default_rng(7)
    axes = np.linalg.qr(rng.normal(size=(5, n_components)))[0]
    covariance = (axes * np.array([4.0, 1.5])) @ axes.T + 0.2 * np.eye(5)
    X = np.random.default_rng(seed).multivariate_normal(np.zeros(5), covariance, size=n_rows)
    observed = hide(X, share, seed + 1)
    gaps = np.where(observed, X, np.nan)
    filled = fill_missing(gaps, Moments(1.0, np.zeros(5), covariance))
    module = mlp_autoencoder(5, n_components, (), generator=torch.Generator().manual_seed(0))
    for layer, weight in zip(module.linear_layers, (axes.T, axes), strict=True):
        layer.weight.copy_(T(weight))
        layer.bias.zero_()
    rows = Rows(Batch(T(filled.astype(np.float32)), None, T(observed)))
    return rows, TrainedModule(module), covariance


@pytest.mark.parametrize("is_mixture", [False, True])
def test_a_linear_autoencoder_of_normal_rows_has_their_marginal(is_mixture):
    rows, trained, covariance = draw_linear(3000, 0)
    density = LaplaceDensity.fit(rows, trained, 0.0, None, None, is_mixture)
    test, _, _ = draw_linear(500, 10)
    batch = test.batch._replace(input=test.batch.input.double())
    ours = density.log_density(trained.in_precision(torch.float64), batch).numpy()
    expected = score_parts(
        test.table, batch.mask.numpy(), [np.zeros(5)], [covariance], np.log([1.0, 1e-300])
    )
    n_observed = batch.mask.sum(1).numpy()
    assert np.abs(ours - expected).sum() < 0.02 * n_observed.sum()
    assert ours[0] == pytest.approx(0, abs=1e-9)


def test_noise_and_codes_are_those_of_complete_rows():
    """Of cells filled with their means, errors would be too small, and codes would vary less."""
    rows, trained, _ = draw_linear(3000, 0, share=0.5)
    moments = CodeMoments.from_rows(rows, trained, 0.0)
    assert moments.make_model(None).variance == pytest.approx(0.2, rel=0.06)
    np.testing.assert_allclose(np.diag(moments.codes.covariance), [4.2, 1.7], rtol=0.1)
    assert moments.counted_error < 0.6 * moments.error


def test_only_the_observed_cells_of_a_column_tell_its_noise():
    """A column that no linear model explains, in the half of its rows that are there."""
    rows, trained, _ = draw_linear(2000, 0, share=0.0)
    X, observed = rows.table.copy(), np.ones((2000, 5), dtype=bool)
    observed[::2, 4] = False
    X[::2, 4] = 100.0  # never read
    rows = Rows(Batch(T(X), None, T(observed)))
    whole = draw_linear(2000, 0, share=0.0)[0].take(np.arange(1, 2000))
    whole = Rows(whole.batch._replace(mask=None))
    found = measure_tangents(rows, trained, 0.0)
    mixture = fit_tangent_mixture(found)
    expected = fit_tangent_mixture(measure_tangents(whole, trained, 0.0))
    assert len(mixture.mean) == len(expected.mean) == 1
    np.testing.assert_allclose(mixture.whitening, expected.whitening, rtol=0.15, atol=0.15)


def test_errors_of_drawn_cells_do_not_widen_the_noise():
    rng = np.random.default_rng(0)
    errors, observed = rng.normal(size=(400, 3)), np.ones((400, 3), dtype=bool)
    observed[::2, 2] = False
    errors[~observed] *= 10  # draws that the decoder is far from
    indices = np.arange(400)
    given = (rng.normal(size=(400, 1)), errors, np.ones(400), np.zeros((400, 3, 1)), indices)
    mixture = fit_tangent_mixture(Tangents(*given, errors, observed))
    noise = mixture.whitening.square().reciprocal()[0]
    assert noise.shape == (3,)
    np.testing.assert_allclose(noise / 1.5, np.ones(3), rtol=0.2)  # for a degree of freedom


def test_the_error_that_training_counts_is_that_of_observed_cells():
    rows, trained, _ = draw_linear(300, 0)
    batch = rows.batch._replace(input=rows.batch.input + 3 * ~rows.batch.mask)  # badly filled
    squares = (trained.module(batch.input) - batch.input).square()
    found = CodeMoments.from_rows(Rows(batch), trained, 0.0).counted_error
    assert found == pytest.approx((squares * batch.mask).sum(dim=1).mean().item(), rel=1e-5)
    assert found < 0.7 * squares.sum(dim=1).mean()


def test_held_out_rows_are_compared_by_the_error_that_training_counts():
    rows, trained, _ = draw_linear(300, 0)
    moments = CodeMoments.from_rows(rows, trained, 0.0)
    assert moments.compare(moments.counted_error / 5) == 1
    assert moments.compare(2 * moments.counted_error / 5) == pytest.approx(2)


def test_merged_moments_are_those_of_all_rows():
    rows, trained, _ = draw_linear(1000, 0)
    parts = [
        CodeMoments.from_rows(rows.take(part), trained, 0.0)
        for part in np.split(np.arange(1000), [700])
    ]
    whole, merged = CodeMoments.from_rows(rows, trained, 0.0), parts[0].merge(parts[1])
    assert merged.counted_error == pytest.approx(whole.counted_error, rel=1e-5)
    assert merged.error == pytest.approx(whole.error, rel=0.1)
    complete = replace(parts[1], observed_error=None)
    mixed = parts[0].merge(complete)
    assert mixed.counted_error == pytest.approx(0.7 * parts[0].counted_error + 0.3 * complete.error)


def test_a_stored_density_scores_alike():
    rows, trained, _ = draw_linear(200, 0)
    density = LaplaceDensity.fit(rows, trained, 0.0, None, None, True)
    loaded = LaplaceDensity.from_state(density.get_state())
    module = trained.in_precision(torch.float64)
    batch = rows.batch._replace(input=rows.batch.input.double())
    np.testing.assert_array_equal(
        loaded.log_density(module, batch), density.log_density(module, batch)
    )
    assert loaded.moments.observed_error == density.moments.observed_error

"""The mixture that scores rows, against densities that are known."""

import pickle

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, multivariate_t
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from skae import AutoencoderTransformer
from skae._autoencoder.density import CodeModel, LaplaceDensity, laplace_log_density
from skae._autoencoder.tangent_mixture import (
    TangentMixture,
    Tangents,
    fit_tangent_mixture,
)
from skae._data import Batch, Rows
from skae.modules.background import measure_background

T = torch.from_numpy
LINEAR = AutoencoderTransformer(2, hidden_layer_sizes=(), prior="mixture", random_state=0)


def make_mixture(full, n_mixed=3, n_components=2, n_features=4, seed=0):
    rng = np.random.default_rng(seed)
    noise = rng.uniform(0.2, 1.5, size=(n_mixed, n_features))
    whitening = 1 / np.sqrt(noise)
    covariance = [np.diag(part) for part in noise]
    if full:
        roots = rng.normal(size=(n_mixed, n_features, n_features))
        covariance = [root @ root.T + 0.1 * np.eye(n_features) for root in roots]
        whitening = np.stack([np.linalg.inv(np.linalg.cholesky(part)) for part in covariance])
    weight = np.array([0.5, 0.3, 0.2, 1e-3])[[*range(n_mixed), 3]]
    mixture = TangentMixture(
        T(np.log(weight)),
        T(rng.normal(size=(n_mixed, n_components))),
        T(rng.normal(size=(n_mixed, n_components, n_components))),
        T(rng.normal(size=(n_mixed, n_features))),
        T(whitening),
    )
    return mixture, covariance


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("n_components", [2, 5])
def test_exact_for_a_linear_decoder_at_any_code(full, n_components):
    mixture, noise = make_mixture(full, n_components=n_components)
    rng = np.random.default_rng(1)
    V, c = rng.normal(size=(4, n_components)), rng.normal(size=4)
    X, code = rng.normal(size=(20, 4)), rng.normal(size=(20, n_components))
    error = X - code @ V.T - c

    def decode(z):
        return z @ T(V).T + T(c)

    ours = mixture.log_density(T(X), T(code), T(error), T(np.tile(V, (20, 1, 1))), decode)
    parts = [multivariate_t(np.zeros(4), 100 * np.eye(4), df=1).logpdf(X)]
    for k in (2, 1, 0):
        mean, root = mixture.mean[k].numpy(), V @ mixture.factor[k].numpy()
        centre = V @ mean + c + mixture.offset[k].numpy()
        parts.insert(0, multivariate_normal(centre, root @ root.T + noise[k]).logpdf(X))
    expected = logsumexp(np.stack(parts, axis=1) + mixture.log_weight.numpy(), axis=1)
    np.testing.assert_allclose(ours, expected, rtol=1e-10)


def test_one_gaussian_with_one_noise_is_laplaces():
    rng = np.random.default_rng(0)
    mixture, _ = make_mixture(False, n_mixed=1)
    whitening = torch.full((1, 4), 0.3**-0.5, dtype=torch.float64)
    plain = TangentMixture(
        T(np.array([0.0, -np.inf])), mixture.mean, mixture.factor, 0 * mixture.offset, whitening
    )
    weight = T(rng.normal(size=(2, 4)))

    def decode(z):
        return torch.tanh(z @ weight)

    X, code = T(rng.normal(size=(10, 4))), T(rng.normal(size=(10, 2)))
    jacobian = (1 - decode(code).square())[:, :, None] * weight.T
    ours = plain.log_density(X, code, X - decode(code), jacobian, None)
    model = CodeModel(mixture.mean[0], mixture.factor[0], 0.3)
    np.testing.assert_allclose(ours, laplace_log_density(decode, X, code, model), rtol=1e-10)


def test_the_background_is_a_wide_cauchy_distribution():
    X = np.random.default_rng(0).normal(size=(9, 3)) * [1, 100, 1000]
    expected = multivariate_t(np.zeros(3), 100 * np.eye(3), df=1).logpdf(X)
    np.testing.assert_allclose(measure_background(T(X)), expected)


def make_tangents(X, n_components, weight=None):
    """Of PCA."""
    pca = PCA(n_components).fit(X)
    codes = pca.transform(X)
    indices = np.arange(len(X))
    return Tangents(
        codes,
        X - pca.inverse_transform(codes),
        np.ones(len(X)) if weight is None else weight,
        np.tile(pca.components_.T, (len(X), 1, 1)),
        indices,
        X,
    )


def score(mixture, tangents):
    return mixture.log_density(*tangents.make_tensors(), None).numpy()


def test_a_linear_autoencoder_of_normal_rows_has_their_full_covariance():
    """Beside the weight of a row on the covariance's diagonal, and of one on the background."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 5)) @ (np.eye(5) + 0.2 * rng.normal(size=(5, 5)))
    tangents = make_tangents(X - X.mean(axis=0), 2)
    mixture = fit_tangent_mixture(tangents)
    assert mixture.whitening.shape == (1, 5, 5)
    expected = GaussianMixture(1, random_state=0).fit(tangents.rows).score_samples(tangents.rows)
    np.testing.assert_allclose(score(mixture, tangents), expected, atol=0.03)


def draw_mixture_on_a_plane(n_rows, seed=0):
    """Rows of three clusters on a plane, with noise of each column, and their log-density."""
    rng = np.random.default_rng(7)
    V, noise = rng.normal(size=(6, 2)), rng.uniform(0.05, 0.2, size=6)
    centres = np.array([[3.0, 0.0], [-3.0, 1.0], [0.0, -3.0]])
    roots = 0.5 * rng.normal(size=(3, 2, 2))
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=n_rows)
    codes = centres[labels] + np.einsum("nkl,nl->nk", roots[labels], rng.normal(size=(n_rows, 2)))
    X = codes @ V.T + np.sqrt(noise) * rng.normal(size=(n_rows, 6))
    parts = [
        multivariate_normal(V @ m, V @ r @ r.T @ V.T + np.diag(noise)).logpdf(X)
        for m, r in zip(centres, roots, strict=True)
    ]
    return X, logsumexp(parts, axis=0) - np.log(3)


def test_a_mixture_on_a_plane_is_found():
    X, _ = draw_mixture_on_a_plane(1500)
    test, truth = draw_mixture_on_a_plane(1000, seed=1)
    ours = LINEAR.fit(X).score(test)
    assert truth.mean() - 0.1 < ours < truth.mean() + 0.02
    assert PCA(2).fit(X).score(test) < truth.mean() - 0.4


def test_a_linear_autoencoder_is_probabilistic_pca_unless_a_mixture_is_asked_for():
    X, _ = draw_mixture_on_a_plane(500)
    auto = AutoencoderTransformer(2, hidden_layer_sizes=(), standardize=False).fit(X)
    expected = PCA(2).fit(X).score_samples(X)
    np.testing.assert_allclose(auto.score_samples(X), expected, atol=0.01 * 6)
    assert LINEAR.fit(X).score(X) > expected.mean() + 0.3


def test_a_nonlinear_autoencoder_has_a_mixture_unless_one_gaussian_is_asked_for():
    X, _ = draw_mixture_on_a_plane(300)
    small = dict(hidden_layer_sizes=(4,), max_epochs=1, random_state=0)
    auto = AutoencoderTransformer(2, **small).fit(X)
    one = AutoencoderTransformer(2, prior="gaussian", **small).fit(X)
    assert auto.score(X) > one.score(X) + 0.3
    np.testing.assert_array_equal(auto.transform(X), one.transform(X))


def test_a_stream_has_one_gaussian():
    X, _ = draw_mixture_on_a_plane(600)
    ours = AutoencoderTransformer(2, hidden_layer_sizes=(4,), random_state=0)
    one = AutoencoderTransformer(2, hidden_layer_sizes=(4,), prior="gaussian", random_state=0)
    for block in np.split(X, 2):
        ours.partial_fit(block)
        one.partial_fit(block)
    np.testing.assert_array_equal(ours.score_samples(X), one.score_samples(X))


def test_a_row_alone_scores_as_in_a_batch():
    X, _ = draw_mixture_on_a_plane(300)
    ours = AutoencoderTransformer(2, hidden_layer_sizes=(4,), max_epochs=2, random_state=0).fit(X)
    alone = [ours.score_samples(row[None])[0] for row in X[:20]]
    # Equal with MKL; other libraries may round products of few rows otherwise.
    np.testing.assert_allclose(ours.score_samples(X)[:20], alone, rtol=1e-12)


def test_a_change_of_units_moves_scores_by_its_logarithm():
    X, _ = draw_mixture_on_a_plane(300)
    scale, shift = np.array([1.0, 2.0, 4.0, 0.5, 8.0, 0.25]), 3.0
    ours = LINEAR.fit(X).score_samples(X)
    moved = LINEAR.fit(X * scale + shift).score_samples(X * scale + shift)
    np.testing.assert_allclose(moved, ours - np.log(scale).sum(), atol=1e-3)


def test_weights_count_as_copies():
    X, _ = draw_mixture_on_a_plane(200)
    weight = np.random.default_rng(1).integers(1, 4, size=200)
    ours = LINEAR.fit(X, sample_weight=weight).score_samples(X)
    np.testing.assert_array_equal(ours, LINEAR.fit(X.repeat(weight, axis=0)).score_samples(X))


@pytest.mark.parametrize("full", [False, True])
def test_a_mixture_is_stored(full):
    mixture, _ = make_mixture(full)
    state = pickle.loads(pickle.dumps(mixture.get_state()))
    for name, value in TangentMixture.from_state(state).get_state().items():
        np.testing.assert_array_equal(value, mixture.get_state()[name])


def test_a_stored_estimator_scores_alike():
    X, _ = draw_mixture_on_a_plane(200)
    ours = LINEAR.fit(X)
    loaded = pickle.loads(pickle.dumps(ours))
    np.testing.assert_array_equal(loaded.score_samples(X), ours.score_samples(X))


def test_one_row_unlike_all_others_does_not_outweigh_them():
    X, _ = draw_mixture_on_a_plane(300)
    ours = LINEAR.fit(X)
    scores = ours.score_samples(np.vstack([X, 1e6 * np.ones((1, 6))]))
    assert scores[-1] < scores[:-1].min()
    assert scores[-1] > -300


@pytest.mark.parametrize("n_components", [1, 3, 5])
def test_degenerate_tables_have_finite_scores(n_components):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(12, 2)), np.ones(12)])
    X[6:] = X[:6]
    ours = AutoencoderTransformer(
        n_components, hidden_layer_sizes=(), prior="mixture", random_state=0
    ).fit(X)
    assert np.isfinite(ours.score_samples(X)).all()


def test_wide_tables_have_a_noise_of_each_column():
    X = np.random.default_rng(0).normal(size=(200, 70))
    ours = LINEAR.fit(X)
    assert ours._state.density.mixture.whitening.ndim == 2
    assert np.isfinite(ours.score_samples(X)).all()


def test_noise_is_as_wide_as_held_out_rows_say():
    mixture, _ = make_mixture(True)
    np.testing.assert_allclose(mixture.widen(4.0).whitening, mixture.whitening / 2)


def test_trimmed_rows_have_no_part_in_it():
    X, _ = draw_mixture_on_a_plane(400)
    spoilt = np.vstack([X, 30 * np.random.default_rng(0).normal(size=(20, 6))])
    ours = AutoencoderTransformer(
        2, hidden_layer_sizes=(), prior="mixture", trim_fraction=0.06, standardize=False
    ).fit(spoilt)
    alone = AutoencoderTransformer(
        2, hidden_layer_sizes=(), prior="mixture", standardize=False
    ).fit(X)
    assert ours.score(X) > alone.score(X) - 0.3


def test_a_row_on_a_tangent_that_the_decoder_leaves_is_unlikely():
    """A parabola's tangent at the code of a row below it passes through the row."""

    def decode(z):
        return torch.cat([z, z.square()], dim=1)

    one = torch.ones(1, 1, dtype=torch.float64)
    mixture = TangentMixture(
        T(np.array([0.0, -np.inf])),
        0 * one,
        one[None],
        torch.zeros(1, 2).double(),
        T(np.full((1, 2), 20.0)),
    )
    row, code = T(np.array([[0.0, -1.0]])), one  # the tangent at 1 is -1 at 0
    jacobian = T(np.array([[[1.0], [2.0]]]))
    given = (row, code, row - decode(code), jacobian)
    on_tangent = mixture.log_density(*given, None)
    grid = np.linspace(-3, 3, 6001)
    squares = np.square(grid) + np.square(-1 - grid**2)
    truth = np.log(np.exp(-0.5 * 400 * (squares - 1) - 0.5 * grid**2).sum() * 1e-3) - 200
    truth += np.log(400 / (2 * np.pi) ** 1.5)
    ours = mixture.log_density(*given, decode)
    assert on_tangent > truth + 150
    np.testing.assert_allclose(ours, truth, atol=3)


def test_the_mixture_is_widened_by_the_error_of_held_out_rows():
    X, _ = draw_mixture_on_a_plane(200)
    trained = LINEAR.fit(X)._state.trained
    rows = Rows(Batch(T(((X - LINEAR.mean_) / LINEAR.scale_).astype(np.float32))))
    plain = LaplaceDensity.fit(rows, trained, 0.0, None, None, is_mixture=True)
    loss = 4 * plain.moments.error / 6  # a mean over columns
    wide = LaplaceDensity.fit(rows, trained, 0.0, loss, None, is_mixture=True)
    np.testing.assert_allclose(wide.mixture.whitening, plain.mixture.whitening / 2)


def test_copies_count_as_rows():
    """The background counts as one row of all."""
    X = np.random.default_rng(0).normal(size=(60, 3))
    ours = AutoencoderTransformer(1, hidden_layer_sizes=(4,), max_epochs=1, random_state=0)
    weights = [
        clone(ours).fit(table)._fitted.density.mixture.log_weight[-1].exp()
        for table in (X, np.tile(X, (4, 1)))
    ]
    np.testing.assert_allclose(weights, [1 / 61, 1 / 241], rtol=1e-5)

"""The PCA solution: weighted, trimmed, wide, completed."""

import numpy as np
import pytest
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA

from skae._data import row_blocks
from skae._linear import pca
from skae._linear.pca import decompose, find_principal_axes


def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(100, 5), (10, 30), (20, 1500), (1200, 1100)])
def test_is_scikit_learns_pca(shape):
    hidden = min(4, *shape)
    X = rng().normal(size=(shape[0], hidden)) * np.arange(hidden, 0, -1)
    X = X @ rng().normal(size=(hidden, shape[1])) + 0.01 * rng().normal(size=shape) + 3
    axes = find_principal_axes(X, None, 3, 0.0, rng())
    pca = PCA(3, random_state=0).fit(X)
    np.testing.assert_allclose(axes.mean, pca.mean_, atol=1e-8)
    np.testing.assert_allclose(axes.components, pca.components_, atol=1e-5)


@pytest.mark.parametrize("columns", [6, 1500])
def test_weights_repeat_rows(columns):
    X = rng().normal(size=(40, columns))
    weight = rng().integers(1, 4, size=40)
    ours = find_principal_axes(X, weight.astype(float), 2, 0.0, rng())
    repeated = find_principal_axes(X.repeat(weight, axis=0), None, 2, 0.0, rng())
    np.testing.assert_allclose(ours.mean, repeated.mean, atol=1e-12)
    np.testing.assert_allclose(ours.components, repeated.components, atol=1e-7)


class Rows:
    """A table that isn't an array, as those in stores."""

    def __init__(self, X):
        self.X, self.shape = X, X.shape
        self.n_passes = 0

    def __len__(self):
        return len(self.X)

    def __getitem__(self, rows):
        self.n_passes += (rows.stop - rows.start) / len(self.X)
        return self.X[rows]

    def take(self, indices):
        return self.X[indices]


@pytest.mark.parametrize("weighted", [False, True])
def test_wide_tables_in_stores_take_two_passes(weighted):
    hidden = rng().normal(size=(1500, 6)) * np.arange(6, 0, -1)
    X = hidden @ rng().normal(size=(6, 1100)) + 0.1 * rng().normal(size=(1500, 1100))
    X -= X.mean(axis=0)
    weight = rng().uniform(0.5, 1.5, size=1500) if weighted else None
    rows = Rows(X)
    found = decompose(rows, weight, 3, rng())
    assert rows.n_passes == pytest.approx(2)
    expected = decompose(X, weight, 3, rng())
    for name in ("mean", "axes", "variances", "total"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def test_blocks_add_up(monkeypatch):
    X = rng().normal(size=(100, 5))
    whole = find_principal_axes(X, None, 3, 0.0, rng())
    monkeypatch.setattr(pca, "row_blocks", lambda X: row_blocks(X, 7))
    blocks = find_principal_axes(X, None, 3, 0.0, rng())
    np.testing.assert_allclose(whole.components, blocks.components, atol=1e-10)


@pytest.mark.parametrize(("n_components", "shape"), [(4, (3, 6)), (6, (50, 6)), (9, (50, 6))])
def test_completion_is_a_projection_onto_all_there_is(n_components, shape):
    X = rng().normal(size=shape)
    axes = find_principal_axes(X, None, n_components, 0.0, rng())
    C = axes.components
    assert C.shape == (n_components, shape[1])
    np.testing.assert_allclose((C.T @ C) @ (C.T @ C), C.T @ C, atol=1e-12)
    centred = X - axes.mean
    np.testing.assert_allclose(centred @ C.T @ C, centred, atol=1e-12)
    if n_components <= shape[1]:
        np.testing.assert_allclose(C @ C.T, np.eye(n_components), atol=1e-12)


def test_one_row_and_no_columns_of_variance():
    axes = find_principal_axes(np.ones((1, 4)), None, 2, 0.0, rng())
    np.testing.assert_allclose(axes.mean, 1)
    np.testing.assert_allclose(axes.components @ axes.components.T, np.eye(2), atol=1e-12)


def test_trimming_finds_the_subspace_of_the_many():
    clean = rng().normal(size=(200, 2)) @ rng().normal(size=(2, 8))
    outliers = 20 * np.random.default_rng(1).normal(size=(15, 8))
    X = np.vstack([clean, outliers])
    truth = PCA(2).fit(clean).components_.T
    robust = find_principal_axes(X, None, 2, 0.1, rng()).components.T
    trusting = find_principal_axes(X, None, 2, 0.0, rng()).components.T
    assert np.rad2deg(subspace_angles(robust, truth)).max() < 0.1
    assert np.rad2deg(subspace_angles(trusting, truth)).max() > 10

"""The PCA solution: weighted, trimmed, wide, completed."""

import numpy as np
import pytest
from scipy import linalg
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA

from skae._data import row_blocks
from skae._linear import pca
from skae._linear.pca import count_components, decompose, find_principal_axes


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


@pytest.mark.parametrize("shape", [(300, 1200), (1100, 1300), (1300, 1100)])
def test_leading_axes_of_wide_tables_are_those_of_all_rows(shape):
    """Also where their variances are a millionth of the first."""
    X = rng().normal(size=(shape[0], 8)) * np.geomspace(1, 1e-3, 8)
    X = X @ np.linalg.qr(rng().normal(size=(shape[1], 8)))[0].T
    weight = rng().uniform(0.5, 2, size=shape[0])
    found = decompose(X + 1e-6 * rng().normal(size=shape), weight, 8, rng())
    centred = X - np.average(X, axis=0, weights=weight)
    _, spread, axes = linalg.svd(
        centred * np.sqrt(weight / weight.sum())[:, None], full_matrices=False
    )
    np.testing.assert_allclose(found.variances, np.square(spread[:8]), rtol=1e-2)
    np.testing.assert_allclose(found.axes @ found.axes.T, np.eye(8), atol=1e-12)
    assert np.abs((found.axes * axes[:8]).sum(axis=1)).min() > 1 - 1e-3


def test_axes_without_variance_are_orthonormal():
    X = np.zeros((40, 1100))
    X[:, :3] = rng().normal(size=(40, 3))
    found = decompose(X, None, 39, rng())
    np.testing.assert_allclose(found.axes @ found.axes.T, np.eye(39), atol=1e-12)
    np.testing.assert_allclose(found.variances[3:], 0, atol=1e-12)


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
def test_completed_axes_project_onto_all_that_the_rows_span(n_components, shape):
    X = rng().normal(size=shape)
    axes = find_principal_axes(X, None, n_components, 0.0, rng())
    C = axes.components
    assert C.shape == (n_components, shape[1])
    np.testing.assert_allclose((C.T @ C) @ (C.T @ C), C.T @ C, atol=1e-12)
    centred = X - axes.mean
    np.testing.assert_allclose(centred @ C.T @ C, centred, atol=1e-12)
    if n_components <= shape[1]:
        np.testing.assert_allclose(C @ C.T, np.eye(n_components), atol=1e-12)


def test_one_row():
    axes = find_principal_axes(np.ones((1, 4)), None, 2, 0.0, rng())
    np.testing.assert_allclose(axes.mean, 1)
    np.testing.assert_allclose(axes.components @ axes.components.T, np.eye(2), atol=1e-12)


def test_trimming_finds_the_subspace_of_the_majority():
    clean = rng().normal(size=(200, 2)) @ rng().normal(size=(2, 8))
    outliers = 20 * np.random.default_rng(1).normal(size=(15, 8))
    X = np.vstack([clean, outliers])
    truth = PCA(2).fit(clean).components_.T
    robust = find_principal_axes(X, None, 2, 0.1, rng()).components.T
    trusting = find_principal_axes(X, None, 2, 0.0, rng()).components.T
    assert np.rad2deg(subspace_angles(robust, truth)).max() < 0.1
    assert np.rad2deg(subspace_angles(trusting, truth)).max() > 10


def test_no_more_axes_than_the_rows_have_are_taken_from_them():
    """Rounding would fill the last place: three rows span a plane."""
    X = rng().normal(size=(3, 6))
    found = [
        find_principal_axes(X, None, 4, 0.0, np.random.default_rng(seed)).components
        for seed in (0, 1)
    ]
    np.testing.assert_allclose(found[0][:2], found[1][:2])
    assert not np.allclose(np.abs(found[0][2]), np.abs(found[1][2]))


@pytest.fixture
def spoiled():
    """Rows near a plane, a weight for each, and outliers that carry a tenth of the weight."""
    clean = rng().normal(size=(900, 2)) @ rng().normal(size=(2, 6)) + 0.01 * rng().normal(
        size=(900, 6)
    )
    outliers = 20 * np.random.default_rng(1).normal(size=(50, 6))
    X = np.vstack([clean, outliers])
    X = X[np.random.default_rng(2).permutation(950)]
    is_outlier = np.square(X).sum(axis=1) > np.square(clean).sum(axis=1).max()
    return X, np.where(is_outlier, 100 / is_outlier.sum(), 1.0), PCA(2).fit(clean)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("wrap", [np.asarray, Rows])
def test_trimming_takes_a_share_of_the_weight(wrap, weighted, spoiled):
    """Heavy outliers are a tenth of the weight, though a twentieth of the rows."""
    X, weight, expected = spoiled
    share = 0.12 if weighted else 0.06
    found = find_principal_axes(wrap(X), weight if weighted else None, 2, share, rng())
    angles = subspace_angles(found.components.T, expected.components_.T)
    assert np.rad2deg(angles).max() < 0.1


def test_a_stored_table_keeps_the_weights_of_the_rows_that_are_left(spoiled):
    X, _, _ = spoiled
    weight = rng().uniform(0.1, 10, size=len(X))
    stored = find_principal_axes(Rows(X), weight, 2, 0.2, rng())
    loaded = find_principal_axes(X, weight, 2, 0.2, rng())
    np.testing.assert_allclose(stored.mean, loaded.mean, atol=1e-2)
    np.testing.assert_allclose(stored.components, loaded.components, atol=1e-3)


def test_trimming_goes_on_until_the_same_rows_are_left_out():
    """Many outliers pull the first axes so far that one step does not leave them all out."""
    clean = rng().normal(size=(200, 2)) * [3, 1]
    X = np.hstack([clean, 0.05 * rng().normal(size=(200, 3))])
    X[:60, 3] += np.random.default_rng(3).uniform(1, 4, size=60)
    found = find_principal_axes(X, None, 2, 0.35, rng())
    centred = X - found.mean
    errors = np.square(centred - centred @ found.components.T @ found.components).sum(axis=1)
    kept = np.argsort(errors)[:130]
    again = PCA(2).fit(X[kept])
    np.testing.assert_allclose(found.mean, again.mean_, atol=1e-9)
    np.testing.assert_allclose(np.abs(found.components @ again.components_.T), np.eye(2), atol=1e-6)


# The components of a share of the variance --------------------------------------------------


@pytest.mark.parametrize("share", [1e-9, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("shape", [(100, 20), (10, 30), (60, 1100)])
def test_a_share_takes_as_many_components_as_scikit_learns_pca(shape, share):
    X = rng().normal(size=shape) * np.geomspace(10, 1, shape[1])
    found = count_components(X, None, share, 0.0, rng())
    assert found == PCA(share, svd_solver="full").fit(X).n_components_


def test_a_share_takes_weights_for_copies():
    X = rng().normal(size=(40, 9)) * np.geomspace(3, 1, 9)
    weight = np.where(np.arange(40) < 4, 30, 1)
    found = count_components(X, weight.astype(float), 0.8, 0.0, rng())
    assert found == count_components(X.repeat(weight, axis=0), None, 0.8, 0.0, rng())
    assert found < count_components(X, None, 0.8, 0.0, rng())


@pytest.mark.parametrize("as_table", [np.asarray, Rows], ids=["array", "stored"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_share_of_a_wide_table_takes_as_many_as_there_are_axes(as_table, share):
    """Beyond 1,000 columns and rows, the leading axes are searched in steps."""
    hidden = rng().normal(size=(1100, 120))
    X = hidden @ linalg.qr(rng().normal(size=(1050, 120)), mode="economic")[0].T
    X -= X.mean(axis=0)
    variances = np.linalg.svd(X, compute_uv=False) ** 2
    expected = int((np.cumsum(variances) > share * variances.sum()).argmax()) + 1
    assert expected > 40
    assert count_components(as_table(X), None, share, 0.0, rng()) == expected


@pytest.mark.parametrize("as_table", [np.asarray, Rows], ids=["array", "stored"])
def test_a_share_does_not_count_rows_that_are_left_out(as_table):
    X = rng().normal(size=(200, 2)) @ rng().normal(size=(2, 6))
    X[:10] += 50 * rng().normal(size=(10, 6))
    assert count_components(as_table(X), None, 0.99, 0.0, rng()) == 6
    assert count_components(as_table(X), None, 0.99, 0.1, rng()) == 2


@pytest.mark.parametrize("n_rows", [1, 5])
def test_a_share_of_nothing_takes_one_component(n_rows):
    assert count_components(np.ones((n_rows, 3)), None, 0.9, 0.0, rng()) == 1

"""What codes decode to."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer
from skae.inspection import ManifoldDisplay


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(60, 6))


@pytest.fixture(scope="module")
def pca(rows):
    return PCA(2).fit(rows)


def test_the_plane_is_decoded_at_quantiles(rows, pca):
    display = ManifoldDisplay.from_estimator(pca, rows, n_steps=3, image_shape=(2, 3))
    codes = pca.transform(rows)
    across, down = np.quantile(codes, [0.02, 0.5, 0.98], axis=0).T
    np.testing.assert_allclose(display.across, across)
    np.testing.assert_allclose(display.down, down[::-1])
    picture = np.asarray(display.image_.get_array())
    assert picture.shape == (6, 9)
    top_right = pca.inverse_transform([[across[2], down[2]]]).reshape(2, 3)
    np.testing.assert_allclose(picture[:2, 6:], top_right)
    bottom_left = pca.inverse_transform([[across[0], down[0]]]).reshape(2, 3)
    np.testing.assert_allclose(picture[4:, :3], bottom_left)
    assert display.ax_.get_xlabel() == "component 1"
    assert display.ax_.get_ylabel() == "component 2"


def test_greys_are_those_of_the_rows(rows, pca):
    display = ManifoldDisplay.from_estimator(pca, rows, image_shape=(2, 3))
    assert display.image_.get_clim() == (rows.min(), rows.max())


def test_ticks_are_at_the_middle_of_cells(rows, pca):
    display = ManifoldDisplay.from_estimator(pca, rows, n_steps=10, image_shape=(2, 3))
    np.testing.assert_array_equal(display.ax_.get_xticks(), [0.5, 2.5, 4.5, 6.5, 8.5])
    shown = [float(label.get_text()) for label in display.ax_.get_xticklabels()]
    np.testing.assert_allclose(shown, display.across[::2], atol=0.06)


def test_paths_begin_and_end_at_the_reconstructions(rows, pca):
    display = ManifoldDisplay.from_rows(pca, rows[:2], rows[2:4], n_steps=5, image_shape=(2, 3))
    decoded = np.asarray(display.decoded)
    assert decoded.shape == (2, 5, 6)
    found = pca.inverse_transform(pca.transform(rows[:4]))
    np.testing.assert_allclose(decoded[:, 0], found[:2])
    np.testing.assert_allclose(decoded[:, -1], found[2:])
    np.testing.assert_allclose(decoded[:, 2], (found[:2] + found[2:]) / 2)
    assert display.ax_.get_xlabel() == "share of the way"
    assert len(display.ax_.get_yticks()) == 0


def test_curves_are_of_scaled_columns(rows):
    X = rows * [1, 10, 100, 1, 1, 1] + 50
    model = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(X)
    display = ManifoldDisplay.from_estimator(model, X, n_steps=4)
    assert display.image_ is None
    curves = display.lines_.get_paths()
    assert len(curves) == 16
    assert {len(curve.vertices) for curve in curves} == {6}
    assert np.abs(display.decoded).max() < 5
    for index, curve in enumerate(curves):
        line, column = divmod(index, 4)
        low, high = curve.vertices.min(axis=0), curve.vertices.max(axis=0)
        assert column < low[0] < high[0] < column + 1
        assert line < low[1] < high[1] < line + 1


def test_colours():
    decoded = np.random.default_rng(0).uniform(0, 255, size=(1, 2, 12))
    display = ManifoldDisplay(decoded=decoded, image_shape=(2, 2, 3)).plot()
    picture = np.asarray(display.image_.get_array())
    assert picture.shape == (2, 4, 3)
    expected = (decoded[0, 1, :3] - decoded.min()) / np.ptp(decoded)
    np.testing.assert_allclose(picture[0, 2], expected)


def test_codes_of_another_size(rows):
    with pytest.raises(ValueError, match=r"two components, got 3.*from_rows"):
        ManifoldDisplay.from_estimator(PCA(3).fit(rows), rows)


def test_paths_need_pairs(rows, pca):
    with pytest.raises(ValueError, match=r"same number of rows, got 2 and 3"):
        ManifoldDisplay.from_rows(pca, rows[:2], rows[:3])


def test_labels_are_not_drawn():
    frame = pd.DataFrame({"size": np.arange(30.0), "kind": ["a", "b", "c"] * 10})
    model = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(frame)
    with pytest.raises(TypeError, match="numbers alone"):
        ManifoldDisplay.from_estimator(model, frame)


def test_images_that_are_no_flat_rows(rows):
    images = rows.reshape(-1, 2, 3)
    model = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(images)
    display = ManifoldDisplay.from_estimator(model, images, n_steps=2, image_shape=(2, 3))
    assert display.image_.get_array().shape == (4, 6)

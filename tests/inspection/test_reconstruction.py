"""Rows beside their reconstructions."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer
from skae.inspection import ReconstructionDisplay

from .displays import legend_of


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(size=(12, 6))


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    size = rng.normal(size=40)
    return pd.DataFrame({"size": size, "$w$": 2 * size + 5, "kind": np.where(size > 0, "a", "b")})


def labels_of(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


# Images -----------------------------------------------------------------------------------


def test_images_their_reconstructions_and_errors(images):
    pca = PCA(2).fit(images)
    display = ReconstructionDisplay.from_estimator(pca, images[:3], image_shape=(2, 3))
    assert labels_of(display.ax_.yaxis) == ["row", "reconstruction", "error"]
    rows, output, error = (np.asarray(strip.get_array()) for strip in display.images_)
    found = pca.inverse_transform(pca.transform(images[:3]))
    assert rows.shape == (2, 9)
    np.testing.assert_allclose(rows[:, 3:6], images[1].reshape(2, 3))
    np.testing.assert_allclose(output[:, 3:6], found[1].reshape(2, 3))
    np.testing.assert_allclose(error[:, 3:6], np.abs(found - images[:3])[1].reshape(2, 3))


def test_rows_and_reconstructions_have_the_same_greys(images):
    display = ReconstructionDisplay.from_predictions(images, images * 3, image_shape=(2, 3))
    rows, output, error = display.images_
    assert rows.get_clim() == output.get_clim() == (images[:10].min(), images[:10].max())
    assert error.get_clim() == (0, pytest.approx(2 * images[:10].max()))


def test_ten_images_are_drawn(images):
    display = ReconstructionDisplay.from_predictions(images, images, image_shape=(2, 3))
    assert display.images_[0].get_array().shape == (2, 30)
    assert display.ax_.get_xlim() == (0, 10)


def test_errors_are_from_the_target(images):
    display = ReconstructionDisplay.from_predictions(
        images + 1, images, target=images, image_shape=(2, 3)
    )
    assert labels_of(display.ax_.yaxis) == ["row", "reconstruction", "target", "error"]
    assert not np.asarray(display.images_[-1].get_array()).any()


def test_colours():
    rows = np.random.default_rng(0).uniform(0, 255, size=(3, 12))
    display = ReconstructionDisplay.from_predictions(rows, rows * 0.5, image_shape=(2, 2, 3))
    picture = np.asarray(display.images_[0].get_array())
    assert picture.shape == (2, 6, 3)
    assert picture.min() == 0
    assert picture.max() == 1
    error = np.asarray(display.images_[-1].get_array())
    np.testing.assert_allclose(error[0, 0], 0.5 * rows[0, :3].mean())


def test_missing_pixels_are_blank():
    rows = np.arange(12.0).reshape(2, 6)
    gaps = rows.copy()
    gaps[0, 0] = np.nan
    display = ReconstructionDisplay.from_predictions(gaps, rows + 1, image_shape=(2, 3))
    assert display.images_[0].get_clim() == (1, 11)
    assert display.images_[-1].get_clim() == (0, 1)
    assert np.isnan(np.asarray(display.images_[0].get_array().filled(np.nan))[0, 0])


def test_images_that_are_no_flat_rows():
    images = np.random.default_rng(0).uniform(size=(60, 4, 5))
    model = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(images)
    display = ReconstructionDisplay.from_estimator(model, images[:2], image_shape=(4, 5))
    np.testing.assert_allclose(np.asarray(display.images_[0].get_array())[:, 5:], images[1])
    output = np.asarray(display.images_[1].get_array())
    np.testing.assert_allclose(output[:, 5:], model.reconstruct(images[1:2])[0])


def test_images_of_labels(table):
    with pytest.raises(TypeError, match="numbers alone"):
        ReconstructionDisplay.from_predictions(table, table, image_shape=(1, 3))


# Tables -----------------------------------------------------------------------------------


def test_cells_are_in_standard_deviations():
    X = np.random.default_rng(0).normal(5, 3, size=(50, 4))
    model = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(X)
    display = ReconstructionDisplay.from_estimator(model, X[:2])
    assert [ax.get_title() for ax in display.axes_] == ["row 0", "row 1"]
    rows = [line for line in display.lines_ if line.get_label() == "row"]
    output = [line for line in display.lines_ if line.get_label() == "reconstruction"]
    for index in (0, 1):
        scaled = (X[index] - X.mean(axis=0)) / X.std(axis=0)
        np.testing.assert_allclose(rows[index].get_xdata(), scaled, rtol=1e-5)
        found = model.reconstruct(X[index : index + 1])[0]
        scaled = (found - X.mean(axis=0)) / X.std(axis=0)
        np.testing.assert_allclose(output[index].get_xdata(), scaled, rtol=1e-4)
    assert legend_of(display.axes_[-1]) == ["error", "row", "reconstruction"]
    assert rows[0].get_marker() != output[0].get_marker()


def test_labels_are_written_and_mistakes_marked(table):
    wrong = table.assign(kind="a")
    chosen = [int((table["kind"] == "a").argmax()), int((table["kind"] == "b").argmax())]
    display = ReconstructionDisplay.from_predictions(table.iloc[chosen], wrong.iloc[chosen])
    right, mistaken = (ax.texts[0] for ax in display.axes_)
    assert right.get_text() == "a"
    assert mistaken.get_text() == "b → a"
    assert to_hex(mistaken.get_color()) == "#d55e00"
    assert display.axes_[1].get_title() == f"row {chosen[1]}"


def test_names_are_text(table):
    display = ReconstructionDisplay.from_predictions(table, table)
    assert labels_of(display.ax_.yaxis) == ["size", "$w$", "kind"]
    assert not any(label.get_parse_math() for label in display.ax_.get_yticklabels())
    assert len(display.axes_) == 4


def test_estimator_of_a_mixed_table(table):
    model = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(table)
    display = ReconstructionDisplay.from_estimator(model, table.iloc[:3])
    assert display.center is None
    assert np.isfinite(display.lines_[0].get_xdata()[:2]).all()


def test_target_of_a_table():
    X = np.random.default_rng(0).normal(size=(3, 4))
    display = ReconstructionDisplay.from_predictions(X + 1, X, target=X)
    assert legend_of(display.axes_[-1]) == ["error", "row", "reconstruction", "target"]


def test_many_columns_are_curves():
    X = np.random.default_rng(0).normal(size=(2, 25))
    display = ReconstructionDisplay.from_predictions(X, 2 * X)
    row, output = display.lines_[:2]
    np.testing.assert_array_equal(row.get_ydata(), X[0])
    np.testing.assert_array_equal(output.get_ydata(), 2 * X[0])
    assert row.get_linestyle() != output.get_linestyle()
    assert display.axes_[0].get_ylim() == display.axes_[1].get_ylim()


@pytest.mark.parametrize(("n_rows", "n_columns"), [(2, 3), (0, 4)])
def test_other_shapes(n_rows, n_columns):
    X = np.ones((n_rows, 4))
    with pytest.raises(ValueError, match="must have the same shape, of a row at least"):
        ReconstructionDisplay.from_predictions(X, np.ones((n_rows, n_columns)))

"""The map of rows by two components."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

from skae import AutoencoderTransformer, VAETransformer
from skae.inspection import LatentDisplay

from .displays import legend_of


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(120, 4)) * [1, 2, 3, 4]


@pytest.fixture(scope="module")
def vae(rows):
    return VAETransformer(2, max_epochs=1, random_state=0).fit(rows)


def make_codes(n_rows=200):
    codes = np.random.default_rng(0).normal(size=(n_rows, 2))
    codes[:5] *= 100
    return codes


def share_of_inner(points):
    """Return how much of an axis the inner half of the rows takes."""
    return np.ptp(np.percentile(points, [25, 75], axis=0), axis=0) / np.ptp(points, axis=0)


def test_points_are_the_codes(rows):
    pca = PCA(3).fit(rows)
    display = LatentDisplay.from_estimator(pca, rows, components=(2, 0), shade=None)
    (points,) = display.scatter_
    np.testing.assert_allclose(points.get_offsets(), pca.transform(rows)[:, [2, 0]])
    assert display.ax_.get_xlabel().startswith("component 3")
    assert display.ax_.get_ylabel() == "component 1"


def test_labels_have_a_legend_and_a_mark_each(rows):
    y = np.repeat(["a", "b", "c"], 40)
    display = LatentDisplay.from_estimator(PCA(2).fit(rows), rows, y, label_name="kind")
    assert legend_of(display.ax_) == ["a", "b", "c"]
    assert display.ax_.get_legend().get_title().get_text() == "kind"
    looks = {len(points.get_paths()[0].vertices) for points in display.scatter_}
    assert len(looks) == 3
    colours = {tuple(points.get_facecolor()[0]) for points in display.scatter_}
    handles = display.ax_.get_legend().legend_handles
    assert {tuple(handle.get_facecolor()[0][:3]) for handle in handles} == {c[:3] for c in colours}


def test_numbers_have_a_colour_bar():
    display = LatentDisplay.from_predictions(make_codes(), np.arange(200.0), label_name="height")
    assert display.figure_.axes[1].get_ylabel() == "height"


def test_title_says_how_far_neighbours_are_kept(rows):
    pca = PCA(2).fit(rows)
    display = LatentDisplay.from_estimator(pca, rows)
    expected = trustworthiness(rows, pca.transform(rows))
    assert display.trustworthiness == pytest.approx(expected)
    assert display.ax_.get_title() == f"trustworthiness {expected:.2f}"


def test_trustworthiness_is_of_scaled_columns(rows):
    linear = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(rows)
    display = LatentDisplay.from_estimator(linear, rows)
    expected = trustworthiness(rows / rows.std(axis=0), linear.transform(rows))
    assert display.trustworthiness == pytest.approx(expected)


def test_codes_alone_have_no_trustworthiness(rows):
    codes = make_codes()
    assert LatentDisplay.from_predictions(codes).trustworthiness is None
    assert LatentDisplay.from_predictions(codes, X=codes).trustworthiness == 1
    assert LatentDisplay.from_predictions(codes[:9], X=codes[:9]).trustworthiness is None


def test_mixed_tables_are_drawn_without_it():
    frame = pd.DataFrame({"size": np.arange(30.0), "kind": ["a", "b", "c"] * 10})
    model = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(frame)
    display = LatentDisplay.from_estimator(model, frame, frame["kind"])
    assert display.ax_.get_title() == ""
    assert legend_of(display.ax_) == ["a", "b", "c"]


def test_numbers_that_are_categories():
    X = np.column_stack([np.arange(40.0), np.arange(40) % 3])
    model = AutoencoderTransformer(2, hidden_layer_sizes=(), categorical_features=[1]).fit(X)
    display = LatentDisplay.from_estimator(model, X)
    assert display.trustworthiness == pytest.approx(trustworthiness(X, model.transform(X)))


# Room for crowded rows --------------------------------------------------------------------


def test_distant_rows_are_left_out_or_squashed():
    codes = make_codes()
    as_is = LatentDisplay.from_predictions(codes)
    assert "outside of the view" in as_is.ax_.get_xlabel()
    for spread, name in (("squash", "squashed"), ("rank", "share of rows below")):
        display = LatentDisplay.from_predictions(codes, spread=spread)
        assert display.ax_.get_xlabel() == f"component 1 ({name})"
        points = np.asarray(display.scatter_[0].get_offsets())
        low, high = np.transpose([display.ax_.get_xlim(), display.ax_.get_ylim()])
        assert ((points > low) & (points < high)).all()
        assert (share_of_inner(points) > 5 * share_of_inner(codes)).all()


# Shades -----------------------------------------------------------------------------------


def test_density_is_darkest_where_rows_are():
    rng = np.random.default_rng(0)
    codes = np.concatenate([rng.normal(0, 0.1, (150, 2)), rng.uniform(-3, 3, (50, 2))])
    shade = LatentDisplay.from_predictions(codes).shade_
    *_, densest = shade.get_paths()
    assert np.abs(densest.vertices).max() < 0.5
    lightness = shade.get_facecolor()[:, 0]
    assert (np.diff(lightness) < 0).all()


@pytest.mark.parametrize("codes", [np.ones((20, 2)), np.outer(np.arange(20.0), [1, 2])])
def test_points_and_lines_have_no_density(codes):
    assert LatentDisplay.from_predictions(codes).shade_ is None


def test_stretch_is_one_for_a_linear_decoder(rows):
    display = LatentDisplay.from_estimator(PCA(2).fit(rows), rows, shade="stretch")
    np.testing.assert_allclose(display.shade_.get_array(), 1, rtol=1e-6)


def test_stretch_shows_where_the_decoder_is_steep():
    codes = np.random.default_rng(0).uniform(-1, 1, size=(300, 2))

    def decode(part):
        return np.column_stack([np.exp(3 * part[:, 0]), np.zeros(len(part))])

    display = LatentDisplay(codes=codes, decode=decode).plot(shade="stretch")
    stretch = np.asarray(display.shade_.get_array())
    left, right = display.ax_.get_xlim()
    # The decoder is exp(3 x), whose slope grows by the same factor.
    assert stretch[0, -1] / stretch[0, 0] == pytest.approx(np.exp(3 * (right - left)), rel=0.01)
    assert display.shade_.get_extent() == [left, right, *display.ax_.get_ylim()]
    (bar,) = display.figure_.axes[1:]
    assert bar.get_xlabel().startswith("stretch by the decoder")


# Ellipses ---------------------------------------------------------------------------------


def test_ellipses_of_a_vae(rows, vae):
    display = LatentDisplay.from_estimator(vae, rows, spread="as_is")
    paths = display.ellipses_.get_paths()
    mean, scale = vae.posterior(rows)
    assert len(paths) == 80
    np.testing.assert_allclose(np.ptp(paths[0].vertices, axis=0), 2 * scale[0], rtol=1e-3)
    np.testing.assert_allclose(paths[-1].vertices[:-1].mean(axis=0), mean[-1], atol=0.1)


def test_ellipses_are_optional(rows, vae):
    assert LatentDisplay.from_estimator(vae, rows, ellipses=False).ellipses_ is None
    assert LatentDisplay.from_estimator(PCA(2).fit(rows), rows).ellipses_ is None


# What can't be drawn ----------------------------------------------------------------------


def test_codes_of_other_sizes(rows):
    with pytest.raises(ValueError, match=r"two components, got an array of shape \(120, 4\)"):
        LatentDisplay(codes=rows).plot()
    with pytest.raises(ValueError, match=r"components must be two of the code's.*\(0, 1\).* of 1"):
        LatentDisplay.from_estimator(PCA(1).fit(rows), rows)
    for components in ((1, 1), (-1, 0)):
        with pytest.raises(ValueError, match=r"components must be two of the code's"):
            LatentDisplay.from_estimator(PCA(2).fit(rows), rows, components=components)


def test_unknown_shades():
    with pytest.raises(ValueError, match=r"shade must be one of .*, got 'fog'"):
        LatentDisplay.from_predictions(make_codes(), shade="fog")
    with pytest.raises(ValueError, match=r"needs decode"):
        LatentDisplay.from_predictions(make_codes(), shade="stretch")
    assert plt.get_fignums() == []  # they are found before a figure is made

"""The display of models side by side."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.inspection import ComparisonDisplay, explained_variance

from .displays import legend_of, make_display


def test_axes_are_labelled():
    explained, *maps = make_display().plot().axes_
    assert explained.get_title() == "Explained variance"
    assert explained.get_xlabel() == "components"
    assert explained.get_ylabel() == "share of the variance explained"
    assert [text.get_text() for text in explained.get_xticklabels()] == ["2", "4", "8"]
    assert legend_of(explained) == ["PCA", "Autoencoder"]
    assert [ax.get_title() for ax in maps] == ["PCA, 2 components", "Autoencoder, 2 components"]
    for ax in maps:
        assert ax.get_xlabel().startswith("component 1")
        assert ax.get_ylabel() == "component 2"
        assert ax.get_legend() is None


def test_lines_show_the_shares():
    lines = make_display().plot().axes_[0].get_lines()
    for line, heights in zip(lines, ([0.2, 0.4, 0.6], [0.3, 0.6, 0.7]), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), [2, 4, 8])
        np.testing.assert_array_equal(line.get_ydata(), heights)


def test_models_differ_in_more_than_colour():
    lines = make_display().plot().axes_[0].get_lines()
    for look in ("get_color", "get_marker", "get_linestyle", "get_fillstyle", "get_markersize"):
        assert len({getattr(line, look)() for line in lines}) == 2


def test_more_models_than_colours():
    models = {f"model {n}": [0.1, 0.2, 0.3] for n in range(12)}
    display = ComparisonDisplay(n_components=[1, 2, 4], explained_variance=models).plot()
    assert legend_of(display.axes_[0]) == list(models)


def test_doublings_are_equally_far():
    ax = make_display().plot().axes_[0]
    places = ax.transData.transform([(2, 0), (4, 0), (8, 0)])[:, 0]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1])


@pytest.mark.parametrize(
    ("n_sizes", "ticks"), [(8, "1 2 3 4 5 6 7 8"), (9, "1 3 5 7 9"), (17, "1 4 7 10 13 16")]
)
def test_ticks_have_room(n_sizes, ticks):
    sizes = np.arange(1, n_sizes + 1)
    display = ComparisonDisplay(n_components=sizes, explained_variance={"PCA": sizes / 99}).plot()
    assert " ".join(text.get_text() for text in display.axes_[0].get_xticklabels()) == ticks
    assert len(display.axes_[0].get_xticks(minor=True)) == 0


def test_without_codes_and_with_one_size():
    display = ComparisonDisplay(n_components=[3], explained_variance={"PCA": [0.5]}).plot()
    assert display.axes_.shape == (1,)
    assert display.axes_[0].get_xscale() == "linear"
    assert [text.get_text() for text in display.axes_[0].get_xticklabels()] == ["3"]


def test_missing_shares_are_not_drawn():
    shares = {"PCA": [0.2, np.nan, 0.6], "other": [np.nan] * 3}
    display = ComparisonDisplay(n_components=[2, 4, 8], explained_variance=shares).plot()
    pca, other = display.axes_[0].get_lines()
    np.testing.assert_array_equal(pca.get_xdata(), [2, 8])
    assert len(other.get_xdata()) == 0
    low, high = display.axes_[0].get_ylim()
    assert low == 0
    assert 1 < high < 1.1


def test_negative_shares_are_in_view():
    display = ComparisonDisplay(n_components=[1, 2], explained_variance={"PCA": [-0.5, 0.1]})
    assert display.plot().axes_[0].get_ylim()[0] < -0.5


def test_figure_grows_with_its_panels():
    with_maps = make_display().plot().figure_.get_size_inches()
    alone = ComparisonDisplay(n_components=[1, 2], explained_variance={"PCA": [0.5, 0.1]})
    width, height = alone.plot().figure_.get_size_inches()
    assert with_maps[0] > 3 * width  # a legend needs room too
    assert with_maps[1] == height


def test_legend_fits_into_the_figure():
    display = make_display(np.repeat(["left", "a name of many letters"], 30)).plot()
    display.figure_.draw_without_rendering()
    legend = display.axes_[2].get_legend().get_window_extent()
    assert display.figure_.bbox.x0 <= legend.x0 < legend.x1 <= display.figure_.bbox.x1


def test_axes_of_the_user():
    figure = Figure()
    left, right = figure.subplots(1, 2)
    before = plt.get_fignums()
    display = make_display().plot(right)
    assert display.figure_ is figure
    assert plt.get_fignums() == before
    assert figure.axes == [left, *display.axes_]
    figure.draw_without_rendering()
    middle = left.get_position().x1
    assert all(ax.get_position().x0 > middle for ax in display.axes_)


def test_axes_at_a_free_place():
    figure = Figure()
    display = make_display().plot(figure.add_axes((0.5, 0.1, 0.4, 0.8)))
    assert display.axes_[0].get_position().x0 == pytest.approx(0.5)
    assert display.axes_[-1].get_position().x1 == pytest.approx(0.9)


def test_attributes_name_what_was_drawn():
    display = make_display().plot()
    assert display.ax_ is display.axes_[0]
    assert [line.get_label() for line in display.lines_] == ["PCA", "Autoencoder"]


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
@pytest.mark.parametrize("n_rows", [60, 3000])
def test_saves(tmp_path, kind, n_rows):
    path = tmp_path / f"plot.{kind}"
    make_display(np.arange(n_rows) % 4, n_rows).plot().figure_.savefig(path)
    assert path.stat().st_size > 5000


def test_from_estimators():
    rng = np.random.default_rng(0)
    X = StandardScaler().fit_transform(rng.normal(size=(40, 3)) @ rng.normal(size=(3, 6)))
    models = {
        "PCA": [PCA(k).fit(X) for k in (4, 1, 2)],
        "Linear": [AutoencoderTransformer(2, hidden_layer_sizes=()).fit(X)],
    }
    figure = Figure()
    display = ComparisonDisplay.from_estimators(
        models, X, np.arange(40) % 2, label_name="odd", ax=figure.add_subplot()
    )
    np.testing.assert_array_equal(display.n_components, [1, 2, 4])
    pca, linear = (display.explained_variance[name] for name in models)
    ratios = PCA().fit(X).explained_variance_ratio_
    np.testing.assert_allclose(pca, [ratios[:1].sum(), ratios[:2].sum(), ratios[:4].sum()])
    np.testing.assert_allclose(linear[1], pca[1], rtol=1e-5)
    assert np.isnan(linear[[0, 2]]).all()
    np.testing.assert_allclose(display.codes["PCA"], models["PCA"][2].transform(X))
    assert display.axes_[2].get_legend().get_title().get_text() == "odd"
    assert display.figure_ is figure


def test_from_estimators_without_two_components():
    X = np.random.default_rng(0).normal(size=(20, 10))
    display = ComparisonDisplay.from_estimators({"PCA": [PCA(9).fit(X), PCA(1).fit(X)]}, X)
    np.testing.assert_array_equal(display.n_components, [1, 9])
    assert display.codes is None
    assert len(display.axes_) == 1


def test_from_predictions():
    X = np.random.default_rng(0).normal(size=(20, 4))
    pca = PCA(1).fit(X)
    found = {"PCA": {1: pca.inverse_transform(pca.transform(X))}, "perfect": {1: X, 2: X}}
    display = ComparisonDisplay.from_predictions(X, found, codes={"first two": X[:, :2]})
    np.testing.assert_array_equal(display.n_components, [1, 2])
    np.testing.assert_array_equal(display.explained_variance["perfect"], [1, 1])
    expected = explained_variance(X, found["PCA"][1])
    np.testing.assert_array_equal(display.explained_variance["PCA"], [expected, np.nan])
    assert [ax.get_title() for ax in display.axes_[1:]] == ["first two, 2 components"]

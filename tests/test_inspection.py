"""What the displays draw."""

import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.inspection import ComparisonDisplay, explained_variance


def display(labels=None, n_rows=60, **options):
    rng = np.random.default_rng(0)
    return ComparisonDisplay(
        n_components=[2, 4, 8],
        explained_variance={"PCA": [0.2, 0.4, 0.6], "Autoencoder": [0.3, 0.6, 0.7]},
        codes={name: rng.normal(size=(n_rows, 2)) for name in ("PCA", "Autoencoder")},
        labels=labels,
        **options,
    )


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_axes_are_labelled():
    drawn = display().plot()
    explained, *maps = drawn.axes_
    assert explained.get_xlabel() == "components"
    assert explained.get_ylabel() == "share of the variance explained"
    assert [text.get_text() for text in explained.get_xticklabels()] == ["2", "4", "8"]
    assert legend_of(explained) == ["PCA", "Autoencoder"]
    assert [ax.get_title() for ax in maps] == ["PCA, 2 components", "Autoencoder, 2 components"]
    for ax in maps:
        assert ax.get_xlabel().startswith("component 1")
        assert ax.get_ylabel() == "component 2"
        assert ax.get_legend() is None


def test_models_differ_in_more_than_colour():
    lines = display().plot().axes_[0].get_lines()
    for look in ("get_color", "get_marker", "get_linestyle"):
        assert len({getattr(line, look)() for line in lines}) == 2
    np.testing.assert_array_equal(lines[1].get_ydata(), [0.3, 0.6, 0.7])


def test_pyplot_is_left_alone():
    before = plt.get_fignums()
    display().plot()
    assert plt.get_fignums() == before


def test_figure_of_the_user():
    figure = Figure()
    drawn = display().plot(figure)
    assert drawn.figure_ is figure
    assert len(figure.axes) == 3


def test_classes_have_a_legend():
    labels = np.repeat(["c", "a", "b"], 20)
    drawn = display(labels, label_name="kind").plot()
    assert legend_of(drawn.axes_[2]) == ["a", "b", "c"]
    assert drawn.axes_[2].get_legend().get_title().get_text() == "kind"
    counts = [len(points.get_offsets()) for points in drawn.axes_[1].collections]
    assert counts == [20, 20, 20]


def test_ten_classes_look_different():
    drawn = display(np.arange(60) % 10).plot()
    looks = {
        (tuple(points.get_edgecolor()[0]), len(points.get_facecolor()), len(path.vertices))
        for points in drawn.axes_[1].collections
        for path in points.get_paths()
    }
    assert len(looks) == 10


def test_missing_labels_are_grey():
    labels = np.array(["a", "b", None] * 20, dtype=object)
    drawn = display(labels).plot()
    assert legend_of(drawn.axes_[2]) == ["no value", "a", "b"]


def test_many_names_keep_the_most_frequent():
    labels = np.array([f"name {n:02d}" for n in [*range(12), *([11, 10, 9] * 16)]])
    drawn = display(labels).plot()
    names = legend_of(drawn.axes_[2])
    assert names[0] == "3 others"
    assert names[-3:] == ["name 09", "name 10", "name 11"]
    assert len(names) == 10


def test_long_names_are_cut():
    drawn = display(np.repeat(["x" * 50, "y"], 30)).plot()
    assert legend_of(drawn.axes_[2]) == ["x" * 17 + "...", "y"]


def test_bools_are_classes():
    assert legend_of(display(np.arange(60) < 9).plot().axes_[2]) == ["False", "True"]


def test_numbers_have_a_colour_bar():
    labels = np.append(np.linspace(0, 1, 59), np.nan)
    drawn = display(labels, label_name="height").plot()
    assert len(drawn.figure_.axes) == 4
    assert drawn.figure_.axes[3].get_ylabel() == "height"
    missing, known = drawn.axes_[1].collections
    assert (len(missing.get_offsets()), len(known.get_offsets())) == (1, 59)


def test_rows_far_off_are_counted_not_shown():
    drawn = display(n_rows=200)
    drawn.codes["PCA"] = np.random.default_rng(0).uniform(size=(200, 2))
    drawn.codes["PCA"][0] = [1e6, 1e6]
    drawn.plot()
    ax = drawn.axes_[1]
    assert ax.get_xlim()[1] < 100
    assert ax.get_xlabel() == "component 1 (1 row outside of the view)"


def test_codes_that_are_all_the_same():
    drawn = display()
    drawn.codes = {"PCA": np.zeros((60, 2))}
    low, high = drawn.plot().axes_[1].get_xlim()
    assert low < 0 < high


def test_without_codes_and_with_one_size():
    drawn = ComparisonDisplay(n_components=[3], explained_variance={"PCA": [np.nan]}).plot()
    assert drawn.axes_.shape == (1,)


def test_negative_shares_are_in_view():
    drawn = ComparisonDisplay(n_components=[1, 2], explained_variance={"PCA": [-0.5, 0.1]})
    assert drawn.plot().axes_[0].get_ylim()[0] < -0.5


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
@pytest.mark.parametrize("n_rows", [60, 3000])
def test_saves(tmp_path, kind, n_rows):
    path = tmp_path / f"plot.{kind}"
    display(np.arange(n_rows) % 4, n_rows).plot().figure_.savefig(path)
    assert path.stat().st_size > 5000


def test_from_estimators():
    rng = np.random.default_rng(0)
    X = StandardScaler().fit_transform(rng.normal(size=(40, 3)) @ rng.normal(size=(3, 6)))
    models = {
        "PCA": [PCA(k).fit(X) for k in (1, 2, 4)],
        "Linear": [AutoencoderTransformer(2, hidden_layer_sizes=()).fit(X)],
    }
    drawn = ComparisonDisplay.from_estimators(models, X, np.arange(40) % 2, label_name="odd")
    np.testing.assert_array_equal(drawn.n_components, [1, 2, 4])
    pca, linear = (drawn.explained_variance[name] for name in models)
    ratios = PCA().fit(X).explained_variance_ratio_
    np.testing.assert_allclose(pca, [ratios[:1].sum(), ratios[:2].sum(), ratios[:4].sum()])
    np.testing.assert_allclose(linear[1], pca[1], rtol=1e-5)
    assert np.isnan(linear[[0, 2]]).all()
    np.testing.assert_allclose(drawn.codes["PCA"], models["PCA"][1].transform(X))
    assert drawn.axes_[2].get_legend().get_title().get_text() == "odd"


def test_explained_variance_is_r2_of_standardised_columns():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 4)) * [1, 10, 100, 1000]
    rebuilt = X + rng.normal(size=X.shape) * [0.1, 1, 20, 100]
    # All columns have the same variance once scaled, so the plain mean of R2s is pooled.
    assert explained_variance(X, rebuilt) == pytest.approx(r2_score(X, rebuilt))
    assert explained_variance(X, X) == 1
    assert explained_variance(X, np.tile(X.mean(axis=0), (30, 1))) == pytest.approx(0)
    assert np.isnan(explained_variance(np.ones((3, 2)), np.ones((3, 2))))


def test_given_mean_and_scale():
    share = explained_variance([[3.0, 4.0]], [[3.0, 2.0]], mean=[0, 0], scale=[3, 2])
    assert share == pytest.approx(1 - 1 / 5)


def test_matplotlib_is_imported_when_drawing():
    code = "import sys, skae.inspection; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install skae\[plot\]"):
        display().plot()

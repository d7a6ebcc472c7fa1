"""The maps of rows in a display, and their colours."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from .displays import legend_of, make_display


def points_of(ax):
    """Return the offsets of each group of points."""
    return [np.asarray(group.get_offsets()) for group in ax.collections]


# Classes ------------------------------------------------------------------------------


def test_unlabelled_rows_are_all_drawn():
    display = make_display().plot()
    for ax, codes in zip(display.axes_[1:], display.codes.values(), strict=True):
        (points,) = points_of(ax)
        np.testing.assert_array_equal(points, codes)


def test_classes_have_a_legend():
    labels = np.repeat(["c", "a", "b"], 20)
    display = make_display(labels, label_name="kind").plot()
    assert legend_of(display.axes_[2]) == ["a", "b", "c"]
    assert display.axes_[2].get_legend().get_title().get_text() == "kind"
    assert display.axes_[1].get_legend() is None
    for points, name in zip(points_of(display.axes_[1]), "abc", strict=True):
        np.testing.assert_array_equal(points, display.codes["PCA"][labels == name])


def test_labels_are_text():
    labels = np.repeat(["_a", "$b^2$", "$"], 20)
    display = make_display(labels).plot()
    assert legend_of(display.axes_[2]) == ["$", "$b^2$", "_a"]
    assert not any(text.get_parse_math() for text in display.axes_[2].get_legend().get_texts())
    display.figure_.draw_without_rendering()


def test_legend_is_opaque():
    legend = make_display(np.arange(60) % 3).plot().axes_[2].get_legend()
    assert {handle.get_alpha() for handle in legend.legend_handles} == {1}


def test_ten_classes_look_different():
    display = make_display(np.arange(60) % 10).plot()
    looks = {
        (tuple(points.get_edgecolor()[0]), len(points.get_facecolor()), len(path.vertices))
        for points in display.axes_[1].collections
        for path in points.get_paths()
    }
    assert len(looks) == 10


def test_repeated_colours_are_hollow():
    groups = make_display(np.arange(60) % 10).plot().axes_[1].collections
    assert [len(points.get_facecolor()) for points in groups] == [1] * 7 + [0] * 3


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (np.array(["a", "b", None] * 20, dtype=object), ["no value", "a", "b"]),
        ([0.5, 2.0, np.nan] * 20, ["no value", "0.5", "2"]),
    ],
)
def test_missing_labels_are_grey(labels, names):
    display = make_display(labels).plot()
    assert legend_of(display.axes_[2]) == names
    rest, *others = display.axes_[1].collections
    assert to_hex(rest.get_edgecolor()[0]) == "#bbbbbb"
    assert to_hex(others[0].get_edgecolor()[0]) != "#bbbbbb"
    np.testing.assert_array_equal(rest.get_offsets(), display.codes["PCA"][2::3])


def test_ten_names_have_a_colour_each():
    labels = np.array([f"name {n}" for n in range(10)] * 6)
    assert len(legend_of(make_display(labels).plot().axes_[2])) == 10


def test_many_names_keep_the_most_frequent():
    names = [f"name {n:02d}" for n in [*range(12), *([11, 10, 9] * 15)]]
    display = make_display(np.array([*names, None, None, None], dtype=object)).plot()
    legend = legend_of(display.axes_[2])
    assert legend[:2] == ["no value", "3 others"]
    assert legend[-3:] == ["name 09", "name 10", "name 11"]
    assert len(legend) == 11
    assert [len(points) for points in points_of(display.axes_[1])] == [3, 3, *[1] * 6, 16, 16, 16]


def test_long_names_are_cut():
    display = make_display(np.repeat(["x" * 21, "y" * 20], 30)).plot()
    assert legend_of(display.axes_[2]) == ["x" * 17 + "...", "y" * 20]


def test_bools_are_classes():
    assert legend_of(make_display(np.arange(60) < 9).plot().axes_[2]) == ["False", "True"]


# Numbers ------------------------------------------------------------------------------


def test_numbers_have_a_colour_bar():
    labels = np.append(np.linspace(0, 1, 59), np.nan)
    display = make_display(labels, label_name="height").plot()
    assert len(display.figure_.axes) == 4
    assert display.figure_.axes[3].get_ylabel() == "height"
    assert display.axes_[2].get_legend() is None
    missing, known = display.axes_[1].collections
    np.testing.assert_array_equal(missing.get_offsets(), display.codes["PCA"][59:])
    np.testing.assert_array_equal(known.get_offsets(), display.codes["PCA"][:59])
    np.testing.assert_array_equal(known.get_array(), labels[:59])


@pytest.mark.parametrize(("n_values", "n_axes"), [(10, 3), (11, 4)])
def test_few_numbers_are_classes(n_values, n_axes):
    display = make_display(np.arange(60) % n_values).plot()
    assert len(display.figure_.axes) == n_axes
    assert (display.axes_[2].get_legend() is None) == (n_axes == 4)


def test_distant_numbers_do_not_stretch_the_colours():
    labels = np.append(np.linspace(0, 1, 198), [-1e6, 1e6])
    known = make_display(labels, n_rows=200).plot().axes_[1].collections[1]
    low, high = known.get_clim()
    assert -0.1 < low < 0.1
    assert 0.9 < high < 1.1


def test_unnamed_numbers():
    display = make_display(np.arange(60)).plot()
    assert display.figure_.axes[3].get_ylabel() == "label"


# The view -----------------------------------------------------------------------------


def test_all_rows_are_in_view_if_none_is_distant():
    display = make_display()
    display.codes = {"PCA": np.random.default_rng(0).uniform(size=(200, 2))}
    ax = display.plot().axes_[1]
    for limits in (ax.get_xlim(), ax.get_ylim()):
        assert -0.1 < limits[0] < 0  # no wider than it needs to be
        assert 1 < limits[1] < 1.1
    assert ax.get_xlabel() == "component 1"


@pytest.mark.parametrize(
    ("distant", "count"),
    [
        ([[1e6, 1e6]], "1 row"),
        ([[-1e6, 0.5]], "1 row"),
        ([[0.5, -1e6]], "1 row"),
        ([[1e6, 0.5], [0.5, 1e6]], "2 rows"),
    ],
)
def test_distant_rows_are_counted_not_shown(distant, count):
    display = make_display()
    codes = np.random.default_rng(0).uniform(size=(400, 2))
    codes[: len(distant)] = distant
    display.codes = {"PCA": codes}
    ax = display.plot().axes_[1]
    for limits in (ax.get_xlim(), ax.get_ylim()):
        assert np.abs(limits).max() < 100
    assert ax.get_xlabel() == f"component 1 ({count} outside of the view)"


def test_codes_that_are_all_the_same():
    display = make_display()
    display.codes = {"PCA": np.zeros((60, 2))}
    low, high = display.plot().axes_[1].get_xlim()
    assert low < 0 < high


def test_many_points_are_small_pixels():
    few, some, many = (
        make_display(np.arange(n) % 2, n).plot().axes_[1].collections[0] for n in (60, 2000, 2001)
    )
    assert few.get_sizes() > some.get_sizes() > many.get_sizes()
    most = make_display(np.arange(10_000) % 2, 10_000).plot().axes_[1].collections[0]
    assert most.get_sizes() > 3  # still visible
    assert (bool(some.get_rasterized()), bool(many.get_rasterized())) == (False, True)
    numbers = make_display(np.arange(2001), 2001).plot().axes_[1].collections[1]
    assert numbers.get_rasterized()
    assert numbers.get_sizes() == many.get_sizes()

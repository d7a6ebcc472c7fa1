"""Where matplotlib is imported, and which figure is drawn in."""

import subprocess
import sys

import matplotlib.pyplot as plt
import pytest

from skae.inspection.drawing import make_figure

from .displays import make_display


def test_matplotlib_is_imported_when_drawing():
    code = "import sys, skae.inspection; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    message = r"needs matplotlib.*pip install skae\[plot\]"
    with pytest.raises(ImportError, match=message):
        make_display().plot()
    with pytest.raises(ImportError, match=message):
        make_figure(1, 1)


def test_pyplot_shows_the_display():
    display = make_display().plot()
    assert plt.gcf() is display.figure_


def test_an_empty_figure_is_used_and_a_full_one_is_not():
    figure = plt.figure(figsize=(3, 2))
    first, second = make_display().plot(), make_display().plot()
    assert first.figure_ is figure
    assert second.figure_ is not figure
    assert plt.gcf() is second.figure_


def test_figures_of_the_command_are_unknown_to_pyplot():
    make_figure(3, 2)
    assert plt.get_fignums() == []


def test_subfigures_have_a_figure():
    figure = plt.figure()
    left, _ = figure.subfigures(1, 2)
    display = make_display().plot(left.subplots())
    assert display.figure_ is figure
    assert {ax.get_figure() for ax in display.axes_} == {left}

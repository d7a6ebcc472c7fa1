"""What all displays share: colours, marks, and the one place that imports matplotlib."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpecBase
    from matplotlib.text import Text

# The palette of Okabe and Ito, which colour-blind readers can tell apart, without its yellow,
# which is invisible on white. Blue comes first, then its strongest contrast.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
BLUE, ORANGE = COLOURS[:2]
GREY, DARK_GREY = "#BBBBBB", "#555555"

# More marks than colours: ten classes then differ in one or the other.
MARKS = ("o", "s", "^", "D", "v", "P", "X", "<", "*", ">")
LINES = ("-", "--", "-.", ":")

# Colour maps whose lightness changes one way, so that they are read in grey as well.
IMAGE_MAP, ERROR_MAP, SHADE_MAP, SCALE_MAP = "gray_r", "Oranges", "Greys", "cividis"

_NEEDS_MATPLOTLIB = "drawing needs matplotlib, which is not installed: pip install skae[plot]"


def make_figure(width: float, height: float) -> "Figure":
    """Make a figure that pyplot does not know, so that nothing global changes."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(_NEEDS_MATPLOTLIB) from error
    return Figure(figsize=(width, height), layout="constrained")


def find_axes(ax: "Axes | None", width: float, height: float) -> "Axes":
    """Return the axes to draw in, by default new ones that pyplot shows.

    They are in pyplot's current figure if that is empty, else in a new one of the given size.
    """
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(_NEEDS_MATPLOTLIB) from error
    is_free = plt.get_fignums() and not plt.gcf().axes
    figure = plt.gcf() if is_free else plt.figure(figsize=(width, height), layout="constrained")
    return figure.add_subplot()


def get_figure(ax: "Axes") -> "Figure":
    """Return the figure of axes, not the subfigure that they may be in."""
    return ax.figure.figure


def divide_axes(ax: "Axes", n_panels: int) -> list["Axes"]:
    """Replace axes by panels side by side in their place."""
    figure, place = ax.figure, ax.get_subplotspec()
    box = ax.get_position()
    panels: GridSpecBase
    if place is None:
        edges = {"left": box.x0, "right": box.x1, "bottom": box.y0, "top": box.y1}
        panels = figure.add_gridspec(1, n_panels, **edges)
    else:
        panels = place.subgridspec(1, n_panels)
    ax.remove()
    return [figure.add_subplot(panels[0, index]) for index in range(n_panels)]


def show_as_they_are(texts: Iterable["Text"]) -> None:
    """Take texts for data: matplotlib would read "$a$" as mathematics."""
    for text in texts:
        text.set_parse_math(False)


def shorten_text(value: object, length: int) -> str:
    """Return a value as a text that is not too long."""
    text = str(value)
    if isinstance(value, float | np.floating):
        text = f"{value:.4g}"
    elif isinstance(value, pd.Timestamp) and value == value.normalize():
        text = str(value.date())
    return text if len(text) <= length else text[: length - 3] + "..."

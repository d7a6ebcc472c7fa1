"""Colours and marks that all drawings share, and where matplotlib is imported."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette, which the colour-blind can tell apart, less its yellow, which
# nobody sees on white; and the blue first, then its strongest contrast.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
GREY = "#BBBBBB"

# More marks than colours, so that ten classes differ in one or the other.
MARKS = ("o", "s", "^", "D", "v", "P", "X", "<", "*", ">")
LINES = ("-", "--", "-.", ":")


def new_figure(width: float = 6.4, height: float = 4.8) -> "Figure":
    """Return a figure that pyplot knows nothing of, so that nothing global changes."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "drawing needs matplotlib, which is not installed: pip install skae[plot]"
        ) from error
    return Figure(figsize=(width, height), layout="constrained")

"""What all displays share: colours, marks, and the one place that imports matplotlib."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The palette of Okabe and Ito, which colour-blind readers can tell apart, without its yellow,
# which is invisible on white. Blue comes first, then its strongest contrast.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
GREY = "#BBBBBB"

# More marks than colours: ten classes then differ in one or the other.
MARKS = ("o", "s", "^", "D", "v", "P", "X", "<", "*", ">")
LINES = ("-", "--", "-.", ":")


def make_figure(width: float, height: float) -> "Figure":
    """Make a figure that pyplot does not know, so that nothing global changes."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "drawing needs matplotlib, which is not installed: pip install skae[plot]"
        ) from error
    return Figure(figsize=(width, height), layout="constrained")

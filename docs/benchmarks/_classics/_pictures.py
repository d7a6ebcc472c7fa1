"""Pictures of digits and of curves, small enough for a repository."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from ._data import SIDE

# Okabe and Ito's palette, which is safe for colour-blind readers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
N_GREYS = 32  # more are indistinguishable in a digit and take space


def save_digits(images: np.ndarray, n_columns: int, path: Path, zoom: int = 1) -> None:
    """Save a grid of digits, white on black.

    Parameters
    ----------
    images : ndarray of shape (n_images, n_pixels)
        The images, filling all rows of the grid; values are clipped to [0, 1].
    n_columns : int
        Digits per row of the grid.
    path : Path
        A PNG file.
    zoom : int, default=1
        Pixels of the file per pixel of a digit, in each direction.
    """
    tiles = np.asarray(images).reshape(-1, n_columns, SIDE, SIDE).swapaxes(1, 2)
    canvas = tiles.reshape(-1, n_columns * SIDE).clip(0, 1).repeat(zoom, 0).repeat(zoom, 1)
    greys = np.rint(canvas * (N_GREYS - 1)) * (255 / (N_GREYS - 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(greys.astype(np.uint8)).quantize(N_GREYS).save(path, optimize=True)


def save_reconstructions(originals: np.ndarray, reconstructions: np.ndarray, path: Path) -> None:
    """Save reconstructions below their originals, enlarged three times."""
    save_digits(np.concatenate([originals, reconstructions]), len(originals), path, zoom=3)


def save_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    bars: Mapping[str, float],
    labels: tuple[str, str],
    path: Path,
    largest: float | None = None,
) -> None:
    """Save curves of a figure against time, with bars as horizontal lines.

    Parameters
    ----------
    curves : mapping of str to (x, y)
        The curves by their names.
    bars : mapping of str to float
        Heights of the lines by their names.
    labels : (str, str)
        Labels of the axes.
    path : Path
        A PNG file.
    largest : float, default=None
        Upper end of the logarithmic axis; None fits all values.
    """
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for colour, (name, (x, y)) in zip(COLOURS, curves.items(), strict=False):
        axes.plot(x, y, marker=".", color=colour, label=f"{name}: {y[-1]:.3g} at the end")
    for name, height in bars.items():
        axes.axhline(height, color="#888888", linewidth=1, linestyle="--")
        axes.annotate(
            name, (1, height), xycoords=("axes fraction", "data"), ha="right", va="bottom"
        )
    axes.set_yscale("log")
    axes.set_ylim(top=largest)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.set(xlabel=labels[0], ylabel=labels[1])
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


def plane_grid(codes: np.ndarray, n_side: int) -> np.ndarray:
    """Return points on a grid over the middle 96 % of 2-d codes, row by row from the top.

    The grid lines are quantiles of the codes; on an even grid the outermost codes would leave
    most points empty.
    """
    shares = np.linspace(0.02, 0.98, n_side)
    across, up = np.quantile(codes, shares, axis=0).T
    return np.stack(np.meshgrid(across, up[::-1]), axis=-1).reshape(-1, 2).astype(codes.dtype)

"""Scaled rows, and rows in the table's units again, as parts of a graph."""

import numpy as np
import numpy.typing as npt

from .._data import Scaling
from .arrays import Array, constant, where


def scale_rows(scaling: Scaling, rows: Array, missing: Array, dtype: npt.DTypeLike) -> Array:
    """Return rows as the network sees them, in float64; the mean where a cell is missing.

    Parameters
    ----------
    scaling : Scaling
        The columns' means and scales.
    rows : Array of shape (n_rows, n_encoded)
        The rows, in float64.
    missing : Array of bool of shape (n_rows, n_encoded)
        Which cells are missing.
    dtype : type
        The type that numbers are given in, whose range bounds them.
    """
    limit = float(np.finfo(dtype).max) ** (1 / 3)
    scaled = (rows - scaling.mean) / scaling.scale
    return where(missing, constant(0.0), scaled).clip(-limit, limit)


def restore_rows(scaling: Scaling, scaled: Array, dtype: npt.DTypeLike) -> Array:
    """Return rows of the network in the units of the table, within what the type can hold."""
    largest = float(np.finfo(dtype).max)
    low, high = scaling.bounds or (-largest, largest)
    return (scaled * scaling.scale + scaling.mean).clip(low, high)

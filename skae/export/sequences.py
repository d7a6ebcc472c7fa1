"""Sequences of a graph, which end at their last step with an observed cell."""

import math

import numpy as np

from .arrays import Array, constant, where


def hide_padding(rows: Array, missing: Array, shape: tuple[int, ...]) -> Array:
    """Return sequences with NaN beyond their ends, as `SequenceForm` does.

    Parameters
    ----------
    rows : Array of shape (n_rows, n_cells)
        The sequences, flat.
    missing : Array of bool of shape (n_rows, n_cells)
        Which cells were missing in those that the graph was given.
    shape : tuple of int
        `(n_steps,)` or `(n_steps, n_features)` of the longest sequence.
    """
    n_steps, n_features = shape[0], math.prod(shape[1:])
    is_observed = 1.0 - missing.cast(np.float64).reshape(-1, n_steps, n_features)
    ends = np.arange(1.0, n_steps + 1.0).reshape(-1, 1)  # of a sequence whose last step is this one
    lengths = (is_observed * ends).max(axis=2).max(axis=1).reshape(-1, 1, 1)
    is_padding = constant(ends) >= lengths + 1.0
    steps = rows.reshape(-1, n_steps, n_features)
    return where(is_padding, constant(np.nan), steps).reshape(-1, n_steps * n_features)

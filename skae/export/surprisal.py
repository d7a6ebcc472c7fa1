"""Piecewise linear functions, and the tails of an anomaly score, as parts of a graph."""

import numpy as np

from .._detection.anomaly_score import AnomalyScore, TailSurprisal
from .arrays import Array, log


def interpolate(x: Array, knots: np.ndarray, values: np.ndarray) -> Array:
    """Return a piecewise linear function of each column, constant beyond the knots.

    Parameters
    ----------
    x : Array of shape (n_rows, n_columns)
        The columns.
    knots : ndarray of shape (n_knots, n_columns)
        Where the function bends, in increasing order.
    values : ndarray of shape (n_knots,)
        Its values there.
    """
    # Two equal knots are a step, as they are to `numpy.interp`.
    gaps = np.maximum(np.diff(knots, axis=0), np.spacing(np.abs(knots[1:])))
    ramps = (x.reshape(-1, 1, knots.shape[1]) - knots[:-1]).clip(0.0, gaps)
    return (ramps * (np.diff(values)[:, None] / gaps)).sum(axis=1) + values[0]


def measure_surprisal(tails: TailSurprisal, x: Array) -> Array:
    """Return the surprisal (n_rows,) of rows, see `TailSurprisal`."""
    inside = interpolate(x, tails.knots, tails.nats)
    beyond = (x - tails.knots[-1]).clip(0.0, None) / tails.scale
    if tails.has_bend:
        beyond = log(beyond + 1.0)
    return (inside + beyond).sum(axis=1) / tails.knots.shape[1]


def combine_views(score: AnomalyScore, errors: Array, distances: Array) -> Array:
    """Return the anomaly scores (n_rows,) of rows with these errors and distances."""
    nats = measure_surprisal(score.by_error, errors)
    if score.left_out is not None:
        return nats
    nats = nats * score.weight
    return (nats + measure_surprisal(score.by_distance, distances) * 2.0) / (score.weight + 2)

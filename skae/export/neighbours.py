"""Distances to reference rows as parts of a graph."""

import numpy as np

from .._detection.neighbours import COPY_ROUNDING, N_NEIGHBOURS, NeighbourDistances
from .arrays import Array, choose, concatenate, constant, sqrt, square, where
from .completion import FilledRows


def measure_distances(
    known: NeighbourDistances, rows: FilledRows, is_whole: Array
) -> tuple[Array, Array]:
    """Return the distances (n_rows, 2) to the nearest row, and to the fifth usual one.

    Also return which rows (n_rows, 1) are copies of a reference row.

    Parameters
    ----------
    known : NeighbourDistances
        The reference rows.
    rows : FilledRows
        The rows.
    is_whole : Array of bool of shape ()
        Whether all of their cells are observed.
    """
    cells = rows.values * rows.seen
    sizes = np.square(known.rows) + (0.0 if known.variance is None else known.variance)
    lengths = square(cells).sum(axis=1, keepdims=True)
    size = choose(is_whole, lambda: constant(sizes.sum(axis=1)[None]), lambda: rows.seen @ sizes.T)
    distances = sqrt((size - (cells @ known.rows.T) * 2.0 + lengths).clip(0.0, None))
    radius = sqrt(lengths + float(known.rows.shape[1])) * COPY_ROUNDING + known.rounding
    distances = where(radius >= distances, constant(0.0), distances)
    n_neighbours = min(N_NEIGHBOURS, max(1, known.n_usual - 1))
    nearest = _find_nearest(distances, len(known.rows), 1)
    fifth = _find_nearest(distances.take(0, known.n_usual), known.n_usual, n_neighbours)
    return concatenate([nearest, fifth]), distances.smallest(1).equals(0.0)


def _find_nearest(distances: Array, n_known: int, count: int) -> Array:
    """Return the distance to that nearest row (n_rows, 1), not counting one copy."""
    least = distances.smallest(min(count + 1, n_known))
    is_copy = least.take(0, 1).equals(0.0)
    following = least.take(count, count + 1) if n_known > count else constant([[0.0]])
    return where(is_copy, following, least.take(count - 1, count))

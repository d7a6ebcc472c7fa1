"""Cells of the table, and the observed ones among them that are hidden to learn to fill them."""

import numpy as np

from ..modules.cells import CellLayout


def list_cells(layout: CellLayout) -> tuple[slice, ...]:
    """Return the encoded columns of each cell of a row, in their order."""
    singles = [(index, index + 1) for index in (*layout.numbers, *layout.booleans)]
    return tuple(slice(first, end) for first, end in sorted([*singles, *layout.categories]))


def hide_cells(
    observed: np.ndarray,
    cells: tuple[slice, ...],
    shares: tuple[float, float],
    generator: np.random.Generator,
) -> np.ndarray:
    """Return which observed cells to hide: a share of each row's, between the two given.

    A row keeps one observed cell at least, since nothing could be learnt from none.

    Parameters
    ----------
    observed : ndarray of bool of shape (n_rows, n_encoded)
        Which are observed.
    cells : tuple of slice
        The encoded columns of each cell.
    shares : tuple of float
        The least and the largest share.
    generator : numpy.random.Generator
        Source of the choice.
    """
    n_rows = len(observed)
    first = [own.start for own in cells]
    share = generator.uniform(*shares, n_rows)
    draws = np.where(observed[:, first], generator.random((n_rows, len(cells))), np.inf)
    hidden = draws < share[:, None]
    # The cell of the largest draw is the last to be hidden.
    last = np.where(np.isfinite(draws), draws, -1.0).argmax(axis=1)
    hidden[np.arange(n_rows), last] &= (~hidden & np.isfinite(draws)).any(axis=1)
    return np.repeat(hidden, [own.stop - own.start for own in cells], axis=1)

"""The attention's answers for missing cells of many rows, cell by cell."""

from collections.abc import Iterator

import numpy as np
import torch

from .._data import block_length
from .._environment import count_threads, limit_threads
from .row_attention import NEVER, RememberedRows, RowAttention

# Distances computed at a time, which stay in the processor's cache.
_BLOCK_CELLS = 2**18


def look_up_missing(
    module: RowAttention,
    filled: np.ndarray,
    observed: np.ndarray,
    wanted: np.ndarray,
    remembered: RememberedRows,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield, for each cell of a row, the rows in which it is wanted, and the parts of a step there.

    The parts (n_wanted, 2, n_own) are the way to the neighbours' mean, and their residuals.

    Parameters
    ----------
    module : RowAttention
        The attention.
    filled : ndarray of shape (n_rows, n_encoded)
        The rows with their linear answers.
    observed : ndarray of bool of shape (n_rows, n_encoded)
        Which cells are observed.
    wanted : ndarray of bool of shape (n_rows, n_encoded)
        Which cells to fill.
    remembered : RememberedRows
        The rows to look up; their precision is that of the answers.
    """
    dtype = remembered.values.dtype
    rows = torch.from_numpy(filled).to(dtype)
    mask = torch.from_numpy(observed).to(dtype)
    for cell, own in enumerate(module.cells):
        asked = np.flatnonzero(wanted[:, own.start])
        is_known = remembered.log_weight[:, own.start] > NEVER
        known = remembered.take(is_known.nonzero()[:, 0])
        n_known = len(known.values)
        if len(asked) == 0 or n_known == 0:
            yield asked, np.zeros((len(asked), 2, own.stop - own.start))
            continue
        length = block_length(n_known, _BLOCK_CELLS)
        flops = 4.0 * length * n_known * filled.shape[1]
        parts = []
        with torch.no_grad(), limit_threads(count_threads(flops)):
            for index in torch.from_numpy(asked).split(length):
                found = module.look_up(cell, rows[index], mask[index], known)
                way = found.values - rows[index][:, own]
                parts.append(torch.stack([way, found.residuals], dim=1))
        yield asked, torch.cat(parts).double().numpy()

"""A trained module applied to arrays, in blocks and in the arrays' own precision."""

import copy
from collections.abc import Callable, Iterator
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from .._blocks import Table, row_blocks
from .._environment import limited_threads, n_threads_for
from ..modules import EncoderDecoder

# Rows of a block, fewer of a wide table: what is computed at a time should stay in the cache,
# and be worth a call.
_BLOCK_ROWS = 4096
_BLOCK_CELLS = 2**19


class TrainedModule:
    """A module that won't change any more, and its twin in double precision.

    Networks train in float32. Rows of float64 pass through a float64 copy of the weights,
    so that the result of a row does not depend, within 1e-7, on the rows beside it.

    Parameters
    ----------
    module : skae.modules.EncoderDecoder
        The module, in float32.
    """

    def __init__(self, module: EncoderDecoder) -> None:
        self.module = module.eval()
        self._n_weights = sum(parameter.numel() for parameter in module.parameters())
        self._twin: EncoderDecoder | None = None

    def in_precision(self, dtype: torch.dtype) -> EncoderDecoder:
        """Return the module, or its float64 twin, which is made when first asked for."""
        if dtype != torch.float64:
            return self.module
        if self._twin is None:
            twin = copy.deepcopy(self.module)
            if _device_of(twin).type == "mps":  # which has no float64
                twin = twin.cpu()
            self._twin = twin.double()
        return self._twin

    @property
    def device(self) -> torch.device:
        """Where the module is."""
        return _device_of(self.module)

    def apply(
        self,
        function: Callable[[EncoderDecoder, Tensor], Tensor],
        X: Table,
        prepare: Callable[[np.ndarray], np.ndarray] = np.ascontiguousarray,
        block: int | None = None,
        finish: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> np.ndarray:
        """Return `finish(function(module, prepare(X)))`, computed in blocks of rows.

        Parameters
        ----------
        function : callable
            Maps the module and a tensor of `n` rows to a tensor of `n` rows.
        X : ndarray of shape (n_rows, n_columns), or a stored table
            The rows.
        prepare : callable
            Maps rows of `X` to rows of float32 or float64, which sets the precision.
        block : int, default=None
            Rows at a time; None is as many as the processor's cache likes.
        finish : callable, default=None
            Maps a block of what `function` gave to one of what is returned.
        """
        if block is None:
            block = max(1, min(_BLOCK_ROWS, _BLOCK_CELLS // max(X.shape[1], 1)))
        out: np.ndarray | None = None
        first = 0
        flops = 2.0 * min(block, len(X)) * self._n_weights
        with limited_threads(n_threads_for(flops)), torch.no_grad():
            for rows in _parts(X, block):
                prepared = torch.from_numpy(prepare(rows))
                module = self.in_precision(prepared.dtype)
                part = function(module, prepared.to(_device_of(module))).cpu().numpy()
                part = part if finish is None else finish(part)
                if out is None:
                    out = np.empty((len(X), *part.shape[1:]), dtype=part.dtype)
                out[first : first + len(part)] = part
                first += len(part)
        return np.empty(0) if out is None else out


def _parts(X: Table, block: int) -> Iterator[np.ndarray]:
    """Yield blocks of rows; of a stored table many at a time are read."""
    for near in row_blocks(X, block * max(1, _BLOCK_ROWS // block)):
        rows = X[near]
        for first in range(0, len(rows), block):
            yield rows[first : first + block]


def _device_of(module: EncoderDecoder) -> torch.device:
    """Return where a module is; a filter has buffers alone."""
    return next(chain(module.parameters(), module.buffers())).device

"""A trained module applied to arrays, in blocks and in the arrays' own precision."""

import copy
from collections.abc import Callable, Iterator
from itertools import chain
from operator import is_
from typing import Generic

import numpy as np
import torch
from torch import Tensor, nn

from .._data import (
    AnyRows,
    Batch,
    Complete,
    CompletedRows,
    Rows,
    Table,
    block_length,
    row_blocks,
    subsample_indices,
)
from .._environment import count_threads, isolate_torch, limit_threads
from ..modules import Bypass
from ..modules.single_precision import SinglePrecision
from .objective import Module
from .workload import count_products

# Rows of a block, fewer of a wide table: the work on a block should stay in the cache, and be
# worth a call.
_BLOCK_ROWS = 4096
_BLOCK_CELLS = 2**19

# Rows that a trained network is tried on, at least.
_LEAST_TRIED = 256


class _Weights:
    """The weights of a module as they were: whether they still are takes a microsecond each.

    A change by way of `Tensor.data`, which torch itself does not notice, is not seen.

    Parameters
    ----------
    module : torch.nn.Module
        The module.
    """

    def __init__(self, module: nn.Module) -> None:
        self._parts = [
            (owned, dict(owned))
            for part in module.modules()
            for owned in (part._modules, part._parameters, part._buffers)
            if owned
        ]
        tensors = chain(module.parameters(), module.buffers())
        # The aliases keep the memory, so that no other weights can be at its address.
        self._tensors = [
            (one, one.detach(), one.data_ptr(), _count_changes(one)) for one in tensors
        ]

    def are_current(self) -> bool:
        """Whether no weight was changed in place or replaced."""
        return all(
            owned.keys() == found.keys() and all(map(is_, owned.values(), found.values()))
            for owned, found in self._parts
        ) and all(
            tensor.data_ptr() == address and _count_changes(tensor) == n_changes
            for tensor, _, address, n_changes in self._tensors
        )


def _count_changes(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


class TrainedModule(Generic[Module]):
    """A module that was trained, and its copy in double precision.

    Networks train in float32. Rows of float64 pass through a float64 copy of the weights, so
    that the result of a row does not depend, within 1e-7, on the rows of the same block. Copies
    are made anew once the weights have changed.

    Parameters
    ----------
    module : skae.modules.EncoderDecoder
        The module, in float32.
    n_features : int or None, default=None
        Number of columns of its rows, to know how much work one is; None counts weights.
    """

    def __init__(self, module: Module, n_features: int | None = None) -> None:
        self.module: Module = module.eval()
        self._n_products = count_products(module, n_features)
        self._double: tuple[Module, _Weights] | None = None
        self._mixed: tuple[Module, _Weights] | None = None

    def in_precision(self, dtype: torch.dtype) -> Module:
        """Return the module, or its float64 copy, which is made when first asked for."""
        if self.module.training:  # again, by a user
            self.module.eval()
        if dtype != torch.float64:
            return self.module
        known = self._double
        if known is None or not known[1].are_current():
            weights, copied = _Weights(self.module), copy.deepcopy(self.module)
            if _find_device(copied).type == "mps":  # which has no float64
                copied = copied.cpu()
            known = self._double = copied.double(), weights
        return known[0]

    def in_mixed_precision(self) -> Module:
        """Return a copy in float64 whose networks beside a linear path compute in float32.

        A network's rounding is relative to what it adds to the linear path. On other devices than
        the processor it is the float64 copy.
        """
        known = self._mixed
        if known is None or not known[1].are_current():  # nor after a move to a device
            if self.device.type != "cpu":
                return self.in_precision(torch.float64)
            self.module.eval()
            weights, copied = _Weights(self.module), copy.deepcopy(self.module).double()
            pairs = zip(list(copied.modules()), list(self.module.modules()), strict=True)
            for part, single in pairs:
                if not isinstance(part, Bypass) or not isinstance(single, Bypass):
                    continue
                if single.nonlinear is not None:
                    part.nonlinear = SinglePrecision(copy.deepcopy(single.nonlinear).eval())
            known = self._mixed = copied, weights
        return known[0]

    @property
    def device(self) -> torch.device:
        """The device that the module is on."""
        return _find_device(self.module)

    def check_outputs(
        self, rows: AnyRows, measure: Callable[[Module, Tensor], Tensor], lr: float | str
    ) -> None:
        """Raise unless training left a network that can be used on the rows that it has seen.

        Finite weights can be so large that their products overflow.

        Parameters
        ----------
        rows : Rows or StoredRows
            Training rows, of which up to 4,096 are tried, fewer of a wide table.
        measure : callable
            Maps the module and rows to a number for each row.
        lr : float or str
            The learning rate, for the message.
        """
        n_tried = max(_LEAST_TRIED, _choose_block(rows.n_features))
        part = rows.take(subsample_indices(len(rows), n_tried)).table
        if not np.isfinite(self.apply(measure, part)).all():
            raise ValueError(
                "training diverged: the network's outputs for its training rows are not finite. "
                f"Lower lr, which is {lr!r}"
            )

    def apply(
        self,
        function: Callable[[Module, Tensor], Tensor],
        X: Table,
        prepare: Callable[[np.ndarray], np.ndarray] = np.ascontiguousarray,
        block: int | None = None,
        finish: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> np.ndarray:
        """Return `finish(function(module, prepare(X)))` of complete rows, in blocks of them.

        Parameters
        ----------
        function : callable
            Maps the module and a tensor of `n` rows to a tensor of `n` rows.
        X : ndarray of shape (n_rows, n_columns), or a stored table
            The rows.
        prepare : callable
            Maps rows of `X` to rows of float32 or float64, which sets the precision.
        block : int, default=None
            Rows at a time; None is as many as suit the processor's cache.
        finish : callable, default=None
            Maps a block of outputs to a block of the result.
        """
        return self.apply_to_batches(
            lambda module, batch: function(module, batch.input),
            X,
            lambda rows: CompletedRows(prepare(rows)),
            block,
            finish,
        )

    def apply_to_rows(
        self, function: Callable[[Module, Batch], Tensor], rows: Rows, block: int | None = None
    ) -> np.ndarray:
        """Return `function(module, batch)` of rows in memory, in float64 and in blocks of rows.

        Parameters
        ----------
        function : callable
            Maps the module and a batch of `n` rows to a tensor of `n` rows.
        rows : Rows
            The rows.
        block : int, default=None
            Rows at a time; None is as many as suit the processor's cache.
        """
        if block is None:
            block = _choose_block(rows.n_features)
        batch = rows.batch.to(torch.device("cpu"))  # MPS has no float64
        batch = batch._replace(input=batch.input.double())
        return self._run(function, batch.split(block), len(rows), block, None)

    def apply_to_batches(
        self,
        function: Callable[[Module, Batch], Tensor],
        X: Table,
        prepare: Complete,
        block: int | None = None,
        finish: Callable[[np.ndarray], np.ndarray] | None = None,
        is_mixed: bool = False,
    ) -> np.ndarray:
        """Return `finish(function(module, prepare(X)))`, computed in blocks of rows.

        Parameters
        ----------
        function : callable
            Maps the module and a batch of `n` rows to a tensor of `n` rows.
        X : ndarray of shape (n_rows, n_columns), or a stored table
            The rows.
        prepare : callable
            Maps rows of `X` to completed ones of float32 or float64, which sets the precision.
        block : int, default=None
            Rows at a time; None is as many as suit the processor's cache.
        finish : callable, default=None
            Maps a block of outputs to a block of the result.
        is_mixed : bool, default=False
            Whether networks compute in float32 for rows of float64.
        """
        if block is None:
            block = _choose_block(X.shape[1])
        batches = (prepare(rows).to_batch() for rows in _read_blocks(X, block))
        return self._run(function, batches, len(X), block, finish, is_mixed)

    def apply_to_completed(
        self, function: Callable[[Module, Batch], Tensor], rows: CompletedRows, block: int
    ) -> np.ndarray:
        """Return `function(module, batch)` of rows, with networks in float32.

        Parameters
        ----------
        function : callable
            Maps the module and a batch of `n` rows to a tensor of `n` rows.
        rows : CompletedRows
            The rows, in float64.
        block : int
            Rows at a time.
        """
        batches = rows.to_batch().split(block)
        return self._run(function, batches, len(rows.values), block, None, True)

    def _run(
        self,
        function: Callable[[Module, Batch], Tensor],
        batches: Iterator[Batch],
        n_rows: int,
        block: int,
        finish: Callable[[np.ndarray], np.ndarray] | None,
        is_mixed: bool = False,
    ) -> np.ndarray:
        out: np.ndarray | None = None
        first = 0
        # Networks in float32 have products of a fixed length, and round alike for any rows.
        length = SinglePrecision.length if is_mixed else min(block, n_rows)
        n_threads = count_threads(2.0 * length * self._n_products)
        with isolate_torch(), limit_threads(n_threads), torch.no_grad():
            for batch in batches:
                if is_mixed:
                    module = self.in_mixed_precision()
                else:
                    module = self.in_precision(batch.input.dtype)
                part = function(module, batch.to(_find_device(module))).cpu().numpy()
                part = part if finish is None else finish(part)
                if out is None:
                    out = np.empty((n_rows, *part.shape[1:]), dtype=part.dtype)
                out[first : first + len(part)] = part
                first += len(part)
        return np.empty(0) if out is None else out


def _choose_block(n_columns: int) -> int:
    return block_length(n_columns, _BLOCK_CELLS, _BLOCK_ROWS)


def _read_blocks(X: Table, length: int) -> Iterator[np.ndarray]:
    """Yield blocks of rows; of a stored table many at a time are read."""
    for near in row_blocks(X, length * max(1, _BLOCK_ROWS // length)):
        rows = X[near]
        for first in range(0, len(rows), length):
            yield rows[first : first + length]


def _find_device(module: Module) -> torch.device:
    """Return the device of a module's tensors; a filter has buffers alone."""
    return next(chain(module.parameters(), module.buffers())).device

"""Dask's arrays and frames: small ones are loaded, others read by their blocks.

Dask is imported only where a collection of its has already brought it in.
"""

from collections.abc import Sequence
from typing import Any, final

import numpy as np
import pandas as pd

from .datasets import PartedRows
from .stores import is_large

# Modules of collections that are arrays and frames; those of dask.delayed seem to be anything.
_COLLECTIONS = ("dask.array", "dask.dataframe", "dask_expr")


def is_dask_frame(X: Any) -> bool:
    """Whether a table is a `dask.dataframe.DataFrame`."""
    return _is_dask(X) and isinstance(getattr(X, "_meta", None), pd.DataFrame)


def is_dask_array(X: Any) -> bool:
    """Whether a table is a `dask.array.Array`."""
    return _is_dask(X) and hasattr(type(X), "chunks")


def _is_dask(X: Any) -> bool:
    """Whether an object is an array, frame or series of dask, or a number of one."""
    return type(X).__module__.startswith(_COLLECTIONS) and hasattr(type(X), "__dask_graph__")


def join_columns(X: Any) -> Any:
    """Return a dask array whose blocks hold whole rows; raise if it has no known columns."""
    if any(np.isnan(length) for length in X.shape[1:]):
        raise ValueError(
            f"X must have a known number of columns, got a dask array of shape {X.shape}: call "
            "X.compute_chunk_sizes()"
        )
    split = {axis: -1 for axis in range(1, X.ndim) if len(X.chunks[axis]) > 1}
    return X.rechunk(split) if split else X


def open_dask(X: Any) -> Any:
    """Return a large dask collection as rows to be read, a small one loaded, all else as it is.

    Where Dask doesn't know how many rows there are, its blocks are computed once to count them.
    """
    if is_dask_frame(X):
        parts = list(X.to_delayed())
        counts = _count_rows(parts)
        is_read = is_large((sum(counts), len(X.columns)))
        return DaskFrameRows(X._meta, parts, counts) if is_read else X.compute()
    if is_dask_array(X) and X.ndim > 1:
        X = join_columns(X)
        parts = list(X.to_delayed().ravel())
        is_known = not any(np.isnan(X.chunks[0]))
        counts = list(X.chunks[0]) if is_known else _count_rows(parts)
        if not is_large((sum(counts), *X.shape[1:])):
            return X.compute()
        return DaskArrayRows(np.empty((0, *X.shape[1:]), X.dtype), parts, counts)
    return X


def load_dask(X: Any) -> Any:
    """Return a dask collection loaded, and all else as it is."""
    return X.compute() if _is_dask(X) else X


def _count_rows(parts: Sequence[Any]) -> list[int]:
    import dask

    return list(dask.compute(*map(dask.delayed(len), parts)))


class _DaskRows(PartedRows):
    """The rows of a dask collection.

    Parameters
    ----------
    head : frame or ndarray
        The collection without rows.
    parts : sequence of dask.delayed.Delayed
        Its partitions or blocks, of whole rows.
    counts : sequence of int
        Their numbers of rows.
    """

    def __init__(self, head: Any, parts: Sequence[Any], counts: Sequence[int]) -> None:
        super().__init__(head, counts)
        self._parts = parts

    def _fetch(self, part: int) -> Any:
        return self._parts[part].compute()


@final
class DaskFrameRows(_DaskRows):
    """The rows of a dask frame; a part is a partition."""

    @staticmethod
    def _cut(table: Any, first: int, last: int) -> Any:
        return table.iloc[first:last]

    @staticmethod
    def _join(tables: list[Any]) -> Any:
        return pd.concat(tables)


@final
class DaskArrayRows(_DaskRows):
    """The rows of a dask array; a part is a block of whole rows. It is a store."""

    def __getitem__(self, rows: slice) -> np.ndarray:
        block: np.ndarray = self.read(rows)
        return block

    def _fetch(self, part: int) -> Any:
        return np.asarray(super()._fetch(part))

    @staticmethod
    def _cut(table: Any, first: int, last: int) -> Any:
        return table[first:last]

    @staticmethod
    def _join(tables: list[Any]) -> Any:
        return tables[0] if len(tables) == 1 else np.concatenate(tables)

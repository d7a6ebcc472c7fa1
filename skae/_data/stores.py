"""Tables that stay in their store: read block by block, and never whole."""

import math
import mmap
from typing import Any, final

import numpy as np
import torch
from sklearn.utils.validation import check_array

from .blocks import row_blocks, subsample_indices
from .cells import Cell, name_cells
from .inputs import convert_input

# Tables of up to 256 MiB as float32 are loaded: little beside what importing torch takes, and
# training then shuffles the table as a whole.
LOADED_UP_TO = 2**28

# Tables of fewer rows are loaded whatever their size: training would split them into folds.
_LOADED_ROWS = 500

# Attributes of tables that know how to become an array: data frames, sparse matrices.
_NO_STORE = ("iloc", "columns", "toarray", "__array_namespace__", "__dataframe__")

# How much of a memmap is read before its pages are unmapped.
_MAPPED_BYTES = 2**26

# A subsample that stands for a stored table has at least and at most so many rows.
_SUBSAMPLE_ROWS = (1000, 200_000)

FLOATS = (np.dtype(np.float64), np.dtype(np.float32))


def is_store(X: Any) -> bool:
    """Whether a table is read by slices of rows: a memmap, or an array of h5py or zarr."""
    if isinstance(X, np.ndarray):
        return isinstance(X, np.memmap)
    if isinstance(X, StoredTable | TablePart):
        return True
    if isinstance(X, torch.Tensor) or any(hasattr(X, name) for name in _NO_STORE):
        return False
    shape = getattr(X, "shape", None)
    if not isinstance(shape, tuple) or len(shape) == 0 or not hasattr(X, "__getitem__"):
        return False
    return all(isinstance(n, int | np.integer) for n in shape)


def is_large(shape: tuple[int, ...]) -> bool:
    """Whether a table of that shape is read in blocks."""
    return shape[0] >= _LOADED_ROWS and 4 * math.prod(shape) > LOADED_UP_TO


def subsample_size(n_columns: int) -> int:
    """Return how many rows of a stored table represent it where not all are needed."""
    least, most = _SUBSAMPLE_ROWS
    return max(least, min(most, LOADED_UP_TO // (4 * n_columns)))


def open_table(X: Any, estimator: Any) -> Any:
    """Return a large table as a `StoredTable`, a small store loaded, and all else as it is.

    Parameters
    ----------
    X : object
        A table as users pass it.
    estimator : object
        Named in errors.
    """
    is_array = type(X) is np.ndarray
    if not (is_array or is_store(X)):
        return X
    if len(X.shape) == 0 or math.prod(X.shape) == 0 or not is_large(X.shape):
        return X if is_array else convert_input(np.asarray(X[0 : X.shape[0]]), "X")
    # scikit-learn's check has the messages for other shapes.
    first = convert_input(np.asarray(X[0:1]), "X")
    with name_cells(first, "X", allow_nan=True):
        check_array(first, dtype=FLOATS, ensure_all_finite=False, estimator=estimator)
    return StoredTable(X)


@final
class StoredTable:
    """A table in a store, or a large array, whose blocks are finite and of one precision.

    Parameters
    ----------
    source : object
        Anything that has a `shape` and takes slices of rows.
    """

    def __init__(self, source: Any) -> None:
        self.source = source
        self.shape: tuple[int, int] = (int(source.shape[0]), int(source.shape[1]))
        kind = np.asarray(source[0:1]).dtype
        self.dtype: np.dtype = kind if kind in FLOATS else np.dtype(np.float64)
        self._n_mapped = 0

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ends(self) -> np.ndarray:
        """Index of the first row of each part that is read as a whole, and one beyond the last."""
        ends: np.ndarray = getattr(self.source, "ends", np.array([0, len(self)]))
        return ends

    def __getitem__(self, rows: slice) -> np.ndarray:
        first, last, _ = rows.indices(len(self))
        block = np.asarray(self.source[first:last])
        with name_cells(block, "X", first, allow_nan=True):
            block = block.astype(self.dtype, copy=False)
        expected = (max(last - first, 0), self.shape[1])
        if block.shape != expected:
            raise ValueError(
                f"X must give an array of shape {expected} for rows {first} to {last}, got shape "
                f"{block.shape}; its shape attribute says {self.shape}"
            )
        self._release_pages(block.nbytes)
        self._check(block, np.arange(first, last))
        return block

    def _check(self, block: np.ndarray, indices: np.ndarray) -> None:
        if not getattr(self.source, "is_checked", False):
            _check_finite(block, indices)

    def _release_pages(self, n_bytes: int) -> None:
        """Unmap the pages of a memmap now and then: they count as this process's memory.

        They stay in the system's cache of the file. The pages of a copy-on-write memmap hold
        changes that would be lost.
        """
        self._n_mapped += n_bytes
        mapped = getattr(self.source, "_mmap", None)
        if self._n_mapped < _MAPPED_BYTES or not isinstance(mapped, mmap.mmap):
            return
        if self.source.mode != "c" and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)
        self._n_mapped = 0

    def take(self, indices: np.ndarray) -> np.ndarray:
        """Return the rows of these sorted indices, in memory."""
        out = np.empty((len(indices), self.shape[1]), dtype=self.dtype)
        for block in row_blocks(self):
            begin, end = np.searchsorted(indices, [block.start, block.stop])
            if begin < end:
                own = indices[begin:end]
                first = own[0]
                # Of an array this is a view, so that no other rows are read.
                near = np.asarray(self.source[int(first) : int(own[-1]) + 1])
                with name_cells(near, "X", int(first), allow_nan=True):
                    out[begin:end] = near[own - first]
                self._release_pages(near.nbytes)
                self._check(out[begin:end], own)
        return out


@final
class TablePart:
    """A table without some of its rows.

    Parameters
    ----------
    table : StoredTable, TablePart or TableRange
        The whole.
    without : ndarray of int
        Sorted indices of the rows that are left out.
    """

    def __init__(self, table: "StoredTable | TablePart | TableRange", without: np.ndarray) -> None:
        self.table = table
        self.without = without
        self.shape: tuple[int, int] = (len(table) - len(without), table.shape[1])
        self.dtype: np.dtype = table.dtype
        # Index, within the part, of the first row behind each row that is left out.
        self._behind = without - np.arange(len(without))

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ends(self) -> np.ndarray:
        """As those of the whole table."""
        ends = self.table.ends
        return ends - np.searchsorted(self.without, ends)

    def __getitem__(self, rows: slice) -> np.ndarray:
        first, last, _ = rows.indices(len(self))
        if last <= first:
            return self.table[0:0]
        begin, final_index = self._whole_indices(np.array([first, last - 1])).tolist()
        end = final_index + 1
        block = self.table[begin:end]
        inside = slice(*np.searchsorted(self.without, [begin, end]))
        dropped = self.without[inside] - begin
        return np.delete(block, dropped, axis=0) if len(dropped) else block

    def take(self, indices: np.ndarray) -> np.ndarray:
        """Return the rows of these sorted indices, in memory."""
        return self.table.take(self._whole_indices(indices))

    def _whole_indices(self, indices: np.ndarray) -> np.ndarray:
        return indices + np.searchsorted(self._behind, indices, side="right")


@final
class TableRange:
    """Neighbouring rows of a table.

    Parameters
    ----------
    table : StoredTable, TablePart or TableRange
        The whole.
    first, end : int
        Index of the first row, and one beyond the last.
    """

    def __init__(self, table: "StoredTable | TablePart | TableRange", first: int, end: int) -> None:
        self.table = table
        self.first = first
        self.shape: tuple[int, int] = (end - first, table.shape[1])
        self.dtype: np.dtype = table.dtype

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ends(self) -> np.ndarray:
        """As those of the whole table, as far as they lie within."""
        return np.unique(np.clip(self.table.ends - self.first, 0, len(self)))

    def __getitem__(self, rows: slice) -> np.ndarray:
        first, last, _ = rows.indices(len(self))
        return self.table[self.first + first : self.first + max(first, last)]

    def take(self, indices: np.ndarray) -> np.ndarray:
        """Return the rows of these sorted indices, in memory."""
        return self.table.take(self.first + indices)


#: A table as it is worked with: in memory, or left in its store.
AnyTable = np.ndarray | StoredTable | TablePart | TableRange


def take_rows(table: AnyTable, indices: np.ndarray) -> np.ndarray:
    """Return the rows of these indices, in memory; of a stored table they must be sorted."""
    return table[indices] if isinstance(table, np.ndarray) else table.take(indices)


def load_rows(table: AnyTable) -> np.ndarray:
    """Return all rows of a table, in memory."""
    return table if isinstance(table, np.ndarray) else table[0 : len(table)]


def load_subsample(table: AnyTable) -> np.ndarray:
    """Return a table's rows, or the subsample that represents a stored one."""
    return table if isinstance(table, np.ndarray) else subsample_store(table)[1]


def subsample_store(table: StoredTable | TablePart | TableRange) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the rows that represent a stored table, and the rows."""
    indices = subsample_indices(len(table), subsample_size(table.shape[1]))
    return indices, table.take(indices)


def _check_finite(block: np.ndarray, indices: np.ndarray) -> None:
    """Raise if a value is infinite, and say where; NaN is a missing cell."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(block.sum()):  # the quick way, as in scikit-learn
            return
    wrong = np.isinf(block)
    if wrong.any():
        row, column = (int(found[0]) for found in np.nonzero(wrong))
        cell = Cell(column, int(indices[row]), block[row, column])
        raise ValueError(cell.describe("X", allow_nan=True))

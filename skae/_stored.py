"""Tables that stay where they are: read block by block, and never whole."""

import math
import mmap
from typing import Any, final

import numpy as np
import torch
from sklearn.utils.validation import check_array

from ._blocks import evenly, row_blocks

# Tables of up to 256 MiB as float32 are loaded: little beside what importing torch takes,
# and then fits are those of arrays, shuffled as a whole.
LOADED_UP_TO = 2**28

# So are those of so few rows that training would go through them in folds.
_LOADED_ROWS = 500

# What marks tables that have ways of their own into an array: data frames, sparse matrices.
_NO_STORE = ("iloc", "columns", "toarray", "__array_namespace__", "__dataframe__")

# What is read of a memmap before its pages are unmapped.
_MAPPED_BYTES = 2**26

_FLOATS = (np.dtype(np.float64), np.dtype(np.float32))


def is_store(X: Any) -> bool:
    """Whether a table is one to be read by slices of rows: a memmap, h5py, zarr or dask."""
    if isinstance(X, np.ndarray):
        return isinstance(X, np.memmap)
    if isinstance(X, StoredTable | TablePart):
        return True
    if isinstance(X, torch.Tensor) or any(hasattr(X, name) for name in _NO_STORE):
        return False
    shape = getattr(X, "shape", None)
    if not isinstance(shape, tuple) or len(shape) == 0 or not hasattr(X, "__getitem__"):
        return False
    return all(isinstance(n, int | np.integer) for n in shape)  # dask may not know them


def is_large(shape: tuple[int, ...]) -> bool:
    """Whether a table of that shape is to be read in blocks."""
    return shape[0] >= _LOADED_ROWS and 4 * math.prod(shape) > LOADED_UP_TO


def some_at_most(n_columns: int) -> int:
    """Return how many rows of a stored table stand for it, where not all are needed."""
    return max(1000, min(200_000, LOADED_UP_TO // (4 * n_columns)))


def left_in_place(X: Any, estimator: Any) -> Any:
    """Return a large table as a `StoredTable`, a small store loaded, and the rest as it is.

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
    if math.prod(X.shape) == 0 or not is_large(X.shape):
        return X if is_array else np.asarray(X[0 : X.shape[0]])
    check_array(
        np.asarray(X[0:1]), dtype=_FLOATS, ensure_all_finite=False, estimator=estimator
    )  # which knows what to say of other shapes, complex numbers and strings
    return StoredTable(X)


@final
class StoredTable:
    """A table in a store, or a large array: blocks of it are finite and of one precision.

    Parameters
    ----------
    source : object
        What has a `shape` and takes slices of rows.
    """

    def __init__(self, source: Any) -> None:
        self.source = source
        self.shape: tuple[int, int] = (int(source.shape[0]), int(source.shape[1]))
        kind = np.asarray(source[0:1]).dtype
        self.dtype: np.dtype = kind if kind in _FLOATS else np.dtype(np.float64)
        self._n_mapped = 0

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        first, last, _ = rows.indices(len(self))
        block = np.asarray(self.source[first:last]).astype(self.dtype, copy=False)
        if block.shape != (max(last - first, 0), self.shape[1]):
            raise ValueError(
                f"rows {first} to {last} of X came in an array of shape {block.shape}, expected "
                f"({last - first}, {self.shape[1]})"
            )
        self._let_go(block.nbytes)
        _check_finite(block, np.arange(first, last))
        return block

    def _let_go(self, n_bytes: int) -> None:
        """Unmap what was read of a memmap now and then, or it all counts as ours in the end.

        It stays in the system's cache of the file. A memmap that is a copy on write has
        changes that would be lost.
        """
        self._n_mapped += n_bytes
        mapped = getattr(self.source, "_mmap", None)
        if self._n_mapped < _MAPPED_BYTES or not isinstance(mapped, mmap.mmap):
            return
        if self.source.mode != "c" and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)
        self._n_mapped = 0

    def take(self, numbers: np.ndarray) -> np.ndarray:
        """Return the rows of these numbers, which must be sorted, in memory."""
        out = np.empty((len(numbers), self.shape[1]), dtype=self.dtype)
        for block in row_blocks(self):
            begin, end = np.searchsorted(numbers, [block.start, block.stop])
            if begin < end:
                own = numbers[begin:end]
                first = own[0]
                # Of an array that is a view, so that no other rows are read.
                near = np.asarray(self.source[int(first) : int(own[-1]) + 1])
                out[begin:end] = near[own - first]
                self._let_go(near.nbytes)
                _check_finite(out[begin:end], own)
        return out


@final
class TablePart:
    """A table less some of its rows.

    Parameters
    ----------
    table : StoredTable
        The whole.
    without : ndarray of int
        Sorted numbers of the rows that are left out.
    """

    def __init__(self, table: "StoredTable | TablePart", without: np.ndarray) -> None:
        self.table = table
        self.without = without
        self.shape: tuple[int, int] = (len(table) - len(without), table.shape[1])
        self.dtype: np.dtype = table.dtype
        # Number of the first row of the part behind each row that is left out.
        self._behind = without - np.arange(len(without))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        first, last, _ = rows.indices(len(self))
        if last <= first:
            return self.table[0:0]
        begin, last_place = self._places(np.array([first, last - 1])).tolist()
        end = last_place + 1
        block = self.table[begin:end]
        inside = slice(*np.searchsorted(self.without, [begin, end]))
        dropped = self.without[inside] - begin
        return np.delete(block, dropped, axis=0) if len(dropped) else block

    def take(self, numbers: np.ndarray) -> np.ndarray:
        """Return the rows of these numbers, which must be sorted, in memory."""
        return self.table.take(self._places(numbers))

    def _places(self, numbers: np.ndarray) -> np.ndarray:
        return numbers + np.searchsorted(self._behind, numbers, side="right")


def taken(table: "np.ndarray | StoredTable | TablePart", numbers: np.ndarray) -> np.ndarray:
    """Return the rows of these numbers, in memory; of a stored table they must be sorted."""
    return table[numbers] if isinstance(table, np.ndarray) else table.take(numbers)


def held(table: "np.ndarray | StoredTable | TablePart") -> np.ndarray:
    """Return a table's rows, or those that stand for a stored one's."""
    return table if isinstance(table, np.ndarray) else some_of(table)[1]


def some_of(table: StoredTable | TablePart) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of evenly spread rows that stand for a table, and the rows."""
    numbers = evenly(len(table), some_at_most(table.shape[1]))
    return numbers, table.take(numbers)


def _check_finite(block: np.ndarray, numbers: np.ndarray) -> None:
    """Raise if a value is missing or infinite, and say where."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(block.sum()):  # the quick way, as scikit-learn has it
            return
    wrong = ~np.isfinite(block)
    if wrong.any():
        row, column = (int(place[0]) for place in np.nonzero(wrong))
        value = "NaN" if np.isnan(block[row, column]) else "infinity"
        raise ValueError(
            f"Input X contains {value}, first in row {numbers[row]} and column {column}; expected "
            "finite numbers"
        )

"""Rows with shapes, such as images and sequences, as flat rows and back."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..modules.architectures import are_alike

#: The shape of a row; None is a flat one.
RowShape = tuple[int, ...] | None


@dataclass(frozen=True)
class RowForm:
    """The form in which rows were given, which results take.

    Attributes
    ----------
    shape : tuple of int or None
        The shape of a row; None is a flat one.
    """

    shape: RowShape = None

    def restore(self, rows: Any) -> Any:
        """Return an array of flat rows in the form; frames as they are."""
        if self.shape is None or not isinstance(rows, np.ndarray):
            return rows
        return rows.reshape(len(rows), *self.shape)


def flatten_rows(X: Any) -> tuple[Any, RowShape]:
    """Return a table with flat rows, and the shape that they had.

    Parameters
    ----------
    X : object
        A table as users pass it. Arrays, tensors, stores and lists of two axes, and all that is
        none of these, are returned as they are.
    """
    if type(X) in (list, tuple) and _is_nested(X):
        try:
            X = np.array(X)
        except ValueError:  # ragged: scikit-learn says so
            return X, None
    shape = getattr(X, "shape", None)
    if not isinstance(shape, tuple) or len(shape) < 3:
        return X, None
    row_shape = tuple(int(length) for length in shape[1:])
    if isinstance(X, np.ndarray | torch.Tensor):
        return X.reshape(shape[0], math.prod(row_shape)), row_shape
    return FlatStore(X, row_shape), row_shape


def find_row_shape(X: Any) -> RowShape:
    """Return the shape of a table's rows."""
    return flatten_rows(X)[1]


def check_has_rows(X: Any, expected: RowShape) -> None:
    """Raise for a single row with its shape, in the place of a table of such rows.

    Parameters
    ----------
    X : object
        A table as users pass it.
    expected : tuple of int or None
        The shape of a row; None is a flat one.
    """
    shape = getattr(X, "shape", None)
    if expected is None or not isinstance(shape, tuple) or shape != expected:
        return
    if math.prod(shape[1:]) != math.prod(expected):  # rows of another shape otherwise
        raise ValueError(
            f"X must have rows of the shape {expected}, as in fit, got a single one of them: pass "
            "X[None]"
        )


def check_row_shape(row_shape: RowShape, expected: RowShape, n_features: int) -> None:
    """Raise if rows have another shape than in `fit`, up to axes of length 1; flat ones may come.

    Parameters
    ----------
    row_shape : tuple of int or None
        The shape of the rows.
    expected : tuple of int or None
        The shape that they had.
    n_features : int
        How many cells they had.
    """
    if row_shape is None:
        return
    known = (n_features,) if expected is None else expected
    if not are_alike(row_shape, known):
        raise ValueError(
            f"X must have rows of the shape {known}, as in fit, or flat ones of {n_features} "
            f"columns, got rows of the shape {row_shape}: reshape X"
        )


class FlatStore:
    """A store of rows with a shape, such as an array of h5py or zarr, read as flat rows.

    Parameters
    ----------
    source : object
        Anything that has a `shape` and takes slices of rows.
    row_shape : tuple of int
        The shape of its rows.
    """

    def __init__(self, source: Any, row_shape: tuple[int, ...]) -> None:
        self.source = source
        self.shape = (source.shape[0], math.prod(row_shape))
        #: As in a `StoredTable`.
        self.ends = getattr(source, "ends", np.array([0, source.shape[0]]))

    def __len__(self) -> int:
        return int(self.shape[0])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[0 : len(self)].astype(dtype or float, copy=False)

    def __getitem__(self, rows: slice) -> np.ndarray:
        block = np.asarray(self.source[rows])
        return block.reshape(len(block), self.shape[1])


def _is_nested(X: Any) -> bool:
    """Whether a list has rows that are no lists of cells, but of lists or arrays."""
    first = X[0] if len(X) else None
    if isinstance(first, list | tuple) and len(first):
        return isinstance(first[0], list | tuple | np.ndarray)
    return isinstance(first, np.ndarray | torch.Tensor) and first.ndim > 1

"""What users pass as a table, as an array or a frame; what is none, refused."""

from collections import Counter
from typing import Any

import numpy as np
import torch
from scipy import sparse

from .cells import find_temporal_column
from .no_tables import check_kind


def convert_input(X: Any, name: str) -> Any:
    """Return tensors as arrays and all else as it is; raise for what scikit-learn can't read.

    Its own errors for the latter say little, and masks and dates it takes without a word.

    Parameters
    ----------
    X : object
        A table, codes, or targets.
    name : str
        What messages call it.
    """
    if type(X) is np.ndarray and X.dtype.kind in "biuf":
        return X
    if isinstance(X, torch.Tensor):
        return _convert_tensor(X, name)
    if isinstance(X, list | tuple) and X and all(isinstance(row, torch.Tensor) for row in X):
        return [_convert_tensor(row, name) for row in X]
    if sparse.issparse(X):
        return X
    check_kind(X, name)
    check_frame(X, name)
    if isinstance(X, np.ndarray):
        _check_array_kind(X, name)
    column = find_temporal_column(X)
    if column is not None:
        raise TypeError(
            f"{name} must have numbers only, and column {column!r} has dates or durations: turn "
            "them into numbers, such as days since a date, or drop the column"
        )
    return X


def check_frame(X: Any, name: str) -> None:
    """Raise for a frame without columns, or with two of one name.

    Narwhals refuses the latter without a remedy.
    """
    if hasattr(X, "columns") and X.shape[1] == 0:
        raise ValueError(
            f"Found array with 0 feature(s) (shape={X.shape}) while a minimum of 1 is required: "
            f"{name} must have a column"
        )
    # The columns of a pyarrow table are not their names.
    names = [*(X.columns if hasattr(X, "iloc") else getattr(X, "column_names", ()))]
    if len(set(names)) < len(names):
        twice = next(column for column, count in Counter(names).items() if count > 1)
        raise ValueError(
            f"{name} must have columns of different names, got {twice!r} more than once: rename or "
            "drop one of them"
        )


def _check_array_kind(X: np.ndarray, name: str) -> None:
    if isinstance(X, np.ma.MaskedArray) and np.ma.getmaskarray(X).any():
        row = tuple(int(found[0]) for found in np.nonzero(np.ma.getmaskarray(X)))
        raise ValueError(
            f"{name} must have no masked cells, got one at index {row}: fill such cells, or drop "
            "their rows"
        )
    if X.dtype.kind == "c":
        raise ValueError(
            f"Complex data not supported: {name} must have real numbers, got {X.dtype}; pass the "
            "real and the imaginary parts as columns of their own"
        )


def _convert_tensor(X: torch.Tensor, name: str) -> np.ndarray:
    """Return a tensor's values, off its device, without its history."""
    for is_so, kind, remedy in (
        (X.is_nested, "nested", "to_padded_tensor(0.0)"),
        (X.layout != torch.strided, "sparse", "to_dense()"),
        (X.is_quantized, "quantized", "dequantize()"),
    ):
        if is_so:
            raise TypeError(
                f"{name} must be a dense tensor, got a {kind} one: pass {name}.{remedy}"
            )
    if X.device.type == "meta":
        raise ValueError(
            f"{name} must have values, got a tensor on the meta device, which has none: load it on "
            "the CPU"
        )
    if X.is_complex():
        raise ValueError(
            f"Complex data not supported: {name} must have real numbers, got {X.dtype}; pass "
            "torch.view_as_real of it, as columns"
        )
    X = X.detach().cpu().resolve_neg()
    if X.is_floating_point() and X.dtype != torch.float32:  # NumPy has no bfloat16
        X = X.double()
    return X.numpy()

"""Tables, codes and targets as users pass them, checked before anything is computed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

from .blocks import row_blocks
from .cells import list_names, name_cells
from .column_moments import name_column
from .columns import Columns
from .datasets import is_dataset
from .frames import find_library, to_array
from .inputs import convert_input
from .no_tables import check_has_columns, check_kind, is_delayed
from .sparse_rows import SparseRows
from .stores import FLOATS, AnyTable, StoredTable, is_large, open_table

# Cells of a table for which scikit-learn's checks take longer than it takes to see that
# they would find nothing.
_FEW_CELLS = 2**14

# How far beyond [0, 1] a probability may be: scaling there and back rounds it.
_ROUNDING = 1e-6


def validate_table(
    estimator: BaseEstimator,
    X: Any,
    *,
    reset: bool,
    min_rows: int = 1,
    allow_nan: bool = True,
) -> AnyTable:
    """Return a table checked as scikit-learn does; a large one is checked as blocks are read.

    Parameters
    ----------
    estimator : estimator
        The estimator that is given the table.
    X : array-like or store of shape (n_samples, n_features)
        The table.
    reset : bool
        Whether its columns are the ones to expect from now on, or must be the expected ones.
    min_rows : int, default=1
        How many rows it must have.
    allow_nan : bool, default=True
        Whether messages propose to set cells to NaN; NaN itself is never an error here.
    """
    check_has_columns(X)
    return validate_rows(estimator, X, reset=reset, min_rows=min_rows, allow_nan=allow_nan)


def validate_rows(
    estimator: BaseEstimator,
    X: Any,
    *,
    reset: bool,
    min_rows: int = 1,
    allow_nan: bool = True,
) -> AnyTable:
    """Return a table as `validate_table`, of which `check_has_columns` found nothing wrong."""
    if not reset and _is_plain(X, estimator):
        return X
    X = _fill_sparse(_mark_missing(convert_input(_mark_masked(X), "X")))
    X = open_table(X, estimator)
    if isinstance(X, StoredTable):
        return validate_data(estimator, X, reset=reset, skip_check_array=True)
    with name_cells(X, "X", allow_nan=allow_nan):
        table = validate_data(
            estimator,
            X,
            accept_sparse="csr",
            dtype=FLOATS,
            reset=reset,
            ensure_all_finite="allow-nan",
            ensure_min_samples=min_rows,
        )
    if sparse.issparse(table):
        rows = SparseRows(table)
        return StoredTable(rows) if is_large(rows.shape) else rows[:]
    return StoredTable(table) if is_large(table.shape) else table


def _mark_masked(X: Any) -> Any:
    """Return a masked array's cells with NaN for those that are masked, and all else as it is."""
    is_masked = isinstance(X, np.ma.MaskedArray) and np.ma.getmaskarray(X).any()
    return to_array(X) if is_masked and X.dtype.kind in "biufO" and X.ndim == 2 else X


def _mark_missing(X: Any) -> Any:
    """Return objects with NaN for missing cells of all kinds, and all else as it is.

    scikit-learn refuses the one of pandas, among others.
    """
    if isinstance(X, np.ndarray):
        array = X
    elif isinstance(X, list | tuple):
        try:
            array = np.array(X)
        except ValueError:  # ragged: scikit-learn says so
            return X
    else:
        return X
    if array.dtype.kind != "O" or array.ndim != 2:
        return X
    is_missing = pd.isna(array)
    return np.where(is_missing, np.nan, array) if is_missing.any() else X


def _fill_sparse(X: Any) -> Any:
    """Return a pandas frame with dense columns for sparse ones, and all else as it is.

    scikit-learn does the same with a warning, unless all columns are sparse.
    """
    if find_library(X) != "pandas":
        return X
    dense = {n: d.subtype for n, d in X.dtypes.items() if isinstance(d, pd.SparseDtype)}
    return X.astype(dense) if 0 < len(dense) < X.shape[1] else X


def _is_plain(X: Any, estimator: Any) -> bool:
    """Whether a table is a few rows in which scikit-learn would find nothing wrong."""
    return (
        type(X) is np.ndarray
        and X.dtype in FLOATS
        and 0 < X.size <= _FEW_CELLS
        and X.shape[1:] == (estimator.n_features_in_,)
        and not hasattr(estimator, "feature_names_in_")
        and bool(np.isfinite(X).all() or not np.isinf(X).any())
    )


def check_codes(estimator: BaseEstimator, X: Any, n_components: int) -> np.ndarray:
    """Return codes that an estimator can decode.

    Values beyond the square root of the largest that their type holds are clipped, so that no
    product of them and a weight overflows.
    """
    check_has_columns(X)
    X = convert_input(X, "X")
    with name_cells(X, "X"):
        codes = check_array(X, dtype=FLOATS, input_name="X")
    if codes.shape[1] != n_components:
        raise ValueError(
            f"{type(estimator).__name__}.inverse_transform takes codes of {n_components} "
            f"columns, as transform gives them; X has {codes.shape[1]} columns"
        )
    limit = codes.dtype.type(np.sqrt(np.finfo(codes.dtype).max))
    return np.clip(codes, -limit, limit)


def check_target(
    table: AnyTable, y: Any, columns: Columns | None = None, names: Sequence[str] | None = None
) -> np.ndarray | None:
    """Return the clean rows behind noisy ones, or None if `y` has none.

    Labels, one for each row, are ignored: a Pipeline passes them to every step.

    Parameters
    ----------
    table : ndarray or stored table of shape (n_samples, n_features)
        The noisy rows, encoded.
    y : array-like, frame or store of shape (n_samples, n_features), or None
        The clean rows.
    columns : Columns or None, default=None
        What the noisy rows' columns stand for; those of a clean frame may be in any order.
    names : sequence of str or None, default=None
        The names of the noisy rows' columns, which must be in the order of the clean ones'.
    """
    if y is None:
        return None
    y = y.to_table() if is_dataset(y) else y
    shape = _measure_target(y)
    if shape == table.shape[:1]:
        return None
    expected = table.shape if columns is None else (len(table), len(columns.columns))
    if shape != expected:
        raise ValueError(
            f"y must be the clean rows behind X, of the same shape {expected}, or None; got "
            f"shape {shape}"
        )
    if columns is not None:
        return _encode_target(y, columns)
    given = list_names(y)
    if names is not None and given is not None and sorted(given, key=str) == sorted(names):
        odd = next((pair for pair in zip(given, names, strict=True) if pair[0] != pair[1]), None)
        if odd is not None:
            raise ValueError(
                f"y must have the columns of X in their order, got {odd[0]!r} where X has "
                f"{odd[1]!r}: pass y[X.columns]"
            )
    y = convert_input(y, "y")
    with name_cells(y, "y"):
        clean = check_array(y, accept_sparse="csr", dtype=table.dtype, input_name="y")
    return SparseRows(clean)[:] if sparse.issparse(clean) else clean


def _encode_target(y: Any, columns: Columns) -> np.ndarray:
    try:
        clean = columns.encode(y, np.inf).values  # numbers are finite, so that it marks a label
    except (ValueError, TypeError) as error:  # which calls all tables X
        raise type(error)(str(error).replace("X ", "y ", 1)) from error
    is_wrong = ~np.isfinite(clean)
    if is_wrong.any():
        row, encoded = (int(found[0]) for found in np.nonzero(is_wrong))
        is_missing = np.isnan(clean[row, encoded])
        found = "a missing cell" if is_missing else "a label that X does not have"
        remedy = "fill such cells" if is_missing else "correct such labels"
        name = columns.names[columns.owner[encoded]]
        raise ValueError(
            f"y must be the clean rows behind X, got {found} in column {name!r} and row {row}: "
            f"{remedy}, or drop their rows"
        )
    return clean


def _measure_target(y: Any) -> tuple[int, ...]:
    if is_delayed(y):
        check_kind(y, "y")
    if isinstance(y, torch.Tensor):
        y = convert_input(y, "y")
    if hasattr(y, "shape"):
        return tuple(y.shape)
    try:
        return np.asarray(convert_input(y, "y")).shape
    except ValueError as error:  # ragged
        raise ValueError(f"y must be rows of the same length as those of X: {error}") from error


def check_probabilities(
    estimator: BaseEstimator, X: AnyTable, owner: np.ndarray | None = None
) -> None:
    """Raise unless all values lie in [0, 1], up to rounding; missing cells may be anything.

    Parameters
    ----------
    estimator : estimator
        The estimator, which may know the columns' names.
    X : ndarray or stored table of shape (n_rows, n_features)
        The table, encoded.
    owner : ndarray of int or None, default=None
        Index of the table's own column behind each one, see `Columns`.
    """
    for rows in row_blocks(X):
        block = X[rows]
        wrong = (block < -_ROUNDING) | (block > 1 + _ROUNDING)
        if wrong.any():
            column = int(wrong.any(axis=0).argmax())
            row = int(wrong[:, column].argmax())
            raise ValueError(
                'X must have values in [0, 1] for likelihood="bernoulli", got '
                f"{block[row, column]:g} in {name_column(estimator, column, owner)} and row "
                f'{rows.start + row}: scale the column, or use likelihood="gaussian"'
            )

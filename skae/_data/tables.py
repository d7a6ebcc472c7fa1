"""Tables of all kinds as users pass them, as matrices of numbers."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from .codings import UNITS, NumberCoding, name_numbers
from .columns import Column, Columns, encode_numbers, needs_encoding
from .dask_tables import DaskFrameRows, open_dask
from .datasets import DatasetRows, EncodedRows, is_dataset, open_dataset
from .frames import (
    Cells,
    add_labels,
    build_column,
    build_frame,
    choose_cells,
    convert_column,
    find_index,
    find_library,
    open_columns,
    read_column,
    take_labels,
    to_array,
)
from .inputs import check_frame, convert_input
from .no_tables import check_has_columns
from .row_shapes import RowShape, check_has_rows, check_row_shape, flatten_rows
from .sample_weights import check_sample_weight, scale_weight
from .sequences import read_sequences
from .stores import AnyTable, StoredTable
from .validation import validate_rows


class ColumnChoice(NamedTuple):
    """What a user says of a table's columns.

    Attributes
    ----------
    categorical_features : "from_dtype", None, or array-like of bool, int or str
        Which hold categories.
    max_categories : int or None
        Number of indicators up to which a category's infrequent levels are pooled.
    """

    categorical_features: Any = "from_dtype"
    max_categories: int | None = None


class ReadTable(NamedTuple):
    """A table to fit, as numbers. Estimators take it in place of the table itself.

    Attributes
    ----------
    table : ndarray or stored table of shape (n_rows, n_encoded)
        The rows as numbers; NaN is a missing cell.
    columns : Columns or None
        What they stand for; None if they are the table's own numbers.
    row_shape : tuple of int or None, default=None
        The shape that a row had; None is a flat one.
    has_sequences : bool, default=False
        Whether rows are sequences, of which shorter ones are padded with NaN.
    """

    table: AnyTable
    columns: Columns | None
    row_shape: RowShape = None
    has_sequences: bool = False


def read_table(
    estimator: BaseEstimator,
    X: Any,
    choice: ColumnChoice,
    sample_weight: ArrayLike | None = None,
    min_rows: int = 1,
    are_sequences: bool | None = False,
) -> ReadTable:
    """Return a table to fit as numbers.

    Parameters
    ----------
    estimator : estimator
        The estimator that is given the table, and that expects its columns from now on.
    X : frame, array-like, store or ReadTable of shape (n_samples, n_features)
        The table; arrays, lists and stores may have rows of any shape.
    choice : ColumnChoice
        What a user says of its columns.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        How often each row counts, where levels are counted.
    min_rows : int, default=1
        How many rows it must have.
    are_sequences : bool or None, default=False
        Whether its rows are sequences; None if arrays of unequal length in a list are.
    """
    if isinstance(X, ReadTable):
        _expect_columns(estimator, X)
        return X
    X = open_dask(X)
    _check_rows(X)
    X, has_sequences = read_sequences(X, are_sequences, sample_weight)
    flat, row_shape = flatten_rows(X)
    read = _read_rows(estimator, flat, choice, sample_weight, min_rows)
    return read._replace(row_shape=row_shape, has_sequences=has_sequences)


def _read_rows(
    estimator: BaseEstimator,
    X: Any,
    choice: ColumnChoice,
    sample_weight: ArrayLike | None,
    min_rows: int,
) -> ReadTable:
    X = open_dataset(X)
    if isinstance(X, DatasetRows | DaskFrameRows):
        return _read_parts(estimator, X, choice, sample_weight, min_rows)
    if needs_encoding(X, choice.categorical_features):
        n_rows = _check_columns(estimator, X, reset=True, min_rows=min_rows)
        return _encode_new(X, choice, check_sample_weight(sample_weight, n_rows))
    table = validate_rows(estimator, X, reset=True, min_rows=min_rows)
    if not isinstance(table, np.ndarray) or not np.isnan(table).any():
        return ReadTable(table, None)
    weight = check_sample_weight(sample_weight, len(table))
    counted = table if weight is None else table[scale_weight(weight) > 0]
    if np.isnan(counted).all(axis=0).any():
        return _encode_new(X if hasattr(X, "columns") else table, choice, weight)
    return ReadTable(table, None)


def encode_table(
    estimator: BaseEstimator,
    X: Any,
    columns: Columns | None,
    unseen: float = np.nan,
    row_shape: RowShape = None,
) -> AnyTable:
    """Return a table with the columns that were fitted as numbers.

    Parameters
    ----------
    estimator : estimator
        The estimator that is given the table.
    X : frame, array-like, store or ReadTable of shape (n_samples, n_features)
        The table.
    columns : Columns or None
        The columns; None if they are numbers.
    unseen : float, default=NaN
        The indicators of a label that was not there in fitting, where none was infrequent.
    row_shape : tuple of int or None, default=None
        The shape that rows had in fitting; None is flat ones.
    """
    if isinstance(X, ReadTable):
        return X.table
    X = open_dask(X)
    check_has_rows(X, row_shape)
    _check_rows(X)
    X, given = flatten_rows(X)
    if given is not None:
        check_row_shape(given, row_shape, estimator.n_features_in_)
    X = open_dataset(X)
    if isinstance(X, DatasetRows | DaskFrameRows):
        _check_columns(estimator, X.head, reset=False)
        known = Columns.from_names(X.head) if columns is None else columns
        return StoredTable(EncodedRows(X, known, unseen))
    if columns is None:
        if not needs_encoding(X):
            return validate_rows(estimator, X, reset=False)
        _check_columns(estimator, X, reset=False, min_rows=1)
        return encode_numbers(X)
    X = _open_table(X)
    _check_columns(estimator, X, reset=False, min_rows=1)
    return columns.encode(X, unseen).values


def list_cells(X: Any, columns: Columns) -> np.ndarray:
    """Return a table's own cells as an array of objects, with the columns that were fitted."""
    natives = columns.match(_open_table(X))
    listed = [_list_column(native) for native in natives]
    cells = np.empty((len(listed[0]), len(listed)), dtype=object)
    for index, own in enumerate(listed):
        cells[:, index] = own
    return cells


def _list_column(native: Any) -> Any:
    if hasattr(type(native), "to_pylist"):
        return native.to_pylist()
    return native.to_list() if hasattr(type(native), "to_list") else list(native)


def _check_rows(X: Any) -> None:
    if not is_dataset(X):
        check_has_columns(X)


def _open_table(X: Any) -> Any:
    if sparse.issparse(X):
        X = X.toarray()
    if is_dataset(X):
        X = X.to_table()
    if isinstance(X, torch.Tensor) or not hasattr(X, "__len__"):
        X = convert_input(X, "X")
    return X


def _read_parts(
    estimator: BaseEstimator,
    rows: DatasetRows | DaskFrameRows,
    choice: ColumnChoice,
    sample_weight: ArrayLike | None,
    min_rows: int,
) -> ReadTable:
    """Return a frame that isn't loaded, after a first pass that finds out what columns hold."""
    _check_columns(estimator, rows.head, reset=True)
    _check_length(len(rows), min_rows)
    weight = check_sample_weight(sample_weight, len(rows))
    columns = Columns.from_blocks(
        rows.blocks(), choice.categorical_features, choice.max_categories, weight
    )
    table = StoredTable(EncodedRows(rows, columns))
    is_encoded = needs_encoding(rows.head, choice.categorical_features)
    is_whole = columns.n_encoded == len(columns.columns)  # no column without any value
    return ReadTable(table, columns if is_encoded or not is_whole else None)


def _expect_columns(estimator: BaseEstimator, read: ReadTable) -> None:
    """Set the columns that an estimator expects to those of a table that is read already."""
    X: Any = read.table
    if read.columns is not None:
        X = read.columns.decode(np.empty((0, read.columns.n_encoded)))
    validate_data(estimator, X, reset=True, skip_check_array=True)


def fill_table(X: Any, values: np.ndarray, columns: Columns | None) -> Any:
    """Return a table with its missing cells taken from other rows, and all others as they are.

    Parameters
    ----------
    X : frame or array-like of shape (n_samples, n_features)
        The table.
    values : ndarray of shape (n_samples, n_encoded)
        What its encoded rows would be without gaps.
    columns : Columns or None
        What their columns stand for; None if they are the table's own numbers.
    """
    X = X.to_table() if is_dataset(X) else X
    library = find_library(X)
    if columns is None and library == "array":
        return values
    names, natives = open_columns(X)
    slices = [(None, slice(index, index + 1)) for index in range(len(natives))]
    known = slices if columns is None else list(columns.slices())
    if columns is not None and "array" not in (library, columns.library):
        by_name = {column.name: (column, own) for column, own in columns.slices()}
        known = [by_name[name] for name in names]
    filled = [
        _fill_column(native, name, column, values[:, own])
        for name, native, (column, own) in zip(names, natives, known, strict=True)
    ]
    if library != "array":
        return build_frame(library, names, filled, find_index(X))
    out = np.array(to_array(X))
    for place, column in enumerate(filled):
        out[:, place] = column
    return out


def wrap_numbers(values: np.ndarray, X: Any) -> Any:
    """Return numbers in a frame with the names of a table, or as they are for an array."""
    library = find_library(X)
    if library == "array":
        return values
    names, _ = open_columns(X)
    return frame_numbers(values, library, names, find_index(X))


def frame_numbers(
    values: np.ndarray, library: str, names: list[Any], index: pd.Index | None = None
) -> Any:
    """Return numbers in a frame of a library with these names of columns, and of rows in pandas."""
    dtype = {
        "pandas": ("pandas", "float64"),
        "polars": ("polars", "Float64"),
        "pyarrow": ("arrow", ("alias", "double")),
    }[library]
    columns = [
        build_column(Cells("number", own, np.isnan(own)), dtype, name)
        for name, own in zip(names, values.astype(np.float64).T, strict=True)
    ]
    return build_frame(library, names, columns, index)


def _fill_column(native: Any, name: Any, column: Column | None, values: np.ndarray) -> Any:
    """Return a column with missing cells filled; one without any as it is."""
    cells, dtype = read_column(native, name)
    if not cells.missing.any():
        return native
    coding = NumberCoding() if column is None else column.coding
    other = coding.decode(values, np.zeros(len(values), dtype=bool))
    merged = _merge(cells, other)
    if cells.kind == "empty" and column is not None:
        return convert_column(build_column(merged, column.dtype, name), native, name)
    if dtype[0] == "category":
        return build_column(merged, add_labels(dtype, merged.labels, name), name)
    return choose_cells(native, build_column(merged, dtype, name), cells.missing)


def _merge(cells: Cells, other: Cells) -> Cells:
    """Return cells with others for those that are missing; where both are, they stay so."""
    if cells.kind == "empty":
        return other
    missing = cells.missing & other.missing
    if len(cells.labels) or len(other.labels):
        own, new = take_labels(name_numbers(cells)), take_labels(name_numbers(other))
        return Cells.from_labels(np.where(cells.missing, new, own), "category")
    values = other.values
    if cells.unit != other.unit:
        values = np.rint(values * (UNITS[other.unit] / UNITS[cells.unit]))
    values = np.where(cells.missing, values, cells.values).astype(cells.values.dtype)
    return replace(cells, values=values, missing=missing)


def _encode_new(X: Any, choice: ColumnChoice, weight: np.ndarray | None) -> ReadTable:
    columns = Columns.from_table(X, choice.categorical_features, choice.max_categories, weight)
    return ReadTable(columns.encode(X).values, columns)


def _check_columns(estimator: BaseEstimator, X: Any, *, reset: bool, min_rows: int = 0) -> int:
    """Check a table's names and number of columns as scikit-learn does; return its length."""
    check_frame(X, "X")
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    n_rows = int(X.shape[0] if hasattr(X, "shape") else len(X))
    _check_length(n_rows, min_rows)
    return n_rows


def _check_length(n_rows: int, min_rows: int) -> None:
    if n_rows < min_rows:
        raise ValueError(
            f"Found array with {n_rows} sample(s) while a minimum of {min_rows} is required: X "
            f"must have {'rows' if min_rows == 1 else f'at least {min_rows} rows'}"
        )

"""Tables of all kinds as users pass them, as matrices of numbers."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from .columns import Columns, needs_encoding
from .inputs import check_frame, convert_input
from .sample_weights import check_sample_weight
from .stores import AnyTable
from .validation import validate_table


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
    """A table to fit.

    Attributes
    ----------
    table : ndarray or stored table of shape (n_rows, n_encoded)
        The rows as numbers; NaN is a missing cell.
    columns : Columns or None
        What they stand for; None if they are the table's own numbers.
    """

    table: AnyTable
    columns: Columns | None


def read_table(
    estimator: BaseEstimator,
    X: Any,
    choice: ColumnChoice,
    sample_weight: ArrayLike | None = None,
    min_rows: int = 1,
) -> ReadTable:
    """Return a table to fit as numbers.

    Parameters
    ----------
    estimator : estimator
        The estimator that is given the table, and that expects its columns from now on.
    X : frame, array-like or store of shape (n_samples, n_features)
        The table.
    choice : ColumnChoice
        What a user says of its columns.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        How often each row counts, where levels are counted.
    min_rows : int, default=1
        How many rows it must have.
    """
    if needs_encoding(X, choice.categorical_features):
        n_rows = _check_columns(estimator, X, reset=True, min_rows=min_rows)
        return _encode_new(X, choice, check_sample_weight(sample_weight, n_rows))
    table = validate_table(estimator, X, reset=True, min_rows=min_rows)
    if isinstance(table, np.ndarray) and np.isnan(table).all(axis=0).any():
        is_frame = hasattr(X, "columns")
        weight = check_sample_weight(sample_weight, len(table))
        return _encode_new(X if is_frame else table, choice, weight)
    return ReadTable(table, None)


def encode_table(estimator: BaseEstimator, X: Any, columns: Columns | None) -> AnyTable:
    """Return a table with the columns that were fitted as numbers.

    Parameters
    ----------
    estimator : estimator
        The estimator that is given the table.
    X : frame, array-like or store of shape (n_samples, n_features)
        The table.
    columns : Columns or None
        The columns; None if they are numbers.
    """
    if columns is None:
        return validate_table(estimator, X, reset=False)
    if sparse.issparse(X):
        X = X.toarray()
    if isinstance(X, torch.Tensor) or not hasattr(X, "__len__"):
        X = convert_input(X, "X")
    _check_columns(estimator, X, reset=False)
    return columns.encode(X).values


def _encode_new(X: Any, choice: ColumnChoice, weight: np.ndarray | None) -> ReadTable:
    columns = Columns.from_table(X, choice.categorical_features, choice.max_categories, weight)
    return ReadTable(columns.encode(X).values, columns)


def _check_columns(estimator: BaseEstimator, X: Any, *, reset: bool, min_rows: int = 1) -> int:
    """Check a table's names and number of columns as scikit-learn does; return its length."""
    check_frame(X, "X")
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
    if n_rows < min_rows:
        raise ValueError(
            f"Found array with {n_rows} sample(s) while a minimum of {min_rows} is required: X "
            "must have rows"
        )
    return int(n_rows)

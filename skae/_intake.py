"""What estimators are given, made into tables and the rows that train."""

from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_array, validate_data

from ._scaling import Scaling
from ._stored import StoredTable, TablePart, is_large, left_in_place
from ._table import distinct_rows, each_as_often, positive_rows
from ._training import AnyRows, Rows, ScaledTable, StoredRows

#: A table as it is worked with: in memory, or left in its place.
AnyTable = np.ndarray | StoredTable | TablePart

_FLOATS = (np.float64, np.float32)

# Cells of a table for which scikit-learn's checks take longer than it takes to see that
# they would find nothing.
_FEW_CELLS = 2**14


def validated_table(estimator: Any, X: Any, reset: bool, min_rows: int = 1) -> AnyTable:
    """Return a table checked as scikit-learn does; of a large one each block, when it is read.

    Parameters
    ----------
    estimator : object
        Whose table it is.
    X : array-like or store of shape (n_samples, n_features)
        The table.
    reset : bool
        Whether to take its columns as those to expect from now on, or to compare them.
    min_rows : int, default=1
        How many rows it must have.
    """
    if not reset and _is_plain(X, estimator):
        return X
    X = left_in_place(X, estimator)
    if isinstance(X, StoredTable):
        return validate_data(estimator, X, reset=reset, skip_check_array=True)
    table = validate_data(estimator, X, dtype=_FLOATS, reset=reset, ensure_min_samples=min_rows)
    return StoredTable(table) if is_large(table.shape) else table


def _is_plain(X: Any, estimator: Any) -> bool:
    """Whether a table is a few rows that scikit-learn would find nothing wrong with."""
    return (
        type(X) is np.ndarray
        and X.dtype in _FLOATS
        and 0 < X.size <= _FEW_CELLS
        and X.shape[1:] == (estimator.n_features_in_,)
        and not hasattr(estimator, "feature_names_in_")
        and bool(np.isfinite(X).all())
    )


def counted_rows(table: AnyTable, weight: np.ndarray | None) -> tuple[AnyTable, np.ndarray | None]:
    """Return the rows that count, each once where copies can be found, and their weights."""
    if isinstance(table, np.ndarray):
        return distinct_rows(table, weight)
    return positive_rows(table, weight)


def copied_rows(table: AnyTable, weight: np.ndarray | None) -> tuple[AnyTable, np.ndarray | None]:
    """Return rows as often as they count; those of a stored table once, with their weights."""
    if isinstance(table, np.ndarray):
        return each_as_often(table, weight)
    return positive_rows(table, weight)


def checked_codes(estimator: Any, X: Any) -> np.ndarray:
    """Return codes that an estimator can decode."""
    codes = check_array(X, dtype=_FLOATS)
    if codes.shape[1] != estimator.n_components_:
        raise ValueError(
            f"X has {codes.shape[1]} columns, but inverse_transform of "
            f"{type(estimator).__name__} expects codes of {estimator.n_components_}"
        )
    return codes


def scaling_of(
    table: AnyTable, weight: np.ndarray | None, n_features: int, standardize: bool
) -> Scaling:
    """Return the scaling of a table's rows; pairs are scaled by their first columns."""
    if isinstance(table, np.ndarray):
        table = table[:, :n_features]
    return Scaling.of(table, weight, standardize)


def rows_of(
    table: AnyTable, weight: np.ndarray | None, scaling: Scaling, device: torch.device
) -> AnyRows:
    """Return the rows that train: scaled on the device, or to be scaled as they are read."""
    if isinstance(table, np.ndarray):
        return Rows.of(scaling.forward(table, np.float32), weight, device)
    known = None if weight is None else weight.astype(np.float32)
    return StoredRows(ScaledTable(table, scaling), known, device)

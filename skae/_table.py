"""Tables as users pass them, made into rows and weights."""

from typing import Any

import numpy as np

from ._blocks import Table, row_blocks
from ._stored import StoredTable, TablePart

# Sorting is what finds repeated rows; beyond this many it would cost more than it gives.
_MERGE_UP_TO = 10_000

# Weights are taken for counts as long as writing all copies out takes no more than this
# times the memory.
_MOST_COPIES = 10

# How far beyond [0, 1] a probability may be: scaled there and back it is rounded.
_ROUNDING = 1e-6


def check_sample_weight(sample_weight: Any, n_rows: int) -> np.ndarray | None:
    """Return weights as float64, or None where none were given."""
    if sample_weight is None:
        return None
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.ndim == 0:
        weight = np.full(n_rows, float(weight))
    if weight.shape != (n_rows,):
        raise ValueError(
            f"sample_weight.shape == {weight.shape} was got, expected ({n_rows},), one for each row"
        )
    if not np.isfinite(weight).all() or (weight < 0).any():
        raise ValueError(
            f"sample_weight has values from {weight.min()} to {weight.max()}, expected finite "
            "values of 0 or more"
        )
    if not (weight > 0).any():
        raise ValueError("sample_weight is zero for all rows, expected a positive one at least")
    return weight


def distinct_rows(X: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return each row of a table once, with the weight of all its copies.

    It makes a row of weight two and a row that is there twice the same thing to the last
    bit, and keeps copies of a row from lying on both sides of a split. Rows of weight
    zero are dropped. Tables of more than 10,000 rows keep their copies.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        The rows.
    weight : ndarray of shape (n_rows,) or None
        How often each row counts.
    """
    if weight is not None and (weight == 0).any():
        X, weight = X[weight > 0], weight[weight > 0]
    if len(X) > _MERGE_UP_TO:
        return X, None if weight is None else _with_mean_one(weight)
    rows, inverse = np.unique(X, axis=0, return_inverse=True)
    total = np.bincount(inverse.ravel(), weights=weight, minlength=len(rows)).astype(np.float64)
    if (total == total[0]).all():
        return rows, None
    return rows, _with_mean_one(total)


def positive_rows(
    X: StoredTable | TablePart, weight: np.ndarray | None
) -> tuple[StoredTable | TablePart, np.ndarray | None]:
    """Return the rows of a stored table that have a weight; copies are left as they are."""
    if weight is None:
        return X, None
    without = np.flatnonzero(weight == 0)
    if len(without) > 0:
        X, weight = TablePart(X, without), np.delete(weight, without)
    return X, _with_mean_one(weight)


def each_as_often(X: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return rows as often as they count, if their weights are counts.

    Otherwise each row once with its weight, as `distinct_rows` does. Rows that stand alone
    can be split at random, copies too. Their order, in tables of up to 10,000, does not
    depend on whether copies were written out.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        The rows.
    weight : ndarray of shape (n_rows,) or None
        How often each row counts.
    """
    if weight is not None:
        are_counts = (weight == np.floor(weight)).all()
        if not are_counts or weight.sum() > _MOST_COPIES * len(X):
            return distinct_rows(X, weight)
        X = np.repeat(X, weight.astype(int), axis=0)
    return (X[np.lexsort(X.T[::-1])] if len(X) <= _MERGE_UP_TO else X), None


def _with_mean_one(weight: np.ndarray) -> np.ndarray:
    weight = weight / weight.max()  # first, for the mean of huge weights would overflow
    return weight / weight.mean()


def check_probabilities(X: Table) -> None:
    """Raise unless all values lie in [0, 1], up to what rounding adds to them."""
    ranges = [(X[rows].min(), X[rows].max()) for rows in row_blocks(X)]
    least, largest = min(low for low, _ in ranges), max(high for _, high in ranges)
    if least < -_ROUNDING or largest > 1 + _ROUNDING:
        raise ValueError(
            f'X has values from {least:g} to {largest:g}, but likelihood="bernoulli" expects '
            'values in [0, 1]: scale them, or use likelihood="gaussian"'
        )

"""A table to train on, with its weights and targets; copies of rows merged or written out."""

import sys
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from .blocks import subsample_indices
from .sample_weights import ONE_EACH, WeightUnit, scale_weight
from .stores import AnyTable, TablePart, take_rows

# Sorting finds repeated rows; beyond this many rows it would cost more than it gives.
_MERGE_UP_TO = 10_000

# Weights are taken for counts as long as writing all copies out takes no more than this
# times the memory.
_MOST_COPIES = 10

# Rows that distributions of single columns are fitted to: more tell next to nothing more of one.
_COLUMN_ROWS = 10_000


class ColumnSample(NamedTuple):
    """Evenly spread rows of a table.

    Attributes
    ----------
    X : ndarray of shape (n_rows, n_features)
        The rows, in the table's units; NaN is a missing cell.
    weight : ndarray of shape (n_rows,)
        How often each counts.
    """

    X: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class TrainingTable:
    """A table to train on, in its own units.

    Attributes
    ----------
    X : ndarray or stored table of shape (n_rows, n_features)
        The rows; NaN is a missing cell.
    weight : ndarray of shape (n_rows,) or None
        How often each row counts; None counts each once.
    target : ndarray of shape (n_rows, n_features) or None
        The rows to reconstruct from `X`; None is `X` itself.
    unit : WeightUnit
        What a weight of one stands for.
    """

    X: AnyTable
    weight: np.ndarray | None = None
    target: np.ndarray | None = None
    unit: WeightUnit = ONE_EACH

    def __len__(self) -> int:
        return len(self.X)

    @cached_property
    def column_sample(self) -> ColumnSample:
        """The rows that tell how each column is distributed; a store is read once for them."""
        indices = subsample_indices(len(self), _COLUMN_ROWS)
        weight = np.ones(len(indices)) if self.weight is None else self.weight[indices]
        return ColumnSample(take_rows(self.X, indices), weight)

    def set_total(self, total: float) -> "TrainingTable":
        """Return the table, whose weights have mean one, with the total that was given."""
        return replace(self, unit=WeightUnit.from_total(total, self.weight, len(self)))


def merge_copies(table: TrainingTable) -> TrainingTable:
    """Return each row once, with the weight of all its copies.

    A row of weight two and a row that is there twice then give the same fit to the last bit,
    and the copies of a row do not lie on both sides of a split. Rows of weight zero are
    dropped. Stored tables and tables of more than 10,000 rows keep their copies.
    """
    table = drop_zero_weights(table)
    if not isinstance(table.X, np.ndarray) or len(table) > _MERGE_UP_TO:
        return TrainingTable(table.X, _scale_to_mean_one(table.weight), table.target)
    n_features = table.X.shape[1]
    whole = table.X if table.target is None else np.hstack([table.X, table.target])
    # A missing cell is unequal to itself, and infinity is no value of a table.
    whole = np.where(np.isnan(whole), np.inf, whole)
    rows, inverse = _find_distinct(whole)
    rows[np.isinf(rows)] = np.nan
    total = np.bincount(inverse, weights=table.weight, minlength=len(rows))
    total = total.astype(np.float64)
    weight = None if (total == total[0]).all() else _scale_to_mean_one(total)
    if table.target is None:
        return TrainingTable(rows, weight)
    X, target = np.hsplit(rows, [n_features])
    return TrainingTable(np.ascontiguousarray(X), weight, np.ascontiguousarray(target))


def keep_order(table: TrainingTable) -> TrainingTable:
    """Return the rows of positive weight in their order, each with its weight and its copies."""
    table = drop_zero_weights(table)
    return TrainingTable(table.X, _scale_to_mean_one(table.weight), table.target)


def write_out_copies(table: TrainingTable) -> TrainingTable:
    """Return rows as often as they count, if their weights are counts.

    Otherwise each row once with its weight, as `merge_copies` does. Rows that are written out
    can be split at random, copies too. In tables of up to 10,000 rows their order does not
    depend on whether copies came as weights. Stored tables keep their weights.
    """
    if not isinstance(table.X, np.ndarray):
        table = drop_zero_weights(table)
        return TrainingTable(table.X, _scale_to_mean_one(table.weight))
    X, weight = table.X, table.weight
    if weight is not None:
        are_counts = (weight == np.floor(weight)).all()
        most = _MOST_COPIES * len(X)
        if not are_counts or weight.max() > most or weight.sum() > most:
            return merge_copies(table)
        X = np.repeat(X, weight.astype(int), axis=0)
    return TrainingTable(X[np.lexsort(X.T[::-1])] if len(X) <= _MERGE_UP_TO else X)


def drop_zero_weights(table: TrainingTable) -> TrainingTable:
    """Return the rows of positive weight, with weights that no sum of them overflows."""
    if table.weight is None:
        return table
    weight = scale_weight(table.weight)
    kept = weight > 0
    if kept.all():
        return TrainingTable(table.X, weight, table.target)
    weight = weight[kept]
    if not isinstance(table.X, np.ndarray):
        return TrainingTable(TablePart(table.X, np.flatnonzero(~kept)), weight)
    target = None if table.target is None else table.target[kept]
    return TrainingTable(table.X[kept], weight, target)


def _find_distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct rows in order, and the index of each row's own.

    As `numpy.unique` along the first axis, but without a loop over columns: positive floats are
    ordered as their bits are, negative ones the other way round, and bytes are compared at once.
    """
    bits = 8 * rows.itemsize
    keys = np.ascontiguousarray(rows) + 0.0  # -0.0 is 0.0
    signed, unsigned = keys.view(f"i{rows.itemsize}"), keys.view(f"u{rows.itemsize}")
    # In place: a pass over a table in memory costs more than the sort.
    flipped = signed >> (bits - 1)  # all bits of a negative float, none of a positive one
    flipped |= np.iinfo(flipped.dtype).min
    signed ^= flipped
    if sys.byteorder == "little":
        unsigned.byteswap(inplace=True)
    lines = keys.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
    order = np.argsort(lines, kind="stable")
    ordered = unsigned[order]
    is_new = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    inverse = np.empty(len(rows), dtype=int)
    inverse[order] = np.cumsum(is_new) - 1
    return rows[order[is_new]], inverse


def _scale_to_mean_one(weight: np.ndarray | None) -> np.ndarray | None:
    if weight is None:
        return None
    return weight / weight.mean()

"""What is kept of a stream: the columns' moments, and a sample of the rows."""

from dataclasses import dataclass

import numpy as np

from ..modules.cells import CellLayout
from .column_moments import ColumnMoments
from .scaling import Scaling, pool_spread
from .stores import take_rows
from .training_table import TrainingTable, merge_copies

# Rows kept: enough for the axes of a table of some hundred columns, and at most so many cells.
_KEPT_ROWS = 2_000
_KEPT_CELLS = 2**21

# A scale that is wrong by a factor puts a column's loss off by its square. One that is too small by
# the second factor spoils all columns, for its column outweighs them.
_WRONG_SCALE = 2.0
SPOILING_SCALE = 10.0

# A block is far out if its mean or its spread is so many scales off.
_FAR = 10.0


@dataclass(frozen=True)
class StreamSample:
    """The moments of a stream's columns, and a sample of its rows.

    Attributes
    ----------
    moments : ColumnMoments
        Of all blocks.
    scaled_by : ColumnMoments
        Those that determined the scaling.
    rows : KeptRows
        The sample.
    """

    moments: ColumnMoments
    scaled_by: ColumnMoments
    rows: "KeptRows"

    @classmethod
    def begin(cls, table: TrainingTable, block: ColumnMoments) -> "StreamSample":
        """Return the sample of a first block with these moments."""
        return cls(block, block, KeptRows.draw(table, block.total, block.n_rows))

    def extend(self, table: TrainingTable, block: ColumnMoments) -> "StreamSample":
        """Return the sample of the stream with a further block."""
        moments = self.moments.merge(block)
        kept = KeptRows.draw(table, block.total, moments.n_rows)
        return StreamSample(moments, self.scaled_by, self.rows.join(kept))

    def begin_again(self) -> "StreamSample":
        """Return the sample with a scaling determined by all blocks so far."""
        return StreamSample(self.moments, self.moments, self.rows)

    def find_wrong_scales(
        self,
        is_common: bool,
        layout: CellLayout | None = None,
        channels: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return which columns' scales are wrong, and the ratios of the right ones to them.

        Scales that spoil all columns matter at once; others, and columns that vary for the first
        time, once the stream is twice as long. Otherwise each rare column would undo the training.
        The indicators of a category have one scale: a level that was rare at first changes little.
        """
        before, now = (
            pool_spread(moments, layout, channels) for moments in (self.scaled_by, self.moments)
        )
        if is_common:
            common = self.moments.common_spread / self.scaled_by.common_spread
            ratio = np.full(len(now), common)
        else:
            ratio = np.where(now > 0, now / np.where(before > 0, before, 1.0), 1.0)
        is_wrong = ratio > SPOILING_SCALE
        if self.moments.total >= 2 * self.scaled_by.total:
            is_wrong |= (ratio < 1 / _WRONG_SCALE) | (ratio > _WRONG_SCALE)
            is_wrong |= (now > 0) & (before == 0)
        return is_wrong, ratio


@dataclass(frozen=True)
class KeptRows:
    """A weighted sample without replacement: the rows with the largest keys.

    Each row's key is `log(u) / w` for a uniform number `u` and its weight `w` (Efraimidis and
    Spirakis 2006, algorithm A), so two samples are joined by their keys.

    Attributes
    ----------
    X : ndarray of shape (n_kept, n_features)
        The rows.
    weight : ndarray of shape (n_kept,)
        How often they counted in their blocks.
    target : ndarray of shape (n_kept, n_features) or None
        The rows to reconstruct from them.
    keys : ndarray of shape (n_kept,)
        Their keys.
    limit : float
        The largest key of a row that was not kept; minus infinity if all were.
    """

    X: np.ndarray
    weight: np.ndarray
    target: np.ndarray | None
    keys: np.ndarray
    limit: float = -np.inf

    @classmethod
    def draw(cls, table: TrainingTable, total: float, seed: int) -> "KeptRows":
        """Return a sample of a block with this total weight."""
        # Seeded by the length of the stream: a fit again on the same blocks keeps the same rows.
        uniform = np.random.default_rng(seed).random(len(table))
        share = np.full(len(table), 1.0) if table.weight is None else table.weight
        weight = share / share.sum() * total
        keys = np.log(uniform) / np.maximum(weight, np.finfo(np.float64).tiny)
        kept, limit = _find_largest(keys, table.X.shape[1])
        target = None if table.target is None else table.target[kept]
        return cls(take_rows(table.X, kept), weight[kept], target, keys[kept], limit)

    @classmethod
    def make_empty(cls, n_features: int) -> "KeptRows":
        """Return a sample of no rows."""
        return cls(np.empty((0, n_features)), np.empty(0), None, np.empty(0))

    def take(self, indices: np.ndarray) -> "KeptRows":
        """Return some of the rows."""
        target = None if self.target is None else self.target[indices]
        return KeptRows(
            self.X[indices], self.weight[indices], target, self.keys[indices], self.limit
        )

    def join(self, other: "KeptRows") -> "KeptRows":
        """Return the sample of both."""
        if len(self.X) == 0:  # of a stream that was loaded
            return other
        target = None
        if self.target is not None and other.target is not None:
            target = np.vstack([self.target, other.target])
        keys = np.concatenate([self.keys, other.keys])
        kept, limit = _find_largest(keys, self.X.shape[1])
        both = KeptRows(
            np.vstack([self.X, other.X]),
            np.concatenate([self.weight, other.weight]),
            target,
            keys,
            max(limit, self.limit, other.limit),
        )
        return both.take(kept)

    def make_table(self) -> TrainingTable:
        """Return the rows with weights that stand for all rows of the stream.

        Each weight is divided by the row's chance to be kept (Horvitz and Thompson 1952).
        """
        weight = np.maximum(self.weight, np.finfo(np.float64).tiny)
        chance = -np.expm1(self.limit * weight)
        return merge_copies(TrainingTable(self.X, weight / chance, self.target))


def measure_distance(scaling: Scaling, block: ColumnMoments) -> np.ndarray:
    """Return how far out each column of a block lies, in scales; 0 if it does not."""
    is_known = True if block.observed is None else block.observed > 0
    shift = np.where(is_known, np.abs(block.mean - scaling.mean) / scaling.scale, 0.0)
    distance = np.maximum(shift, block.spread / scaling.scale)
    return np.where(distance > _FAR, distance, 0.0)


def _find_largest(keys: np.ndarray, n_columns: int) -> tuple[np.ndarray, float]:
    """Return the indices of the largest keys, in order, and the largest of the others."""
    most = max(1, min(_KEPT_ROWS, _KEPT_CELLS // n_columns))
    order = np.argsort(-keys, kind="stable")
    limit = float(keys[order[most]]) if len(keys) > most else -np.inf
    return np.sort(order[:most]), limit

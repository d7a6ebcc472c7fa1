"""What is kept of a stream: the columns' moments, and a sample of the rows."""

from dataclasses import dataclass

import numpy as np

from .column_moments import ColumnMoments
from .scaling import Scaling
from .stores import AnyTable, take_rows
from .training_table import TrainingTable

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
    table : TrainingTable
        The sample. Each row has the same chance to be in it, or one in proportion to its weight.
    keys : ndarray of shape (n_kept,)
        Random numbers: the rows with the largest are kept.
    """

    moments: ColumnMoments
    scaled_by: ColumnMoments
    table: TrainingTable
    keys: np.ndarray

    @classmethod
    def begin(cls, table: TrainingTable, block: ColumnMoments) -> "StreamSample":
        """Return the sample of a first block with these moments."""
        keys = _draw_keys(table, block)
        kept, keys = _keep_largest(table, keys)
        return cls(block, block, kept, keys)

    def extend(self, table: TrainingTable, block: ColumnMoments) -> "StreamSample":
        """Return the sample of the stream with a further block."""
        moments = self.moments.merge(block)
        kept, keys = _keep_largest(table, _draw_keys(table, moments))
        both, keys = _keep_largest(_join(self.table, kept), np.concatenate([self.keys, keys]))
        return StreamSample(moments, self.scaled_by, both, keys)

    def begin_again(self) -> "StreamSample":
        """Return the sample with a scaling determined by all blocks so far."""
        return StreamSample(self.moments, self.moments, self.table, self.keys)

    def find_wrong_scales(self, is_common: bool) -> np.ndarray:
        """Return the ratio of each column's scale by all blocks to the one in use, if it matters.

        It is 1 where the scale in use will do. Scales that spoil all columns matter at once; others
        once the stream is twice as long. Otherwise each rare column, when it first varies, would
        undo the training.
        """
        before, now = self.scaled_by, self.moments
        if is_common:
            ratio = np.full(len(now.mean), now.common_spread / before.common_spread)
        else:
            known = np.where(before.varies, before.spread, 1.0)
            ratio = np.where(now.varies, now.spread / known, 1.0)
        is_wrong = ratio > SPOILING_SCALE
        if now.total >= 2 * before.total:
            is_wrong |= (ratio < 1 / _WRONG_SCALE) | (ratio > _WRONG_SCALE)
        return np.where(is_wrong, ratio, 1.0)


def measure_distance(scaling: Scaling, block: ColumnMoments) -> np.ndarray:
    """Return how far out each column of a block lies, in scales; 0 if it does not."""
    shift = np.abs(block.mean - scaling.mean) / scaling.scale
    distance = np.maximum(shift, block.spread / scaling.scale)
    return np.where(distance > _FAR, distance, 0.0)


def _draw_keys(table: TrainingTable, moments: ColumnMoments) -> np.ndarray:
    """Return a key for each row (Efraimidis and Spirakis 2006, algorithm A)."""
    # Seeded by the length of the stream: a fit again on the same blocks keeps the same rows.
    uniform = np.random.default_rng(moments.n_rows).random(len(table))
    return np.log(uniform) if table.weight is None else np.log(uniform) / table.weight


def _keep_largest(table: TrainingTable, keys: np.ndarray) -> tuple[TrainingTable, np.ndarray]:
    most = max(1, min(_KEPT_ROWS, _KEPT_CELLS // table.X.shape[1]))
    kept = np.sort(np.argsort(-keys, kind="stable")[:most])
    target = None if table.target is None else table.target[kept]
    return TrainingTable(take_rows(table.X, kept), target=target), keys[kept]


def _join(first: TrainingTable, second: TrainingTable) -> TrainingTable:
    target = None
    if first.target is not None and second.target is not None:
        target = np.vstack([first.target, second.target])
    return TrainingTable(np.vstack([_load(first.X), _load(second.X)]), target=target)


def _load(X: AnyTable) -> np.ndarray:
    return X[:]

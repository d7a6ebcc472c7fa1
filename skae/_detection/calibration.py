"""The split into rows that train an estimator and rows that calibrate its threshold."""

import hashlib
import math
from dataclasses import dataclass

import numpy as np

from .._data import (
    AnyTable,
    TablePart,
    TrainingTable,
    subsample_indices,
    subsample_size,
    take_rows,
)

# Calibration rows of a stored table: more would not make the p-values noticeably finer.
_MOST_STORED = 100_000

#: The largest share of the rows that calibrates by default.
LARGEST_SHARE = 1 / 5

# Rows that tell a table from another.
_DIGESTED = 10_000


@dataclass(frozen=True)
class CalibrationSplit:
    """Rows that train, and calibration rows.

    Attributes
    ----------
    train : TrainingTable
        The rows that train.
    calibration : ndarray of shape (n_calibration, n_features)
        The calibration rows.
    indices : ndarray of shape (n_calibration,)
        Their indices.
    """

    train: TrainingTable
    calibration: np.ndarray
    indices: np.ndarray

    @classmethod
    def draw(
        cls, table: TrainingTable, n_calibration: int, generator: np.random.Generator
    ) -> "CalibrationSplit":
        """Return rows split at random; memory limits the calibration rows of a stored table."""
        rows, weight = table.X, table.weight
        if isinstance(rows, np.ndarray):
            order = generator.permutation(len(rows))
            indices, others = order[:n_calibration], order[n_calibration:]
            known = None if weight is None else weight[others]
            return cls(TrainingTable(rows[others], known), rows[indices], indices)
        n_calibration = min(n_calibration, _MOST_STORED, subsample_size(rows.shape[1]))
        indices = generator.choice(len(rows), n_calibration, replace=False, shuffle=False)
        indices.sort()
        return cls(_leave_out(table, indices), rows.take(indices), indices)

    @classmethod
    def take_last(cls, table: TrainingTable, n_calibration: int, gap: int) -> "CalibrationSplit":
        """Return the first rows, and the last ones, which are `gap` rows and more behind them.

        Memory limits the calibration rows of a stored table.
        """
        rows, n_rows = table.X, len(table)
        if not isinstance(rows, np.ndarray):
            n_calibration = min(n_calibration, _MOST_STORED, subsample_size(rows.shape[1]))
        n_train = n_rows - n_calibration - gap
        if n_train < 1:
            raise ValueError(
                f"gap must leave rows to train on, got gap={gap} and {n_rows} rows, of which "
                f"{n_calibration} calibrate: pass more rows, or choose a smaller gap or "
                "calibration_fraction"
            )
        indices = np.arange(n_rows - n_calibration, n_rows)
        others = np.arange(n_train, n_rows)
        return cls(_leave_out(table, others), take_rows(rows, indices), indices)

    @classmethod
    def take_block(cls, table: TrainingTable, indices: np.ndarray, gap: int) -> "CalibrationSplit":
        """Return the rows of a block, and those that are `gap` rows and more away from it."""
        near = _find_near(indices, gap, len(table))
        return cls(_leave_out(table, near), take_rows(table.X, indices), indices)


def cut_blocks(n_rows: int, n_blocks: int, gap: int) -> list[np.ndarray]:
    """Return the indices of rows in blocks, each of which leaves rows to train on."""
    blocks = np.array_split(np.arange(n_rows), min(n_blocks, n_rows))
    if any(len(_find_near(block, gap, n_rows)) == n_rows for block in blocks):
        raise ValueError(
            f"gap must leave rows to train on, got gap={gap} and {n_rows} rows, of which blocks "
            f"of {len(blocks[0])} calibrate: pass more rows, or choose a smaller gap or a "
            "calibration_fraction"
        )
    return blocks


def _find_near(block: np.ndarray, gap: int, n_rows: int) -> np.ndarray:
    """Return the indices of a block's rows, and of `gap` rows on either side."""
    return np.arange(max(0, block[0] - gap), min(n_rows, block[-1] + gap + 1))


def _leave_out(table: TrainingTable, indices: np.ndarray) -> TrainingTable:
    """Return a table without the rows of these sorted indices."""
    rows, weight = table.X, table.weight
    known = None if weight is None else np.delete(weight, indices)
    if isinstance(rows, np.ndarray):
        return TrainingTable(np.delete(rows, indices, axis=0), known)
    return TrainingTable(TablePart(rows, indices), known)


def make_split_generator(rows: AnyTable, seed: int) -> np.random.Generator:
    """Return a generator that depends on the rows too.

    Rows are sorted, so that their order does not matter. With the same seed for every table, the
    calibration rows would be those of the same ranks, which are not exchangeable with other rows.
    """
    known = take_rows(rows, subsample_indices(len(rows), _DIGESTED))
    digest = hashlib.blake2b(np.ascontiguousarray(known, dtype=np.float64).tobytes(), digest_size=8)
    return np.random.default_rng([seed, int.from_bytes(digest.digest(), "little")])


def count_calibration_rows(n_rows: int, fraction: float | str, alpha: float) -> int:
    """Return how many rows calibrate.

    "auto" is a tenth, or as many as the smallest p-value needs to be `alpha` if that is more,
    but at most a fifth of the rows.
    """
    if not isinstance(fraction, str):
        return min(max(1, round(fraction * n_rows)), n_rows - 1)
    wanted = max(round(n_rows / 10), math.ceil(1 / alpha - 1 - 1e-9))
    return max(1, min(wanted, round(LARGEST_SHARE * n_rows)))

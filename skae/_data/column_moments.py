"""The columns' means and spreads: of a table, or of blocks that follow each other."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .blocks import Table
from .sample_weights import normalize_weight
from .shared_passes import SharedPass
from .training_table import TrainingTable

# Squares of smaller values could underflow; they are measured in a unit of their own.
_SMALLEST = 1e-100

# The square of a larger value could overflow.
_LARGEST = 1e150


@dataclass(frozen=True)
class ColumnMoments:
    """How many rows there are, and their columns' means and standard deviations.

    Attributes
    ----------
    n_rows : int
        Number of rows.
    total : float
        Their total weight.
    mean, spread : ndarray of shape (n_features,)
        Means and standard deviations of the observed cells.
    observed : ndarray of shape (n_features,) or None, default=None
        Share of the weight whose cells are observed; None if all are.
    """

    n_rows: int
    total: float
    mean: np.ndarray
    spread: np.ndarray
    observed: np.ndarray | None = None

    @classmethod
    def from_table(
        cls, X: Table, weight: np.ndarray | None, total: float | None = None
    ) -> "ColumnMoments":
        """Return the moments of a table, in two passes over blocks of it.

        scikit-learn's `StandardScaler` takes one pass, and with weights its variance of a
        constant column can come out negative.

        Parameters
        ----------
        X : Table
            The rows.
        weight : ndarray of shape (n_rows,) or None
            How often each counts, relative to the others.
        total : float or None
            How much they count together; None is the number of rows.
        """
        mean, largest = np.zeros(X.shape[1]), np.zeros(X.shape[1])
        missing, share = np.zeros(X.shape[1]), normalize_weight(X, weight)
        is_known = np.zeros(X.shape[1], dtype=bool)
        sums = SharedPass(X)
        for rows in sums.blocks:
            block = X[rows]
            hidden = np.isnan(block)
            is_known |= ~hidden.all(axis=0)
            if hidden.any():
                missing += share(rows) @ hidden
                block = np.where(hidden, 0.0, block)
            mean += share(rows) @ block.astype(np.float64)
            np.maximum(largest, np.maximum(block.max(axis=0), -block.min(axis=0)), out=largest)
        sums.add(mean, missing)
        sums.maximize(largest, is_known.view(np.uint8))
        observed = None
        if missing.any():
            observed = np.where(is_known, np.maximum(1 - missing, 0.0), 0.0)
        known = 1.0 if observed is None else np.where(observed > 0, observed, 1.0)
        mean /= known
        unit = _choose_unit(largest)
        square, sums = np.zeros(X.shape[1]), SharedPass(X)
        for rows in sums.blocks:
            offset = (X[rows] - mean) / unit
            if observed is not None:
                offset[np.isnan(offset)] = 0.0
            square += share(rows) @ np.square(offset)
        sums.add(square)
        total = len(X) if total is None else total
        return cls(len(X), total, mean, unit * np.sqrt(square / known), observed)

    def merge(self, other: "ColumnMoments") -> "ColumnMoments":
        """Return the moments of both (Chan, Golub and LeVeque 1983, equation 2.1)."""
        total = self.total + other.total
        share: float | np.ndarray = other.total / total
        observed = None
        if self.observed is not None or other.observed is not None:
            own, new = self._observed_totals, other._observed_totals
            observed = (own + new) / total
            share = new / np.where(own + new > 0, own + new, 1.0)
        shift = other.mean - self.mean
        unit = _choose_unit(np.maximum(np.maximum(self.spread, other.spread), np.abs(shift)))
        square = (1 - share) * np.square(self.spread / unit)
        square += share * np.square(other.spread / unit)
        square += share * (1 - share) * np.square(shift / unit)
        n_rows, mean = self.n_rows + other.n_rows, self.mean + share * shift
        return ColumnMoments(n_rows, total, mean, unit * np.sqrt(square), observed)

    @property
    def _observed_totals(self) -> np.ndarray:
        """Weight of each column's observed cells."""
        return np.broadcast_to(self.total, self.mean.shape) * (
            1.0 if self.observed is None else self.observed
        )

    @property
    def varies(self) -> np.ndarray:
        """Which columns are not constant."""
        # The rounding of the mean, a sum over the rows, makes a constant column seem to vary.
        rounding = 10 * np.sqrt(self.n_rows) * np.finfo(np.float64).eps * np.abs(self.mean)
        return self.spread > rounding

    @property
    def common_spread(self) -> float:
        """The root of the mean variance of the columns that are not constant, else 1."""
        spread = self.spread[self.varies]
        if not len(spread):
            return 1.0
        unit = float(_choose_unit(spread.max(keepdims=True))[0])
        return unit * float(np.sqrt(np.square(spread / unit).mean()))


def measure_columns(
    estimator: Any, table: TrainingTable, total: float, owner: np.ndarray | None = None
) -> ColumnMoments:
    """Return the moments of a table that an estimator has validated; see `name_column`.

    Raises
    ------
    ValueError
        If squares of values could overflow, with the column's name.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        moments = ColumnMoments.from_table(table.X, table.weight, total)
        size = np.maximum(np.abs(moments.mean), moments.spread)
    too_large = np.flatnonzero(~(size <= _LARGEST))
    if len(too_large):
        column = int(too_large[0])
        raise ValueError(
            f"X must have columns of means and standard deviations up to {_LARGEST:g}, got "
            f"{size[column]:g} in {name_column(estimator, column, owner)}: divide the column by a "
            "constant, or drop it"
        )
    return moments


def name_column(estimator: Any, column: int, owner: np.ndarray | None = None) -> str:
    """Return what messages call a column of the estimator's tables.

    Parameters
    ----------
    estimator : estimator
        The estimator, which may know the columns' names.
    column : int
        Index of the column as it is computed with.
    owner : ndarray of int or None, default=None
        Index of the table's own column behind each of those; None if they are the same.
    """
    place = column if owner is None else int(owner[column])
    names = getattr(estimator, "feature_names_in_", range(place + 1))
    return f"column {names[place]!r}"


def _choose_unit(largest: np.ndarray) -> np.ndarray:
    """Return a power of two to divide each column by, so that rounding stays as it is."""
    is_tiny = (largest > 0) & (largest < _SMALLEST)
    return np.where(is_tiny, np.ldexp(1.0, np.frexp(largest)[1]), 1.0)

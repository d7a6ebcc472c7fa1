"""Columns centred and scaled for the network, and what comes out put back."""

from dataclasses import dataclass

import numpy as np

from ._blocks import Table, row_blocks, shares

# What is worked on at a time stays in the processor's cache.
_CACHED_BYTES = 2**18

# A scale from which on float32 has room for its inverse.
_LEAST_SINGLE = 1e-30


@dataclass(frozen=True)
class Scaling:
    """`(x - mean) / scale`, its inverse and its log-determinant.

    Attributes
    ----------
    mean, scale : ndarray of shape (n_features,)
        float64. `scale` is positive; without standardising it is the same for all
        columns, which leaves the proportions between them as they are.
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, X: Table, weight: np.ndarray | None, standardize: bool) -> "Scaling":
        """Return the scaling of a table's rows, in two passes over blocks of them."""
        mean, variance = _mean_and_variance(X, weight)
        spread = np.sqrt(variance)
        # What rounding of the mean, a sum over the rows, makes a constant column vary by.
        rounding = 10 * np.sqrt(len(X)) * np.finfo(np.float64).eps * np.abs(mean)
        varies = spread > rounding
        if standardize:
            return cls(mean, np.where(varies, spread, 1.0))
        common = np.sqrt(variance[varies].mean()) if varies.any() else 1.0
        return cls(mean, np.full(X.shape[1], common))

    @property
    def log_determinant(self) -> float:
        """Log of the factor by which the scaling shrinks volumes."""
        return float(np.log(self.scale).sum())

    def forward(self, X: np.ndarray, dtype: np.dtype | type) -> np.ndarray:
        """Return rows as the network sees them.

        Values beyond the cube root of what `dtype` can hold are cut, so that neither a
        product nor a square of them overflows. Rows that others stand beside, in a table
        of twice the columns, are scaled alike.
        """
        shape = X.shape
        X = X.reshape(-1, len(self.mean))
        limit = float(np.finfo(dtype).max) ** (1 / 3)
        out = np.empty(X.shape, dtype=dtype)
        scaled = self._scaled_in_single if self._fits_single(X, out) else self._scaled
        length = _cached_rows(out)
        with np.errstate(over="ignore"):
            for first in range(0, len(X), length):
                block = out[first : first + length]
                scaled(X[first : first + length], block)
                np.clip(block, -limit, limit, out=block)
        return out.reshape(shape)

    def _scaled(self, X: np.ndarray, out: np.ndarray) -> None:
        np.divide(X - self.mean, self.scale, out=out, casting="same_kind")

    def _fits_single(self, X: np.ndarray, out: np.ndarray) -> bool:
        """Whether rows and their scales are of single precision, in which less is to be moved."""
        return X.dtype == out.dtype == np.float32 and bool((self.scale > _LEAST_SINGLE).all())

    def _scaled_in_single(self, X: np.ndarray, out: np.ndarray) -> None:
        # The mean in two parts, or columns far from zero would lose what float32 has of them.
        high = self.mean.astype(np.float32)
        np.subtract(X, high, out=out)
        out -= (self.mean - high).astype(np.float32)
        out /= self.scale.astype(np.float32)

    def inverse(self, scaled: np.ndarray) -> np.ndarray:
        """Return what the network gave, in the units of the table."""
        largest = float(np.finfo(scaled.dtype).max)
        out = np.empty(scaled.shape, dtype=scaled.dtype)
        with np.errstate(over="ignore"):
            for rows in row_blocks(scaled, _cached_rows(scaled)):
                block = scaled[rows] * self.scale
                block += self.mean
                np.clip(block, -largest, largest, out=out[rows], casting="same_kind")
        return out

    def squares_inverse(self, squares: np.ndarray) -> np.ndarray:
        """Return squares of scaled values in squared units; for a common scale only."""
        with np.errstate(over="ignore"):
            return _fitting(squares * self.scale[0] ** 2, squares.dtype)


def _cached_rows(X: np.ndarray) -> int:
    return max(1, _CACHED_BYTES // (X.itemsize * max(X.shape[1], 1)))


def _mean_and_variance(X: Table, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns' means and variances, in two passes over blocks.

    `StandardScaler` takes one pass, and with weights its variance of a constant column can
    come out below zero.
    """
    mean, variance = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    share = shares(X, weight)
    for b in row_blocks(X):
        mean += share(b) @ X[b].astype(np.float64)
    for b in row_blocks(X):
        variance += share(b) @ np.square(X[b] - mean)
    return mean, variance


def _fitting(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return values in `dtype`, those too large for it cut to its largest."""
    largest = np.finfo(dtype).max
    return np.clip(values, -largest, largest).astype(dtype)

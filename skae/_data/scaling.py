"""Columns centred and scaled for the network, and its output in the table's units again."""

from dataclasses import dataclass

import numpy as np

from .blocks import block_length, row_blocks
from .column_moments import ColumnMoments

# What is worked on at a time stays in the processor's cache.
_CACHED_BYTES = 2**18

# The least scale whose inverse float32 can hold.
_LEAST_SINGLE = 1e-30


@dataclass(frozen=True)
class Scaling:
    """`(x - mean) / scale`, its inverse and its log-determinant.

    Attributes
    ----------
    mean, scale : ndarray of shape (n_features,)
        float64. `scale` is positive; without standardization it is the same for all
        columns, which leaves the proportions between them as they are.
    is_common : bool
        Whether one scale serves all columns.
    """

    mean: np.ndarray
    scale: np.ndarray
    is_common: bool = False

    @classmethod
    def from_moments(cls, moments: ColumnMoments, standardize: bool) -> "Scaling":
        """Return the scaling of rows with these moments."""
        if standardize:
            return cls(moments.mean, np.where(moments.varies, moments.spread, 1.0))
        common = np.full(len(moments.mean), moments.common_spread)
        return cls(moments.mean, common, is_common=True)

    @property
    def log_determinant(self) -> float:
        """Logarithm of the factor by which the scaling shrinks volumes."""
        return float(np.log(self.scale).sum())

    @property
    def unit(self) -> float:
        """Unit of errors and noise levels: the common scale, else 1 for a column's own."""
        return float(self.scale[0]) if self.is_common else 1.0

    def forward(self, X: np.ndarray, dtype: np.dtype | type) -> np.ndarray:
        """Return rows as the network sees them.

        Values beyond the cube root of the largest that `dtype` holds are clipped, so that
        neither a product nor a square of them overflows.
        """
        limit = float(np.finfo(dtype).max) ** (1 / 3)
        out = np.empty(X.shape, dtype=dtype)
        scale_block = self._scale_in_single if self._fits_single(X, out) else self._scale
        length = _cached_rows(out)
        with np.errstate(over="ignore"):
            for first in range(0, len(X), length):
                block = out[first : first + length]
                scale_block(X[first : first + length], block)
                np.clip(block, -limit, limit, out=block)
        return out

    def _scale(self, X: np.ndarray, out: np.ndarray) -> None:
        np.divide(X - self.mean, self.scale, out=out, casting="same_kind")

    def _fits_single(self, X: np.ndarray, out: np.ndarray) -> bool:
        """Whether single precision, which moves less memory, is enough."""
        return X.dtype == out.dtype == np.float32 and bool((self.scale > _LEAST_SINGLE).all())

    def _scale_in_single(self, X: np.ndarray, out: np.ndarray) -> None:
        # The mean in two parts: columns far from zero would lose digits that float32 has.
        high = self.mean.astype(np.float32)
        np.subtract(X, high, out=out)
        out -= (self.mean - high).astype(np.float32)
        out /= self.scale.astype(np.float32)

    def inverse(self, scaled: np.ndarray) -> np.ndarray:
        """Return rows of the network in the units of the table."""
        largest = float(np.finfo(scaled.dtype).max)
        out = np.empty(scaled.shape, dtype=scaled.dtype)
        with np.errstate(over="ignore"):
            for rows in row_blocks(scaled, _cached_rows(scaled)):
                block = scaled[rows] * self.scale
                block += self.mean
                np.clip(block, -largest, largest, out=out[rows], casting="same_kind")
        return out

    def inverse_squares(self, squares: np.ndarray) -> np.ndarray:
        """Return squares of scaled values in squares of `unit`."""
        if not self.is_common:
            return squares
        largest = np.finfo(squares.dtype).max
        with np.errstate(over="ignore"):
            values = squares * self.unit**2
            return np.clip(values, -largest, largest).astype(squares.dtype)


def _cached_rows(X: np.ndarray) -> int:
    return block_length(X.shape[1], _CACHED_BYTES // X.itemsize, len(X))

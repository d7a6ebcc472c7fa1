"""Columns centred and scaled for the network, and its output in the table's units again."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ..modules.cells import CellLayout
from .blocks import block_length, row_blocks
from .column_moments import ColumnMoments

# What is worked on at a time stays in the processor's cache.
_CACHED_BYTES = 2**18

# Scales and means that float32 holds, with room for values many scales out and for inverses.
_LEAST_SINGLE, _LARGEST_SINGLE = 1e-30, 1e30


class ColumnMap(Protocol):
    """An increasing map of each of some columns of scaled rows."""

    def forward(self, X: np.ndarray) -> np.ndarray:
        """Return mapped rows, in float64."""

    def inverse(self, X: np.ndarray) -> np.ndarray:
        """Return the rows of mapped ones, in float64."""

    def log_slope(self, X: np.ndarray) -> np.ndarray:
        """Return sums of the logarithms of slopes at each row's observed cells."""


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
    bounds : tuple of float or None, default=None
        The least and the largest value that a cell can have, to which the inverse rounds.
    margins : ColumnMap or None, default=None
        What scaled rows are mapped by further; None is nothing.
    is_by_channel : bool, default=False
        Whether one scale serves all columns of a channel.
    """

    mean: np.ndarray
    scale: np.ndarray
    is_common: bool = False
    bounds: tuple[float, float] | None = None
    margins: ColumnMap | None = None
    is_by_channel: bool = False

    @classmethod
    def from_moments(
        cls,
        moments: ColumnMoments,
        standardize: bool,
        layout: CellLayout | None = None,
        channels: np.ndarray | None = None,
    ) -> "Scaling":
        """Return the scaling of rows with these moments.

        Standardized, a column of numbers has variance 1, and the indicators of a category have
        it together.

        Parameters
        ----------
        moments : ColumnMoments
            The columns' means and spreads.
        standardize : bool
            Whether columns get scales of their own.
        layout : CellLayout or None, default=None
            What they hold; None is numbers.
        channels : ndarray of int of shape (n_features,) or None, default=None
            The channel of each column, whose columns share a scale; None gives each its own.
        """
        if standardize:
            spread = pool_spread(moments, layout, channels)
            scale = np.where(spread > 0, spread, 1.0)
            return cls(moments.mean, scale, is_by_channel=channels is not None)
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
        if self.margins is not None:
            linear = replace(self, margins=None).forward(X, np.float64)
            return self.margins.forward(linear).astype(dtype)
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
        return X.dtype == out.dtype == np.float32 and self.is_single

    @property
    def is_single(self) -> bool:
        """Whether float32 holds values of the table."""
        largest = max(np.abs(self.mean).max(), self.scale.max())
        return bool(self.scale.min() > _LEAST_SINGLE and largest < _LARGEST_SINGLE)

    def _scale_in_single(self, X: np.ndarray, out: np.ndarray) -> None:
        # The mean in two parts: columns far from zero would lose digits that float32 has.
        high = self.mean.astype(np.float32)
        np.subtract(X, high, out=out)
        out -= (self.mean - high).astype(np.float32)
        out /= self.scale.astype(np.float32)

    def inverse(self, scaled: np.ndarray) -> np.ndarray:
        """Return rows of the network in the units of the table.

        Their precision is that of `scaled`, or float64 if float32 does not hold the units.
        """
        if self.margins is not None:
            table = replace(self, margins=None).inverse(self.margins.inverse(scaled))
            return table.astype(scaled.dtype) if self.is_single else table
        dtype = scaled.dtype if self.is_single else np.dtype(np.float64)
        largest = float(np.finfo(dtype).max)
        low, high = self.bounds or (-largest, largest)
        out = np.empty(scaled.shape, dtype=dtype)
        with np.errstate(over="ignore"):
            for rows in row_blocks(scaled, _cached_rows(scaled)):
                block = scaled[rows] * self.scale
                block += self.mean
                np.clip(block, low, high, out=out[rows], casting="same_kind")
        return out

    def log_slope(self, X: np.ndarray) -> np.ndarray:
        """Return what maps beyond scaling add to log-densities of rows in the table's units."""
        if self.margins is None:
            return np.zeros(len(X))
        return self.margins.log_slope(replace(self, margins=None).forward(X, np.float64))

    def inverse_squares(self, squares: np.ndarray) -> np.ndarray:
        """Return squares of scaled values in squares of `unit`.

        Their precision is that of `squares`, or float64 if float32 does not hold the unit.
        """
        if not self.is_common:
            return squares
        square = self.unit**2
        is_single = _LEAST_SINGLE < square < _LARGEST_SINGLE
        dtype = squares.dtype if is_single else np.dtype(np.float64)
        largest = np.finfo(dtype).max
        with np.errstate(over="ignore"):
            values = squares.astype(np.float64) * square
            return np.clip(values, -largest, largest).astype(dtype)


def pool_spread(
    moments: ColumnMoments, layout: CellLayout | None, channels: np.ndarray | None = None
) -> np.ndarray:
    """Return each column's spread, 0 if it is constant.

    The indicators of a category share one: the root of their total variance. So do the columns of
    a channel: the root of the mean variance of those that are not constant.
    """
    spread = np.where(moments.varies, moments.spread, 0.0)
    if channels is not None:
        unit = spread.max() or 1.0
        squares = np.bincount(channels, np.square(spread / unit))
        n_varying = np.bincount(channels, moments.varies)
        return unit * np.sqrt(squares / np.maximum(n_varying, 1))[channels]
    for first, end in () if layout is None else layout.categories:
        spread[first:end] = np.sqrt(np.square(spread[first:end]).sum())
    return spread


def _cached_rows(X: np.ndarray) -> int:
    return block_length(X.shape[1], _CACHED_BYTES // X.itemsize, len(X))

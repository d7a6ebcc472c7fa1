"""Means and covariances that blocks of rows can add to."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import linalg

from .._data import row_blocks

# With up to this many columns all eigenvectors cost no more than the leading ones.
_WHOLE_UP_TO = 256

#: Variances of scaled columns are never taken to be smaller: a density needs some width, also
#: where a reconstruction is perfect.
SMALLEST_VARIANCE = 1e-6


@dataclass(frozen=True)
class Moments:
    """Total weight, mean and covariance of rows.

    Attributes
    ----------
    total : float
        Weight of the rows.
    mean : ndarray of shape (n_columns,)
        Their mean.
    covariance : ndarray of shape (n_columns, n_columns)
        Their covariance.
    """

    total: float
    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def from_rows(cls, X: np.ndarray, weight: np.ndarray, total: float) -> "Moments":
        """Return the moments of rows that stand for rows of weight `total`."""
        mean = np.average(X, axis=0, weights=weight)
        centred = X - mean
        covariance = centred.T @ (centred * weight[:, None]) / weight.sum()
        return cls(total, mean, covariance)

    @classmethod
    def from_blocks(cls, X: np.ndarray, weight: np.ndarray | None) -> "Moments":
        """Return the moments of rows without a copy of all of them.

        A product of a matrix with itself is half the work of one with another.
        """
        weight = np.ones(len(X)) if weight is None else weight.astype(np.float64)
        total, blocks = float(weight.sum()), row_blocks(X)
        share = weight / total
        n_features = X.shape[1]
        mean, covariance = np.zeros(n_features), np.zeros((n_features, n_features))
        for rows in blocks:
            mean += share[rows] @ X[rows]
        for rows in blocks:
            centred = X[rows] - mean
            centred *= np.sqrt(share[rows])[:, None]
            covariance += centred.T @ centred
        return cls(total, mean, covariance)

    @cached_property
    def spectrum(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues of the covariance, in ascending order, and its eigenvectors, as columns."""
        values, vectors = np.linalg.eigh(self.covariance)
        return values, vectors

    def find_leading(self, n_leading: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the largest eigenvalues, in descending order, and their eigenvectors as rows."""
        n_features = len(self.mean)
        if n_features <= _WHOLE_UP_TO or n_leading == 0:
            values, vectors = self.spectrum
        else:
            first = n_features - n_leading
            values, vectors = linalg.eigh(self.covariance, subset_by_index=[first, n_features - 1])
        last = slice(None, -n_leading - 1, -1)
        return values[last].clip(0), vectors[:, last].T

    def rescale(self, unit: np.ndarray) -> "Moments":
        """Return the moments of rows multiplied by `unit`, a factor for each column."""
        return Moments(self.total, self.mean * unit, self.covariance * np.outer(unit, unit))

    def merge(self, other: "Moments") -> "Moments":
        """Return the moments of the rows of both (Chan, Golub and LeVeque 1983)."""
        total = self.total + other.total
        share = other.total / total
        step = other.mean - self.mean
        within = (1 - share) * self.covariance + share * other.covariance
        between = share * (1 - share) * np.outer(step, step)
        return Moments(total, self.mean + share * step, within + between)

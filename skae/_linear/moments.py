"""Means and covariances that blocks of rows can add to."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

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

    @cached_property
    def spectrum(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues of the covariance, in ascending order, and its eigenvectors, as columns."""
        values, vectors = np.linalg.eigh(self.covariance)
        return values, vectors

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

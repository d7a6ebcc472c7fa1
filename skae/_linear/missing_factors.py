"""Factor analysis of rows with missing cells: for tables too wide for a covariance of their own."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from .._data import CompletedRows, block_length
from .moments import SMALLEST_VARIANCE, Moments

#: Its covariance has this many cells squared, and is used as a whole.
WIDEST_FACTORED = 2000

_N_FACTORS = 32
_STEPS = 20

# The loadings are taken to be normal, with the variance of this many rows: few rows need it.
_RIDGE = 5.0


@dataclass(frozen=True)
class FactorCompletion:
    """Normal rows that follow a few factors, from which missing cells are expected.

    Attributes
    ----------
    mean : ndarray of shape (n_columns,)
        Mean of the rows.
    loadings : ndarray of shape (n_columns, n_factors)
        What one standard deviation of each factor adds.
    noise : ndarray of shape (n_columns,)
        Variances that no factor explains.
    """

    mean: np.ndarray
    loadings: np.ndarray
    noise: np.ndarray

    @classmethod
    def fit(cls, X: np.ndarray, weight: np.ndarray | None = None) -> Self:
        """Return the maximum-likelihood factors of the observed cells, by EM.

        The steps are those of Rubin and Thayer (1982), with the sums over observed cells only.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_columns)
            Scaled rows; NaN is a missing cell.
        weight : ndarray of shape (n_rows,) or None, default=None
            How often each row counts.
        """
        weight = np.ones(len(X)) if weight is None else weight.astype(np.float64)
        observed = (~np.isnan(X)).astype(np.float64)
        share = observed * weight[:, None]
        total = np.maximum(share.sum(axis=0), 1e-12)
        known = np.where(np.isnan(X), 0.0, X)
        mean = (share * known).sum(axis=0) / total
        centred = observed * (known - mean)
        variance = np.maximum((share * np.square(centred)).sum(axis=0) / total, SMALLEST_VARIANCE)
        n_factors = min(_N_FACTORS, len(X) - 1, X.shape[1] - 1)
        scaled = centred * np.sqrt(weight / weight.sum())[:, None]
        _, sizes, axes = np.linalg.svd(scaled, full_matrices=False)
        loadings = (sizes[:n_factors, None] * axes[:n_factors]).T
        noise = np.maximum(variance - np.square(loadings).sum(axis=1), 0.1 * variance)
        for _ in range(_STEPS):
            model = cls(np.zeros_like(mean), loadings, noise)
            codes, spreads = model._find_factors(centred, observed)
            seconds = spreads + codes[:, :, None] * codes[:, None, :]
            size = n_factors**2
            gram = (share.T @ seconds.reshape(len(X), size)).reshape(-1, n_factors, n_factors)
            cross = (share * centred).T @ codes
            ridge = _RIDGE * np.eye(n_factors)
            loadings = np.linalg.solve(gram + ridge, cross[:, :, None])[:, :, 0]
            explained = 2 * np.einsum("ij,ij->i", loadings, cross)
            explained -= np.einsum("ij,ijk,ik->i", loadings, gram, loadings)
            noise = np.maximum(variance - explained / total, SMALLEST_VARIANCE)
        return cls(mean, loadings, noise)

    def complete(self, X: np.ndarray) -> CompletedRows:
        """Return rows whose missing cells are their means given the observed ones.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_columns)
            Scaled rows; NaN is a missing cell.
        """
        observed = ~np.isnan(X)
        if observed.all():
            return CompletedRows(np.ascontiguousarray(X))
        filled = np.empty_like(X)
        length = block_length(self.loadings.shape[1] ** 2)
        for first in range(0, len(X), length):
            rows = slice(first, first + length)
            mask = observed[rows].astype(np.float64)
            codes, _ = self._find_factors(mask * np.nan_to_num(X[rows] - self.mean), mask)
            filled[rows] = self.mean + codes @ self.loadings.T
        return CompletedRows(np.where(observed, X, filled), observed)

    @cached_property
    def moments(self) -> Moments:
        """The mean and the covariance."""
        covariance = self.loadings @ self.loadings.T + np.diag(self.noise)
        return Moments(1.0, self.mean, covariance)

    def get_state(self) -> dict[str, Any]:
        """Return plain arrays."""
        return {"mean": self.mean, "loadings": self.loadings, "noise": self.noise}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the factors of a stored state."""
        return cls(**state)

    def _find_factors(
        self, centred: np.ndarray, observed: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return each row's means and covariances of the factors; missing cells are 0."""
        n_factors = self.loadings.shape[1]
        precise = self.loadings / self.noise[:, None]
        products = (precise[:, :, None] * self.loadings[:, None, :]).reshape(len(precise), -1)
        precision = (observed @ products).reshape(-1, n_factors, n_factors) + np.eye(n_factors)
        spreads = np.linalg.inv(precision)
        return np.einsum("nij,nj->ni", spreads, centred @ precise), spreads

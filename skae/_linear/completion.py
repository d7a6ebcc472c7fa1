"""Missing cells of scaled rows, filled by what the observed ones say of them."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .._data import CompletedRows
from .missing_covariance import fill_missing, fit_with_missing, measure_uncertainty
from .moments import Moments

#: More rows tell next to nothing more of the mean and the covariance, and each has its own pattern.
COMPLETION_ROWS = 2000

#: A row costs the cube of its missing cells.
WIDEST_COMPLETED = 500

_STEPS = 15

# Rows in which columns are uncorrelated, added to those of the table: tables of few rows need them,
# and others lose nothing.
_RIDGE = 5.0


@dataclass(frozen=True)
class Completion:
    """The normal distribution that missing cells are expected from.

    Attributes
    ----------
    moments : Moments
        Of scaled rows.
    """

    moments: Moments

    @classmethod
    def fit(cls, X: np.ndarray, weight: np.ndarray | None = None) -> Self:
        """Return the distribution of rows with missing cells.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_columns)
            Scaled rows; NaN is a missing cell.
        weight : ndarray of shape (n_rows,) or None, default=None
            How often each row counts.
        """
        return cls(fit_with_missing(X, weight, ridge=_RIDGE, max_iter=_STEPS))

    def complete(self, X: np.ndarray) -> CompletedRows:
        """Return rows whose missing cells are their means given the observed ones.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_columns)
            Scaled rows; NaN is a missing cell.
        """
        missing = np.isnan(X)
        if not missing.any():
            return CompletedRows(np.ascontiguousarray(X))
        observed, filled = ~missing, fill_missing(X, self.moments).astype(X.dtype)
        return CompletedRows(np.where(observed, X, filled), observed)

    def measure_uncertainty(self, X: np.ndarray) -> np.ndarray:
        """Return the variance of each missing cell given the observed ones; 0 for those.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_columns)
            Scaled rows; NaN is a missing cell.
        """
        return measure_uncertainty(X, self.moments)

    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays."""
        return {
            "total": self.moments.total,
            "mean": self.moments.mean,
            "covariance": self.moments.covariance,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the distribution of a stored state."""
        return cls(Moments(**state))

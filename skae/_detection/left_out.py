"""Linear errors of rows that are left out, for tables with fewer rows than columns.

A network, and the covariance of rows that are fewer than the columns, know each training row by
heart: their errors on it are as good as zero, whatever the row, and tell nothing. What a linear
model would say of the row if it had not seen it is known in closed form.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from .._environment import limit_threads

#: The least share of a row's error that others don't explain: where there is none, rounding.
LEAST_SHARE = 1e-9


@dataclass(frozen=True)
class LeftOutErrors:
    """Squared Mahalanobis distances, in units of the variance outside the span of known rows.

    With `x` centred, they are `|x|^2 - |factor x|^2`: by Woodbury's identity those of the
    covariance `a rows.T rows + b I`, times `b`.

    Attributes
    ----------
    mean : ndarray of shape (n_features,)
        The mean of the known rows.
    factor : ndarray of shape (n_rows, n_features)
        What maps a centred row to the part of its length that the known rows explain.
    leverage : float
        How much a known row's own error falls because it is known: `a / b`.
    """

    mean: np.ndarray
    factor: np.ndarray
    leverage: float

    @classmethod
    def from_rows(cls, rows: np.ndarray, weight: np.ndarray | None) -> "LeftOutErrors":
        """Return the errors that have these rows, scaled, as known ones.

        Their covariance is shrunk towards a multiple of the identity, by how much its entries may
        be chance (Chen, Wiesel, Eldar and Hero 2010, "Shrinkage algorithms for MMSE covariance
        estimation", equation 23, as in `sklearn.covariance.oas`, which takes no weights).
        """
        weight = np.ones(len(rows)) if weight is None else weight.astype(np.float64)
        count, n_features = weight.sum(), rows.shape[1]
        mean = weight @ rows / count
        centred = (rows - mean) * np.sqrt(weight / count)[:, None]
        with limit_threads(1):
            products = centred @ centred.T
            variance = np.trace(products) / n_features
            squares = np.square(products).sum() / n_features**2
            spread = (count + 1) * (squares - variance**2 / n_features)
            share = min(1.0, (squares + variance**2) / spread) if spread > 0 else 1.0
            if share == 1:
                return cls(mean, np.zeros((0, n_features)), 0.0)
            ratio = (1 - share) / (share * variance)
            products *= ratio
            products[np.diag_indices(len(products))] += 1.0
            lower = np.linalg.cholesky(products)
            factor = solve_triangular(lower, np.sqrt(ratio) * centred, lower=True)
        return cls(mean, factor, float(ratio / count * min(weight.max(), 1.0)))

    def measure(self, rows: np.ndarray, is_known: np.ndarray) -> np.ndarray:
        """Return the errors (n_rows, 1) of rows; those that are known are left out.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
            The rows, scaled; missing cells are filled by their conditional means.
        is_known : ndarray of bool of shape (n_rows,)
            Which rows are copies of known ones, of which one does not count.
        """
        centred = rows - self.mean
        with limit_threads(1):
            explained = np.square(centred @ self.factor.T).sum(axis=1)
        errors = np.maximum(np.square(centred).sum(axis=1) - explained, 0)
        own = np.where(is_known, self.leverage * errors, 0.0)  # Sherman and Morrison's identity
        return (errors / np.maximum(1 - own, LEAST_SHARE))[:, None]

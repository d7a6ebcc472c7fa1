"""The mean and covariance that a linear denoiser is made of: weighted and trimmed."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from ._density import SMALLEST_VARIANCE
from ._losses import kept_weight
from ._pca import FULL_UP_TO, completed, leading_axes

_TRIM_STEPS = 20


@dataclass(frozen=True)
class Covariance:
    """A covariance by its principal axes.

    Attributes
    ----------
    mean : ndarray of shape (n_features,)
        The centre.
    axes : ndarray of shape (n_axes, n_features)
        Orthonormal rows, of decreasing variance.
    variances : ndarray of shape (n_axes,)
        Variances along them, none below `SMALLEST_VARIANCE`.
    remainder : float
        The variance in every direction that the axes leave.
    weight : ndarray of shape (n_rows,)
        How often each row counted, less what was trimmed.
    """

    mean: np.ndarray
    axes: np.ndarray
    variances: np.ndarray
    remainder: float
    weight: np.ndarray

    def distances(self, X: np.ndarray) -> np.ndarray:
        """Return the squared Mahalanobis distance of each row."""
        centred = X - self.mean
        scores = np.square(centred @ self.axes.T)
        along = scores @ (1 / self.variances)
        if len(self.axes) == X.shape[1]:
            return along
        left = np.square(centred).sum(axis=1) - scores.sum(axis=1)
        return along + left.clip(min=0) / self.remainder


def n_axes_for(n_features: int) -> int:
    """Return how many axes a covariance of that many columns has."""
    return min(n_features, FULL_UP_TO)


def trimmed_covariance(
    X: np.ndarray,
    weight: np.ndarray | None,
    trim_fraction: float,
    generator: np.random.Generator,
) -> Covariance:
    """Return the covariance of the rows, less those that lie farthest out.

    Concentration steps from the covariance of all rows, as in the minimum covariance
    determinant (Rousseeuw and Van Driessen 1999, theorem 1), and the factor that makes
    the result consistent for normal rows (Croux and Haesbroeck 1999).

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        The rows.
    weight : ndarray of shape (n_rows,) or None
        How often each row counts.
    trim_fraction : float
        Share of the rows, by weight, that is left out.
    generator : numpy.random.Generator
        For axes beyond the rank, and approximate decompositions of wide tables.
    """
    weight = np.ones(len(X)) if weight is None else weight.astype(np.float64)
    found = _covariance(X, weight, 1.0, generator)
    if trim_fraction == 0:
        return found
    n_features = X.shape[1]
    inside = stats.chi2.ppf(1 - trim_fraction, n_features)
    factor = (1 - trim_fraction) / stats.chi2.cdf(inside, n_features + 2)
    for _ in range(_TRIM_STEPS):
        kept = kept_weight(found.distances(X), weight, trim_fraction)
        if np.array_equal(kept, found.weight):
            break
        found = _covariance(X, kept, factor, generator)
    return found


def _covariance(
    X: np.ndarray, weight: np.ndarray, factor: float, generator: np.random.Generator
) -> Covariance:
    n_features = X.shape[1]
    n_axes = n_axes_for(n_features)
    n_leading = min(n_axes, max(len(X) - 1, 0))
    mean, axes, variances, total = leading_axes(X, weight, n_leading, generator)
    left = (total - variances.sum()) / max(n_features - n_leading, 1)
    remainder = max(factor * left, SMALLEST_VARIANCE)
    filled = np.full(n_axes, remainder)
    filled[:n_leading] = np.maximum(factor * variances, SMALLEST_VARIANCE)
    return Covariance(mean, completed(axes, n_axes, generator), filled, remainder, weight)

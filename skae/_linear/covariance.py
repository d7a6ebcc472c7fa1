"""Mean and covariance by principal axes: weighted and trimmed.

`sklearn.covariance.MinCovDet` takes no sample weights, keeps a random subset of half the rows, and
has no covariance of tables with more columns than rows.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from .._data import trim_weight_array
from . import pca
from .moments import SMALLEST_VARIANCE


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
        The variance in every other direction.
    weight : ndarray of shape (n_rows,)
        How often each row counted after trimming.
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


def count_axes(n_features: int) -> int:
    """Return how many axes a covariance of that many columns has at most."""
    return min(n_features, pca.FULL_UP_TO)


def fit_covariance(
    X: np.ndarray,
    weight: np.ndarray | None,
    trim_fraction: float,
    generator: np.random.Generator,
    n_least: int = 1,
) -> Covariance:
    """Return the covariance of the rows without those that lie farthest out.

    Concentration steps begin at the covariance of all rows, as in the minimum covariance
    determinant (Rousseeuw and Van Driessen 1999, theorem 1); a factor makes the result
    consistent for normal rows (Croux and Haesbroeck 1999).

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        The rows.
    weight : ndarray of shape (n_rows,) or None
        How often each row counts.
    trim_fraction : float
        Share of the rows, by weight, that is left out.
    generator : numpy.random.Generator
        Source of axes beyond the rank, and of approximate decompositions of wide tables.
    n_least : int, default=1
        Axes of a wide table at least, if it has as many; more are those that its rows determine.
    """
    weight = np.ones(len(X)) if weight is None else weight.astype(np.float64)
    found = _decompose(X, weight, 1.0, generator, n_least)
    if trim_fraction == 0:
        return found
    n_features = X.shape[1]
    inside = stats.chi2.ppf(1 - trim_fraction, n_features)
    factor = (1 - trim_fraction) / stats.chi2.cdf(inside, n_features + 2)
    for _ in range(pca.TRIM_STEPS):
        kept = trim_weight_array(found.distances(X), weight, trim_fraction)
        if np.array_equal(kept, found.weight):
            break
        found = _decompose(X, kept, factor, generator, n_least)
    return found


def _decompose(
    X: np.ndarray,
    weight: np.ndarray,
    factor: float,
    generator: np.random.Generator,
    n_least: int,
) -> Covariance:
    n_features = X.shape[1]
    n_axes = count_axes(n_features)
    n_leading = min(n_axes, max(len(X) - 1, 0))
    if n_axes < n_features:
        # Axes beyond the rank say no more than the remainder, and those of wide tables are long.
        n_axes = min(n_axes, max(n_leading, n_least))
    spectrum = pca.decompose(X, weight, n_leading, generator)
    left = (spectrum.total - spectrum.variances.sum()) / max(n_features - n_leading, 1)
    remainder = max(factor * left, SMALLEST_VARIANCE)
    filled = np.full(n_axes, remainder)
    filled[:n_leading] = np.maximum(factor * spectrum.variances, SMALLEST_VARIANCE)
    axes = pca.complete_axes(spectrum.axes, n_axes, generator)
    return Covariance(spectrum.mean, axes, filled, remainder, weight)

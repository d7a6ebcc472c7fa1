"""The PCA solution that a network starts from: weighted, trimmed, and of any size."""

from dataclasses import dataclass

import numpy as np
from scipy import linalg
from sklearn.utils.extmath import randomized_svd, svd_flip

from ._losses import kept_weight

# Up to this many columns (or rows) a full decomposition is quick; above it only the
# leading directions are computed.
FULL_UP_TO = 1000
_BLOCK_ROWS = 65536
_TRIM_STEPS = 20


@dataclass(frozen=True)
class PrincipalAxes:
    """A linear autoencoder: code `C (x - mean)`, reconstruction `mean + C' code`.

    Attributes
    ----------
    mean : ndarray of shape (n_features,)
        The centre.
    components : ndarray of shape (n_components, n_features)
        Orthonormal rows, the leading principal directions first. With more components
        than features, orthonormal columns instead: either way `C'C` is a projection, onto
        everything where that is possible.
    """

    mean: np.ndarray
    components: np.ndarray


def principal_axes(
    X: np.ndarray,
    weight: np.ndarray | None,
    n_components: int,
    trim_fraction: float,
    generator: np.random.Generator,
) -> PrincipalAxes:
    """Return the PCA solution of the rows, completed at random where PCA has no more.

    With `trim_fraction`, rows of largest reconstruction error are left out and the axes
    computed again until the same rows are left out, as the concentration steps of the
    minimum covariance determinant do (Rousseeuw and Van Driessen 1999).

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        The rows.
    weight : ndarray of shape (n_rows,) or None
        How often each row counts.
    n_components : int
        Number of directions, which may exceed the rows' and columns' numbers.
    trim_fraction : float
        Share of the rows that is left out.
    generator : numpy.random.Generator
        Where the completion is drawn.
    """
    weight = np.ones(len(X)) if weight is None else weight.astype(np.float64)
    n_leading = min(n_components, X.shape[1], max(len(X) - 1, 0))
    kept = weight
    mean, leading, _, _ = leading_axes(X, kept, n_leading, generator)
    for _ in range(_TRIM_STEPS if trim_fraction > 0 else 0):
        centred = X - mean
        errors = np.square(centred - (centred @ leading.T) @ leading).sum(axis=1)
        again = kept_weight(errors, weight, trim_fraction)
        if np.array_equal(again, kept):
            break
        kept = again
        mean, leading, _, _ = leading_axes(X, kept, n_leading, generator)
    return PrincipalAxes(mean, completed(leading, n_components, generator))


def leading_axes(
    X: np.ndarray, weight: np.ndarray, n_leading: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return the mean, the leading axes, the variances along them and the total variance."""
    share = weight / weight.sum()
    mean = sum(share[b] @ X[b].astype(np.float64) for b in _blocks(len(X)))
    if n_leading == 0:
        return mean, np.zeros((0, X.shape[1])), np.zeros(0), 0.0
    if X.shape[1] <= FULL_UP_TO:
        covariance = np.zeros((X.shape[1], X.shape[1]))
        for b in _blocks(len(X)):
            centred = X[b] - mean
            covariance += centred.T @ (centred * share[b, None])
        values, vectors = linalg.eigh(covariance)
        axes, variances, total = vectors[:, ::-1].T, values[::-1], float(np.trace(covariance))
    else:
        scaled = (X - mean) * np.sqrt(share)[:, None]
        if len(X) <= FULL_UP_TO:
            _, spread, axes = linalg.svd(scaled, full_matrices=False)
        else:
            seed = int(generator.integers(2**31))
            _, spread, axes = randomized_svd(scaled, n_leading, n_iter=7, random_state=seed)
        variances, total = np.square(spread), float(np.square(scaled).sum())
    _, axes = svd_flip(None, axes[:n_leading], u_based_decision=False)
    variances = variances[:n_leading].clip(min=0.0)  # where rounding has them below
    return mean, axes.copy(), variances, total  # torch takes no negative strides


def _blocks(n_rows: int) -> list[slice]:
    return [slice(first, first + _BLOCK_ROWS) for first in range(0, n_rows, _BLOCK_ROWS)]


def completed(leading: np.ndarray, n_components: int, generator: np.random.Generator) -> np.ndarray:
    """Return as many orthonormal axes as asked for, random ones after the leading."""
    n_leading, n_features = leading.shape
    if n_components == n_leading:
        return leading
    if n_components > n_features:  # a frame: orthonormal columns, every row in use
        return linalg.qr(generator.normal(size=(n_components, n_features)), mode="economic")[0]
    more = generator.normal(size=(n_components - n_leading, n_features))
    # Householder's Q is orthonormal whatever it is given, also where rows are parallel.
    both, _ = linalg.qr(np.vstack([leading, more]).T, mode="economic")
    return np.vstack([leading, both.T[n_leading:]])

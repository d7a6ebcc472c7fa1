"""The PCA solution that a network starts from: weighted, trimmed, and of any size."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg
from sklearn.utils.extmath import randomized_svd, svd_flip

from ._blocks import Table, evenly, row_blocks, shares
from ._krylov import krylov_axes
from ._losses import kept_weight

# Up to this many columns (or rows) a full decomposition is quick; above it only the
# leading directions are computed.
FULL_UP_TO = 1000
_BLOCK_ROWS = 65536
_TRIM_STEPS = 20
# Rows of a stored table that say which rows of it are left out.
_TRIMMING_ROWS = 50_000
_TRIMMING_CELLS = 2**25


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
    X: Table,
    weight: np.ndarray | None,
    n_components: int,
    trim_fraction: float,
    generator: np.random.Generator,
) -> PrincipalAxes:
    """Return the PCA solution of the rows, completed at random where PCA has no more.

    With `trim_fraction`, rows of largest reconstruction error are left out and the axes
    computed again until the same rows are left out, as the concentration steps of the
    minimum covariance determinant do (Rousseeuw and Van Driessen 1999). Of a stored table,
    where each step would read it three times, some rows go through the steps; then all
    rows but those of larger error than any that was kept are taken.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features), or a stored table
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
    n_leading = min(n_components, X.shape[1], max(len(X) - 1, 0))
    if trim_fraction > 0 and isinstance(X, np.ndarray):
        mean, leading = _concentrated(X, weight, n_leading, trim_fraction, generator)[:2]
    else:
        kept = weight
        if trim_fraction > 0:
            kept = _kept_of_stored(X, weight, n_leading, trim_fraction, generator)
        mean, leading, _, _ = leading_axes(X, kept, n_leading, generator)
    return PrincipalAxes(mean, completed(leading, n_components, generator))


def _concentrated(
    X: np.ndarray,
    weight: np.ndarray | None,
    n_leading: int,
    trim_fraction: float,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean and axes of the rows that fit them best, and these rows' weights."""
    kept = weight = np.ones(len(X)) if weight is None else weight.astype(np.float64)
    mean, leading, _, _ = leading_axes(X, kept, n_leading, generator)
    for _ in range(_TRIM_STEPS):
        again = kept_weight(_errors(X, mean, leading), weight, trim_fraction)
        if np.array_equal(again, kept):
            break
        kept = again
        mean, leading, _, _ = leading_axes(X, kept, n_leading, generator)
    return mean, leading, kept


def _kept_of_stored(
    X: Any,
    weight: np.ndarray | None,
    n_leading: int,
    trim_fraction: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """Return the weights of the rows of a stored table that are not left out."""
    numbers = evenly(len(X), min(_TRIMMING_ROWS, max(1000, _TRIMMING_CELLS // X.shape[1])))
    some, known = X.take(numbers), None if weight is None else weight[numbers]
    mean, leading, kept = _concentrated(some, known, n_leading, trim_fraction, generator)
    most = _errors(some, mean, leading)[kept > 0].max()
    is_kept = np.concatenate([_errors(X[b], mean, leading) <= most for b in row_blocks(X)])
    return is_kept.astype(np.float32) if weight is None else np.where(is_kept, weight, 0.0)


def _errors(X: np.ndarray, mean: np.ndarray, leading: np.ndarray) -> np.ndarray:
    centred = X - mean
    return np.square(centred - (centred @ leading.T) @ leading).sum(axis=1)


def leading_axes(
    X: Table, weight: np.ndarray | None, n_leading: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return the mean, the leading axes, the variances along them and the total variance."""
    share, n_features = shares(X, weight), X.shape[1]
    if n_leading > 0 and n_features > FULL_UP_TO and not isinstance(X, np.ndarray):
        mean, axes, variances, total = krylov_axes(X, weight, n_leading, generator)
        return mean, _signed(axes), variances.clip(min=0.0), total
    blocks = row_blocks(X, _BLOCK_ROWS)
    mean = sum((share(b) @ X[b].astype(np.float64) for b in blocks), np.zeros(n_features))
    if n_leading == 0:
        return mean, np.zeros((0, n_features)), np.zeros(0), 0.0
    if n_features <= FULL_UP_TO:
        covariance = np.zeros((n_features, n_features))
        for b in blocks:
            centred = X[b] - mean
            covariance += centred.T @ (centred * share(b)[:, None])
        values, vectors = linalg.eigh(covariance)
        axes, variances, total = vectors[:, ::-1].T, values[::-1], float(np.trace(covariance))
    else:
        scaled = X[:] - mean
        scaled *= np.sqrt(share(slice(0, len(X))))[:, None]  # in place: it is a copy of the table
        if len(X) <= FULL_UP_TO:
            _, spread, axes = linalg.svd(scaled, full_matrices=False)
        else:
            seed = int(generator.integers(2**31))
            _, spread, axes = randomized_svd(scaled, n_leading, n_iter=7, random_state=seed)
        variances, total = np.square(spread), float(np.vdot(scaled, scaled))
    variances = variances[:n_leading].clip(min=0.0)  # where rounding has them below
    return mean, _signed(axes[:n_leading]), variances, total


def _signed(axes: np.ndarray) -> np.ndarray:
    _, axes = svd_flip(None, axes, u_based_decision=False)
    return axes.copy()  # torch takes no negative strides


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

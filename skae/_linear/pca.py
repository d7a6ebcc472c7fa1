"""Principal axes: weighted, trimmed, of tables of any size, and of any number.

`sklearn.decomposition.PCA` takes no sample weights, leaves no rows out, reads no stores, and has
no more axes than rows or columns.
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg
from sklearn.utils.extmath import randomized_range_finder, svd_flip

from .._data import (
    ScaledTable,
    SharedPass,
    Table,
    block_length,
    normalize_weight,
    row_blocks,
    subsample_indices,
    trim_weight_array,
)
from .krylov import find_krylov_axes

# Up to this many columns (or rows) a full decomposition is quick; above it only the leading
# directions are computed.
FULL_UP_TO = 1000

TRIM_STEPS = 20

# Axes beyond those asked for, and products with the rows, of a randomized decomposition.
_OVERSAMPLES = 10
_POWER_STEPS = 7

# Axes that are looked at first for a share of a wide table's variance, and four times as many then.
_FIRST_AXES = 50

# Rows of a stored table that decide which of its rows are left out.
_TRIMMING_ROWS = (1000, 50_000)
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


@dataclass(frozen=True)
class Spectrum:
    """The leading axes of a covariance.

    Attributes
    ----------
    mean : ndarray of shape (n_features,)
        The centre.
    axes : ndarray of shape (n_leading, n_features)
        Orthonormal rows, of decreasing variance.
    variances : ndarray of shape (n_leading,)
        Variances along them.
    total : float
        Variance in all directions together.
    """

    mean: np.ndarray
    axes: np.ndarray
    variances: np.ndarray
    total: float

    def reconstruction_errors(self, X: np.ndarray) -> np.ndarray:
        """Return each row's squared distance from the plane of the axes."""
        centred = X - self.mean
        return np.square(centred - (centred @ self.axes.T) @ self.axes).sum(axis=1)


def find_principal_axes(
    X: np.ndarray | ScaledTable,
    weight: np.ndarray | None,
    n_components: int,
    trim_fraction: float,
    generator: np.random.Generator,
) -> PrincipalAxes:
    """Return the PCA solution of the rows, completed at random where PCA has no more axes.

    With `trim_fraction`, the rows of largest reconstruction error are left out and the axes
    computed again until the same rows are left out, like the concentration steps of the
    minimum covariance determinant (Rousseeuw and Van Driessen 1999). Each step would read a
    stored table three times, so a subsample of it goes through the steps; then all rows count
    whose error is no larger than the largest that was kept.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features), or a stored table
        The rows.
    weight : ndarray of shape (n_rows,) or None
        How often each row counts.
    n_components : int
        Number of directions; it may exceed the number of rows or columns.
    trim_fraction : float
        Share of the rows that is left out.
    generator : numpy.random.Generator
        Source of the completion.
    """
    n_leading = min(n_components, X.shape[1], max(len(X) - 1, 0))
    if trim_fraction > 0 and isinstance(X, np.ndarray):
        spectrum, _ = _concentrate(X, weight, n_leading, trim_fraction, generator)
    else:
        kept = weight
        if trim_fraction > 0 and not isinstance(X, np.ndarray):
            kept = _trim_stored(X, weight, n_leading, trim_fraction, generator)
        spectrum = decompose(X, kept, n_leading, generator)
    return PrincipalAxes(spectrum.mean, complete_axes(spectrum.axes, n_components, generator))


def count_components(
    X: np.ndarray | ScaledTable,
    weight: np.ndarray | None,
    share: float,
    trim_fraction: float,
    generator: np.random.Generator,
) -> int:
    """Return how many components PCA needs for more than a share of the variance.

    That is the number of `sklearn.decomposition.PCA(share)`; of tables with more than 1,000
    columns and rows the leading axes are approximate.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features), or a stored table
        The rows.
    weight : ndarray of shape (n_rows,) or None
        How often each row counts.
    share : float
        The share, in (0, 1).
    trim_fraction : float
        Share of the rows that is left out: those farthest from the centre, because which are
        farthest from the axes depends on their number.
    generator : numpy.random.Generator
        Source of approximate decompositions.
    """
    kept = weight
    if trim_fraction > 0 and isinstance(X, np.ndarray):
        _, kept = _concentrate(X, weight, 0, trim_fraction, generator)
    elif trim_fraction > 0 and not isinstance(X, np.ndarray):
        kept = _trim_stored(X, weight, 0, trim_fraction, generator)
    most = max(min(X.shape[1], len(X) - 1), 1)
    n_leading = most if X.shape[1] <= FULL_UP_TO else min(_FIRST_AXES, most)
    while True:
        spectrum = decompose(X, kept, n_leading, generator)
        if spectrum.total <= 0:
            return 1
        is_enough = np.cumsum(spectrum.variances) > share * spectrum.total
        n_components = int(is_enough.argmax()) + 1 if is_enough.any() else most
        # The last of approximate axes are the least exact.
        if n_leading == most or n_components <= n_leading // 2:
            return n_components
        n_leading = min(4 * n_leading, most)


def _concentrate(
    X: np.ndarray,
    weight: np.ndarray | None,
    n_leading: int,
    trim_fraction: float,
    generator: np.random.Generator,
) -> tuple[Spectrum, np.ndarray]:
    """Return the spectrum of the rows that fit it best, and their weights."""
    kept = weight = np.ones(len(X)) if weight is None else weight.astype(np.float64)
    spectrum = decompose(X, kept, n_leading, generator)
    for _ in range(TRIM_STEPS):
        again = trim_weight_array(spectrum.reconstruction_errors(X), weight, trim_fraction)
        if np.array_equal(again, kept):
            break
        kept = again
        spectrum = decompose(X, kept, n_leading, generator)
    return spectrum, kept


def _trim_stored(
    X: ScaledTable,
    weight: np.ndarray | None,
    n_leading: int,
    trim_fraction: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """Return the weights of a stored table's rows, zero for those that are left out."""
    least, most = _TRIMMING_ROWS
    n_rows = min(most, max(least, block_length(X.shape[1], _TRIMMING_CELLS)))
    indices = subsample_indices(len(X), n_rows)
    rows, known = X.take(indices), None if weight is None else weight[indices]
    spectrum, kept = _concentrate(rows, known, n_leading, trim_fraction, generator)
    largest = spectrum.reconstruction_errors(rows)[kept > 0].max()
    is_kept = np.concatenate(
        [spectrum.reconstruction_errors(X[b]) <= largest for b in row_blocks(X)]
    )
    return is_kept.astype(np.float32) if weight is None else np.where(is_kept, weight, 0.0)


def decompose(
    X: np.ndarray | ScaledTable,
    weight: np.ndarray | None,
    n_leading: int,
    generator: np.random.Generator,
) -> Spectrum:
    """Return the mean and the leading axes of the rows' covariance."""
    n_features = X.shape[1]
    if n_leading > 0 and n_features > FULL_UP_TO and not isinstance(X, np.ndarray):
        mean, axes, variances, total = find_krylov_axes(X, weight, n_leading, generator)
        return Spectrum(mean, fix_signs(axes), variances.clip(min=0.0), total)
    share, sums = normalize_weight(X, weight), SharedPass(X)
    mean = sum((share(b) @ X[b].astype(np.float64) for b in sums.blocks), np.zeros(n_features))
    sums.add(mean)
    if n_leading == 0:
        return Spectrum(mean, np.zeros((0, n_features)), np.zeros(0), 0.0)
    if n_features <= FULL_UP_TO:
        axes, variances, total = _decompose_covariance(X, mean, weight)
    else:
        axes, variances, total = _decompose_rows(X[:], mean, weight, n_leading, generator)
    # Rounding can make a variance negative.
    return Spectrum(mean, fix_signs(axes[:n_leading]), variances[:n_leading].clip(min=0.0), total)


def decompose_matrix(mean: np.ndarray, covariance: np.ndarray) -> Spectrum:
    """Return all axes of a covariance."""
    values, vectors = linalg.eigh(covariance)
    axes, variances = fix_signs(vectors[:, ::-1].T), values[::-1].clip(min=0.0)
    return Spectrum(mean, axes, variances, float(np.trace(covariance)))


def _decompose_covariance(
    X: Table, mean: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return all axes, the variances along them and their sum, by way of the covariance."""
    share, sums = normalize_weight(X, weight), SharedPass(X)
    covariance = np.zeros((X.shape[1], X.shape[1]))
    for rows in sums.blocks:
        centred = X[rows] - mean
        covariance += centred.T @ (centred * share(rows)[:, None])
    sums.add(covariance)
    values, vectors = linalg.eigh(covariance)
    return vectors[:, ::-1].T, values[::-1], float(np.trace(covariance))


def _decompose_rows(
    X: np.ndarray,
    mean: np.ndarray,
    weight: np.ndarray | None,
    n_leading: int,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the leading axes of a wide table, without its covariance."""
    scaled = X - mean
    # In place: it is a copy of the table.
    scaled *= np.sqrt(normalize_weight(X, weight)(slice(0, len(X))))[:, None]
    total = float(np.vdot(scaled, scaled))
    if len(X) <= FULL_UP_TO:
        return *_decompose_products(scaled, n_leading), total
    seed = int(generator.integers(2**31))
    # As `sklearn.utils.extmath.randomized_svd`, but the space that axes are searched in need not be
    # exact: rounding is far below what is left out of it.
    narrow = scaled if len(X) >= X.shape[1] else scaled.T
    basis = randomized_range_finder(
        narrow.astype(np.float32),
        size=min(n_leading + _OVERSAMPLES, *scaled.shape),
        n_iter=_POWER_STEPS,
        random_state=seed,
    )
    basis = linalg.qr(basis.astype(np.float64), mode="economic")[0]
    left, spread, right = linalg.svd(basis.T @ narrow, full_matrices=False)
    axes = right if narrow is scaled else (basis @ left).T
    return axes[:n_leading], np.square(spread[:n_leading]), total


def _decompose_products(scaled: np.ndarray, n_leading: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the leading axes of few rows, and the variances along them, by way of their products.

    That is a tenth of the work of a singular value decomposition.
    """
    n_rows = len(scaled)
    values, vectors = linalg.eigh(
        scaled @ scaled.T, subset_by_index=[n_rows - n_leading, n_rows - 1]
    )
    # Along an axis of hardly any variance the rows' sum is rounding: Householder's Q is orthonormal
    # there too.
    axes, _ = linalg.qr(scaled.T @ vectors[:, ::-1], mode="economic")
    return axes.T, values[::-1]


def fix_signs(axes: np.ndarray) -> np.ndarray:
    """Return axes whose largest entries are positive."""
    _, axes = svd_flip(None, axes, u_based_decision=False)
    return axes.copy()  # torch takes no negative strides


def complete_axes(
    leading: np.ndarray, n_components: int, generator: np.random.Generator
) -> np.ndarray:
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

"""Factor analysis: the linear model with a noise for each column.

`sklearn.decomposition.FactorAnalysis` takes no sample weights, leaves no rows out and knows no
factor of the divergence.
"""

from collections.abc import Callable

import numpy as np

from .._data import row_blocks, subsample_indices, trim_weight_array
from .acceleration import find_fixed_point
from .moments import SMALLEST_VARIANCE, Moments
from .probabilistic_pca import LinearGaussian

# Up to this many columns the covariance is kept; above it, products with a subsample of rows.
_COVARIANCE_UP_TO = 1000
_SUBSAMPLE_ROWS = 10_000
_N_STEPS = 300
_TOLERANCE = 1e-4

# With a smaller factor of the divergence the scale of the codes is undetermined.
_SMALLEST_BETA = 1e-6


def fit_factor_analysis(
    initial: LinearGaussian,
    X: np.ndarray,
    weight: np.ndarray | None,
    beta: float,
    trim_fraction: float,
    prior_share: float = 0.0,
    known: Moments | None = None,
    given_noise: np.ndarray | None = None,
    is_shared: bool = False,
    tolerance: float = _TOLERANCE,
) -> LinearGaussian:
    """Return the linear model with the highest bound and a noise for each column.

    Expectation maximization (Rubin and Thayer 1982), accelerated, begins at `initial`. Its result
    is rotated so that the posterior's covariance is diagonal, as the encoder's is. A divergence
    multiplied by `beta` acts on the posterior like a noise of `beta` times the variance.

    Parameters
    ----------
    initial : LinearGaussian
        Probabilistic PCA.
    X : ndarray of shape (n_rows, n_features)
        The rows.
    weight : ndarray of shape (n_rows,) or None
        How often each row counts.
    beta : float
        Factor of the divergence.
    trim_fraction : float
        Share of the rows that is left out.
    prior_share : float, default=0.0
        Weight, beside that of all rows, of cells without correlations: it is known beforehand
        that no column is a function of the others.
    known : Moments or None, default=None
        Mean and covariance of the rows: those of `X` are too narrow if missing cells are filled.
    given_noise : ndarray of shape (n_features,) or None, default=None
        Variances of the noise that are known; NaN where they are not.
    is_shared : bool, default=False
        Whether the columns whose noise is not known share one.
    tolerance : float, default=1e-4
        Expectation maximization ends at steps that change no logarithm of a noise by more.
    """
    beta = max(beta, _SMALLEST_BETA)
    if X.shape[1] > _COVARIANCE_UP_TO and known is None:
        indices = subsample_indices(len(X), _SUBSAMPLE_ROWS)
        X, weight = X[indices], None if weight is None else weight[indices]
    if known is None:
        multiply_rows, total = _prepare_covariance(X, initial, weight, trim_fraction)
    else:
        covariance = known.covariance
        multiply_rows, total = (lambda Y: covariance @ Y), covariance.diagonal()
    is_given = np.zeros(X.shape[1], dtype=bool)
    if given_noise is not None:
        is_given = ~np.isnan(given_noise)

    alone = prior_share * total[:, None]

    def multiply(Y: np.ndarray) -> np.ndarray:
        return (multiply_rows(Y) + alone * Y) / (1 + prior_share)

    shape, variances = initial.loadings.shape, np.maximum(total, SMALLEST_VARIANCE)
    limits = np.log(SMALLEST_VARIANCE), np.log(variances.max())

    def read(point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return loadings and noise; a stretched step may leave the noise's limits."""
        noise = np.exp(point[-shape[0] :].clip(*limits))
        if given_noise is not None:
            noise = np.where(is_given, given_noise, noise)
        return point[: -shape[0]].reshape(shape), noise

    def step(point: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the next point, and minus twice the bound at the given one."""
        loadings, noise = read(point)
        inner, components = _find_posterior(loadings, beta * noise)
        seen = multiply(components.T)
        explained = (loadings.T / (beta * noise) * seen.T).sum()
        distance = (total / (beta * noise)).sum() - explained
        loss = beta * (distance - np.linalg.slogdet(inner)[1]) + np.log(noise).sum()
        loadings = seen @ np.linalg.inv(inner + components @ seen)
        left = np.maximum(total - (loadings * seen).sum(axis=1), SMALLEST_VARIANCE)
        left = np.where(is_given, noise, left[~is_given].mean() if is_shared else left)
        return np.concatenate([loadings.ravel(), np.log(left)]), float(loss)

    noise = np.full(shape[0], initial.noise)
    if given_noise is not None:
        noise = np.where(is_given, given_noise, noise)
    start = np.concatenate([initial.loadings.ravel(), np.log(noise)])
    loadings, noise = read(
        find_fixed_point(
            step, start, lambda move: np.abs(move[-shape[0] :]).max() < tolerance, _N_STEPS
        )
    )
    _, rotation = np.linalg.eigh((loadings.T / noise) @ loadings)
    loadings = loadings @ rotation[:, ::-1]
    inner, components = _find_posterior(loadings, beta * noise)
    return LinearGaussian(initial.mean, loadings, components, inner.diagonal(), noise)


def _find_posterior(loadings: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the posterior's covariance and the matrix that maps a centred row to its mean."""
    precise = loadings.T / noise
    inner = np.linalg.inv(np.eye(len(precise)) + precise @ loadings)
    return inner, inner @ precise


def _prepare_covariance(
    X: np.ndarray, initial: LinearGaussian, weight: np.ndarray | None, trim_fraction: float
) -> tuple[Callable[[np.ndarray], np.ndarray], np.ndarray]:
    """Return a function that multiplies by the rows' covariance, and the columns' variances."""
    blocks = row_blocks(X)
    errors = []
    for block in blocks if trim_fraction > 0 else []:
        centred = X[block] - initial.mean
        seen = (centred @ initial.components.T) @ initial.loadings.T
        errors.append(np.square(centred - seen).sum(axis=1))
    error = np.concatenate(errors) if errors else np.zeros(len(X))
    kept = trim_weight_array(error, weight, trim_fraction)
    share = kept / kept.sum()
    if X.shape[1] > _COVARIANCE_UP_TO:
        rows = X - initial.mean
        return lambda Y: rows.T @ (share[:, None] * (rows @ Y)), share @ np.square(rows)
    covariance = np.zeros((X.shape[1], X.shape[1]))
    for block in blocks:
        centred = X[block] - initial.mean
        covariance += centred.T @ (centred * share[block, None])
    return lambda Y: covariance @ Y, covariance.diagonal()

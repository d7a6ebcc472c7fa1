"""Factor analysis: the linear model with a noise for each column."""

from collections.abc import Callable

import numpy as np

from ._density import SMALLEST_VARIANCE
from ._linear_gaussian import LinearGaussian
from ._losses import kept_weight
from ._mixture import some_rows

# Up to this many columns the covariance is held; above it, products with some rows.
_COVARIANCE_UP_TO = 1000
_BLOCK_ROWS = 65536
_N_STEPS = 1000
_TOLERANCE = 1e-4

# A divergence that counts for less leaves the codes' scale open.
_SMALLEST_BETA = 1e-6


def factor_analysis(
    start: LinearGaussian,
    X: np.ndarray,
    weight: np.ndarray | None,
    beta: float,
    trim_fraction: float,
) -> LinearGaussian:
    """Return the linear model of the highest bound with a noise for each column.

    By expectation maximisation (Rubin and Thayer 1982) from `start`, and then rotated so
    that the posterior's covariance is diagonal, as the encoder's is. The divergence counts
    `beta` times, which to the posterior is a noise of `beta` times the variance.

    Parameters
    ----------
    start : LinearGaussian
        Probabilistic PCA.
    X : ndarray of shape (n_rows, n_features)
        The rows.
    weight : ndarray of shape (n_rows,) or None
        How often each row counts.
    beta : float
        Factor of the divergence.
    trim_fraction : float
        Share of the rows that is left out.
    """
    beta = max(beta, _SMALLEST_BETA)
    if X.shape[1] > _COVARIANCE_UP_TO:
        some = some_rows(len(X))
        X, weight = X[some], None if weight is None else weight[some]
    times, total = _covariance(X, start, weight, trim_fraction)
    loadings, noise = start.loadings, np.full(X.shape[1], start.noise)
    for _ in range(_N_STEPS):
        inner, components = _posterior(loadings, beta * noise)
        seen = times(components.T)
        loadings = seen @ np.linalg.inv(inner + components @ seen)
        left = np.maximum(total - (loadings * seen).sum(axis=1), SMALLEST_VARIANCE)
        change = np.abs(np.log(left / noise)).max()
        noise = left
        if change < _TOLERANCE:
            break
    _, rotation = np.linalg.eigh((loadings.T / noise) @ loadings)
    loadings = loadings @ rotation[:, ::-1]
    inner, components = _posterior(loadings, beta * noise)
    return LinearGaussian(start.mean, loadings, components, inner.diagonal(), noise)


def _posterior(loadings: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the posterior's covariance and what makes its mean of a centred row."""
    precise = loadings.T / noise
    inner = np.linalg.inv(np.eye(len(precise)) + precise @ loadings)
    return inner, inner @ precise


def _covariance(
    X: np.ndarray, start: LinearGaussian, weight: np.ndarray | None, trim_fraction: float
) -> tuple[Callable[[np.ndarray], np.ndarray], np.ndarray]:
    """Return what multiplies by the rows' covariance, and the columns' variances."""
    blocks = [slice(first, first + _BLOCK_ROWS) for first in range(0, len(X), _BLOCK_ROWS)]
    errors = []
    for block in blocks if trim_fraction > 0 else []:
        centred = X[block] - start.mean
        seen = (centred @ start.components.T) @ start.loadings.T
        errors.append(np.square(centred - seen).sum(axis=1))
    error = np.concatenate(errors) if errors else np.zeros(len(X))
    kept = kept_weight(error, weight, trim_fraction)
    share = kept / kept.sum()
    if X.shape[1] > _COVARIANCE_UP_TO:
        rows = X - start.mean
        return lambda Y: rows.T @ (share[:, None] * (rows @ Y)), share @ np.square(rows)
    covariance = np.zeros((X.shape[1], X.shape[1]))
    for block in blocks:
        centred = X[block] - start.mean
        covariance += centred.T @ (centred * share[block, None])
    return lambda Y: covariance @ Y, covariance.diagonal()

"""Linear models with Gaussian codes: where a variational autoencoder starts."""

from dataclasses import dataclass

import numpy as np

from ._density import SMALLEST_VARIANCE
from ._losses import kept_weight
from ._pca import PrincipalAxes, principal_axes

_BLOCK_ROWS = 65536

# Least share of a direction's variance that the code starts with, where the likelihood's
# noise is given: at none at all, neither encoder nor decoder would have a gradient.
_LEAST_SHARE = 0.05


@dataclass(frozen=True)
class LinearGaussian:
    """`z ~ N(0, I)`, `x | z ~ N(mean + loadings z, noise I)`, and its posterior.

    Attributes
    ----------
    mean : ndarray of shape (n_features,)
        Mean of the rows.
    loadings : ndarray of shape (n_features, n_components)
        What the decoder multiplies codes by.
    components : ndarray of shape (n_components, n_features)
        `z = components (x - mean)` is the posterior's mean.
    variance : ndarray of shape (n_components,)
        The posterior's variances, the same for all rows.
    noise : float or ndarray of shape (n_features,)
        Variance of a cell around what its code stands for, in all columns or in each.
    """

    mean: np.ndarray
    loadings: np.ndarray
    components: np.ndarray
    variance: np.ndarray
    noise: float | np.ndarray


def probabilistic_pca(
    X: np.ndarray,
    weight: np.ndarray | None,
    n_components: int,
    beta: float,
    trim_fraction: float,
    generator: np.random.Generator,
) -> LinearGaussian:
    """Return the linear model of the highest bound, the divergence counted `beta` times.

    With `beta=1` that is probabilistic PCA (Tipping and Bishop 1999, equations 7 and 8).
    For any `beta`, a component of variance `l` pays if `l > beta s`, `s` the noise; its
    loading then has the square `l - beta s` and its posterior the variance `beta s / l`,
    and `s` is what the other directions leave, divided by `n_features - beta k` (put these
    into the bound, which is then a function of `s` and of the number `k` of components that
    pay). With `beta=0` it is PCA.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        The rows.
    weight : ndarray of shape (n_rows,) or None
        How often each row counts.
    n_components : int
        Size of the code; components that don't pay have no loading.
    beta : float
        Factor of the divergence.
    trim_fraction : float
        Share of the rows that is left out.
    generator : numpy.random.Generator
        For what PCA draws.
    """
    axes, along, left = _spectrum(X, weight, n_components, trim_fraction, generator)
    noise, n_paying = _best_noise(along, left, beta, X.shape[1])
    squares = np.where(np.arange(len(along)) < n_paying, along - beta * noise, 0.0)
    return _completed(axes, squares.clip(0), noise, beta * noise, n_components)


def given_noise(
    X: np.ndarray,
    weight: np.ndarray | None,
    n_components: int,
    beta: float,
    trim_fraction: float,
    generator: np.random.Generator,
) -> LinearGaussian:
    """Return the linear model of columns whose noise has variance 1.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        The rows, divided by the standard deviations of their noise.
    weight : ndarray of shape (n_rows,) or None
        How often each row counts.
    n_components : int
        Size of the code.
    beta : float
        Factor of the divergence.
    trim_fraction : float
        Share of the rows that is left out.
    generator : numpy.random.Generator
        For what PCA draws.
    """
    axes, along, _ = _spectrum(X, weight, n_components, trim_fraction, generator)
    squares = np.maximum(along - beta, _LEAST_SHARE * along)
    return _completed(axes, squares, 1.0, beta, n_components)


def _spectrum(
    X: np.ndarray,
    weight: np.ndarray | None,
    n_components: int,
    trim_fraction: float,
    generator: np.random.Generator,
) -> tuple[PrincipalAxes, np.ndarray, float]:
    """Return the leading axes, the variances along them, and what they leave, summed."""
    n_leading = min(n_components, X.shape[1], len(X) - 1)
    axes = principal_axes(X, weight, n_leading, trim_fraction, generator)
    squares, errors = [], []
    for first in range(0, len(X), _BLOCK_ROWS):
        centred = X[first : first + _BLOCK_ROWS] - axes.mean
        codes = centred @ axes.components.T
        squares.append(np.square(codes))
        errors.append(np.square(centred - codes @ axes.components).sum(axis=1))
    error = np.concatenate(errors)
    kept = kept_weight(error, weight, trim_fraction)
    along = np.average(np.concatenate(squares), axis=0, weights=kept)
    return axes, along, float(np.average(error, weights=kept))


def _best_noise(along: np.ndarray, left: float, beta: float, n_features: int) -> tuple[float, int]:
    """Return the noise's variance and the number of components that pay."""
    best = (np.inf, 0.0, 0)
    for n_paying in range(len(along) + 1):
        freedom = n_features - beta * n_paying
        if freedom <= 0:
            break
        rest = left + along[n_paying:].sum()
        noise = max(rest / freedom, SMALLEST_VARIANCE)
        paying = along[:n_paying]
        if beta > 0 and (paying <= beta * noise).any():
            break
        cost = beta * np.log(paying / (beta * noise)).sum() if beta > 0 else 0.0
        loss = cost + beta * n_paying + rest / noise + n_features * np.log(noise)
        best = min(best, (loss, noise, n_paying))
    return best[1:]


def _completed(
    axes: PrincipalAxes, squares: np.ndarray, noise: float, effective: float, n_components: int
) -> LinearGaussian:
    """Return the model with those squared loadings and the posterior that is best for them."""
    loading = np.zeros(n_components)
    loading[: len(squares)] = np.sqrt(squares)
    directions = np.zeros((n_components, len(axes.mean)))
    directions[: len(squares)] = axes.components
    whole = np.square(loading) + effective
    whole[whole == 0] = 1.0
    # A direction that the decoder doesn't use costs nothing where its posterior is the prior.
    variance = np.where(loading > 0, effective / whole, 1.0)
    return LinearGaussian(
        axes.mean,
        (directions * loading[:, None]).T,
        directions * (loading / whole)[:, None],
        variance,
        noise,
    )

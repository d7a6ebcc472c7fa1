"""Probabilistic PCA for any factor of the divergence, of weighted and trimmed rows."""

from dataclasses import dataclass

import numpy as np

from .._data import row_blocks, trim_weight_array
from .moments import SMALLEST_VARIANCE, Moments
from .pca import PrincipalAxes, find_principal_axes, fix_signs

# Least share of a direction's variance that the code explains where the likelihood's noise is
# given: with none, neither encoder nor decoder would have a gradient.
_LEAST_SHARE = 0.05


@dataclass(frozen=True)
class LinearGaussian:
    """`z ~ N(0, I)`, `x | z ~ N(mean + loadings z, noise I)`, and its posterior.

    Attributes
    ----------
    mean : ndarray of shape (n_features,)
        Mean of the rows.
    loadings : ndarray of shape (n_features, n_components)
        The matrix that the decoder multiplies codes by.
    components : ndarray of shape (n_components, n_features)
        `z = components (x - mean)` is the posterior's mean.
    variance : ndarray of shape (n_components,)
        The posterior's variances, the same for all rows.
    noise : float or ndarray of shape (n_features,)
        Variance of a cell around its reconstruction, shared or of each column.
    """

    mean: np.ndarray
    loadings: np.ndarray
    components: np.ndarray
    variance: np.ndarray
    noise: float | np.ndarray


def fit_probabilistic_pca(
    X: np.ndarray,
    weight: np.ndarray | None,
    n_components: int,
    beta: float,
    trim_fraction: float,
    generator: np.random.Generator,
    free_noise: float = 1.0,
    known: Moments | None = None,
) -> LinearGaussian:
    """Return the linear model with the highest bound, its divergence multiplied by `beta`.

    With `beta=1` it is probabilistic PCA (Tipping and Bishop 1999, equations 7 and 8). For any
    `beta`, a component of variance `l` is active if `l > beta s`, where `s` is the noise. The
    square of its loading is then `l - beta s` and the variance of its posterior
    `beta s / l`; `s` is the variance in all other directions, divided by
    `n_features - beta k`. With these inserted, the bound is a function of `s` and of the
    number `k` of active components. With `beta=0` it is PCA.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        The rows.
    weight : ndarray of shape (n_rows,) or None
        How often each row counts.
    n_components : int
        Size of the code; components that are not active have no loading.
    beta : float
        Factor of the divergence.
    trim_fraction : float
        Share of the rows that is left out.
    generator : numpy.random.Generator
        Source of PCA's random axes.
    free_noise : float, default=1.0
        With a code as wide as the rows and `beta=1`, any noise up to the smallest variance gives
        the same density, and the same bound. It is this share of that variance.
    known : Moments or None, default=None
        Mean and covariance of the rows: those of `X` are too narrow if missing cells are filled.
    """
    if known is None:
        axes, along, left = _measure_spectrum(X, weight, n_components, trim_fraction, generator)
    else:
        axes, along, left = _read_spectrum(known, min(n_components, len(X) - 1))
    noise, n_active = _choose_noise(along, left, beta, X.shape[1])
    if beta == 1 and len(along) == X.shape[1] and noise > SMALLEST_VARIANCE:
        noise = max(free_noise * along[-1], SMALLEST_VARIANCE)
        n_active = len(along) if noise < along[-1] else n_active
    squares = np.where(np.arange(len(along)) < n_active, along - beta * noise, 0.0)
    return _assemble(axes, squares.clip(0), noise, beta * noise, n_components)


def fit_with_unit_noise(
    X: np.ndarray,
    weight: np.ndarray | None,
    n_components: int,
    beta: float,
    trim_fraction: float,
    generator: np.random.Generator,
    known: Moments | None = None,
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
        Source of PCA's random axes.
    known : Moments or None, default=None
        Mean and covariance of the rows, as in `fit_probabilistic_pca`.
    """
    if known is None:
        axes, along, _ = _measure_spectrum(X, weight, n_components, trim_fraction, generator)
    else:
        axes, along, _ = _read_spectrum(known, min(n_components, len(X) - 1))
    squares = np.maximum(along - beta, _LEAST_SHARE * along)
    return _assemble(axes, squares, 1.0, beta, n_components)


def _measure_spectrum(
    X: np.ndarray,
    weight: np.ndarray | None,
    n_components: int,
    trim_fraction: float,
    generator: np.random.Generator,
) -> tuple[PrincipalAxes, np.ndarray, float]:
    """Return the leading axes, the variances along them, and the variance around them."""
    n_leading = min(n_components, X.shape[1], len(X) - 1)
    axes = find_principal_axes(X, weight, n_leading, trim_fraction, generator)
    squares, errors = [], []
    for rows in row_blocks(X):
        centred = X[rows] - axes.mean
        codes = centred @ axes.components.T
        squares.append(np.square(codes))
        errors.append(np.square(centred - codes @ axes.components).sum(axis=1))
    error = np.concatenate(errors)
    kept = trim_weight_array(error, weight, trim_fraction)
    along = np.average(np.concatenate(squares), axis=0, weights=kept)
    return axes, along, float(np.average(error, weights=kept))


def _read_spectrum(known: Moments, n_components: int) -> tuple[PrincipalAxes, np.ndarray, float]:
    """Return what `_measure_spectrum` returns, of a covariance."""
    n_leading = min(n_components, len(known.mean))
    values, axes = known.find_leading(n_leading)
    left = float(np.trace(known.covariance) - values.sum())
    return PrincipalAxes(known.mean, fix_signs(axes)), values, max(left, 0.0)


def _choose_noise(
    along: np.ndarray, left: float, beta: float, n_features: int
) -> tuple[float, int]:
    """Return the noise's variance and the number of active components."""
    best = (np.inf, 0.0, 0)
    for n_active in range(len(along) + 1):
        freedom = n_features - beta * n_active
        if freedom <= 0:
            break
        rest = left + along[n_active:].sum()
        noise = max(rest / freedom, SMALLEST_VARIANCE)
        active = along[:n_active]
        if beta > 0 and (active <= beta * noise).any():
            break
        cost = beta * np.log(active / (beta * noise)).sum() if beta > 0 else 0.0
        loss = cost + beta * n_active + rest / noise + n_features * np.log(noise)
        best = min(best, (loss, noise, n_active))
    return best[1:]


def _assemble(
    axes: PrincipalAxes, squares: np.ndarray, noise: float, effective: float, n_components: int
) -> LinearGaussian:
    """Return the model with these squared loadings and the best posterior for them."""
    loading = np.zeros(n_components)
    loading[: len(squares)] = np.sqrt(squares)
    directions = np.zeros((n_components, len(axes.mean)))
    directions[: len(squares)] = axes.components
    whole = np.square(loading) + effective
    whole[whole == 0] = 1.0
    # A direction that the decoder doesn't use costs nothing if its posterior is the prior.
    variance = np.where(loading > 0, effective / whole, 1.0)
    return LinearGaussian(
        axes.mean,
        (directions * loading[:, None]).T,
        directions * (loading / whole)[:, None],
        variance,
        noise,
    )

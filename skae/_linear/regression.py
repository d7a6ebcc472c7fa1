"""Ridge regression of many targets, and its best approximation of low rank."""

from dataclasses import dataclass

import numpy as np
from scipy import linalg

# Rows that a regression is made from, and the ridges that are tried, as shares of a scaled
# column's variance.
REGRESSION_ROWS = 10_000
_RIDGES = np.logspace(-6, 1, 15)

# Ridges that leave less of the residual degrees of freedom, as a share of the rows, reproduce
# the targets: rounding decides what is left of the error, and the score divides it by the square.
_LEAST_FREEDOM = 1e-5


@dataclass(frozen=True)
class AffineMap:
    """`slope x + offset`.

    Attributes
    ----------
    slope : ndarray of shape (n_outputs, n_inputs)
        The matrix.
    offset : ndarray of shape (n_outputs,)
        What is added.
    """

    slope: np.ndarray
    offset: np.ndarray


def fit_ridge_regression(X: np.ndarray, Y: np.ndarray, weight: np.ndarray | None) -> AffineMap:
    """Return the regression of `Y` on `X`, its ridge chosen by generalized cross-validation.

    The covariances alone are needed (Golub, Heath and Wahba 1979, equation 1.4).
    `sklearn.linear_model.RidgeCV` goes through the rows for each ridge and target: minutes for
    a thousand columns.
    """
    share = np.full(len(X), 1 / len(X)) if weight is None else weight / weight.sum()
    centre_in, centre_out = share @ X, share @ Y
    X, Y = X - centre_in, Y - centre_out
    values, vectors = linalg.eigh(X.T @ (X * share[:, None]))
    values = values.clip(min=0.0)
    along = vectors.T @ (X.T @ (Y * share[:, None]))
    total, squares = share @ np.square(Y).sum(axis=1), np.square(along).sum(axis=1)
    shrunk = 1 / (values + _RIDGES[:, None])
    errors = total - (2 * shrunk - values * np.square(shrunk)) @ squares
    freedom = 1 - (shrunk @ values + 1) / len(X)
    scores = np.full(len(_RIDGES), np.inf)
    is_known = freedom > _LEAST_FREEDOM
    scores[is_known] = errors[is_known] / np.square(freedom[is_known])
    best = shrunk[int(np.argmin(scores))]
    slope = (vectors @ (along * best[:, None])).T
    return AffineMap(slope, centre_out - slope @ centre_in)


def reduce_rank(
    regression: AffineMap, X: np.ndarray, weight: np.ndarray | None, n_components: int
) -> tuple[AffineMap, AffineMap]:
    """Return maps to a code and back whose product is the regression of that rank.

    It is the regression projected on the leading principal axes of its predictions (Izenman
    1975).
    """
    predicted = X @ regression.slope.T + regression.offset
    centre = np.average(predicted, axis=0, weights=weight)
    centred = predicted - centre
    share = 1.0 if weight is None else weight[:, None]
    _, vectors = np.linalg.eigh(centred.T @ (centred * share))
    axes, _ = repeat_axes(vectors.T[::-1], n_components)
    return (
        AffineMap(axes @ regression.slope, axes @ (regression.offset - centre)),
        AffineMap(axes.T, centre),
    )


def repeat_axes(axes: np.ndarray, n_components: int) -> tuple[np.ndarray, np.ndarray]:
    """Return axes for a code, and their indices; a code wider than the axes repeats some.

    A repeated axis is divided by the root of its count, so that the projection stays the same.
    """
    indices = np.arange(n_components) % len(axes)
    return axes[indices] / np.sqrt(np.bincount(indices)[indices])[:, None], indices

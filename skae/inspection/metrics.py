"""How much of a table a reconstruction keeps."""

import numpy as np
from numpy.typing import ArrayLike


def explained_variance(
    X: ArrayLike,
    X_reconstructed: ArrayLike,
    *,
    mean: ArrayLike | None = None,
    scale: ArrayLike | None = None,
) -> float:
    """Return the share of the variance of standardised columns that a reconstruction explains.

    One minus the sum of the squared errors of all cells over the sum of their squared
    distances from the mean. It is 1 for a perfect reconstruction, 0 for the mean in every
    row, and negative for anything worse.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The rows.
    X_reconstructed : array-like of shape (n_samples, n_features)
        Their reconstruction by a model. It may have the shape that rows had in its fit, such as
        that of images.
    mean, scale : array-like of shape (n_features,), default=None
        What columns are standardised with, such as the means and standard deviations of
        the training rows. None takes those of `X`.

    Returns
    -------
    share : float
        NaN if the rows have no variance.

    Examples
    --------
    >>> from skae.inspection import explained_variance
    >>> explained_variance([[0, 0], [2, 20]], [[1, 0], [1, 20]])
    0.5
    """
    rows = np.asarray(X, dtype=np.float64)
    center = rows.mean(axis=0) if mean is None else np.asarray(mean, dtype=np.float64)
    spread = rows.std(axis=0) if scale is None else np.asarray(scale, dtype=np.float64)
    spread = np.where(spread > 0, spread, 1.0)  # a constant column counts with its raw errors
    total = np.square((rows - center) / spread).sum()
    if total == 0:
        return float("nan")
    rebuilt = np.asarray(X_reconstructed, dtype=np.float64).reshape(rows.shape)
    error = np.square((rows - rebuilt) / spread).sum()
    return float(1 - error / total)

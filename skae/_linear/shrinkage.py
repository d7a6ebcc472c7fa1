"""Covariances that hold for other rows too, of tables with few rows for their columns.

A sample covariance knows its own rows: along the axes of least variance others lie many standard
deviations away. Held-out rows choose how many leading axes keep a variance of their own, as in
probabilistic PCA (Tipping and Bishop 1999), and how far all are shrunk towards the mean variance
(Ledoit and Wolf 2004). `sklearn.covariance.OAS` and `LedoitWolf` know the second only, and take no
weights; their share is the best for the matrix, not for a density, which the least variances
decide.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp

from . import pca
from .covariance import Covariance
from .moments import SMALLEST_VARIANCE

#: With this many rows a column, a covariance is what it is: it costs a Gaussian 0.025 nats a cell.
ROWS_A_COLUMN = 10

_SEED = 20040201
_FEWEST_ROWS = 4

# Every row is held out once, in folds; of large tables, the rows of one fold are.
_N_FOLDS = 5
_FOLDED_CELLS = 2**20

# Standard deviations of rows that lie as usual and farther out, and how many do.
_SCALES = np.array([1.0, 3.0, 10.0, 30.0])
_SCALE_WEIGHTS = np.array([0.97, 0.01, 0.01, 0.01])

# A sample covariance is left if another is better by as many standard errors.
_N_ERRORS = 2.0

# Shares of the mean variance, from none to all.
_SHARES = np.concatenate([[0.0], np.geomspace(0.005, 0.5, 14), [0.6, 0.7, 0.8, 0.9, 1.0]])


@dataclass(frozen=True)
class Shrinkage:
    """What is left of a spectrum.

    Attributes
    ----------
    n_kept : int
        Leading axes with a variance of their own; the others have their mean.
    share : float
        Share of the mean of all variances in each.
    """

    n_kept: int
    share: float

    def apply(
        self, variances: np.ndarray, total: float, n_features: int
    ) -> tuple[np.ndarray, float]:
        """Return the variances of the leading axes, and that of all other directions."""
        kept = variances[: self.n_kept]
        left = (total - kept.sum()) / max(n_features - len(kept), 1)
        mean = self.share * total / n_features
        leading = (1 - self.share) * kept + mean
        rest = (1 - self.share) * left + mean
        return np.maximum(leading, SMALLEST_VARIANCE), max(rest, SMALLEST_VARIANCE)


def has_few_rows(n_rows: int, n_features: int) -> bool:
    """Whether rows are so few for their columns that their covariance is to be shrunk."""
    return n_rows < ROWS_A_COLUMN * n_features


def shrink_covariance(
    covariance: Covariance, X: np.ndarray, generator: np.random.Generator
) -> Covariance:
    """Return the covariance that is likeliest for held-out rows; that of many rows as it is.

    Parameters
    ----------
    covariance : Covariance
        The covariance of the rows, with their weights.
    X : ndarray of shape (n_rows, n_features)
        The rows.
    generator : numpy.random.Generator
        Source of approximate decompositions.
    """
    n_features = X.shape[1]
    if not has_few_rows(len(X), n_features):
        return covariance
    # A row that is there twice must not be held out from itself.
    rows, place = np.unique(X, axis=0, return_inverse=True)
    weight = np.bincount(place.ravel(), covariance.weight, len(rows))
    rows, weight = rows[weight > 0], weight[weight > 0]
    varying = covariance.variances[covariance.variances > SMALLEST_VARIANCE]
    n_axes, n_varying, remainder = len(covariance.axes), len(varying), covariance.remainder
    total = float(varying.sum())
    if n_varying == 0:
        return covariance
    if n_varying < min(len(rows) - 1, n_axes):
        # Rows lie in a plane though they could be anywhere: so do others.
        rows = (rows - covariance.mean) @ covariance.axes[:n_varying].T
        n_features = n_axes = n_varying
    else:
        total += (n_features - n_varying) * remainder
    chosen = Shrinkage(0, 0.0)
    if len(rows) >= _FEWEST_ROWS:
        chosen = _choose_shrinkage(rows, weight, generator)
    leading, rest = chosen.apply(varying, total, n_features)
    variances = covariance.variances.copy()
    variances[:n_axes] = rest
    variances[: len(leading)] = leading
    if n_features > n_axes or len(variances) == n_axes:
        remainder = rest
    return replace(covariance, variances=variances, remainder=remainder)


def _choose_shrinkage(
    X: np.ndarray, weight: np.ndarray, generator: np.random.Generator
) -> Shrinkage:
    """Return the shrinkage under which held-out rows are likeliest."""
    n_features = X.shape[1]
    folds = np.array_split(np.random.default_rng(_SEED).permutation(len(X)), _N_FOLDS)
    folds = [fold for fold in folds if len(fold)]
    n_leading = min(len(X) - max(map(len, folds)) - 1, n_features, pca.FULL_UP_TO)
    candidates = [Shrinkage(k, share) for k in _list_sizes(n_leading) for share in _SHARES]
    losses = []
    folds = folds if X.size <= _FOLDED_CELLS else folds[:1]
    for fold in folds:
        fitted = np.setdiff1d(np.arange(len(X)), fold)
        spectrum = pca.decompose(X[fitted], weight[fitted], n_leading, generator)
        centred = X[fold] - spectrum.mean
        squares, whole = np.square(centred @ spectrum.axes.T), np.square(centred).sum(axis=1)
        loss = np.empty((len(fold), len(candidates)))
        for index, candidate in enumerate(candidates):
            leading, rest = candidate.apply(spectrum.variances, spectrum.total, n_features)
            n_kept = len(leading)
            outside = (whole - squares[:, :n_kept].sum(axis=1)).clip(min=0)
            distance = squares[:, :n_kept] @ (1 / leading) + outside / rest
            determinant = np.log(leading).sum() + (n_features - n_kept) * np.log(rest)
            loss[:, index] = _score_distances(distance, determinant, n_features)
        losses.append(loss)
    loss, counts = np.vstack(losses), weight[np.concatenate(folds)]
    best = candidates[int((counts @ loss).argmin())]
    usual = Shrinkage(n_leading, 0.0)
    if len(X) > n_features:  # fewer have a plane of their own, on which no other row lies
        gain = loss[:, candidates.index(usual)] - loss[:, candidates.index(best)]
        best = best if _is_surely_positive(gain, counts) else usual
    # All rows have more axes than those of a fold.
    return replace(best, n_kept=n_features) if best.n_kept == n_leading else best


def _is_surely_positive(gain: np.ndarray, weight: np.ndarray) -> bool:
    """Whether the mean over rows is positive by several standard errors."""
    share = weight / weight.sum()
    mean = float(share @ gain)
    return mean > _N_ERRORS * float(np.sqrt(np.square(share) @ np.square(gain - mean)))


def _score_distances(distance: np.ndarray, determinant: float, n_features: int) -> np.ndarray:
    """Return minus the log-densities of rows at squared Mahalanobis distances, up to a constant.

    Gaussians of larger scale explain rows that lie far out, which would otherwise decide alone.
    """
    scales = np.square(_SCALES)
    parts = -0.5 * (distance[:, None] / scales + n_features * np.log(scales))
    return 0.5 * determinant - logsumexp(parts, axis=1, b=_SCALE_WEIGHTS)


def _list_sizes(most: int) -> Iterator[int]:
    """Yield numbers of axes: the first few, then ever fewer, and all."""
    size = 0
    while size < most:
        yield size
        size += 1 + size // 4
    yield most

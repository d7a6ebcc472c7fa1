"""Covariances that hold for other rows too, of tables with few rows for their columns.

A sample covariance knows its own rows: along the axes of least variance others lie many standard
deviations away. Held-out rows choose how many leading axes keep a variance of their own, as in
probabilistic PCA (Tipping and Bishop 1999), or how many factors are common to the columns (Rubin
and Thayer 1982), and how far all variances are shrunk towards their mean (Ledoit and Wolf 2004).
`sklearn.covariance.OAS` and `LedoitWolf` know the last only, and take no weights; their share is
the best for the matrix, not for a density, which the least variances decide.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from . import pca
from .covariance import Covariance
from .factor_analysis import fit_factor_analysis
from .moments import SMALLEST_VARIANCE, Moments
from .probabilistic_pca import fit_probabilistic_pca

#: With this many distinct rows a column, a covariance is what it is: it costs a Gaussian 0.025 nats
#: a cell.
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

# Up to this many columns factors are tried: ever more, until two numbers in a row are no better.
_FACTORED_UP_TO = 256
_PATIENCE = 2

# Weight, in rows, of uncorrelated columns in factor analysis, and the steps at which it ends.
_PRIOR_ROWS = 3.0
_TOLERANCE = 1e-2

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


def has_few_rows(X: np.ndarray) -> bool:
    """Whether distinct rows are so few for their columns that their covariance is to be shrunk."""
    n_enough = ROWS_A_COLUMN * X.shape[1]
    if len(X) < n_enough:
        return True
    seen = set()
    for row in X:
        seen.add(row.tobytes())
        if len(seen) >= n_enough:
            return False
    return True


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
    if not has_few_rows(X):
        return covariance
    # A row that is there twice must not be held out from itself.
    rows, place = np.unique(X, axis=0, return_inverse=True)
    weight = np.bincount(place.ravel(), covariance.weight, len(rows))
    rows, weight = rows[weight > 0], weight[weight > 0]
    varying = covariance.variances[covariance.variances > SMALLEST_VARIANCE]
    n_axes, n_varying, remainder = len(covariance.axes), len(varying), covariance.remainder
    n_features, total = X.shape[1], float(varying.sum())
    if n_varying == 0:
        return covariance
    basis, is_of_columns = None, True
    if n_varying < min(len(rows) - 1, n_axes):
        # Rows lie in a plane though they could be anywhere: so do others.
        basis, is_of_columns = _find_basis(covariance.axes[:n_varying])
        rows = (rows - covariance.mean) @ basis.T
        n_features = n_axes = n_varying
    else:
        total += (n_features - n_varying) * remainder
    chosen = _Choice(Shrinkage(0, 0.0), 0, np.empty(0))
    if len(rows) >= _FEWEST_ROWS:
        chosen = _choose(rows, weight, is_of_columns, generator)
    axes = covariance.axes
    if chosen.n_factors > 0:
        moments = _measure_moments(rows, weight)
        spectrum = _analyse_factors(rows, moments, chosen.n_factors, generator)
        # Trimmed rows spread more than those that are left.
        varying = spectrum.variances * (total / spectrum.total)
        leading_axes = spectrum.axes if basis is None else spectrum.axes @ basis
        axes = np.vstack([leading_axes, axes[n_axes:]])
    leading, rest = chosen.shrinkage.apply(varying, total, n_features)
    variances = covariance.variances.copy()
    variances[:n_axes] = rest
    variances[: len(leading)] = leading
    if n_features > n_axes or len(variances) == n_axes:
        remainder = rest
    return replace(covariance, axes=axes, variances=variances, remainder=remainder)


def _find_basis(axes: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return axes of the same plane, and whether they are columns: the plane's, if it has any."""
    varies = np.square(axes).sum(axis=0) > SMALLEST_VARIANCE
    if varies.sum() == len(axes):
        return np.eye(axes.shape[1])[varies], True
    return axes, False


@dataclass(frozen=True)
class _Choice:
    """A covariance, and what it says of held-out rows.

    Attributes
    ----------
    shrinkage : Shrinkage
        What is left of its spectrum.
    n_factors : int
        Factors that are common to the columns; with none it is the rows' own covariance.
    loss : ndarray of shape (n_rows,)
        Minus the log-densities of held-out rows, up to a constant.
    """

    shrinkage: Shrinkage
    n_factors: int
    loss: np.ndarray


class _Fold:
    """Rows that are held out, and what the others determine, computed once for all candidates.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        All rows.
    weight : ndarray of shape (n_rows,)
        How often each row counts.
    held_out : ndarray of shape (n_held_out,)
        Indices of rows.
    """

    def __init__(self, X: np.ndarray, weight: np.ndarray, held_out: np.ndarray) -> None:
        fitted = np.setdiff1d(np.arange(len(X)), held_out)
        self.held_out = X[held_out]
        self.X, self.weight = X[fitted], weight[fitted]

    @cached_property
    def moments(self) -> Moments:
        """Mean and covariance of the others."""
        return _measure_moments(self.X, self.weight)

    def measure(self, spectrum: pca.Spectrum, shrinkages: list[Shrinkage]) -> np.ndarray:
        """Return the losses `(n_held_out, n_shrinkages)` of spectra that are shrunk."""
        n_features = self.X.shape[1]
        centred = self.held_out - spectrum.mean
        squares, whole = np.square(centred @ spectrum.axes.T), np.square(centred).sum(axis=1)
        distance = np.empty((len(centred), len(shrinkages)))
        determinant = np.empty(len(shrinkages))
        outside: dict[int, np.ndarray] = {}
        for index, shrinkage in enumerate(shrinkages):
            leading, rest = shrinkage.apply(spectrum.variances, spectrum.total, n_features)
            n_kept = len(leading)
            if n_kept not in outside:
                outside[n_kept] = (whole - squares[:, :n_kept].sum(axis=1)).clip(min=0)
            distance[:, index] = squares[:, :n_kept] @ (1 / leading) + outside[n_kept] / rest
            determinant[index] = np.log(leading).sum() + (n_features - n_kept) * np.log(rest)
        return _score_distances(distance, determinant, n_features)


class _Folds:
    """Rows of which each is held out once; of large tables, those of one fold.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        The rows, all distinct.
    weight : ndarray of shape (n_rows,)
        How often each row counts.
    generator : numpy.random.Generator
        Source of approximate decompositions.
    """

    def __init__(self, X: np.ndarray, weight: np.ndarray, generator: np.random.Generator) -> None:
        parts = np.array_split(np.random.default_rng(_SEED).permutation(len(X)), _N_FOLDS)
        parts = [part for part in parts if len(part)]
        self.n_fitted, self.n_features = len(X) - max(map(len, parts)), X.shape[1]
        parts = parts if X.size <= _FOLDED_CELLS else parts[:1]
        self.counts = weight[np.concatenate(parts)]
        self.folds = [_Fold(X, weight, part) for part in parts]
        self.generator = generator

    def measure_shrunk(self, shrinkages: list[Shrinkage]) -> list[_Choice]:
        """Return what held-out rows say of the rows' own covariance."""
        n_leading = max(shrinkage.n_kept for shrinkage in shrinkages)
        spectra = (
            pca.decompose(fold.X, fold.weight, n_leading, self.generator) for fold in self.folds
        )
        return self._list_choices(0, shrinkages, spectra)

    def measure_factors(self, n_factors: int, shrinkages: list[Shrinkage]) -> list[_Choice]:
        """Return what held-out rows say of factors that are common to the columns."""
        spectra = (
            _analyse_factors(fold.X, fold.moments, n_factors, self.generator) for fold in self.folds
        )
        return self._list_choices(n_factors, shrinkages, spectra)

    def average(self, choice: _Choice) -> float:
        """Return the loss of all rows together."""
        return float(self.counts @ choice.loss)

    def _list_choices(
        self, n_factors: int, shrinkages: list[Shrinkage], spectra: Iterable[pca.Spectrum]
    ) -> list[_Choice]:
        pairs = zip(self.folds, spectra, strict=True)
        losses = np.vstack([fold.measure(spectrum, shrinkages) for fold, spectrum in pairs])
        columns = zip(shrinkages, losses.T, strict=True)
        return [_Choice(shrinkage, n_factors, loss) for shrinkage, loss in columns]


def _choose(
    X: np.ndarray, weight: np.ndarray, is_of_columns: bool, generator: np.random.Generator
) -> _Choice:
    """Return the covariance under which held-out rows are likeliest.

    Factors are those of columns: principal axes are uncorrelated by way of the held-out rows too.
    """
    n_features, folds = X.shape[1], _Folds(X, weight, generator)
    n_leading = min(folds.n_fitted - 1, n_features, pca.FULL_UP_TO)
    sizes = list(_list_sizes(n_leading))
    shrunk = folds.measure_shrunk([Shrinkage(k, share) for k in sizes for share in _SHARES])
    best = min(shrunk, key=folds.average)
    if is_of_columns and n_features <= _FACTORED_UP_TO:
        best = min([best, *_try_factors(folds)], key=folds.average)
    if len(X) > n_features:  # fewer have a plane of their own, on which no other row lies
        usual = next(found for found in shrunk if found.shrinkage == Shrinkage(n_leading, 0.0))
        if not _is_surely_positive(usual.loss - best.loss, folds.counts):
            best = usual
    if best.shrinkage.n_kept == n_leading:  # all rows have more axes than those of a fold
        best = replace(best, shrinkage=replace(best.shrinkage, n_kept=n_features))
    return best


def _try_factors(folds: _Folds) -> Iterator[_Choice]:
    """Yield covariances of ever more factors."""
    n_features = folds.n_features
    shrinkages = [Shrinkage(n_features, share) for share in _SHARES]
    lowest, n_worse = np.inf, 0
    for n_factors in _list_sizes(min(n_features // 2, folds.n_fitted - 1)):
        if n_factors == 0:
            continue
        choice = min(folds.measure_factors(n_factors, shrinkages), key=folds.average)
        yield choice
        loss = folds.average(choice)
        n_worse = 0 if loss < lowest else n_worse + 1
        lowest = min(loss, lowest)
        if n_worse == _PATIENCE:
            return


def _measure_moments(X: np.ndarray, weight: np.ndarray) -> Moments:
    return Moments.from_rows(X, weight, float(weight.sum()))


def _analyse_factors(
    X: np.ndarray, moments: Moments, n_factors: int, generator: np.random.Generator
) -> pca.Spectrum:
    """Return the axes of the covariance that factors common to the columns determine."""
    initial = fit_probabilistic_pca(X, None, n_factors, 1.0, 0.0, generator, known=moments)
    model = fit_factor_analysis(
        initial, X, None, 1.0, 0.0, _PRIOR_ROWS / len(X), moments, tolerance=_TOLERANCE
    )
    covariance = model.loadings @ model.loadings.T + np.diag(model.noise)
    return pca.decompose_matrix(moments.mean, covariance)


def _is_surely_positive(gain: np.ndarray, weight: np.ndarray) -> bool:
    """Whether the mean over rows is positive by several standard errors."""
    share = weight / weight.sum()
    mean = float(share @ gain)
    return mean > _N_ERRORS * float(np.sqrt(np.square(share) @ np.square(gain - mean)))


def _score_distances(distance: np.ndarray, determinant: np.ndarray, n_features: int) -> np.ndarray:
    """Return minus the log-densities of rows at squared Mahalanobis distances, up to a constant.

    Gaussians of larger scale explain rows that lie far out, which would otherwise decide alone.
    """
    scales = np.square(_SCALES)
    constants = np.log(_SCALE_WEIGHTS) - 0.5 * n_features * np.log(scales)
    parts = constants[:, None, None] - 0.5 * distance / scales[:, None, None]
    # `scipy.special.logsumexp` takes three times as long.
    top = parts.max(axis=0)
    parts -= top
    total = np.exp(parts, out=parts).sum(axis=0)
    return 0.5 * determinant - top - np.log(total)


def _list_sizes(most: int) -> Iterator[int]:
    """Yield numbers of axes: the first few, then ever fewer, and all."""
    size = 0
    while size < most:
        yield size
        size += 1 + size // 4
    yield most

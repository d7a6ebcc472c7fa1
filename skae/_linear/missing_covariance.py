"""Mean and covariance of rows with missing cells, and what they say of these.

`sklearn.impute.IterativeImputer` regresses column by column, and has no covariance.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from .._data import block_length
from .moments import SMALLEST_VARIANCE, Moments

# With fewer rows a pattern, the inverse of each row's pattern is copied rather than looped over.
_ROWS_TO_LOOP = 8

# Rows that end early, as sequences do, share a factor of the covariance if they end at as many
# columns.
_MANY_ENDS = 8


def fit_with_missing(
    X: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    ridge: float = 0.0,
    max_iter: int = 200,
    tol: float = 1e-4,
    initial: Moments | None = None,
) -> Moments:
    """Return the maximum-likelihood mean and covariance of the observed cells.

    Expectation-maximization for normal rows whose cells are missing at random (Little and Rubin
    2002, section 11.2). Without missing cells they are the mean and covariance of the rows.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_columns)
        Scaled rows; NaN is a missing cell.
    weight : ndarray of shape (n_rows,) or None, default=None
        How often each row counts.
    ridge : float, default=0.0
        Number of further rows in which the columns are uncorrelated (Schafer 1997, section 5.2.3).
        Tables of few rows need some.
    max_iter : int, default=200
        Most steps.
    tol : float, default=1e-4
        Change of the mean and of the covariance, as a share of the standard deviations, that
        ends the steps.
    initial : Moments or None, default=None
        Where they begin; None is at the columns' own means and variances.
    """
    weight = np.ones(len(X)) if weight is None else weight.astype(np.float64)
    observed = ~np.isnan(X)
    # The others have nothing to say, and would slow the steps.
    informs = observed.any(axis=1) & (weight > 0)
    X, weight, observed = X[informs].astype(np.float64), weight[informs], observed[informs]
    total = float(weight.sum())
    if len(X) == 0:  # of columns that are scaled
        return Moments(0.0, np.zeros(X.shape[1]), np.eye(X.shape[1]))
    patterns = _Patterns.from_mask(observed, _find_ends(observed))
    moments = _begin(X, weight, observed) if initial is None else initial
    for _ in range(max_iter):
        previous, moments = moments, _step(X, weight / total, patterns, moments, ridge / total)
        if _measure_change(previous, moments) < tol or observed.all():
            break
    return Moments(total, moments.mean, moments.covariance)


def fill_missing(X: np.ndarray, moments: Moments) -> np.ndarray:
    """Return rows whose missing cells are their means given the observed ones."""
    observed = ~np.isnan(X)
    patterns = _Patterns.from_mask(observed, _find_ends(observed))
    precision, covariance = _bound_eigenvalues(moments.covariance)
    return _complete(
        X.astype(np.float64), patterns, moments.mean, precision, covariance=covariance
    )[0]


def draw_missing(X: np.ndarray, moments: Moments, generator: np.random.Generator) -> np.ndarray:
    """Return rows whose missing cells are draws given the observed ones.

    A draw of the whole row has the right residuals around its own expectations (Matheron).
    """
    values, vectors = linalg.eigh(moments.covariance)
    root = vectors * np.sqrt(values.clip(min=0))
    drawn = moments.mean + generator.standard_normal(X.shape) @ root.T
    expected = fill_missing(np.where(np.isnan(X), np.nan, drawn), moments)
    return fill_missing(X, moments) + (drawn - expected)


def measure_uncertainty(X: np.ndarray, moments: Moments) -> np.ndarray:
    """Return the variance of each missing cell given the observed ones; 0 for those."""
    precision = invert_covariance(moments.covariance)
    variance = np.zeros(X.shape)
    for group in _Patterns.from_mask(~np.isnan(X)).split():
        cells = group.cells
        conditional = np.linalg.inv(precision[cells[:, :, None], cells[:, None, :]])
        own = np.diagonal(conditional, axis1=1, axis2=2)
        variance[group.rows[:, None], cells[group.pattern]] = own[group.pattern]
    return variance


def score_observed(X: np.ndarray, moments: Moments) -> np.ndarray:
    """Return the log-density of each row's observed cells; 0 where there are none."""
    precision = invert_covariance(moments.covariance)
    observed = ~np.isnan(X)
    patterns = _Patterns.from_mask(observed)
    filled, _ = _complete(X.astype(np.float64), patterns, moments.mean, precision)
    centred = filled - moments.mean
    # Of the filled row the distance is that of its observed part.
    distance = np.einsum("ij,ij->i", centred @ precision, centred)
    # A marginal precision's determinant is that of the whole over that of the missing block.
    determinant = np.full(len(X), np.linalg.slogdet(precision)[1])
    for group in patterns.split():
        blocks = precision[group.cells[:, :, None], group.cells[:, None, :]]
        determinant[group.rows] -= np.linalg.slogdet(blocks)[1][group.pattern]
    return 0.5 * (determinant - distance - np.log(2 * np.pi) * observed.sum(axis=1))


@dataclass(frozen=True)
class _Group:
    """Rows with the same number of missing cells.

    Attributes
    ----------
    cells : ndarray of shape (n_patterns, n_missing)
        The missing columns of each pattern.
    rows : ndarray of shape (n_rows,)
        Indices of the rows, ordered by pattern.
    pattern : ndarray of shape (n_rows,)
        Which pattern each row has.
    """

    cells: np.ndarray
    rows: np.ndarray
    pattern: np.ndarray


@dataclass(frozen=True)
class _Patterns:
    """Rows by their missing cells.

    Attributes
    ----------
    groups : list of _Group
        The incomplete rows, but those of `ending`.
    ending : ndarray of shape (n_ending,)
        Indices of rows that are missing from some column on.
    ends : ndarray of shape (n_ending,)
        Which column that is.
    """

    groups: list[_Group]
    ending: np.ndarray
    ends: np.ndarray

    @classmethod
    def from_mask(cls, observed: np.ndarray, ends: np.ndarray | None = None) -> "_Patterns":
        """Return the patterns of rows; those that end early are apart if their ends are given."""
        n_columns = observed.shape[1]
        ends = np.full(len(observed), n_columns) if ends is None else ends
        ending = np.flatnonzero(ends < n_columns)
        incomplete = np.flatnonzero(~observed.all(axis=1) & (ends == n_columns))
        packed = np.packbits(~observed[incomplete], axis=1)
        _, first, pattern = np.unique(packed, axis=0, return_index=True, return_inverse=True)
        pattern = pattern.ravel()
        missing = ~observed[incomplete[first]]
        counts, groups = missing.sum(axis=1), []
        for count in np.unique(counts):
            own = np.flatnonzero(counts == count)
            place = np.full(len(counts), -1)
            place[own] = np.arange(len(own))
            rows = np.flatnonzero(place[pattern] >= 0)
            rows = rows[np.argsort(place[pattern[rows]], kind="stable")]
            cells = np.nonzero(missing[own])[1].reshape(len(own), count)
            groups.append(_Group(cells, incomplete[rows], place[pattern[rows]]))
        return cls(groups, ending, ends[ending])

    def split(self) -> Iterator[_Group]:
        """Yield the groups in parts whose blocks of the precision fit into memory."""
        for group in self.groups:
            length = block_length(group.cells.shape[1] ** 2)
            for first in range(0, len(group.cells), length):
                ends = np.searchsorted(group.pattern, [first, first + length])
                own = slice(*ends.tolist())
                cells = group.cells[first : first + length]
                yield _Group(cells, group.rows[own], group.pattern[own] - first)


def _begin(X: np.ndarray, weight: np.ndarray, observed: np.ndarray) -> Moments:
    """Return the moments of the columns on their own."""
    share = weight[:, None] * observed
    total = share.sum(axis=0)
    known = np.where(total > 0, total, 1.0)
    filled = np.where(observed, X, 0.0)
    mean = (share * filled).sum(axis=0) / known
    square = (share * np.square(filled - mean)).sum(axis=0) / known
    return Moments(float(weight.sum()), mean, np.diag(np.maximum(square, SMALLEST_VARIANCE)))


def _step(
    X: np.ndarray, share: np.ndarray, patterns: _Patterns, moments: Moments, ridge: float
) -> Moments:
    filled, left = _complete(
        X, patterns, moments.mean, invert_covariance(moments.covariance), share
    )
    mean = share @ filled
    centred = filled - mean
    covariance = centred.T @ (centred * share[:, None]) + left
    shrunk = covariance / (1 + ridge)
    np.fill_diagonal(shrunk, covariance.diagonal())
    return Moments(moments.total, mean, shrunk)


def _complete(
    X: np.ndarray,
    patterns: _Patterns,
    mean: np.ndarray,
    precision: np.ndarray,
    share: np.ndarray | None = None,
    covariance: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows with conditional means, and the mean of the conditional covariances.

    A block of the precision is the inverse of a conditional covariance, so that a row costs the
    cube of its missing cells. With the covariance, it costs that of its observed ones where these
    are fewer.
    """
    n_columns = X.shape[1]
    centred = X - mean
    centred[np.isnan(X)] = 0.0
    left = np.zeros(n_columns**2)
    if len(patterns.ending):
        own = None if share is None else share[patterns.ending]
        left += _complete_ending(centred, patterns, precision, own).ravel()
    for group in patterns.split():
        cells = group.cells
        if covariance is not None and 2 * cells.shape[1] > n_columns:
            _complete_from_few(centred, group, covariance)
            continue
        conditional = np.linalg.inv(precision[cells[:, :, None], cells[:, None, :]])
        own = cells[group.pattern]
        pull = np.take_along_axis(centred[group.rows] @ precision, own, axis=1)
        centred[group.rows[:, None], own] = -_apply(conditional, pull, group.pattern)
        if share is not None:
            totals = np.bincount(group.pattern, share[group.rows], minlength=len(cells))
            flat = cells[:, :, None] * n_columns + cells[:, None, :]
            weighted = conditional * totals[:, None, None]
            left += np.bincount(flat.ravel(), weighted.ravel(), minlength=n_columns**2)
    return centred + mean, left.reshape(n_columns, n_columns)


def _complete_from_few(centred: np.ndarray, group: _Group, covariance: np.ndarray) -> None:
    """Complete rows with fewer observed cells than missing ones, in place."""
    n_patterns, n_columns = len(group.cells), len(covariance)
    observed = np.ones((n_patterns, n_columns), dtype=bool)
    np.put_along_axis(observed, group.cells, False, axis=1)
    known = np.nonzero(observed)[1].reshape(n_patterns, -1)
    if known.shape[1] == 0:
        return
    inverse = np.linalg.inv(covariance[known[:, :, None], known[:, None, :]])
    given, missing = known[group.pattern], group.cells[group.pattern]
    values = np.take_along_axis(centred[group.rows], given, axis=1)
    pull = np.zeros((len(group.rows), n_columns))
    np.put_along_axis(pull, given, _apply(inverse, values, group.pattern), axis=1)
    expected = np.take_along_axis(pull @ covariance, missing, axis=1)
    centred[group.rows[:, None], missing] = expected


def _find_ends(observed: np.ndarray) -> np.ndarray | None:
    """Return the column from which on each row is missing, if there are many such columns.

    It is the number of columns for all other rows, also for those with further gaps.
    """
    n_columns = observed.shape[1]
    ends = observed.sum(axis=1)
    ends[~(observed == (np.arange(n_columns) < ends[:, None])).all(axis=1)] = n_columns
    return ends if len(np.unique(ends)) > _MANY_ENDS else None


def _complete_ending(
    centred: np.ndarray, patterns: _Patterns, precision: np.ndarray, share: np.ndarray | None
) -> np.ndarray:
    """Complete rows that end early, in place, and return the mean of the conditional covariances.

    With a lower triangular factor `C` of the covariance, the first cells of a row determine as many
    standard normal ones, and the conditional covariance of the others is that of the columns of
    `C` beyond: one factor serves all ends.
    """
    n_columns = len(precision)
    # Of the precision it is the inverse's transpose: upper, from the last column on.
    factor = np.linalg.cholesky(precision[::-1, ::-1])[::-1, ::-1]
    is_missing = np.arange(n_columns) >= patterns.ends[:, None]
    normal = np.where(is_missing, 0.0, centred[patterns.ending] @ factor)
    filled = linalg.solve_triangular(factor.T, normal.T, lower=True).T
    centred[patterns.ending] = np.where(is_missing, filled, centred[patterns.ending])
    if share is None:
        return np.zeros_like(precision)
    covariance_factor = linalg.solve_triangular(factor.T, np.eye(n_columns), lower=True)
    weight = (share[:, None] * is_missing).sum(axis=0)
    return (covariance_factor * weight) @ covariance_factor.T


def _apply(matrices: np.ndarray, vectors: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Return the product of each vector with its matrix."""
    out = np.empty_like(vectors)
    if len(vectors) >= _ROWS_TO_LOOP * len(matrices):
        ends = np.searchsorted(which, np.arange(len(matrices) + 1))
        for matrix, first, last in zip(matrices, ends[:-1], ends[1:], strict=True):
            out[first:last] = vectors[first:last] @ matrix.T
        return out
    length = block_length(vectors.shape[1] ** 2)
    for first in range(0, len(vectors), length):
        rows = slice(first, first + length)
        out[rows] = np.einsum("nij,nj->ni", matrices[which[rows]], vectors[rows])
    return out


def invert_covariance(covariance: np.ndarray) -> np.ndarray:
    """Return the inverse of a covariance none of whose variances is too small."""
    return _bound_eigenvalues(covariance)[0]


def _bound_eigenvalues(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the inverse of a covariance none of whose variances is too small, and itself."""
    values, vectors = linalg.eigh(covariance)
    values = np.maximum(values, SMALLEST_VARIANCE)
    return (vectors / values) @ vectors.T, (vectors * values) @ vectors.T


def _measure_change(before: Moments, after: Moments) -> float:
    spread = np.sqrt(np.maximum(after.covariance.diagonal(), SMALLEST_VARIANCE))
    shift = np.abs(after.mean - before.mean) / spread
    turn = np.abs(after.covariance - before.covariance) / np.outer(spread, spread)
    return float(max(shift.max(), turn.max()))

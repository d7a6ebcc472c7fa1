"""Numbers as normal scores: each mapped by its column's own distribution to a standard normal one.

What is left for a model of several columns is how they depend on each other, as with a Gaussian
copula; columns with peaks, bounds or long tails cost it nothing. Fitted to no dependence at all, it
is as good as a mixture for each column.
"""

from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.special import log_ndtr, logsumexp, ndtri_exp

from .latent_classes import ClassRecipe, ClassRows, MixedCells

# Numbers of Gaussians that are tried in turn, as long as Schwarz's criterion improves.
_N_MIXED = (1, 2, 4, 8, 12)

# More rows tell next to nothing more of one column.
_ROWS = 4000

# Weight, in rows, of the column's variance in that of a Gaussian: little lets one be as narrow as
# a number that many rows repeat.
_PRIOR_ROWS = 0.05

# Farther numbers, in the widest Gaussian, count as this: squares stay finite.
_FARTHEST = 1e8

# The inverse is searched between points so many standard deviations around each Gaussian's mean.
_GRID_REACH, _GRID_STEPS = 8.0, 65

# Most steps of the search between two points. It ends with the step from a score so near to the one
# that is sought: Newton's method squares what it is off by.
_N_STEPS, _NEAR = 8, 1e-8
_TINY = float(np.finfo(np.float64).tiny)

# Cells of the largest array (rows x Gaussians of all columns).
_BLOCK_CELLS = 2**21


class Scored(NamedTuple):
    """Numbers as normal scores.

    Attributes
    ----------
    scores : ndarray of shape (n_rows, n_numbers)
        The scores; NaN is a missing number.
    log_slope : ndarray of shape (n_rows,)
        What to add to a log-density of observed scores for that of the numbers.
    """

    scores: np.ndarray
    log_slope: np.ndarray


@dataclass(frozen=True)
class NormalScores:
    """The distribution of each column of numbers: a mixture of Gaussians.

    Attributes
    ----------
    log_weight : ndarray of shape (n_numbers, n_mixed)
        Minus infinity where a column has fewer Gaussians than others.
    mean, spread : ndarray of shape (n_numbers, n_mixed)
        Of the Gaussians.
    """

    log_weight: np.ndarray
    mean: np.ndarray
    spread: np.ndarray

    @classmethod
    def fit(cls, numbers: np.ndarray, weight: np.ndarray) -> Self:
        """Return the distributions of columns.

        Parameters
        ----------
        numbers : ndarray of shape (n_rows, n_numbers)
            The columns; NaN is a missing number.
        weight : ndarray of shape (n_rows,)
            How often each row counts.
        """
        columns = [_fit_column(column, weight) for column in numbers.T]
        most = max((len(column[0]) for column in columns), default=0)
        shape = (len(columns), most)
        log_weight, mean, spread = np.full(shape, -np.inf), np.zeros(shape), np.ones(shape)
        for index, (own, centre, width) in enumerate(columns):
            log_weight[index, : len(own)] = np.log(own)
            mean[index, : len(own)], spread[index, : len(own)] = centre, width
        return cls(log_weight, mean, spread)

    def transform(self, numbers: np.ndarray) -> Scored:
        """Return numbers as normal scores.

        Parameters
        ----------
        numbers : ndarray of shape (n_rows, n_numbers)
            The numbers; NaN is a missing one.
        """
        scores, log_slope = np.empty(numbers.shape), np.zeros(len(numbers))
        length = max(_BLOCK_CELLS // max(self.mean.size, 1), 1)
        for first in range(0, len(numbers), length):
            rows = slice(first, first + length)
            scores[rows], slopes = self._transform(numbers[rows])
            log_slope[rows] = np.where(np.isnan(numbers[rows]), 0.0, slopes).sum(axis=1)
        return Scored(scores, log_slope)

    def _transform(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not self.mean.size:
            return numbers, numbers
        far = _FARTHEST * self.spread.max()
        z = (numbers.clip(-far, far)[:, :, None] - self.mean) / self.spread
        constant = self.log_weight - np.log(self.spread) - 0.5 * np.log(2 * np.pi)
        log_density = logsumexp(constant - 0.5 * np.square(z), axis=2)
        below = logsumexp(self.log_weight + log_ndtr(z), axis=2)
        above = logsumexp(self.log_weight + log_ndtr(-z), axis=2)
        # From the nearer tail, where the probability is not rounded to one.
        tail = ndtri_exp(np.minimum(np.minimum(below, above), 0.0))
        scores = np.where(below < above, tail, -tail)
        return scores, log_density + 0.5 * np.square(scores) + 0.5 * np.log(2 * np.pi)

    def inverse(self, scores: np.ndarray) -> np.ndarray:
        """Return the numbers that have these scores.

        Parameters
        ----------
        scores : ndarray of shape (n_rows, n_numbers)
            The scores.
        """
        columns = [self._invert_column(index, own) for index, own in enumerate(scores.T)]
        return np.column_stack(columns) if columns else scores

    def _invert_column(self, index: int, scores: np.ndarray) -> np.ndarray:
        single = NormalScores(*(part[index, None] for part in self._parts))
        is_used = np.isfinite(self.log_weight[index])
        mean, spread = self.mean[index, is_used], self.spread[index, is_used]
        steps = np.linspace(-_GRID_REACH, _GRID_REACH, _GRID_STEPS)
        grid = np.sort((mean + spread * steps[:, None]).ravel())
        known = np.maximum.accumulate(single.transform(grid[:, None]).scores[:, 0])
        place = np.searchsorted(known, scores).clip(1, len(grid) - 1)
        low, high = grid[place - 1], grid[place]
        # Beyond the grid the widest Gaussian is all that there is.
        beyond = spread.max() * (scores - known[[0, -1]][(scores > known[-1]).astype(int)])
        low, high = (
            np.where(scores < known[0], low + beyond, low),
            np.where(scores > known[-1], high + beyond, high),
        )
        share = (scores - known[place - 1]) / np.maximum(known[place] - known[place - 1], _TINY)
        found = low + share.clip(0, 1) * (high - low)
        left = np.flatnonzero(~np.isnan(scores))
        for _ in range(_N_STEPS):
            at = found[left]
            reached, log_slope = (part[:, 0] for part in single._transform(at[:, None]))
            off = reached - scores[left]
            low[left], high[left] = (
                np.where(off < 0, at, low[left]),
                np.where(off > 0, at, high[left]),
            )
            step = at - off * np.exp(-log_slope)
            # A step of Newton's method, or halfway to the other end where it leads too far.
            is_within = (step > low[left]) & (step < high[left])
            halfway = 0.5 * (low[left] + high[left])
            found[left] = np.where(off == 0, at, np.where(is_within, step, halfway))
            left = left[~(is_within | (off == 0)) | (np.abs(off) > _NEAR)]
        return np.where(np.isnan(scores), np.nan, found)

    @property
    def _parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.log_weight, self.mean, self.spread

    def get_state(self) -> dict[str, Any]:
        """Return plain arrays."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class ScoredColumns:
    """Rows some of whose columns become normal scores.

    Attributes
    ----------
    columns : ndarray of int of shape (n_numbers,)
        Indices of the columns.
    margins : NormalScores
        Their distributions.
    """

    columns: np.ndarray
    margins: NormalScores

    @classmethod
    def fit(cls, X: np.ndarray, columns: np.ndarray, weight: np.ndarray) -> Self:
        """Return the distributions of some columns of rows, in which NaN is a missing cell."""
        return cls(columns, NormalScores.fit(X[:, columns].astype(np.float64), weight))

    def forward(self, X: np.ndarray) -> np.ndarray:
        """Return rows with scores."""
        out = X.astype(np.float64)
        out[:, self.columns] = self.margins.transform(out[:, self.columns]).scores
        return out

    def inverse(self, X: np.ndarray) -> np.ndarray:
        """Return rows with numbers."""
        out = X.astype(np.float64)
        out[:, self.columns] = self.margins.inverse(out[:, self.columns])
        return out

    def log_slope(self, X: np.ndarray) -> np.ndarray:
        """Return what to add to log-densities of rows of scores for those of the numbers."""
        return self.margins.transform(X[:, self.columns].astype(np.float64)).log_slope

    def get_state(self) -> dict[str, Any]:
        """Return plain arrays."""
        return {"columns": self.columns, "margins": self.margins.get_state()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the columns of a stored state."""
        return cls(state["columns"], NormalScores(**state["margins"]))


def _fit_column(
    column: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the weights, means and standard deviations of a column's Gaussians."""
    known = np.flatnonzero(~np.isnan(column) & (weight > 0))
    # Sorted, so that the order of rows does not matter.
    known = known[np.argsort(column[known], kind="stable")]
    known = known[np.linspace(0, len(known) - 1, min(len(known), _ROWS)).astype(int)]
    if not len(known):
        return np.ones(1), np.zeros(1), np.ones(1)
    cells = MixedCells(column[known, None], np.empty((len(known), 0)), ())
    own, total = weight[known], weight[known].sum()
    rows = ClassRows(cells, own)
    best, least = None, np.inf
    for n_mixed in _N_MIXED:
        found = ClassRecipe(n_mixed, False, _PRIOR_ROWS, 1.0).fit_rows(rows)
        criterion = (3 * n_mixed - 1) * np.log(total) - 2 * own @ found.log_density(cells)
        if best is not None and criterion >= least:
            break
        best, least = found, criterion
    assert best is not None
    return best.weight, best.mean[:, 0], np.sqrt(best.covariance[:, 0])

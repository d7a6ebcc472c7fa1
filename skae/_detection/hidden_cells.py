"""How scores depend on which cells of a row are observed, and scores without that dependence.

Reference rows tell: their cells are hidden at random, until as few are left as in the row.
"""

from dataclasses import dataclass

import numpy as np

from .._data import subsample_indices

# Reference rows whose cells are hidden.
_HIDDEN_ROWS = 400

# Rows of the first group, in which most columns are observed.
_LEAST_ROWS = 60

# In how many ways cells of rows are hidden that are fuller than the first group.
_N_THINNED = 4

# Shares of the observed columns that are left: these, and halves of the last.
_SHARES = (0.75, 0.5)

_SEED = 20030601

# Rows in which no column matters, added to those that tell how much each does.
_RIDGE = 10.0

# Scores beyond these quantiles of their group say little of the group's mean.
_CLIPPED = (0.02, 0.98)

# Quantiles that are compared; what lies beyond is continued in proportion.
_QUANTILES = np.linspace(0.02, 0.98, 49)

# What scores of equal rows may differ by.
_TIED = 1e-3


@dataclass(frozen=True)
class HiddenRows:
    """Reference rows of which as many columns are observed.

    Attributes
    ----------
    n_observed : int
        How many columns are observed.
    rows : ndarray of shape (n_rows, n_encoded)
        The rows; NaN is a missing cell.
    """

    n_observed: int
    rows: np.ndarray


def observe_columns(rows: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Return which columns of each row are observed, (n_rows, n_columns).

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_encoded)
        Encoded rows; NaN is a missing cell.
    owner : ndarray of shape (n_encoded,)
        Index of the column that each encoded one is of.
    """
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    return ~np.isnan(rows[:, starts])


def sample_reference(rows: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return the rows whose cells are hidden: a sample of known ones."""
    if weight is None:
        return rows[subsample_indices(len(rows), _HIDDEN_ROWS)]
    generator = np.random.default_rng(_SEED)
    size = min(len(rows), _HIDDEN_ROWS)
    return rows[np.sort(generator.choice(len(rows), size, p=weight / weight.sum()))]


def hide_cells(reference: np.ndarray, owner: np.ndarray) -> list[HiddenRows]:
    """Return groups of reference rows in which fewer and fewer columns are observed.

    Parameters
    ----------
    reference : ndarray of shape (n_rows, n_encoded)
        The rows; NaN is a missing cell.
    owner : ndarray of shape (n_encoded,)
        Index of the column that each encoded one is of.
    """
    generator = np.random.default_rng(_SEED)
    observed = observe_columns(reference, owner)
    counts = observed.sum(axis=1)
    groups, column = [], np.cumsum(np.diff(owner, prepend=-1) > 0) - 1
    most = int(np.sort(counts)[-min(_LEAST_ROWS, len(counts))])
    for count in _choose_counts(most):
        enough = counts >= count
        order = generator.uniform(size=observed.shape)
        order[~observed] = np.inf
        ranks = order.argsort(axis=1).argsort(axis=1)
        left = (ranks < count)[:, column]
        groups.append(HiddenRows(count, np.where(left, reference, np.nan)[enough]))
    return groups


def thin_rows(rows: np.ndarray, owner: np.ndarray, most: int) -> list[np.ndarray]:
    """Return rows with no more observed columns than that, in several ways.

    Which columns are hidden depends on the row alone.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_encoded)
        The rows; NaN is a missing cell.
    owner : ndarray of shape (n_encoded,)
        Index of the column that each encoded one is of.
    most : int
        How many columns may be observed.
    """
    observed = observe_columns(rows, owner)
    column, thinned = np.cumsum(np.diff(owner, prepend=-1) > 0) - 1, []
    for ways in order_hiding(observed.shape[1]):
        left = np.empty_like(observed)
        left[:, ways] = observed[:, ways].cumsum(axis=1) <= most
        thinned.append(np.where(left[:, column], rows, np.nan))
    return thinned


def order_hiding(n_columns: int) -> list[np.ndarray]:
    """Return orders of columns, of which the last are hidden first, one for each way."""
    order = np.random.default_rng(_SEED).permutation(n_columns)
    return [np.roll(order, number * n_columns // _N_THINNED) for number in range(_N_THINNED)]


def _choose_counts(most: int) -> list[int]:
    shares = list(_SHARES)
    while most * shares[-1] >= 2:
        shares.append(shares[-1] / 2)
    return sorted({most, *(max(1, round(most * share)) for share in shares)}, reverse=True)


@dataclass(frozen=True)
class CountWeights:
    """Between which two groups rows lie by their number of observed columns.

    Attributes
    ----------
    first : ndarray of shape (n_rows,)
        Index of the group with as many or more.
    share : ndarray of shape (n_rows,)
        How much the next group counts, in [0, 1).
    """

    first: np.ndarray
    share: np.ndarray

    @classmethod
    def from_counts(cls, counts: np.ndarray, known: np.ndarray) -> "CountWeights":
        """Return where counts lie among decreasing ones."""
        logs = np.log(np.maximum(known, 0.5))
        place = np.interp(np.log(np.maximum(counts, 0.5)), logs[::-1], np.arange(len(known))[::-1])
        first = np.floor(place).astype(int)
        return cls(first, place - first)

    def combine(self, values: list[np.ndarray]) -> np.ndarray:
        """Return the values of rows, of which each group has its own (n_rows,) for all of them."""
        table = np.stack([*values, values[-1]])
        index = np.arange(len(self.first))
        own, following = table[self.first, index], table[self.first + 1, index]
        return (1 - self.share) * own + self.share * following


@dataclass(frozen=True)
class QuantileMap:
    """Values of one distribution as those of the same share in another.

    A value that many share is as high as the highest share of it.

    Attributes
    ----------
    knots, target : ndarray of shape (n_quantiles,)
        Quantiles of both.
    last : float
        Where what is beyond the last quantile begins.
    low, high : float
        Slopes below the first and beyond the last.
    """

    knots: np.ndarray
    target: np.ndarray
    last: float
    low: float
    high: float

    @classmethod
    def from_quantiles(
        cls, known: np.ndarray, target: np.ndarray, steepest: float = np.inf
    ) -> "QuantileMap":
        """Return the map between distributions with these quantiles.

        Its slope below the first quantile is at most `steepest`.
        """
        steps = 1e-3 * _TIED * np.arange(len(known))
        middle = len(known) // 2
        low = (target[middle] - target[0]) / max(known[middle] - known[0], _TIED)
        low = min(low, steepest)
        high = (target[-1] - target[middle]) / max(known[-1] - known[middle], _TIED)
        return cls(known - 2 * _TIED + steps, target, float(known[-1]), float(low), float(high))

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Return mapped values."""
        inside = np.interp(values, self.knots, self.target)
        below = np.minimum(values - self.knots[0], 0)
        above = np.maximum(values - self.last, 0)
        return inside + below * self.low + above * self.high


@dataclass(frozen=True)
class ScoreAdjustment:
    """Scores as they would be if as many cells were observed as in other rows.

    A row's score is compared with those of reference rows in which as many columns are observed,
    after what each missing column is worth.

    Attributes
    ----------
    counts : ndarray of shape (n_groups,)
        Numbers of observed columns, decreasing.
    worth : ndarray of shape (n_columns,)
        How much an observed cell of each column adds to the score, on average.
    usual_worth : float
        What the observed cells of the reference rows add to it.
    usual : ndarray of shape (n_quantiles,)
        Quantiles of the scores of the reference rows, less what the observed cells add.
    quantiles : ndarray of shape (n_groups, n_quantiles)
        Those of each group.
    steepest : float
        How many times farther out a score may be among the reference rows, beyond the quantiles.
    """

    counts: np.ndarray
    worth: np.ndarray
    usual_worth: float
    usual: np.ndarray
    quantiles: np.ndarray
    steepest: float = np.inf

    @classmethod
    def fit(
        cls,
        counts: list[int],
        observed: list[np.ndarray],
        scores: list[np.ndarray],
        steepest: float = np.inf,
    ) -> "ScoreAdjustment":
        """Return the adjustment that these groups need.

        Parameters
        ----------
        counts : list of int
            Number of observed columns of each group, decreasing.
        observed : list of ndarray of shape (n_rows, n_columns)
            Which columns are observed: of the reference rows as they are, and of each group's.
        scores : list of ndarray of shape (n_rows,)
            Their scores.
        steepest : float, default=inf
            How many times farther out a score may be among the reference rows.
        """
        clipped = [np.clip(each, *np.quantile(each, _CLIPPED)) for each in scores]
        target, masks = np.concatenate(clipped), np.vstack(observed).astype(np.float64)
        centre = masks.mean(axis=0)
        cells = masks - centre
        gram = cells.T @ cells + _RIDGE * np.eye(cells.shape[1])
        worth = np.linalg.solve(gram, cells.T @ (target - target.mean()))
        left = [own - mask @ worth for own, mask in zip(scores, observed, strict=True)]
        usual, *quantiles = (np.quantile(each, _QUANTILES, method="higher") for each in left)
        usual_worth = float((observed[0] @ worth).mean())
        return cls(np.array(counts), worth, usual_worth, usual, np.array(quantiles), steepest)

    def adjust(self, scores: np.ndarray, observed: np.ndarray) -> np.ndarray:
        """Return the scores of rows of which these columns are observed, (n_rows, n_columns).

        A row of which none is gets the median.
        """
        left = scores - observed @ self.worth
        counts = observed.sum(axis=1)
        groups = [own.apply(left) for own in self.maps]
        adjusted = CountWeights.from_counts(counts, self.counts).combine(groups)
        return self.usual_worth + np.where(counts > 0, adjusted, np.median(self.usual))

    @property
    def maps(self) -> list[QuantileMap]:
        """What maps scores of each group to usual ones."""
        return [
            QuantileMap.from_quantiles(own, self.usual, self.steepest) for own in self.quantiles
        ]

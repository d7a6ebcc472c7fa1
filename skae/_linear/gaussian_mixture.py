"""A Gaussian mixture fitted to codes that are known up to a Gaussian each.

`sklearn.mixture.GaussianMixture` takes no sample weights, and each of its rows is a point.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .._data import block_length

_N_STEPS = 100
_TOLERANCE = 1e-4

# Enough to compare numbers of Gaussians, which differ by far more.
_ROUGH_TOLERANCE = 1e-3

# Weight, in rows, of the origin in each mean: one without rows stays finite.
_ORIGIN_ROWS = 0.01

# Rows added to each Gaussian's weight: one without rows keeps some.
_WEIGHT_ROWS = 1.0

# Numbers of Gaussians in a row that are no better before no more are tried.
_PATIENCE = 2


@dataclass(frozen=True)
class Mixture:
    """Weights, means and covariances of a mixture of Gaussians.

    Attributes
    ----------
    weight : ndarray of shape (n_mixed,)
        Sums to one.
    mean : ndarray of shape (n_mixed, n_components)
        Of each Gaussian.
    covariance : ndarray of shape (n_mixed, n_components, n_components)
        Of each Gaussian; its diagonals, `(n_mixed, n_components)`, where it is diagonal.
    """

    weight: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray

    @property
    def is_full(self) -> bool:
        """Whether covariances are matrices."""
        return self.covariance.ndim == 3

    def log_density(self, X: np.ndarray) -> np.ndarray:
        """Return the log-density of rows, in nats."""
        codes = Codes.from_points(X, np.ones(len(X)))
        return _expect(self, _Statistics(codes, self.is_full))[1]

    @property
    def n_parameters(self) -> int:
        """Number of free parameters."""
        n_mixed, size = self.mean.shape
        spread = size * (size + 1) // 2 if self.is_full else size
        return n_mixed * (1 + size + spread) - 1


@dataclass(frozen=True)
class Regularization:
    """What is known of a mixture before any row: that all rows are about standard normal.

    Attributes
    ----------
    rows : float
        Weight, in rows, of a Gaussian's share of the standard Gaussian's volume, in its
        covariance. None collapses onto a row.
    background : tuple of float
        Standard deviations of Gaussians around the origin that are not fitted, and weigh one row
        together. Rows unlike all others then don't decide between mixtures.
    """

    rows: float = 1.0
    background: tuple[float, ...] = ()


_WEAK = Regularization()


@dataclass(frozen=True)
class Codes:
    """What is known of rows' codes: a diagonal Gaussian each.

    Attributes
    ----------
    mean, variance : ndarray of shape (n_rows, n_components)
        Of each row's code.
    weight : ndarray of shape (n_rows,)
        How many rows of the table each is.
    """

    mean: np.ndarray
    variance: np.ndarray
    weight: np.ndarray

    @classmethod
    def from_points(cls, X: np.ndarray, weight: np.ndarray) -> "Codes":
        """Return codes that are known exactly."""
        return cls(X, np.zeros_like(X), weight)


class _Statistics:
    """What Gaussians' expected log-densities of rows are linear in.

    They are 1, the codes, and expected products of two units: with themselves, then, for full
    covariances, with those that follow by one, by two and so on. One block of rows is computed
    once, more of them anew at each pass.

    Parameters
    ----------
    codes : Codes
        The rows' codes.
    is_full : bool
        Whether the Gaussians' covariances are full, not diagonal.
    """

    def __init__(self, codes: Codes, is_full: bool) -> None:
        self.codes, self.is_full = codes, is_full
        n_rows, self.size = codes.mean.shape
        self.n_products = self.size * (self.size + 1) // 2 if is_full else self.size
        length = block_length(1 + self.size + self.n_products)
        self.blocks = [slice(first, first + length) for first in range(0, n_rows, length)]
        self.only = self._compute(self.blocks[0]) if len(self.blocks) == 1 else None

    def __iter__(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield blocks of rows, and their statistics, `(n_statistics, n_rows)`."""
        for rows in self.blocks:
            yield rows, self._compute(rows) if self.only is None else self.only

    def _compute(self, rows: slice) -> np.ndarray:
        mean, size = self.codes.mean[rows], self.size
        statistics = np.empty((1 + size + self.n_products, len(mean)))
        statistics[0] = 1.0
        code, products = statistics[1 : size + 1], statistics[size + 1 :]
        code[:] = mean.T
        np.square(code, out=products[:size])
        products[:size] += self.codes.variance[rows].T
        first = size
        for distance in range(1, size if self.is_full else 0):
            end = first + size - distance
            np.multiply(code[distance:], code[:-distance], out=products[first:end])
            first = end
        return statistics


def choose_mixture(
    codes: Codes, most: int, is_full: bool, generator: np.random.Generator
) -> Mixture:
    """Return the mixture of up to `most` Gaussians that the information criterion prefers.

    One, two, four and so on are tried, and `most`, until two in a row are no better (Schwarz
    1978, "Estimating the dimension of a model").

    Parameters
    ----------
    codes : Codes
        The rows' codes.
    most : int
        Largest number of Gaussians.
    is_full : bool
        Whether covariances are full, not diagonal.
    generator : numpy.random.Generator
        Source of the initial means.
    """
    total, statistics = codes.weight.sum(), _Statistics(codes, is_full)
    best, lowest, n_worse = None, np.inf, 0
    for n_mixed in _double_up_to(most):
        initial = _begin(codes, n_mixed, is_full, generator)
        mixture, bound = _improve(initial, statistics, _ROUGH_TOLERANCE)
        criterion = mixture.n_parameters * np.log(total) - 2 * total * bound
        if best is None or criterion < lowest:
            best, lowest, n_worse = mixture, criterion, 0
        else:
            n_worse += 1
        if n_worse == _PATIENCE:
            break
    assert best is not None
    best, _ = _improve(best, statistics, _TOLERANCE)
    return best


def fit_mixture(
    codes: Codes,
    n_mixed: int,
    is_full: bool,
    generator: np.random.Generator,
    regularization: Regularization = _WEAK,
    tolerance: float = _TOLERANCE,
) -> tuple[Mixture, float]:
    """Return the mixture from which the rows' posteriors diverge least, and `E_q log p(z)`.

    Expectation maximization on `E_q log p(z)`: each row counts as its whole posterior, with a
    mean and a variance, so that no component is narrower than what is known of a row.

    Parameters
    ----------
    codes : Codes
        The rows' codes.
    n_mixed : int
        Number of Gaussians.
    is_full : bool
        Whether covariances are full, not diagonal.
    generator : numpy.random.Generator
        Source of the initial means.
    regularization : Regularization, default=Regularization()
        What counts beside the rows. Gaussians of the background come last in the result.
    tolerance : float, default=1e-4
        Expectation maximization ends at steps that gain less.
    """
    initial = _begin(codes, n_mixed, is_full, generator)
    return _improve(initial, _Statistics(codes, is_full), tolerance, regularization)


def choose_spread_rows(
    codes: np.ndarray, weight: np.ndarray, n_chosen: int, generator: np.random.Generator
) -> np.ndarray:
    """Return indices of rows that lie far from each other (k-means++, Arthur 2007).

    With fewer rows than are asked for, some are chosen twice.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_components)
        The rows' codes.
    weight : ndarray of shape (n_rows,)
        How often each row counts.
    n_chosen : int
        How many to choose.
    generator : numpy.random.Generator
        Source of the choice.
    """
    # The choice of `sklearn.cluster.kmeans_plusplus`, whose import takes half a second, and whose
    # checks take as long as the choice among a few hundred rows.
    random = np.random.RandomState(int(generator.integers(2**31)))
    n_distinct = min(n_chosen, len(codes))
    n_trials = 2 + int(np.log(n_distinct))
    size = np.square(codes).sum(axis=1)

    def measure_squares(rows: np.ndarray) -> np.ndarray:
        squares = -2 * codes[rows] @ codes.T
        squares += size[rows][:, None]
        squares += size
        return np.maximum(squares, 0, out=squares)

    chosen = np.empty(n_distinct, dtype=int)
    chosen[0] = random.choice(len(codes), p=weight / weight.sum())
    nearest = measure_squares(chosen[:1])[0]
    total = float(nearest @ weight)
    for index in range(1, n_distinct):
        drawn = random.uniform(size=n_trials) * total
        tried = np.searchsorted(np.cumsum(weight * nearest), drawn)
        tried = np.minimum(tried, len(codes) - 1)
        squares = measure_squares(tried)
        np.minimum(squares, nearest, out=squares)
        totals = squares @ weight
        best = int(totals.argmin())
        chosen[index], nearest, total = tried[best], squares[best], float(totals[best])
    return np.resize(chosen, n_chosen)


def _begin(codes: Codes, n_mixed: int, is_full: bool, generator: np.random.Generator) -> Mixture:
    """Return Gaussians at rows that lie far from each other."""
    size = codes.mean.shape[1]
    means = codes.mean[choose_spread_rows(codes.mean, codes.weight, n_mixed, generator)]
    spread = np.full((n_mixed, size), _volume(n_mixed, size))
    if is_full:
        spread = spread[:, :, None] * np.eye(size)
    return Mixture(np.full(n_mixed, 1 / n_mixed), means, spread)


def _volume(n_mixed: int, size: int) -> float:
    """Return the variance with which Gaussians together have the volume of the standard one."""
    return float(n_mixed ** (-2 / size))


def _improve(
    mixture: Mixture,
    statistics: _Statistics,
    tolerance: float,
    regularization: Regularization = _WEAK,
) -> tuple[Mixture, float]:
    """Return the result of expectation maximization, and its `E_q log p(z)`."""
    n_mixed, size = mixture.mean.shape
    prior = regularization.rows * _volume(n_mixed, size)
    widths = np.array(regularization.background)
    weight = statistics.codes.weight
    rows_each, n_rows = 1 / max(len(widths), 1), weight.sum()
    mixture = _add_around_origin(mixture, widths, rows_each, n_rows)
    last = -np.inf
    for _ in range(_N_STEPS):
        sums, bounds = _expect(mixture, statistics)
        bound = float(np.average(bounds, weights=weight))
        if bound - last < tolerance:
            break
        last = bound
        fitted = _maximize(sums[:n_mixed], size, prior, regularization.rows, mixture.is_full)
        mixture = _add_around_origin(fitted, widths, rows_each, n_rows)
    return mixture, bound


def _double_up_to(most: int) -> Iterator[int]:
    n_mixed = 1
    while n_mixed < most:
        yield n_mixed
        n_mixed *= 2
    yield most


def _add_around_origin(
    mixture: Mixture, widths: np.ndarray, rows_each: float, total: float
) -> Mixture:
    """Return the mixture of `total` rows with Gaussians that weigh some rows each."""
    if not len(widths):
        return mixture
    size = mixture.mean.shape[1]
    variances = np.square(widths)
    one = np.eye(size) if mixture.is_full else np.ones(size)
    weight = np.concatenate([mixture.weight * total, np.full(len(widths), rows_each)])
    return Mixture(
        weight / weight.sum(),
        np.vstack([mixture.mean, np.zeros((len(widths), size))]),
        np.concatenate([mixture.covariance, np.multiply.outer(variances, one)]),
    )


def _expect(mixture: Mixture, statistics: _Statistics) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums of rows' statistics by their weights in each Gaussian, and rows' bounds."""
    weight, coefficients = statistics.codes.weight, _find_coefficients(mixture)
    sums, bound = np.zeros_like(coefficients), np.empty(len(weight))
    for rows, block in statistics:
        share = coefficients @ block
        # As `scipy.special.logsumexp` does; the shares need the same exponentials.
        top = share.max(axis=0)
        np.exp(np.subtract(share, top, out=share), out=share)
        total = share.sum(axis=0)
        share *= weight[rows] / total
        bound[rows] = top + np.log(total)
        sums += share @ block.T
    return sums, bound


def _pair_units(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the units of which `_Statistics` has the products, in its order."""
    distances = range(size)
    first = np.concatenate([np.arange(size - distance) for distance in distances])
    return first, first + np.repeat(distances, np.arange(size, 0, -1))


def _find_coefficients(mixture: Mixture) -> np.ndarray:
    """Return what the statistics are multiplied by, `(n_mixed, n_statistics)`."""
    mean, size = mixture.mean, mixture.mean.shape[1]
    if mixture.is_full:
        whitener = np.linalg.inv(np.linalg.cholesky(mixture.covariance))
        precision = whitener.mT @ whitener
        log_volume = -np.log(np.diagonal(whitener, axis1=1, axis2=2)).sum(axis=1)
        slope = (precision @ mean[:, :, None])[:, :, 0]
        first, second = _pair_units(size)
        products = -precision[:, first, second]
        products[:, :size] *= 0.5
    else:
        slope = mean / mixture.covariance
        log_volume = 0.5 * np.log(mixture.covariance).sum(axis=1)
        products = -0.5 / mixture.covariance
    constant = np.log(mixture.weight) - 0.5 * size * np.log(2 * np.pi) - log_volume
    constant -= 0.5 * (slope * mean).sum(axis=1)
    return np.hstack([constant[:, None], slope, products])


def _maximize(
    sums: np.ndarray, size: int, prior: float, prior_rows: float, is_full: bool
) -> Mixture:
    """Return the Gaussians that sums of the statistics determine."""
    total, codes, products = np.split(sums, [1, size + 1], axis=1)
    weight = total + _ORIGIN_ROWS
    centre = codes / weight
    if is_full:
        first, second = _pair_units(size)
        squares = np.empty((len(sums), size, size))
        squares[:, first, second] = squares[:, second, first] = products
        squares -= (weight * centre)[:, :, None] * centre[:, None]
        index = np.arange(size)
        squares[:, index, index] += prior
        covariance = squares / (weight + prior_rows)[:, :, None]
    else:
        squares = (products - weight * np.square(centre)).clip(min=0)
        covariance = (squares + prior) / (weight + prior_rows)
    rows = total[:, 0] + _WEIGHT_ROWS
    return Mixture(rows / rows.sum(), centre, covariance)

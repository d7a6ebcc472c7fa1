"""A Gaussian mixture fitted to codes that are known up to a Gaussian each.

`sklearn.mixture.GaussianMixture` takes no sample weights, and each of its rows is a point.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

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
        return _expect(self, Codes.from_points(X, np.ones(len(X))))[1]

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
    total = codes.weight.sum()
    best, lowest, n_worse = None, np.inf, 0
    for n_mixed in _double_up_to(most):
        initial = _begin(codes, n_mixed, is_full, generator)
        mixture, bound = _improve(initial, codes, _ROUGH_TOLERANCE)
        criterion = mixture.n_parameters * np.log(total) - 2 * total * bound
        if best is None or criterion < lowest:
            best, lowest, n_worse = mixture, criterion, 0
        else:
            n_worse += 1
        if n_worse == _PATIENCE:
            break
    assert best is not None
    best, _ = _improve(best, codes, _TOLERANCE)
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
    return _improve(initial, codes, tolerance, regularization)


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
    mixture: Mixture, codes: Codes, tolerance: float, regularization: Regularization = _WEAK
) -> tuple[Mixture, float]:
    """Return the result of expectation maximization, and its `E_q log p(z)`."""
    n_mixed, size = mixture.mean.shape
    prior = regularization.rows * _volume(n_mixed, size)
    widths = np.array(regularization.background)
    rows_each, n_rows = 1 / max(len(widths), 1), codes.weight.sum()
    mixture = _add_around_origin(mixture, widths, rows_each, n_rows)
    last = -np.inf
    for _ in range(_N_STEPS):
        share, total = _expect(mixture, codes)
        bound = float(np.average(total, weights=codes.weight))
        if bound - last < tolerance:
            break
        last = bound
        fitted = _maximize(share[:n_mixed], codes, prior, regularization.rows, mixture.is_full)
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


def _expect(mixture: Mixture, codes: Codes) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight of each row in each Gaussian, `(n_mixed, n_rows)`, and rows' bounds."""
    size = codes.mean.shape[1]
    if mixture.is_full:
        whitener = np.linalg.inv(np.linalg.cholesky(mixture.covariance))
        white = codes.mean @ whitener.mT
        white -= (whitener @ mixture.mean[:, :, None]).mT
        precision = np.square(whitener).sum(axis=1)
        log_volume = -np.log(np.diagonal(whitener, axis1=1, axis2=2)).sum(axis=1)
    else:
        white = (codes.mean - mixture.mean[:, None]) / np.sqrt(mixture.covariance)[:, None]
        precision = 1 / mixture.covariance
        log_volume = 0.5 * np.log(mixture.covariance).sum(axis=1)
    squares = np.einsum("mij,mij->mi", white, white) + precision @ codes.variance.T
    constant = np.log(mixture.weight) - 0.5 * size * np.log(2 * np.pi) - log_volume
    joint = constant[:, None] - 0.5 * squares
    # As `scipy.special.logsumexp` does; the shares need the same exponentials.
    top = joint.max(axis=0)
    share = np.exp(joint - top)
    total = share.sum(axis=0)
    share *= codes.weight / total
    return share, top + np.log(total)


def _maximize(
    share: np.ndarray, codes: Codes, prior: float, prior_rows: float, is_full: bool
) -> Mixture:
    mean = codes.mean
    total = share.sum(axis=1)
    weight = (total + _ORIGIN_ROWS)[:, None]
    centre = share @ mean / weight
    known = share @ codes.variance + prior
    if is_full:
        squares = (mean.T * share[:, None]) @ mean
        squares -= (weight * centre)[:, :, None] * centre[:, None]
        index = np.arange(mean.shape[1])
        squares[:, index, index] += known
        covariance = squares / (weight + prior_rows)[:, :, None]
    else:
        squares = share @ np.square(mean) - weight * np.square(centre)
        covariance = (squares.clip(min=0) + known) / (weight + prior_rows)
    rows = total + _WEIGHT_ROWS
    return Mixture(rows / rows.sum(), centre, covariance)

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

# Weight, in rows, of what is known of a Gaussian beforehand: that it has its share of the volume
# of the standard Gaussian. None collapses onto a row.
_PRIOR_ROWS = 1.0

# Weight, in rows, of the origin in each mean: one without rows stays finite.
_ORIGIN_ROWS = 0.01

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

    @property
    def n_parameters(self) -> int:
        """Number of free parameters."""
        n_mixed, size = self.mean.shape
        spread = size * (size + 1) // 2 if self.is_full else size
        return n_mixed * (1 + size + spread) - 1


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


def choose_mixture(
    codes: Codes, most: int, is_full: bool, generator: np.random.Generator
) -> Mixture:
    """Return the mixture of up to `most` Gaussians that the information criterion prefers.

    One, two, four and so on are tried, and `most`, until two in a row are no better (Schwarz
    1978, "Estimating the dimension of a model"). The result has `most` Gaussians: those that are
    not needed are standard, and weigh as much as one row.

    Parameters
    ----------
    codes : Codes
        The rows' codes.
    most : int
        Number of Gaussians.
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
    return _add_standard(best, most - len(best.weight), total)


def fit_mixture(
    codes: Codes, n_mixed: int, is_full: bool, generator: np.random.Generator
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
    """
    return _improve(_begin(codes, n_mixed, is_full, generator), codes, _TOLERANCE)


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
    # Here because it loads half of scikit-learn, for a mixture prior alone.
    from sklearn.cluster import kmeans_plusplus

    n_distinct = min(n_chosen, len(codes))
    seed = int(generator.integers(2**31))
    _, chosen = kmeans_plusplus(codes, n_distinct, sample_weight=weight, random_state=seed)
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


def _improve(mixture: Mixture, codes: Codes, tolerance: float) -> tuple[Mixture, float]:
    """Return the result of expectation maximization, and its `E_q log p(z)`."""
    volume = _volume(*mixture.mean.shape)
    last = -np.inf
    for _ in range(_N_STEPS):
        share, total = _expect(mixture, codes)
        bound = float(np.average(total, weights=codes.weight))
        if bound - last < tolerance:
            break
        last = bound
        mixture = _maximize(share, codes, volume, mixture.is_full)
    return mixture, bound


def _double_up_to(most: int) -> Iterator[int]:
    n_mixed = 1
    while n_mixed < most:
        yield n_mixed
        n_mixed *= 2
    yield most


def _add_standard(mixture: Mixture, n_added: int, total: float) -> Mixture:
    size = mixture.mean.shape[1]
    one = np.eye(size) if mixture.is_full else np.ones(size)
    added = np.stack([one] * n_added) if n_added else mixture.covariance[:0]
    weight = np.concatenate([mixture.weight * total, np.ones(n_added)])
    return Mixture(
        weight / weight.sum(),
        np.vstack([mixture.mean, np.zeros((n_added, size))]),
        np.concatenate([mixture.covariance, added]),
    )


def _expect(mixture: Mixture, codes: Codes) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight of each row in each Gaussian, `(n_mixed, n_rows)`, and rows' bounds."""
    joint = np.empty((len(mixture.weight), len(codes.mean)))
    for m, (centre, spread) in enumerate(zip(mixture.mean, mixture.covariance, strict=True)):
        if mixture.is_full:
            whitener = np.linalg.inv(np.linalg.cholesky(spread))
            white = (codes.mean - centre) @ whitener.T
            precision = np.square(whitener).sum(axis=0)
            log_volume = -np.log(whitener.diagonal()).sum()
        else:
            white = (codes.mean - centre) / np.sqrt(spread)
            precision = 1 / spread
            log_volume = 0.5 * np.log(spread).sum()
        squares = np.einsum("ij,ij->i", white, white) + codes.variance @ precision
        constant = 0.5 * codes.mean.shape[1] * np.log(2 * np.pi) + log_volume
        joint[m] = np.log(mixture.weight[m]) - 0.5 * squares - constant
    # As `scipy.special.logsumexp` does; the shares need the same exponentials.
    top = joint.max(axis=0)
    share = np.exp(joint - top)
    total = share.sum(axis=0)
    share *= codes.weight / total
    return share, top + np.log(total)


def _maximize(share: np.ndarray, codes: Codes, volume: float, is_full: bool) -> Mixture:
    mean, variance = codes.mean, codes.variance
    total = share.sum(axis=1)
    centre = share @ mean / (total + _ORIGIN_ROWS)[:, None]
    spreads = []
    for m, part in enumerate(share):
        difference = mean - centre[m]
        known = part @ variance + _PRIOR_ROWS * volume
        if is_full:
            squares = difference.T @ (part[:, None] * difference) + np.diag(known)
            squares += _ORIGIN_ROWS * np.outer(centre[m], centre[m])
        else:
            squares = part @ np.square(difference) + known + _ORIGIN_ROWS * np.square(centre[m])
        spreads.append(squares / (total[m] + _ORIGIN_ROWS + _PRIOR_ROWS))
    weight = total + _PRIOR_ROWS
    return Mixture(weight / weight.sum(), centre, np.stack(spreads))

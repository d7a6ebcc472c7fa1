"""A Gaussian mixture fitted to codes that are known up to a Gaussian each."""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

# Rows that the mixture is fitted on: a start needs no more.
_MOST_ROWS = 10_000
_N_STEPS = 100
_TOLERANCE = 1e-4

# Rows' worth of the standard Gaussian that each component is given, so that none narrows
# down to a row, and one without rows is the standard Gaussian.
_PRIOR_ROWS = 1.0


@dataclass(frozen=True)
class DiagonalMixture:
    """Weights, means and variances of a mixture of diagonal Gaussians.

    Attributes
    ----------
    weight : ndarray of shape (n_mixed,)
        Sums to one.
    mean, variance : ndarray of shape (n_mixed, n_components)
        Of each Gaussian.
    """

    weight: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


def some_rows(n_rows: int) -> np.ndarray:
    """Return the numbers of the rows that are looked at, evenly spread."""
    return np.linspace(0, n_rows - 1, min(n_rows, _MOST_ROWS)).astype(int)


def fitted_mixture(
    mean: np.ndarray,
    variance: np.ndarray,
    weight: np.ndarray | None,
    n_mixed: int,
    generator: np.random.Generator,
) -> DiagonalMixture:
    """Return the mixture that lets rows' posteriors diverge least from it.

    Expectation maximisation on `E_q log p(z)`: each row is its whole posterior, of a mean
    and a variance, so that no Gaussian gets narrower than what is known of a row.

    Parameters
    ----------
    mean, variance : ndarray of shape (n_rows, n_components)
        Of each row's code.
    weight : ndarray of shape (n_rows,) or None
        How often each row counts.
    n_mixed : int
        Number of Gaussians.
    generator : numpy.random.Generator
        Where the first means are drawn.
    """
    weight = np.ones(len(mean)) if weight is None else weight / weight.mean()
    means = mean[spread_rows(mean, weight, n_mixed, generator)]
    mixture = DiagonalMixture(np.full(n_mixed, 1 / n_mixed), means, np.ones_like(means))
    last = -np.inf
    for _ in range(_N_STEPS):
        joint = _expected_joint(mixture, mean, variance)
        total = logsumexp(joint, axis=1)
        bound = float(np.average(total, weights=weight))
        if bound - last < _TOLERANCE:
            break
        last = bound
        mixture = _maximised(np.exp(joint - total[:, None]) * weight[:, None], mean, variance)
    return mixture


def spread_rows(
    codes: np.ndarray, weight: np.ndarray, n_chosen: int, generator: np.random.Generator
) -> np.ndarray:
    """Return numbers of rows that lie far from each other (k-means++, Arthur 2007).

    Of fewer distinct rows than are asked for, some are chosen twice.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_components)
        Where the rows lie.
    weight : ndarray of shape (n_rows,)
        How often each row counts.
    n_chosen : int
        How many are chosen.
    generator : numpy.random.Generator
        Where they are drawn.
    """
    nearest = np.full(len(codes), np.inf)
    chance = weight
    chosen = []
    for _ in range(n_chosen):
        row = generator.choice(len(codes), p=chance / chance.sum())
        chosen.append(row)
        nearest = np.minimum(nearest, np.square(codes - codes[row]).sum(axis=1))
        chance = weight * nearest
        if not chance.sum() > 0:
            chance = weight
    return np.array(chosen)


def _expected_joint(mixture: DiagonalMixture, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    joint = np.empty((len(mean), len(mixture.weight)))
    for m, (centre, spread) in enumerate(zip(mixture.mean, mixture.variance, strict=True)):
        squares = (np.square(mean - centre) + variance) / spread
        joint[:, m] = -0.5 * (squares + np.log(2 * np.pi * spread)).sum(axis=1)
    return joint + np.log(mixture.weight)


def _maximised(share: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> DiagonalMixture:
    total = share.sum(axis=0)
    centre = share.T @ mean / (total + _PRIOR_ROWS)[:, None]
    spread = np.empty_like(centre)
    for m, part in enumerate(share.T):
        squares = part @ (np.square(mean - centre[m]) + variance)
        prior = _PRIOR_ROWS * (1 + np.square(centre[m]))
        spread[m] = (squares + prior) / (total[m] + _PRIOR_ROWS)
    weight = total + _PRIOR_ROWS
    return DiagonalMixture(weight / weight.sum(), centre, spread)

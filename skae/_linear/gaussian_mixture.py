"""A Gaussian mixture fitted to codes that are known up to a Gaussian each.

`sklearn.mixture.GaussianMixture` takes no sample weights, and each of its rows is a point.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

_N_STEPS = 100
_TOLERANCE = 1e-4

# Weight, in rows, of the standard Gaussian within each component: none collapses onto a row, and
# one without rows is the standard Gaussian.
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


def fit_mixture(
    mean: np.ndarray,
    variance: np.ndarray,
    weight: np.ndarray | None,
    n_mixed: int,
    generator: np.random.Generator,
) -> DiagonalMixture:
    """Return the mixture from which the rows' posteriors diverge least.

    Expectation maximization on `E_q log p(z)`: each row counts as its whole posterior, with a
    mean and a variance, so that no component is narrower than what is known of a row.

    Parameters
    ----------
    mean, variance : ndarray of shape (n_rows, n_components)
        Of each row's code.
    weight : ndarray of shape (n_rows,) or None
        How often each row counts.
    n_mixed : int
        Number of Gaussians.
    generator : numpy.random.Generator
        Source of the initial means.
    """
    weight = np.ones(len(mean)) if weight is None else weight / weight.mean()
    means = mean[choose_spread_rows(mean, weight, n_mixed, generator)]
    mixture = DiagonalMixture(np.full(n_mixed, 1 / n_mixed), means, np.ones_like(means))
    last = -np.inf
    for _ in range(_N_STEPS):
        joint = _expect_joint(mixture, mean, variance)
        total = logsumexp(joint, axis=1)
        bound = float(np.average(total, weights=weight))
        if bound - last < _TOLERANCE:
            break
        last = bound
        mixture = _maximize(np.exp(joint - total[:, None]) * weight[:, None], mean, variance)
    return mixture


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


def _expect_joint(mixture: DiagonalMixture, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    joint = np.empty((len(mean), len(mixture.weight)))
    for m, (centre, spread) in enumerate(zip(mixture.mean, mixture.variance, strict=True)):
        squares = (np.square(mean - centre) + variance) / spread
        joint[:, m] = -0.5 * (squares + np.log(2 * np.pi * spread)).sum(axis=1)
    return joint + np.log(mixture.weight)


def _maximize(share: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> DiagonalMixture:
    total = share.sum(axis=0)
    centre = share.T @ mean / (total + _PRIOR_ROWS)[:, None]
    spread = np.empty_like(centre)
    for m, part in enumerate(share.T):
        squares = part @ (np.square(mean - centre[m]) + variance)
        prior = _PRIOR_ROWS * (1 + np.square(centre[m]))
        spread[m] = (squares + prior) / (total[m] + _PRIOR_ROWS)
    weight = total + _PRIOR_ROWS
    return DiagonalMixture(weight / weight.sum(), centre, spread)

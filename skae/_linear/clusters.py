"""Clusters of rows by their codes and errors: responsibilities of a Gaussian mixture.

`sklearn.mixture.GaussianMixture` takes no sample weights, and has one kind of covariance for all
columns.
"""

from dataclasses import dataclass

import numpy as np

from .gaussian_mixture import choose_spread_rows

_LLOYD_STEPS = 5
_N_STEPS = 25
_TOLERANCE = 1e-3
_SEED = 20020101

# Weight, in rows, of the moments of all rows within each cluster: none collapses onto a row.
_PRIOR_ROWS = 1.0

# Variances below this do not tell clusters apart.
_LEAST_VARIANCE = 1e-4


@dataclass(frozen=True)
class CodesAndErrors:
    """Rows as their codes and errors, in units in which their moments are simple.

    Attributes
    ----------
    statistics : ndarray of shape (n_rows, n_statistics)
        One, the columns that have a full covariance in each cluster, their products; the columns
        that have a variance each, their squares. Log-densities are linear in them.
    n_joint, n_apart : int
        Numbers of columns of the two kinds.
    start : ndarray of shape (n_rows, n_columns)
        Where the first centres lie far from each other.
    weight : ndarray of shape (n_rows,)
        How often each row counts.
    """

    statistics: np.ndarray
    n_joint: int
    n_apart: int
    start: np.ndarray
    weight: np.ndarray

    @classmethod
    def from_arrays(
        cls, codes: np.ndarray, errors: np.ndarray, weight: np.ndarray, full: bool
    ) -> "CodesAndErrors":
        """Return the rows.

        Parameters
        ----------
        codes : ndarray of shape (n_rows, n_components)
            Codes.
        errors : ndarray of shape (n_rows, n_features)
            What the reconstructions leave.
        weight : ndarray of shape (n_rows,)
            How often each row counts.
        full : bool
            Whether clusters have a full covariance of codes and errors together, or one of the
            codes and a variance for each column of errors.
        """
        share = weight / weight.sum()
        codes, errors = codes - share @ codes, errors - share @ errors
        variance = share @ np.square(errors)
        varies = variance > _LEAST_VARIANCE
        codes = _whiten(codes, share)
        unit = np.sqrt(max(float(variance.mean()), _LEAST_VARIANCE))
        start = np.hstack([codes, errors / unit])
        if full:
            joint, apart = _whiten(np.hstack([codes, errors]), share), errors[:, :0]
        else:
            joint, apart = codes, errors[:, varies] / np.sqrt(variance[varies])
        products = (joint[:, :, None] * joint[:, None, :]).reshape(len(joint), -1)
        ones = np.ones((len(joint), 1))
        statistics = np.hstack([ones, joint, products, apart, np.square(apart)])
        return cls(statistics, joint.shape[1], apart.shape[1], start, weight)


def find_clusters(rows: CodesAndErrors, n_clusters: int) -> np.ndarray:
    """Return the probabilities of shape (n_rows, n_clusters) that a row belongs to a cluster.

    Expectation maximization begins at rows that lie far from each other. The same rows give the
    same clusters.
    """
    share = _assign_to_spread_rows(rows, n_clusters)
    if n_clusters == 1:
        return share
    last, total = -np.inf, rows.weight.sum()
    for _ in range(_N_STEPS):
        sums = (share * rows.weight[:, None]).T @ rows.statistics
        joint = rows.statistics @ _maximize(sums, rows.n_joint, rows.n_apart).T
        largest = joint.max(axis=1, keepdims=True)
        share = np.exp(joint - largest)
        whole = share.sum(axis=1, keepdims=True)
        share /= whole
        bound = float(rows.weight @ (largest + np.log(whole))[:, 0]) / total
        if bound - last < _TOLERANCE:
            break
        last = bound
    return share


def _maximize(sums: np.ndarray, n_joint: int, n_apart: int) -> np.ndarray:
    """Return the coefficients of each cluster's log-density, from its sums of the statistics."""
    coefficients = np.empty_like(sums)
    ends = np.cumsum([1, n_joint, n_joint**2, n_apart])
    whole = sums[:, 0].sum()
    for own, line in zip(sums, coefficients, strict=True):
        (total,), first, second, apart, squares = np.split(own, ends)
        known = max(total, np.finfo(np.float64).tiny)
        mean = first / known
        covariance = second.reshape(n_joint, n_joint) - np.outer(mean, first)
        covariance[np.diag_indices_from(covariance)] += _PRIOR_ROWS
        inverse = np.linalg.inv(np.linalg.cholesky(covariance / (total + _PRIOR_ROWS)))
        precision = inverse.T @ inverse
        centre = apart / known
        variance = (squares - centre * apart + _PRIOR_ROWS) / (total + _PRIOR_ROWS)
        constant = np.log(known / whole) + np.log(inverse.diagonal()).sum()
        constant -= 0.5 * (np.log(variance).sum() + mean @ precision @ mean)
        constant -= 0.5 * (np.square(centre) / variance).sum()
        line[:] = np.concatenate(
            [
                [constant],
                precision @ mean,
                -0.5 * precision.ravel(),
                centre / variance,
                -0.5 / variance,
            ]
        )
    return coefficients


def _whiten(X: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return uncorrelated columns of variance 1, without directions that do not vary.

    In these a cluster would be the narrower the more rows it has, and the largest would win.
    """
    values, vectors = np.linalg.eigh(X.T @ (X * share[:, None]))
    kept = values > _LEAST_VARIANCE * max(float(values[-1]), np.finfo(np.float64).tiny)
    return X @ (vectors[:, kept] / np.sqrt(values[kept]))


def _assign_to_spread_rows(rows: CodesAndErrors, n_clusters: int) -> np.ndarray:
    if n_clusters == 1:
        return np.ones((len(rows.start), 1))
    generator = np.random.default_rng(_SEED)
    centres = rows.start[choose_spread_rows(rows.start, rows.weight, n_clusters, generator)]
    for _ in range(_LLOYD_STEPS):
        nearest = (rows.start @ centres.T - 0.5 * np.square(centres).sum(axis=1)).argmax(axis=1)
        share = np.eye(n_clusters)[nearest]
        total = share.T @ rows.weight
        known = total > 0
        centres[known] = ((share * rows.weight[:, None]).T @ rows.start)[known] / total[known, None]
    return share

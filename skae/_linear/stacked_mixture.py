"""Gaussian mixtures of many sizes, weighted by what they say of rows that they were not fitted to.

Held-out rows choose not one size, but weights for all (Smyth and Wolpert 1999, "Linearly combining
density estimators via stacking"): the result is a larger mixture, and better than the best of
them on nearly all tables.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy.special import logsumexp

from .gaussian_mixture import Codes, Mixture, Regularization, fit_mixture

_SEED = 19990701

Candidate = TypeVar("Candidate")
Fitted = TypeVar("Fitted")

#: Returns another density of held-out rows, given one and how often rows count, or None.
Rival = Callable[[np.ndarray, np.ndarray], np.ndarray | None]

# Largest number of Gaussians in a mixture, and of Gaussians times columns.
_MOST_MIXED = 64
_MOST_CELLS = 512

# A Gaussian should have this many rows.
_ROWS_EACH = 4

# Initial means; more of them, where more rows would not help, because fits are fast there.
_N_SEEDS = 2

# Standard deviations of the Gaussians that no row decides.
_BACKGROUND = (3.0, 10.0, 30.0)

# Rows that outweigh all others.
_CERTAIN = 1e12

# Enough to tell mixtures apart.
_TOLERANCE = 1e-2

# With fewer rows every row is held out once, in folds; with more, a share of them.
_FOLDS_BELOW = 500
_N_FOLDS = 5
_SHARE_HELD_OUT = 0.1

# Mixtures of lower weight are left out.
LEAST_SHARE = 0.01
_N_SHARE_STEPS = 100


@dataclass(frozen=True)
class Split:
    """Indices of the rows that mixtures are fitted to, and of those that weigh them."""

    fitted: np.ndarray
    held_out: np.ndarray


@dataclass(frozen=True)
class _Candidate:
    """A mixture to try."""

    n_mixed: int
    prior_rows: float
    seed: int

    def fit(self, X: np.ndarray, weight: np.ndarray) -> Mixture:
        codes = Codes.from_points(X, weight)
        generator = np.random.default_rng([_SEED, self.seed])
        regularization = Regularization(self.prior_rows, _BACKGROUND)
        mixture, _ = fit_mixture(codes, self.n_mixed, True, generator, regularization, _TOLERANCE)
        return mixture


def split_for_stacking(n_rows: int) -> list[Split]:
    """Return splits under which rows are held out: each row once, or a tenth of many."""
    order = np.random.default_rng(_SEED).permutation(n_rows)
    if n_rows < _FOLDS_BELOW:
        return [
            Split(np.setdiff1d(order, fold), np.sort(fold))
            for fold in np.array_split(order, min(_N_FOLDS, n_rows))
        ]
    n_held_out = round(_SHARE_HELD_OUT * n_rows)
    return [Split(np.sort(order[n_held_out:]), np.sort(order[:n_held_out]))]


def stack_mixtures(
    X: np.ndarray,
    weight: np.ndarray,
    splits: list[Split],
    rival: np.ndarray | None,
    is_known: bool = False,
) -> tuple[Mixture, float]:
    """Return a mixture, and the share of a rival in the density that held-out rows prefer.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_columns)
        The rows, of mean zero and with the identity for a covariance.
    weight : ndarray of shape (n_rows,)
        How often each row counts.
    splits : list of Split
        How rows are held out.
    rival : ndarray of shape (n_rows,) or None
        Another density of held-out rows, in nats; other rows' values are not read.
    is_known : bool, default=False
        Whether the identity is known better than from the rows: the standard Gaussian is tried too.
    """
    candidates = list(_list_candidates(len(splits[0].fitted), X.shape[1]))
    if is_known:
        candidates.append(_Candidate(1, _CERTAIN, 0))

    def fit(candidate: _Candidate, rows: np.ndarray | slice) -> Mixture:
        return candidate.fit(X[rows], weight[rows])

    def score(mixture: Mixture, rows: np.ndarray) -> np.ndarray:
        return mixture.log_density(X[rows])

    def find_rival(mixed: np.ndarray, counts: np.ndarray) -> np.ndarray | None:
        held_out = np.concatenate([split.held_out for split in splits])
        return None if rival is None else rival[held_out]

    table = score_candidates(candidates, fit, score, splits)
    parts, shares, share = weigh_candidates(candidates, table, fit, weight, splits, find_rival)
    return _join(parts, shares), share


def score_candidates(
    candidates: list[Candidate],
    fit: Callable[[Candidate, np.ndarray | slice], Fitted],
    score: Callable[[Fitted, np.ndarray], np.ndarray],
    splits: list[Split],
) -> np.ndarray:
    """Return what each candidate, fitted to other rows, says of held-out ones.

    Parameters
    ----------
    candidates : list
        What to fit.
    fit : callable
        Returns the density of a candidate, fitted to the rows of some indices.
    score : callable
        Returns the log-densities of the rows of some indices.
    splits : list of Split
        How rows are held out.
    """
    tables = []
    for split in splits:
        fits = [fit(candidate, split.fitted) for candidate in candidates]
        tables.append(np.column_stack([score(density, split.held_out) for density in fits]))
    return np.vstack(tables)


def weigh_candidates(
    candidates: list[Candidate],
    table: np.ndarray,
    fit: Callable[[Candidate, np.ndarray | slice], Fitted],
    weight: np.ndarray,
    splits: list[Split],
    rival: Rival | None,
) -> tuple[list[Fitted], np.ndarray, float]:
    """Return densities fitted to all rows, their shares, and a rival's share beside them.

    Parameters
    ----------
    candidates, fit : list, callable
        As for `score_candidates`.
    table : ndarray of shape (n_held_out, n_candidates)
        What each says of held-out rows.
    weight, splits : ndarray, list of Split
        As for `stack_mixtures`.
    rival : callable or None
        Returns another density of held-out rows, in nats, given that of the candidates and how
        often rows count; None if it can have no share.
    """
    held_out = np.concatenate([split.held_out for split in splits])
    counts = weight[held_out]
    own = weigh_densities(table, counts)
    kept = np.flatnonzero(own >= LEAST_SHARE)
    every = slice(None)
    parts = [fit(candidates[k], every) for k in kept]
    share = 0.0
    if rival is not None:
        mixed = logsumexp(table, axis=1, b=own)
        other = rival(mixed, counts)
        if other is not None:
            share = float(weigh_densities(np.column_stack([mixed, other]), counts)[1])
        # A rival of little weight is not worth its time, and none is trusted on rows of any kind.
        share = 0.0 if share < LEAST_SHARE else min(share, 1 - 1 / len(held_out))
    return parts, own[kept] / own[kept].sum(), share


def _join(mixtures: list[Mixture], share: np.ndarray) -> Mixture:
    """Return the mixture of mixtures."""
    weights = [part * mixture.weight for part, mixture in zip(share, mixtures, strict=True)]
    return Mixture(
        np.concatenate(weights),
        np.concatenate([mixture.mean for mixture in mixtures]),
        np.concatenate([mixture.covariance for mixture in mixtures]),
    )


def may_have_share(rival: np.ndarray, known: np.ndarray, weight: np.ndarray) -> bool:
    """Return whether a mixture of two densities is likelier than the second alone.

    The log-likelihood is concave in the share of the first, and rises from none if the mean ratio
    of the densities exceeds one.

    Parameters
    ----------
    rival, known : ndarray of shape (n_rows,)
        What the densities say of each row.
    weight : ndarray of shape (n_rows,)
        How often each row counts.
    """
    return bool(logsumexp(rival - known, b=weight / weight.sum()) > 0)


def weigh_densities(log_densities: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the shares, of sum one, of the mixture of densities that is likeliest.

    Parameters
    ----------
    log_densities : ndarray of shape (n_rows, n_densities)
        What each density says of each row.
    weight : ndarray of shape (n_rows,)
        How often each row counts.
    """
    n_densities = log_densities.shape[1]
    share = np.full(n_densities, 1 / n_densities)
    relative = np.exp(log_densities - log_densities.max(axis=1, keepdims=True))
    for _ in range(_N_SHARE_STEPS):
        joint = relative * share
        share = weight @ (joint / joint.sum(axis=1, keepdims=True)) / weight.sum()
    return share


def _list_candidates(n_rows: int, n_columns: int) -> Iterator[_Candidate]:
    """Yield mixtures of one, two, four and more Gaussians, weakly and strongly regularized."""
    most = min(_MOST_MIXED, _MOST_CELLS // n_columns, n_rows // _ROWS_EACH)
    n_mixed = 1
    while n_mixed <= max(most, 1):
        for number, prior_rows in enumerate(sorted({1.0, float(n_columns)})):
            n_seeds = _N_SEEDS if n_rows < _FOLDS_BELOW and n_mixed > 1 else 1
            for seed in range(n_seeds):
                yield _Candidate(n_mixed, prior_rows, number + seed)
        n_mixed *= 2

"""Latent classes of many sizes, weighted by what they say of rows that they were not fitted to."""

from collections.abc import Callable
from typing import NamedTuple, Self

import numpy as np

from .latent_classes import ClassRecipe, ClassRows, LatentClasses, MixedCells
from .normal_scores import NormalScores
from .scored_classes import ScoredClasses, StackedClasses, score_cells
from .stacked_mixture import (
    LEAST_SHARE,
    Rival,
    Split,
    score_candidates,
    weigh_candidates,
    weigh_densities,
)

# Largest number of classes, and of classes times columns.
_MOST_CLASSES = 64
_MOST_CELLS = 4096

# The same of numbers, where covariances are full.
_MOST_FULL_CELLS = 512

# A class should have this many rows.
_ROWS_EACH = 4

# Weights of all rows' covariance in that of a class. Next to none lets a class be as narrow as a
# number that many rows repeat.
_PRIOR_ROWS = (1e-6, 0.05, 1.0)

# More classes are tried only of kinds that are so close to the best, in nats a held-out row.
_CLOSE = 0.5

# With fewer classes kinds are not told apart yet.
_FEWEST_TOLD_APART = 4


class _Candidate(NamedTuple):
    """What to fit: to numbers as they are, or to their normal scores."""

    recipe: ClassRecipe
    is_scored: bool


class _Kind(NamedTuple):
    """Classes of any number, of numbers as they are or of their normal scores."""

    is_scored: bool
    is_full: bool
    is_strong: bool
    prior_rows: float
    level_rows: float
    seed: int

    def make_candidate(self, n_classes: int, limits: "_Limits") -> _Candidate | None:
        """Return so many classes, None where their covariances have too many cells."""
        is_full = self.is_full and n_classes <= limits.most_full
        if self.is_full and not (is_full or self.is_strong):
            return None
        recipe = ClassRecipe(n_classes, is_full, self.prior_rows, self.level_rows, self.seed)
        return _Candidate(recipe, self.is_scored)


class _Limits(NamedTuple):
    """Largest numbers of classes, and of classes with full covariances."""

    most: int
    most_full: int

    @classmethod
    def of(cls, n_rows: int, cells: MixedCells) -> Self:
        """Return what so many of the rows allow."""
        n_numbers = cells.numbers.shape[1]
        n_columns = n_numbers + len(cells.blocks)
        most = max(min(_MOST_CLASSES, _MOST_CELLS // n_columns, n_rows // _ROWS_EACH), 1)
        return cls(most, max(_MOST_FULL_CELLS // n_numbers, 1) if n_numbers > 1 else 0)


class _Fitted(NamedTuple):
    """Classes of numbers as they are, or of their normal scores."""

    classes: LatentClasses
    is_scored: bool


def stack_classes(
    cells: MixedCells, weight: np.ndarray, splits: list[Split], rival: Rival | None
) -> tuple[StackedClasses, float]:
    """Return classes, and the share of a rival in the density that held-out rows prefer.

    Parameters
    ----------
    cells : MixedCells
        The rows.
    weight : ndarray of shape (n_rows,)
        How often each row counts.
    splits : list of Split
        How rows are held out.
    rival : callable or None
        Returns another density of held-out rows, in nats, given that of the classes and how often
        rows count; None if it can have no share.
    """
    # Of rows that weigh the classes only where each row is held out once.
    fitted = splits[0].fitted if len(splits) == 1 else np.arange(len(cells))
    margins = NormalScores.fit(cells.numbers[fitted], weight[fitted])
    scored, log_slope = score_cells(margins, cells)

    # The latest rows of both kinds: candidates are fitted to the same ones in turn.
    latest: dict[bool, tuple[np.ndarray | slice, ClassRows]] = {}

    def find_rows(is_scored: bool, rows: np.ndarray | slice) -> ClassRows:
        known = latest.get(is_scored)
        if known is None or known[0] is not rows:
            own = scored if is_scored else cells
            known = latest[is_scored] = (rows, ClassRows(own.take(rows), weight[rows]))
        return known[1]

    def fit(candidate: _Candidate, rows: np.ndarray | slice) -> _Fitted:
        own = find_rows(candidate.is_scored, rows)
        return _Fitted(candidate.recipe.fit_rows(own), candidate.is_scored)

    def score(fitted: _Fitted, rows: np.ndarray) -> np.ndarray:
        if fitted.is_scored:
            return fitted.classes.log_density(scored.take(rows)) + log_slope[rows]
        return fitted.classes.log_density(cells.take(rows))

    counts = weight[np.concatenate([split.held_out for split in splits])]
    candidates, table = _score_growing(
        _list_kinds(cells),
        _Limits.of(len(splits[0].fitted), cells),
        lambda candidates: score_candidates(candidates, fit, score, splits),
        counts,
    )
    parts, shares, share = weigh_candidates(candidates, table, fit, weight, splits, rival)
    of_numbers, of_scores = (_join(parts, shares, kind) for kind in (False, True))
    total = sum(own for part, own in zip(parts, shares, strict=True) if part.is_scored)
    in_units = None if of_scores is None else ScoredClasses(margins, of_scores)
    return StackedClasses(of_numbers, in_units, float(total)), share


def _join(fits: list[_Fitted], shares: np.ndarray, is_scored: bool) -> LatentClasses | None:
    """Return the mixture of mixtures of one kind, with full covariances; None of none."""
    own = [index for index, fitted in enumerate(fits) if fitted.is_scored == is_scored]
    if not own:
        return None
    parts, weights = [fits[index].classes for index in own], shares[own] / shares[own].sum()
    covariances = [
        part.covariance
        if part.is_full
        else part.covariance[:, :, None] * np.eye(part.covariance.shape[1])
        for part in parts
    ]
    return LatentClasses(
        np.concatenate([one * part.weight for one, part in zip(weights, parts, strict=True)]),
        np.concatenate([part.mean for part in parts]),
        np.concatenate(covariances),
        np.concatenate([part.log_mass for part in parts]),
    )


def _list_kinds(cells: MixedCells) -> list[_Kind]:
    """Return classes with both covariances, of both scales, weakly and strongly regularized."""
    n_numbers = cells.numbers.shape[1]
    strong = float(n_numbers + len(cells.blocks))
    if not n_numbers:
        return [
            _Kind(False, False, False, 1.0, 1.0, 0),
            _Kind(False, False, True, strong, strong, 3),
        ]
    kinds = []
    for is_scored in (False, True):
        for seed, prior_rows in enumerate(_PRIOR_ROWS):
            for is_full in (False, True):
                kinds.append(_Kind(is_scored, is_full, False, prior_rows, 1.0, seed))
        kinds.append(_Kind(is_scored, True, True, strong, strong, 3))
    return kinds


def _score_growing(
    kinds: list[_Kind],
    limits: _Limits,
    score: Callable[[list[_Candidate]], np.ndarray],
    counts: np.ndarray,
) -> tuple[list[_Candidate], np.ndarray]:
    """Return candidates of one, two, four and more classes, and what they say of held-out rows.

    A kind gets more classes as long as held-out rows gain by them, and it is close to the best.
    """
    candidates: list[_Candidate] = []
    tables: list[np.ndarray] = []
    reached = dict.fromkeys(kinds, -np.inf)
    n_classes = 1
    while n_classes <= limits.most:
        found = {kind: kind.make_candidate(n_classes, limits) for kind in reached}
        grown = {kind: own for kind, own in found.items() if own is not None}
        if not grown:
            break
        table = score(list(grown.values()))
        candidates += grown.values()
        tables.append(table)
        mean = counts @ table / counts.sum()
        is_close = (mean >= mean.max() - _CLOSE) | (weigh_densities(table, counts) >= LEAST_SHARE)
        is_early = n_classes < _FEWEST_TOLD_APART
        reached = {
            kind: own
            for kind, own, near in zip(grown, mean, is_close, strict=True)
            if is_early or (near and own > reached[kind])
        }
        n_classes *= 2
    return candidates, np.hstack(tables)

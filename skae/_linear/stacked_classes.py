"""Latent classes of many sizes, weighted by what they say of rows that they were not fitted to."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .latent_classes import ClassRecipe, LatentClasses, MixedCells
from .normal_scores import NormalScores
from .scored_classes import ScoredClasses, StackedClasses, score_cells
from .stacked_mixture import Split, stack_candidates

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


class _Candidate(NamedTuple):
    """What to fit: to numbers as they are, or to their normal scores."""

    recipe: ClassRecipe
    is_scored: bool


class _Fitted(NamedTuple):
    """Classes of numbers as they are, or of their normal scores."""

    classes: LatentClasses
    is_scored: bool


def stack_classes(
    cells: MixedCells, weight: np.ndarray, splits: list[Split], rival: np.ndarray | None
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
    rival : ndarray of shape (n_rows,) or None
        Another density of held-out rows, in nats; other rows' values are not read.
    """
    recipes = list(_list_recipes(len(splits[0].fitted), cells))
    kinds = (False, True) if cells.numbers.shape[1] else (False,)
    candidates = [_Candidate(recipe, kind) for kind in kinds for recipe in recipes]
    # Of rows that weigh the classes only where each row is held out once.
    fitted = splits[0].fitted if len(splits) == 1 else np.arange(len(cells))
    margins = NormalScores.fit(cells.numbers[fitted], weight[fitted])
    scored, log_slope = score_cells(margins, cells)

    def fit(candidate: _Candidate, rows: np.ndarray | slice) -> _Fitted:
        own = scored if candidate.is_scored else cells
        return _Fitted(candidate.recipe.fit(own.take(rows), weight[rows]), candidate.is_scored)

    def score(fitted: _Fitted, rows: np.ndarray) -> np.ndarray:
        if fitted.is_scored:
            return fitted.classes.log_density(scored.take(rows)) + log_slope[rows]
        return fitted.classes.log_density(cells.take(rows))

    parts, shares, share = stack_candidates(candidates, fit, score, weight, splits, rival)
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


def _list_recipes(n_rows: int, cells: MixedCells) -> Iterator[ClassRecipe]:
    """Yield one, two, four and more classes, of both kinds, weakly and strongly regularized."""
    n_numbers = cells.numbers.shape[1]
    n_columns = n_numbers + len(cells.blocks)
    most = max(min(_MOST_CLASSES, _MOST_CELLS // n_columns, n_rows // _ROWS_EACH), 1)
    most_full = max(_MOST_FULL_CELLS // max(n_numbers, 1), 1) if n_numbers > 1 else 0
    strong, n_classes = float(n_columns), 1
    while n_classes <= most:
        for seed, prior_rows in enumerate(_PRIOR_ROWS if n_numbers else (1.0,)):
            yield ClassRecipe(n_classes, False, prior_rows, 1.0, seed)
            if n_classes <= most_full:
                yield ClassRecipe(n_classes, True, prior_rows, 1.0, seed)
        yield ClassRecipe(n_classes, n_classes <= most_full, strong, strong, 3)
        n_classes *= 2

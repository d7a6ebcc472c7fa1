"""Latent classes of many sizes, weighted by what they say of rows that they were not fitted to."""

from collections.abc import Iterator

import numpy as np

from .latent_classes import ClassRecipe, LatentClasses, MixedCells
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


def stack_classes(
    cells: MixedCells, weight: np.ndarray, splits: list[Split], rival: np.ndarray | None
) -> tuple[LatentClasses, float]:
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

    def fit(recipe: ClassRecipe, rows: np.ndarray | slice) -> LatentClasses:
        return recipe.fit(cells.take(rows), weight[rows])

    def score(classes: LatentClasses, rows: np.ndarray) -> np.ndarray:
        return classes.log_density(cells.take(rows))

    parts, shares, share = stack_candidates(recipes, fit, score, weight, splits, rival)
    return _join(parts, shares), share


def _join(parts: list[LatentClasses], shares: np.ndarray) -> LatentClasses:
    """Return the mixture of mixtures, with full covariances."""
    covariances = [
        part.covariance
        if part.is_full
        else part.covariance[:, :, None] * np.eye(part.covariance.shape[1])
        for part in parts
    ]
    return LatentClasses(
        np.concatenate([own * part.weight for own, part in zip(shares, parts, strict=True)]),
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

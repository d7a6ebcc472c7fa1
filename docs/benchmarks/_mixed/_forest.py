"""missForest with extra trees: each column from all others, labels by a classifier."""

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from ._tables import list_categories

_MOST_ROUNDS = 10


def fill_by_trees(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return a frame without gaps.

    Stekhoven and Buehlmann (2012), "MissForest: non-parametric missing value imputation for
    mixed-type data", Bioinformatics. Gaps begin as means and most frequent labels. Columns are
    filled in turn, those with fewer gaps first, until a round changes numbers and labels more
    than the one before; the rows of that one are returned. Trees see labels as codes.

    Parameters
    ----------
    frame : DataFrame
        Numbers and categories.
    seed : int
        Random state of the forests.
    """
    labels = set(list_categories(frame))
    codes = pd.DataFrame(
        {
            name: (own.cat.codes.replace(-1, np.nan) if name in labels else own).astype(float)
            for name, own in frame.items()
        }
    )
    gaps = codes.isna()
    start = {name: own.mode()[0] if name in labels else own.mean() for name, own in codes.items()}
    filled = codes.fillna(start)
    turns = [name for name in gaps.sum().sort_values(kind="stable").index if gaps[name].any()]
    least = {True: np.inf, False: np.inf}
    for _ in range(_MOST_ROUNDS):
        previous = filled.copy()
        for name in turns:
            forest = ExtraTreesClassifier if name in labels else ExtraTreesRegressor
            inputs, hidden = filled.drop(columns=name).to_numpy(), gaps[name].to_numpy()
            model = forest(random_state=seed).fit(inputs[~hidden], codes[name][~hidden])
            filled.loc[hidden, name] = model.predict(inputs[hidden])
        change = _measure_change(previous, filled, gaps, labels)
        if all(change[kind] >= least[kind] for kind in change):
            filled = previous
            break
        least |= change
    for name in labels:
        known = frame[name].cat.categories.to_numpy(dtype=object)
        filled[name] = known[filled[name].astype(int)]
    return filled


def _measure_change(
    before: pd.DataFrame, after: pd.DataFrame, gaps: pd.DataFrame, labels: set[str]
) -> dict[bool, float]:
    """Return the change of the numbers and the share of changed labels, of those that there are."""
    change = {}
    for kind in (False, True):
        names = [name for name in before if (name in labels) == kind and gaps[name].any()]
        if names and kind:
            moved = (before[names] != after[names]).to_numpy()
            change[kind] = float(moved.sum() / gaps[names].to_numpy().sum())
        elif names:
            scale = after[names].std().replace(0, 1)
            squares = (((after[names] - before[names]) / scale) ** 2).to_numpy()
            change[kind] = float(squares.sum() / gaps[names].to_numpy().sum())
    return change

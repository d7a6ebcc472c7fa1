"""How much of a target is in codes."""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_mutual_info_score
from sklearn.neighbors import KNeighborsClassifier

from ._split import Split
from ._tables import Target

# A target of more different values is a quantity, or a name of each row.
_MOST_CLASSES = 100
_NEIGHBOURS = 5


@dataclass(frozen=True)
class Classes:
    """The classes of the rows of a split; -1 is a row without one."""

    n_classes: int
    train: np.ndarray
    test: np.ndarray


def classes_of(target: Target | None, split: Split) -> tuple[Classes | None, list[str]]:
    """Return the target as classes, or None where it has none, and lines that say so."""
    if target is None:
        return None, []
    numbers, values = pd.factorize(target.values)
    n_classes = len(values)
    classes = Classes(n_classes, numbers[split.train], numbers[split.test])
    n_held_out = int((classes.test >= 0).sum())
    fate = "no clustering and neighbour scores"
    if not 2 <= n_classes <= _MOST_CLASSES:
        return None, [
            f"target {target.name!r} has {n_classes} different values, expected 2 to "
            f"{_MOST_CLASSES} classes: {fate}"
        ]
    if n_held_out < 2 * n_classes:
        return None, [
            f"target {target.name!r} has {n_classes} different values in {n_held_out} rows "
            f"held out, expected two rows a class or more: {fate}"
        ]
    if not (classes.train >= 0).any():
        return None, [f"target {target.name!r} has no value in rows to train on: {fate}"]
    n_missing = int((numbers < 0).sum())
    if n_missing:
        return classes, [
            f"rows without a value of target {target.name!r}, left out of its scores: {n_missing}"
        ]
    return classes, []


def kmeans_agreement(codes: np.ndarray, classes: Classes, seed: int) -> float:
    """Return the adjusted mutual information of clusters of held-out codes with classes."""
    known = classes.test >= 0
    kmeans = KMeans(classes.n_classes, n_init=10, random_state=seed)
    with warnings.catch_warnings():
        # Fewer different codes than classes is a poor code, and shows as such.
        warnings.simplefilter("ignore", ConvergenceWarning)
        clusters = kmeans.fit_predict(codes[known])
    return float(adjusted_mutual_info_score(classes.test[known], clusters))


def neighbour_accuracy(train: np.ndarray, test: np.ndarray, classes: Classes) -> float:
    """Return how often the nearest training codes tell the class of a held-out one."""
    known, asked = classes.train >= 0, classes.test >= 0
    voters = KNeighborsClassifier(min(_NEIGHBOURS, int(known.sum())))
    voters.fit(train[known], classes.train[known])
    return float(voters.score(test[asked], classes.test[asked]))

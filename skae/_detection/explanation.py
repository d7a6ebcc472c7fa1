"""Counterfactuals: which cells make a row anomalous, and what they would usually be."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

N_CANDIDATES = 32

# A gain below this is rounding, in nats.
_LEAST_GAIN = 1e-6

# A cell that was changed while others were still wrong may be changed again.
_CHANGES_PER_CELL = 2

Score = Callable[[np.ndarray], np.ndarray]


class Counterfactual(NamedTuple):
    """A row changed, cell by cell, until it is typical.

    Attributes
    ----------
    gains : ndarray of shape (n_features,)
        How much the score rose when the column's cell was changed; 0 if it was not. They add
        up to the score of the changed row less that of the row itself.
    expected : ndarray of shape (n_features,)
        The value that each cell was changed to; for the others the likeliest value given the
        changed row's other cells.
    """

    gains: np.ndarray
    expected: np.ndarray


def choose_candidates(X: np.ndarray) -> list[np.ndarray]:
    """Return the values that each column's cells may be changed to: its quantiles."""
    shares = np.linspace(0, 1, N_CANDIDATES)
    return [np.unique(np.quantile(column, shares, method="nearest")) for column in X.T]


def find_counterfactual(
    score: Score, row: np.ndarray, candidates: Sequence[np.ndarray], enough: float
) -> Counterfactual:
    """Change a row's cells, the one that gains most first, until its score is enough.

    Cells are changed one at a time, each given the others, so that the contributions add up
    to the total gain. For a Gaussian density the first cell is the one that explains the row
    best, by its generalized likelihood ratio.

    Parameters
    ----------
    score : callable
        Maps rows to scores; lower is more anomalous.
    row : ndarray of shape (n_features,)
        The row.
    candidates : sequence of ndarray
        For each column, the values that its cells may be changed to.
    enough : float
        Score of a typical row.
    """
    # A copy, in a type that holds the candidates too.
    row = row.astype(np.result_type(row, *candidates))
    reached = float(score(row[None])[0])
    gains = np.zeros(len(row))
    best, values = _find_best_values(score, row, candidates)
    for _ in range(_CHANGES_PER_CELL * len(row)):
        column = int(np.argmax(best))
        if reached >= enough or best[column] - reached <= _LEAST_GAIN:
            break
        gains[column] += best[column] - reached
        row[column], reached = values[column], float(best[column])
        best, values = _find_best_values(score, row, candidates)
    untouched = (gains == 0) & (best > reached)
    return Counterfactual(gains, np.where(untouched, values, row))


def _find_best_values(
    score: Score, row: np.ndarray, candidates: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each column, the best score that changing its cell gives, and the value."""
    columns = np.repeat(np.arange(len(row)), [len(values) for values in candidates])
    changed = np.repeat(row[None], len(columns), axis=0)
    changed[np.arange(len(columns)), columns] = np.concatenate(candidates)
    scores = score(changed)
    starts = np.searchsorted(columns, np.arange(len(row)))
    best = np.maximum.reduceat(scores, starts)
    # The first candidate of each column that reaches it.
    indices = np.array(
        [
            start + int(np.argmax(part))
            for start, part in zip(starts, np.split(scores, starts[1:]), strict=True)
        ]
    )
    return best, changed[indices, np.arange(len(row))]

"""Which cells make a row strange: those whose repair gains the most."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

N_CANDIDATES = 32
# A gain below this share of a nat is rounding.
_LEAST_GAIN = 1e-6
# A cell repaired while others were still wrong may be repaired again.
_REPAIRS_A_CELL = 2

Score = Callable[[np.ndarray], np.ndarray]


class Repair(NamedTuple):
    """A row's way to one that is typical.

    Attributes
    ----------
    gains : ndarray of shape (n_features,)
        What the score rose by when the column's cell was repaired; 0 if it was not. They
        add up to the score of the row with those cells repaired, less its own.
    expected : ndarray of shape (n_features,)
        What each cell was repaired to; of those that were not, the likeliest value beside
        the repaired row's other cells.
    """

    gains: np.ndarray
    expected: np.ndarray


def candidates_of(X: np.ndarray) -> list[np.ndarray]:
    """Return values that each column's cells may be repaired to: its quantiles."""
    shares = np.linspace(0, 1, N_CANDIDATES)
    return [np.unique(np.quantile(column, shares, method="nearest")) for column in X.T]


def repaired(
    score: Score, row: np.ndarray, candidates: Sequence[np.ndarray], enough: float
) -> Repair:
    """Repair a row's cells, the one that gains most first, until its score is enough.

    One cell at a time, each given the others: the contributions add up to what the score
    rises by in all. For a Gaussian density the first cell is the one whose fault explains
    the row best, by its generalised likelihood ratio.

    Parameters
    ----------
    score : callable
        Maps rows to scores; lower is stranger.
    row : ndarray of shape (n_features,)
        The row.
    candidates : sequence of ndarray
        For each column, the values that its cells may be repaired to.
    enough : float
        Score of a row that needs no repair.
    """
    row = row.copy()
    reached = float(score(row[None])[0])
    gains = np.zeros(len(row))
    best, values = _best_values(score, row, candidates)
    for _ in range(_REPAIRS_A_CELL * len(row)):
        column = int(np.argmax(best))
        if reached >= enough or best[column] - reached <= _LEAST_GAIN:
            break
        gains[column] += best[column] - reached
        row[column], reached = values[column], float(best[column])
        best, values = _best_values(score, row, candidates)
    untouched = (gains == 0) & (best > reached)
    return Repair(gains, np.where(untouched, values, row))


def _best_values(
    score: Score, row: np.ndarray, candidates: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return, of each column, the best score a change of its cell gives, and to what value."""
    columns = np.repeat(np.arange(len(row)), [len(values) for values in candidates])
    changed = np.repeat(row[None], len(columns), axis=0)
    changed[np.arange(len(columns)), columns] = np.concatenate(candidates)
    scores = score(changed)
    starts = np.searchsorted(columns, np.arange(len(row)))
    best = np.maximum.reduceat(scores, starts)
    # The first candidate of each column that reaches it.
    place = np.array(
        [
            start + int(np.argmax(part))
            for start, part in zip(starts, np.split(scores, starts[1:]), strict=True)
        ]
    )
    return best, changed[place, np.arange(len(row))]

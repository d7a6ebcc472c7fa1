"""Counterfactuals: which cells make a row anomalous, and what they would usually be."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .._data import Columns, block_length, list_cells
from .._data.codings import BooleanCoding
from .labels import SeenLabels, hide_unseen

N_CANDIDATES = 32

# Labels of a category that are tried.
_MOST_LABELS = 100

# A gain below this is rounding, in nats.
_LEAST_GAIN = 1e-6

# Columns that are looked at together after a change.
_LOOKED_AT = 8

# Cells of changed rows that are held at a time.
_BLOCK_CELLS = 2**22

# A cell that was changed while others were still wrong may be changed again.
_CHANGES_PER_CELL = 2

Score = Callable[[np.ndarray], np.ndarray]


class Counterfactual(NamedTuple):
    """A row changed, cell by cell, until it is typical.

    Attributes
    ----------
    gains : ndarray of shape (n_columns,)
        How much the score rose when the column's cell was changed; 0 if it was not. They add
        up to the score of the changed row less that of the row itself.
    expected : ndarray of shape (n_encoded,)
        The value that each cell was changed to; for the others the likeliest value given the
        changed row's other cells. Missing cells stay so.
    """

    gains: np.ndarray
    expected: np.ndarray


@dataclass(frozen=True)
class CellChoice:
    """What a column's cells may be changed to.

    Attributes
    ----------
    own : slice
        The encoded columns of the cell, which are changed together.
    values : ndarray of shape (n_values, n_own)
        The values.
    """

    own: slice
    values: np.ndarray

    @classmethod
    def from_candidates(
        cls, candidates: Sequence[np.ndarray], columns: Columns | None
    ) -> "list[CellChoice]":
        """Return the choice of each column that has encoded ones."""
        own = [slice(index, index + 1) for index in range(len(candidates))]
        if columns is not None:
            own = [cells for column, cells in columns.slices() if column.coding.n_encoded]
        shape = [(-1, cells.stop - cells.start) for cells in own]
        return [
            cls(cells, values.reshape(size))
            for cells, values, size in zip(own, candidates, shape, strict=True)
        ]


def choose_candidates(X: np.ndarray) -> list[np.ndarray]:
    """Return the values that each column's cells may be changed to: its quantiles."""
    return [_choose_quantiles(column) for column in X.T]


def choose_encoded_candidates(
    X: np.ndarray, columns: Columns, labels: SeenLabels
) -> list[np.ndarray]:
    """Return the values that the cells of each column that has encoded ones may be changed to.

    Numbers and dates have their quantiles, booleans both values, and categories the labels that
    training has seen, the most frequent ones of many.
    """
    candidates, seen = [], labels.candidates
    for column, own in columns.slices():
        if column.coding.n_encoded == 0:
            continue
        if own.start in seen:
            candidates.append(seen[own.start][:_MOST_LABELS])
        elif isinstance(column.coding, BooleanCoding):
            candidates.append(np.array([0.0, 1.0]))
        else:
            candidates.append(_choose_quantiles(X[:, own.start]))
    return candidates


def _choose_quantiles(column: np.ndarray) -> np.ndarray:
    known = column[~np.isnan(column)]
    if len(known) == 0:
        return known
    shares = np.linspace(0, 1, N_CANDIDATES)
    return np.unique(np.quantile(known, shares, method="nearest"))


def find_counterfactual(
    score: Score, row: np.ndarray, candidates: Sequence[CellChoice], enough: float
) -> Counterfactual:
    """Change a row's cells, the one that gains most first, until its score is enough.

    Cells are changed one at a time, each given the others, so that the contributions add up
    to the total gain. For a Gaussian density the first cell is the one that explains the row
    best, by its generalized likelihood ratio. Missing cells are not changed.

    Parameters
    ----------
    score : callable
        Maps rows to scores; lower is more anomalous.
    row : ndarray of shape (n_encoded,)
        The row; NaN is a missing cell.
    candidates : sequence of CellChoice
        For each column, the values that its cells may be changed to.
    enough : float
        Score of a typical row.
    """
    # A copy, in a type that holds the candidates too.
    row = row.astype(np.result_type(row, *(choice.values for choice in candidates)))
    gains = np.zeros(len(candidates))
    known = [
        index
        for index, choice in enumerate(candidates)
        if len(choice.values) and not np.isnan(row[choice.own]).any()
    ]
    search = _Search(score, row, [candidates[index] for index in known])
    for _ in range(_CHANGES_PER_CELL * len(known)):
        if search.reached >= enough:
            break
        place = search.find_largest_gain()
        if search.gains[place] <= _LEAST_GAIN:
            break
        gains[known[place]] += search.gains[place]
        search.change(place)
    search.look_at(search.list_stale())
    for place, index in enumerate(known):
        if gains[index] == 0 and search.gains[place] > 0:
            row[candidates[index].own] = search.values[place]
    return Counterfactual(gains, row)


class _Search:
    """A row that is changed cell by cell, and what a change of each cell would gain.

    A change of one cell mostly leaves what others would gain as it is or makes it less. So the
    columns with the largest gains before it are looked at first, and the others only if one of
    them gained more than these do now, or if nothing gains any more.

    Parameters
    ----------
    score : callable
        Maps rows to scores.
    row : ndarray of shape (n_encoded,)
        The row, which is changed.
    choices : list of CellChoice
        What cells may be changed to.

    Attributes
    ----------
    reached : float
        The row's score.
    gains : ndarray of shape (n_choices,)
        How much the best value of each cell would gain, when it was last looked at.
    values : list of ndarray
        These values.
    """

    def __init__(self, score: Score, row: np.ndarray, choices: list[CellChoice]) -> None:
        self.row = row
        self.reached = float(score(row[None])[0])
        self.gains = np.zeros(len(choices))
        self.values = [row[choice.own].copy() for choice in choices]
        self._score, self._choices = score, choices
        self._best = np.full(len(choices), self.reached)
        self._is_stale = np.ones(len(choices), dtype=bool)
        self.look_at(self.list_stale())

    def list_stale(self) -> np.ndarray:
        """Return the indices of cells that were not looked at since the last change."""
        return np.flatnonzero(self._is_stale)

    def find_largest_gain(self) -> int:
        """Return the index of the cell whose change gains most."""
        while True:
            order = np.argsort(-self.gains, kind="stable")
            if not self._is_stale[order[0]] and self.gains[order[0]] > _LEAST_GAIN:
                return int(order[0])
            stale = order[self._is_stale[order]]
            if len(stale) == 0:
                return int(order[0])
            self.look_at(stale[:_LOOKED_AT] if self.gains[stale[0]] > _LEAST_GAIN else stale)

    def change(self, place: int) -> None:
        """Set a cell to its best value."""
        self.row[self._choices[place].own] = self.values[place]
        self.reached, self.gains[place] = float(self._best[place]), 0.0
        self._is_stale[:] = True

    def look_at(self, places: np.ndarray) -> None:
        """Find what changes of some cells gain now."""
        if len(places) == 0:
            return
        best, values = _find_best_values(self._score, self.row, [self._choices[p] for p in places])
        self._best[places], self.gains[places] = best, best - self.reached
        self._is_stale[places] = False
        for place, value in zip(places, values, strict=True):
            self.values[place] = value


def list_reasons(
    X: Any, rows: np.ndarray, columns: Columns, found: Sequence[Counterfactual]
) -> tuple[Any, Any, np.ndarray]:
    """Return the cells of a table, what they were changed to, and how much each gained.

    Parameters
    ----------
    X : frame or array of shape (n_rows, n_columns)
        The table.
    rows : ndarray of shape (n_rows, n_encoded)
        Its encoded rows.
    columns : Columns
        What the encoded columns stand for.
    found : sequence of Counterfactual
        The counterfactual of each row.
    """
    changed = np.array([each.expected for each in found])
    values = list_cells(X, columns)
    expected = list_cells(columns.decode(hide_unseen(changed)), columns)
    gains = np.zeros(values.shape)
    has_own = [column.coding.n_encoded > 0 for column in columns.columns]
    gains[:, has_own] = [each.gains for each in found]
    for index, (_, own) in enumerate(columns.slices()):
        is_same = (changed[:, own] == rows[:, own]) | np.isnan(rows[:, own])
        same = is_same.all(axis=1)
        expected[same, index] = values[same, index]
    return _infer(values), _infer(expected), gains.ravel()


def _infer(cells: np.ndarray) -> Any:
    """Return cells row by row, in their common type if they have one."""
    return pd.Series(cells.ravel(), dtype=object).infer_objects().array


def _find_best_values(
    score: Score, row: np.ndarray, candidates: Sequence[CellChoice]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return, for each column, the best score that changing its cell gives, and the value."""
    ends = np.cumsum([len(choice.values) for choice in candidates])
    starts = ends - [len(choice.values) for choice in candidates]
    # Changed rows are made in blocks, of whole columns: those of a wide row are long.
    block = starts // block_length(len(row), _BLOCK_CELLS, most_rows=_BLOCK_CELLS)
    groups = [np.flatnonzero(block == number).tolist() for number in np.unique(block)]
    scores = np.concatenate(
        [_score_changes(score, row, [candidates[index] for index in group]) for group in groups]
    )
    # The first candidate of each column that reaches the best score.
    parts = zip(starts, ends, strict=True)
    indices = [start + int(np.argmax(scores[start:end])) for start, end in parts]
    values = [
        choice.values[index - start]
        for index, start, choice in zip(indices, starts, candidates, strict=True)
    ]
    return scores[indices], values


def _score_changes(score: Score, row: np.ndarray, candidates: Sequence[CellChoice]) -> np.ndarray:
    """Return the score of the row with each value of each column's cell."""
    n_values = [len(choice.values) for choice in candidates]
    changed = np.repeat(row[None], sum(n_values), axis=0)
    first = 0
    for choice, n_own in zip(candidates, n_values, strict=True):
        changed[first : first + n_own, choice.own] = choice.values
        first += n_own
    return score(changed)

"""Labels that training has not seen: how unlikely they are.

In rows that the detector encodes, infinity marks the indicators of such a label: NaN, a missing
cell, says nothing of a row, and such a label does.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .._data import Columns, subsample_indices
from .._data.codings import CategoryCoding

#: What marks the indicators of a label that training has not seen; no number of a table is it.
UNSEEN = np.inf

# Rows that get the rarest labels, to see what these add to the score.
_COMPARED_ROWS = 80
_COMPARED_LABELS = 2

# By how much more a label that no row has must lower the score: fresh rows may be odder than those.
_MARGIN = np.log(2)


@dataclass(frozen=True)
class _SeenLabels:
    """The labels of a category.

    Attributes
    ----------
    first, end : int
        Its first encoded column, and one beyond its last.
    absent : ndarray of int
        Those of them whose labels no row has.
    pool : int or None
        That of the infrequent labels, if rows have any.
    nats : float
        Surprisal of a label that no row has.
    rarest : tuple of int
        The encoded columns of those of them that fewest rows have, one at least.
    """

    first: int
    end: int
    absent: np.ndarray
    pool: int | None
    nats: float
    rarest: tuple[int, ...] = ()  # not in detectors that earlier versions stored

    def measure_rarest(
        self, score: Callable[[np.ndarray], np.ndarray], rows: np.ndarray
    ) -> np.ndarray:
        """Return how much lower than without a label rows score with each of the rarest ones."""
        own = slice(self.first, self.end)
        known = rows[~np.isnan(rows[:, self.first])]
        hidden = known[subsample_indices(len(known), _COMPARED_ROWS)]
        hidden[:, own] = np.nan
        changed = np.tile(hidden, (len(self.rarest), 1))
        changed[:, own] = 0.0
        changed[np.arange(len(changed)), np.repeat(self.rarest, len(hidden))] = 1.0
        return np.tile(score(hidden), len(self.rarest)) - score(changed)


@dataclass(frozen=True)
class SeenLabels:
    """The labels of a table's training rows.

    Rows that calibrate have taken part in encoding the table, and fresh ones have not. What their
    labels count as depends on the training rows alone, so that both are treated alike.

    Attributes
    ----------
    categories : list of _SeenLabels
        One for each column of categories.
    """

    categories: list[_SeenLabels]

    @classmethod
    def from_rows(
        cls, columns: Columns, rows: np.ndarray, weight: np.ndarray | None
    ) -> "SeenLabels":
        """Return the labels of rows.

        The probability of a label that no row has is about that of those that one row has (Good
        1953, "The population frequencies of species").
        """
        counts = np.ones(len(rows)) if weight is None else weight
        found = []
        for column, own in columns.slices():
            if not isinstance(column.coding, CategoryCoding):
                continue
            block = rows[:, own]
            totals = counts @ np.where(np.isnan(block), 0.0, block)
            n_once = float((totals[(totals > 0) & (totals <= 1)]).sum())
            nats = float(np.log((1 + totals.sum()) / (1 + n_once)))
            absent = own.start + np.flatnonzero(totals == 0)
            has_pool = column.coding.has_pool and totals[-1] > 0
            pool = own.stop - 1 if has_pool else None
            order = np.argsort(totals, kind="stable")[len(absent) :][:_COMPARED_LABELS]
            rarest = tuple((own.start + order).tolist())
            found.append(_SeenLabels(own.start, own.stop, absent, pool, nats, rarest))
        return cls(found)

    def compare(self, score: Callable[[np.ndarray], np.ndarray], rows: np.ndarray) -> "SeenLabels":
        """Return the labels, of which unseen ones are unlikelier than those that rows have.

        Parameters
        ----------
        score : callable
            Maps rows to scores; lower is more anomalous.
        rows : ndarray of shape (n_rows, n_encoded)
            Training rows.
        """
        compared = []
        for seen in self.categories:
            nats = seen.nats
            if seen.pool is None and seen.rarest:
                nats = max(nats, float(seen.measure_rarest(score, rows).max() + _MARGIN))
            compared.append(replace(seen, nats=nats))
        return SeenLabels(compared)

    def mark(self, rows: np.ndarray) -> np.ndarray:
        """Return encoded rows in which labels that training has not seen are marked.

        They count as infrequent ones where there are such.
        """
        rows = rows.copy()
        for seen in self.categories:
            is_absent = (rows[:, seen.absent] == 1).any(axis=1)
            if seen.pool is None:
                rows[is_absent, seen.first : seen.end] = UNSEEN
            else:
                rows[is_absent, seen.first : seen.end] = 0.0
                rows[is_absent, seen.pool] = 1.0
        return rows

    def measure(self, rows: np.ndarray) -> np.ndarray:
        """Return the surprisal (n_rows,) of the labels of marked rows that are not seen."""
        nats = np.zeros(len(rows))
        for seen in self.categories:
            nats += seen.nats * np.isinf(rows[:, seen.first])
        return nats

    @property
    def candidates(self) -> dict[int, np.ndarray]:
        """The indicators of the labels that were seen, by the first encoded column."""
        found = {}
        for seen in self.categories:
            indicators = np.eye(seen.end - seen.first)
            found[seen.first] = np.delete(indicators, seen.absent - seen.first, axis=0)
        return found


def hide_unseen(rows: np.ndarray) -> np.ndarray:
    """Return rows whose marked labels are missing cells."""
    is_marked = np.isinf(rows)
    return np.where(is_marked, np.nan, rows) if is_marked.any() else rows

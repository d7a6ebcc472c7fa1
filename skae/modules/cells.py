"""What the columns of a network's rows hold: numbers, booleans, or the indicators of a category."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np


@dataclass(frozen=True)
class CellLayout:
    """What each encoded column of a row holds.

    A column of a table is one encoded column if it holds numbers or booleans, and several
    indicators, of which one is 1, if it holds categories.

    Parameters
    ----------
    numbers : tuple of int
        Indices of encoded columns that hold numbers, dates too.
    booleans : tuple of int
        Indices of those that are 0 or 1.
    categories : tuple of (int, int)
        Index of the first indicator of each category, and one beyond its last.
    """

    numbers: tuple[int, ...] = ()
    booleans: tuple[int, ...] = ()
    categories: tuple[tuple[int, int], ...] = ()

    @classmethod
    def from_numbers(cls, n_features: int) -> Self:
        """Return the layout of rows of numbers.

        Parameters
        ----------
        n_features : int
            Number of columns.
        """
        return cls(tuple(range(n_features)))

    @property
    def n_encoded(self) -> int:
        """Number of encoded columns."""
        n_indicators = sum(end - first for first, end in self.categories)
        return len(self.numbers) + len(self.booleans) + n_indicators

    @property
    def n_columns(self) -> int:
        """Number of columns of the table that have encoded ones."""
        return len(self.numbers) + len(self.booleans) + len(self.categories)

    @property
    def is_numeric(self) -> bool:
        """Whether all columns hold numbers."""
        return not self.booleans and not self.categories

    @cached_property
    def is_number(self) -> np.ndarray:
        """Which encoded columns hold numbers."""
        found = np.zeros(self.n_encoded, dtype=bool)
        found[list(self.numbers)] = True
        return found

    def get_state(self) -> dict[str, Any]:
        """Return the layout as plain values."""
        return {
            "numbers": list(self.numbers),
            "booleans": list(self.booleans),
            "categories": [list(own) for own in self.categories],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the layout of a state.

        Parameters
        ----------
        state : dict
            What `get_state` returned.
        """
        categories = tuple((int(first), int(end)) for first, end in state["categories"])
        return cls(tuple(state["numbers"]), tuple(state["booleans"]), categories)

"""Rows in the order of time, split so that no row that is held out overlaps one that trains."""

from typing import NamedTuple


class TimeSplit(NamedTuple):
    """The first rows, which train, and the last ones, which are held out.

    Attributes
    ----------
    n_train : int
        How many of the first rows train; less than one if the gap leaves none.
    n_held_out : int
        How many of the last rows are held out.
    """

    n_train: int
    n_held_out: int

    @classmethod
    def from_fraction(cls, n_rows: int, fraction: float, gap: int) -> "TimeSplit":
        """Return the split that holds out a share of rows, and leaves out `gap` rows before."""
        n_held_out = min(max(1, round(fraction * n_rows)), n_rows - 1)
        return cls(n_rows - n_held_out - gap, n_held_out)

"""Where windows lie in time, and means over those that overlap."""

from collections.abc import Sequence

import numpy as np


def find_starts(lengths: Sequence[int], length: int, step: int) -> np.ndarray:
    """Return the first time step of each window, recordings counted one after the other.

    A recording's last window ends where the recording does, so that each of its time steps is in a
    window. No window reaches from one recording into another.
    """
    starts, first = [], 0
    for n_times in lengths:
        last = n_times - length
        own = np.arange(0, last + 1, step)
        starts.append(first + (own if own[-1] == last else np.append(own, last)))
        first += n_times
    return np.concatenate(starts)


def count_overlapping(length: int, step: int) -> int:
    """Return how many windows behind one at most have time steps of it, the last one included."""
    return -(-length // step)


def average_overlaps(windows: np.ndarray, starts: np.ndarray, n_times: int) -> np.ndarray:
    """Return the mean of each time step over the windows that have it; NaN where none has.

    Parameters
    ----------
    windows : ndarray of shape (n_windows, length, ...)
        What each window says of its time steps.
    starts : ndarray of shape (n_windows,)
        The first time step of each, all of them different.
    n_times : int
        How many time steps there are.
    """
    total = np.zeros((n_times, *windows.shape[2:]))
    count = np.zeros((n_times, *[1] * (windows.ndim - 2)))
    for offset in range(windows.shape[1]):
        total[starts + offset] += windows[:, offset]
        count[starts + offset] += 1
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)

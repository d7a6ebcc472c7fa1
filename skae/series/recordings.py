"""A series, or several recordings, as users pass them."""

from dataclasses import dataclass
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from .._data import validate_table
from .._data.frames import find_library
from .times import warn_of_times


@dataclass(frozen=True)
class Recordings:
    """The recordings of a series as arrays; a single one is a list of one.

    Attributes
    ----------
    values : list of ndarray of shape (n_times, n_channels)
        The time steps of each.
    is_list : bool
        Whether they came as a list.
    is_flat : bool
        Whether they came without an axis of channels.
    library : str
        Whose frames they were: "pandas", "polars" or "pyarrow", else "array".
    times : pandas.Index or None
        The index of all time steps, for frames of pandas.
    """

    values: list[np.ndarray]
    is_list: bool
    is_flat: bool
    library: str
    times: pd.Index | None

    @property
    def lengths(self) -> list[int]:
        """How many time steps each has."""
        return [len(part) for part in self.values]

    @property
    def n_channels(self) -> int:
        """How many channels all of them have."""
        return self.values[0].shape[1]


def read_recordings(
    estimator: BaseEstimator, X: Any, min_length: int, *, reset: bool, warns: bool = True
) -> Recordings:
    """Return a series checked as scikit-learn checks tables.

    Parameters
    ----------
    estimator : estimator
        The estimator that is given the series.
    X : array-like, frame, or list of them
        The series; the elements of a list of arrays or frames are recordings.
    min_length : int
        How many time steps each recording must have.
    reset : bool
        Whether its channels are the ones to expect from now on, or must be the expected ones.
    warns : bool, default=True
        Whether to warn of times that go back or have holes; not again of those of the fit.
    """
    is_list = isinstance(X, list | tuple) and len(X) > 0 and all(map(_is_array, X))
    parts = list(X) if is_list else [X]
    are_flat = [_is_flat(part) for part in parts]
    if any(are_flat) and not reset and estimator.n_features_in_ != 1:
        raise ValueError(
            f"X must have {estimator.n_features_in_} channels, as in fit, got a series without an "
            f"axis of channels. Reshape your data, with X.reshape(-1, {estimator.n_features_in_})"
        )
    tables = [_add_channels(part) for part in parts]
    values = []
    for number, table in enumerate(tables):
        part = validate_table(estimator, table, reset=reset and number == 0)[:]
        name = f"recording {number} of X" if is_list else "X"
        if len(part) < min_length:
            raise ValueError(
                f"{name} must have as many time steps as a window, got n_samples = {len(part)} "
                f"with length={min_length}: choose a smaller length, or leave the recording out"
            )
        values.append(part)
    if warns:
        indices = [table.index if find_library(table) == "pandas" else None for table in tables]
        warn_of_times(indices, is_list)
    libraries = {find_library(table) for table in tables}
    library = libraries.pop() if len(libraries) == 1 else "array"
    times = None
    if library == "pandas":
        times = tables[0].index.append([table.index for table in tables[1:]])
    return Recordings(values, is_list, all(are_flat), library, times)


def _is_array(part: Any) -> bool:
    return getattr(part, "ndim", 0) > 0 or find_library(part) != "array"


def _is_flat(part: Any) -> bool:
    """Whether a series has no axis of channels."""
    if isinstance(part, list | tuple):
        return len(part) > 0 and all(isinstance(value, Number) for value in part)
    if type(part).__module__.startswith("polars"):
        return not hasattr(part, "columns")
    return getattr(part, "ndim", 2) == 1


def _add_channels(part: Any) -> Any:
    """Return a series without an axis of channels with a single one, and others as they are."""
    if not _is_flat(part):
        return part
    return part.to_frame() if hasattr(part, "to_frame") else np.asarray(part)[:, None]

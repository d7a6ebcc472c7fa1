"""Sequences of unequal length as rows of one length, padded with NaN, and back."""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike

from .inputs import convert_input
from .row_shapes import RowForm, RowShape
from .sample_weights import check_sample_weight, scale_weight


class Sequences(NamedTuple):
    """Sequences as an array, shorter ones padded with NaN.

    Attributes
    ----------
    rows : ndarray of shape (n_rows, n_steps) or (n_rows, n_steps, n_features)
        Their steps.
    shape : tuple of int or None, default=None
        The shape of a row as it was given; None for a list.
    list_shapes : list of tuple or None, default=None
        The shape of each that a list had; None for an array.
    """

    rows: np.ndarray
    shape: RowShape = None
    list_shapes: list[tuple[int, ...]] | None = None


@dataclass(frozen=True)
class SequenceForm(RowForm):
    """The form of sequences, beyond whose ends results have NaN.

    Attributes
    ----------
    is_padding : ndarray of bool of shape (n_rows, n_steps)
        Which steps of the longest sequence are beyond the end of each.
    list_shapes : list of tuple or None, default=None
        The shape of each that a list had; None for an array.
    """

    is_padding: np.ndarray = field(default_factory=lambda: np.empty((0, 0), dtype=bool))
    list_shapes: list[tuple[int, ...]] | None = None

    def restore(self, rows: Any) -> Any:
        """Return flat rows in the form, and frames as they are."""
        if not isinstance(rows, np.ndarray):
            return rows
        if self.is_padding.any():
            rows = rows.copy()
            rows.reshape(*self.is_padding.shape, -1)[self.is_padding] = np.nan
        if self.list_shapes is None:
            n_cells = rows.shape[1] if self.shape is None else math.prod(self.shape)
            return super().restore(_resize(rows, n_cells))
        pairs = zip(rows, self.list_shapes, strict=True)
        return [_resize(row, math.prod(shape)).reshape(shape) for row, shape in pairs]


def read_sequences(
    X: Any, are_sequences: bool | None, sample_weight: ArrayLike | None = None
) -> tuple[Any, bool]:
    """Return a table to fit, its sequences padded to the longest, and whether it has sequences.

    Parameters
    ----------
    X : object
        A table as users pass it.
    are_sequences : bool or None
        Whether its rows are sequences; None if they are so only as arrays of unequal length in a
        list.
    sample_weight : array-like of shape (n_rows,) or None, default=None
        How often each counts: the longest sequence is one that does.
    """
    if are_sequences is False:
        return X, False
    found = _open_list(X, is_asked=are_sequences is True)
    if found is None and are_sequences:
        found = _open_array(X)
    if found is None:
        return X, are_sequences is True
    weight = check_sample_weight(sample_weight, len(found.rows))
    is_counted = slice(None) if weight is None else scale_weight(weight) > 0
    return found.rows[:, : _find_longest(found.rows[is_counted])], True


def fit_sequences(X: Any, shape: tuple[int, ...]) -> Sequences | None:
    """Return sequences of the length that was fitted; None for other tables.

    Parameters
    ----------
    X : object
        A table as users pass it.
    shape : tuple of int
        `(n_steps,)` or `(n_steps, n_features)` of the longest sequence.

    Raises
    ------
    ValueError
        If one is longer, or has other features.
    """
    n_steps, n_features = shape[0], math.prod(shape[1:])
    found = _open_list(X, is_asked=True) or _open_array(X)
    if found is None or math.prod(found.rows.shape[1:]) == math.prod(shape):  # flat ones too
        return found
    rows, _, list_shapes = found
    given = math.prod(rows.shape[2:])
    if given != n_features or (rows.shape[1] < n_steps and list_shapes is None):
        if list_shapes is None:  # whose shape is checked further on
            return None
        raise ValueError(
            f"X must have sequences of {n_features} features, as in fit, got {given}: pass the "
            "features of fit"
        )
    if _find_longest(rows) > n_steps:
        lengths = measure_lengths(rows)
        row = int(lengths.argmax())
        raise ValueError(
            f"X must have sequences of at most {n_steps} steps, as many as the longest in fit, got "
            f"{lengths[row]} in row {row}: cut it, or fit on one as long, which in "
            "cross-validation means splits whose training parts all have it"
        )
    return found._replace(rows=_set_length(rows, n_steps))


def pad_target(y: Any, X: np.ndarray) -> Any:
    """Return clean sequences behind noisy ones as flat rows, with zeros beyond their ends.

    Labels are returned as they are.

    Parameters
    ----------
    y : object
        The clean sequences as users pass them.
    X : ndarray of shape (n_rows, n_cells)
        The noisy ones, flat and padded with NaN.

    Raises
    ------
    ValueError
        If one is longer than its noisy one.
    """
    found = _open_list(y, is_asked=True) or _open_array(y)
    if found is None or len(found.rows) != len(X):
        return y
    flat = found.rows.reshape(len(X), -1)
    if flat.shape[1] != X.shape[1] and flat.dtype.kind != "f":  # the check of targets says so
        return y
    n_cells = max(flat.shape[1], X.shape[1])
    flat, is_padding = _resize(flat, n_cells), find_padding(_resize(X, n_cells))
    is_longer = (is_padding & ~_find_missing(flat)).any(axis=1)
    if is_longer.any():
        raise ValueError(
            "y must have sequences as long as those of X, got a longer one in row "
            f"{int(is_longer.argmax())}: cut it"
        )
    return np.where(is_padding, 0.0, flat)[:, : X.shape[1]]


def find_padding(X: np.ndarray) -> np.ndarray:
    """Return which cells of flat rows have no observed one behind them, nor are one."""
    return np.arange(X.shape[1]) >= measure_lengths(X)[:, None]


def find_sequence_form(X: Any, shape: tuple[int, ...]) -> SequenceForm | None:
    """Return the form of sequences, None for other tables.

    Parameters
    ----------
    X : object
        A table as users pass it.
    shape : tuple of int
        `(n_steps,)` or `(n_steps, n_features)` of the longest sequence in fit.
    """
    found = fit_sequences(X, shape)
    if found is None:
        return None
    lengths = measure_lengths(found.rows.reshape(len(found.rows), *shape))
    is_padding = np.arange(shape[0]) >= lengths[:, None]
    return SequenceForm(found.shape, is_padding, found.list_shapes)


def make_length_form(
    lengths: Any, n_rows: int, shape: tuple[int, ...] | None, row_shape: RowShape
) -> RowForm:
    """Return the form of decoded rows: sequences of given lengths, padded with NaN.

    Parameters
    ----------
    lengths : int, array-like of int or None
        The number of steps of each row, or of all; None is the longest.
    n_rows : int
        Number of rows.
    shape : tuple of int or None
        `(n_steps,)` or `(n_steps, n_features)` of the longest sequence in fit; None if rows are
        no sequences.
    row_shape : tuple of int or None
        The shape that the rows take.
    """
    if lengths is None:
        return RowForm(row_shape)
    if shape is None:
        raise ValueError(
            "lengths must be None, as rows were no sequences in fit: fit on a list of arrays, or "
            'use an architecture for sequences, such as "recurrent"'
        )
    expected = f"lengths must be whole numbers from 1 to {shape[0]}, one for each row or for all"
    try:
        given = np.asarray(lengths)
        known = np.broadcast_to(given, (n_rows,)) if given.ndim < 2 else None
    except ValueError:  # ragged, or another number of rows
        known = None
    if known is None:
        raise ValueError(f"{expected}, got {_describe(lengths)} for {n_rows} rows")
    if given.dtype.kind not in "iu":
        raise TypeError(f"{expected}, got {_describe(lengths)}")
    is_wrong = (known < 1) | (known > shape[0])
    if is_wrong.any():
        row = int(is_wrong.argmax())
        raise ValueError(f"{expected}, got {known[row]} for row {row}")
    return SequenceForm(row_shape, np.arange(shape[0]) >= known[:, None])


def measure_lengths(rows: np.ndarray) -> np.ndarray:
    """Return the number of steps of each row up to its last observed cell.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_steps) or (n_rows, n_steps, n_features)
        The rows; NaN is a missing cell.
    """
    cells = ~_find_missing(rows).reshape(*rows.shape[:2], -1)
    is_observed = np.asarray(cells.any(axis=2))
    from_end = is_observed[:, ::-1].argmax(axis=1)
    return np.where(is_observed.any(axis=1), rows.shape[1] - from_end, 0)


def _open_list(X: Any, is_asked: bool) -> Sequences | None:
    """Return the sequences of a list; None for other tables.

    Parameters
    ----------
    X : object
        A table as users pass it.
    is_asked : bool
        Whether rows must be sequences. Otherwise these are arrays of unequal length: lists are the
        rows of a table, with an error in one of them.
    """
    is_list = isinstance(X, list | tuple)
    is_list |= isinstance(X, np.ndarray) and X.dtype.kind == "O" and X.ndim == 1
    if not is_list or len(X) == 0:
        return None
    are_arrays = [isinstance(row, np.ndarray | torch.Tensor) for row in X]
    if not all(
        are or (is_asked and isinstance(row, list)) for are, row in zip(are_arrays, X, strict=True)
    ):
        return None
    if not any(are_arrays) and len({len(row) for row in X}) == 1:  # an array
        return None
    if not is_asked and len({row.shape[:1] for row in X}) == 1:
        return None
    sequences = [_read_sequence(row, index) for index, row in enumerate(X)]
    first = sequences[0]
    for index, own in enumerate(sequences):
        if own.shape[1:] != first.shape[1:]:
            raise ValueError(
                "X must have sequences of the same features, got one of the shape "
                f"{own.shape} in row {index} and {first.shape} in row 0: select the features that "
                "all have"
            )
    is_single = all(own.dtype == np.float32 for own in sequences)
    n_steps = max(len(own) for own in sequences)
    rows = np.full((len(X), n_steps, *first.shape[1:]), np.nan, np.float32 if is_single else float)
    for row, own in zip(rows, sequences, strict=True):
        row[: len(own)] = own
    return Sequences(rows, None, [own.shape for own in sequences])


def _read_sequence(row: Any, index: int) -> np.ndarray:
    """Return a row of a list as an array of its steps."""
    expected = "X must have sequences of numbers, with the axes (time,) or (time, features)"
    try:
        steps = np.asarray(convert_input(row, "X"))
    except ValueError as error:  # ragged
        raise ValueError(f"{expected}, got one in row {index} that is none: {error}") from error
    if steps.ndim not in (1, 2) or steps.size == 0:
        raise ValueError(
            f"{expected}, got one of the shape {steps.shape} in row {index}: reshape it, or leave "
            "it out if it is empty"
        )
    if steps.dtype.kind not in "biuf":
        raise TypeError(f"{expected}, got {steps.dtype} in row {index}: turn it into numbers")
    return steps


def _open_array(X: Any) -> Sequences | None:
    """Return the sequences of an array or of nested lists; None for other tables."""
    if isinstance(X, torch.Tensor):
        X = convert_input(X, "X")
    elif isinstance(X, list | tuple):
        try:
            X = np.array(X)
        except ValueError:  # ragged
            return None
    if isinstance(X, np.ma.MaskedArray) or not isinstance(X, np.ndarray):
        return None
    is_table = X.ndim > 1 and X.dtype.kind in "biufO" and X.size > 0
    return Sequences(X, X.shape[1:]) if is_table else None


def _find_missing(rows: np.ndarray) -> np.ndarray:
    """Return which cells are missing."""
    return np.isnan(rows) if rows.dtype.kind == "f" else np.asarray(pd.isna(rows))


def _find_longest(rows: np.ndarray) -> int:
    """Return the number of steps up to the last one that has an observed cell, at least 1."""
    n_steps = rows.shape[1]
    while n_steps > 1 and _find_missing(rows[:, n_steps - 1]).all():
        n_steps -= 1
    return n_steps


def _set_length(rows: np.ndarray, n_steps: int) -> np.ndarray:
    """Return rows cut, or padded with NaN, to a number of steps."""
    if rows.shape[1] >= n_steps:
        return rows[:, :n_steps]
    padded = np.full((len(rows), n_steps, *rows.shape[2:]), np.nan, rows.dtype)
    padded[:, : rows.shape[1]] = rows
    return padded


def _resize(rows: np.ndarray, n_cells: int) -> np.ndarray:
    """Return flat rows cut, or padded with NaN, to a number of cells."""
    if rows.shape[-1] == n_cells:
        return rows
    out = np.full((*rows.shape[:-1], n_cells), np.nan, rows.dtype)
    n_kept = min(n_cells, rows.shape[-1])
    out[..., :n_kept] = rows[..., :n_kept]
    return out


def _describe(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

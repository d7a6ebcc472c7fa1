"""The inputs of a graph as encoded rows, and rows as its outputs.

A table of numbers is one input. Of other tables each column is an input of its own, of one column.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import spox.opset.ai.onnx.ml.v3 as ml
import spox.opset.ai.onnx.v18 as op
from spox import Tensor, Var, argument

from .._data import Columns, RowShape
from .._data.codings import (
    BooleanCoding,
    CategoryCoding,
    EmptyCoding,
    NumberCoding,
    TimeCoding,
)
from .._data.columns import Column
from .._data.frames import Cells, Dtype, find_decimals, find_integers
from .._detection.labels import UNSEEN, SeenLabels, hide_unseen
from .arrays import Array, concatenate, constant, where

#: Name of the only input of a table of numbers.
ROWS = "X"

_NOT_A_TIME = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Input:
    """An input of a graph.

    Attributes
    ----------
    name : str
        Its name.
    dtype : type
        Type of its elements.
    shape : tuple of int
        Shape of a row.
    note : str
        What it holds, if that isn't numbers.
    """

    name: str
    dtype: npt.DTypeLike
    shape: tuple[int, ...]
    note: str = ""

    def make_argument(self) -> Var:
        """Return the input as a value of a graph."""
        return argument(Tensor(self.dtype, ("n_rows", *self.shape)))


@dataclass(frozen=True)
class EncodedRows:
    """Encoded rows of a graph.

    Attributes
    ----------
    values : Array of shape (n_rows, n_encoded)
        The rows, in float64; a missing cell is any number or NaN.
    missing : Array of bool of shape (n_rows, n_encoded)
        Which cells are missing.
    surprisal : Array of shape (n_rows,) or None
        That of labels which training has not seen; None is none.
    """

    values: Array
    missing: Array
    surprisal: Array | None = None


def list_inputs(
    columns: Columns | None, n_features: int, row_shape: RowShape, dtype: npt.DTypeLike
) -> list[Input]:
    """Return the inputs that a table has, or raise for columns that a graph can't take.

    Parameters
    ----------
    columns : Columns or None
        What its encoded columns stand for; None if they are its own numbers.
    n_features : int
        Number of its columns.
    row_shape : tuple of int or None
        Shape of a row; None is a flat one.
    dtype : type
        Type of numbers.
    """
    if columns is None:
        return [Input(ROWS, dtype, (n_features,) if row_shape is None else row_shape)]
    inputs = [_describe(column, dtype) for column in columns.columns]
    names = [each.name for each in inputs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(
            f"columns must have different names as text, and {twice!r} is there twice: rename one "
            "and fit again"
        )
    return inputs


def check_name(name: Any) -> str:
    """Return a column's name as that of an input, which has one."""
    if str(name) == "":
        raise ValueError(
            "columns must have names, as inputs of ONNX do, got '': rename the column and fit again"
        )
    return str(name)


def _describe(column: Any, dtype: npt.DTypeLike) -> Input:
    name, coding = check_name(column.name), column.coding
    if isinstance(coding, CategoryCoding):
        if _has_text(coding, name):
            return Input(name, np.str_, (1,), "text; an empty one is a missing cell")
        return Input(name, np.float64, (1,), "labels that are numbers; NaN is a missing cell")
    if isinstance(coding, TimeCoding):
        unit = f"in {coding.unit}" if coding.unit else "as ordinals"
        return Input(name, np.int64, (1,), f"times {unit} since 1970; the least is a missing cell")
    note = "0, 1 or NaN" if isinstance(coding, BooleanCoding) else ""
    return Input(name, dtype, (1,), note)


def _has_text(coding: CategoryCoding, name: str) -> bool:
    """Whether a category's labels are text and not numbers; raise for others and for both."""
    are_texts = [isinstance(level, str) for level in coding.levels]
    if all(are_texts):
        if "" in coding.levels and not _is_pool(coding):
            raise ValueError(
                f"column {name!r} must have no empty label, which means a missing cell in ONNX: "
                "write another one, such as 'none', and fit again"
            )
        return True
    if any(are_texts) or not all(isinstance(level, int | float) for level in coding.levels):
        odd = next(level for level in coding.levels if not isinstance(level, str))
        raise ValueError(
            f"column {name!r} must have labels that are all text or all numbers, got {odd!r}: "
            "write all as text, with astype(str), and fit again"
        )
    return False


def encode_inputs(
    arguments: list[Array], columns: Columns | None, labels: SeenLabels | None = None
) -> EncodedRows:
    """Return the encoded rows of a graph's inputs.

    Parameters
    ----------
    arguments : list of Array
        The inputs.
    columns : Columns or None
        What encoded columns stand for; None if they are the table's own numbers.
    labels : SeenLabels or None, default=None
        The labels of a detector's training rows.
    """
    if columns is None:
        values = concatenate([each.cast(np.float64) for each in arguments])
        return EncodedRows(values, values.is_nan())
    blocks, missing, surprisal = [], [], None
    for given, (column, own) in zip(arguments, columns.slices(), strict=True):
        coding = column.coding
        if isinstance(coding, EmptyCoding):
            continue
        if isinstance(coding, CategoryCoding):
            table, nats = _tabulate(coding, columns, own, labels)
            index = _find_level(given, coding)
            block = constant(table).gather(index, axis=0)
            if nats.any():
                found = constant(nats).gather(index, axis=0)
                surprisal = found if surprisal is None else surprisal + found
        elif isinstance(coding, TimeCoding):
            block = _count_steps(given, coding)
        else:
            block = given.cast(np.float64)
        blocks.append(block)
        missing.append(block.is_nan())
    return EncodedRows(concatenate(blocks), concatenate(missing), surprisal)


def _is_pool(coding: CategoryCoding) -> bool:
    """Whether all labels are infrequent, so that it doesn't matter which one a row has."""
    return coding.n_encoded == 1 and coding.has_pool


def _find_level(given: Array, coding: CategoryCoding) -> Array:
    """Return the index (n_rows,) of each label; of a new one how many, of a missing one more."""
    n_levels, flat = len(coding.levels), given.reshape(-1)
    if isinstance(coding.levels[0], str):
        known = [] if _is_pool(coding) else list(coding.levels)
        index = ml.label_encoder(
            flat.var,
            keys_strings=[*known, ""],
            values_int64s=[*range(len(known)), n_levels + 1],
            default_int64=n_levels,
        )
        return Array(index)
    levels = constant([float(level) for level in coding.levels])
    is_level = given.cast(np.float64).equals(levels).cast(np.int32)
    index_of = where(is_level.max(axis=1).equals(1), is_level.argmax(), constant(n_levels))
    return where(flat.is_nan(), constant(n_levels + 1), index_of)


def _tabulate(
    coding: CategoryCoding, columns: Columns, own: slice, labels: SeenLabels | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the indicators of each label, of a new and of a missing one, and their surprisal."""
    n_levels = len(coding.levels)
    codes = np.array([*range(n_levels), n_levels, -1])
    cells = Cells.from_codes(codes, [*coding.levels, _NewLabel()], "category")
    if labels is None:
        return coding.encode(cells, ""), np.zeros(len(codes))
    rows = np.full((len(codes), columns.n_encoded), np.nan)
    rows[:, own] = coding.encode(cells, "", UNSEEN)
    marked = labels.mark(rows)
    return hide_unseen(marked)[:, own], labels.measure(marked)


class _NewLabel:
    """A label that no column has."""


def _count_steps(times: Array, coding: TimeCoding) -> Array:
    """Return numbers of steps from a column's earliest time; NaN is a missing one."""
    missing = times.equals(_NOT_A_TIME)
    since = where(missing, constant(coding.origin), times) - np.array(coding.origin)
    whole = since / np.array(coding.step)
    rest = since - whole * np.array(coding.step)
    steps = whole.cast(np.float64) + rest.cast(np.float64) / float(coding.step)
    return where(missing, constant(np.nan), steps)


def decode_rows(
    name: str, rows: Array, columns: Columns | None, row_shape: RowShape, dtype: npt.DTypeLike
) -> dict[str, Array]:
    """Return rows in the units of the table as outputs, in the form of the inputs.

    Parameters
    ----------
    name : str
        What they are called; those of columns have the column's name behind it.
    rows : Array of shape (n_rows, n_encoded)
        The rows, in float64.
    columns : Columns or None
        What encoded columns stand for; None if they are the table's own numbers.
    row_shape : tuple of int or None
        Shape of a row; None is a flat one.
    dtype : type
        Type of numbers.
    """
    if columns is None:
        table = rows.cast(dtype)
        return {name: table if row_shape is None else table.reshape(-1, *row_shape)}
    outputs = {}
    for column, own in columns.slices():
        cells = rows.take(own.start, own.stop)
        decoded = _decode_column(column, cells, dtype)
        if decoded is not None:
            outputs[f"{name}_{column.name}"] = decoded
    return outputs


def _decode_column(column: Column, cells: Array, dtype: npt.DTypeLike) -> Array | None:
    """Return a column of the table, None for one that has nothing to tell."""
    coding = column.coding
    if isinstance(coding, NumberCoding):
        return _round(cells, column.dtype).cast(dtype)
    if isinstance(coding, BooleanCoding):
        return cells > 0.5
    if isinstance(coding, TimeCoding):
        return _decode_times(coding, cells)
    if isinstance(coding, CategoryCoding) and not coding.is_identifier:
        known = [coding.levels[index] for index in coding.decoded]
        is_text = isinstance(known[0], str)
        levels = np.array(known, dtype=np.str_ if is_text else np.float64)
        return constant(levels).gather(cells.argmax(), axis=0).reshape(-1, 1)
    return None


def _round(cells: Array, dtype: Dtype) -> Array:
    """Return numbers as a column of that type holds them."""
    integers, decimals = find_integers(dtype), find_decimals(dtype)
    if integers is not None:
        limits = np.iinfo(integers)
        return Array(op.round(cells.var)).clip(float(limits.min), float(limits.max))
    if decimals is not None:
        n_digits, n_behind = decimals
        steps_of_one = 10.0**n_behind
        steps = Array(op.round((cells * steps_of_one).var)).clip(
            1 - 10.0**n_digits, 10.0**n_digits - 1
        )
        return steps / steps_of_one
    return cells


def _decode_times(coding: TimeCoding, cells: Array) -> Array:
    """Return the nearest times that are a whole number of steps away, as `TimeCoding` does."""
    ends = coding.decode(np.array([[-np.inf], [np.inf]]), np.zeros(2, dtype=bool)).values
    low, high = (int(end) - coding.origin for end in ends)
    steps = Array(op.round(cells.var))
    steps = steps.clip(float(low // coding.step), float(high // coding.step))
    return steps.cast(np.int64) * np.array(coding.step) + np.array(coding.origin)

"""What is compared on: finite numbers, and a target beside them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api import types

from ._arguments import FEWEST_ROWS
from ._errors import CommandError
from ._reading import Source

# Beyond this the squares that variances are made of overflow.
_LARGEST = 1e150

# Names listed in a message; a table may have thousands.
_NAMES_LISTED = 8


@dataclass(frozen=True)
class Target:
    """The target, one value a row.

    Attributes
    ----------
    name : str
        Its column.
    values : ndarray of shape (n_rows,)
        float64 with NaN where there is no value; or of text, with None there.
    """

    name: str
    values: np.ndarray


@dataclass(frozen=True)
class Table:
    """A table that models can be fitted to.

    Attributes
    ----------
    name : str
        Where it comes from.
    X : ndarray of shape (n_rows, n_columns)
        Finite float64.
    columns : list of str
        Names of the columns.
    target : Target or None
        What the clustering and neighbour scores are of.
    columns_left_out : dict of str to str
        Other columns, and why they are left out.
    n_rows_left_out : int
        Rows with missing or infinite values.
    notes : list of str
        What the user should know, a line each.
    """

    name: str
    X: np.ndarray
    columns: list[str]
    target: Target | None
    columns_left_out: dict[str, str]
    n_rows_left_out: int
    notes: list[str]


def table_of(source: Source, target_name: str | None, n_rows: int | None, seed: int) -> Table:
    """Return the part of a source that can be compared on, or a sample of it."""
    target, frame = _split_target(source, target_name)
    numbers, reasons = _numeric_columns(frame)
    left_out = source.left_out | reasons
    if len(numbers) < 2:
        others = f" beside {_listed(list(left_out))}" if left_out else ""
        raise CommandError(
            f"{source.name} has {_count(len(numbers), 'numeric column')}{others}, "
            "expected 2 or more"
        )
    X = np.column_stack(list(numbers.values()))
    complete = np.isfinite(X).all(axis=1)
    n_incomplete = int((~complete).sum())
    if complete.sum() < FEWEST_ROWS:
        raise CommandError(
            f"{source.name} has {_count(int(complete.sum()), 'row')} without missing or "
            f"infinite values, of {len(X)}; expected {FEWEST_ROWS} or more"
        )
    _refuse_huge(source.name, X[complete])
    notes = [*source.notes, *_notes(left_out, n_incomplete)]
    rows = np.flatnonzero(complete)
    if n_rows is not None and n_rows < len(rows):
        rows = np.sort(np.random.default_rng(seed).choice(rows, n_rows, replace=False))
        notes.append(f"rows sampled: {n_rows} of {int(complete.sum())}")
    elif n_rows is not None and n_rows > len(rows):
        notes.append(f"rows sampled: none, for --rows {n_rows} is more than there are")
    if target is not None:
        target = Target(target.name, target.values[rows])
    return Table(source.name, X[rows], list(numbers), target, left_out, n_incomplete, notes)


def _split_target(source: Source, name: str | None) -> tuple[Target | None, pd.DataFrame]:
    """Return the target, and the columns that are left for the models."""
    frame = source.columns
    if name is None:
        name = source.default_target
    if name is None:
        return None, frame
    if name in source.beside:
        return Target(name, _target_values(source.beside[name])), frame
    if name not in frame.columns:
        there = _listed([*source.beside, *(str(column) for column in frame.columns)])
        raise CommandError(f"--target {name!r} is not in {source.name}, expected one of {there}")
    column = int(np.flatnonzero(frame.columns == name)[0])
    others = [number for number in range(frame.shape[1]) if number != column]
    return Target(name, _target_values(frame.iloc[:, column])), frame.iloc[:, others]


def _target_values(column: pd.Series) -> np.ndarray:
    numbers = _as_floats(column)
    if numbers is not None:
        return np.where(np.isfinite(numbers), numbers, np.nan)
    missing = column.isna()
    texts = [None if lost else str(value) for value, lost in zip(column, missing, strict=True)]
    return np.array(texts, dtype=object)


def _numeric_columns(frame: pd.DataFrame) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the numeric columns as floats, and for each other one why it isn't one."""
    numbers: dict[str, np.ndarray] = {}
    left_out: dict[str, str] = {}
    for number, name in enumerate(frame.columns):
        column = frame.iloc[:, number]
        values = _as_floats(column)
        if column.isna().all():
            left_out[name] = "empty"  # it would take all rows with it
        elif values is None:
            left_out[name] = "not numbers"
        else:
            numbers[name] = values
    return numbers, left_out


def _as_floats(column: pd.Series) -> np.ndarray | None:
    dtype = column.dtype
    if not types.is_numeric_dtype(dtype) or types.is_complex_dtype(dtype):
        return None
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _refuse_huge(name: str, X: np.ndarray) -> None:
    largest = float(np.abs(X).max())
    if largest > _LARGEST:
        raise CommandError(f"{name} has a value of {largest:g}, expected values up to {_LARGEST:g}")


def _notes(left_out: dict[str, str], n_incomplete: int) -> list[str]:
    notes = []
    for reason in sorted(set(left_out.values())):
        names = [name for name, why in left_out.items() if why == reason]
        notes.append(f"columns left out ({reason}): {_listed(names)}")
    if n_incomplete:
        notes.append(f"rows left out (a missing or infinite value): {n_incomplete}")
    return notes


def _listed(names: list[str]) -> str:
    listed = ", ".join(repr(name) for name in names[:_NAMES_LISTED])
    more = len(names) - _NAMES_LISTED
    return f"{listed} and {more} more" if more > 0 else listed


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

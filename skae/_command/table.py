"""The part of a source that models can be compared on: finite numbers and a target."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api import types

from .arguments import FEWEST_ROWS, CommandError
from .printing import list_names, list_some, quote
from .source import Source

# The variance of larger values could overflow.
_LARGEST = 1e150

_NOT_NUMBERS = "not numbers"


@dataclass(frozen=True)
class Target:
    """The target, one value for each row.

    Attributes
    ----------
    name : str
        Name of its column or array.
    values : ndarray of shape (n_rows,)
        Floats, NaN where there is no value; or strings, None where there is no value.
    """

    name: str
    values: np.ndarray


@dataclass(frozen=True)
class Table:
    """A table that models can be fitted to.

    Attributes
    ----------
    name : str
        Name of the file or data set.
    X : ndarray of shape (n_rows, n_columns)
        Finite float64 values.
    columns : list of str
        Names of the columns.
    target : Target or None
        What the clustering and neighbour scores are about.
    columns_left_out : dict of str to str
        The other columns, and why they are left out.
    n_rows_left_out : int
        Number of rows with missing or infinite values.
    notes : list of str
        What the user should know, one line each.
    """

    name: str
    X: np.ndarray
    columns: list[str]
    target: Target | None
    columns_left_out: dict[str, str]
    n_rows_left_out: int
    notes: list[str]


def select_table(source: Source, target_name: str | None, n_rows: int | None, seed: int) -> Table:
    """Select the numeric columns and the complete rows of a source, or a sample of them."""
    target, frame = _split_off_target(source, target_name)
    numbers, reasons = _select_numeric_columns(frame, source.first_texts)
    left_out = source.left_out | reasons
    if len(numbers) < 2:
        others = f" (left out: {_list_omissions(left_out)})" if left_out else ""
        # What was assumed of the file may be what went wrong.
        others += "".join(f"; {note}" for note in source.notes)
        remedy = "mend these cells" if source.first_texts else "write categories as numbers"
        raise CommandError(
            f"{source.name} must have at least 2 numeric columns, got {len(numbers)}{others}; "
            f"{remedy} or choose another table"
        )
    X = np.column_stack(list(numbers.values()))
    complete = np.isfinite(X).all(axis=1)
    n_complete, n_incomplete = int(complete.sum()), int((~complete).sum())
    if n_complete < FEWEST_ROWS:
        raise CommandError(
            f"{source.name} must have at least {FEWEST_ROWS} rows without missing or infinite "
            f"values, got {n_complete} of {len(X)}; fill the gaps or drop columns with many"
        )
    largest = float(np.abs(X[complete]).max())
    if largest > _LARGEST:
        raise CommandError(
            f"the values in {source.name} must be at most {_LARGEST:g} in size, got {largest:g}; "
            "rescale the column"
        )
    notes = [*source.notes, *_describe_omissions(left_out, n_incomplete)]
    rows = np.flatnonzero(complete)
    if n_rows is not None and n_rows < n_complete:
        rows = np.sort(np.random.default_rng(seed).choice(rows, n_rows, replace=False))
        notes.append(f"rows sampled: {n_rows} of {n_complete}")
    elif n_rows is not None and n_rows > n_complete:
        notes.append(f"rows sampled: none, for --rows {n_rows} is more than there are")
    if target is not None:
        target = Target(target.name, target.values[rows])
    return Table(source.name, X[rows], list(numbers), target, left_out, n_incomplete, notes)


def _split_off_target(source: Source, name: str | None) -> tuple[Target | None, pd.DataFrame]:
    """Return the target and the columns that remain for the models."""
    frame = source.columns
    if name is None:
        name = source.default_target
    if name is None:
        return None, frame
    if name in source.extra_targets:
        return Target(name, _convert_target(source.extra_targets[name]())), frame
    if name not in frame.columns:
        candidates = list_names([*source.extra_targets, *map(str, frame.columns)])
        raise CommandError(
            f"--target must be one of {candidates} in {source.name}, got {quote(name)}"
        )
    column = int(np.flatnonzero(frame.columns == name)[0])
    others = [number for number in range(frame.shape[1]) if number != column]
    return Target(name, _convert_target(frame.iloc[:, column])), frame.iloc[:, others]


def _convert_target(column: pd.Series) -> np.ndarray:
    numbers = _convert_to_floats(column)
    if numbers is not None:
        return np.where(np.isfinite(numbers), numbers, np.nan)
    missing = column.isna()
    texts = [None if absent else str(value) for value, absent in zip(column, missing, strict=True)]
    return np.array(texts, dtype=object)


def _select_numeric_columns(
    frame: pd.DataFrame, first_texts: dict[str, str]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the numeric columns as floats, and the reason why each other one is left out."""
    numbers: dict[str, np.ndarray] = {}
    left_out: dict[str, str] = {}
    for label, column in frame.items():
        name = str(label)
        values = _convert_to_floats(column)
        if (column.isna() if values is None else np.isnan(values)).all():
            left_out[name] = "empty"  # as numbers, it would leave no complete row
        elif values is None:
            text = first_texts.get(name)
            left_out[name] = _NOT_NUMBERS if text is None else f"{_NOT_NUMBERS}: {text}"
        else:
            numbers[name] = values
    return numbers, left_out


def _convert_to_floats(column: pd.Series) -> np.ndarray | None:
    """Return the column as floats, or None if it holds no real numbers."""
    dtype = column.dtype
    if not types.is_numeric_dtype(dtype) or types.is_complex_dtype(dtype):
        return None
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _describe_omissions(left_out: dict[str, str], n_incomplete: int) -> list[str]:
    reasons = {name: why.split(": ")[0] for name, why in left_out.items()}
    notes = []
    for reason in sorted(set(reasons.values())):
        alike = {name: why for name, why in left_out.items() if reasons[name] == reason}
        notes.append(f"columns left out ({reason}): {_list_omissions(alike)}")
    if n_incomplete:
        notes.append(f"rows left out (a missing or infinite value): {n_incomplete}")
    return notes


def _list_omissions(left_out: dict[str, str]) -> str:
    """Return names, each with what is known beyond the reason why it is left out."""
    details = {name: why.partition(": ")[2] for name, why in left_out.items()}
    # Those that were meant to be numbers come first: they are what went wrong.
    names = sorted(details, key=lambda name: not details[name])
    return list_some(
        [quote(name) + (f" ({details[name]})" if details[name] else "") for name in names]
    )

"""Table files, read into columns."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from ._arrays import read_npy, read_npz
from ._errors import CommandError

_FORMATS = ".csv, .parquet, .npy or .npz"


@dataclass(frozen=True)
class Source:
    """A table as it was found.

    Attributes
    ----------
    name : str
        The file's name, or the data set's.
    columns : DataFrame
        The columns, with names that are strings.
    beside : dict of str to Series
        Possible targets that are no columns, by name.
    default_target : str or None
        The target where none is asked for.
    left_out : dict of str to str
        Columns that are not in `columns`, and why.
    notes : list of str
        What the user should know of the reading.
    """

    name: str
    columns: pd.DataFrame
    beside: dict[str, pd.Series] = field(default_factory=dict)
    default_target: str | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_source(path: Path | None) -> Source:
    """Return the table of a file, or scikit-learn's digits."""
    if path is None:
        digits = load_digits(as_frame=True)
        return Source("digits", digits.data, {"digit": digits.target}, "digit")
    if not path.is_file():
        what = "is no file" if path.exists() else "does not exist"
        raise CommandError(f"{path} {what}, expected a {_FORMATS} file")
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet", ".npy", ".npz"):
        raise CommandError(f"{path} has the suffix {suffix!r}, expected a {_FORMATS} file")
    if path.stat().st_size == 0:
        raise CommandError(f"{path} is empty, expected a table")
    try:
        if suffix == ".csv":
            return _read_csv(path)
        if suffix == ".parquet":
            return _read_parquet(path)
        return _read_arrays(path, suffix)
    except CommandError:
        raise
    except MemoryError as error:
        raise CommandError(f"{path} doesn't fit into memory, expected a smaller table") from error
    except Exception as error:  # whatever a reader makes of a file that is not what it says
        kind = suffix[1:].upper()
        raise CommandError(f"{path} can't be read as {kind}: {error}; expected a table") from error


def _read_csv(path: Path) -> Source:
    # Nullable types keep bools that have missing values from becoming text.
    frame = pd.read_csv(path, dtype_backend="numpy_nullable", low_memory=False)
    if len(frame) == 0:
        raise CommandError(f"{path} has no rows, expected a line of names and rows below it")
    notes, left_out = [], {}
    first = pd.read_csv(path, header=None, nrows=1)
    names = first.iloc[0].to_numpy()
    are_numbers = all(pd.api.types.is_numeric_dtype(dtype) for dtype in first.dtypes)
    if are_numbers and not (_counts_up(names) or _counts_up(names - 1)):
        notes.append("the first line was taken for column names, though all of it is numbers")
    # `DataFrame.to_csv` writes the row numbers as a first column without a name.
    if frame.columns[0] == "Unnamed: 0" and _counts_up(frame.iloc[:, 0].to_numpy()):
        left_out["Unnamed: 0"] = "row numbers"
        frame = frame.iloc[:, 1:]
    return Source(path.name, frame, left_out=left_out, notes=notes)


def _counts_up(values: np.ndarray) -> bool:
    return np.array_equal(values, np.arange(len(values)))


def _read_parquet(path: Path) -> Source:
    try:
        frame = pd.read_parquet(path, engine="pyarrow", dtype_backend="numpy_nullable")
    except ImportError as error:
        raise CommandError(
            f"{path} needs pyarrow, which is not installed: pip install pyarrow"
        ) from error
    return Source(path.name, frame.set_axis([str(name) for name in frame.columns], axis=1))


def _read_arrays(path: Path, suffix: str) -> Source:
    X, beside = read_npy(path) if suffix == ".npy" else read_npz(path)
    return Source(
        path.name,
        pd.DataFrame(X, columns=[str(number) for number in range(X.shape[1])]),
        {name: pd.Series(values) for name, values in beside.items()},
        "y" if "y" in beside else None,
    )

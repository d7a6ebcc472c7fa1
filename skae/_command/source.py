"""A file of any kind, read into columns."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.lib.npyio import NpzFile
from sklearn.datasets import load_digits

from .arguments import CommandError


@dataclass(frozen=True)
class Source:
    """A table as its file has it.

    Attributes
    ----------
    name : str
        Name of the file or data set.
    columns : DataFrame
        The columns; their names are strings.
    extra_targets : dict of str to Series
        Possible targets that are not columns, by name.
    default_target : str or None
        The target unless the user names another.
    left_out : dict of str to str
        Columns of the file that are not in `columns`, and why.
    notes : list of str
        What the user should know about the reading, one line each.
    """

    name: str
    columns: pd.DataFrame
    extra_targets: dict[str, pd.Series] = field(default_factory=dict)
    default_target: str | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_source(path: Path | None) -> Source:
    """Read a file that `check_files` has accepted; None stands for scikit-learn's digits."""
    if path is None:
        digits = load_digits(as_frame=True)
        return Source("digits", digits.data, {"digit": digits.target}, "digit")
    kind = path.suffix[1:].upper()
    try:
        if kind == "CSV":
            return _read_csv(path)
        if kind == "PARQUET":
            return _read_parquet(path)
        return _read_npy(path) if kind == "NPY" else _read_npz(path)
    except CommandError:
        raise
    except MemoryError as error:
        raise CommandError(f"{path} does not fit into memory; choose a smaller table") from error
    except Exception as error:  # readers raise errors of many kinds for a damaged file
        raise CommandError(
            f"{path} can't be read as {kind} ({error}); check that it is a {kind} file"
        ) from error


def _read_csv(path: Path) -> Source:
    # Nullable types: otherwise booleans with missing values would become text.
    frame = pd.read_csv(path, dtype_backend="numpy_nullable", low_memory=False)
    if len(frame) == 0:
        raise CommandError(f"{path} has column names but no rows; add a line for each row")
    notes, left_out = [], {}
    first = pd.read_csv(path, header=None, nrows=1)
    names = first.iloc[0].to_numpy()
    are_numbers = all(pd.api.types.is_numeric_dtype(dtype) for dtype in first.dtypes)
    if are_numbers and not (_counts_up(names) or _counts_up(names - 1)):
        notes.append("the first line was taken for column names, though all of it is numbers")
    # `DataFrame.to_csv` writes row numbers as a first column without a name.
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


def _read_npy(path: Path) -> Source:
    # Pickles can run code, so arrays of objects are refused here and below.
    with path.open("rb") as stream:
        array = np.load(stream, allow_pickle=False)
        if isinstance(array, NpzFile):
            raise CommandError(f"{path} holds several arrays; rename it to end in .npz")
        return Source(path.name, _make_frame(array, "the array", path))


def _read_npz(path: Path) -> Source:
    with path.open("rb") as stream:
        file = np.load(stream, allow_pickle=False)
        if not isinstance(file, NpzFile):
            raise CommandError(f"{path} holds a single array; rename it to end in .npy")
        arrays = _load_plain_arrays(file)
    tables = [name for name, array in arrays.items() if array.ndim == 2]
    if "X" not in arrays and len(tables) != 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise CommandError(
            f"{path} must hold a 2-d array named X or a single 2-d array, got "
            f"{shapes or 'none that can be read without pickle'}"
        )
    table = "X" if "X" in arrays else tables[0]
    frame = _make_frame(arrays[table], table, path)
    targets = {
        name: pd.Series(array)
        for name, array in arrays.items()
        if array.ndim == 1 and len(array) == len(frame)
    }
    return Source(path.name, frame, targets, "y" if "y" in targets else None)


def _load_plain_arrays(file: NpzFile) -> dict[str, np.ndarray]:
    """Load all arrays but those of Python objects, which NumPy refuses with a ValueError."""
    arrays: dict[str, np.ndarray] = {}
    for name in file.files:
        with suppress(ValueError):
            arrays[name] = file[name]
    return arrays


def _make_frame(array: np.ndarray, name: str, path: Path) -> pd.DataFrame:
    if array.ndim != 2:
        raise CommandError(
            f"{name} in {path} must be 2-d (rows x columns), got the shape {array.shape}"
        )
    if array.dtype.kind not in "biuf":
        raise CommandError(f"{name} in {path} must hold real numbers, got the type {array.dtype}")
    return pd.DataFrame(array, columns=[str(number) for number in range(array.shape[1])])

"""NumPy's files: the table in them, and the arrays beside it."""

from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile

from ._errors import CommandError


def read_npy(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the array of an .npy file; nothing is beside it."""
    # Pickles can run code, so arrays of objects are refused.
    with path.open("rb") as stream:
        array = np.load(stream, allow_pickle=False)
        if isinstance(array, NpzFile):
            raise CommandError(f"{path} holds several arrays, expected one, or the suffix .npz")
        return _check_table(path, "the array", array), {}


def read_npz(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the table of an .npz file, and its arrays of one value a row."""
    with path.open("rb") as stream:
        file = np.load(stream, allow_pickle=False)
        if not isinstance(file, NpzFile):
            raise CommandError(f"{path} holds a single array, expected the suffix .npy")
        arrays = _plain_arrays(file)
    tables = [name for name, array in arrays.items() if array.ndim == 2]
    if "X" not in arrays and len(tables) != 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise CommandError(
            f"{path} has the arrays {shapes or '(none that can be read without pickle)'}, "
            "expected a 2-d array X, or a single 2-d one"
        )
    name = "X" if "X" in arrays else tables[0]
    X = _check_table(path, name, arrays[name])
    beside = {
        other: array
        for other, array in arrays.items()
        if array.ndim == 1 and len(array) == len(X) and other != name
    }
    return X, beside


def _plain_arrays(file: NpzFile) -> dict[str, np.ndarray]:
    """Return the arrays without Python objects, which only pickle could read."""
    arrays = {}
    for name in file.files:
        with suppress(ValueError):
            arrays[name] = file[name]
    return arrays


def _check_table(path: Path, name: str, array: np.ndarray) -> np.ndarray:
    if array.ndim != 2:
        raise CommandError(f"{path}: {name} has the shape {array.shape}, expected rows x columns")
    if array.dtype.kind not in "biuf":
        raise CommandError(f"{path}: {name} has the type {array.dtype}, expected real numbers")
    return array

"""Files of NumPy's arrays."""

import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from .arguments import CommandError
from .printing import list_names, list_some, quote
from .source import Source

_ZIP_MAGIC = b"PK"


def read_npy(path: Path) -> Source:
    """Read a file of a single array."""
    # Pickles can run code, so arrays of objects are refused here and below.
    with path.open("rb") as stream:
        if stream.read(2) == _ZIP_MAGIC:
            raise CommandError(f"{path.name} holds several arrays; rename it to end in .npz")
        stream.seek(0)
        header = _read_header(stream)
        if not header.dtype.hasobject and header.n_bytes > path.stat().st_size:
            raise ValueError("the array is shorter than its header says")
        _check_table(header, "the array", path)
        stream.seek(0)
        return Source(path.name, _make_frame(np.load(stream, allow_pickle=False)))


def read_npz(path: Path) -> Source:
    """Read the table of a file of arrays; others only if they are asked for."""
    with path.open("rb") as stream:
        if stream.read(2) != _ZIP_MAGIC:
            stream.seek(0)
            np.lib.format.read_magic(stream)
            raise CommandError(f"{path.name} holds a single array; rename it to end in .npy")
    headers = _read_headers(path)
    tables = [name for name, found in headers.items() if len(found.shape) == 2]
    plain = [name for name in tables if not headers[name].dtype.hasobject]
    name = "X" if "X" in headers else plain[0] if len(plain) == 1 else None
    if name is None:
        raise CommandError(
            f"{path.name} must hold a 2-d array named X or a single 2-d array, got "
            f"{_describe(headers)}"
        )
    _check_table(headers[name], quote(name), path)
    frame = _make_frame(_load(path, name))
    targets: dict[str, Callable[[], pd.Series]] = {
        other: partial(_load_target, path, other)
        for other, found in headers.items()
        if found.shape == (len(frame),) and not found.dtype.hasobject
    }
    notes = []
    objects = [other for other, found in headers.items() if found.dtype.hasobject]
    if objects:
        notes.append(f"arrays of Python objects, which are not read: {list_names(objects)}")
    return Source(path.name, frame, targets, "y" if "y" in targets else None, notes=notes)


@dataclass(frozen=True)
class _Header:
    """What a file says of an array before its values."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def n_bytes(self) -> int:
        """Return how many bytes the values take."""
        # Python's integers: a hostile shape would overflow NumPy's.
        n_values = 1
        for length in self.shape:
            n_values *= length
        return n_values * self.dtype.itemsize


def _read_header(stream: IO[bytes]) -> _Header:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    return _Header(shape, dtype)


def _read_headers(path: Path) -> dict[str, _Header]:
    """Return the headers of all arrays of an archive, without reading their values."""
    headers = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.filename.endswith(".npy"):
                with archive.open(member) as stream:
                    header = _read_header(stream)
                if not header.dtype.hasobject and header.n_bytes > member.file_size:
                    raise ValueError(f"{member.filename} is shorter than its header says")
                headers[member.filename.removesuffix(".npy")] = header
    return headers


def _describe(headers: dict[str, _Header]) -> str:
    if not headers:
        return "none"
    return list_some(
        [
            f"{quote(name)[1:-1]} {'of Python objects' if h.dtype.hasobject else h.shape}"
            for name, h in headers.items()
        ]
    )


def _check_table(header: _Header, name: str, path: Path) -> None:
    if header.dtype.hasobject:
        raise CommandError(
            f"{name} in {path.name} holds Python objects, which can run code when they are read; "
            "save it as numbers"
        )
    if len(header.shape) != 2:
        raise CommandError(
            f"{name} in {path.name} must be 2-d (rows x columns), got the shape {header.shape}"
        )
    if header.dtype.kind not in "biuf":
        raise CommandError(
            f"{name} in {path.name} must hold real numbers, got the type {header.dtype}"
        )
    if header.n_bytes > _measure_memory():
        raise CommandError(
            f"{name} in {path.name} takes {header.n_bytes / 2**30:.3g} GiB, more than the memory "
            "of this machine; choose a smaller table"
        )


def _measure_memory() -> float:
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):  # as on Windows
        return float("inf")


def _load(path: Path, name: str) -> np.ndarray:
    with np.load(path, allow_pickle=False) as file:
        array: np.ndarray = file[name]
        return array


def _load_target(path: Path, name: str) -> pd.Series:
    return pd.Series(_load(path, name))


def _make_frame(array: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(array, columns=[str(number) for number in range(array.shape[1])])

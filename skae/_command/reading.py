"""A file of any kind, read into columns."""

import shutil
import sys
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from sklearn.datasets import load_digits

from .arguments import CommandError, TextFormat
from .arrays import read_npy, read_npz
from .delimited import read_delimited
from .files import STDIN, is_text
from .parquet import read_parquet
from .printing import describe_error
from .source import Source, leave_out_index, leave_out_row_numbers
from .text_columns import take_as_text

_READERS = {"PARQUET": read_parquet, "NPY": read_npy, "NPZ": read_npz}


def read_source(path: Path | None, text_format: TextFormat, kept: Collection[str] = ()) -> Source:
    """Read a table without the numbers of its rows.

    Parameters
    ----------
    path : Path or None
        A file that `check_files` has accepted; None stands for scikit-learn's digits.
    text_format : TextFormat
        What the user has said of cells of text.
    kept : collection of str, default=()
        Columns that are there even if they number the rows.
    """
    source = _read_file(path, text_format)
    source = replace(source, columns=take_as_text(source.columns, text_format.text))
    return leave_out_row_numbers(leave_out_index(source, kept), kept)


def _read_file(path: Path | None, text_format: TextFormat) -> Source:
    if path is None:
        digits = load_digits(as_frame=True)
        return Source("digits", digits.data, {"digit": lambda: digits.target}, "digit")
    kind = "CSV" if path == STDIN or is_text(path) else path.suffix[1:].upper()
    name = "stdin" if path == STDIN else path.name
    try:
        if path == STDIN:
            return _read_stdin(name, text_format)
        if kind == "CSV":
            return read_delimited(path, name, text_format)
        return _READERS[kind](path)
    except CommandError:
        raise
    except MemoryError as error:
        raise CommandError(f"{name} does not fit into memory; choose a smaller table") from error
    except Exception as error:  # readers raise errors of many kinds for a damaged file
        raise CommandError(
            f"{name} can't be read as {kind} ({describe_error(error)}); "
            f"check that it is a {kind} file"
        ) from error


def _read_stdin(name: str, text_format: TextFormat) -> Source:
    """Read the text that comes through a pipe, from a copy, as it is read more than once."""
    if sys.stdin is None or sys.stdin.isatty():
        raise CommandError("- stands for text from a pipe, but there is none; name a file")
    with TemporaryDirectory(prefix="skae-") as directory:
        copy = Path(directory) / "stdin"
        with copy.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        if copy.stat().st_size == 0:
            raise CommandError("no text came through the pipe; it must have rows and columns")
        return read_delimited(copy, name, text_format)

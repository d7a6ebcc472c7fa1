"""Files that the command writes: checked before the work, replaced only by whole ones."""

import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from .arguments import CommandError
from .printing import describe_error

_DRAFT = re.compile(r"\.skae-[0-9a-f]{32}\.tmp")

# Writing takes seconds: an older draft belongs to a run that was killed.
_OLDEST_DRAFT = 3600.0


def check_output(option: str, path: Path, tables: Sequence[Path]) -> None:
    """Raise an error if the file can't be written, or is one of the tables."""
    try:
        target = path.resolve()
        if target.exists() and not target.is_file():
            kind = "directory" if target.is_dir() else "special file"
            raise CommandError(f"{option} must be a plain file, got the {kind} {path}")
        if any(_is_same_file(target, table.resolve()) for table in tables):
            raise CommandError(f"{option} {path} would overwrite the table; choose another file")
        if not target.parent.is_dir():
            raise CommandError(
                f"{option} {path} can't be written: {target.parent} is not a directory; "
                "create it or choose another"
            )
        if target.exists() and not os.access(target, os.W_OK):
            raise CommandError(
                f"{option} {path} is write-protected; choose a file that you may write to"
            )
        # Only writing tells: permissions say little to root or on network drives.
        tempfile.TemporaryFile(dir=target.parent).close()
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, on Python 3.12
        raise CommandError(
            f"{option} {path} can't be written ({describe_error(error)}); "
            "choose a file that you may write to"
        ) from error


def check_outputs_differ(outputs: Mapping[str, Path]) -> None:
    """Raise an error if files of two options are one, or would be where case doesn't count."""
    for (option, path), (other_option, other) in combinations(outputs.items(), 2):
        first, second = path.resolve(), other.resolve()
        if _is_same_file(first, second) or str(first).casefold() == str(second).casefold():
            raise CommandError(
                f"{option} {path} and {other_option} {other} are the same file; choose another for "
                "one of them"
            )


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a draft and move it into place once it is whole."""
    from .._training.files import replace_file  # brings in torch, which --help does without

    target = path.resolve()
    draft = target.parent / f".skae-{uuid4().hex}.tmp"
    _sweep_drafts(target.parent)
    try:
        replace_file(target, draft, write)
    except FileNotFoundError as error:
        raise CommandError(
            f"{path} can't be written: {target.parent} is gone; choose another directory"
        ) from error
    except OSError as error:
        raise CommandError(
            f"{path} can't be written ({describe_error(error)}); make room or choose another file"
        ) from error


def _is_same_file(first: Path, second: Path) -> bool:
    """Return whether two paths without links are one file, by whatever name."""
    if first == second:
        return True
    return first.exists() and second.exists() and first.samefile(second)


def _sweep_drafts(directory: Path) -> None:
    """Delete the drafts that killed runs have left in a directory."""
    with suppress(OSError):
        for path in directory.iterdir():
            if _DRAFT.fullmatch(path.name):
                with suppress(OSError):
                    found = path.lstat()
                    age = time.time() - found.st_mtime
                    if stat.S_ISREG(found.st_mode) and age > _OLDEST_DRAFT:
                        path.unlink()

"""Files that the command writes: checked beforehand, and never half-written."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from ._errors import CommandError


def check_output(path: Path | None, option: str, table: Path | None) -> None:
    """Refuse a path that can't be written, or that is the table itself."""
    if path is None:
        return
    try:
        target = path.resolve()
        if target.exists() and not target.is_file():
            raise CommandError(f"{option} {path} is not a plain file, expected a file to write")
        if table is not None and target == table.resolve():
            raise CommandError(f"{option} {path} is the table, expected another file to write")
        if not target.parent.is_dir():
            raise CommandError(
                f"{option} {path} was got, but {target.parent} is no directory; "
                "expected a file in a directory that exists"
            )
        # The only test that counts: permissions say little, to root or on network drives.
        tempfile.TemporaryFile(dir=target.parent).close()
    except OSError as error:
        raise CommandError(
            f"{option} {path} can't be written ({error.strerror}), "
            "expected a file in a directory that can be written to"
        ) from error


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file under another name, and move it to its place when it is whole."""
    target = path.resolve()
    draft = target.parent / f".skae-{uuid4().hex}.tmp"
    try:
        with draft.open("xb") as file:
            write(file)
        draft.replace(target)
    except OSError as error:
        raise CommandError(
            f"{path} could not be written ({error.strerror}), expected room for it"
        ) from error
    finally:
        draft.unlink(missing_ok=True)

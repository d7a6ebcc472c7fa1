"""Files that are replaced as a whole."""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


def replace_file(target: Path, draft: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a draft and move it into place, so that the file is the old or the new one.

    Parameters
    ----------
    target : Path
        The file, without links. Its mode is kept.
    draft : Path
        A file beside it that is not there.
    write : callable
        Writes what the file is to hold.

    Raises
    ------
    OSError
        If it can't be written. The draft is gone then, as after any other error.
    """
    try:
        with draft.open("xb") as file:
            with suppress(FileNotFoundError):  # a new file
                draft.chmod(stat.S_IMODE(target.stat().st_mode))
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
    except BaseException:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise

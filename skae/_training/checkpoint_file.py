"""The file of a checkpoint: whole or absent, of one owner, and nothing to execute."""

import errno
import hashlib
import io
import os
import secrets
from pathlib import Path
from typing import Any, final

import torch

from .._processes import TrainingGroup
from .files import replace_file

# A file is: what it is, its owner, the digest of the rest, the rest.
_MAGIC = b"skae checkpoint\n"
_OWNER_BYTES = 16
_DIGEST_BYTES = 32
_HEAD = len(_MAGIC) + _OWNER_BYTES + _DIGEST_BYTES

# What some file systems answer if a folder is to be flushed to the disk.
_NO_FLUSH = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)


class TakenError(Exception):
    """Another fit, or another program, has put a file of its own at the path."""


@final
class CheckpointFile:
    """A file that one fit at a time owns, and replaces as a whole.

    Parameters
    ----------
    path : str or os.PathLike
        The path. A symbolic link is followed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = os.fspath(path)
        self.path = Path(os.path.realpath(self.name))
        self.owner = secrets.token_hex(_OWNER_BYTES // 2).encode()
        # The fit whose file it is that may be replaced; None before there is one.
        self.predecessor: bytes | None = None

    def read(self) -> Any:
        """Return what is stored, None if there is no file.

        What is read can only be tensors, numbers, strings, lists and dictionaries.
        """
        if self.path.exists() and not self.path.is_file():  # reading a pipe would never end
            raise OSError(
                f"checkpoint={self.name!r} cannot be read (it is no plain file): choose another "
                "path"
            )
        try:
            stored = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OSError(
                f"checkpoint={self.name!r} cannot be read ({error}): choose another path"
            ) from error
        if not stored.startswith(_MAGIC):
            raise ValueError(
                f"checkpoint must be the path of a checkpoint or of no file, got {self.name!r}, "
                "which is a file of another kind: choose another path"
            )
        payload = stored[_HEAD:]
        if stored[_HEAD - _DIGEST_BYTES : _HEAD] != hashlib.sha256(payload).digest():
            raise self._damaged()
        try:
            value = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        except Exception as error:  # whatever a forged file makes torch raise
            raise self._damaged() from error
        self.predecessor = stored[len(_MAGIC) :][:_OWNER_BYTES]
        self._part_of(self.predecessor).unlink(missing_ok=True)  # of a write that was killed
        return value

    def _damaged(self) -> ValueError:
        return ValueError(
            f"checkpoint={self.name!r} is damaged or cut off: delete the file to begin anew, or "
            "choose another path"
        )

    def write(self, value: Any) -> None:
        """Replace the file, so that it is the old or the new one whatever happens.

        Raises
        ------
        OSError
            If it cannot be written.
        TakenError
            If the file is no longer the one that may be replaced.
        """
        stream = io.BytesIO()
        torch.save(value, stream)
        payload = stream.getbuffer()
        found = self._read_owner()
        if found not in (None, self.predecessor):
            raise TakenError
        head = _MAGIC + self.owner + hashlib.sha256(payload).digest()
        replace_file(
            self.path, self._part_of(self.owner), lambda file: file.writelines((head, payload))
        )
        self.predecessor = self.owner
        _flush_folder(self.path.parent)

    def remove(self) -> None:
        """Remove the file, if it is still this fit's."""
        if self._read_owner() == self.owner:
            self.path.unlink(missing_ok=True)

    def _read_owner(self) -> bytes | None:
        """Return whose file it is; None if there is none, nothing that is an owner if another's."""
        try:
            with self.path.open("rb") as file:
                head = file.read(_HEAD)
        except FileNotFoundError:
            return None
        return head[len(_MAGIC) :][:_OWNER_BYTES] if head.startswith(_MAGIC) else b""

    def _part_of(self, owner: bytes) -> Path:
        name = owner.hex() if not owner.isalnum() else owner.decode("ascii")
        return self.path.with_name(f".{self.path.name}.{name}.part")


@final
class SharedFile:
    """The file of processes that train together: the first of them reads and writes it.

    Parameters
    ----------
    path : str or os.PathLike
        The path, which need be there for the first process alone.
    group : TrainingGroup
        The processes.
    """

    def __init__(self, path: str | os.PathLike[str], group: TrainingGroup) -> None:
        self.name = os.fspath(path)
        self.group = group
        self.file = CheckpointFile(path) if group.is_first else None

    def read(self) -> Any:
        """Return what is stored, in all processes."""
        return self.group.take_first(None if self.file is None else self.file.read())

    def write(self, value: Any) -> None:
        """Replace the file, see `CheckpointFile`."""
        if self.file is not None:
            self.file.write(value)

    def remove(self) -> None:
        """Remove the file, if it is still this fit's."""
        if self.file is not None:
            self.file.remove()


def _flush_folder(folder: Path) -> None:
    """Make a renaming in a folder last beyond a loss of power."""
    if os.name == "nt":  # which cannot open folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FLUSH:
            raise
    finally:
        os.close(descriptor)

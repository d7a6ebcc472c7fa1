"""Files of text, unpacked and decoded as they are read."""

import bz2
import codecs
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO, final

from .arguments import CommandError
from .printing import describe_error, list_names

# A small file can unpack to more than any disk holds.
_MOST_UNPACKED = 2**30
_MOST_TIMES_LARGER = 100

_CHUNK = 2**20

# The byte-order marks of UTF-32 start with those of UTF-16.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_WIDE = ("utf-16", "utf-32")

# Bytes that Windows' encoding of western languages leaves undefined.
_NOT_CP1252 = b"\x81\x8d\x8f\x90\x9d"

# The first bytes of packed files; none of these is text.
_PACKERS = {
    ".gz": re.compile(rb"\x1f\x8b"),
    ".bz2": re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"),
    ".xz": re.compile(rb"\xfd7zXZ\x00"),
    ".zip": re.compile(rb"PK(\x03\x04|\x05\x06)"),
}

UNPACKING_ERRORS = (
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    EOFError,
)


@dataclass(frozen=True)
class TextFile:
    """A file of text, packed or not.

    Attributes
    ----------
    path : Path
        Where it is.
    name : str
        What messages call it.
    encoding : str
        Its encoding.
    """

    path: Path
    name: str
    encoding: str

    @contextmanager
    def open(self) -> Iterator[TextIO]:
        """Open the text, with the ends of its lines as they are."""
        with (
            open_unpacked(self.path, self.name) as stream,
            io.TextIOWrapper(stream, encoding=self.encoding, newline="") as text,
        ):
            yield text


@contextmanager
def open_unpacked(path: Path, name: str) -> Iterator[BinaryIO]:
    """Open a file, unpacked if its first bytes say that it is packed."""
    with path.open("rb") as packed:
        start = packed.read(16)
        packed.seek(0)
        packer = next((kind for kind, magic in _PACKERS.items() if magic.match(start)), None)
        if packer is None and path.suffix.lower() in _PACKERS:
            raise CommandError(
                f"{name} is not packed as its name says; rename it, or check that it is whole"
            )
        if packer is None:
            yield packed
            return
        most = max(_MOST_UNPACKED, _MOST_TIMES_LARGER * path.stat().st_size)
        with _open_packed(packed, packer, name) as stream:
            limited = _LimitedStream(stream, most, name)
            with io.BufferedReader(limited, _CHUNK) as buffered:  # type: ignore[type-var]
                yield buffered


def find_encoding(path: Path, name: str) -> tuple[str, list[str]]:
    """Return the encoding of a file of text, and what the user should know about it.

    A byte-order mark says it. Otherwise it is UTF-8 if all of the file is valid UTF-8, which
    other text hardly ever is; else an encoding of western languages.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf8, is_cp1252 = True, True
    with open_unpacked(path, name) as stream:
        chunk = stream.read(_CHUNK)
        for mark, encoding in _MARKS.items():
            if chunk.startswith(mark):
                notes = [] if encoding == "utf-8-sig" else [f"encoding taken: {encoding.upper()}"]
                return encoding, notes
        while chunk:
            _refuse_nul(chunk, name)
            if is_utf8:
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    is_utf8 = False
            is_cp1252 = is_cp1252 and not any(byte in chunk for byte in _NOT_CP1252)
            chunk = stream.read(_CHUNK)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        is_utf8 = False
    if is_utf8:
        return "utf-8", []
    encoding = "cp1252" if is_cp1252 else "latin-1"
    return encoding, [f"encoding taken, as it is not UTF-8: {encoding} (--encoding names another)"]


def _refuse_nul(chunk: bytes, name: str) -> None:
    n_nul = chunk.count(0)
    if not n_nul:
        return
    if 4 * n_nul >= len(chunk):  # every other byte of western text in UTF-16
        order = "le" if chunk[1:2] == b"\0" else "be"
        raise CommandError(
            f"{name} holds NUL bytes: it is UTF-16 without a byte-order mark, or no text; "
            f"try --encoding utf-16-{order}"
        )
    raise CommandError(f"{name} holds NUL bytes, so it is no text or damaged; write it anew")


@contextmanager
def _open_packed(packed: BinaryIO, packer: str, name: str) -> Iterator[BinaryIO]:
    if packer == ".zip":
        with zipfile.ZipFile(packed) as archive, _open_member(archive, name) as stream:
            yield stream
    elif packer == ".gz":
        with gzip.open(packed) as stream:
            yield stream  # type: ignore[misc]
    elif packer == ".bz2":
        with bz2.open(packed) as stream:
            yield stream  # type: ignore[misc]
    else:
        with lzma.open(packed) as stream:
            yield stream  # type: ignore[misc]


def _open_member(archive: zipfile.ZipFile, name: str) -> BinaryIO:
    """Open the only file of an archive; those that macOS and editors add don't count."""
    members = [
        member
        for member in archive.namelist()
        if not member.endswith("/")
        and not member.startswith("__MACOSX/")
        and not member.rsplit("/", 1)[-1].startswith(".")
    ]
    if len(members) != 1:
        held = list_names(members) if members else "none"
        raise CommandError(f"{name} must hold one file, got {held}; unpack it and choose one")
    if members[0].endswith((".npy", ".parquet", ".zip", ".gz", ".bz2", ".xz")):
        raise CommandError(
            f"{name} must hold a file of text, got {list_names(members)}; unpack it first"
        )
    try:
        return archive.open(members[0])  # type: ignore[return-value]
    except (RuntimeError, NotImplementedError) as error:  # a password, a rare way of packing
        raise CommandError(
            f"{name} can't be unpacked ({describe_error(error)}); unpack it first"
        ) from error


@final
class _LimitedStream(io.RawIOBase):
    """A stream that refuses to give more than so many bytes."""

    def __init__(self, stream: BinaryIO, most: int, name: str) -> None:
        self._stream = stream
        self._left = most
        self._most = most
        self._name = name

    def readable(self) -> bool:
        """Return that the stream can be read, as `BufferedReader` asks."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Read into a buffer, as `BufferedReader` asks."""
        content = self._stream.read(len(buffer))
        self._left -= len(content)
        if self._left < 0:
            raise CommandError(
                f"{self._name} unpacks to more than {self._most / 2**30:.3g} GiB, over "
                f"{_MOST_TIMES_LARGER} times its size; unpack it first if it is no mistake"
            )
        buffer[: len(content)] = content
        return len(content)

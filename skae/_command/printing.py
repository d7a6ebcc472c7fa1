"""Text that is safe to print: no control characters, no endless lines."""

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import TextIO

# No printed line is longer; nor, within one, a name or another library's message.
_LONGEST_LINE = 500
_LONGEST_NAME = 60
_LONGEST_MESSAGE = 200

# A message lists so many names at most; a table may have thousands.
_MOST_NAMES = 8


def make_printable(line: str) -> str:
    """Escape what a terminal would act on, and cut the middle out of a long line.

    Such are control characters, marks that reverse the direction of text, and halves of
    surrogate pairs, which stand for bytes of a file's name that are not UTF-8.
    """
    escaped = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
    if len(escaped) <= _LONGEST_LINE:
        return escaped
    # What is wrong comes first in a message, and what to do comes last.
    end = _LONGEST_LINE // 3
    return f"{escaped[: _LONGEST_LINE - end - 3]} … {escaped[-end:]}"


def quote(text: str) -> str:
    """Return a name or a cell in quotes, escaped and cut."""
    return repr(_cut(text, _LONGEST_NAME))


def shorten(text: str) -> str:
    """Return a name that can be drawn: escaped and cut, without quotes."""
    return make_printable(_cut(text, _LONGEST_NAME))


def list_names(names: Iterable[str]) -> str:
    """Return the first names in quotes, and how many more there are."""
    return list_some([quote(name) for name in names])


def list_some(parts: list[str], n_parts: int | None = None) -> str:
    """Return the first parts, and how many more there are; of `n_parts` some may not be given."""
    n_more = (len(parts) if n_parts is None else n_parts) - _MOST_NAMES
    listed = ", ".join(parts[:_MOST_NAMES])
    return f"{listed} and {n_more} more" if n_more > 0 else listed


def describe_error(error: BaseException) -> str:
    """Return another library's message in one line, cut; the error's type if it has none."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return _cut(" ".join(text.split()), _LONGEST_MESSAGE) or type(error).__name__


def print_line(text: str, stream: TextIO | None) -> None:
    """Print a line; a stream that is closed or missing takes it no more than `print` would."""
    if stream is not None:
        # The terminal's encoding may lack letters of a column's name.
        encoding = stream.encoding or "utf-8"
        text = make_printable(text).encode(encoding, errors="backslashreplace").decode(encoding)
        print(text, file=stream)


def silence(stream: TextIO | None) -> None:
    """Discard what is still to be written to a stream that nobody reads any more.

    Otherwise Python writes it at its end, fails, and says so.
    """
    with suppress(OSError, ValueError, AttributeError):  # a stream of a test has no file
        number = stream.fileno()  # type: ignore[union-attr]
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)


def flush() -> None:
    """Write what `print` has kept back, so that its failure is noticed here."""
    if sys.stdout is not None:
        sys.stdout.flush()


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"

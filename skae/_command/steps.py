"""The present step, on the last line of a terminal."""

import shutil
import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

Part = TypeVar("Part")


def show_step(step: str) -> None:
    """Replace the step that the terminal shows; without a terminal show nothing."""
    if sys.stderr is not None and sys.stderr.isatty():
        # A line as wide as the terminal would wrap.
        width = shutil.get_terminal_size().columns - 1
        print(f"\r{step[:width]:<{width}}\r", end="", file=sys.stderr, flush=True)


def show_parts(step: str, parts: Iterable[Part], n_parts: int) -> Iterator[Part]:
    """Yield the parts of a step, and show which is the present one."""
    for number, part in enumerate(parts, 1):
        show_step(f"{step}, part {number} of {n_parts}")
        yield part


def clear_step() -> None:
    """Leave the terminal's line blank, for what is printed next."""
    show_step("")

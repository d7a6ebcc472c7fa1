"""One method on one task, within a limit of time."""

import contextlib
import io
import logging
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

from ._parts import Method, Part


class OutOfTime(BaseException):
    """A method takes too long; methods that catch exceptions don't catch this."""


def measure(
    part: Part, method: Method, task: Any, seed: int, most_seconds: float
) -> dict[str, Any]:
    """Return the figures of a method, or what it raised."""
    began = time.perf_counter()
    try:
        with _silence(), _limit(most_seconds):
            return part.measure(method, task, seed)
    except OutOfTime:
        return {"error": f"stopped after {most_seconds:g} s", "limit": most_seconds}
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return {"error": text, "spent": time.perf_counter() - began}


@contextlib.contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """Raise `OutOfTime` after that many seconds, if this is the main thread of a Unix process."""
    if not hasattr(signal, "setitimer") or threading.current_thread() != threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        raise OutOfTime

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Suppress warnings, prints and logs of the methods."""
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)

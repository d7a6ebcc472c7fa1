"""The order of things: arguments, table, comparison, output."""

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import final

from .arguments import Arguments, CommandError, check_files, parse_arguments


def main(argv: Sequence[str] | None = None, *, prog: str = "skae") -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, default=None
        Arguments without the program's name; None takes them from `sys.argv`.
    prog : str, default="skae"
        The program's name in messages.

    Returns
    -------
    status : int
        0 after success, 2 for input that can't be worked with, 130 after Ctrl-C.
    """
    try:
        with _stop_at_ctrl_c():
            arguments = parse_arguments(argv, prog)
            check_files(arguments)
            _run(arguments)
    except CommandError as error:
        _print_error(prog, str(error))
        return 2
    except (_Interrupt, KeyboardInterrupt):
        _print_error(prog, "interrupted")
        return 130
    return 0


def _run(arguments: Arguments) -> None:
    # Here, not above: these import pandas, scikit-learn and torch, which takes seconds, and
    # --help and mistyped arguments should be answered at once.
    from .comparison import compare
    from .report import format_report, write_chart, write_record
    from .source import read_source
    from .table import select_table

    source = read_source(arguments.table)
    table = select_table(source, arguments.target, arguments.rows, arguments.seed)
    comparison = compare(
        table, arguments.components, arguments.seed, with_map=arguments.plot is not None
    )
    _print(format_report(comparison))
    if arguments.json is not None:
        write_record(comparison, arguments, arguments.json)
    if arguments.plot is not None:
        write_chart(comparison, arguments.plot)


@final
class _Interrupt(BaseException):
    """Ctrl-C. Not a KeyboardInterrupt: skorch's loop catches that and goes on."""


@contextmanager
def _stop_at_ctrl_c() -> Iterator[None]:
    """Raise `_Interrupt` at Ctrl-C, unless the caller handles or ignores that signal."""
    is_main_thread = threading.current_thread() is threading.main_thread()
    if not is_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise _Interrupt


def _print_error(prog: str, message: str) -> None:
    # Other libraries' messages may have several lines; the command promises one.
    print(f"{prog}: {' '.join(message.split())}", file=sys.stderr)


def _print(text: str) -> None:
    # The terminal's encoding may lack letters of a column's name.
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, errors="backslashreplace").decode(encoding))

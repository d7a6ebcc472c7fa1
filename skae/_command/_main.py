"""The order of things: arguments, table, comparison, output."""

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from ._arguments import Arguments, parse_arguments
from ._chart import check_chart, write_chart
from ._comparison import compare
from ._errors import CommandError, Interrupted
from ._files import check_output
from ._reading import read_source
from ._record import record_of, write_record
from ._report import report_of
from ._tables import table_of


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, default=None
        Arguments without the program's name; None takes them from `sys.argv`.

    Returns
    -------
    status : int
        0, or 2 for input that can't be worked with, or 130 after Ctrl-C.
    """
    try:
        with _stops_at_ctrl_c():
            _run(parse_arguments(argv))
    except CommandError as error:
        _complain(str(error))
        return 2
    except (Interrupted, KeyboardInterrupt):
        _complain("interrupted")
        return 130
    return 0


def _run(arguments: Arguments) -> None:
    # All that can be refused is refused before the work, which may take minutes.
    check_output(arguments.json, "--json", arguments.table)
    check_output(arguments.plot, "--plot", arguments.table)
    check_chart(arguments.plot)
    source = read_source(arguments.table)
    table = table_of(source, arguments.target, arguments.rows, arguments.seed)
    comparison = compare(
        table, arguments.components, arguments.seed, with_map=arguments.plot is not None
    )
    _print(report_of(comparison))
    if arguments.json is not None:
        write_record(record_of(comparison, arguments), arguments.json)
    if arguments.plot is not None:
        write_chart(comparison, arguments.plot)


@contextmanager
def _stops_at_ctrl_c() -> Iterator[None]:
    """Raise `Interrupted` at Ctrl-C, where signals can be handled and aren't ignored."""
    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted


def _complain(message: str) -> None:
    # Messages of other libraries may have several lines, and one is what we promise.
    print(f"python -m skae: {' '.join(message.split())}", file=sys.stderr)


def _print(text: str) -> None:
    # A column's name may have letters that the terminal has not.
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, errors="backslashreplace").decode(encoding))

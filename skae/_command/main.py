"""The order of things: arguments, table, comparison, output."""

import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import final

from .arguments import Arguments, CommandError, NothingToCompressError, parse_arguments
from .files import check_files
from .printing import describe_error, flush, print_line, silence
from .steps import clear_step, show_step

# What shells report of a program that writes to a pipe which nobody reads.
_BROKEN_PIPE = 128 + 13


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
        0 after success, 2 after an error, 130 after Ctrl-C, 141 if nobody reads the report.
    """
    arguments = None
    try:
        with _stop_at_ctrl_c():
            arguments = parse_arguments(argv, prog)
            check_files(arguments)
            given = sys.argv[1:] if argv is None else argv
            return _run(arguments, f"{prog} {shlex.join(given)}")
    except (_Interrupt, KeyboardInterrupt):
        _print_error(prog, "interrupted")
        return 130
    except SystemExit:  # --help and --version have printed what was asked for
        try:
            flush()
        except OSError:
            silence(sys.stdout)
        raise
    except Exception as error:
        if arguments is not None and arguments.traceback:
            traceback.print_exc()
        _print_error(prog, _explain(error))
        return 2
    finally:
        clear_step()


def _run(arguments: Arguments, command: str) -> int:
    show_step("loading")
    # Here, not above: these import pandas, scikit-learn and torch, which takes seconds, and
    # --help and mistyped arguments should be answered at once.
    from .comparison import Plan, Uncompared, compare, plan_comparison
    from .reading import read_source
    from .report import format_comparison, format_plan, format_shift, write_chart, write_record
    from .second_table import select_second_table
    from .shift import measure_shift
    from .table import check_columns, select_table
    from .text_columns import convert_texts, list_texts

    seed, text_format = arguments.seed, arguments.text_format
    # A target may number the rows.
    kept = (*arguments.keep, *([] if arguments.target is None else [arguments.target]))
    show_step("reading the table")
    source = read_source(arguments.table, text_format, kept)
    check_columns("--keep", arguments.keep, source)
    check_columns("--text", text_format.text, source)
    source, formats = convert_texts(source, text_format)
    table = select_table(source, arguments.target, arguments.rows, seed, arguments.drop)
    second = None
    if arguments.against is not None:
        show_step("reading the second table")
        other = read_source(arguments.against, text_format, table.columns)
        text_format = replace(text_format, text=list_texts(other.columns, table.frame))
        other, _ = convert_texts(other, text_format, formats)
        second = select_second_table(other, table, arguments.rows, seed)
    needs_models = second is None or arguments.plot is not None or arguments.report is not None
    plan: Plan | Uncompared
    try:
        plan = plan_comparison(table, arguments.components, seed)
    except NothingToCompressError as error:
        if needs_models:
            raise
        plan = Uncompared.from_table(table, seed, error.reason)
    # The fits may take minutes, and what was read may be what is wrong.
    is_read = _print_report(format_plan(plan))
    comparison = plan if isinstance(plan, Uncompared) else compare(plan, arguments.plot is not None)
    if not isinstance(comparison, Uncompared) and is_read:
        is_read = _print_report(format_comparison(comparison))
    shift = None if second is None else measure_shift(second, seed)
    if shift is not None and is_read:
        is_read = _print_report(format_shift(shift, table.name))
    # Files are written even if `head` has seen enough of the report.
    if arguments.json is not None:
        write_record(comparison, shift, arguments, arguments.json)
    if isinstance(comparison, Uncompared):
        return 0 if is_read else _BROKEN_PIPE
    if arguments.plot is not None:
        write_chart(comparison, arguments.plot)
    if arguments.report is not None:
        from .investigation import investigate
        from .page import write_page

        write_page(investigate(comparison, shift, command), arguments.report)
    return 0 if is_read else _BROKEN_PIPE


def _print_report(lines: list[str]) -> bool:
    """Print lines of the report; return whether somebody reads it."""
    clear_step()
    try:
        for line in lines:
            print_line(line, sys.stdout)
        flush()
    except BrokenPipeError:
        silence(sys.stdout)
        return False
    except OSError as error:
        silence(sys.stdout)
        raise CommandError(
            f"the report can't be printed ({describe_error(error)}); make room or print elsewhere"
        ) from error
    return True


def _explain(error: Exception) -> str:
    """Return what a message says about an error that ends the command."""
    if isinstance(error, CommandError):
        return str(error)
    # torch raises a RuntimeError where it gets no memory.
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return "there is not enough memory for the comparison; take fewer rows with --rows"
    return (
        f"{type(error).__name__}: {describe_error(error)}; the command did not expect this error, "
        "please report it with what --traceback adds"
    )


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
    clear_step()
    # Other libraries' messages may have several lines; the command promises one.
    try:
        print_line(f"{prog}: {' '.join(message.split())}", sys.stderr)
    except OSError:
        silence(sys.stderr)

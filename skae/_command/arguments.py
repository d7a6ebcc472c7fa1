"""The command line, parsed and checked before anything slow is imported."""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import NoReturn, final

from .. import __version__

# The smallest table with three training rows and one held-out row.
FEWEST_ROWS = 4

_TABLE_SUFFIXES = (".csv", ".parquet", ".npy", ".npz")
_CHART_SUFFIXES = (".png", ".svg", ".pdf")

_DESCRIPTION = """\
Is an autoencoder worth it on this table? Fits PCA and skae.AutoencoderTransformer, with
its defaults, on three quarters of the rows and compares them on the last quarter."""

_EPILOG = """\
TABLE is a .csv, .parquet, .npy or .npz file; without it, scikit-learn's digits are taken.
Columns that are not numbers and rows with missing or infinite values are left out, and
named or counted. Of an .npz file the 2-d array X is taken, or else its only 2-d array;
the target may be another array of the file, with one value a row, and is y where there is
one. Columns of arrays are named by their numbers, from 0. Write TABLE before --components."""


@final
class CommandError(Exception):
    """Input that the command can't work with; the message says what to do about it."""


@dataclass(frozen=True)
class Arguments:
    """What the user asked for; None where an option was not given."""

    table: Path | None
    target: str | None
    components: tuple[int, ...]
    rows: int | None
    seed: int
    json: Path | None
    plot: Path | None


def parse_arguments(argv: Sequence[str] | None, prog: str) -> Arguments:
    """Parse the command line; None takes it from `sys.argv`."""
    parsed = _make_parser(prog).parse_args(argv)
    return Arguments(
        table=parsed.table,
        target=parsed.target,
        components=tuple(sorted(set(parsed.components))),
        rows=parsed.rows,
        seed=parsed.seed,
        json=parsed.json,
        plot=parsed.plot,
    )


def check_files(arguments: Arguments) -> None:
    """Raise an error for files that can't be read, written or drawn.

    The comparison may take minutes, so a mistyped path must not surface at its end.
    """
    if arguments.json is not None:
        _check_output("--json", arguments.json, arguments.table)
    if arguments.plot is not None:
        _check_output("--plot", arguments.plot, arguments.table)
        _check_chart(arguments.plot)
    if arguments.table is not None:
        _check_table(arguments.table)


def _make_parser(prog: str) -> argparse.ArgumentParser:
    parser = _Parser(prog=prog, description=_DESCRIPTION, epilog=_EPILOG, allow_abbrev=False)
    add = parser.add_argument
    add("table", nargs="?", type=Path, metavar="TABLE", help="the table (default: digits)")
    add(
        "--target",
        metavar="COLUMN",
        help="classes, used for nothing but the clustering and neighbour scores",
    )
    add(
        "--components",
        nargs="+",
        type=_make_number_parser("--components", 1),
        default=[2, 4, 8, 16],
        metavar="K",
        help="sizes of the code to compare (default: 2 4 8 16)",
    )
    add(
        "--rows",
        type=_make_number_parser("--rows", FEWEST_ROWS),
        metavar="N",
        help="take N rows by chance",
    )
    add(
        "--seed",
        type=_make_number_parser("--seed", 0, 2**32 - 1),
        default=0,
        help="of the sample, the split and the models (default: 0)",
    )
    add("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    add("--plot", type=Path, metavar="FILE", help="draw them: a .png, .svg or .pdf file")
    add("--version", action="version", version=f"skae {__version__}")
    return parser


@final
class _Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line, where argparse prints the usage first."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message}; see --help")


def _make_number_parser(
    option: str, lowest: int, highest: int | None = None
) -> Callable[[str], int]:
    limits = f"of at least {lowest}" if highest is None else f"from {lowest} to {highest}"

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = lowest - 1
        if number < lowest or (highest is not None and number > highest):
            raise CommandError(f"{option} must be a whole number {limits}, got {text!r}")
        return number

    return parse


def _check_output(option: str, path: Path, table: Path | None) -> None:
    try:
        target = path.resolve()
        if target.exists() and not target.is_file():
            kind = "directory" if target.is_dir() else "special file"
            raise CommandError(f"{option} must be a plain file, got the {kind} {path}")
        if table is not None and target == table.resolve():
            raise CommandError(f"{option} {path} would overwrite the table; choose another file")
        if not target.parent.is_dir():
            raise CommandError(
                f"{option} {path} can't be written: {target.parent} is not a directory; "
                "create it or choose another"
            )
        # Only writing tells: permissions say little to root or on network drives.
        tempfile.TemporaryFile(dir=target.parent).close()
    except OSError as error:
        raise CommandError(
            f"{option} {path} can't be written ({error.strerror}); "
            "choose a file that you may write to"
        ) from error


def _check_chart(path: Path) -> None:
    if path.suffix.lower() not in _CHART_SUFFIXES:
        raise CommandError(f"--plot must end in {_join_or(_CHART_SUFFIXES)}, got {path}")
    try:
        import_module("matplotlib.figure")
    except ImportError as error:
        raise CommandError(
            "--plot needs matplotlib, which is not installed: pip install skae[plot]"
        ) from error


def _check_table(path: Path) -> None:
    kinds = f"a {_join_or(_TABLE_SUFFIXES)} file"
    try:
        if not path.exists():
            raise CommandError(f"{path} does not exist; the table must be {kinds}")
        if not path.is_file():
            raise CommandError(f"{path} is not a file; the table must be {kinds}")
        if path.suffix.lower() not in _TABLE_SUFFIXES:
            raise CommandError(f"the table must be {kinds}, got {path}")
        if path.stat().st_size == 0:
            raise CommandError(f"{path} is empty; the table must have rows and columns")
    except OSError as error:
        raise CommandError(
            f"{path} can't be read ({error.strerror}); choose a file that you may read"
        ) from error


def _join_or(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}"

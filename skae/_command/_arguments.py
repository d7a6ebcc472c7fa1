"""The command line, read and checked."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, final

from .. import __version__
from ._errors import CommandError

# The smallest table with three rows to train on and one to hold out.
FEWEST_ROWS = 4

_DESCRIPTION = """\
Is an autoencoder worth it on this table? Fits PCA and skae.AutoencoderTransformer, with
its defaults, on three quarters of the rows and compares them on the last quarter."""

_EPILOG = """\
TABLE is a .csv, .parquet, .npy or .npz file; without it, scikit-learn's digits are taken.
Columns that are not numbers and rows with missing or infinite values are left out, and
named or counted. Of an .npz file the 2-d array X is taken, or else its only 2-d array;
the target may be another array of the file, with one value a row, and is y where there is
one. Columns of arrays are named by their numbers, from 0. Write TABLE before --components."""


@dataclass(frozen=True)
class Arguments:
    """What the command was asked for; None is what was not."""

    table: Path | None
    target: str | None
    components: tuple[int, ...]
    rows: int | None
    seed: int
    json: Path | None
    plot: Path | None


def parse_arguments(argv: Sequence[str] | None) -> Arguments:
    """Return the arguments of a command line."""
    found = _parser().parse_args(argv)
    return Arguments(
        table=found.table,
        target=found.target,
        components=tuple(sorted(set(found.components))),
        rows=found.rows,
        seed=found.seed,
        json=found.json,
        plot=found.plot,
    )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m skae",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        allow_abbrev=False,
    )
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
        type=_whole_number(1),
        default=[2, 4, 8, 16],
        metavar="K",
        help="sizes of the code to compare (default: 2 4 8 16)",
    )
    add("--rows", type=_whole_number(FEWEST_ROWS), metavar="N", help="take N rows by chance")
    add(
        "--seed",
        type=_whole_number(0, 2**32 - 1),
        default=0,
        help="of the sample, the split and the models (default: 0)",
    )
    add("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    add("--plot", type=Path, metavar="FILE", help="draw them: a .png, .svg or .pdf file")
    add("--version", action="version", version=f"skae {__version__}")
    return parser


@final
class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line; argparse's own come after a usage of several."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message} (--help lists what is expected)")


def _whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    expected = f"of {least} or more" if most is None else f"from {least} to {most}"

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least or (most is not None and number > most):
            raise argparse.ArgumentTypeError(
                f"{text!r} was got, expected a whole number {expected}"
            )
        return number

    return parse

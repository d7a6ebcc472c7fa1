"""The command line, parsed before anything slow is imported."""

import argparse
import codecs
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, final

from .. import __version__

# The smallest table with three training rows and one held-out row.
FEWEST_ROWS = 4

# Shells make it hard to write these.
_SEPARATORS = {"tab": "\t", "\\t": "\t", "space": " "}
_THOUSANDS = {"space": " "}

_DESCRIPTION = """\
Is an autoencoder worth it on this table? Fits PCA and skae.AutoencoderTransformer, with
prior="gaussian", on three quarters of the rows and compares them on the last quarter. Both see
the same encoding of categories and dates; missing cells are filled linearly for PCA."""

_EPILOG = """\
TABLE is a .csv, .tsv, .txt, .parquet, .npy or .npz file, - for text from a pipe; without it,
scikit-learn's digits are taken. Text may be packed (.gz, .bz2, .xz or .zip). Its first line
names the columns; the separator, the decimal mark, the separator of thousands and the
encoding are found out, and named where they are not those of a plain CSV file. Numbers,
booleans, categories, dates and missing cells are kept; the report says what each column was
taken for. Text becomes numbers or dates if nearly all of a column is amounts such as $1,234.50
or dates in one format; --text keeps text. Row numbers, prose and columns or rows without a
value are left out, and named or counted; --keep has row numbers in. Of an .npz file the 2-d
array X is taken, or else its only 2-d array; the target may be another array of the file, with
one value a row, and is y where there is one. Columns of arrays are named by their numbers, from
0. Write TABLE before --components, --drop, --keep and --text."""


class CommandError(Exception):
    """Input that the command can't work with; the message says what to do about it."""


@final
class NothingToCompressError(CommandError):
    """A table on which models can't be compared, though a second table can be judged by it.

    Parameters
    ----------
    reason : str
        What is wrong.
    details : str, default=""
        What may be behind it, which is said of a table in other places too.
    """

    def __init__(self, reason: str, details: str = "") -> None:
        super().__init__(
            f"{reason}{details}; choose another table, or compare it with a second one by "
            "--against, without --plot and --report"
        )
        self.reason = reason


@dataclass(frozen=True)
class TextFormat:
    """How cells of text are written; None is found out from the table.

    The cells of the columns in `text` remain as they are written.
    """

    separator: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    day_first: bool | None = None
    text: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arguments:
    """What the user asked for; None where an option was not given."""

    table: Path | None
    text_format: TextFormat
    target: str | None
    drop: tuple[str, ...]
    keep: tuple[str, ...]
    components: tuple[float, ...] | None
    rows: int | None
    seed: int
    json: Path | None
    plot: Path | None
    report: Path | None
    against: Path | None
    traceback: bool


def parse_arguments(argv: Sequence[str] | None, prog: str) -> Arguments:
    """Parse the command line; None takes it from `sys.argv`."""
    parsed = _make_parser(prog).parse_args(argv)
    _check_marks(parsed.sep, parsed.decimal, parsed.thousands)
    return Arguments(
        table=parsed.table,
        text_format=TextFormat(
            separator=parsed.sep,
            decimal=parsed.decimal,
            thousands=parsed.thousands,
            encoding=parsed.encoding,
            day_first=None if parsed.date_order is None else parsed.date_order == "day",
            text=tuple(dict.fromkeys(parsed.text)),
        ),
        target=parsed.target,
        drop=tuple(dict.fromkeys(parsed.drop)),
        keep=tuple(dict.fromkeys(parsed.keep)),
        components=tuple(sorted(set(parsed.components))) if parsed.components else None,
        rows=parsed.rows,
        seed=parsed.seed,
        json=parsed.json,
        plot=parsed.plot,
        report=parsed.report,
        against=parsed.against,
        traceback=parsed.traceback,
    )


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
        "--drop",
        nargs="+",
        action="extend",
        default=[],
        metavar="COLUMN",
        help="leave these columns out, such as names of the rows",
    )
    add(
        "--keep",
        nargs="+",
        action="extend",
        default=[],
        metavar="COLUMN",
        help="have these columns in, though they number the rows",
    )
    add(
        "--text",
        nargs="+",
        action="extend",
        default=[],
        metavar="COLUMN",
        help="take these columns for labels as they are written, not for numbers or dates",
    )
    add(
        "--components",
        nargs="+",
        type=_parse_components,
        metavar="K",
        help="sizes of the code to compare, or shares of the variance such as 0.9, for which PCA "
        "counts the components (default: 2 4 8 16, or 1 for two columns)",
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
    add(
        "--report",
        type=Path,
        metavar="FILE",
        help="write a page about the table: its map, its strangest rows and why, its columns; an "
        ".html file",
    )
    add(
        "--against",
        type=Path,
        metavar="OTHER",
        help="say whether a second table, with the columns of the first, is like it: which rows "
        "and which columns differ",
    )
    add(
        "--sep",
        type=_parse_separator,
        metavar="CHARACTER",
        help="separator of cells, as ';' or tab",
    )
    add("--decimal", type=_parse_decimal, metavar="MARK", help="decimal mark: , or .")
    add(
        "--thousands",
        type=_parse_thousands,
        metavar="MARK",
        help="what separates thousands: , . ' _ or space",
    )
    add(
        "--date-order",
        type=_parse_date_order,
        metavar="PART",
        help="what comes first in dates such as 03/04/2024: day or month",
    )
    add(
        "--encoding",
        type=_parse_encoding,
        metavar="NAME",
        help="encoding of the text",
    )
    add("--traceback", action="store_true", help="show where an error comes from")
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


def _parse_components(text: str) -> float:
    try:
        number = float(text)
        if 0 < number < 1:
            return number
        if int(text) >= 1:
            return int(text)
    except ValueError:
        pass
    raise CommandError(
        "--components must be whole numbers of at least 1, or shares of the variance in (0, 1), "
        f"got {text!r}"
    )


def _parse_separator(text: str) -> str:
    mark = _SEPARATORS.get(text, text)
    if len(mark) != 1 or mark.isalnum() or mark in "\"'.+-\r\n" or ord(mark) > 126:
        raise CommandError(
            f"--sep must be one character such as ';', '|' or tab, and no letter, digit, quote, "
            f"sign or point, got {text!r}"
        )
    return mark


def _parse_decimal(text: str) -> str:
    if text not in (",", "."):
        raise CommandError(f"--decimal must be ',' or '.', got {text!r}")
    return text


def _parse_thousands(text: str) -> str:
    mark = _THOUSANDS.get(text, text)
    if mark not in (",", ".", "'", "_", " "):
        raise CommandError(f"--thousands must be ',', '.', \"'\", '_' or space, got {text!r}")
    return mark


def _parse_date_order(text: str) -> str:
    if text not in ("day", "month"):
        raise CommandError(f"--date-order must be day or month, got {text!r}")
    return text


def _parse_encoding(text: str) -> str:
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=text)
        return codecs.lookup(text).name
    except (LookupError, ValueError) as error:
        raise CommandError(
            f"--encoding must be an encoding that Python knows, such as utf-8, utf-16 or cp1252, "
            f"got {text!r}"
        ) from error


def _check_marks(separator: str | None, decimal: str | None, thousands: str | None) -> None:
    if decimal is not None and decimal == thousands:
        raise CommandError(f"--decimal and --thousands must differ, got {decimal!r} for both")
    if separator == " " and thousands == " ":
        raise CommandError("--sep and --thousands must differ, got space for both")

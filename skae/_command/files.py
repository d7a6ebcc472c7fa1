"""The files that the user names, checked before anything slow is imported."""

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from .arguments import Arguments, CommandError, TextFormat
from .outputs import check_output, check_outputs_differ
from .printing import describe_error

# Stands for the table on the command line if it comes from a pipe.
STDIN = Path("-")

TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zip")
_BINARY_SUFFIXES = (".parquet", ".npy", ".npz")
_CHART_BACKENDS = {".png": "agg", ".svg": "svg", ".pdf": "pdf"}
_PAGE_SUFFIXES = (".html", ".htm")

_EMPTY = TextFormat()


def check_files(arguments: Arguments) -> None:
    """Raise an error for files that can't be read, written or drawn.

    The comparison may take minutes, so a mistyped path must not surface at its end.
    """
    given = [path for path in (arguments.table, arguments.against) if path is not None]
    tables = [path for path in given if path != STDIN]
    if given.count(STDIN) > 1:
        raise CommandError("- stands for text from a pipe, of which there is one; name a file")
    options = {"--json": arguments.json, "--plot": arguments.plot, "--report": arguments.report}
    outputs = {option: path for option, path in options.items() if path is not None}
    if arguments.plot is not None:
        _check_suffix("--plot", arguments.plot, tuple(_CHART_BACKENDS))
    if arguments.report is not None:
        _check_suffix("--report", arguments.report, _PAGE_SUFFIXES)
    for option, path in outputs.items():
        check_output(option, path, tables)
    check_outputs_differ(outputs)
    for path in tables:
        _check_table(path)
    # Labels, and dates that are text, are in files of any kind.
    if replace(arguments.text_format, day_first=None, text=()) != _EMPTY and not any(
        path == STDIN or is_text(path) for path in given
    ):
        raise CommandError(
            "--sep, --decimal, --thousands and --encoding are for text files "
            f"({_join_or(TEXT_SUFFIXES)}, also packed); leave them out"
        )
    if arguments.plot is not None:
        _check_matplotlib(arguments.plot)
    if arguments.report is not None:
        check_library("--report", "jinja2", '"skae[report]"', ("jinja2",))


def is_text(path: Path) -> bool:
    """Return whether the file's name promises text, packed or not."""
    return path.suffix.lower() not in _BINARY_SUFFIXES


def _check_table(path: Path) -> None:
    kinds = f"a {_join_or((*TEXT_SUFFIXES, *_BINARY_SUFFIXES))} file"
    try:
        if not path.exists():
            raise CommandError(f"{path} does not exist; the table must be {kinds}")
        if path.is_dir():
            raise CommandError(f"{path} is not a file but a directory; the table must be {kinds}")
        if not path.is_file():
            raise CommandError(
                f"{path} is not a plain file; the table must be {kinds}, or - for text from a pipe"
            )
        _check_suffix_of_table(path, kinds)
        if path.stat().st_size == 0:
            raise CommandError(f"{path} is empty; the table must have rows and columns")
        path.open("rb").close()
    except OSError as error:
        raise CommandError(
            f"{path} can't be read ({describe_error(error)}); choose a file that you may read"
        ) from error


def _check_suffix_of_table(path: Path, kinds: str) -> None:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in PACKED_SUFFIXES:
        inner = suffixes[-2] if len(suffixes) > 1 else ""
        if inner in _BINARY_SUFFIXES:
            raise CommandError(f"of packed files only text is read, got {path}; unpack it first")
        if inner in TEXT_SUFFIXES or suffixes[-1] == ".zip":
            return
    elif suffixes and suffixes[-1] in (*TEXT_SUFFIXES, *_BINARY_SUFFIXES):
        return
    raise CommandError(
        f"the table must be {kinds}, text also packed as {_join_or(PACKED_SUFFIXES)}, got {path}"
    )


def _check_suffix(option: str, path: Path, suffixes: Sequence[str]) -> None:
    if path.suffix.lower() not in suffixes:
        raise CommandError(f"{option} must end in {_join_or(suffixes)}, got {path}")


def _check_matplotlib(path: Path) -> None:
    backend = f"matplotlib.backends.backend_{_CHART_BACKENDS[path.suffix.lower()]}"
    check_library("--plot", "matplotlib", "skae[plot]", ("matplotlib.figure", backend))


def check_library(option: str, library: str, extra: str, modules: Sequence[str]) -> None:
    """Raise an error if a library that an option needs can't be imported.

    Parameters
    ----------
    option : str
        The option.
    library : str
        Name of the library.
    extra : str
        What pip is to install, as it is typed.
    modules : sequence of str
        The modules that are needed.
    """
    try:
        for module in modules:
            import_module(module)
    except ImportError as error:
        raise CommandError(
            f"{option} needs {library}, which is not installed: pip install {extra}"
        ) from error
    except Exception as error:  # an installation can be broken in many ways
        raise CommandError(
            f"{option} needs {library}, which does not load ({describe_error(error)}): "
            f"pip install --force-reinstall {library}"
        ) from error


def _join_or(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}"

"""The time of importing an estimator relative to importing its dependencies."""

import json
from functools import partial
from typing import Any

from _report import is_installed, markdown_table

from . import _fresh
from ._bars import Bar, Entries, Measure, at_most
from ._timing import alternate, median, ratio, spread

STATEMENTS = {
    "torch, sklearn, skorch": "import torch, sklearn, skorch",
    "skae": "from skae import AutoencoderTransformer",
    "nothing": "import skae",
}
LEAST_ROUNDS = 7

#: What skae can work with, and doesn't need.
OPTIONAL = ("matplotlib", "pyod", "pyarrow", "polars", "skops", "dask", "onnx", "IPython")


def measure(rounds: int) -> dict[str, Any]:
    """Return the times of the imports in new processes, and the optional imports."""
    for statement in STATEMENTS.values():
        time_of(statement)
    calls = {name: partial(time_of, statement) for name, statement in STATEMENTS.items()}
    return {
        "seconds": alternate(calls, max(rounds, LEAST_ROUNDS)),
        "optional": {name: optional_after(text) for name, text in STATEMENTS.items()},
        "installed": [name for name in OPTIONAL if is_installed(name)],
    }


def time_of(statement: str) -> float:
    """Return the seconds of an import in a new process, without the start of Python."""
    return float(
        _fresh.run_code(
            f"import time; began = time.perf_counter(); {statement}; "
            "print(time.perf_counter() - began)"
        )
    )


def optional_after(statement: str) -> list[str]:
    """Return the optional packages that an import loads."""
    code = (
        f"import json, sys; {statement}; "
        f"print(json.dumps([name for name in {OPTIONAL!r} if name in sys.modules]))"
    )
    return json.loads(_fresh.run_code(code))


ENTRIES: dict[str, Measure] = {"imports": measure}


def bars(entries: Entries) -> list[Bar]:
    """Return the bars on the time and on the imported packages."""
    found = []
    for entry in entries.values():
        seconds, brought = entry["seconds"], entry["optional"]
        # pandas itself imports pyarrow if it is installed.
        optional = sorted(set(brought["skae"]) - set(brought["torch, sklearn, skorch"]))
        value = ratio(seconds["skae"], seconds["torch, sklearn, skorch"])
        found += [
            at_most("(7) time to import an estimator / torch, sklearn and skorch", value, 1.15),
            Bar(
                "(7) optional packages imported by skae itself",
                "none",
                ", ".join(optional) or "none",
                not optional,
            ),
        ]
    return found


def section(entries: Entries) -> str:
    """Return this part of the page."""
    parts = []
    for entry in entries.values():
        seconds = entry["seconds"]
        rows = [
            [
                f"`{STATEMENTS[name]}`",
                median(values),
                spread(values),
                f"{ratio(values, seconds['torch, sklearn, skorch']):.2f}",
                ", ".join(entry["optional"][name]) or "none",
            ]
            for name, values in seconds.items()
        ]
        header = ["", "seconds", "range", "ratio", "optional packages imported"]
        parts += [
            f"Fresh processes take turns, for {len(seconds['skae'])} rounds after a warm-up. The "
            "start of Python is not counted. Optional packages that are installed here: "
            f"{', '.join(entry['installed']) or 'none'}.",
            markdown_table(header, rows),
        ]
    return "\n\n".join(parts)

"""A fit that two processes share, beside the same fit in one."""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _report import markdown_table

from . import _fresh
from ._bars import Bar, Entries, Measure, at_most
from ._timing import median, ratio, spread
from .growth import write_table

ROWS, COLUMNS, COMPONENTS, EPOCHS = 2_000_000, 100, 5, 5
NAMES = {"one": 1, "two": 2}


def measure(rounds: int) -> dict[str, Any]:
    """Return times and losses of fits in one and in two processes, which take turns."""
    found: dict[str, dict[str, list[float]]] = {
        name: {"seconds": [], "work": [], "loss": []} for name in NAMES
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table"
        write_table(path, ROWS, COLUMNS)
        given = {
            "path": str(path),
            "rows": ROWS,
            "columns": COLUMNS,
            "n_components": COMPONENTS,
            "epochs": EPOCHS,
        }
        for number in range(rounds):
            for name, size in NAMES.items():
                processes = run(size, given)
                # The fit has ended when its last process has.
                found[name]["seconds"].append(max(one["seconds"] for one in processes))
                found[name]["work"].append(max(one["work"] for one in processes))
                found[name]["loss"].append(processes[0]["losses"][-1])
            print(f"  round {number + 1}: {found}", flush=True)
    return found


def run(size: int, given: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what so many processes print."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(size)]
    done = subprocess.run(
        [*command, "--module", "_speed._sharing_process", json.dumps(given)],
        env=_fresh.environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


ENTRIES: dict[str, Measure] = {"two processes": measure}


# The page -----------------------------------------------------------------------------


def bars(entries: Entries) -> list[Bar]:
    """Return the bars on the time and on the loss."""
    found = []
    for entry in entries.values():
        one, two = entry["one"], entry["two"]
        title = f"(8) a fit on {ROWS:,} x {COLUMNS}, two processes / one"
        seconds, loss = (ratio(two[name], one[name]) for name in ("seconds", "loss"))
        found += [at_most(f"{title}: time", seconds, 0.6), at_most(f"{title}: loss", loss, 1.01)]
    return found


def section(entries: Entries) -> str:
    """Return this part of the page."""
    parts = [
        f"A fit of {EPOCHS} epochs on {ROWS:,} x {COLUMNS} in a memory-mapped file, code "
        f"{COMPONENTS}, alone and shared by two processes with `share_training`. Each process "
        "has one thread. Times are those of `fit`, after a small fit. Work is the processor time "
        "of the process that worked longest: it hardly depends on what else the machine does, and "
        "leaves out the time in which a process waits for the other. The loss is that on held-out "
        "rows after the last epoch."
    ]
    parts += [table(entry) for entry in entries.values()]
    return "\n\n".join(parts)


def table(entry: dict[str, Any]) -> str:
    """Return the times and losses."""
    rows = []
    for name in NAMES:
        known, one = entry[name], entry["one"]
        rows.append(
            [
                name,
                median(known["seconds"]),
                spread(known["seconds"]),
                f"{ratio(known['seconds'], one['seconds']):.3g}",
                median(known["work"]),
                f"{ratio(known['work'], one['work']):.3g}",
                f"{statistics.median(known['loss']):.5f}",
            ]
        )
    heads = ["processes", "seconds", "range", "relative", "work, s", "relative", "loss"]
    return markdown_table(heads, rows)

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
LARGE_BATCH = 2048

#: The processes and the batch of each contestant.
NAMES: dict[str, tuple[int, int | str]] = {
    "one": (1, "auto"),
    "two": (2, "auto"),
    f"two, batches of {LARGE_BATCH:,}": (2, LARGE_BATCH),
}


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
            for name, (size, batch_size) in NAMES.items():
                processes = run(size, {**given, "batch_size": batch_size})
                # The fit has ended when its last process has.
                found[name]["seconds"].append(max(one["seconds"] for one in processes))
                found[name]["work"].append(max(one["work"] for one in processes))
                found[name]["loss"].append(processes[0]["losses"][-1])
                print(f"  round {number + 1}, {name}: {found[name]}", flush=True)
    return found


def run(size: int, given: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what so many processes print."""
    # At a free port, whatever else runs.
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    processes = ["--nproc-per-node", str(size), "--module", "_speed._sharing_process"]
    done = subprocess.run(
        [*torchrun, *processes, json.dumps(given)],
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
        for name in list(NAMES)[1:]:
            title = f"(8) a fit on {ROWS:,} x {COLUMNS}, processes: {name} / one"
            for what, label, limit in (
                ("seconds", "time", 0.6),
                ("work", "work of a processor", 0.6),
                ("loss", "loss", 1.01),
            ):
                value = ratio(entry[name][what], entry["one"][what])
                found.append(at_most(f"{title}: {label}", value, limit))
    return found


def section(entries: Entries) -> str:
    """Return this part of the page."""
    parts = [
        f"A fit of {EPOCHS} epochs on {ROWS:,} x {COLUMNS} in a memory-mapped file, code "
        f"{COMPONENTS}, alone and shared by two processes with `share_training`. Each process "
        "has one thread. Times are those of `fit`, after a small fit. On a busy machine they "
        "flatter two processes, which get two shares of it. Work is the processor time of the "
        "process that worked longest: it includes the messages, and leaves out the time in which a "
        "process waits for the other. The loss is that on held-out rows after the last epoch."
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

"""Growth of the time and memory of a fit with rows, columns and components."""

import math
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _report import made_table, markdown_table

from . import _fresh
from ._bars import Bar, Entries, Measure, at_most
from ._timing import median, spread

COLUMNS, COMPONENTS = 30, 8
ROWS = (10**4, 10**5, 3 * 10**5, 10**6, 3 * 10**6, 10**7)
LINEAR_FROM = 10**5
ONE_FIT_FROM = 10**6  # rows above which there is one fit
WIDTHS = (10, 30, 100, 300, 1000, 3000)
CODES = (2, 4, 8, 16, 32, 64, 128, 256)
BLOCK_ROWS = 100_000
MEMORY_LIMIT = 1.5e9


def measure_rows(rounds: int) -> dict[str, Any]:
    """Return points for tables with more and more rows, in memory-mapped files."""
    points, skipped = [], []
    with tempfile.TemporaryDirectory() as folder:
        for n_rows in ROWS:
            n_bytes = 4 * n_rows * COLUMNS
            if shutil.disk_usage(folder).free < 1.2 * n_bytes:
                skipped.append(f"{n_rows:,} rows: {n_bytes / 1e9:.1f} GB of disk are not free")
                continue
            path = Path(folder) / "table"
            write_table(path, n_rows)
            n_fits = 1 if n_rows > ONE_FIT_FROM else rounds
            points.append(point(n_rows, n_rows, COLUMNS, COMPONENTS, n_fits, path))
            path.unlink()
    return {"points": points, "skipped": skipped}


def measure_columns(rounds: int) -> dict[str, Any]:
    """Return points for wider and wider tables."""
    return {"points": [point(n, 5_000, n, COMPONENTS, rounds) for n in WIDTHS], "skipped": []}


def measure_components(rounds: int) -> dict[str, Any]:
    """Return points for larger and larger codes."""
    return {"points": [point(k, 10_000, 300, k, rounds) for k in CODES], "skipped": []}


def point(
    at: int, rows: int, columns: int, n_components: int, n_fits: int, path: Path | None = None
) -> dict[str, Any]:
    """Return the seconds of fits in a separate process, and the peak memory of the first."""
    given = {"rows": rows, "columns": columns, "n_components": n_components, "n_fits": n_fits}
    found = _fresh.run("_speed._growth_process", given | ({"path": str(path)} if path else {}))
    print(f"  {at}: {found}", flush=True)
    return {"at": at, **found}


def write_table(path: Path, n_rows: int, n_columns: int = COLUMNS) -> None:
    """Write a float32 table block by block: synthetic rows with new noise in each block."""
    made = made_table(min(n_rows, BLOCK_ROWS), n_columns).astype(np.float32)
    generator = np.random.default_rng(1)
    with path.open("wb") as file:
        for first in range(0, n_rows, BLOCK_ROWS):
            block = made[: n_rows - first]
            noise = generator.standard_normal(block.shape, dtype=np.float32)
            file.write((block + 0.1 * noise).tobytes())


ENTRIES: dict[str, Measure] = {
    "rows": measure_rows,
    "columns": measure_columns,
    "components": measure_components,
}


# The page -----------------------------------------------------------------------------


def exponent(points: list[dict[str, Any]], least: int = 0) -> float | None:
    """Return the exponent of time as a power of the size, by least squares of the logs."""
    kept = [point for point in points if point["at"] >= least]
    if len(kept) < 2:
        return None
    x = [math.log(point["at"]) for point in kept]
    y = [math.log(statistics.median(point["seconds"])) for point in kept]
    return float(np.polyfit(x, y, 1)[0])


def bars(entries: Entries) -> list[Bar]:
    """Return the bars on rows; columns and components have none."""
    points = entries.get("rows", {}).get("points", [])
    found = []
    power = exponent(points, LINEAR_FROM)
    if power is not None:
        found.append(
            at_most(f"(5) exponent of the time in rows, from {LINEAR_FROM:,} up", power, 1.05)
        )
    for point in points:
        if point["at"] == ROWS[-1] and point["bytes"] is not None:
            title = f"(5) memory of a fit on {ROWS[-1]:,} x {COLUMNS} in a memory-mapped file"
            found.append(at_most(title, point["bytes"] / 1e9, MEMORY_LIMIT / 1e9, " GB"))
    return found


TEXTS = {
    "rows": f"The table has {COLUMNS} columns in float32 and lies in a memory-mapped file; code "
    f"{COMPONENTS}. Above {ONE_FIT_FROM:,} rows there is one fit. Mapped pages of the file count "
    "as resident.",
    "columns": f"The table has 5,000 rows in memory; code {COMPONENTS}.",
    "components": "The table has 10,000 rows and 300 columns in memory.",
}


def section(entries: Entries) -> str:
    """Return this part of the page."""
    parts = [
        "Each point is a fit of one epoch with the default batch and widths, without early "
        "stopping, on one thread and in a separate process, after a small fit. Times include "
        "everything that `fit` does. Memory is the peak of resident memory up to the end of the "
        "first fit, less the resident memory before the fits. The latter includes the imports, and "
        "the table if it is in memory."
    ]
    for name, entry in entries.items():
        parts += [f"### By {name}", TEXTS[name], table(name, entry), powers(name, entry)]
        parts += [f"Skipped: {text}." for text in entry["skipped"]]
    return "\n\n".join(part for part in parts if part)


def table(name: str, entry: dict[str, Any]) -> str:
    """Return the points."""
    rows = [
        [
            f"{point['at']:,}",
            median(point["seconds"]),
            spread(point["seconds"]),
            "unknown" if point["bytes"] is None else f"{point['bytes'] / 1e6:.0f}",
        ]
        for point in entry["points"]
    ]
    return markdown_table([name, "seconds", "range", "peak memory, MB"], rows)


def powers(name: str, entry: dict[str, Any]) -> str:
    """Return the exponents as a sentence."""
    least = LINEAR_FROM if name == "rows" else 0
    fitted = [
        (exponent(entry["points"], least), f"from {least:,} up" if least else "over all points")
    ]
    if name != "rows" and len(entry["points"]) > 3:
        fitted.append((exponent(entry["points"][-3:]), "over the last three points"))
    texts = [f"{power:.2f} {where}" for power, where in fitted if power is not None]
    return f"Exponent of the time in {name}: {'; '.join(texts)}." if texts else ""

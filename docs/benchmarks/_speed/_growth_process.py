"""One point of a growth curve in a separate process: `python -m` this module, with JSON.

In a separate process, earlier fits cannot affect the peak memory.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from _report import limit_threads, made_table

from skae import AutoencoderTransformer


def main() -> None:
    """Print the seconds and bytes of the fits as JSON."""
    given = json.loads(sys.argv[1])
    limit_threads(1)
    table = open_table(given)
    before = memory("VmRSS")
    forget_peak()  # which may come from creating the table
    fit(np.random.default_rng(0).normal(size=(600, 8)), 2)  # a warm-up
    seconds = [fit(table, given["n_components"])]
    peak = memory("VmHWM")
    seconds += [fit(table, given["n_components"]) for _ in range(given["n_fits"] - 1)]
    print(json.dumps({"seconds": seconds, "bytes": None if before is None else peak - before}))


def open_table(given: dict[str, Any]) -> np.ndarray:
    """Return the table: a memory-mapped file, or synthetic rows."""
    if "path" in given:
        shape = (given["rows"], given["columns"])
        return np.memmap(given["path"], dtype=np.float32, mode="r", shape=shape)
    return made_table(given["rows"], given["columns"], n_latent=20).astype(np.float32)


def fit(X: np.ndarray, n_components: int) -> float:
    """Return the seconds of a fit of one epoch."""
    estimator = AutoencoderTransformer(
        n_components, max_epochs=1, early_stopping=False, device="cpu", random_state=0
    )
    began = time.perf_counter()
    estimator.fit(X)
    return time.perf_counter() - began


def memory(field: str) -> int | None:
    """Return the current (VmRSS) or the peak (VmHWM) resident memory in bytes.

    Linux counts from the start of this program. `ru_maxrss` would include the memory of the
    parent process.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text().splitlines() if line.startswith(field))
    return 1024 * int(line.split()[1])


def forget_peak() -> None:
    """Reset the peak of resident memory."""
    references = Path("/proc/self/clear_refs")
    if references.exists():
        references.write_text("5")


if __name__ == "__main__":
    main()

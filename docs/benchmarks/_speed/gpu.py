"""Absolute times on an accelerator, if there is one."""

import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from _report import made_table, markdown_table
from skorch import NeuralNet
from skorch.callbacks import Callback

from . import _contestants as c
from ._bars import Bar, Entries, Measure
from ._tables import BY_NAME, Size, titled, train_and_test
from ._timing import alternate, median, ratio, spread

BATCH_SIZES = (1024, 4096)
LEAST_ROWS = 10_000  # below which a batch is the table
LARGE = Size(1_000_000, 100, (128, 64), 16, few=1, many=1, epochs=1, latent=20)
SIZES = {size.name: size for size in [*BY_NAME.values(), LARGE] if size.rows >= LEAST_ROWS}
DEVICE = "cuda"


class Clock(Callback):
    """Record when epochs end, including pending work of the device."""

    def __init__(self) -> None:
        self.ends_: list[float] = []

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Record the end of an epoch in skorch."""
        self.tick()

    def tick(self) -> None:
        """Record the end of an epoch in a loop."""
        if DEVICE == "cuda":
            torch.cuda.synchronize()
        self.ends_.append(time.perf_counter())

    @property
    def epoch(self) -> float:
        """Median seconds of an epoch, without the first two, which compile."""
        return statistics.median(after - before for before, after in pairwise(self.ends_[1:]))


def measure(name: str, rounds: int) -> dict[str, Any]:
    """Return the seconds of an epoch on the device, by batch size and contestant."""
    if DEVICE == "cuda" and not torch.cuda.is_available():
        print("  not run: no GPU", flush=True)
        return {"not_run": "no GPU"}
    size = SIZES[name]
    X = large_table() if size is LARGE else train_and_test(size)[0]
    n_epochs = max(6, min(50, 1_000_000 // size.rows))
    found = {}
    for batch_size in BATCH_SIZES:
        calls = make_calls(size, X, n_epochs, batch_size)
        for call in calls.values():
            call()
        found[str(batch_size)] = alternate(calls, rounds)
    return {"n_epochs": n_epochs, "seconds_per_epoch": found}


def large_table() -> np.ndarray:
    """Return a large table in float32 with repeated rows, which cost as much as others."""
    part = made_table(100_000, LARGE.columns, n_latent=LARGE.latent).astype(np.float32)
    return np.tile(part, (LARGE.rows // len(part), 1))


def make_calls(
    size: Size, X: np.ndarray, n_epochs: int, batch_size: int
) -> dict[str, Callable[[], float]]:
    """Return the loop and skae, plain and compiled, and the loop with CUDA graphs."""
    rows = torch.from_numpy(X).to(DEVICE)

    def loop(module: Any) -> float:
        clock = Clock()
        c.train_loop(module, rows, n_epochs, batch_size, clock.tick)
        return clock.epoch

    def skae(compiles: bool) -> float:
        clock = Clock()
        settings = {"max_epochs": n_epochs, "batch_size": batch_size, "early_stopping": False}
        estimator = c.make_skae(size, callbacks=[clock], compile=compiles, **settings)
        estimator.set_params(device=DEVICE).fit(X)
        return clock.epoch

    def module() -> torch.nn.Module:
        return c.make_module(size).to(DEVICE)

    return {
        "loop": partial(loop, module()),
        "loop, compiled": partial(loop, torch.compile(module())),
        "loop, CUDA graphs": partial(loop, torch.compile(module(), mode="reduce-overhead")),
        "skae": partial(skae, compiles=False),
        "skae, compiled": partial(skae, compiles=True),
    }


ENTRIES: dict[str, Measure] = {name: partial(measure, name) for name in SIZES}


# The page -----------------------------------------------------------------------------


def bars(entries: Entries) -> list[Bar]:
    """Return no bars: times are absolute."""
    return []


def section(entries: Entries) -> str:
    """Return this part of the page."""
    if all("not_run" in entry for entry in entries.values()):
        return "Not run, because there was no GPU."
    parts = [
        "The module and all rows are on the device. The cost of an epoch is computed as above. "
        'CUDA graphs come from `torch.compile(mode="reduce-overhead")`. Times are absolute, and '
        "there are no bars.",
    ]
    for name, entry in entries.items():
        if "not_run" in entry:
            parts += [
                f"### On an accelerator, {titled(name)}",
                "Not run, because there was no GPU.",
            ]
            continue
        parts += [
            f"### On an accelerator, {titled(name)}",
            f"{entry['surroundings']['accelerator']}; fits of {entry['n_epochs']} epochs.",
            table(entry["seconds_per_epoch"]),
        ]
    return "\n\n".join(parts)


def table(found: dict[str, dict[str, list[float]]]) -> str:
    """Return the costs of an epoch by batch size."""
    rows = [
        [
            f"{label}, batch {batch}",
            median(values, 1000),
            spread(values, 1000),
            f"{ratio(values, costs['loop']):.2f}",
        ]
        for batch, costs in found.items()
        for label, values in costs.items()
    ]
    return markdown_table(["", "ms per epoch, median", "range", "relative to loop"], rows)

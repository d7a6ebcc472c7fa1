"""Absolute times on an accelerator, where there is one."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from _report import made_table, markdown_table

from . import _contestants as c
from ._bars import Bar, Entries, Measure
from ._tables import BY_NAME, Size, titled, train_and_test
from ._timing import alternate, median, ratio, seconds_of, spread

BATCH_SIZES = (1024, 4096)
NAMES = [*BY_NAME, "1000000x100"]
LARGE = Size(1_000_000, 100, (128, 64), 16, few=1, many=3, epochs=1, latent=20)
DEVICE = "cuda"


def measure(name: str, rounds: int) -> dict[str, Any]:
    """Return the seconds of an epoch on the device, by batch size and contestant."""
    if DEVICE == "cuda" and not torch.cuda.is_available():
        print("  not run: no GPU", flush=True)
        return {"seconds_per_epoch": None}
    size = BY_NAME.get(name, LARGE)
    X = train_and_test(size)[0] if name in BY_NAME else large_table()
    few, many = epochs_of(size)
    found = {}
    for batch_size in BATCH_SIZES:
        if batch_size > len(X):
            continue
        fits = make_fits(size, X, batch_size)
        for fit in fits.values():
            fit(few)
        found[str(batch_size)] = alternate(
            {label: partial(cost, fit, few, many) for label, fit in fits.items()}, rounds
        )
    return {"few": few, "many": many, "seconds_per_epoch": found}


def large_table() -> np.ndarray:
    """Return a large table in float32; its rows repeat, which costs no less."""
    part = made_table(100_000, LARGE.columns, n_latent=LARGE.latent).astype(np.float32)
    return np.tile(part, (LARGE.rows // len(part), 1))


def epochs_of(size: Size) -> tuple[int, int]:
    """Return epochs of the two fits: a GPU makes short work of small tables."""
    return 2, 2 + max(2, 1_000_000 // size.rows)


def cost(fit: Callable[[int], Any], few: int, many: int) -> float:
    """Return what an epoch adds to a fit."""
    return (seconds_of(partial(fit, many)) - seconds_of(partial(fit, few))) / (many - few)


def make_fits(size: Size, X: np.ndarray, batch_size: int) -> dict[str, Callable[[int], Any]]:
    """Return the loop and skae, each as it is, compiled, and the loop with CUDA graphs too.

    Modules of the loop are compiled once and trained on, for to compile is what a fit does
    once; skae compiles in every fit, which the difference of two fits leaves out.
    """
    rows = torch.from_numpy(X).to(DEVICE)

    def loop(compiled: Callable[[torch.nn.Module], Any]) -> Callable[[int], None]:
        module = compiled(c.make_module(size).to(DEVICE))

        def fit(n_epochs: int) -> None:
            c.train_loop(module, rows, n_epochs, batch_size)
            if DEVICE == "cuda":
                torch.cuda.synchronize()

        return fit

    def skae(n_epochs: int, compiles: bool) -> None:
        estimator = c.make_skae(
            size,
            max_epochs=n_epochs,
            batch_size=batch_size,
            early_stopping=False,
            compile=compiles,
        )
        estimator.set_params(device=DEVICE).fit(X)

    return {
        "loop": loop(lambda module: module),
        "loop, compiled": loop(torch.compile),
        "loop, CUDA graphs": loop(partial(torch.compile, mode="reduce-overhead")),
        "skae": partial(skae, compiles=False),
        "skae, compiled": partial(skae, compiles=True),
    }


ENTRIES: dict[str, Measure] = {name: partial(measure, name) for name in NAMES}


# The page -----------------------------------------------------------------------------


def bars(entries: Entries) -> list[Bar]:
    """Return none: absolute times count here."""
    return []


def section(entries: Entries) -> str:
    """Return this part of the page."""
    if all(entry["seconds_per_epoch"] is None for entry in entries.values()):
        return "Not run: no GPU."
    parts = [
        "The same module and rows, wholly on the device. An epoch's cost is what it adds to a fit, "
        'as above. CUDA graphs are `torch.compile(mode="reduce-overhead")`\'s. Absolute times '
        "count here; there are no bars.",
    ]
    for name, entry in entries.items():
        if entry["seconds_per_epoch"] is None:
            parts += [f"### On an accelerator, {titled(name)}", "Not run: no GPU."]
            continue
        parts += [
            f"### On an accelerator, {titled(name)}",
            f"{entry['surroundings']['accelerator']}; fits of {entry['few']} and {entry['many']} "
            "epochs.",
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
    return markdown_table(["", "ms per epoch, median", "least to most", "to the loop"], rows)

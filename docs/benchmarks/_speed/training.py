"""The cost of an epoch in skae and its peers, and its distance from the limit."""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from _report import markdown_table

from . import _contestants as c
from ._bars import Bar, Entries, Measure, at_least, at_most
from ._tables import BY_NAME, SIZES, Size, titled, train_and_test
from ._timing import alternate, median, ratio, seconds_of, spread

BATCH_SIZE = 256

#: Timed for information, and only on tables of few columns, because they are slow on wide ones.
ASIDE = ("loop default batch", "skae early stopping", "loop plain")
MANY_COLUMNS = 100

#: Fits for a number of epochs.
Fit = Callable[[int], Any]

#: The contestants on the page, and additional measurements.
LABELS = {
    "loop": "loop",
    "skae": "skae",
    "skorch": "skorch",
    "pyod": "PyOD",
    "mlp": "MLPRegressor",
    "skae default batch": "skae, default batch",
    "loop default batch": "loop, default batch of skae",
    "skae early stopping": "skae, early stopping",
    "loop plain": "loop, plain network",
    "products": "matrix products alone",
}


def measure(size: Size, rounds: int) -> dict[str, Any]:
    """Return the cost of an epoch of each contestant on a table, and the held-out errors."""
    train, test = train_and_test(size)
    fits = make_fits(size, train)
    for fit in fits.values():
        fit(size.few)
    cpu: dict[str, list[float]] = {name: [] for name in fits}
    calls = {name: partial(cost, size, fit, cpu[name]) for name, fit in fits.items()}
    costs = alternate(calls, rounds)
    batch = c.fit_skae(size, train, 1, "auto").net_.batch_size
    return {
        "settings": {"hidden": size.hidden, "code": size.code, "few": size.few, "many": size.many},
        "default_batch": batch,
        "seconds_per_epoch": costs,
        "cpu_seconds_per_epoch": cpu,
        "held_out": held_out_errors(size, train, test),
    }


def cost(size: Size, fit: Fit, cpu: list[float]) -> float:
    """Return the time that an epoch adds to a fit, without what a fit does once.

    The processor time is appended to `cpu`. On one thread it is the wall time without the time
    taken by other processes.
    """
    began = time.process_time()
    few = seconds_of(partial(fit, size.few))
    between = time.process_time()
    many = seconds_of(partial(fit, size.many))
    ended = time.process_time()
    n_epochs = size.many - size.few
    cpu.append(((ended - between) - (between - began)) / n_epochs)
    return (many - few) / n_epochs


def make_fits(size: Size, X: np.ndarray) -> dict[str, Fit]:
    """Return the contestants on a table."""
    default = c.fit_skae(size, X, 1, "auto").net_.batch_size
    products = c.products_of_a_step(c.make_module(size), X[:BATCH_SIZE])
    fits: dict[str, Fit] = {
        "loop": lambda n: c.fit_loop(c.make_module(size), X, n, BATCH_SIZE),
        "skae": lambda n: c.fit_skae(size, X, n, BATCH_SIZE),
        "skorch": lambda n: c.fit_skorch(size, X, n, BATCH_SIZE),
        "mlp": lambda n: c.fit_mlp(
            size, X, batch_size=BATCH_SIZE, max_iter=n, tol=0, n_iter_no_change=10**9
        ),
        "skae default batch": lambda n: c.fit_skae(size, X, n, "auto"),
        "loop default batch": lambda n: c.fit_loop(c.make_module(size), X, n, default),
        "skae early stopping": lambda n: c.fit_skae(
            size, X, n, BATCH_SIZE, early_stopping=True, n_iter_no_change=10**6
        ),
        "loop plain": lambda n: c.fit_loop(c.make_plain(size), X, n, BATCH_SIZE),
        "products": lambda n: c.run_products(products, len(X), n, BATCH_SIZE),
    }
    if c.HAS_PYOD:
        widths = [*size.hidden, size.code]
        fits["pyod"] = lambda n: c.fit_pyod(
            X, hidden_neuron_list=widths, batch_size=BATCH_SIZE, epoch_num=n
        )
    left_out = ASIDE if size.columns > MANY_COLUMNS else ()
    return {name: fits[name] for name in LABELS if name in fits and name not in left_out}


def held_out_errors(size: Size, train: np.ndarray, test: np.ndarray) -> dict[str, Any]:
    """Return the errors of skae with its default batch and of the loop, after equal epochs."""
    errors: dict[str, list[float]] = {"skae default batch": [], "loop": []}
    for seed in range(size.seeds):
        loop = c.fit_loop(c.make_module(size, seed), train, size.epochs, BATCH_SIZE)
        errors["loop"].append(c.squared_error(c.rebuild_with_module(loop, test), test))
        skae = c.fit_skae(size, train, size.epochs, "auto", seed=seed)
        errors["skae default batch"].append(c.squared_error(skae.reconstruct(test), test))
    print(f"  held-out errors after {size.epochs} epochs: {errors}", flush=True)
    return {"epochs": size.epochs, "errors": errors}


ENTRIES: dict[str, Measure] = {name: partial(measure, size) for name, size in BY_NAME.items()}


# The page -----------------------------------------------------------------------------


def bars(entries: Entries) -> list[Bar]:
    """Return the bars of all measured sizes."""
    found: list[Bar] = []
    for name, entry in entries.items():
        costs, size = entry["seconds_per_epoch"], titled(name)
        found.append(
            at_most(f"(1a) time of an epoch, skae / loop, {size}", of(costs, "skae", "loop"), 1.05)
        )
        found.append(default_batch_bar(entry, size))
        peers = [("1b", "skorch", 2.5), ("1c", "pyod", 4.0), ("1d", "mlp", 1.0)]
        for number, peer, least in peers:
            is_small = BY_NAME.get(name, SIZES[0]).rows < 10_000
            if peer in costs and not (peer == "mlp" and is_small):
                title = f"({number}) time of an epoch, {LABELS[peer]} / skae, {size}"
                found.append(at_least(title, of(costs, peer, "skae"), least))
    return sorted(found, key=lambda bar: bar.name[:4])


def default_batch_bar(entry: dict[str, Any], size: str) -> Bar:
    """Return the bar on time with the default batch, which also requires as low an error."""
    costs, errors = entry["seconds_per_epoch"], entry["held_out"]["errors"]
    value = of(costs, "skae default batch", "loop")
    ours, theirs = (statistics.median(errors[name]) for name in ("skae default batch", "loop"))
    return Bar(
        f"(1a) time of an epoch, skae with its default batch of {entry['default_batch']} / loop "
        f"with {BATCH_SIZE}, {size}",
        "≤ 0.8, error no higher",
        f"{value:.3g}, error {ours:.4g} against {theirs:.4g}",
        value <= 0.8 and ours <= theirs,
    )


def of(costs: dict[str, list[float]], numerator: str, denominator: str) -> float:
    """Return a ratio of median costs."""
    return ratio(costs[numerator], costs[denominator])


def section(entries: Entries) -> str:
    """Return this part of the page."""
    parts = [
        "All contestants use the same rows, network widths, batch size and number of epochs, on "
        "one thread. The loop, skae and skorch train the same module, "
        "`skae.modules.mlp_autoencoder`, with AdamW. The network of PyOD has batch normalization "
        "and dropout. MLPRegressor uses ReLU and a nonlinear code. The cost of an epoch is the "
        "time of a fit of many epochs less the time of a fit of few epochs, divided by the "
        "difference in epochs; this leaves out what a fit does once. PyOD skips the last batch of "
        "an epoch if it is not full. The first five rows and the default batch of skae have bars. "
        "The other rows are for information, and some are left out on wide tables. Ratios and bars "
        "are of wall times. Ratios of processor times are shown next to them, because these depend "
        "less on other processes.",
        "The limit is the time of the matrix products of a training step alone, each computed "
        "directly or transposed, whichever is faster. The share of the limit is this time divided "
        "by the time of an epoch.",
    ]
    if not c.HAS_PYOD and not any("pyod" in e["seconds_per_epoch"] for e in entries.values()):
        parts.append(c.WITHOUT_PYOD)
    for name, entry in entries.items():
        parts += [f"### {titled(name)}", describe(entry), table(entry), below(entry)]
    return "\n\n".join(parts)


def describe(entry: dict[str, Any]) -> str:
    """Return the network and the length of the training."""
    settings = entry["settings"]
    rounds = len(entry["seconds_per_epoch"]["skae"])
    return (
        f"Hidden layers {tuple(settings['hidden'])}, code {settings['code']}; fits of "
        f"{settings['few']} and {settings['many']} epochs; {rounds} rounds after a warm-up; "
        f"batches of {BATCH_SIZE}. The default batch of skae has {entry['default_batch']} rows "
        "here."
    )


def table(entry: dict[str, Any]) -> str:
    """Return the costs of an epoch."""
    costs, cpu = entry["seconds_per_epoch"], entry["cpu_seconds_per_epoch"]
    rows = [
        [
            LABELS[name],
            median(values, 1000),
            spread(values, 1000),
            f"{of(costs, name, 'loop'):.2f}",
            f"{of(costs, name, 'skae'):.2f}",
            f"{of(cpu, name, 'loop'):.2f}",
            f"{of(cpu, name, 'skae'):.2f}",
        ]
        for name, values in costs.items()
    ]
    header = ["", "ms per epoch, median", "range", "relative to loop", "relative to skae"]
    return markdown_table([*header, "CPU, relative to loop", "CPU, relative to skae"], rows)


def below(entry: dict[str, Any]) -> str:
    """Return the share of the limit and the errors."""
    costs, held_out = entry["seconds_per_epoch"], entry["held_out"]
    errors = "; ".join(
        f"{LABELS[name]} {median(values)} ({spread(values)})"
        for name, values in held_out["errors"].items()
    )
    return (
        f"Share of the limit: skae {of(costs, 'products', 'skae'):.2f}, the loop "
        f"{of(costs, 'products', 'loop'):.2f}. Held-out squared error after "
        f"{held_out['epochs']} epochs, median over seeds and range: {errors}."
    )

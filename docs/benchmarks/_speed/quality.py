"""Seconds until skae reaches the error of each peer after its default training."""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from _report import markdown_table
from skorch import NeuralNet
from skorch.callbacks import Callback

from . import _contestants as c
from ._bars import Bar, Entries, Measure, at_least
from ._tables import BY_NAME, Size, titled, train_and_test
from ._timing import median, repeated, spread

LOOP_EPOCHS, LOOP_BATCH = 20, 256
BUDGET = 20.0  # seconds after which no further fit of a contestant starts
LONG = 2.0  # seconds of training above which a peer has a bar
FACTOR = 10.0
# A loop in batches of 256 rows is itself near what these widths allow.
WIDE_LOOP_FACTOR = 3.0

LABELS = {
    "pyod": "PyOD AutoEncoder()",
    "mlp": "MLPRegressor",
    "skorch": "skorch NeuralNetRegressor",
    "loop": f"loop, {LOOP_EPOCHS} epochs",
}

#: Fits, and returns the seconds of the fits and held-out rows as they are reconstructed.
Peer = Callable[[np.ndarray], Any]


class Curve(Callback):
    """Record the held-out error before training and after each epoch.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        The held-out rows, scaled as the network expects them.
    """

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = torch.from_numpy(rows)

    def begin(self) -> None:
        """Start the clock."""
        self.began_, self.measuring_ = time.perf_counter(), 0.0
        self.points_: list[tuple[float, float]] = []

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Measure the initial PCA solution."""
        self._measure(net.module_)

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Measure after the epoch."""
        self._measure(net.module_)

    def _measure(self, module: torch.nn.Module) -> None:
        now = time.perf_counter()
        with torch.no_grad():  # without dropout the mode does not matter
            error = float((module(self.rows) - self.rows).square().mean())
        self.points_.append((now - self.began_ - self.measuring_, error))
        self.measuring_ += time.perf_counter() - now


def measure(size: Size, rounds: int) -> dict[str, Any]:
    """Return the times and errors of the peers on a table, and the errors of skae over time."""
    train, test = train_and_test(size)
    found: dict[str, Any] = {"skae": measure_skae(size, train, test, rounds), "peers": {}}
    for name, (fit, rebuild) in make_peers(size).items():
        fit(train[:512])
        seconds, model = repeated(partial(fit, train), rounds, BUDGET)
        error = c.squared_error(rebuild(model, test), test)
        found["peers"][name] = {"seconds": seconds, "error": error}
        reached = reached_after(found["skae"], error)
        print(f"  {name}: {seconds} s, error {error:.4f}, skae after {reached} s", flush=True)
    return found


def measure_skae(
    size: Size, train: np.ndarray, test: np.ndarray, rounds: int
) -> dict[str, list[Any]]:
    """Return the errors of skae before training and after each epoch, and the fit times."""
    curve = Curve(test)
    estimator = c.make_skae(size, callbacks=[curve])
    curve.begin()
    c.make_skae(size, max_epochs=1).fit(train[:600])  # a warm-up
    runs: list[list[tuple[float, float]]] = []
    seconds: list[float] = []
    while not runs or (len(runs) < rounds and sum(seconds) < BUDGET):
        curve.begin()
        estimator.fit(train)
        seconds.append(time.perf_counter() - curve.began_ - curve.measuring_)
        runs.append(curve.points_)
    error = c.squared_error(estimator.reconstruct(test), test)
    print(f"  skae: {seconds} s, error {error:.4f}", flush=True)
    return {
        "seconds": seconds,
        "error": error,
        "batch_size": estimator.net_.batch_size,
        "times": [[time for time, _ in run] for run in runs],
        "errors": [error for _, error in runs[-1]],
    }


def make_peers(size: Size) -> dict[str, tuple[Peer, Callable[[Any, np.ndarray], np.ndarray]]]:
    """Return the peers with their defaults, and their reconstruction functions."""

    def fit_loop(X: np.ndarray) -> torch.nn.Module:
        return c.fit_loop(c.make_module(size), X, LOOP_EPOCHS, LOOP_BATCH)

    peers = {
        "loop": (fit_loop, c.rebuild_with_module),
        "skorch": (lambda X: c.make_skorch(size).fit(X, X), lambda net, X: net.predict(X)),
        "mlp": (lambda X: c.fit_mlp(size, X), lambda model, X: model.predict(X)),
    }
    if c.HAS_PYOD:
        peers["pyod"] = (c.fit_pyod, c.rebuild_with_pyod)
    return peers


def reached_after(skae: dict[str, Any], error: float) -> float | None:
    """Return the seconds until the error of skae was as low, or None if it never was."""
    for epoch, ours in enumerate(skae["errors"]):
        if ours <= error:
            return statistics.median(times[epoch] for times in skae["times"])
    return None


ENTRIES: dict[str, Measure] = {name: partial(measure, size) for name, size in BY_NAME.items()}


# The page -----------------------------------------------------------------------------


def bars(entries: Entries) -> list[Bar]:
    """Return a bar for each peer that trains for long, by size."""
    found = []
    for name, entry in entries.items():
        for peer, theirs in entry["peers"].items():
            seconds = statistics.median(theirs["seconds"])
            if seconds <= LONG:
                continue
            title = f"(3) training time, {LABELS[peer]} / skae at the same error, {titled(name)}"
            reached = reached_after(entry["skae"], theirs["error"])
            is_wide_loop = (peer, name) == ("loop", "60000x784")
            factor = WIDE_LOOP_FACTOR if is_wide_loop else FACTOR
            if reached is None:
                found.append(Bar(title, f"≥ {factor:g}", "its error is not reached", False))
            else:
                found.append(at_least(title, seconds / reached, factor))
    return found


def section(entries: Entries) -> str:
    """Return this part of the page."""
    parts = [
        "Each peer trains with its default settings. PyOD uses its own widths, and the others use "
        "those of skae. The code and hidden layers of skae are as above, and everything else is "
        f"its default. The loop takes {LOOP_EPOCHS} epochs in batches of {LOOP_BATCH}. One "
        "held-out row per ten training rows measures the error, the squared error in units of the "
        "column variances. The time of skae runs from the call of `fit` to the end of the first "
        "epoch with as low an error (or to the initial PCA solution), without the time of "
        "measuring the error. The whole fit takes longer, and returns weights selected by held-out "
        f"rows of its own. Fits are repeated until {BUDGET:g} s have passed, and run at least "
        f"once. A peer that trains for {LONG:g} s or less has no bar.",
    ]
    if not c.HAS_PYOD and not any("pyod" in entry["peers"] for entry in entries.values()):
        parts.append(c.WITHOUT_PYOD)
    for name, entry in entries.items():
        parts += [f"### Error on {titled(name)}", table(entry)]
    return "\n\n".join(parts)


def table(entry: dict[str, Any]) -> str:
    """Return the times of the peers, and the times of skae to the same errors."""
    skae = entry["skae"]
    rows = [
        ["skae, whole fit", *_cells(skae["seconds"], skae["error"]), "", ""],
        ["skae, initial PCA", *_cells([t[0] for t in skae["times"]], skae["errors"][0]), "", ""],
    ]
    for peer, theirs in entry["peers"].items():
        reached = reached_after(skae, theirs["error"])
        times = "" if reached is None else f"{statistics.median(theirs['seconds']) / reached:.3g}"
        after = "not reached" if reached is None else f"{reached:.3g}"
        rows.append([LABELS[peer], *_cells(theirs["seconds"], theirs["error"]), after, times])
    header = ["", "seconds", "range", "held-out error", "skae reaches it after, s", "ratio"]
    return markdown_table(header, rows)


def _cells(seconds: list[float], error: float) -> list[str]:
    return [median(seconds), spread(seconds), f"{error:.4f}"]

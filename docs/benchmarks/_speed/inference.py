"""The overhead of a fitted estimator over its bare module."""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from _report import made_table, markdown_table

from ._bars import Bar, Entries, Measure, at_least, at_most
from ._contestants import make_skae
from ._tables import Size, titled
from ._timing import alternate, median, ratio, seconds_of, spread

#: The rows for `transform`, and fewer rows for `score_samples`, which is much slower.
LARGE = {
    "200000x30": (Size(200_000, 30, (128, 64), 8, few=1, many=1, epochs=1), 50_000),
    "20000x784": (Size(20_000, 784, (256, 128), 32, few=1, many=1, epochs=1, latent=20), 1_000),
}
BLOCK = 8192
N_CALLS = 300

Call = Callable[[], Any]


def measure(name: str, rounds: int) -> dict[str, Any]:
    """Return times of the three methods and of the bare module, for many rows and for one."""
    size, n_scored = LARGE[name]
    X = made_table(size.rows, size.columns, n_latent=size.latent).astype(np.float32)
    estimator = make_skae(size, max_epochs=1, early_stopping=False).fit(X[:5000])
    large = make_calls(estimator, X, n_scored)
    for calls in large.values():
        for call in calls.values():
            call()
    flat = {
        f"{method}, {how}": partial(seconds_of, call)
        for method, calls in large.items()
        for how, call in calls.items()
    }
    times = alternate(flat, rounds)
    seconds = {
        method: {how: times[f"{method}, {how}"] for how in calls} for method, calls in large.items()
    }
    one = make_calls(estimator, X[:1], 1)
    return {
        "n_scored": n_scored,
        "large": seconds,
        "one_row": {method: time_one_row(calls) for method, calls in one.items()},
    }


def make_calls(estimator: Any, X: np.ndarray, n_scored: int) -> dict[str, dict[str, Call]]:
    """Return each method and its bare counterpart, in the same precision.

    The bare module takes and returns scaled rows, at once or in blocks. The counterpart of
    `score_samples` is the density of scaled rows in float64, in the same blocks.
    """
    codes = estimator.transform(X)
    scored = X[:n_scored]
    state, module = estimator._fitted, estimator.module_
    rows = torch.from_numpy(state.scaling.forward(X, X.dtype))
    rows_64 = torch.from_numpy(state.scaling.forward(scored, np.float64))
    density = partial(state.density.log_density, state.trained.in_precision(torch.float64))
    return {
        "transform": {
            "skae": partial(estimator.transform, X),
            "whole": partial(bare, module.encode, rows, len(rows)),
            "blocks": partial(bare, module.encode, rows, BLOCK),
        },
        "inverse_transform": {
            "skae": partial(estimator.inverse_transform, codes),
            "whole": partial(bare, module.decode, torch.from_numpy(codes), len(rows)),
            "blocks": partial(bare, module.decode, torch.from_numpy(codes), BLOCK),
        },
        "score_samples": {
            "skae": partial(estimator.score_samples, scored),
            "density": partial(bare_density, density, rows_64, state.density.block_length()),
        },
    }


@torch.inference_mode()
def bare(function: Callable[[torch.Tensor], torch.Tensor], rows: torch.Tensor, n: int) -> Any:
    """Return a function that calls the module on `n` rows at a time."""
    if n >= len(rows):
        return function(rows)
    return torch.cat([function(block) for block in rows.split(n)])


@torch.no_grad()
def bare_density(function: Any, rows: torch.Tensor, n: int) -> torch.Tensor:
    """Return densities; inference mode would forbid the gradients in their Jacobians."""
    return torch.cat([function(block) for block in rows.split(n)])


def time_one_row(calls: dict[str, Call]) -> dict[str, list[float]]:
    """Return quartiles of the seconds of each call, and of the overhead of skae."""
    bare_name = "density" if "density" in calls else "whole"
    pair = {"skae": calls["skae"], "bare": calls[bare_name]}
    times: dict[str, list[float]] = {name: [] for name in pair}
    for number in range(N_CALLS + 20):
        for name, call in pair.items():
            began = time.perf_counter()
            call()
            if number >= 20:  # earlier calls are a warm-up
                times[name].append(time.perf_counter() - began)
    times["more"] = [
        ours - theirs for ours, theirs in zip(times["skae"], times["bare"], strict=True)
    ]
    return {name: statistics.quantiles(values, n=4) for name, values in times.items()}


ENTRIES: dict[str, Measure] = {name: partial(measure, name) for name in LARGE}


# The page -----------------------------------------------------------------------------


def fastest(times: dict[str, list[float]]) -> list[float]:
    """Return the times of the faster way to call the bare module."""
    return min((t for how, t in times.items() if how != "skae"), key=statistics.median)


def bars(entries: Entries) -> list[Bar]:
    """Return the bars for many rows and for one."""
    found = []
    for name, entry in entries.items():
        for method, times in entry["large"].items():
            title = f"(4) throughput of `{method}`, skae / bare module, {titled(name)}"
            found.append(at_least(title, ratio(fastest(times), times["skae"]), 0.9))
        for method, quartiles in entry["one_row"].items():
            title = f"(4) overhead of `{method}` for one row of {name.partition('x')[2]} columns"
            more = 1000 * (quartiles["skae"][1] - quartiles["bare"][1])
            found.append(at_most(title, more, 0.5, " ms"))
    return found


def section(entries: Entries) -> str:
    """Return this part of the page."""
    parts = [
        "The rows are float32, and the module comes from a fit. The bare module is "
        "`module_.encode` or `module_.decode` on a tensor under `torch.inference_mode()`, for all "
        f"rows at once or in blocks of {BLOCK} rows, whichever is faster. It takes and returns "
        "scaled rows, while the estimator also validates and scales them. `score_samples` is "
        "compared with the density function itself, applied to scaled rows in float64 and in the "
        "same blocks (under `torch.no_grad()`, because it needs gradients), so the difference is "
        f"validation and scaling. For one row, the figures are medians over {N_CALLS} calls of "
        "each in turn, and the overhead is the difference of the medians.",
    ]
    for name, entry in entries.items():
        parts += [f"### Calls on {titled(name)}", large_table(name, entry), one_table(entry)]
    return "\n\n".join(parts)


def large_table(name: str, entry: dict[str, Any]) -> str:
    """Return the times of many rows."""
    all_rows = int(name.partition("x")[0])
    rows = []
    for method, times in entry["large"].items():
        n_rows = entry["n_scored"] if method == "score_samples" else all_rows
        theirs = fastest(times)
        rows.append(
            [
                f"`{method}`",
                f"{n_rows:,}",
                median(times["skae"], 1000),
                spread(times["skae"], 1000),
                median(theirs, 1000),
                spread(theirs, 1000),
                f"{n_rows / statistics.median(times['skae']):,.0f}",
                f"{ratio(theirs, times['skae']):.2f}",
            ]
        )
    header = ["", "rows", "skae, ms", "range", "bare, ms", "range"]
    return markdown_table([*header, "rows per second", "relative throughput"], rows)


def one_table(entry: dict[str, Any]) -> str:
    """Return the times of one row."""
    rows = [
        [
            f"`{method}`, one row",
            *(f"{1000 * quartiles[who][1]:.3f}" for who in ("skae", "bare")),
            f"{1000 * (quartiles['skae'][1] - quartiles['bare'][1]):.3f}",
            f"{1000 * quartiles['more'][0]:.3f} to {1000 * quartiles['more'][2]:.3f}",
        ]
        for method, quartiles in entry["one_row"].items()
    ]
    return markdown_table(
        ["", "skae, ms", "bare, ms", "overhead, ms", "quartiles of the overhead"], rows
    )

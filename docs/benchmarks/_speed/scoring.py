"""The speed and memory of scores relative to peers that are fitted to the same rows."""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from _report import made_table, markdown_table
from sklearn.ensemble import IsolationForest
from sklearn.mixture import GaussianMixture

import skae

from . import _fresh
from ._bars import Bar, Entries, Measure, at_least, at_most
from ._contestants import HAS_PYOD, SEED, WITHOUT_PYOD, fit_pyod
from ._tables import titled
from ._timing import alternate, median, spread

N_ROWS, N_COLUMNS = 10_000, 30
N_CALLS = 100
N_EXPLAINED = 4
WIDE_COLUMNS = 200

#: Rows whose memory is measured.
N_LARGE = 200_000

DETECTOR, FOREST, PYOD = "AEAnomalyDetector", "IsolationForest", "PyOD AutoEncoder"
MIXTURE = "GaussianMixture(10)"

#: Rows a second that are asked for where the mixture has `MIXTURE_ROWS`.
DENSITIES = {
    "AutoencoderTransformer": 40_000,
    "VAETransformer": 15_000,
    "DenoisingAutoencoder": 10_000,
}
MIXTURE_ROWS = 541_000

Score = Callable[[np.ndarray], Any]


def processor_seconds_of(call: Callable[[], Any]) -> float:
    """Return the processor's time of a call, which a busy machine changes less than wall time."""
    began = time.process_time()
    call()
    return time.process_time() - began


def measure_rows(rounds: int) -> dict[str, Any]:
    """Return the seconds of scores of many rows and of one, for each contestant."""
    X = made_table(N_ROWS, N_COLUMNS, seed=SEED).astype(np.float32)
    scores = fit_all(X)
    for score in scores.values():
        score(X)
    many = {
        name: partial(processor_seconds_of, partial(score, X)) for name, score in scores.items()
    }
    seconds = alternate(many, rounds)
    one = {
        name: partial(processor_seconds_of, partial(score, X[:1])) for name, score in scores.items()
    }
    one_row: dict[str, list[float]] = {name: [] for name in one}
    for number in range(N_CALLS + 10):
        for name, call in one.items():
            taken = call()
            if number >= 10:  # earlier calls are a warm-up
                one_row[name].append(taken)
    quartiles = {name: statistics.quantiles(times, n=4) for name, times in one_row.items()}
    return {"many": seconds, "one_row": quartiles}


def fit_all(X: np.ndarray) -> dict[str, Score]:
    """Return the scores of all contestants, fitted to rows."""
    scores: dict[str, Score] = {
        FOREST: IsolationForest(random_state=SEED).fit(X).score_samples,
        MIXTURE: GaussianMixture(10, random_state=SEED).fit(X).score_samples,
        DETECTOR: skae.AEAnomalyDetector(random_state=SEED).fit(X).score_samples,
    }
    if HAS_PYOD:
        scores[PYOD] = fit_pyod(X).decision_function
    for name in DENSITIES:
        scores[name] = make_estimator(name).fit(X).score_samples
    return scores


def make_estimator(name: str) -> Any:
    """Return an estimator with its defaults, and a denoiser without a code."""
    settings = {"n_components": None} if name == "DenoisingAutoencoder" else {}
    return getattr(skae, name)(random_state=SEED, **settings)


def measure_reasons(rounds: int) -> dict[str, Any]:
    """Return the seconds that the explanation of a row takes, by the number of columns."""
    calls = {}
    for n_columns in (N_COLUMNS, WIDE_COLUMNS):
        X = made_table(N_ROWS // 2, n_columns, seed=SEED)
        detector = skae.AEAnomalyDetector(random_state=SEED).fit(X)
        odd = X[:N_EXPLAINED].copy()
        odd[np.arange(N_EXPLAINED), np.arange(N_EXPLAINED)] += 8.0
        detector.explain(odd)
        calls[str(n_columns)] = partial(processor_seconds_of, partial(detector.explain, odd))
    seconds = alternate(calls, rounds)
    return {name: [each / N_EXPLAINED for each in times] for name, times in seconds.items()}


def measure_memory(rounds: int) -> dict[str, Any]:
    """Return the MiB beyond the rows that scores of many rows take, each in a new process."""
    shape = {"rows": N_LARGE, "columns": N_COLUMNS}
    return {
        name: _fresh.run("_speed._scoring_process", {"name": name, **shape})["mib"]
        for name in (DETECTOR, *DENSITIES)
    }


ENTRIES: dict[str, Measure] = {
    "rows": measure_rows,
    "reasons": measure_reasons,
    "memory": measure_memory,
}


# The page -----------------------------------------------------------------------------


def rate(times: list[float]) -> float:
    """Return rows a second."""
    return N_ROWS / statistics.median(times)


def bars(entries: Entries) -> list[Bar]:
    """Return the bars on rows a second, on one row, on reasons and on memory."""
    found = []
    if "rows" in entries:
        many, one = entries["rows"]["many"], entries["rows"]["one_row"]
        own = rate(many[DETECTOR])
        title = "(8) rows a second, detector / "
        if PYOD in many:
            found.append(at_least(title + PYOD, own / rate(many[PYOD]), 1))
        found.append(at_least(title + FOREST, own / rate(many[FOREST]), 0.25))
        title = f"(8) time of one row, detector / {FOREST}"
        found.append(at_most(title, one[DETECTOR][1] / one[FOREST][1], 1 / 3))
        for name, asked in DENSITIES.items():
            title = f"(8) rows a second of `score_samples`, {name} / {MIXTURE}"
            found.append(at_least(title, rate(many[name]) / rate(many[MIXTURE]), _share(asked)))
    for columns, limit in ((N_COLUMNS, 0.05), (WIDE_COLUMNS, 1.0)):
        if times := entries.get("reasons", {}).get(str(columns)):
            title = f"(8) reasons of a row of {columns} columns"
            found.append(at_most(title, statistics.median(times), limit, " s"))
    for name in (DETECTOR, *DENSITIES):
        if (mib := entries.get("memory", {}).get(name)) is not None:
            title = f"(8) memory of the scores of {titled(f'{N_LARGE}x{N_COLUMNS}')}, {name}"
            found.append(at_most(title, mib, 64, " MiB"))
    return found


def _share(asked: int) -> float:
    return round(asked / MIXTURE_ROWS, 4)


def section(entries: Entries) -> str:
    """Return this part of the page."""
    table, large = titled(f"{N_ROWS}x{N_COLUMNS}"), titled(f"{N_LARGE}x{N_COLUMNS}")
    parts = [
        "All estimators have their defaults, the denoiser no code, and are fitted to "
        f"{table} rows of float32, which they score. They take turns in one process on one "
        "thread; times are those of the processor. For one row, the figures are medians and "
        f"quartiles over {N_CALLS} calls of each "
        "in turn. Reasons are those of rows with one cell changed by 8. Memory is the growth of "
        f"the process's peak while {large} rows of float32, 23 MiB, are scored.",
    ]
    if "rows" in entries:
        parts.append(_rows_table(entries["rows"]))
        if PYOD not in entries["rows"]["many"]:
            parts.append(WITHOUT_PYOD)
    if reasons := entries.get("reasons"):
        rows = [
            [name, median(reasons[name]), spread(reasons[name])]
            for name in (str(N_COLUMNS), str(WIDE_COLUMNS))
        ]
        parts.append(markdown_table(["columns", "seconds a row of `explain`", "range"], rows))
    if memory := entries.get("memory"):
        rows = [
            [name, "not measured" if memory[name] is None else f"{memory[name]:.0f}"]
            for name in (DETECTOR, *DENSITIES)
        ]
        parts.append(markdown_table(["", "MiB"], rows))
    return "\n\n".join(parts)


def _rows_table(entry: dict[str, Any]) -> str:
    many, one = entry["many"], entry["one_row"]
    rows = [
        [
            name,
            f"{rate(times):,.0f}",
            f"{N_ROWS / max(times):,.0f} to {N_ROWS / min(times):,.0f}",
            f"{1000 * one[name][1]:.2f}",
            f"{1000 * one[name][0]:.2f} to {1000 * one[name][2]:.2f}",
        ]
        for name, times in many.items()
    ]
    return markdown_table(["", "rows a second", "range", "one row, ms", "quartiles"], rows)

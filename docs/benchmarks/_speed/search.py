"""A grid search by one job and by two, and a fit beside a busy process."""

from functools import partial
from typing import Any

from _report import markdown_table

from . import _fresh
from ._bars import Bar, Entries, Measure, at_most
from ._timing import median, ratio, spread

SEARCH_ROUNDS = 3


def measure(what: str, rounds: int) -> dict[str, Any]:
    """Return times from a process of its own, whose threads nobody has set."""
    rounds = min(rounds, SEARCH_ROUNDS) if what == "search" else rounds
    given = {"what": what, "rounds": rounds}
    return _fresh.run("_speed._search_process", given, with_threads=False)


ENTRIES: dict[str, Measure] = {what: partial(measure, what) for what in ("search", "busy")}

BARS = {
    "search": ("(6) a search by two jobs to one's", "two jobs", "one job", 0.7),
    "busy": ("(6) a fit beside a busy process to an idle one's", "beside one", "idle", 2.5),
}
TEXTS = {
    "search": "`GridSearchCV(cv=3)` of `AutoencoderTransformer` over 8 settings (2 `n_components`, "
    "2 `hidden_layer_sizes`, 2 `lr`), 15 epochs at most, on 10,000 x 30; and of PCA over 8 "
    f"`n_components`. {SEARCH_ROUNDS} rounds, after the workers were started and had fitted "
    "something. By its nature PCA's is far less work.",
    "busy": "A fit of 30 epochs on 10,000 x 30, beside processes that multiply matrices of 300 "
    "x 300 without end, on one thread each.",
}


def bars(entries: Entries) -> list[Bar]:
    """Return the bar of each entry."""
    found = []
    for name, entry in entries.items():
        title, numerator, denominator, limit = BARS[name]
        seconds = entry["seconds"]
        found.append(at_most(title, ratio(seconds[numerator], seconds[denominator]), limit))
    return found


def section(entries: Entries) -> str:
    """Return this part of the page."""
    parts = ["In processes of their own, whose threads are as packages set them."]
    for name, entry in entries.items():
        parts += [
            f"### {name.capitalize()}",
            f"{TEXTS[name]} Torch threads {entry['torch_threads']}, BLAS threads "
            f"{entry['blas_threads']}, before skae sets its own.",
            table(name, entry["seconds"]),
        ]
    return "\n\n".join(parts)


def table(name: str, seconds: dict[str, list[float]]) -> str:
    """Return the times."""
    beside = BARS[name][2]
    rows = [
        [label, median(values), spread(values), f"{ratio(values, seconds[beside]):.3g}"]
        for label, values in seconds.items()
    ]
    return markdown_table(["", "seconds", "least to most", f"to `{beside}`"], rows)

"""A grid search with one and two jobs, and a fit next to a busy process."""

from functools import partial
from typing import Any

from _report import markdown_table

from . import _fresh
from ._bars import Bar, Entries, Measure, at_most
from ._timing import median, ratio, spread

SEARCH_ROUNDS = 3


def measure(what: str, rounds: int) -> dict[str, Any]:
    """Return times from a separate process with default numbers of threads."""
    rounds = min(rounds, SEARCH_ROUNDS) if what == "search" else rounds
    given = {"what": what, "rounds": rounds}
    return _fresh.run("_speed._search_process", given, with_threads=False)


ENTRIES: dict[str, Measure] = {what: partial(measure, what) for what in ("search", "busy")}

BARS = {
    "search": ("(6) time of a search, two jobs / one job", "two jobs", "one job", 0.7),
    "busy": ("(6) time of a fit, next to a busy process / idle", "one busy process", "idle", 2.5),
}
TEXTS = {
    "search": "`GridSearchCV(cv=3)` searches 8 settings of `AutoencoderTransformer` (2 "
    "`n_components`, 2 `hidden_layer_sizes`, 2 `lr`) with at most 15 epochs on 10,000 x 30, and 8 "
    f"`n_components` of PCA, which is far less work. There are {SEARCH_ROUNDS} rounds after the "
    "workers have started and made a first fit.",
    "busy": "The fit takes 30 epochs on 10,000 x 30. The busy processes multiply matrices of 300 x "
    "300 endlessly, on one thread each.",
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
    parts = [
        "The measurements run in separate processes with the default numbers of threads of the "
        "packages."
    ]
    for name, entry in entries.items():
        parts += [
            f"### {name.capitalize()}",
            f"{TEXTS[name]} Torch threads {entry['torch_threads']}, BLAS threads "
            f"{entry['blas_threads']}, before skae limits them.",
            table(name, entry["seconds"]),
        ]
    return "\n\n".join(parts)


def table(name: str, seconds: dict[str, list[float]]) -> str:
    """Return the times."""
    reference = BARS[name][2]
    rows = [
        [label, median(values), spread(values), f"{ratio(values, seconds[reference]):.3g}"]
        for label, values in seconds.items()
    ]
    return markdown_table(["", "seconds", "range", f"relative to `{reference}`"], rows)

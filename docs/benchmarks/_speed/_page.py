"""The results page, from what is stored of all parts."""

from collections.abc import Iterable
from typing import Any

from _report import describe, markdown_table

from ._bars import Bar, Entries
from ._parts import PARTS

TITLES = {
    "training": "What an epoch costs",
    "quality": "Time to quality",
    "inference": "Using a fitted estimator",
    "growth": "Growth",
    "search": "Searches, and a busy machine",
    "imports": "Importing",
    "gpu": "On an accelerator",
}


def page(record: dict[str, Entries]) -> str:
    """Return the page."""
    parts = [
        "# Speed",
        "Written by `speed.py`, not by hand, an entry at a time; what is measured, and how, is at "
        "the top of the script. Figures are medians and their ratios; the range is from the least "
        "to the largest. Each part ends with the runs that it is from, and the load of the machine "
        "in the minute before each began: on one that does other things too, times are larger and "
        "ratios noisier.",
        "## Bars",
        bars_table([bar for part, entries in record.items() for bar in PARTS[part].bars(entries)]),
    ]
    if missing := ", ".join(f"`{part}`" for part in PARTS if part not in record):
        parts.append(f"Parts that were not measured yet: {missing}.")
    for part, entries in record.items():
        parts += [f"## {TITLES[part]}", PARTS[part].section(entries), "\n".join(runs(entries))]
        if left_out := [name for name in PARTS[part].ENTRIES if name not in entries]:
            parts.append(f"Not measured yet: {', '.join(left_out)}.")
    return "\n\n".join(parts)


def bars_table(bars: list[Bar]) -> str:
    """Return what we set out to reach, and what was reached."""
    if not bars:
        return "None was measured yet."
    rows = [[bar.name, bar.asked, bar.reached, bar.verdict] for bar in bars]
    n_met = sum(bar.met for bar in bars)
    table = markdown_table(["", "asked", "reached", ""], rows)
    return f"{n_met} of {len(bars)} are met.\n\n{table}"


def runs(entries: Entries) -> Iterable[str]:
    """Yield the entries, and where and when they were measured."""
    for name, entry in entries.items():
        where: dict[str, Any] = entry["surroundings"]
        load = "" if where.get("load") is None else f" Load {where['load']:g}."
        yield f"- `{name}`: `{where['command']}`, begun {describe(where)}{load}"

"""The results page and the lines on the terminal, from the rows' records."""

from collections.abc import Iterable
from typing import Any

from _report import describe, markdown_table


def summary(record: dict[str, Any]) -> list[str]:
    """Return a row's figures as lines for the terminal."""
    lines = []
    for result in record["results"]:
        lines += [
            f"{result['name']}: {figure(result['ours'])}, {result['measure']}; "
            + (f"bar {bar(result)}: {result['verdict']}" if bar(result) else result["verdict"]),
            f"  published {result['published']} ({result['source']}); "
            f"{duration(result['seconds'])}; {result['settings']}",
            *(f"  {note}" for note in result["notes"]),
        ]
    return [*lines, f"  {record['surroundings']['command']}"]


def page(records: dict[str, dict[str, Any]]) -> str:
    """Return the results page of all rows that were computed."""
    parts = [
        "# Published figures",
        "Written by `classics.py`, not by hand, a row at a time; each says when and by which "
        "command. What is published stands beside ours; a bar is what we set out to reach.",
        overview(records),
    ]
    for name, record in records.items():
        parts += section(name, record)
    return "\n\n".join(parts)


def overview(records: dict[str, dict[str, Any]]) -> str:
    """Return the table of all figures."""
    header = ["", "row", "figure", "published", "bar", "ours", "time", "bar reached"]
    rows = [
        [
            result["name"],
            f"`{name}`",
            result["measure"],
            result["published"],
            bar(result),
            figure(result["ours"]),
            duration(result["seconds"]),
            result["verdict"],
        ]
        for name, record in records.items()
        for result in record["results"]
    ]
    return markdown_table(header, rows)


def section(name: str, record: dict[str, Any]) -> Iterable[str]:
    """Return the parts of the page on one row."""
    where = record["surroundings"]
    yield f"## {record['title']}"
    yield record["text"]
    yield "\n".join(
        f"- {result['name']}: **{figure(result['ours'])}** ({result['verdict']}), published "
        f"{result['published']} ({result['source']}). {result['settings']}."
        + "".join(f" {note}" for note in result["notes"])
        for result in record["results"]
    )
    for picture in record["pictures"]:
        yield f"![{picture['caption']}](pictures/{picture['file']})"
        yield f"*{picture['caption']}*"
    yield f"`{where['command']}`, seed {record['settings']['seed']}, row `{name}`."
    yield f"Begun {where['began']}, ended {describe(where)}"


def bar(result: dict[str, Any]) -> str:
    """Return a bar with the side of it that is good."""
    if result["bar"] is None:
        return ""
    return f"{'≥' if result['higher_is_better'] else '≤'} {figure(result['bar'])}"


def figure(value: float) -> str:
    """Return a figure with as many digits as matter."""
    return f"{value:.4f}" if abs(value) < 1 else f"{value:.2f}"


def duration(seconds: float) -> str:
    """Return a time in the unit that reads best."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"

"""The results page."""

from collections.abc import Iterable
from typing import Any

from _report import describe, markdown_table

from ._data import SETTINGS
from ._methods import METHODS, left_out
from ._summary import OURS, Means, bar_lines

#: What a setting is, in a sentence.
MEANING = {
    "contaminated": "All rows are fitted, and all of them are scored.",
    "clean": "Half of the normal rows are fitted; the others are scored, with all anomalies.",
}


def page(record: dict[str, Any], means: Means, summary: dict[str, Any]) -> str:
    """Return the page."""
    parts = [
        "# Anomalies in ADBench's tables",
        *_what(record, means),
        "## Bars",
        f"Bars are for `{OURS}`, and over the methods that aren't skae's.",
        "\n".join(f"- {line}" for line in bar_lines(summary)),
        "![Mean ranks](pictures/adbench_ranks.png)",
        f"*Mean ranks over {len(means.tables)} tables. The bar is Nemenyi's critical difference: "
        "a method within it of the first can't be told from it at 5 %.*",
        *(part for setting in SETTINGS for part in _setting(means, summary, setting)),
        "![AUROC by table](pictures/adbench_tables.png)",
        "*AUROC by table; every dot is a method.*",
        "## Tables",
        "As they are in the files, before any sampling.",
        _shapes(record, means),
        "## What went wrong",
        *_wrong(record),
        "## Runs",
        *_runs(record),
    ]
    return "\n\n".join(parts)


def _what(record: dict[str, Any], means: Means) -> Iterable[str]:
    """Yield what was run."""
    settings = record["settings"]
    yield (
        "Written by `adbench.py`, not by hand. Tables of ADBench (Han et al., 2022, "
        "<https://github.com/Minqi824/ADBench>), at most "
        f"{settings['rows']} rows of each; means over seeds "
        f"{', '.join(map(str, settings['seeds']))}. Every method has its own defaults; how "
        "figures are computed is at the top of the script."
    )
    incomplete = ", ".join(means.incomplete)
    yield f"{len(means.tables)} tables count, for which all methods have all seeds." + (
        f" Left out, as cells are missing: {incomplete}." if incomplete else ""
    )
    reasons = {why: METHODS[name].family for name, why in left_out().items()}
    for why, family in reasons.items():
        if not any(METHODS[name].family == family for name in means.methods):
            yield f"Without {family}'s methods: {why}."


def _setting(means: Means, summary: dict[str, Any], setting: str) -> Iterable[str]:
    """Yield the parts of the page on one setting."""
    yield f"## {setting.capitalize()}"
    yield (
        f"{MEANING[setting]} AUROC and AP are in hundredths, means over tables; rank is the mean "
        "over tables of the rank by AUROC, in which `skae log-density`, the same network "
        "scored otherwise, doesn't count; wins are tables where a method is the best; p is of "
        f"Wilcoxon's signed-rank test of `{OURS}` against the method; seconds are totals over "
        "tables and seeds."
        + (
            " PyOD's and LocalOutlierFactor's fits score their rows too, here the rows asked for."
            if setting == "contaminated"
            else " PyOD's fits score the rows fitted too."
        )
    )
    yield _methods_table(summary["settings"][setting])
    yield _tables_table(means, setting)


def _methods_table(figures: dict[str, Any]) -> str:
    """Return figures over all tables, the best method first."""
    header = ["method", "AUROC", "AP", "rank", "wins", "p", "fit, s", "score, s"]
    rows = [
        [
            f"**{name}**" if name == OURS else name,
            f"{100 * row['auroc']:.2f}",
            f"{100 * row['ap']:.2f}",
            f"{row['rank']:.2f}",
            str(row["wins"]),
            "" if row["p_value"] is None else f"{row['p_value']:.2g}",
            f"{row['fit_seconds']:.1f}",
            f"{row['score_seconds']:.1f}",
        ]
        for name, row in sorted(figures.items(), key=lambda item: -item[1]["auroc"])
    ]
    return markdown_table(header, rows)


def _tables_table(means: Means, setting: str) -> str:
    """Return AUROC by table and method, the best of a table in bold."""
    rows = []
    for table, values in zip(means.tables, 100 * means.of(setting, "auroc"), strict=True):
        best = values.max()
        rows.append([table, *(f"**{v:.1f}**" if v == best else f"{v:.1f}" for v in values)])
    return markdown_table(["AUROC", *means.methods], rows)


def _shapes(record: dict[str, Any], means: Means) -> str:
    """Return rows, columns and the share of anomalies by table."""
    rows = []
    for table in means.tables:
        shape = record["tables"][table]
        share = f"{100 * shape['share']:.2f} %"
        rows.append([table, str(shape["rows"]), str(shape["columns"]), share])
    return markdown_table(["table", "rows", "columns", "anomalies"], rows)


def _wrong(record: dict[str, Any]) -> Iterable[str]:
    """Yield errors, and scores that weren't finite, with the cells they are of."""
    lines = [f"- {_cell(item)}: {item['error']}" for item in record["errors"]]
    yield (
        "No method raised."
        if not lines
        else "Raised, and counted as telling nothing (AUROC 0.5):\n\n" + "\n".join(lines)
    )
    lines = [f"- {_cell(item)}: {item['scores']}" for item in record["nonfinite"]]
    yield "All scores are finite." if not lines else "Scores not finite:\n\n" + "\n".join(lines)


def _cell(item: dict[str, Any]) -> str:
    return f"{item['method']}, {item['table']}, {item['setting']}, seed {item['seed']}"


def _runs(record: dict[str, Any]) -> Iterable[str]:
    """Yield when, how and with what methods were run."""
    by_run: dict[str, list[str]] = {}
    for name in METHODS:
        for run in record["ran"].get(name, ()):
            by_run.setdefault(run, []).append(name)
    if len(by_run) > 1:
        yield "Methods were not all run at the same time."
    for run in sorted(by_run):
        where = record["runs"][run]
        yield f"{', '.join(by_run[run])}: `{where['command']}`, begun {describe(where)}"

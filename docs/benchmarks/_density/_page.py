"""The results over all tables, and the page."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from _report import describe, markdown_table
from scipy.stats import rankdata

from ._methods import METHODS

_OURS = ("AutoencoderTransformer", "VAETransformer")
_DENOISER = "DenoisingAutoencoder"

# The denoiser may be this far below the mixture, and must be this far above it in the mean.
_TOLERANCE = 0.02
_MARGIN = 0.12

# The denoiser's sums over grids are within the first range; the autoencoder's range is narrower, as
# a ratio, than the second.
_TOTALS = (0.97, 1.03)
_WIDEST = (0.87, 1.58)


def summarise(record: dict[str, Any]) -> dict[str, Any]:
    """Return means, ranks and times by method, and the bars."""
    seeds = [str(seed) for seed in record["settings"]["seeds"]]
    cells = record["tables"]
    methods = _find_methods(cells)
    complete = [name for name in cells if _is_complete(cells[name], methods, seeds)]
    nats = np.array(
        [[_mean(cells[name][m], seeds, "nats") for m in methods] for name in complete]
    ).reshape(len(complete), len(methods))
    ranks = rankdata(-nats, axis=1) if len(complete) else nats
    figures = {
        method: {
            "nats": float(nats[:, i].mean()) if len(complete) else None,
            "rank": float(ranks[:, i].mean()) if len(complete) else None,
            **{
                field: sum(cells[name][method][s][field] for name in complete for s in seeds)
                for field in ("fit_seconds", "score_seconds")
            },
        }
        for i, method in enumerate(methods)
    }
    by_table = {
        name: dict(zip(methods, line.tolist(), strict=True))
        for name, line in zip(complete, nats, strict=True)
    }
    return {
        "tables": by_table,
        "incomplete": [name for name in cells if name not in complete],
        "methods": figures,
        "totals": _find_ranges(record["totals"]),
        "bars": [
            *(_find_bars(by_table, figures) if complete else []),
            *_find_total_bars(record["totals"]),
        ],
    }


def _find_methods(cells: dict[str, Any]) -> list[str]:
    found = {method for results in cells.values() for method, each in results.items() if each}
    return [method for method in METHODS if method in found]


def _is_complete(results: dict[str, Any], methods: list[str], seeds: list[str]) -> bool:
    return all(seed in results.get(method, {}) for method in methods for seed in seeds)


def _mean(results: dict[str, Any], seeds: list[str], field: str) -> float:
    return float(np.mean([results[seed][field] for seed in seeds]))


def _find_ranges(cells: dict[str, Any]) -> dict[str, Any]:
    """Return the number of sums, the least, the median and the largest, by method."""
    ranges = {}
    for method in _find_methods(cells):
        sums = [c["total"] for each in cells.values() for c in each.get(method, {}).values()]
        ranges[method] = {
            "fits": len(sums),
            "least": min(sums),
            "median": float(np.median(sums)),
            "largest": max(sums),
        }
    return ranges


# Bars ---------------------------------------------------------------------------------


def _find_bars(
    by_table: dict[str, dict[str, float]], figures: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return the bars that can be judged, and whether they are met."""
    bars: list[dict[str, Any]] = []
    for method in [m for m in _OURS if m in figures]:
        if "Gaussian" in figures:
            below = _list_below(by_table, method, "Gaussian", 0.0)
            bars.append(_bar(f"{method} above the Gaussian on every table", below))
        if "GaussianMixture" in figures:
            bars.append(_margin_bar(figures, method, 0.0))
    if _DENOISER in figures and "GaussianMixture" in figures:
        below = _list_below(by_table, _DENOISER, "GaussianMixture", _TOLERANCE)
        bars.append(_bar(f"{_DENOISER} never below the mixture by more than {_TOLERANCE}", below))
        bars.append(_margin_bar(figures, _DENOISER, _MARGIN))
        for field, sign in (("nats", -1), ("rank", 1)):
            best = min(figures, key=lambda name: sign * figures[name][field])
            text = f"{_DENOISER} first of all by mean {field}: the first is {best}"
            bars.append({"text": text, "met": best == _DENOISER})
    return bars


def _find_total_bars(cells: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """Yield the bars of sums over grids."""
    ranges = _find_ranges(cells)
    if _DENOISER in ranges:
        least, most = _TOTALS
        outside = [
            f"{name}, {key}: {cell['total']:.3f}"
            for name, each in cells.items()
            for key, cell in each.get(_DENOISER, {}).items()
            if not least <= cell["total"] <= most
        ]
        text = f"{_DENOISER}'s sums over grids from {least} to {most}"
        yield {"text": f"{text}; outside {'; '.join(outside) or 'none'}", "met": not outside}
    for method in [m for m in _OURS if m in ranges]:
        least, most = (ranges[method][field] for field in ("least", "largest"))
        yield {
            "text": f"{method}'s sums over grids, {least:.3f} to {most:.3f}, are a narrower range "
            f"than {_WIDEST[0]} to {_WIDEST[1]}",
            "met": most / least < _WIDEST[1] / _WIDEST[0],
        }


def _list_below(
    by_table: dict[str, dict[str, float]], method: str, floor: str, tolerance: float
) -> list[str]:
    gaps = {name: line[method] - line[floor] for name, line in by_table.items()}
    return [f"{name} by {-gap:.3f}" for name, gap in gaps.items() if gap < -tolerance]


def _bar(text: str, below: list[str]) -> dict[str, Any]:
    return {"text": f"{text}; below on {', '.join(below) or 'none'}", "met": not below}


def _margin_bar(figures: dict[str, Any], method: str, margin: float) -> dict[str, Any]:
    ours, theirs = figures[method]["nats"], figures["GaussianMixture"]["nats"]
    by = f" by {margin:g}" if margin else ""
    return {
        "text": f"{method} above the mixture in the mean{by}: {ours:.3f} against {theirs:.3f}",
        "met": ours >= theirs + margin,
    }


def bar_lines(summary: dict[str, Any]) -> list[str]:
    """Return the bars as lines."""
    return [f"{bar['text']}: {'yes' if bar['met'] else 'NO'}." for bar in summary["bars"]]


# Page ---------------------------------------------------------------------------------


def page(record: dict[str, Any], summary: dict[str, Any]) -> str:
    """Return the page."""
    settings = record["settings"]
    seeds = [str(seed) for seed in settings["seeds"]]
    parts = [
        "# Log-densities of held-out rows",
        f"Generated by `density.py`. Tables have at most {settings['rows']} rows. The figures are "
        f"means over seeds {', '.join(seeds)}. The top of the script explains how each figure is "
        "computed.",
    ]
    if summary["bars"]:
        parts += ["## Bars", "\n".join(f"- {line}" for line in bar_lines(summary))]
    if summary["tables"]:
        parts += ["## Tables", *_show_tables(record, summary)]
    if record["planes"]:
        parts += ["## Known densities", *_show_planes(record, seeds)]
    if summary["totals"]:
        parts += ["## Sums over grids", _show_totals(summary["totals"])]
    return "\n\n".join([*parts, "## Runs", *_show_runs(record)])


def _show_tables(record: dict[str, Any], summary: dict[str, Any]) -> Iterable[str]:
    """Yield the figures over all tables, and those of each."""
    yield (
        "Nats are the mean log-density of the held-out rows, a column; higher is better. Ranks "
        "are means over tables. Seconds are totals over tables and seeds."
    )
    rows = [
        [
            method,
            f"{row['nats']:.3f}",
            f"{row['rank']:.2f}",
            f"{row['fit_seconds']:.1f}",
            f"{row['score_seconds']:.2f}",
        ]
        for method, row in summary["methods"].items()
    ]
    yield markdown_table(["method", "nats", "rank", "fit, s", "score, s"], rows)
    if summary["incomplete"]:
        yield f"Tables with missing results are left out: {', '.join(summary['incomplete'])}."
    rows = []
    for name, line in summary["tables"].items():
        best = max(line.values())
        shape = [str(number) for number in record["shapes"][name]]
        shown = [f"**{v:.3f}**" if v == best else f"{v:.3f}" for v in line.values()]
        rows.append([name, *shape, *shown])
    yield markdown_table(["table", "rows", "columns", *summary["methods"]], rows)


def _show_planes(record: dict[str, Any], seeds: list[str]) -> Iterable[str]:
    """Yield nats a row and sums over grids, by table and method."""
    yield "Nats a row of rows that were not fitted; in brackets the sum over a grid."
    cells = record["planes"]
    methods = _find_methods(cells)
    rows = []
    for name, results in cells.items():
        truth = [record["truth"][name][s] for s in seeds if s in record["truth"][name]]
        line = [name, f"{np.mean(truth):.3f}" if truth else ""]
        for method in methods:
            each = results.get(method, {})
            known = [seed for seed in seeds if seed in each]
            nats, total = (_mean(each, known, f) if known else None for f in ("nats", "total"))
            line.append("" if nats is None else f"{nats:.3f} ({total:.3f})")
        rows.append(line)
    yield markdown_table(["table", "truth", *methods], rows)


def _show_totals(ranges: dict[str, Any]) -> str:
    rows = [
        [method, str(row["fits"]), *(f"{row[f]:.3f}" for f in ("least", "median", "largest"))]
        for method, row in ranges.items()
    ]
    return markdown_table(["method", "fits", "least", "median", "largest"], rows)


def _show_runs(record: dict[str, Any]) -> Iterable[str]:
    """Yield when and how the methods were run."""
    by_run: dict[str, list[str]] = {}
    for name in METHODS:
        for run in record["ran"].get(name, ()):
            by_run.setdefault(run, []).append(name)
    for run in sorted(by_run):
        where = record["runs"][run]
        yield f"{', '.join(by_run[run])}: `{where['command']}`, started {describe(where)}"

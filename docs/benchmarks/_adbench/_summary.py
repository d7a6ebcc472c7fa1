"""Results over all tables: means, ranks, tests, times and bars."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata, studentized_range, wilcoxon

from ._data import SETTINGS
from ._methods import METHODS
from ._store import FIELDS

OURS = "skae"
RIVAL = "PyOD AutoEncoder"


@dataclass(frozen=True)
class Means:
    """Figures averaged over seeds.

    Attributes
    ----------
    methods, tables : list of str
        The methods with results, and the tables for which each of them has all seeds.
    incomplete : list of str
        The other tables.
    n_seeds : int
        Number of seeds in each mean.
    figures : dict of str to ndarray of shape (n_tables, n_methods, n_fields)
        By setting, in the order of `FIELDS`.
    """

    methods: list[str]
    tables: list[str]
    incomplete: list[str]
    n_seeds: int
    figures: dict[str, np.ndarray]

    def of(self, setting: str, field: str) -> np.ndarray:
        """Return one field of shape (n_tables, n_methods)."""
        return self.figures[setting][:, :, FIELDS.index(field)]


def average(record: dict[str, Any], names: list[str]) -> Means:
    """Return the means over seeds, with the methods in the order of `names`."""
    seeds = [str(seed) for seed in record["settings"]["seeds"]]
    cells = {setting: record["cells"].get(setting, {}) for setting in SETTINGS}
    found = {name for tables in cells.values() for table in tables.values() for name in table}
    methods = [name for name in names if name in found]

    def is_complete(table: str) -> bool:
        return all(
            seed in cells[setting].get(table, {}).get(method, {})
            for setting in SETTINGS
            for method in methods
            for seed in seeds
        )

    complete = [table for table in record["tables"] if is_complete(table)]
    figures = {
        setting: np.array(
            [
                [np.mean([tables[table][method][s] for s in seeds], axis=0) for method in methods]
                for table in complete
            ]
        )
        for setting, tables in cells.items()
    }
    incomplete = [table for table in record["tables"] if table not in complete]
    return Means(methods, complete, incomplete, len(seeds), figures)


def summarise(means: Means) -> dict[str, Any]:
    """Return the figures of each setting by method, and the bars."""
    settings = {setting: _summarise_setting(means, setting) for setting in SETTINGS}
    return {
        "tables": means.tables,
        "incomplete": means.incomplete,
        "critical_difference": critical_difference(
            sum(not METHODS[name].is_aside for name in means.methods), len(means.tables)
        ),
        "settings": settings,
        "bars": _bars(settings) if OURS in means.methods else [],
    }


def critical_difference(n_methods: int, n_tables: int, level: float = 0.05) -> float | None:
    """Return Nemenyi's critical difference of mean ranks (Demšar, 2006)."""
    if n_methods < 2:
        return None
    quantile = studentized_range.ppf(1 - level, n_methods, math.inf) / math.sqrt(2)
    return float(quantile * math.sqrt(n_methods * (n_methods + 1) / (6 * n_tables)))


def _summarise_setting(means: Means, setting: str) -> dict[str, Any]:
    auroc = means.of(setting, "auroc")
    ours = auroc[:, means.methods.index(OURS)] if OURS in means.methods else None
    counts = np.array([not METHODS[name].is_aside for name in means.methods])
    ranks = np.array([_mean_rank(auroc, counts, i) for i in range(len(counts))])
    wins = (auroc == auroc[:, counts].max(axis=1, keepdims=True, initial=0.0)).sum(axis=0)

    def total(field: str) -> np.ndarray:
        return means.of(setting, field).sum(axis=0) * means.n_seeds

    columns = {
        "auroc": auroc.mean(axis=0),
        "ap": means.of(setting, "ap").mean(axis=0),
        "rank": ranks,
        "fit_seconds": total("fit_seconds"),
        "score_seconds": total("score_seconds"),
    }
    return {
        method: {
            **{name: round(float(values[i]), 5) for name, values in columns.items()},
            "wins": int(wins[i]),
            "p_value": None if ours is None else p_value(ours, auroc[:, i]),
        }
        for i, method in enumerate(means.methods)
    }


def _mean_rank(auroc: np.ndarray, counts: np.ndarray, number: int) -> float:
    """Return the mean rank of a method among those that count."""
    among = counts | (np.arange(len(counts)) == number)
    ranks = rankdata(-auroc[:, among], axis=1).mean(axis=0)
    return float(ranks[among[:number].sum()])


def p_value(ours: np.ndarray, theirs: np.ndarray) -> float | None:
    """Return the p-value of Wilcoxon's signed-rank test, or None if nothing differs."""
    if np.array_equal(ours, theirs):
        return None
    return float(f"{wilcoxon(ours, theirs).pvalue:.4g}")


# Bars ---------------------------------------------------------------------------------


def _bars(settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the bars, and whether they are met."""
    margin = {"contaminated": 1.0, "clean": 0.0}
    bars = []
    for setting, figures in settings.items():
        others = [name for name in figures if METHODS[name].family != "skae"]
        if others:
            bars.append(_first_in_mean(setting, figures, others, margin[setting]))
            bars.append(_first_in_rank(setting, figures, others))
    if all(RIVAL in figures for figures in settings.values()):
        bars += [_above_rival(setting, figures) for setting, figures in settings.items()]
        bars.append(_time(settings))
    return bars


def _first_in_mean(setting: str, figures: dict, others: list[str], margin: float) -> dict:
    best = max(others, key=lambda name: figures[name]["auroc"])
    ours, theirs = (100 * figures[name]["auroc"] for name in (OURS, best))
    by = f" by at least {margin:g} point" if margin else ""
    return {
        "text": f"{setting}, highest mean AUROC{by}: {ours:.2f}, best other {theirs:.2f} ({best})",
        "met": ours >= theirs + margin if margin else ours > theirs,
    }


def _first_in_rank(setting: str, figures: dict, others: list[str]) -> dict:
    best = min(others, key=lambda name: figures[name]["rank"])
    ours, theirs = (figures[name]["rank"] for name in (OURS, best))
    return {
        "text": f"{setting}, best mean rank: {ours:.2f}, best other {theirs:.2f} ({best})",
        "met": ours < theirs,
    }


def _above_rival(setting: str, figures: dict) -> dict:
    ours, theirs = (100 * figures[name]["auroc"] for name in (OURS, RIVAL))
    return {
        "text": f"{setting}, mean AUROC at least 5 points above {RIVAL}: {ours:.2f} against "
        f"{theirs:.2f}",
        "met": ours >= theirs + 5,
    }


def _time(settings: dict[str, Any]) -> dict:
    ours, theirs = (
        sum(figures[name]["fit_seconds"] for figures in settings.values()) for name in (OURS, RIVAL)
    )
    return {
        "text": f"total time of fits no longer than with {RIVAL}: {ours:.0f} s against "
        f"{theirs:.0f} s, a ratio of {ours / theirs:.2f}",
        "met": ours <= theirs,
    }


def bar_lines(summary: dict[str, Any]) -> list[str]:
    """Return the bars as lines."""
    if not summary["bars"]:
        return [f"There are no bars: `{OURS}` or the methods to compare it with were not run."]
    return [f"{bar['text']}: {'yes' if bar['met'] else 'NO'}." for bar in summary["bars"]]

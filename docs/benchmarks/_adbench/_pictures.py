"""Mean ranks, and AUROC by table, as pictures."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ._data import SETTINGS
from ._methods import METHODS
from ._summary import OURS, RIVAL, Means

# Okabe and Ito's palette, which is safe for colour-blind readers.
COLOURS = {"skae": "#0072B2", "PyOD": "#D55E00", "scikit-learn": "#7A7A7A"}


def save_pictures(means: Means, summary: dict[str, Any], folder: Path, stem: str) -> None:
    """Save `STEM_ranks.png` and `STEM_tables.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    _ranks(summary).savefig(folder / f"{stem}_ranks.png", dpi=110)
    _tables(means).savefig(folder / f"{stem}_tables.png", dpi=110)


def _legend(figure: Figure, labels: dict[str, tuple[str, str]]) -> None:
    """Draw the legend of markers and colours below the panels."""
    handles = [
        Line2D([], [], linestyle="", marker=marker, color=colour, label=label)
        for label, (marker, colour) in labels.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)


def _dots(methods: list[str]) -> dict[str, tuple[str, str]]:
    """Return markers and colours of the families with methods."""
    families = {METHODS[name].family for name in methods}
    return {f"{name}'s": ("o", colour) for name, colour in COLOURS.items() if name in families}


# Ranks --------------------------------------------------------------------------------


def _ranks(summary: dict[str, Any]) -> Figure:
    n_methods = len(summary["settings"][SETTINGS[0]])
    figure = Figure(figsize=(10, 1.7 + 0.27 * n_methods), layout="constrained")
    for axes, setting in zip(figure.subplots(1, 2), SETTINGS, strict=True):
        _rank_panel(axes, summary["settings"][setting], summary["critical_difference"])
        axes.set_title(setting)
    _legend(figure, _dots(list(summary["settings"][SETTINGS[0]])))
    return figure


def _rank_panel(axes: Axes, figures: dict[str, Any], difference: float | None) -> None:
    """Draw mean ranks, the best on top, and the critical difference above them."""
    names = sorted(figures, key=lambda name: figures[name]["rank"])
    ranks = [figures[name]["rank"] for name in names]
    heights = np.arange(len(names))
    colours = [COLOURS[METHODS[name].family] for name in names]
    axes.hlines(heights, 1, ranks, color=colours, linewidth=1, alpha=0.5)
    axes.scatter(ranks, heights, color=colours, zorder=3)
    for rank, height in zip(ranks, heights, strict=True):
        axes.annotate(
            f"{rank:.1f}", (rank, height), (6, 0), textcoords="offset points", va="center"
        )
    if difference is not None:
        end = ranks[0] + difference
        axes.axvspan(ranks[0], end, color="#000000", alpha=0.06, linewidth=0)
        axes.plot([ranks[0], end], [-0.8, -0.8], color="black", marker="|", linewidth=2)
        axes.annotate(f"critical difference {difference:.1f}", (ranks[0], -1))
    axes.set_yticks(heights, names)
    if OURS in names:
        axes.get_yticklabels()[names.index(OURS)].set_weight("bold")
    axes.set(ylim=(len(names) - 0.4, -1.8), xlim=(1, len(names) + 0.8), xlabel="mean rank")
    axes.spines[["top", "right"]].set_visible(False)


# Tables -------------------------------------------------------------------------------


def _tables(means: Means) -> Figure:
    figure = Figure(figsize=(10, 1.6 + 0.27 * len(means.tables)), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    # Both panels order the tables by the mean AUROC of the methods.
    hardness = sum(means.of(setting, "auroc").mean(axis=1) for setting in SETTINGS)
    order = np.argsort(hardness)
    for axes, setting in zip(panels, SETTINGS, strict=True):
        _table_panel(axes, means, 100 * means.of(setting, "auroc")[order])
        axes.set_title(setting)
    panels[0].set_yticks(range(len(order)), [means.tables[i] for i in order])
    large = {OURS: ("D", COLOURS["skae"]), RIVAL: ("s", COLOURS["PyOD"])}
    _legend(figure, {n: large[n] for n in large if n in means.methods} | _dots(means.methods))
    return figure


def _table_panel(axes: Axes, means: Means, auroc: np.ndarray) -> None:
    """Draw a row of dots per table, with larger dots for the two main methods."""
    heights = np.arange(len(auroc))
    axes.hlines(heights, auroc.min(axis=1), auroc.max(axis=1), color="#DDDDDD", linewidth=1)
    for i, name in enumerate(means.methods):
        colour = COLOURS[METHODS[name].family]
        if name in (OURS, RIVAL):
            style = {"marker": "D" if name == OURS else "s", "s": 34, "zorder": 4}
        else:
            style = {"marker": "o", "s": 14, "alpha": 0.55, "zorder": 3}
        axes.scatter(auroc[:, i], heights, color=colour, linewidth=0, **style)
    axes.axvline(50, color="#AAAAAA", linewidth=1, linestyle="--")
    axes.set(xlabel="AUROC, hundredths", xlim=(None, 101), ylim=(-0.7, len(auroc) - 0.3))
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)

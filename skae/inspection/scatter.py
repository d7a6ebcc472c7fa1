"""Points in the plane, coloured by their labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .drawing import COLOURS, GREY, MARKS, SCALE_MAP

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure

# More groups than this can't be told apart.
_MOST_GROUPS = 10
_LONGEST_NAME = 20

_ALPHA = 0.7

# Vector graphics of more points are slow to show, so these become pixels.
_MOST_VECTORS = 2000


@dataclass(frozen=True)
class Group:
    """Points that are drawn alike; `is_rest` marks those without a colour of their own."""

    name: str
    members: np.ndarray
    is_rest: bool = False


@dataclass(frozen=True)
class ColourScale:
    """A number for each point, NaN where it has none, and the limits of the colours."""

    values: np.ndarray
    lowest: float
    highest: float


def draw_points(
    figure: "Figure",
    axes: Mapping[str, "Axes"],
    codes: Mapping[str, np.ndarray],
    labels: ArrayLike | None,
    label_name: str | None,
) -> None:
    """Draw each model's codes in its axes, with one legend or colour bar for all."""
    colouring = None if labels is None else group_labels(labels)
    for name, ax in axes.items():
        points = np.asarray(codes[name], dtype=np.float64)
        scatter_points(ax, points, colouring)
        ax.set(title=f"{name}, 2 components", xlabel="component 1", ylabel="component 2")
        limit_view(ax, points)
    draw_key(figure, list(axes.values()), colouring, label_name)


def scatter_points(
    ax: "Axes",
    points: np.ndarray,
    colouring: list[Group] | ColourScale | None,
    area: float = 1.0,
) -> list["PathCollection"]:
    """Draw points, and return those that were drawn alike."""
    area *= _choose_area(len(points))
    if isinstance(colouring, ColourScale):
        return _draw_scale(ax, points, colouring, area)
    everyone = [Group("", np.full(len(points), True))]
    return _draw_groups(ax, points, everyone if colouring is None else colouring, area)


def draw_key(
    figure: "Figure",
    axes: list["Axes"],
    colouring: list[Group] | ColourScale | None,
    label_name: str | None,
) -> None:
    """Draw a colour bar for axes, or a legend beside the last, whose points come last."""
    if isinstance(colouring, ColourScale):
        coloured = axes[-1].collections[-1]
        bar = figure.colorbar(coloured, ax=axes, extend="both", aspect=30, alpha=1)
        bar.set_label(label_name or "label")
    elif colouring is not None:
        _draw_legend(axes[-1], [group.name for group in colouring], label_name)


def group_labels(labels: ArrayLike) -> list[Group] | ColourScale:
    """Group points by label, the rest first; many different numbers become a scale.

    If there are more names than colours, the most frequent ones have a group of their own.
    """
    labels = np.asarray(labels)
    if labels.dtype.kind == "b":
        labels = labels.astype(object)
    indices, values = pd.factorize(labels, sort=True)
    if len(values) > _MOST_GROUPS and labels.dtype.kind in "iuf":
        return _make_scale(labels.astype(np.float64))
    frequency = np.bincount(indices[indices >= 0], minlength=len(values))
    shown = np.arange(len(values))
    if len(values) > _MOST_GROUPS:
        # One fewer than the limit, because "others" is a group as well.
        shown = np.sort(np.argsort(-frequency, kind="stable")[: _MOST_GROUPS - 1])
    groups = []
    if (indices < 0).any():
        groups.append(Group("no value", indices < 0, is_rest=True))
    n_others = len(values) - len(shown)
    if n_others:
        others = (indices >= 0) & ~np.isin(indices, shown)
        groups.append(Group(f"{n_others} others", others, is_rest=True))
    return groups + [Group(_shorten(values[index]), indices == index) for index in shown]


def _make_scale(values: np.ndarray) -> ColourScale:
    # Percentiles: a single distant value would leave all others the same colour.
    lowest, highest = np.percentile(values[np.isfinite(values)], [1, 99])
    return ColourScale(values, float(lowest), float(highest))


def _shorten(value: object) -> str:
    name = f"{value:g}" if isinstance(value, float | np.floating) else str(value)
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 3] + "..."


def _draw_groups(
    ax: "Axes", points: np.ndarray, groups: list[Group], area: float
) -> list["PathCollection"]:
    n_drawn, drawn = 0, []
    for group in groups:
        colour, mark, is_hollow = GREY, "o", True
        if not group.is_rest:
            colour, mark = COLOURS[n_drawn % len(COLOURS)], MARKS[n_drawn % len(MARKS)]
            is_hollow = n_drawn >= len(COLOURS)  # another group has the same colour
            n_drawn += 1
        collection = ax.scatter(
            points[group.members, 0],
            points[group.members, 1],
            s=area,
            facecolors="none" if is_hollow else colour,
            edgecolors=colour,
            marker=mark,
            alpha=_ALPHA,
            linewidths=1.0 if is_hollow else 0.0,
            label=group.name,
            rasterized=len(points) > _MOST_VECTORS,
        )
        drawn.append(collection)
    return drawn


def _draw_scale(
    ax: "Axes", points: np.ndarray, scale: ColourScale, area: float
) -> list["PathCollection"]:
    has_value = np.isfinite(scale.values)
    drawn = _draw_groups(ax, points, [Group("no value", ~has_value, is_rest=True)], area)
    known = ax.scatter(
        points[has_value, 0],
        points[has_value, 1],
        c=scale.values[has_value],
        cmap=SCALE_MAP,
        vmin=scale.lowest,
        vmax=scale.highest,
        s=area,
        alpha=_ALPHA,
        linewidths=0,
        rasterized=len(points) > _MOST_VECTORS,
    )
    return [*drawn, known]


def _draw_legend(ax: "Axes", names: list[str], label_name: str | None) -> None:
    legend = ax.legend(
        handles=ax.collections[-len(names) :],
        labels=[str(index) for index in range(len(names))],
        title=label_name,
        loc="center left",
        bbox_to_anchor=(1.02, 0.5),
        frameon=False,
        markerscale=1.6,
        borderaxespad=0.0,
    )
    for handle, text, name in zip(legend.legend_handles, legend.get_texts(), names, strict=True):
        # Labels are data: matplotlib would leave out "_a" and read "$a$" as mathematics.
        text.set_parse_math(False)
        text.set_text(name)
        if handle is not None:
            handle.set_alpha(1)


def _choose_area(n_points: int) -> float:
    """Return the area of a point's mark: the more points, the smaller."""
    return float(np.clip(10_000 / max(1, n_points), 4, 26))


def limit_view(ax: "Axes", points: np.ndarray) -> None:
    """Leave distant rows out of view, so that the others can be seen, and say how many."""
    low, high = np.percentile(points, [1, 99], axis=0)
    slack = np.where(high > low, 0.25 * (high - low), 1.0)
    lowest = np.maximum(low - slack, points.min(axis=0) - 0.2 * slack)
    highest = np.minimum(high + slack, points.max(axis=0) + 0.2 * slack)
    ax.set(xlim=(lowest[0], highest[0]), ylim=(lowest[1], highest[1]))
    ax.locator_params(nbins=5)
    n_outside = int(((points < lowest) | (points > highest)).any(axis=1).sum())
    if n_outside:
        rows = "row" if n_outside == 1 else "rows"
        ax.set_xlabel(f"{ax.get_xlabel()} ({n_outside} {rows} outside of the view)")

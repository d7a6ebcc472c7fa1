"""Points in the plane, coloured by labels."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ._drawing import COLOURS, GREY, MARKS
from ._label_groups import ColourScale, Group, labels_as_groups

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ALPHA = 0.7

# Beyond this many points vector graphics are slow to show, so points become pixels.
_MOST_VECTORS = 2000


def draw_points(
    figure: "Figure",
    axes: Mapping[str, "Axes"],
    codes: Mapping[str, np.ndarray],
    labels: Any,
    label_name: str | None,
) -> None:
    """Draw each model's codes in its axes, with one legend or colour bar for all."""
    colouring = None if labels is None else labels_as_groups(labels)
    for name, ax in axes.items():
        points = np.asarray(codes[name], dtype=np.float64)
        if isinstance(colouring, ColourScale):
            _draw_scale(ax, points, colouring)
        else:
            everyone = [Group("", np.full(len(points), True))]
            _draw_groups(ax, points, colouring if colouring is not None else everyone)
        ax.set(title=f"{name}, 2 components", xlabel="component 1", ylabel="component 2")
        _look_at_most(ax, points)
    drawn = list(axes.values())
    if isinstance(colouring, ColourScale):
        coloured = drawn[-1].collections[-1]
        bar = figure.colorbar(coloured, ax=drawn, extend="both", aspect=30, alpha=1)
        bar.set_label(label_name or "label")
    elif colouring is not None:
        _draw_legend(drawn[-1], label_name)


def _draw_groups(ax: "Axes", points: np.ndarray, groups: list[Group]) -> None:
    n_drawn = 0
    for group in groups:
        colour, mark, is_hollow = GREY, "o", True
        if not group.is_rest:
            colour, mark = COLOURS[n_drawn % len(COLOURS)], MARKS[n_drawn % len(MARKS)]
            is_hollow = n_drawn >= len(COLOURS)  # a colour that was there before
            n_drawn += 1
        ax.scatter(
            points[group.members, 0],
            points[group.members, 1],
            s=_area(len(points)),
            facecolors="none" if is_hollow else colour,
            edgecolors=colour,
            marker=mark,
            alpha=_ALPHA,
            linewidths=1.0 if is_hollow else 0.0,
            label=group.name,
            rasterized=len(points) > _MOST_VECTORS,
        )


def _draw_scale(ax: "Axes", points: np.ndarray, scale: ColourScale) -> None:
    known = np.isfinite(scale.values)
    _draw_groups(ax, points, [Group("no value", ~known, is_rest=True)])
    ax.scatter(
        points[known, 0],
        points[known, 1],
        c=scale.values[known],
        cmap="cividis",  # made for the colour-blind
        vmin=scale.lowest,
        vmax=scale.highest,
        s=_area(len(points)),
        alpha=_ALPHA,
        linewidths=0,
        rasterized=len(points) > _MOST_VECTORS,
    )


def _draw_legend(ax: "Axes", label_name: str | None) -> None:
    legend = ax.legend(
        title=label_name,
        loc="center left",
        bbox_to_anchor=(1.02, 0.5),
        frameon=False,
        markerscale=1.6,
        borderaxespad=0.0,
    )
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)


def _area(n_points: int) -> float:
    """Return how large a point is drawn: the more, the smaller."""
    return float(np.clip(10_000 / max(1, n_points), 4, 26))


def _look_at_most(ax: "Axes", points: np.ndarray) -> None:
    """Leave rows that are far off out of view, and say how many, so the rest can be seen."""
    low, high = np.percentile(points, [1, 99], axis=0)
    slack = np.where(high > low, 0.25 * (high - low), 1.0)
    lowest = np.maximum(low - slack, points.min(axis=0) - 0.2 * slack)
    highest = np.minimum(high + slack, points.max(axis=0) + 0.2 * slack)
    ax.set(xlim=(lowest[0], highest[0]), ylim=(lowest[1], highest[1]))
    ax.locator_params(nbins=5)
    n_outside = int(((points < lowest) | (points > highest)).any(axis=1).sum())
    if n_outside:
        rows = "row" if n_outside == 1 else "rows"
        ax.set_xlabel(f"component 1 ({n_outside} {rows} outside of the view)")

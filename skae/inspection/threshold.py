"""The calibration of a detector, and where rows lie in it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .drawing import BLUE, DARK_GREY, ORANGE, find_axes, get_figure, show_as_they_are
from .requirements import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_WIDTH, _HEIGHT = 6.5, 3.8

# More rows than this are drawn without their p-values.
_MOST_NAMED = 8

# Rows that score lower than the calibration rows by twice their range are drawn at the edge.
_FARTHEST = 2


@final
class ThresholdDisplay:
    """Scores of the calibration rows, the threshold, and where given rows lie.

    Use `from_estimator` to draw a fitted detector, and `from_predictions` for scores of any
    origin. All parameters are kept as attributes.

    Parameters
    ----------
    calibration_scores : array-like of shape (n_calibration,)
        Scores of the calibration rows; lower is more anomalous.
    threshold : float
        Rows that score lower are outliers.
    scores : array-like of shape (n_samples,), default=None
        Scores of rows to mark.
    p_values : array-like of shape (n_samples,), default=None
        Their p-values.
    names : sequence of str, default=None
        Their names. None counts them from zero.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes.
    figure_ : matplotlib.figure.Figure
        The figure.
    line_ : matplotlib.lines.Line2D
        The threshold.
    scatter_ : list of matplotlib.lines.Line2D
        The rows: outliers beyond the left edge, other outliers, and inliers, where there are any.
    bars_ : matplotlib.container.BarContainer
        The histogram of the calibration scores.

    See Also
    --------
    skae.AEAnomalyDetector : Calibrates the threshold.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skae import AEAnomalyDetector
    >>> from skae.inspection import ThresholdDisplay
    >>> wine = load_wine(as_frame=True).data
    >>> detector = AEAnomalyDetector(random_state=0).fit(wine)
    >>> odd = wine.iloc[[0]].assign(ash=24.3)  # a factor of ten
    >>> display = ThresholdDisplay.from_estimator(detector, odd)
    >>> bool(display.line_.get_xdata()[0] > detector.score_samples(odd)[0])
    True
    """

    def __init__(
        self,
        *,
        calibration_scores: ArrayLike,
        threshold: float,
        scores: ArrayLike | None = None,
        p_values: ArrayLike | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        self.calibration_scores = calibration_scores
        self.threshold = threshold
        self.scores = scores
        self.p_values = p_values
        self.names = names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike | None = None,
        *,
        names: Sequence[str] | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw the threshold of a detector.

        Parameters
        ----------
        estimator : AEAnomalyDetector
            A fitted detector.
        X : array-like or frame of shape (n_samples, n_features), default=None
            Rows to mark.
        names : sequence of str, default=None
            Their names. None takes the index of a frame.
        ax : matplotlib.axes.Axes, default=None
            Where to draw, as in `plot`.

        Returns
        -------
        display : ThresholdDisplay
            The display, drawn.
        """
        if names is None and isinstance(X, pd.DataFrame):
            names = [str(label) for label in X.index]
        require(estimator, "calibration_scores_", "a detector of skae")
        has_p_values = X is not None and hasattr(estimator, "p_values")
        display = cls(
            calibration_scores=estimator.calibration_scores_,
            threshold=estimator.offset_,
            scores=None if X is None else estimator.score_samples(X),
            p_values=estimator.p_values(X) if has_p_values else None,
            names=names,
        )
        return display.plot(ax)

    @classmethod
    def from_predictions(
        cls,
        calibration_scores: ArrayLike,
        threshold: float,
        scores: ArrayLike | None = None,
        *,
        p_values: ArrayLike | None = None,
        names: Sequence[str] | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw scores of any origin.

        Parameters
        ----------
        calibration_scores : array-like of shape (n_calibration,)
            Scores of the calibration rows; lower is more anomalous.
        threshold : float
            Rows that score lower are outliers.
        scores : array-like of shape (n_samples,), default=None
            Scores of rows to mark.
        p_values : array-like of shape (n_samples,), default=None
            Their p-values.
        names : sequence of str, default=None
            Their names. None counts them from zero.
        ax : matplotlib.axes.Axes, default=None
            Where to draw, as in `plot`.

        Returns
        -------
        display : ThresholdDisplay
            The display, drawn.
        """
        display = cls(
            calibration_scores=calibration_scores,
            threshold=threshold,
            scores=scores,
            p_values=p_values,
            names=names,
        )
        return display.plot(ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw. None takes pyplot's current figure if that is empty, else a new one.

        Returns
        -------
        display : ThresholdDisplay
            The display itself.
        """
        ax = find_axes(ax, _WIDTH, _HEIGHT)
        known = np.asarray(self.calibration_scores, dtype=np.float64)
        heights, edges = np.histogram(known, bins="auto" if np.ptp(known) > 0 else 1)
        self.bars_ = ax.bar(
            edges[:-1],
            heights,
            np.diff(edges),
            align="edge",
            color=BLUE,
            alpha=0.5,
            edgecolor="white",
            label=f"{len(known)} calibration rows",
        )
        top = float(heights.max())
        self.line_ = ax.axvline(
            self.threshold, color="black", linestyle="--", linewidth=1.2, label="threshold"
        )
        self.scatter_: list[Line2D] = []
        n_levels = 0
        if self.scores is not None:
            n_levels = self._mark_rows(ax, np.asarray(self.scores, dtype=np.float64), top)
        ax.set(
            xlabel="score (nats; lower is more anomalous)",
            ylabel="calibration rows",
            ylim=(0, top * (1.08 + 0.11 * n_levels)),
        )
        ax.margins(x=0.04)
        low, high = ax.get_xlim()
        ax.axvspan(low, self.threshold, color="0.93", zorder=0, linewidth=0)
        ax.set_xlim(low, high)
        ax.locator_params(axis="y", integer=True)
        ax.legend(
            loc="lower left", bbox_to_anchor=(0, 1.01), ncols=4, frameon=False, borderaxespad=0.0
        )
        self.ax_, self.figure_ = ax, get_figure(ax)
        return self

    def _mark_rows(self, ax: "Axes", scores: np.ndarray, top: float) -> int:
        """Draw rows above the histogram, and return the number of lines that they take."""
        is_named = len(scores) <= _MOST_NAMED
        level = np.argsort(np.argsort(scores)) if is_named else np.zeros(len(scores))
        heights = top * (1.1 + 0.11 * level)
        known = np.append(self.calibration_scores, self.threshold)
        edge = known.min() - _FARTHEST * (np.ptp(known) or 1.0)
        is_far, is_out = scores < edge, scores < self.threshold
        places = np.maximum(scores, edge)
        for chosen, mark, colour, label in (
            (is_out & is_far, "<", ORANGE, "far outlier"),
            (is_out & ~is_far, "X", ORANGE, "outlier"),
            (~is_out, "o", DARK_GREY, "inlier"),
        ):
            if not chosen.any():
                continue
            n_chosen = int(chosen.sum())
            self.scatter_ += ax.plot(
                places[chosen],
                heights[chosen],
                mark,
                color=colour,
                markersize=8 if is_named else 6,
                alpha=1 if is_named else 0.6,
                markeredgecolor="white",
                label=f"{n_chosen} {label}{'s' if n_chosen > 1 else ''}",
            )
        if is_named:
            middle = 0.5 * (min(places.min(), known.min()) + max(places.max(), known.max()))
            for index, place in enumerate(places):
                is_left = place <= middle
                far = f", score {scores[index]:.3g}" if is_far[index] else ""
                text = ax.annotate(
                    self._describe(index) + far,
                    (place, heights[index]),
                    xytext=(7 if is_left else -7, 0),
                    textcoords="offset points",
                    ha="left" if is_left else "right",
                    va="center",
                    fontsize="small",
                    bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1},
                )
                show_as_they_are([text])
        return len(scores) if is_named else 1

    def _describe(self, index: int) -> str:
        name = f"row {index}" if self.names is None else str(self.names[index])
        if self.p_values is None:
            return name
        return f"{name}: p = {np.asarray(self.p_values)[index]:.2g}"

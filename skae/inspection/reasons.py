"""Why rows are anomalies, cell by cell."""

from typing import TYPE_CHECKING, Any, Self, final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .drawing import BLUE, find_axes, get_figure, shorten_text, show_as_they_are
from .requirements import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = ("value", "expected", "contribution")
_LONGEST_NAME, _LONGEST_VALUE = 28, 16
_MOST_ROWS = 12
_LEAST_SHARE = 0.01


@final
class ReasonsDisplay:
    """The cells that make rows anomalous: their values, what was expected, and by how much.

    Use `from_estimator` to draw what a fitted detector says of rows, and `from_predictions` for
    a frame that `explain` has returned. All parameters are kept as attributes.

    Parameters
    ----------
    reasons : pandas.DataFrame
        A line for each row and column, as `AEAnomalyDetector.explain` returns it. Its first
        twelve rows are drawn.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes.
    figure_ : matplotlib.figure.Figure
        The figure.
    bars_ : matplotlib.container.BarContainer
        The contributions, as shares of the sum of a row's.

    See Also
    --------
    skae.AEAnomalyDetector.explain : What is drawn.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skae import AEAnomalyDetector
    >>> from skae.inspection import ReasonsDisplay
    >>> wine = load_wine(as_frame=True).data
    >>> detector = AEAnomalyDetector(random_state=0).fit(wine)
    >>> odd = wine.iloc[[0]].assign(ash=24.3)  # a factor of ten
    >>> display = ReasonsDisplay.from_estimator(detector, odd, n_reasons=1)
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['ash']
    """

    def __init__(self, *, reasons: pd.DataFrame) -> None:
        self.reasons = reasons

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        n_reasons: int = 4,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw why a detector finds rows anomalous.

        Parameters
        ----------
        estimator : AEAnomalyDetector
            A fitted detector.
        X : array-like or frame of shape (n_samples, n_features)
            The rows, of which twelve at most are drawn.
        n_reasons : int, default=4
            Number of cells to draw for each row at most: those of the largest contributions.
        ax : matplotlib.axes.Axes, default=None
            Where to draw, as in `plot`.

        Returns
        -------
        display : ReasonsDisplay
            The display, drawn.
        """
        rows = X.iloc[:_MOST_ROWS] if isinstance(X, pd.DataFrame) else X[:_MOST_ROWS]  # type: ignore[index]
        require(estimator, "explain", "a detector of skae")
        return cls(reasons=estimator.explain(rows)).plot(ax, n_reasons=n_reasons)

    @classmethod
    def from_predictions(
        cls, reasons: pd.DataFrame, *, n_reasons: int = 4, ax: "Axes | None" = None
    ) -> Self:
        """Draw reasons that `explain` has returned.

        Parameters
        ----------
        reasons : pandas.DataFrame
            A line for each row and column.
        n_reasons : int, default=4
            Number of cells to draw for each row at most.
        ax : matplotlib.axes.Axes, default=None
            Where to draw, as in `plot`.

        Returns
        -------
        display : ReasonsDisplay
            The display, drawn.
        """
        return cls(reasons=reasons).plot(ax, n_reasons=n_reasons)

    def plot(self, ax: "Axes | None" = None, *, n_reasons: int = 4) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw. None takes pyplot's current figure if that is empty, else a new one.
        n_reasons : int, default=4
            Number of cells to draw for each row at most. Cells that contribute less than a
            hundredth are left out.

        Returns
        -------
        display : ReasonsDisplay
            The display itself.
        """
        reasons = self.reasons
        if not set(_COLUMNS) <= set(reasons.columns) or reasons.index.nlevels != 2:
            raise ValueError(
                f"reasons must have the columns {_COLUMNS} and a line for each row and column, "
                f"got the columns {tuple(reasons.columns)}: pass what explain returns"
            )
        groups = _choose_cells(reasons, n_reasons)
        n_lines = sum(1.4 + len(cells) for *_, cells in groups)
        ax = find_axes(ax, 7.0, 0.9 + 0.3 * n_lines)
        place = 0.0
        places: list[float] = []
        bars: list[float] = []
        names, texts = [], []
        for row, total, cells in groups:
            said = f"{total:.1f} nats" if len(cells) else "no change of a cell gains anything"
            title = ax.text(0.0, place, f"row {row}: {said}", fontweight="bold", va="center")
            texts.append(title)
            place += 1
            for name, cell in cells.iterrows():
                share = cell["contribution"] / total
                places.append(place)
                names.append(shorten_text(name, _LONGEST_NAME))
                bars.append(share)
                texts.append(_write_values(ax, place, share, cell))
                place += 1
            place += 0.4
        self.bars_ = ax.barh(places, bars, height=0.62, color=BLUE)
        ax.set_yticks(places, labels=names)
        # The values are written to the right of the bars.
        ax.set(
            xlim=(0, 1.7),
            ylim=(place - 0.6, -0.7),
            xlabel="share of the row's anomaly",
        )
        ax.set_xticks([0, 0.5, 1], labels=["0", "½", "1"])
        ax.tick_params(axis="y", length=0)
        ax.spines[:].set_visible(False)
        show_as_they_are([*texts, *ax.get_yticklabels()])
        self.ax_, self.figure_ = ax, get_figure(ax)
        return self


def _choose_cells(reasons: pd.DataFrame, n_reasons: int) -> list[tuple[Any, float, pd.DataFrame]]:
    """Return each row, the sum of its contributions, and the cells of the largest."""
    chosen = []
    # By position: the rows of a table may share a label.
    n_columns = len(reasons.index.unique(level=1))
    for start in range(0, min(len(reasons), _MOST_ROWS * n_columns), n_columns):
        cells = reasons.iloc[start : start + n_columns]
        row, cells = cells.index[0][0], cells.droplevel(0)
        total = float(cells["contribution"].sum())
        cells = cells[cells["contribution"] > _LEAST_SHARE * total]
        order = np.argsort(-cells["contribution"].to_numpy(), kind="stable")
        chosen.append((row, total, cells.iloc[order[:n_reasons]]))
    return chosen


def _write_values(ax: "Axes", place: float, share: float, cell: Any) -> Any:
    value, expected = (shorten_text(cell[name], _LONGEST_VALUE) for name in _COLUMNS[:2])
    return ax.annotate(
        f"{value}, expected {expected}",
        (share, place),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        fontsize="small",
    )

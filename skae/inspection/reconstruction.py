"""Rows, or images, beside their reconstructions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .drawing import (
    BLUE,
    ERROR_MAP,
    GREY,
    IMAGE_MAP,
    ORANGE,
    divide_axes,
    find_axes,
    get_figure,
    shorten_text,
    show_as_they_are,
)
from .tables import (
    check_image_shape,
    find_scaling,
    is_number,
    read_column,
    read_frame,
    read_numbers,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from matplotlib.lines import Line2D

# So many rows are drawn at most.
_MOST_IMAGES, _MOST_PANELS = 10, 4

# Rows of more columns are drawn as curves.
_MOST_COLUMNS = 24

_LONGEST_NAME, _LONGEST_LABEL = 24, 12


@final
class ReconstructionDisplay:
    """Rows or images, their reconstructions, and the errors.

    Use `from_estimator` to draw reconstructions by a fitted transformer, and `from_predictions`
    for those of any origin. All parameters are kept as attributes.

    Parameters
    ----------
    rows : array-like or frame of shape (n_samples, n_features)
        The rows. The first ten images, or four rows of a table, are drawn.
    reconstruction : array-like or frame of shape (n_samples, n_features)
        Their reconstruction.
    target : array-like or frame of shape (n_samples, n_features), default=None
        What should have come out, where it is not what went in, such as clean rows. It is
        drawn too, and errors are those from it.
    image_shape : tuple of int, default=None
        Height and width of the images that rows are, and 3 for colours. None draws the columns
        of a table.
    center, scale : array-like of shape (n_features,), default=None
        What columns of a table are standardized with. None takes the means and standard
        deviations of `rows`.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes; of a table, those of the first row.
    axes_ : ndarray of matplotlib.axes.Axes
        All axes.
    figure_ : matplotlib.figure.Figure
        The figure.
    images_ : list of matplotlib.image.AxesImage
        The drawn strips of images: rows, reconstructions, targets if any, and errors.
    lines_ : list of matplotlib.lines.Line2D
        For each row of a table, its cells and their reconstructions.

    See Also
    --------
    skae.AutoencoderTransformer.reconstruct : What is drawn.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae.inspection import ReconstructionDisplay
    >>> X = load_digits().data
    >>> pca = PCA(8).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(pca, X[:5], image_shape=(8, 8))
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['row', 'reconstruction', 'error']
    """

    def __init__(
        self,
        *,
        rows: ArrayLike,
        reconstruction: ArrayLike,
        target: ArrayLike | None = None,
        image_shape: tuple[int, ...] | None = None,
        center: ArrayLike | None = None,
        scale: ArrayLike | None = None,
    ) -> None:
        self.rows = rows
        self.reconstruction = reconstruction
        self.target = target
        self.image_shape = image_shape
        self.center = center
        self.scale = scale

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        image_shape: tuple[int, ...] | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw the reconstructions of a fitted transformer.

        Parameters
        ----------
        estimator : object
            A fitted transformer with `inverse_transform`.
        X : array-like or frame of shape (n_samples, n_features)
            The rows. The first ten images, or four rows of a table, are drawn.
        image_shape : tuple of int, default=None
            Height and width of the images that rows are, and 3 for colours.
        ax : matplotlib.axes.Axes, default=None
            Where to draw, as in `plot`.

        Returns
        -------
        display : ReconstructionDisplay
            The display, drawn.
        """
        if hasattr(estimator, "reconstruct"):
            reconstruction = estimator.reconstruct(X)
        else:
            reconstruction = estimator.inverse_transform(estimator.transform(X))
        center, scale = find_scaling(estimator, read_frame(X).shape[1]) or (None, None)
        display = cls(
            rows=X,
            reconstruction=reconstruction,
            image_shape=image_shape,
            center=center,
            scale=scale,
        )
        return display.plot(ax)

    @classmethod
    def from_predictions(
        cls,
        X: ArrayLike,
        X_reconstructed: ArrayLike,
        *,
        target: ArrayLike | None = None,
        image_shape: tuple[int, ...] | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw reconstructions of any origin.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            The rows.
        X_reconstructed : array-like or frame of shape (n_samples, n_features)
            Their reconstructions.
        target : array-like or frame of shape (n_samples, n_features), default=None
            What should have come out, where it is not `X`.
        image_shape : tuple of int, default=None
            Height and width of the images that rows are, and 3 for colours.
        ax : matplotlib.axes.Axes, default=None
            Where to draw, as in `plot`.

        Returns
        -------
        display : ReconstructionDisplay
            The display, drawn.
        """
        display = cls(
            rows=X, reconstruction=X_reconstructed, target=target, image_shape=image_shape
        )
        return display.plot(ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; rows of a table have a panel each in its place. None takes pyplot's
            current figure if that is empty, else a new one.

        Returns
        -------
        display : ReconstructionDisplay
            The display itself.
        """
        given = [self.rows, self.reconstruction]
        if self.target is not None:
            given.append(self.target)
        frames = [read_frame(each) for each in given]
        if len({frame.shape for frame in frames}) > 1 or not len(frames[0]):
            raise ValueError(
                "rows, reconstruction and target must have the same shape, of a row at least, got "
                f"{[frame.shape for frame in frames]}"
            )
        self.images_: list[AxesImage] = []
        self.lines_: list[Line2D] = []
        if self.image_shape is not None:
            self._plot_images(ax, frames, check_image_shape(self.image_shape, frames[0].shape[1]))
        else:
            self._plot_table(ax, frames)
        self.ax_ = self.axes_[0]
        self.figure_ = get_figure(self.ax_)
        return self

    def _plot_images(
        self, ax: "Axes | None", frames: list[pd.DataFrame], shape: tuple[int, ...]
    ) -> None:
        strips = [read_numbers(frame[:_MOST_IMAGES]) for frame in frames]
        rows, output, *rest = [_need_numbers(strip) for strip in strips]
        wanted = rest[0] if rest else rows
        error = np.abs(output - wanted)
        if len(shape) == 3:  # one number a pixel
            error = np.repeat(error.reshape(-1, shape[2]).mean(axis=1), shape[2])
        names = ["row", "reconstruction", *["target"] * len(rest), "error"]
        height = 1.1 * len(names) * shape[0] / shape[1]
        ax = find_axes(ax, max(4.0, 1.0 * len(rows)) + 1.6, height + 0.3)
        low, high = float(np.nanmin(wanted)), float(np.nanmax(wanted))
        for place, strip in enumerate([rows, output, *rest]):
            picture = _join_images(strip, shape)
            if len(shape) == 3:
                picture = np.clip((picture - low) / ((high - low) or 1.0), 0, 1)
            self.images_.append(_show(ax, picture, place, len(rows), IMAGE_MAP, (low, high)))
        picture = _join_images(error.reshape(rows.shape), shape)
        picture = picture if len(shape) == 2 else picture[..., 0]
        limit = float(np.nanmax(error)) or 1.0
        drawn = _show(ax, picture, len(names) - 1, len(rows), ERROR_MAP, (0.0, limit))
        self.images_.append(drawn)
        ax.set(xlim=(0, len(rows)), ylim=(len(names), 0), aspect=shape[0] / shape[1], xticks=[])
        ax.set_yticks(np.arange(len(names)) + 0.5, labels=names)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        for place in range(1, len(names)):
            ax.axhline(place, color="white", linewidth=3)
        for place in range(1, len(rows)):
            ax.axvline(place, color="white", linewidth=3)
        bar = get_figure(ax).colorbar(drawn, ax=ax, aspect=25, shrink=0.8, pad=0.02)
        bar.set_label("absolute error")
        self.axes_ = np.array([ax])

    def _plot_table(self, ax: "Axes | None", frames: list[pd.DataFrame]) -> None:
        frames = [frame.iloc[:_MOST_PANELS] for frame in frames]
        n_rows, n_columns = frames[0].shape
        is_curve = n_columns > _MOST_COLUMNS
        height = 3.2 if is_curve else 1.4 + 0.26 * n_columns
        panels = divide_axes(find_axes(ax, 2.8 + 2.4 * n_rows, height), n_rows)
        draw = self._draw_curves if is_curve else self._draw_cells
        draw(panels, frames)
        self.axes_ = np.array(panels)
        panels[-1].legend(
            loc="upper left", bbox_to_anchor=(1.02, 1.0), frameon=False, borderaxespad=0.0
        )

    def _draw_curves(self, panels: list["Axes"], frames: list[pd.DataFrame]) -> None:
        rows, output, *rest = [_need_numbers(read_numbers(frame)) for frame in frames]
        x = np.arange(rows.shape[1])
        shown = np.concatenate([rows, output, *rest])
        low, high = np.nanmin(shown), np.nanmax(shown)
        slack = 0.05 * (high - low) or 1.0
        for index, ax in enumerate(panels):
            wanted = rest[0][index] if rest else rows[index]
            ax.fill_between(x, output[index], wanted, color=GREY, label="error", linewidth=0)
            self.lines_ += ax.plot(x, rows[index], color=BLUE, label="row")
            self.lines_ += ax.plot(x, output[index], "--", color=ORANGE, label="reconstruction")
            if rest:
                self.lines_ += ax.plot(x, wanted, ":", color="black", label="target")
            ax.set(xlabel="column", ylim=(low - slack, high + slack))
            ax.set_title(f"row {frames[0].index[index]}", fontsize="medium")
            ax.tick_params(labelleft=index == 0)
            show_as_they_are([ax.title])

    def _draw_cells(self, panels: list["Axes"], frames: list[pd.DataFrame]) -> None:
        names = list(frames[0].columns)
        places = np.arange(len(names))
        numeric = [is_number(frames[0][name]) for name in names]
        rows, output, *rest = [self._standardize(frame, numeric) for frame in frames]
        shown = np.concatenate([rows, output, *rest])
        reach = np.nanmax(np.abs(shown), initial=1.0) * 1.15
        for index, ax in enumerate(panels):
            wanted = rest[0][index] if rest else rows[index]
            ax.hlines(places, wanted, output[index], color=GREY, linewidth=4, label="error")
            looks = [
                ("row", rows[index], BLUE, "o", "full"),
                ("reconstruction", output[index], ORANGE, "s", "none"),
            ]
            looks += [("target", wanted, "black", "D", "none")] * bool(rest)
            for label, values, colour, mark, fill in looks:
                self.lines_ += ax.plot(
                    values, places, mark, color=colour, fillstyle=fill, label=label
                )
            self._write_labels(ax, frames, index, numeric)
            ax.set(xlim=(-reach, reach), ylim=(len(names) - 0.5, -0.5), xlabel="standardized value")
            ax.set_title(f"row {frames[0].index[index]}", fontsize="medium")
            ax.grid(axis="y", color="0.92")
            ax.set_axisbelow(True)
            shown_names = [shorten_text(name, _LONGEST_NAME) for name in names]
            ax.set_yticks(places, labels=shown_names if index == 0 else [""] * len(names))
            show_as_they_are([ax.title, *ax.get_yticklabels()])

    @staticmethod
    def _write_labels(
        ax: "Axes", frames: list[pd.DataFrame], index: int, numeric: Sequence[bool]
    ) -> None:
        """Write cells that are no numbers, and what they have become if that is another."""
        for place in [place for place, drawn in enumerate(numeric) if not drawn]:
            wanted, got = frames[-1 if len(frames) > 2 else 0], frames[1]
            before, after = (
                shorten_text(frame.iloc[index, place], _LONGEST_LABEL) for frame in (wanted, got)
            )
            text = before if before == after else f"{before} → {after}"
            written = ax.text(
                0,
                place,
                text,
                ha="center",
                va="center",
                color="black" if before == after else ORANGE,
                fontsize="small",
            )
            show_as_they_are([written])

    def _standardize(self, frame: pd.DataFrame, numeric: Sequence[bool]) -> np.ndarray:
        """Return columns of numbers in standard deviations, and NaN for others."""
        values, basis = np.full(frame.shape, np.nan), read_frame(self.rows)
        for place in [place for place, drawn in enumerate(numeric) if drawn]:
            column = read_column(basis, place)
            center = np.nanmean(column) if self.center is None else np.asarray(self.center)[place]
            scale = np.nanstd(column) if self.scale is None else np.asarray(self.scale)[place]
            values[:, place] = (read_column(frame, place) - center) / (scale if scale > 0 else 1.0)
        return values


def _need_numbers(rows: np.ndarray | None) -> np.ndarray:
    if rows is None:
        raise TypeError("rows must hold numbers alone to be drawn as images or curves")
    return rows


def _join_images(rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.concatenate(list(rows.reshape(-1, *shape)), axis=1)


def _show(
    ax: "Axes",
    picture: np.ndarray,
    place: int,
    width: int,
    colours: str,
    limits: tuple[float, float],
) -> Any:
    return ax.imshow(
        picture,
        cmap=colours,
        vmin=limits[0],
        vmax=limits[1],
        extent=(0, width, place + 1, place),
        interpolation="nearest",
    )

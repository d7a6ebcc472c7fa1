"""What codes decode to, over a plane or along a line."""

from typing import TYPE_CHECKING, Any, Self, final

import numpy as np
from numpy.typing import ArrayLike

from .drawing import BLUE, IMAGE_MAP, find_axes, get_figure
from .tables import check_image_shape, find_scaling, read_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CELL = 0.5  # inches
_MARGIN = 0.9

# The plane spans these shares of the codes.
_LOWEST, _HIGHEST = 0.02, 0.98


@final
class ManifoldDisplay:
    """Rows decoded from a grid of codes: over the latent plane, or between rows.

    Use `from_estimator` to draw the plane of a code of two components, and `from_rows` for paths
    between rows in a code of any size. All parameters are kept as attributes.

    Parameters
    ----------
    decoded : array-like of shape (n_down, n_across, n_features)
        The rows, from the top left.
    across, down : array-like of shape (n_across,) or (n_down,), default=None
        The values at the axes.
    names : tuple of str, default=("", "")
        Names of the axes.
    image_shape : tuple of int, default=None
        Height and width of the images that rows are, and 3 for colours. None draws each row as
        a curve over its columns.
    limits : tuple of float, default=None
        The values that are white and black, or the lowest and highest of a curve. None takes
        the smallest and largest decoded value.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes.
    figure_ : matplotlib.figure.Figure
        The figure.
    image_ : matplotlib.image.AxesImage or None
        The images, as one.
    lines_ : matplotlib.collections.LineCollection or None
        The curves.

    See Also
    --------
    LatentDisplay : Where rows lie in the plane.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import VAETransformer
    >>> from skae.inspection import ManifoldDisplay
    >>> X = load_digits().data
    >>> vae = VAETransformer(2, max_epochs=2, random_state=0).fit(X)
    >>> display = ManifoldDisplay.from_estimator(vae, X, n_steps=5, image_shape=(8, 8))
    >>> display.image_.get_array().shape
    (40, 40)
    """

    def __init__(
        self,
        *,
        decoded: ArrayLike,
        across: ArrayLike | None = None,
        down: ArrayLike | None = None,
        names: tuple[str, str] = ("", ""),
        image_shape: tuple[int, ...] | None = None,
        limits: tuple[float, float] | None = None,
    ) -> None:
        self.decoded = decoded
        self.across = across
        self.down = down
        self.names = names
        self.image_shape = image_shape
        self.limits = limits

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        n_steps: int = 12,
        image_shape: tuple[int, ...] | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw the latent plane.

        Parameters
        ----------
        estimator : object
            A fitted transformer with `inverse_transform` and a code of two components.
        X : array-like or frame of shape (n_samples, n_features)
            Rows whose codes say what part of the plane to draw, at steps that have equally many
            codes between them.
        n_steps : int, default=12
            Number of rows along each axis.
        image_shape : tuple of int, default=None
            Height and width of the images that rows are, and 3 for colours.
        ax : matplotlib.axes.Axes, default=None
            Where to draw, as in `plot`.

        Returns
        -------
        display : ManifoldDisplay
            The display, drawn.
        """
        codes = np.asarray(estimator.transform(X), dtype=np.float64)
        if codes.ndim != 2 or codes.shape[1] != 2:
            raise ValueError(
                f"estimator must have a code of two components, got {codes.shape[-1]}: fit it "
                "with n_components=2, or draw paths by from_rows"
            )
        steps = np.quantile(codes, np.linspace(_LOWEST, _HIGHEST, n_steps), axis=0)
        across, down = steps[:, 0], steps[::-1, 1]  # upwards, as in a scatter plot
        grid = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
        rows, limits = _decode(estimator, grid, X, image_shape is None)
        display = cls(
            decoded=rows.reshape(n_steps, n_steps, -1),
            across=across,
            down=down,
            names=("component 1", "component 2"),
            image_shape=image_shape,
            limits=limits,
        )
        return display.plot(ax)

    @classmethod
    def from_rows(
        cls,
        estimator: Any,
        start: ArrayLike,
        end: ArrayLike,
        *,
        n_steps: int = 10,
        image_shape: tuple[int, ...] | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw what lies between rows, along the straight line between their codes.

        Parameters
        ----------
        estimator : object
            A fitted transformer with `inverse_transform`.
        start, end : array-like or frame of shape (n_paths, n_features)
            The rows at the ends of each path.
        n_steps : int, default=10
            Number of rows of a path, with its ends.
        image_shape : tuple of int, default=None
            Height and width of the images that rows are, and 3 for colours.
        ax : matplotlib.axes.Axes, default=None
            Where to draw, as in `plot`.

        Returns
        -------
        display : ManifoldDisplay
            The display, drawn.
        """
        first, last = (
            np.asarray(estimator.transform(rows), dtype=np.float64) for rows in (start, end)
        )
        if first.shape != last.shape:
            raise ValueError(
                f"start and end must have the same number of rows, got {len(first)} and {len(last)}"
            )
        shares = np.linspace(0, 1, n_steps)
        codes = first[:, None] + shares[:, None] * (last - first)[:, None]
        codes = codes.reshape(-1, first.shape[1])
        rows, limits = _decode(estimator, codes, start, image_shape is None)
        display = cls(
            decoded=rows.reshape(len(first), n_steps, -1),
            across=shares,
            names=("share of the way", ""),
            image_shape=image_shape,
            limits=limits,
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
        display : ManifoldDisplay
            The display itself.
        """
        decoded = np.asarray(self.decoded, dtype=np.float64)
        n_down, n_across, n_features = decoded.shape
        self.image_ = self.lines_ = None
        limits = self.limits or (float(decoded.min()), float(decoded.max()))
        ratio = 0.6
        if self.image_shape is not None:
            shape = check_image_shape(self.image_shape, n_features)
            ratio = shape[0] / shape[1]
        size = (_CELL * n_across + _MARGIN, _CELL * n_down * ratio + _MARGIN)
        ax = find_axes(ax, *size)
        if self.image_shape is not None:
            self.image_ = _show_images(ax, decoded, shape, limits)
            _draw_grid(ax, n_down, n_across)
        else:
            self.lines_ = _draw_curves(ax, decoded, limits)
        ax.set(xlim=(0, n_across), ylim=(n_down, 0), aspect=ratio)
        ax.set(xlabel=self.names[0], ylabel=self.names[1])
        _set_ticks(ax.xaxis, self.across)
        _set_ticks(ax.yaxis, self.down)
        ax.tick_params(length=0, labelsize="small")
        ax.spines[:].set_visible(False)
        self.ax_, self.figure_ = ax, get_figure(ax)
        return self


def _decode(
    estimator: Any, codes: np.ndarray, X: ArrayLike, is_curve: bool
) -> tuple[np.ndarray, tuple[float, float] | None]:
    """Return decoded rows, and the range of the given ones; curves are of scaled columns."""
    rows, given = read_numbers(estimator.inverse_transform(codes)), read_numbers(X)
    if rows is None or given is None:
        raise TypeError("estimator must decode to numbers alone: ManifoldDisplay draws no labels")
    if not is_curve:
        return rows, (float(np.nanmin(given)), float(np.nanmax(given)))
    center, scale = find_scaling(estimator, rows.shape[1]) or (0.0, 1.0)
    return (rows - center) / scale, None


def _draw_grid(ax: "Axes", n_down: int, n_across: int) -> None:
    for place in range(1, n_across):
        ax.axvline(place, color="white", linewidth=2)
    for place in range(1, n_down):
        ax.axhline(place, color="white", linewidth=2)


def _show_images(
    ax: "Axes", decoded: np.ndarray, shape: tuple[int, ...], limits: tuple[float, float]
) -> Any:
    n_down, n_across, _ = decoded.shape
    # (down, across, height, width, ...) to (down, height, across, width, ...)
    cells = decoded.reshape(n_down, n_across, *shape).swapaxes(1, 2)
    picture = cells.reshape(n_down * shape[0], n_across * shape[1], *shape[2:])
    low, high = limits
    if len(shape) == 3:
        picture = np.clip((picture - low) / ((high - low) or 1.0), 0, 1)
    return ax.imshow(
        picture,
        cmap=IMAGE_MAP,
        vmin=low,
        vmax=high,
        extent=(0, n_across, n_down, 0),
        interpolation="nearest",
    )


def _draw_curves(ax: "Axes", decoded: np.ndarray, limits: tuple[float, float]) -> Any:
    from matplotlib.collections import LineCollection

    n_down, n_across, n_features = decoded.shape
    low, high = limits
    heights = (decoded - low) / ((high - low) or 1.0)
    x = np.linspace(0.08, 0.92, n_features)
    curves = [
        np.column_stack([column + x, line + 0.92 - 0.84 * heights[line, column]])
        for line in range(n_down)
        for column in range(n_across)
    ]
    lines = LineCollection(curves, colors=BLUE, linewidths=1.0)
    ax.add_collection(lines, autolim=False)
    return lines


def _set_ticks(axis: Any, values: ArrayLike | None) -> None:
    """Write values at the middle of cells, as many as there is room for."""
    if values is None:
        axis.set_ticks([])
        return
    numbers = np.asarray(values, dtype=np.float64)
    step = -(-len(numbers) // 8)
    shown = np.arange(0, len(numbers), step)
    # As many decimals as tell neighbours apart.
    n_decimals = max(0, int(np.ceil(0.3 - np.log10(np.ptp(numbers) / len(numbers) or 1.0))))
    n_decimals = 0 if np.array_equal(numbers, numbers.round()) else n_decimals
    labels = [f"{numbers[index]:z.{n_decimals}f}" for index in shown]
    axis.set_ticks(shown + 0.5, labels=labels)

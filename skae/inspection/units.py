"""What the units of a convolutional network respond to."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np
from numpy.typing import ArrayLike

from .deconvolution import find_responses
from .drawing import IMAGE_MAP, divide_axes, find_axes, get_figure
from .requirements import require
from .tables import find_scaling, read_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

# Width of a patch in inches.
_WIDTH = 0.62


@final
class UnitsDisplay:
    """The patches of images that units respond to most, and what it is in them.

    Use `from_estimator` to draw the units of a fitted convolutional encoder. All parameters are
    kept as attributes.

    Parameters
    ----------
    patches : array-like of shape (n_units, n_patches, height, width) or with 3 colours behind
        Parts of images that each unit responds to, strongest first.
    projections : array-like of the shape of `patches`
        The responses, projected back to the pixels: positive where more of a pixel is more of the
        response.
    units : array-like of int of shape (n_units,)
        Numbers of the units.
    activations : array-like of shape (n_units, n_patches), default=None
        The responses.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes of the patches.
    axes_ : ndarray of matplotlib.axes.Axes
        Those of the patches and of the projections.
    figure_ : matplotlib.figure.Figure
        The figure.
    images_ : list of matplotlib.image.AxesImage
        The drawn strips: for each unit its patches and its projections.

    See Also
    --------
    skae.modules.ConvolutionalArchitecture : Networks whose units are drawn.

    Notes
    -----
    A response goes back through the layers as in [1]_: through pooling to where the maxima were,
    through activations if it is positive, and through the transposes of the convolutions. Where
    training has kept the linear path alone (`n_iter_` is 0), units have their random weights.

    References
    ----------
    .. [1] Zeiler and Fergus (2014), "Visualizing and understanding convolutional networks",
       ECCV, section 2.1.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import UnitsDisplay
    >>> images = load_digits().images
    >>> model = AutoencoderTransformer(8, architecture="convolutional", max_epochs=2).fit(images)
    >>> display = UnitsDisplay.from_estimator(model, images, layer=0, n_units=6)
    >>> display.patches.shape
    (6, 8, 3, 3)
    """

    def __init__(
        self,
        *,
        patches: ArrayLike,
        projections: ArrayLike,
        units: ArrayLike,
        activations: ArrayLike | None = None,
    ) -> None:
        self.patches = patches
        self.projections = projections
        self.units = units
        self.activations = activations

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        layer: int = -1,
        units: Sequence[int] | None = None,
        n_units: int = 8,
        n_patches: int = 8,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw what the units of a fitted convolutional encoder respond to.

        Parameters
        ----------
        estimator : object
            A fitted transformer with `architecture="convolutional"`, or another one that builds a
            `ConvolutionalArchitecture`; a denoiser without a code as well.
        X : array-like of shape (n_samples, height, width), or as `estimator` was fitted to
            Images to choose from.
        layer : int, default=-1
            The layer of the units: 0 is the first one, -1 the last one before the code. Units of
            later layers see larger patches.
        units : sequence of int, default=None
            The units. None is those of the strongest responses.
        n_units : int, default=8
            Number of units if `units` is None.
        n_patches : int, default=8
            Number of images for each unit, each with its strongest response.
        ax : matplotlib.axes.Axes, default=None
            Where to draw, as in `plot`.

        Returns
        -------
        display : UnitsDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If `estimator` has no convolutional encoder for images.
        ValueError
            If there is no such layer or unit, or if `X` has other images or missing cells.
        """
        require(estimator, "module_", "a transformer of skae")
        for name, count in (("n_units", n_units), ("n_patches", n_patches)):
            if count < 1:
                raise ValueError(f"{name} must be a positive integer, got {count!r}")
        rows = read_numbers(X) if np.size(X) else None
        if rows is None or not np.isfinite(rows).all():
            raise ValueError("X must be images without missing cells, one at least")
        scaling = find_scaling(estimator, rows.shape[1])
        scaled = rows if scaling is None else (rows - scaling[0]) / scaling[1]
        found = find_responses(
            estimator.module_,
            rows,
            scaled,
            layer=layer,
            units=units,
            n_units=n_units,
            n_patches=n_patches,
        )
        patches, projections = (
            each[..., 0] if each.shape[-1] == 1 else each
            for each in (found.patches, found.projections)
        )
        display = cls(
            patches=patches,
            projections=projections,
            units=found.units,
            activations=found.activations,
        )
        return display.plot(ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; the patches and the projections have a panel each in its place. None
            takes pyplot's current figure if that is empty, else a new one.

        Returns
        -------
        display : UnitsDisplay
            The display itself.
        """
        patches, projections = np.asarray(self.patches), np.asarray(self.projections)
        units = np.asarray(self.units)
        is_picture = patches.ndim == 4 or (patches.ndim == 5 and patches.shape[-1] == 3)
        if not is_picture or patches.shape != projections.shape or len(units) != len(patches):
            raise ValueError(
                "patches and projections must be (n_units, n_patches, height, width), or with 3 "
                f"colours behind, one for each of units; got {patches.shape}, {projections.shape} "
                f"and {len(units)} units"
            )
        n_units, n_patches, *size = patches.shape[:4]
        width = 2 * _WIDTH * n_patches + 1.0
        height = _WIDTH * n_units * size[0] / size[1] + 0.5
        panels = divide_axes(find_axes(ax, width, height), 2)
        low, high = float(patches.min()), float(patches.max())
        span = (high - low) or 1.0
        self.images_: list[AxesImage] = []
        for place in range(n_units):
            reach = float(np.abs(projections[place]).max()) or 1.0
            strips = [(patches[place] - low) / span, 0.5 + 0.5 * projections[place] / reach]
            for panel, strip in zip(panels, strips, strict=True):
                drawn = panel.imshow(
                    np.concatenate(list(strip), axis=1),
                    cmap=IMAGE_MAP,
                    vmin=0.0,
                    vmax=1.0,
                    extent=(0, n_patches, place + 1, place),
                    interpolation="nearest",
                )
                self.images_.append(drawn)
        for panel, title in zip(panels, ["patches", "projections"], strict=True):
            panel.set(xlim=(0, n_patches), ylim=(n_units, 0), aspect=size[0] / size[1], xticks=[])
            panel.set_title(title, fontsize="medium")
            panel.set_yticks(np.arange(n_units) + 0.5, labels=[f"unit {unit}" for unit in units])
            panel.tick_params(length=0, labelleft=panel is panels[0])
            panel.spines[:].set_visible(False)
            for line in range(1, n_units):
                panel.axhline(line, color="white", linewidth=4)
            for line in range(1, n_patches):
                panel.axvline(line, color="white", linewidth=2)
        self.axes_ = np.array(panels)
        self.ax_ = panels[0]
        self.figure_ = get_figure(self.ax_)
        return self

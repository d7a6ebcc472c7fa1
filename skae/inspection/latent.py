"""The map of the rows that two components make."""

import math
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import gaussian_kde
from sklearn.manifold import trustworthiness as measure_trustworthiness

from .._data import subsample_indices
from .drawing import DARK_GREY, SHADE_MAP, find_axes, get_figure
from .requirements import require
from .scatter import draw_key, group_labels, limit_view, scatter_points
from .spread import Spread
from .tables import find_scaling, read_numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 6.2, 5.0

# Rows that a density, or a trustworthiness, is computed from: both take their square in time.
_MOST_ROWS = 1_500
_N_NEIGHBOURS = 5

# More ellipses than this hide each other.
_MOST_ELLIPSES = 80
_ELLIPSE = np.linspace(0, 2 * np.pi, 33)

# How much larger points are than in a display of several maps.
_AREA = 2.0

# Points of the shading along each axis.
_N_GRID = 80

# Within the lines of the density lie so many of the rows.
_SHARES = (0.9, 0.75, 0.5, 0.25)

_SHADES = ("density", "stretch")


@final
class LatentDisplay:
    """Rows by the two components of their codes, with what the map can be trusted in.

    Use `from_estimator` to draw the codes of a fitted transformer, and `from_predictions` for
    codes of any origin. All parameters are kept as attributes.

    Parameters
    ----------
    codes : array-like of shape (n_samples, 2)
        The codes.
    labels : array-like of shape (n_samples,), default=None
        Labels that colour the rows, as in `ComparisonDisplay`.
    label_name : str, default=None
        The title of the legend.
    scales : array-like of shape (n_samples, 2), default=None
        Standard deviations of the codes, which draw ellipses.
    decode : callable, default=None
        Maps codes to rows of numbers. Needed for `shade="stretch"`.
    trustworthiness : float, default=None
        How far neighbours on the map are neighbours in the table, up to 1; the title shows it.
    names : tuple of str, default=("component 1", "component 2")
        Names of the axes.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes.
    figure_ : matplotlib.figure.Figure
        The figure.
    scatter_ : list of matplotlib.collections.PathCollection
        The points of each label.
    shade_ : matplotlib.cm.ScalarMappable or None
        The shading.
    ellipses_ : matplotlib.collections.PolyCollection or None
        The ellipses.

    See Also
    --------
    sklearn.manifold.trustworthiness : The measure in the title.

    Notes
    -----
    Trustworthiness [1]_ is that of five neighbours, of up to 1,500 rows, with columns scaled as
    the estimator scales them. The stretch of a decoder [2]_ is the largest distance that a row
    moves in the table for a small step on the map as it is drawn, divided by that of the median
    row: where it is large, rows that look close are not.

    References
    ----------
    .. [1] Venna and Kaski (2001), "Neighborhood preservation in nonlinear projection methods:
       an experimental study", ICANN.
    .. [2] Bishop, Svensén and Williams (1997), "Magnification factors for the SOM and GTM
       algorithms", WSOM.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import LatentDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> autoencoder = AutoencoderTransformer(2, max_epochs=5, random_state=0).fit(X)
    >>> display = LatentDisplay.from_estimator(autoencoder, X, y)
    >>> len(display.scatter_)
    3
    >>> display.trustworthiness > 0.9
    True
    """

    def __init__(
        self,
        *,
        codes: ArrayLike,
        labels: ArrayLike | None = None,
        label_name: str | None = None,
        scales: ArrayLike | None = None,
        decode: "Callable[[np.ndarray], ArrayLike] | None" = None,
        trustworthiness: float | None = None,
        names: tuple[str, str] = ("component 1", "component 2"),
    ) -> None:
        self.codes = codes
        self.labels = labels
        self.label_name = label_name
        self.scales = scales
        self.decode = decode
        self.trustworthiness = trustworthiness
        self.names = names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        components: tuple[int, int] = (0, 1),
        label_name: str | None = None,
        shade: str | None = "density",
        spread: str = "as_is",
        ellipses: bool = True,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw the codes of rows.

        Parameters
        ----------
        estimator : object
            A fitted transformer; of a `VAETransformer` the standard deviations of codes are
            drawn too.
        X : array-like or frame of shape (n_samples, n_features)
            The rows.
        y : array-like of shape (n_samples,), default=None
            Labels that colour the rows.
        components : tuple of int, default=(0, 1)
            Which two components to draw, counted from zero.
        label_name : str, default=None
            The title of the legend.
        shade : {"density", "stretch"} or None, default="density"
            What to shade, as in `plot`. "stretch" needs a code of two components and a table of
            numbers.
        spread : {"as_is", "squash", "rank"}, default="as_is"
            How to make room for crowded rows, as in `plot`.
        ellipses : bool, default=True
            Whether to draw an ellipse of one standard deviation for each code, or for a part of
            them if they are many, where the estimator has `posterior`.
        ax : matplotlib.axes.Axes, default=None
            Where to draw, as in `plot`.

        Returns
        -------
        display : LatentDisplay
            The display, drawn.
        """
        require(estimator, "transform", "a transformer")
        codes = np.asarray(estimator.transform(X), dtype=np.float64)
        n_codes = codes.shape[1]
        if len(set(components)) != 2 or not set(components) <= set(range(n_codes)):
            raise ValueError(
                f"components must be two of the code's, counted from zero, got {components} and "
                f"a code of {n_codes}"
            )
        chosen = list(components)
        scales = decode = trust = None
        if ellipses and hasattr(estimator, "posterior"):
            scales = np.asarray(estimator.posterior(X)[1])[:, chosen]
        rows = read_numbers(X)
        if rows is not None:
            _, unit = find_scaling(estimator, rows.shape[1]) or (0.0, np.ones(rows.shape[1]))
            trust = _find_trustworthiness(rows / unit, codes[:, chosen])
            if n_codes == 2 and hasattr(estimator, "inverse_transform"):

                def decode(part: np.ndarray) -> np.ndarray:
                    return np.asarray(estimator.inverse_transform(part[:, chosen])) / unit

        display = cls(
            codes=codes[:, chosen],
            labels=y,
            label_name=label_name,
            scales=scales,
            decode=decode,
            trustworthiness=trust,
            names=(f"component {components[0] + 1}", f"component {components[1] + 1}"),
        )
        return display.plot(ax, shade=shade, spread=spread)

    @classmethod
    def from_predictions(
        cls,
        codes: ArrayLike,
        y: ArrayLike | None = None,
        *,
        X: ArrayLike | None = None,
        label_name: str | None = None,
        shade: str | None = "density",
        spread: str = "as_is",
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw codes of any origin.

        Parameters
        ----------
        codes : array-like of shape (n_samples, 2)
            The codes.
        y : array-like of shape (n_samples,), default=None
            Labels that colour the rows.
        X : array-like of shape (n_samples, n_features), default=None
            The rows, whose neighbours the map's trustworthiness is computed from.
        label_name : str, default=None
            The title of the legend.
        shade : "density" or None, default="density"
            What to shade, as in `plot`.
        spread : {"as_is", "squash", "rank"}, default="as_is"
            How to make room for crowded rows, as in `plot`.
        ax : matplotlib.axes.Axes, default=None
            Where to draw, as in `plot`.

        Returns
        -------
        display : LatentDisplay
            The display, drawn.
        """
        rows = None if X is None else read_numbers(X)
        trust = None if rows is None else _find_trustworthiness(rows, np.asarray(codes))
        display = cls(codes=codes, labels=y, label_name=label_name, trustworthiness=trust)
        return display.plot(ax, shade=shade, spread=spread)

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        shade: str | None = "density",
        spread: str = "as_is",
    ) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw. None takes pyplot's current figure if that is empty, else a new one.
        shade : {"density", "stretch"} or None, default="density"
            What to shade: where rows are dense, or where the decoder stretches the map, so that
            distances are not to be trusted.
        spread : {"as_is", "squash", "rank"}, default="as_is"
            How to make room for crowded rows: "as_is" leaves distant rows out of view and says
            how many; "squash" draws them nearer, on a scale that is logarithmic far out; "rank"
            draws each axis by rank.

        Returns
        -------
        display : LatentDisplay
            The display itself.
        """
        codes = np.asarray(self.codes, dtype=np.float64)
        if codes.ndim != 2 or codes.shape[1] != 2:
            raise ValueError(
                f"codes must have two components, got an array of shape {codes.shape}: choose "
                "two of its columns"
            )
        if shade not in (*_SHADES, None):
            raise ValueError(f"shade must be one of {_SHADES} or None, got {shade!r}")
        if shade == "stretch" and self.decode is None:
            raise ValueError(
                'shade="stretch" needs decode, a map from codes to rows of numbers, got None'
            )
        axis_spread = Spread.from_codes(spread, codes)
        points = axis_spread.forward(codes)
        ax = find_axes(ax, _WIDTH, _HEIGHT)
        ax.set(xlabel=self.names[0] + axis_spread.suffix, ylabel=self.names[1] + axis_spread.suffix)
        if axis_spread.kind == "as_is":
            limit_view(ax, points)
        else:
            _show_all(ax, points)
        self.shade_: Any = None
        if shade == "density":
            self.shade_ = _shade_density(ax, points)
        elif self.decode is not None and shade == "stretch":
            self.shade_ = _shade_stretch(ax, points, axis_spread, self.decode)
        self.ellipses_: Any = None
        if self.scales is not None:
            self.ellipses_ = _draw_ellipses(ax, codes, np.asarray(self.scales), axis_spread)
        colouring = None if self.labels is None else group_labels(self.labels)
        self.scatter_ = scatter_points(ax, points, colouring, area=_AREA)
        self.ax_, self.figure_ = ax, get_figure(ax)
        draw_key(self.figure_, [ax], colouring, self.label_name)
        if shade == "stretch":
            _draw_bar(self.figure_, ax, self.shade_)
        if self.trustworthiness is not None:
            ax.set_title(f"trustworthiness {self.trustworthiness:.2f}")
        return self


def _find_trustworthiness(rows: np.ndarray, codes: np.ndarray) -> float | None:
    if len(rows) < 2 * _N_NEIGHBOURS + 2 or not np.isfinite(rows).all():
        return None
    indices = subsample_indices(len(rows), _MOST_ROWS)
    return float(measure_trustworthiness(rows[indices], codes[indices], n_neighbors=_N_NEIGHBOURS))


def _show_all(ax: "Axes", points: np.ndarray) -> None:
    low, high = points.min(axis=0), points.max(axis=0)
    slack = np.where(high > low, 0.04 * (high - low), 1.0)
    low, high = low - slack, high + slack
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    ax.locator_params(nbins=5)


def _make_grid(ax: "Axes") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return coordinates that fill the view, and their pairs."""
    x = np.linspace(*ax.get_xlim(), _N_GRID)
    y = np.linspace(*ax.get_ylim(), _N_GRID)
    return x, y, np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def _shade_density(ax: "Axes", points: np.ndarray) -> Any:
    sample = points[subsample_indices(len(points), _MOST_ROWS)]
    if len(sample) < 3 or np.linalg.matrix_rank(sample - sample.mean(axis=0)) < 2:
        return None  # a point or a line has no density in the plane
    density = gaussian_kde(sample.T)
    x, y, grid = _make_grid(ax)
    heights = density(grid.T).reshape(_N_GRID, _N_GRID)
    at_rows = density(sample.T)
    levels = np.unique([np.quantile(at_rows, 1 - share) for share in _SHARES])
    levels = np.append(levels[levels < heights.max()], heights.max())
    if len(levels) < 2:
        return None
    greys = [str(shade) for shade in np.linspace(0.94, 0.8, len(levels) - 1)]
    return ax.contourf(x, y, heights, levels=levels, colors=greys, zorder=0)


def _shade_stretch(
    ax: "Axes", points: np.ndarray, spread: Spread, decode: "Callable[[np.ndarray], ArrayLike]"
) -> Any:
    from matplotlib.colors import LogNorm

    x, y, grid = _make_grid(ax)
    step = np.array([x[1] - x[0], y[1] - y[0]])
    sample = points[subsample_indices(len(points), _MOST_ROWS)]
    typical = np.median(_measure_stretch(sample, step, spread, decode))
    stretch = _measure_stretch(grid, step, spread, decode) / (typical or 1.0)
    low, high = np.percentile(stretch, [2, 98])
    low, high = min(low, 0.5), max(high, 2.0)
    return ax.imshow(
        stretch.reshape(_N_GRID, _N_GRID),
        norm=LogNorm(low, high),
        cmap=SHADE_MAP,
        extent=(x[0], x[-1], y[0], y[-1]),
        origin="lower",
        aspect="auto",
        interpolation="bilinear",
        alpha=0.6,
        zorder=0,
    )


def _draw_bar(figure: "Figure", ax: "Axes", shade: Any) -> None:
    bar = figure.colorbar(shade, ax=ax, location="bottom", aspect=40, shrink=0.8)
    low, high = shade.get_clim()
    exponents = range(math.ceil(math.log2(low)), math.floor(math.log2(high)) + 1)
    ticks = [2.0**exponent for exponent in exponents]
    bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    bar.ax.minorticks_off()
    bar.set_label("stretch by the decoder, times that of the median row")


def _measure_stretch(
    places: np.ndarray,
    step: np.ndarray,
    spread: Spread,
    decode: "Callable[[np.ndarray], ArrayLike]",
) -> np.ndarray:
    """Return the largest singular value of the Jacobian at places, in units of the drawn map."""
    moved = []
    for axis in np.diag(step):
        ahead, behind = (decode(spread.inverse(places + way * axis)) for way in (0.5, -0.5))
        # One unit is the view's width, in both directions.
        moved.append((np.asarray(ahead) - np.asarray(behind)) * _N_GRID)
    first, second = moved
    a, b = np.square(first).sum(axis=1), np.square(second).sum(axis=1)
    c = (first * second).sum(axis=1)
    return np.sqrt(0.5 * (a + b + np.sqrt(np.square(a - b) + 4 * np.square(c))))


def _draw_ellipses(ax: "Axes", codes: np.ndarray, scales: np.ndarray, spread: Spread) -> Any:
    from matplotlib.collections import PolyCollection

    indices = subsample_indices(len(codes), _MOST_ELLIPSES)
    circle = np.stack([np.cos(_ELLIPSE), np.sin(_ELLIPSE)], axis=-1)
    outlines = codes[indices, None] + scales[indices, None] * circle
    ellipses = PolyCollection(
        list(spread.forward(outlines)),
        facecolors="none",
        edgecolors=DARK_GREY,
        linewidths=0.6,
        alpha=0.7,
    )
    ax.add_collection(ellipses, autolim=False)
    return ellipses

"""Models side by side: how much each explains, and its map of the rows."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, Self, final

import numpy as np
from numpy.typing import ArrayLike

from .drawing import COLOURS, LINES, MARKS, divide_axes, find_axes, get_figure
from .metrics import explained_variance as compute_share
from .scatter import draw_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

# The size of a panel and of the legend beside the last, in inches.
_WIDTH, _HEIGHT = 4.4, 4.4
_LEGEND_WIDTH = 0.8

# An axis has room for so many labels.
_MOST_TICKS = 8


class _Estimator(Protocol):
    def transform(self, X: ArrayLike, /) -> ArrayLike: ...

    def inverse_transform(self, X: ArrayLike, /) -> ArrayLike: ...


@final
class ComparisonDisplay:
    """Explained variance of models by number of components, and their maps of the rows.

    Use `from_estimators` to draw fitted models; all parameters are kept as attributes. The
    command `python -m skae TABLE --plot FILE` draws a table.

    Parameters
    ----------
    n_components : array-like of shape (n_sizes,)
        The numbers of components.
    explained_variance : mapping of str to array-like of shape (n_sizes,)
        For each model, the share of the variance that it explains with each of them.
        NaN where a model has no such share.
    codes : mapping of str to array-like of shape (n_samples, 2), default=None
        For each model, the codes of the rows with two components. None draws no maps.
    labels : array-like of shape (n_samples,), default=None
        Labels that colour the rows. Up to ten different values have a colour and a mark
        each. More numbers have a scale of colours; of more names, the nine most frequent
        have a colour.
    label_name : str, default=None
        The title of the legend.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The panel of the explained variance.
    axes_ : ndarray of matplotlib.axes.Axes
        All panels: first the explained variance, then the maps.
    figure_ : matplotlib.figure.Figure
        The figure.
    lines_ : list of matplotlib.lines.Line2D
        The explained variance of each model.

    See Also
    --------
    skae.AutoencoderTransformer : One of the models to compare.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import ComparisonDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> linear = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(X)
    >>> display = ComparisonDisplay.from_estimators(
    ...     {"PCA": [PCA(1).fit(X), PCA(2).fit(X)], "Autoencoder": [linear]}, X, y
    ... )
    >>> [ax.get_title() for ax in display.axes_]
    ['Explained variance', 'PCA, 2 components', 'Autoencoder, 2 components']
    """

    def __init__(
        self,
        *,
        n_components: ArrayLike,
        explained_variance: Mapping[str, ArrayLike],
        codes: Mapping[str, ArrayLike] | None = None,
        labels: ArrayLike | None = None,
        label_name: str | None = None,
    ) -> None:
        self.n_components = n_components
        self.explained_variance = explained_variance
        self.codes = codes
        self.labels = labels
        self.label_name = label_name

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Sequence[_Estimator]],
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        label_name: str | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw fitted models.

        Parameters
        ----------
        estimators : mapping of str to sequence of estimators
            For each name, fitted models with `transform` and `inverse_transform`, one for
            each number of components. The map shows the codes of the one with two.
        X : array-like of shape (n_samples, n_features)
            The rows to reconstruct, preferably held out from all fits; images as flat rows, which
            models of their shape take too. Their columns are scaled to unit variance before shares
            of the variance are computed.
        y : array-like of shape (n_samples,), default=None
            Labels of the rows.
        label_name : str, default=None
            The title of the legend.
        ax : matplotlib.axes.Axes, default=None
            Where to draw, as in `plot`.

        Returns
        -------
        display : ComparisonDisplay
            The display, drawn.
        """
        shares: dict[str, dict[int, float]] = {}
        maps: dict[str, np.ndarray] = {}
        for name, models in estimators.items():
            shares[name] = {}
            for model in models:
                codes = np.asarray(model.transform(X))
                size = codes.shape[1]
                shares[name][size] = compute_share(X, model.inverse_transform(codes))
                if size == 2:
                    maps[name] = codes
        return cls._from_shares(shares, maps, y, label_name).plot(ax)

    @classmethod
    def from_predictions(
        cls,
        X: ArrayLike,
        reconstructions: Mapping[str, Mapping[int, ArrayLike]],
        y: ArrayLike | None = None,
        *,
        codes: Mapping[str, ArrayLike] | None = None,
        label_name: str | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw reconstructions of the same rows by several models.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows. Their columns are scaled to unit variance before shares of the variance
            are computed.
        reconstructions : mapping of str to mapping of int to array-like
            For each name and number of components, the reconstruction of the rows.
        y : array-like of shape (n_samples,), default=None
            Labels of the rows.
        codes : mapping of str to array-like of shape (n_samples, 2), default=None
            For each name, the codes to draw a map of.
        label_name : str, default=None
            The title of the legend.
        ax : matplotlib.axes.Axes, default=None
            Where to draw, as in `plot`.

        Returns
        -------
        display : ComparisonDisplay
            The display, drawn.
        """
        shares = {
            name: {size: compute_share(X, rows) for size, rows in models.items()}
            for name, models in reconstructions.items()
        }
        return cls._from_shares(shares, codes, y, label_name).plot(ax)

    @classmethod
    def _from_shares(
        cls,
        shares: Mapping[str, Mapping[int, float]],
        codes: Mapping[str, ArrayLike] | None,
        labels: ArrayLike | None,
        label_name: str | None,
    ) -> Self:
        sizes = sorted({size for found in shares.values() for size in found})
        return cls(
            n_components=np.array(sizes),
            explained_variance={
                name: np.array([found.get(size, np.nan) for size in sizes])
                for name, found in shares.items()
            },
            codes=codes or None,
            labels=labels,
            label_name=label_name,
        )

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes that the panels take the place of. None takes pyplot's current figure if that
            is empty, else a new one.

        Returns
        -------
        display : ComparisonDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        codes = {name: np.asarray(points) for name, points in (self.codes or {}).items()}
        place = find_axes(ax, *measure_figure(len(codes)))
        self.figure_ = get_figure(place)
        first, *others = divide_axes(place, 1 + len(codes))
        self.lines_ = self._draw_explained(first)
        if codes:
            maps = dict(zip(codes, others, strict=True))
            draw_points(self.figure_, maps, codes, self.labels, self.label_name)
        self.ax_, self.axes_ = first, np.array([first, *others])
        return self

    def _draw_explained(self, ax: "Axes") -> list["Line2D"]:
        sizes = np.asarray(self.n_components)
        lowest = 0.0
        for index, (name, shares) in enumerate(self.explained_variance.items()):
            heights = np.asarray(shares, dtype=np.float64)
            is_known = np.isfinite(heights)
            ax.plot(
                sizes[is_known],
                heights[is_known],
                color=COLOURS[index % len(COLOURS)],
                marker=MARKS[index % len(MARKS)],
                markersize=6 if index == 0 else 9,
                fillstyle="full" if index == 0 else "none",  # lines may coincide
                linestyle=LINES[index % len(LINES)],
                label=name,
            )
            lowest = min([lowest, *heights[is_known]])
        ax.set(
            title="Explained variance",
            xlabel="components",
            ylabel="share of the variance explained",
            ylim=(1.1 * lowest, 1.02),
        )
        _set_size_ticks(ax, sizes)
        ax.grid(axis="y", color="0.9")
        ax.set_axisbelow(True)
        ax.legend(loc="best", frameon=False)
        return list(ax.get_lines())


def measure_figure(n_maps: int) -> tuple[float, float]:
    """Return the width and height, in inches, of a figure with room for maps."""
    return _WIDTH * (1 + n_maps) + (_LEGEND_WIDTH if n_maps else 0), _HEIGHT


def _set_size_ticks(ax: "Axes", sizes: np.ndarray) -> None:
    """Put a tick at each size, on a scale where each doubling takes the same width."""
    if len(sizes) > 1:
        ax.set_xscale("log", base=2)
    step = -(-len(sizes) // _MOST_TICKS)
    shown = sizes[::step]
    ax.set_xticks(shown, labels=[str(size) for size in shown])
    ax.minorticks_off()

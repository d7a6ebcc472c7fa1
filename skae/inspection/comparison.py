"""Models side by side: how much each explains, and its map of the rows."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, Self, final

import numpy as np
from numpy.typing import ArrayLike

from .drawing import COLOURS, LINES, MARKS, make_figure
from .metrics import explained_variance as compute_share
from .scatter import draw_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    figure_ : matplotlib.figure.Figure
        The figure.
    axes_ : ndarray of matplotlib.axes.Axes
        The axes: first the explained variance, then the maps.

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
        figure: "Figure | None" = None,
    ) -> Self:
        """Draw fitted models.

        Parameters
        ----------
        estimators : mapping of str to sequence of estimators
            For each name, fitted models with `transform` and `inverse_transform`, one for
            each number of components. The map shows the codes of the one with two.
        X : array-like of shape (n_samples, n_features)
            The rows to reconstruct, preferably held out from all fits. Their columns are
            scaled to unit variance before shares of the variance are computed.
        y : array-like of shape (n_samples,), default=None
            Labels of the rows.
        label_name : str, default=None
            The title of the legend.
        figure : matplotlib.figure.Figure, default=None
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
        sizes = sorted({size for found in shares.values() for size in found})
        display = cls(
            n_components=np.array(sizes),
            explained_variance={
                name: np.array([found.get(size, np.nan) for size in sizes])
                for name, found in shares.items()
            },
            codes=maps or None,
            labels=y,
            label_name=label_name,
        )
        return display.plot(figure)

    def plot(self, figure: "Figure | None" = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        figure : matplotlib.figure.Figure, default=None
            Where to draw. None makes a figure that `matplotlib.pyplot` does not know: save
            it with `display.figure_.savefig(...)`. Pass `matplotlib.pyplot.figure()` for
            one that is shown.

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
        n_panels = 1 + len(codes)
        if figure is None:
            width = _WIDTH * n_panels + (_LEGEND_WIDTH if codes else 0)
            figure = make_figure(width, _HEIGHT)
        axes = figure.subplots(1, n_panels, squeeze=False)[0]
        self._draw_explained(axes[0])
        if codes:
            maps = dict(zip(codes, axes[1:], strict=True))
            draw_points(figure, maps, codes, self.labels, self.label_name)
        self.figure_, self.axes_ = figure, axes
        return self

    def _draw_explained(self, ax: "Axes") -> None:
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


def _set_size_ticks(ax: "Axes", sizes: np.ndarray) -> None:
    """Put a tick at each size, on a scale where each doubling takes the same width."""
    if len(sizes) > 1:
        ax.set_xscale("log", base=2)
    step = -(-len(sizes) // _MOST_TICKS)
    shown = sizes[::step]
    ax.set_xticks(shown, labels=[str(size) for size in shown])
    ax.minorticks_off()

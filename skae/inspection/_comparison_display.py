"""Models side by side, drawn."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np
from numpy.typing import ArrayLike

from ._drawing import COLOURS, LINES, MARKS, new_figure
from ._explained_variance import explained_variance as share_explained
from ._points import draw_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches of a panel.
_WIDTH, _HEIGHT = 4.4, 4.4

# Labels that an axis has room for.
_MOST_TICKS = 8


@final
class ComparisonDisplay:
    """Explained variance of models against their components, and their maps of rows.

    Use `from_estimators` to make one from fitted models; all parameters are kept as
    attributes. The command `python -m skae TABLE --plot FILE` draws one of a table.

    Parameters
    ----------
    n_components : array-like of shape (n_sizes,)
        Numbers of components that were compared.
    explained_variance : mapping of str to array-like of shape (n_sizes,)
        For each model, the share of variance that it explains with each.
    codes : mapping of str to array-like of shape (n_samples, 2), default=None
        For each model, the rows' codes of two components. None draws no maps.
    labels : array-like of shape (n_samples,), default=None
        What the rows are coloured by. Up to ten different values have a colour and a mark
        each; more numbers a scale of colours; of more names the nine most frequent.
    label_name : str, default=None
        What the labels are.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure.
    axes_ : ndarray of matplotlib.axes.Axes
        The explained variance first, then the maps.

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
        estimators: Mapping[str, Sequence[Any]],
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
            each number of components. The codes of the one with two are drawn.
        X : array-like of shape (n_samples, n_features)
            Rows to reconstruct, best such that no model was fitted to. The share of their
            variance is that of columns scaled to unit variance.
        y : array-like of shape (n_samples,), default=None
            Labels of the rows.
        label_name : str, default=None
            What the labels are.
        figure : matplotlib.figure.Figure, default=None
            Where to draw, as in `plot`.

        Returns
        -------
        display : ComparisonDisplay
            What was drawn.
        """
        shares: dict[str, dict[int, float]] = {}
        maps: dict[str, np.ndarray] = {}
        for name, models in estimators.items():
            shares[name] = {}
            for model in models:
                codes = np.asarray(model.transform(X))
                size = codes.shape[1]
                shares[name][size] = share_explained(X, model.inverse_transform(codes))
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
        """Draw.

        Parameters
        ----------
        figure : matplotlib.figure.Figure, default=None
            Where to draw. None makes one that `matplotlib.pyplot` knows nothing of; save
            it with `display.figure_.savefig(...)`, or pass `matplotlib.pyplot.figure()`
            to have it shown.

        Returns
        -------
        display : ComparisonDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        codes = {name: np.asarray(points) for name, points in (self.codes or {}).items()}
        n_panels = 1 + len(codes)
        if figure is None:
            figure = new_figure(_WIDTH * n_panels + (0.8 if codes else 0), _HEIGHT)
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
        for number, (name, shares) in enumerate(self.explained_variance.items()):
            heights = np.asarray(shares, dtype=np.float64)
            there = np.isfinite(heights)
            ax.plot(
                sizes[there],
                heights[there],
                color=COLOURS[number % len(COLOURS)],
                marker=MARKS[number % len(MARKS)],
                markersize=6 if number == 0 else 9,
                fillstyle="full" if number == 0 else "none",  # one may lie on another
                linestyle=LINES[number % len(LINES)],
                label=name,
            )
            lowest = min([lowest, *heights[there]])
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
    """Label the sizes themselves, on a scale on which doublings are equally far."""
    if len(sizes) > 1:
        ax.set_xscale("log", base=2)
    step = -(-len(sizes) // _MOST_TICKS)
    shown = sizes[::step]
    ax.set_xticks(shown, labels=[str(size) for size in shown])
    ax.minorticks_off()

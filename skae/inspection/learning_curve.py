"""The losses of a training, epoch by epoch."""

from typing import TYPE_CHECKING, Any, Self, final

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from .._training.epoch_selection import Course, find_course
from .drawing import BLUE, DARK_GREY, ORANGE, find_axes, get_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_WIDTH, _HEIGHT = 6.0, 4.0

# A logarithmic axis shows losses that fall by more than this factor.
_WIDE_RANGE = 5

# Why the initialization is kept.
_REASONS = {
    Course.STAYS: "training did not leave it",
    Course.RISES: "the loss rose, lower lr",
    Course.LEAVES: "no epoch was surely better",
}


@final
class LearningCurveDisplay:
    """Training and held-out loss by epoch, with the initialization and the epoch that was kept.

    Use `from_estimator` to draw a fitted transformer; all parameters are kept as attributes.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,)
        Training loss of each epoch.
    validation_scores : array-like of shape (n_epochs + 1,), default=None
        Mean loss on held-out rows at initialization and after each epoch.
    kept_epoch : int, default=None
        The epoch whose weights were kept, 0 for the initialization. None marks no epoch.
    init : str, default="initialization"
        What the held-out loss of epoch 0 belongs to, such as "PCA".
    gain, gain_error : float, default=None
        How far the kept epoch's held-out loss is below that of epoch 0, with its standard error,
        for the title.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes.
    figure_ : matplotlib.figure.Figure
        The figure.
    line_ : matplotlib.lines.Line2D
        The training loss.
    validation_line_ : matplotlib.lines.Line2D or None
        The held-out loss.
    mark_ : matplotlib.lines.Line2D or None
        The epoch that was kept.

    See Also
    --------
    skae.AutoencoderTransformer : Has `loss_curve_` and `validation_scores_`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import LearningCurveDisplay
    >>> X = load_iris().data
    >>> autoencoder = AutoencoderTransformer(2, max_epochs=5, random_state=0).fit(X)
    >>> display = LearningCurveDisplay.from_estimator(autoencoder)
    >>> display.ax_.get_xlabel()
    'epoch'
    """

    def __init__(
        self,
        *,
        loss_curve: ArrayLike,
        validation_scores: ArrayLike | None = None,
        kept_epoch: int | None = None,
        init: str = "initialization",
        gain: float | None = None,
        gain_error: float | None = None,
    ) -> None:
        self.loss_curve = loss_curve
        self.validation_scores = validation_scores
        self.kept_epoch = kept_epoch
        self.init = init
        self.gain = gain
        self.gain_error = gain_error

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: "Axes | None" = None) -> Self:
        """Draw the training of a fitted transformer.

        Parameters
        ----------
        estimator : object
            A fitted transformer of skae.
        ax : matplotlib.axes.Axes, default=None
            Where to draw, as in `plot`.

        Returns
        -------
        display : LearningCurveDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator has no losses by epoch.
        ValueError
            If it was not trained for a single epoch, as a linear one that has a closed form.
        """
        if not hasattr(type(estimator), "loss_curve_"):
            raise TypeError(
                "estimator must be a transformer of skae, got "
                f"{type(estimator).__name__}: pass the last step of a pipeline, or the "
                "estimator_ of a detector or search"
            )
        check_is_fitted(estimator)
        if not estimator.loss_curve_ and estimator.validation_scores_ is None:
            raise ValueError(
                f"estimator must be trained for an epoch at least, got {estimator!r}, which is "
                "fitted in closed form: set hidden_layer_sizes"
            )
        display = cls(
            loss_curve=estimator.loss_curve_,
            # Those of a fit are not of the blocks after it.
            validation_scores=None if estimator._state.is_stream else estimator.validation_scores_,
            kept_epoch=find_kept_epoch(estimator),
            init="linear model" if estimator.init == "pca" else "random weights",
            gain=estimator.gain_,
            gain_error=estimator.gain_error_,
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
        display : LearningCurveDisplay
            The display itself.
        """
        ax = find_axes(ax, _WIDTH, _HEIGHT)
        losses = np.asarray(self.loss_curve, dtype=np.float64)
        epochs = np.arange(1, len(losses) + 1)
        (self.line_,) = ax.plot(epochs, losses, color=BLUE, linestyle="--", label="training")
        self.validation_line_: Line2D | None = None
        self.mark_: Line2D | None = None
        shown = losses
        if self.validation_scores is not None:
            held_out = np.asarray(self.validation_scores, dtype=np.float64)
            shown = np.append(losses, held_out)
            self._draw_held_out(ax, held_out)
        known = shown[np.isfinite(shown)]
        if len(known) and known.min() > 0 and known.max() > _WIDE_RANGE * known.min():
            ax.set_yscale("log")
        ax.set(title=self._describe(), xlabel="epoch", ylabel="loss")
        ax.grid(axis="y", color="0.9")
        ax.set_axisbelow(True)
        ax.legend(frameon=False)
        self.ax_, self.figure_ = ax, get_figure(ax)
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._describe() or 'losses by epoch'}>"

    def _describe(self) -> str:
        """Return which epoch was kept, and why."""
        if self.kept_epoch is None:
            return ""
        if self.validation_scores is None:
            return f"epoch {self.kept_epoch} kept: no rows were held out"
        if self.kept_epoch == 0:
            losses, held_out = np.asarray(self.loss_curve), np.asarray(self.validation_scores)
            course = find_course(losses.tolist(), held_out.tolist())
            return f"{self.init} kept: {_REASONS[course]}"
        n_epochs = len(np.asarray(self.validation_scores)) - 1
        text = f"epoch {self.kept_epoch} of {n_epochs} kept"
        if self.gain is None or self.gain_error is None:
            return text
        return f"{text}: loss lower by {self.gain:.2g} ± {self.gain_error:.1g}"

    def _draw_held_out(self, ax: "Axes", held_out: np.ndarray) -> None:
        (self.validation_line_,) = ax.plot(
            np.arange(len(held_out)), held_out, color=ORANGE, label="held out"
        )
        ax.axhline(
            held_out[0], color=DARK_GREY, linestyle=":", linewidth=1, label=f"{self.init}, held out"
        )
        if self.kept_epoch is not None:
            (self.mark_,) = ax.plot(
                [self.kept_epoch],
                [held_out[self.kept_epoch]],
                color="black",
                marker="D",
                markersize=7,
                fillstyle="none",
                linestyle="none",
                label="kept",
            )


def find_kept_epoch(estimator: Any) -> int:
    """Return the epoch that held-out rows chose, else the last; 0 is the initialization."""
    kept = estimator._state.kept_epoch
    return int(estimator.n_iter_) if kept is None else int(kept)

"""The choice of the epoch to keep, by losses on held-out rows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor

from .._data import Rows, trim_weight_array
from .._processes import find_group
from .callbacks import stop_training
from .weight_snapshot import WeightSnapshot

# A gain counts if, less two standard errors, it exceeds 6 % of the initial loss; losses are
# clipped at this quantile. Chosen over many tables: see docs/defaults.md.
_STANDARD_ERRORS = 2.0
_MINIMUM_IMPROVEMENT = 0.06
_QUANTILE = 0.95

# Folds end when the gain that they have seen exceeds the minimum improvement by no more than so
# many of the standard errors that all folds would have: less strict than the choice itself, see
# docs/defaults.md.
_SCREENING_ERRORS = 1.0

#: A loss that changes by no larger share has not left the initialization.
LEAST_CHANGE = 0.005


class Course(Enum):
    """Where training goes from the initialization."""

    STAYS = auto()
    RISES = auto()
    LEAVES = auto()


def find_course(loss_curve: Sequence[float], held_out: Sequence[float]) -> Course:
    """Return where training goes: it stays if no loss is other than the first, but by a hair.

    It rises if all later losses are higher.

    Parameters
    ----------
    loss_curve : sequence of float
        Training loss of each epoch.
    held_out : sequence of float
        Mean loss on held-out rows, at initialization and after each epoch: the training may have
        gone far within its first epoch.
    """
    if len(loss_curve) < 2:
        return Course.LEAVES
    curves = [np.asarray(curve, dtype=np.float64) for curve in (loss_curve, held_out) if len(curve)]
    # Of losses that are no numbers nothing is known.
    if all((np.abs(curve - curve[0]) <= _hair(curve)).all() for curve in curves):
        return Course.STAYS
    if all((curve[1:] - curve[0] > _hair(curve)).all() for curve in curves):
        return Course.RISES
    return Course.LEAVES


def _hair(curve: np.ndarray) -> float:
    return LEAST_CHANGE * abs(float(curve[0]))


class Gain(NamedTuple):
    """What an epoch gains over the initialization.

    Attributes
    ----------
    merit : float
        What epochs are compared by; the largest is the best.
    mean : float
        How far the mean of held-out rows' losses, clipped, is below that at initialization; NaN
        if a loss is not finite.
    error : float
        Its standard error.
    """

    merit: float
    mean: float = math.nan
    error: float = math.nan


class InitialLosses:
    """The losses of held-out rows at initialization, which those of each epoch are compared with.

    Parameters
    ----------
    losses : ndarray of shape (n_rows,)
        The losses.
    """

    def __init__(self, losses: np.ndarray) -> None:
        self.losses = losses

    @cached_property
    def are_finite(self) -> bool:
        """Whether all of them are finite."""
        return bool(np.isfinite(self.losses).all())

    @cached_property
    def cap(self) -> float:
        """The high quantile that losses are clipped at."""
        return float(np.quantile(self.losses, _QUANTILE))

    @cached_property
    def clipped(self) -> np.ndarray:
        """The losses, clipped."""
        return np.minimum(self.losses, self.cap)


@dataclass(frozen=True)
class SelectionRule:
    """What makes an epoch better than another.

    Attributes
    ----------
    trim_fraction : float
        Share of rows, those of largest loss, that doesn't count.
    keeps_initialization : bool
        Whether the initialization is kept unless an epoch is surely better; otherwise the
        epoch of the lowest mean loss is the best.
    minimum_improvement : float or None, default=None
        The least gain that counts; None is 6 % of the initial loss.
    overlap : int, default=0
        How many rows behind each row overlap it, of rows in the order of time: blocks of so many
        are compared, not rows.
    standard_errors : float, default=2.0
        How many standard errors a gain must exceed the minimum by.
    """

    trim_fraction: float
    keeps_initialization: bool
    minimum_improvement: float | None = None
    overlap: int = 0
    standard_errors: float = _STANDARD_ERRORS

    @property
    def least_merit(self) -> float:
        """The merit that an epoch must exceed."""
        return 0.0 if self.keeps_initialization else -math.inf

    def measure(
        self, initial: InitialLosses, losses: np.ndarray, weight: np.ndarray | None
    ) -> Gain:
        """Return what an epoch gains over the initialization.

        It is sure if the gain less its standard errors exceeds the minimum improvement. Without
        a minimum some tables would lose by leaving PCA.

        Each held-out row is compared with itself, which is a far sharper test than comparing two
        means. A few rows can carry most of a table's variance, and the noise of one of them would
        decide; so the gain that must be sure is that of losses clipped at a high quantile. An
        epoch whose plain mean is no better than the initial one has no merit at all.

        Parameters
        ----------
        initial : InitialLosses
            Losses of the held-out rows at initialization.
        losses : ndarray of shape (n_rows,)
            Losses of the same rows after the epoch.
        weight : ndarray of shape (n_rows,) or None
            How often each row counts.
        """
        # A row that is trimmed must be finite too: the network has to be of use for it.
        if not np.isfinite(losses).all():
            return Gain(self.least_merit)
        if not self.keeps_initialization and not initial.are_finite:
            return Gain(-self.mean(losses, weight))
        left = trim_weight_array(losses, weight, self.trim_fraction)
        gains = initial.clipped - np.minimum(losses, initial.cap)
        mean, error = _mean_and_error(gains, left, self.overlap)
        if not self.keeps_initialization:
            return Gain(-self.mean(losses, weight), mean, error)
        minimum = self.minimum_improvement
        if minimum is None:
            minimum = _MINIMUM_IMPROVEMENT * _average(initial.clipped, left)
        is_higher = _average(initial.losses - losses, left) <= 0
        is_sure = mean - self.standard_errors * error > minimum
        return Gain(mean if is_sure and not is_higher else 0.0, mean, error)

    def mean(self, losses: np.ndarray, weight: np.ndarray | None) -> float:
        """Return the weighted mean of the losses that are not trimmed."""
        left = trim_weight_array(losses, weight, self.trim_fraction)
        kept = left > 0  # what is trimmed may be infinite
        return _average(losses[kept], left[kept])


def _average(values: np.ndarray, weight: np.ndarray) -> float:
    """Return what `np.average` does, whose checks take longer than a small table's products."""
    return float((values * weight).sum() / weight.sum())


def _mean_and_error(values: np.ndarray, weight: np.ndarray, overlap: int) -> tuple[float, float]:
    """Return a weighted mean and its standard error, for rows of which so many overlap each.

    Rows that overlap are like each other, so that the error is that of the means of blocks of them
    ("batch means"). The error of a single block can't be known: it is infinite.
    """
    mean = _average(values, weight)
    if overlap == 0:
        variance = _average((values - mean) ** 2, weight)
        n_effective = weight.sum() ** 2 / np.square(weight).sum()
        return mean, math.sqrt(variance / n_effective)
    n_blocks = len(values) // (1 + overlap)
    if n_blocks < 2:
        return mean, math.inf
    starts = np.arange(n_blocks) * len(values) // n_blocks
    deviations = np.add.reduceat(weight * (values - mean), starts) / weight.sum()
    return mean, float(np.sqrt(np.square(deviations).sum() * n_blocks / (n_blocks - 1)))


@dataclass(frozen=True)
class SelectedEpoch:
    """The epoch that held-out rows choose, and what they say of all epochs.

    Attributes
    ----------
    epoch : int
        The epoch; 0 is the initialization.
    losses : list of float
        Mean loss at initialization and after each epoch.
    gains : list of (float, float)
        Mean and standard error of each epoch's gain over the initialization.
    """

    epoch: int
    losses: list[float]
    gains: list[tuple[float, float]]

    @property
    def gain(self) -> tuple[float, float]:
        """Mean and standard error of the epoch's gain."""
        return self.gains[self.epoch - 1] if self.epoch > 0 else (0.0, 0.0)

    def describe(self, loss_curve: Sequence[float] = ()) -> str:
        """Return a line that says which weights are kept, and why.

        Parameters
        ----------
        loss_curve : sequence of float, default=()
            Training losses by epoch.
        """
        n_epochs = len(self.gains)
        if self.epoch > 0:
            mean, error = self.gain
            return (
                f"kept epoch {self.epoch} of {n_epochs}: it gains {mean:.3g} over the "
                f"initialization on held-out rows (standard error {error:.2g})"
            )
        course = find_course(loss_curve, self.losses)
        if course is Course.STAYS:
            return (
                f"kept the initialization: training did not leave it in {n_epochs} epochs, "
                f"whose losses are within {LEAST_CHANGE:.1%} of the first"
            )
        if course is Course.RISES:
            return (
                f"kept the initialization: the training loss rose from {loss_curve[0]:.3g} to "
                f"{loss_curve[-1]:.3g} in {n_epochs} epochs, and held-out losses did too: lower lr"
            )
        text = f"kept the initialization: none of {n_epochs} epochs is surely better"
        known = [m - _STANDARD_ERRORS * e if m == m else -math.inf for m, e in self.gains]
        if max(known, default=-math.inf) == -math.inf:
            return text
        nearest = int(np.argmax(known))
        mean, error = self.gains[nearest]
        return (
            f"{text} on held-out rows; epoch {nearest + 1} comes nearest, and gains {mean:.3g} "
            f"(standard error {error:.2g})"
        )


def select_epoch(
    curves: list[list[np.ndarray]], weights: list[np.ndarray | None], rule: SelectionRule
) -> SelectedEpoch:
    """Return the best epoch over several folds.

    A fold that stopped early is taken to have stayed as it was at its end.

    Parameters
    ----------
    curves : list of list of ndarray
        For each fold and epoch, the losses of the fold's held-out rows.
    weights : list of ndarray or None
        For each fold, how often each of its held-out rows counts.
    rule : SelectionRule
        What makes an epoch better than another.
    """
    known = [weight for weight in weights if weight is not None]
    weight = np.concatenate(known) if known else None
    n_epochs = max(len(curve) for curve in curves)
    initial, *epochs = [
        np.concatenate([curve[min(epoch, len(curve) - 1)] for curve in curves])
        for epoch in range(n_epochs)
    ]
    first = InitialLosses(initial)
    gains = [rule.measure(first, losses, weight) for losses in epochs]
    best = int(np.argmax([rule.least_merit, *(gain.merit for gain in gains)]))
    means = [rule.mean(losses, weight) for losses in (initial, *epochs)]
    return SelectedEpoch(best, means, [(gain.mean, gain.error) for gain in gains])


def has_promise(
    curves: list[list[np.ndarray]],
    weights: list[np.ndarray | None],
    rule: SelectionRule,
    n_folds: int,
) -> bool:
    """Whether an epoch may be better than the initialization once all folds are known.

    Parameters
    ----------
    curves, weights : list
        As for `select_epoch`, of the folds that are known.
    rule : SelectionRule
        What makes an epoch better than another.
    n_folds : int
        How many folds there are.
    """
    # The error that all folds would leave if they were like these.
    shrinkage = math.sqrt(len(curves) / n_folds)
    lenient = replace(rule, standard_errors=_SCREENING_ERRORS * shrinkage)
    return select_epoch(curves, weights, lenient).epoch > 0


class HeldOutSelection(Callback):
    """Compare each epoch with the initialization by its losses on held-out rows.

    Parameters
    ----------
    rule : SelectionRule
        What makes an epoch better than another.
    patience : int
        Epochs without a lower mean loss after which training ends.
    tol : float
        A loss is lower if it is lower by this share of the lowest so far.
    restores_best : bool
        Whether to restore the weights of the best epoch at the end of training.
    """

    def __init__(self, rule: SelectionRule, patience: int, tol: float, restores_best: bool) -> None:
        self.rule = rule
        self.patience = patience
        self.tol = tol
        self.restores_best = restores_best

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Forget an earlier training."""
        self.losses_: list[np.ndarray] = []
        self._initial: InitialLosses | None = None
        self.means_: list[float] = []
        self.gains_: list[tuple[float, float]] = []
        self.best_epoch_, self.best_merit_ = 0, self.rule.least_merit
        self.best_weights_ = WeightSnapshot(net.module_)
        self.lowest_, self.since_lowest_ = math.inf, 0

    def on_epoch_begin(self, net: NeuralNet, dataset_valid: Rows, **kwargs: Any) -> None:
        """Compute the losses of the initialization, as those of an epoch 0."""
        if not self.losses_:
            blocks = net.divide_blocks(net.get_iterator(dataset_valid, training=False))
            self.block_ = [net.validation_step(block)["y_pred"] for block in blocks]
            self._compare(net, dataset_valid)
            if not math.isfinite(self.means_[0]):
                stop_training(net, "diverged")
            net.module_.train()
        self.block_ = []

    def on_batch_end(self, net: NeuralNet, training: bool, y_pred: Tensor, **kwargs: Any) -> None:
        """Collect the losses that skorch's validation pass computes."""
        if not training:
            self.block_.append(y_pred)

    def on_epoch_end(self, net: NeuralNet, dataset_valid: Rows, **kwargs: Any) -> None:
        """Compare the epoch; end training when none was better for long."""
        self._compare(net, dataset_valid)
        if self.since_lowest_ >= self.patience:
            stop_training(net, "no improvement")

    @property
    def selected(self) -> SelectedEpoch:
        """The best epoch."""
        return SelectedEpoch(self.best_epoch_, self.means_, self.gains_)

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Restore the weights of the best epoch."""
        if self.restores_best:
            self.best_weights_.restore()

    def _compare(self, net: NeuralNet, rows: Rows) -> None:
        losses = torch.cat(self.block_).cpu().double().numpy()
        if (group := find_group()) is not None:  # so that all select the same epoch
            is_whole = len(losses) == len(rows)
            losses = group.take_first(losses) if is_whole else np.concatenate(group.gather(losses))
        weight = rows.weight_array
        if not (self.losses_ and self.restores_best):  # folds need those of all epochs
            self.losses_.append(losses)
        mean = self.rule.mean(losses, weight)
        self.means_.append(mean)
        if len(self.means_) > 1:
            if self._initial is None:
                self._initial = InitialLosses(self.losses_[0])
            gain = self.rule.measure(self._initial, losses, weight)
            self.gains_.append((gain.mean, gain.error))
            if gain.merit > self.best_merit_:
                self.best_weights_.save(self.best_weights_.read())
                self.best_epoch_, self.best_merit_ = len(self.gains_), gain.merit
        self.since_lowest_ += 1
        if mean + self.tol * abs(mean) < self.lowest_:
            self.lowest_, self.since_lowest_ = mean, 0

"""skorch callbacks: weight decay, a loss that stays finite, and the losses of folds."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, PassthroughScoring
from torch import Tensor

from .weight_snapshot import WeightSnapshot, are_all_finite


def stop_training(net: NeuralNet, reason: str) -> None:
    """End skorch's loop in the way that skorch's own callbacks do, and record why."""
    net.stop_reason_ = reason
    raise KeyboardInterrupt


class MeanLoss(PassthroughScoring):
    """skorch's mean of the losses of an epoch's batches, which it finds by fewer lookups."""

    best_score_: float

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Record the mean, and whether it is the lowest so far."""
        size_name = "train_batch_size" if self.on_train else "valid_batch_size"
        batches = [batch for batch in net.history[-1]["batches"] if self.name in batch]
        if not batches:  # no rows are held out
            return
        losses = np.array([batch[self.name] for batch in batches])
        sizes = np.array([batch[size_name] for batch in batches], dtype=np.float64)
        mean = (losses * sizes).sum() / sizes.sum()
        is_best = mean < self.best_score_
        if is_best:
            self.best_score_ = mean
        net.history.record(self.name, mean)
        net.history.record(f"{self.name}_best", bool(is_best))


class WeightDecay(Callback):
    """Decay the nonlinear paths' weight matrices, apart from the loss.

    As in AdamW (Loshchilov and Hutter 2019), but for any optimizer. Decay through the
    gradient, as other optimizers do it, would shut a nonlinear path whose gate is still
    closed: Adam would see the decay as the only signal.

    Parameters
    ----------
    decay : float
        Rate of the decay, as a share of the learning rate.
    """

    every = 16  # steps between two decays: few enough to be as good as one

    def __init__(self, decay: float) -> None:
        self.decay = decay

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Find the weights; a stream's blocks may be too short for a decay each."""
        self.weights_ = net.module_.decaying_weights()
        self.rates_ = getattr(self, "rates_", 0.0)
        self.step_ = getattr(self, "step_", 0)

    def on_batch_begin(self, net: NeuralNet, training: bool, **kwargs: Any) -> None:
        """Decay for all steps since the last time."""
        if not training or self.decay == 0:
            return
        self.step_ += 1
        self.rates_ += net.optimizer_.param_groups[0]["lr"]
        if self.step_ % self.every == 0:
            self._shrink(math.exp(-self.decay * self.rates_))
            self.rates_ = 0.0

    @torch.no_grad()
    def _shrink(self, factor: float) -> None:
        for weight in self.weights_:
            if weight.requires_grad:  # a callback may have frozen it
                weight.mul_(factor)


class FiniteLoss(Callback):
    """End training after the first loss that is not finite, with the last finite weights.

    Otherwise NaN spreads through the weights in silence. The weights at the end of the last
    finite epoch are restored; where rows are held out, `HeldOutSelection` chooses instead.
    """

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Save the initial weights."""
        self.weights_ = WeightSnapshot(net.module_)
        net.stop_reason_, net.n_finite_epochs_, net.was_finite_ = None, 0, False

    def on_batch_end(self, net: NeuralNet, loss: Tensor, **kwargs: Any) -> None:
        """Look for a first finite loss."""
        if not net.was_finite_:
            net.was_finite_ = bool(torch.isfinite(loss))

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Save the weights of a finite epoch.

        One check an epoch is enough, because no mean hides a NaN; a check a step costs 1 %.
        """
        values = self.weights_.read()
        are_finite = are_all_finite(values)
        if not are_finite:
            # Constants may be infinite from the start, such as those of an attention's mask.
            known = self.weights_.saved_floats.isfinite()
            are_finite = bool((values.isfinite() | ~known).all())
        if not (are_finite and math.isfinite(net.history[-1].get("train_loss", math.nan))):
            stop_training(net, "diverged")
        self.weights_.save(values)
        net.n_finite_epochs_ += 1

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Restore them, also if an epoch was interrupted."""
        self.weights_.restore()


class FoldLosses(Callback):
    """Record the folds' mean loss as that on held-out rows, for the training on all rows.

    So `valid_loss` can be monitored in tables of every size.

    Parameters
    ----------
    losses : sequence of float
        That of each epoch.
    """

    def __init__(self, losses: Sequence[float]) -> None:
        self.losses = losses

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Record the epoch's."""
        epoch = len(net.history)
        loss = self.losses[epoch - 1]
        net.history.record("valid_loss", loss)
        net.history.record(
            "valid_loss_best", loss < min(self.losses[: epoch - 1], default=math.inf)
        )

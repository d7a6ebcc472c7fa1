"""skorch callbacks: the learning rate's course, the best epoch, a finite loss."""

import math
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor

from ..modules import Bypass
from ..modules._priors import Prior
from ._judgement import Rule
from ._rows import Rows
from ._weights import KeptWeights


def stop_training(net: NeuralNet, reason: str) -> None:
    """End skorch's loop the way that skorch's own callbacks do, and say why."""
    net.stop_reason_ = reason
    raise KeyboardInterrupt


class CosineSchedule(Callback):
    """Warm the learning rate up over a tenth of the steps, then let it fall to nothing.

    The course of Loshchilov and Hutter (2017), without restarts, over a horizon fixed
    beforehand, so that a fit stopped early passed through the same rates as a whole one.

    Parameters
    ----------
    n_epochs : int
        The horizon.
    """

    def __init__(self, n_epochs: int) -> None:
        self.n_epochs = n_epochs

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Start at step 0."""
        self.step_ = 0

    def on_epoch_begin(self, net: NeuralNet, dataset_train: Any, **kwargs: Any) -> None:
        """Count the steps of an epoch."""
        self.n_steps_ = self.n_epochs * math.ceil(len(dataset_train) / net.batch_size)

    def on_batch_begin(self, net: NeuralNet, training: bool, **kwargs: Any) -> None:
        """Set the rate of the step to come."""
        if training:
            done = (self.step_ + 0.5) / self.n_steps_
            set_learning_rate(net, self._share(done))
            net.criterion_.advance(done)
            self.step_ += 1

    @staticmethod
    def _share(done: float) -> float:
        if done < 0.1:
            return done / 0.1
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (done - 0.1) / 0.9)))


class InverseRootSchedule(Callback):
    """A learning rate for streams, whose end nobody knows (Vaswani et al. 2017).

    It rises over the first hundred steps, then falls with the root of their number.
    """

    n_warmup = 100

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Go on from the step reached by the last block."""
        self.step_ = getattr(self, "step_", 0)

    def on_batch_begin(self, net: NeuralNet, training: bool, **kwargs: Any) -> None:
        """Set the rate of the step to come."""
        if training:
            self.step_ += 1
            share = self.step_ / self.n_warmup
            set_learning_rate(net, min(share, 1 / math.sqrt(share)))


def set_learning_rate(net: NeuralNet, share: float) -> None:
    """Give the optimizer that share of the net's learning rate."""
    for group in net.optimizer_.param_groups:
        group["lr"] = net.lr * share


class WeightDecay(Callback):
    """Decay the nonlinear paths' weight matrices, apart from the loss.

    As AdamW does (Loshchilov and Hutter 2019), for whatever optimizer. Decay through the
    gradient, as others have it, would shut a nonlinear path whose gate is still closed:
    Adam takes the decay for the only signal there is. Linear paths don't decay, for that
    would be to shrink PCA; so what decay draws a network towards is its linear path.

    Parameters
    ----------
    decay : float
        Rate of the decay, as a share of the learning rate.
    """

    every = 16  # steps between two decays: small enough to be as good as each step

    def __init__(self, decay: float) -> None:
        self.decay = decay

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Find the weights."""
        kept = [
            part.linear if isinstance(part, Bypass) else part
            for part in net.module_.modules()
            if isinstance(part, Bypass | Prior)
        ]
        straight = {weight for part in kept for weight in part.parameters()}
        self.weights_ = [
            weight
            for weight in net.module_.parameters()
            if weight.ndim > 1 and weight not in straight
        ]
        self.rates_ = 0.0
        self.step_ = 0

    def on_batch_begin(self, net: NeuralNet, training: bool, **kwargs: Any) -> None:
        """Decay for the steps since the last time."""
        if not training or self.decay == 0:
            return
        self.step_ += 1
        self.rates_ += net.optimizer_.param_groups[0]["lr"]
        if self.step_ % self.every == 0:
            self._shrink(math.exp(-self.decay * self.rates_))
            self.rates_ = 0.0

    @torch.no_grad()
    def _shrink(self, share: float) -> None:
        for weight in self.weights_:
            if weight.requires_grad:  # and not frozen by another callback
                weight.mul_(share)


class FiniteLoss(Callback):
    """End training after the first loss that is no number, with the last finite weights.

    Without it NaN spreads through the weights in silence. What is kept is the state at
    the end of the last epoch that stayed finite; where rows are held out,
    `HeldOutLosses` decides.
    """

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Keep the weights before the first epoch."""
        self.weights_ = KeptWeights(net.module_)
        net.stop_reason_, net.n_finite_epochs_, net.was_finite_ = None, 0, False

    def on_batch_end(self, net: NeuralNet, loss: Tensor, **kwargs: Any) -> None:
        """Look for a first loss that is finite."""
        if not net.was_finite_:
            net.was_finite_ = bool(torch.isfinite(loss))

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Keep the weights of an epoch that stayed finite.

        One look an epoch does: no mean hides a NaN, and a look a step would cost 1 %.
        """
        numbers = self.weights_.now()
        are_finite = math.isfinite(float(numbers.sum()))
        if not (are_finite and math.isfinite(net.history[-1].get("train_loss", math.nan))):
            stop_training(net, "diverged")
        self.weights_.keep(numbers)
        net.n_finite_epochs_ += 1

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Go back to them, also when an epoch was cut short."""
        self.weights_.restore()


class HeldOutLosses(Callback):
    """Judge each epoch, the start included, by its losses on held-out rows.

    Parameters
    ----------
    rule : Rule
        What makes an epoch the best.
    patience : int
        Epochs without a lower mean loss after which training ends.
    tol : float
        A loss is lower if it is lower by this share of the lowest so far.
    keep_best : bool
        Go back to the weights of the best epoch at the end of training.
    """

    def __init__(self, rule: Rule, patience: int, tol: float, keep_best: bool) -> None:
        self.rule = rule
        self.patience = patience
        self.tol = tol
        self.keep_best = keep_best

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Forget an earlier training."""
        self.losses_: list[np.ndarray] = []
        self.means_: list[float] = []
        self.best_epoch_, self.best_gain_ = 0, self.rule.least
        self.best_weights_ = KeptWeights(net.module_)
        self.lowest_, self.since_lowest_ = math.inf, 0

    def on_epoch_begin(self, net: NeuralNet, dataset_valid: Rows, **kwargs: Any) -> None:
        """Take the losses of the start, as those of an epoch 0."""
        if not self.losses_:
            blocks = net.get_iterator(dataset_valid, training=False)
            self.block_ = [net.validation_step(block)["y_pred"] for block in blocks]
            self._judge(net, dataset_valid)
            if not math.isfinite(self.means_[0]):
                stop_training(net, "diverged")
            net.module_.train()
        self.block_ = []

    def on_batch_end(self, net: NeuralNet, training: bool, y_pred: Tensor, **kwargs: Any) -> None:
        """Take the losses that skorch's validation pass computed."""
        if not training:
            self.block_.append(y_pred)

    def on_epoch_end(self, net: NeuralNet, dataset_valid: Rows, **kwargs: Any) -> None:
        """Judge the epoch; end training when none was better for long."""
        self._judge(net, dataset_valid)
        if self.since_lowest_ >= self.patience:
            stop_training(net, "no improvement")

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Go back to the weights of the best epoch."""
        if self.keep_best:
            self.best_weights_.restore()

    def _judge(self, net: NeuralNet, rows: Rows) -> None:
        losses = torch.cat(self.block_).cpu().double().numpy()
        weight = rows.weight_array
        self.losses_.append(losses)
        mean = self.rule.mean(losses, weight)
        self.means_.append(mean)
        gain = self.rule.gain(self.losses_[0], losses, weight)
        if len(self.losses_) > 1 and gain > self.best_gain_:
            self.best_weights_.keep(self.best_weights_.now())
            self.best_epoch_, self.best_gain_ = len(self.losses_) - 1, gain
        self.since_lowest_ += 1
        if mean + self.tol * abs(mean) < self.lowest_:
            self.lowest_, self.since_lowest_ = mean, 0

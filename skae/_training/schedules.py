"""Learning-rate schedules, which step aside for a user's.

skorch's `LRScheduler` begins anew at each call of `partial_fit`, and stays with its first
optimizer, which is replaced when a callback freezes weights: so the built-in schedules are no
schedulers of torch, and `keep_schedulers` and `StreamSchedulers` mend both for a user's.
"""

import math
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback

from .muon import Muon
from .user_callbacks import find_schedulers

# Shares of the steps over which the rate rises. AdamW's first steps rest on few gradients; those of
# Muon's matrices have one size from the first on.
_WARMUP = 0.1
_MUON_WARMUP = 0.03


class LearningRateSchedule(Callback):
    """Abstract: sets the rate of each step, until it finds that another callback has set it."""

    def initialize(self) -> "LearningRateSchedule":
        """Begin with the rate that the optimizer is created with."""
        self.is_aside_ = False
        self.rate_: float | None = None
        return self

    def _set_learning_rate(self, net: NeuralNet, factor: float) -> None:
        """Set the rate to that share of the largest, unless it is another's by now."""
        if self.is_aside_:
            return
        expected = net.lr if self.rate_ is None else self.rate_
        groups = net.optimizer_.param_groups
        if any(group["lr"] != expected for group in groups):
            self.is_aside_ = True
            return
        self.rate_ = net.lr * factor
        for group in groups:
            group["lr"] = self.rate_


class CosineSchedule(LearningRateSchedule):
    """Raise the learning rate over a tenth of the steps, less under Muon, then lower it to zero.

    The schedule of Loshchilov and Hutter (2017) without restarts, over a fixed horizon, so
    that a fit that stops early went through the same rates as a whole one.

    Parameters
    ----------
    n_epochs : int
        The horizon.
    """

    def __init__(self, n_epochs: int) -> None:
        self.n_epochs = n_epochs

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Begin at step 0."""
        self.step_ = 0

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Count the steps of all epochs."""
        self.n_steps_ = self.n_epochs * net.n_batches_
        self.warmup_ = _MUON_WARMUP if isinstance(net.optimizer_, Muon) else _WARMUP

    def on_batch_begin(self, net: NeuralNet, training: bool, **kwargs: Any) -> None:
        """Set the rate of the next step."""
        if training:
            self._set_learning_rate(net, self._factor((self.step_ + 0.5) / self.n_steps_))
            self.step_ += 1

    def _factor(self, done: float) -> float:
        if done < self.warmup_:
            return done / self.warmup_
        fallen = (done - self.warmup_) / (1 - self.warmup_)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, fallen)))


class InverseRootSchedule(LearningRateSchedule):
    """A learning rate for streams, whose length is unknown (Vaswani et al. 2017).

    It rises over the first hundred steps, then falls with the root of their number.
    """

    n_warmup = 100

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Continue from the last block's step."""
        self.step_ = getattr(self, "step_", 0)

    def on_batch_begin(self, net: NeuralNet, training: bool, **kwargs: Any) -> None:
        """Set the rate of the next step."""
        if training:
            self.step_ += 1
            share = self.step_ / self.n_warmup
            self._set_learning_rate(net, min(share, 1 / math.sqrt(share)))


class StreamSchedulers(Callback):
    """Continue a user's schedulers over the blocks of a stream, where skorch begins anew.

    It belongs behind them.
    """

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Put the last block's schedulers back, and the rates that they had come to."""
        for scheduler, policy in getattr(self, "policies_", ()):
            scheduler.lr_scheduler_ = policy
        for group, found in zip(
            net.optimizer_.param_groups, getattr(self, "groups_", ()), strict=False
        ):
            group.update(found)

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Save them."""
        found = find_schedulers(callback for _, callback in net.callbacks_)
        self.policies_ = [(scheduler, scheduler.lr_scheduler_) for scheduler in found]
        self.groups_ = [_find_settings(group) for group in net.optimizer_.param_groups]


class ObjectiveProgress(Callback):
    """Tell the objective, at each step, the share of training that is done.

    Parameters
    ----------
    n_epochs : int
        The number of epochs of a whole training.
    """

    def __init__(self, n_epochs: int) -> None:
        self.n_epochs = n_epochs

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Begin at step 0."""
        self.step_ = 0

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Count the steps of all epochs."""
        self.n_steps_ = self.n_epochs * net.n_batches_

    def on_batch_begin(self, net: NeuralNet, training: bool, **kwargs: Any) -> None:
        """Tell it."""
        if training:
            net.criterion_.advance((self.step_ + 0.5) / self.n_steps_)
            self.step_ += 1


def keep_schedulers(net: NeuralNet, groups: list[dict[str, Any]]) -> None:
    """Hand what the former optimizer's groups were set to, and its schedulers, to a net's new one.

    The new one has as many groups.
    """
    for group, former in zip(net.optimizer_.param_groups, groups, strict=True):
        group.update(_find_settings(former))
    for scheduler in find_schedulers(callback for _, callback in net.callbacks_):
        if getattr(scheduler, "lr_scheduler_", None) is not None:
            scheduler.lr_scheduler_.optimizer = net.optimizer_


def _find_settings(group: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name != "params"}

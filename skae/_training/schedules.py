"""Learning-rate schedules.

skorch's `LRScheduler` begins anew at each call of `partial_fit`, and stays with its first
optimizer, which is replaced when a callback freezes weights.
"""

import math
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback


class CosineSchedule(Callback):
    """Raise the learning rate over a tenth of the steps, then lower it to zero.

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

    def on_epoch_begin(self, net: NeuralNet, dataset_train: Any, **kwargs: Any) -> None:
        """Count the steps of an epoch."""
        self.n_steps_ = self.n_epochs * math.ceil(len(dataset_train) / net.batch_size)

    def on_batch_begin(self, net: NeuralNet, training: bool, **kwargs: Any) -> None:
        """Set the rate of the next step."""
        if training:
            done = (self.step_ + 0.5) / self.n_steps_
            _scale_learning_rate(net, self._factor(done))
            net.criterion_.advance(done)
            self.step_ += 1

    @staticmethod
    def _factor(done: float) -> float:
        if done < 0.1:
            return done / 0.1
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (done - 0.1) / 0.9)))


class InverseRootSchedule(Callback):
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
            _scale_learning_rate(net, min(share, 1 / math.sqrt(share)))


def _scale_learning_rate(net: NeuralNet, factor: float) -> None:
    for group in net.optimizer_.param_groups:
        group["lr"] = net.lr * factor

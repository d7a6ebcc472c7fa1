"""The average of the weights over the steps, which held-out rows judge."""

from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback

from .weight_snapshot import WeightSnapshot, are_all_finite

# The average's weights are those of the latest tenth of all steps, more or less: step t counts as
# t to this power less one. See docs/defaults.md.
_POWER = 10.0


class WeightAverage(Callback):
    """Put the average of the weights in their place between two passes over the rows.

    Steps at a high rate jump around a network that is better than any of them, which their average
    comes near long before the rate is low (Polyak and Juditsky 1992). The later steps count more
    (Shamir and Zhang 2013), so that the average is not of weights from long ago.

    Between passes, callbacks, held-out rows and the user have the average. Training goes on from
    the weights themselves, but for those that a callback has changed in the meantime. The net says
    when a pass begins and ends.

    A step's weights are averaged as the optimizer leaves them: what a callback behind this one does
    to them at the end of the step counts from the next step on.
    """

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Begin an average."""
        self.average_ = WeightSnapshot(net.module_)
        self.latest_ = WeightSnapshot(net.module_)
        self.step_ = 0
        self.is_average_ = False

    def on_batch_end(self, net: NeuralNet, training: bool, **kwargs: Any) -> None:
        """Add a step to the average."""
        if training:
            self.step_ += 1
            average = self.average_.saved_floats
            average.lerp_(self.average_.look(), _POWER / (self.step_ + _POWER - 1))

    def begin_pass(self) -> None:
        """Put the weights back that the last step left."""
        if not self.is_average_:
            return
        present, weights = self.average_.read(), self.latest_.saved_floats
        if not torch.equal(present, self.average_.saved_floats):
            is_kept = present == self.average_.saved_floats
            weights = torch.where(is_kept, weights, present)
        self.latest_.save(weights)
        self.average_.save(present)
        self.latest_.restore()
        self.is_average_ = False

    def end_pass(self) -> None:
        """Put the average in the weights' place."""
        weights, average = self.latest_.read(), self.average_.saved_floats
        self.latest_.save(weights)
        if not (are_all_finite(average) and are_all_finite(weights)):
            # Infinite constants, such as those of an attention's mask, have no average; and
            # weights that are not finite any more must show.
            are_finite = average.isfinite() & weights.isfinite()
            average = torch.where(are_finite, average, weights)
        self.average_.save(average)
        self.average_.restore()
        self.average_.save(self.average_.read())  # as rounded to the types of the weights
        self.is_average_ = True

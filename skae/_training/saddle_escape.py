"""A way out for trainings that don't leave the linear model."""

import math
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import nn

from .._processes import find_group
from ..modules import Bypass
from .epoch_selection import LEAST_CHANGE, HeldOutSelection
from .weight_snapshot import WeightSnapshot

# Training is stuck if, after a tenth of its epochs, in which the rate has risen, and no fewer
# steps than these, its loss is lower by no more than this share and all gates are as small as that.
# Gates are then opened this wide. See docs/defaults.md.
_SHARE_OF_EPOCHS = 0.1
_LEAST_STEPS = 20
_LEAST_EPOCHS = 3
_CLOSED = 0.02
_OPENED = 3.0


class SaddleEscape(Callback):
    """Open all gates, once, if training has not left the linear model.

    PCA is a stationary point for an encoder: its errors are orthogonal to the directions that codes
    span, so that no first step of a code lowers the loss. The decoder can bend only if errors have
    a mean that depends on the code, which those of symmetric shapes, such as a ring, don't have.
    Encoder and decoder would have to move together, and whether noise moves them so far is left
    to the seed. Perturbing a training that has come to a halt is a cure (Jin et al. 2017).

    Held-out rows, if there are any, still choose between the linear model and what comes of it. It
    belongs behind `FiniteLoss` and `HeldOutSelection`, for which an epoch's weights are those
    before it.

    Parameters
    ----------
    n_epochs : int
        The number of epochs of a whole training.
    selection : HeldOutSelection or None
        Its patience begins anew, after as many epochs as have gone by: at first the loss rises.
    has_held_out : bool, default=True
        Whether held-out rows choose. If not, short trainings are left alone: they might end before
        the loss is back where it was. The weights before the push are restored if others end so,
        such as one that a callback stops; `n_iter_` counts all epochs nonetheless.
    """

    def __init__(
        self, n_epochs: int, selection: HeldOutSelection | None, has_held_out: bool = True
    ) -> None:
        self.n_epochs = n_epochs
        self.selection = selection
        self.has_held_out = has_held_out

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Keep a place for the weights before the push, which a checkpoint stores too."""
        self.before_ = None if self.has_held_out else WeightSnapshot(net.module_)
        self.loss_before_ = math.inf

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Open the gates if it is time and training is stuck."""
        tenth = math.ceil(_SHARE_OF_EPOCHS * self.n_epochs)
        epoch = max(tenth, math.ceil(_LEAST_STEPS / net.n_batches_), _LEAST_EPOCHS)
        if len(net.history) != epoch or not (self.has_held_out or epoch == tenth):
            return
        gates = _find_gates(net.module_)
        if gates and self._is_stuck(net, gates):
            self._open(net, gates)

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Restore the weights before the push if no held-out rows choose and the loss is higher."""
        if self.before_ is not None and self.loss_before_ < math.inf:
            # `FiniteLoss` has restored the weights of this epoch.
            last = net.history[net.n_finite_epochs_ - 1]["train_loss"]
            if last > self.loss_before_:
                self.before_.restore()

    def _open(self, net: NeuralNet, gates: list[nn.Parameter]) -> None:
        if self.before_ is not None:
            self.before_.save(self.before_.read())
            self.loss_before_ = net.history[-1]["train_loss"]
        with torch.no_grad():
            for gate in gates:
                gate.fill_(_OPENED)
        if self.selection is not None:
            self.selection.since_lowest_ = -len(net.history)

    @staticmethod
    def _is_stuck(net: NeuralNet, gates: list[nn.Parameter]) -> bool:
        first, last = net.history[0]["train_loss"], net.history[-1]["train_loss"]
        widest = max(float(gate.detach().abs().max()) for gate in gates)
        is_stuck = last >= (1 - LEAST_CHANGE) * first and widest <= _CLOSED
        group = find_group()  # each process knows the loss of its own shard
        return is_stuck if group is None else group.take_first(is_stuck)


def _find_gates(module: nn.Module) -> list[nn.Parameter]:
    """Return the gates of a module's nonlinear paths that training may move."""
    gates = [part.gate for part in module.modules() if isinstance(part, Bypass)]
    return [gate for gate in gates if gate is not None and gate.requires_grad]

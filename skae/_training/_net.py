"""The skorch net: its loop, fed with slices of tensors."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from skorch import NeuralNet
from skorch.callbacks import EpochTimer, PassthroughScoring
from torch import Tensor, nn

from ._objective import Descent, Objective
from ._optimizers import OnePiece, one_piece
from ._rows import Batch


class AutoencoderNet(NeuralNet):
    """A `skorch.NeuralNet` whose batches are slices and whose target is its input.

    The parameters are those of `skorch.NeuralNet`; `criterion` is an `Objective`. Of
    skorch's hooks it overrides the ones that are meant for it, and no loop.
    """

    # Set by the callbacks: why training ended before its last epoch, epochs that ended
    # with finite weights, and whether any loss was finite.
    stop_reason_: str | None = None
    n_finite_epochs_: int = 0
    was_finite_: bool = False
    # While it trains: what computes a batch's loss and gradients.
    descent_: Descent | None = None
    # What the optimizer works on in the place of the module's weights.
    piece_: OnePiece | None = None

    def get_default_callbacks(self) -> list[tuple[str, Any]]:
        """Return skorch's own, less the one that prints."""
        return [
            ("epoch_timer", EpochTimer()),
            ("train_loss", PassthroughScoring(name="train_loss", on_train=True)),
            ("valid_loss", PassthroughScoring(name="valid_loss")),
        ]

    def initialize_optimizer(self, *args: Any, **kwargs: Any) -> "AutoencoderNet":
        """Create the optimizer, with one group and no decay: `WeightDecay` sees to that."""
        piece = None if self.compile else one_piece(self.module_, self.optimizer, self.piece_)
        self.piece_ = piece
        weights = list(self.module_.parameters()) if piece is None else [piece.weights]
        self.optimizer_ = self.optimizer([{"params": weights, "weight_decay": 0.0}], lr=self.lr)
        return self

    def ready(self) -> AbstractContextManager[None]:
        """Return a context in which the weights are where the optimizer has them."""
        return nullcontext() if self.piece_ is None else self.piece_.taken_up()

    def torch_compile(self, module: nn.Module, name: str) -> nn.Module:
        """Compile in place, which leaves the names of the weights as they are."""
        if self.compile and name == "module":
            module.compile()
        return module

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Choose how gradients are computed; what is compiled is autograd's."""
        super().on_train_begin(net, **kwargs)
        choose = Objective.descent if self.compile else type(self.criterion_).descent
        self.descent_ = choose(self.criterion_, self.module_)

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Let go of the last batch."""
        super().on_train_end(net, **kwargs)
        self.descent_ = None

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Set training mode once an epoch; skorch does it at every step."""
        super().on_epoch_begin(net, **kwargs)
        if not self.module_.training:
            self._set_training(True)

    def on_batch_begin(self, net: NeuralNet, *args: Any, **kwargs: Any) -> None:
        """Give weights back their own gradients once a callback has frozen some."""
        super().on_batch_begin(net, *args, **kwargs)
        if self.piece_ is not None and not self.piece_.is_whole:
            self.initialize_optimizer()
            self.module_.zero_grad()

    def _zero_grad_optimizer(self, set_to_none: bool | None = None) -> None:
        """Let gradients begin at nothing."""
        if self.piece_ is None:
            super()._zero_grad_optimizer(set_to_none)
        else:
            self.piece_.begin_step()

    def train_step_single(self, batch: Batch, **fit_params: Any) -> dict[str, Tensor | None]:
        """Compute the loss of a batch and its gradients."""
        descend = cast(Descent, self.descent_)
        return {"loss": descend(*batch), "y_pred": None}

    def validation_step(self, batch: Batch, **fit_params: Any) -> dict[str, Tensor]:
        """Compute the loss of a block of validation rows; `y_pred` has each row's."""
        X, weight = batch
        self._set_training(False)
        with torch.no_grad():
            losses = self.criterion_.row_losses(self.module_, X, weight)
            loss = self.criterion_.reduce(losses, weight)
        return {"loss": loss, "y_pred": losses}

"""The skorch net: its loop, fed with slices of tensors."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import EpochTimer
from torch import Tensor, nn

from .._data import Batch, OrderedBlocks, ShardBatches
from .callbacks import MeanLoss
from .objective import FastStep, TrainingStep
from .optimizers import FlatParameters, flatten_parameters, make_optimizer
from .schedules import keep_schedulers
from .shared_step import SharedStep
from .weight_average import WeightAverage


class AutoencoderNet(NeuralNet):
    """A `skorch.NeuralNet` that takes batches of type `Batch` and an `Objective` as criterion.

    It overrides hooks that skorch means to be overridden, and no loop.

    Parameters
    ----------
    *args, fast_step, **kwargs
        `fast_step(module, criterion)` returns a training step without autograd, or None; the
        others are those of `skorch.NeuralNet`.
    """

    # Set by callbacks: why training ended before its last epoch, how many epochs ended with
    # finite weights, and whether any loss was finite.
    stop_reason_: str | None = None
    n_finite_epochs_: int = 0
    was_finite_: bool = False
    # How many batches a pass over the training rows has.
    n_batches_: int = 0
    # How many rows it is made to train on, and whether with other processes, which its batches and
    # its rate depend on.
    n_rows_: int | None = None
    is_shared_: bool = False
    # Whether a user's callbacks may change the module while it trains.
    is_open_: bool = False
    # While it trains: what has a mode, None if that is set by other means than torch's.
    parts_: list[nn.Module] | None = None
    # While it trains: computes a batch's loss and gradients.
    step_: TrainingStep | None = None
    # The vector that the optimizer works on instead of the module's weights.
    flat_parameters_: FlatParameters | None = None
    # While it trains together with other processes: the steps that they take.
    shared_step_: SharedStep | None = None

    def __init__(self, *args: Any, fast_step: FastStep[Any] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fast_step = fast_step

    def get_default_callbacks(self) -> list[tuple[str, Any]]:
        """Return skorch's own, without the one that prints."""
        return [
            ("epoch_timer", EpochTimer()),
            ("train_loss", MeanLoss(name="train_loss", on_train=True)),
            ("valid_loss", MeanLoss(name="valid_loss")),
        ]

    def initialize_optimizer(self, *args: Any, **kwargs: Any) -> "AutoencoderNet":
        """Create the optimizer, with one group and no decay, which `WeightDecay` does."""
        flat = None
        if not self.compile:
            flat = flatten_parameters(self.module_, self.optimizer, self.flat_parameters_)
        self.flat_parameters_ = flat
        weights = list(self.module_.parameters()) if flat is None else [flat.weights]
        groups = [{"params": weights, "weight_decay": 0.0}]
        hidden = self.module_.decaying_weights()
        optimizer = make_optimizer(self.optimizer, groups, self.lr, hidden, flat, self.batch_size)
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise TypeError(
                f"optimizer must return a torch.optim.Optimizer, got {type(optimizer).__name__}"
            )
        if not weights:  # a linear denoiser has none, and a user's optimizer may need one to step
            optimizer = torch.optim.SGD(groups, lr=self.lr)
        self.optimizer_ = optimizer
        return self

    def attached_parameters(self) -> AbstractContextManager[None]:
        """Return a context in which the weights are where the optimizer has them."""
        return nullcontext() if self.flat_parameters_ is None else self.flat_parameters_.attached()

    def find_generators(self) -> list[torch.Generator]:
        """Return all generators that training draws from."""
        parts = [self.criterion_, *self.module_.modules()]
        found = [getattr(part, "generator", None) for part in parts]
        found.append(self.get_params(deep=False).get("iterator_train__generator"))
        unique = {id(one): one for one in found if isinstance(one, torch.Generator)}
        return list(unique.values())

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return batches, or this process's parts of those that several share."""
        batches = super().get_iterator(dataset, training)
        if not training:
            return batches
        if self.shared_step_ is not None:
            place = self.shared_step_.group.rank, self.shared_step_.group.size
            batches = ShardBatches(dataset, self.batch_size, batches.generator, *place)
        self.n_batches_ = len(batches)
        return batches

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """Run over batches; processes that train together divide held-out ones."""
        if not training and iterator is not None:
            iterator = self.divide_blocks(iterator)
        found = [callback for _, callback in self.callbacks_ if training]
        averages = [callback for callback in found if isinstance(callback, WeightAverage)]
        for average in averages:
            average.begin_pass()
        super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
        for average in averages:
            average.end_pass()

    def divide_blocks(self, blocks: OrderedBlocks) -> OrderedBlocks:
        """Return this process's part of blocks of held-out rows."""
        if self.shared_step_ is None:
            return blocks
        group = self.shared_step_.group
        return blocks.take_shard(group.rank, group.size)

    def torch_compile(self, module: nn.Module, name: str) -> nn.Module:
        """Compile in place, which leaves the names of the weights as they are."""
        if self.compile and name == "module":
            module.compile()
        return module

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Choose the step anew."""
        super().on_train_begin(net, **kwargs)
        self.step_ = self._choose_step
        parts = [*self.module_.modules(), *self.criterion_.modules()]
        is_usual = all(getattr(part.train, "__func__", None) is nn.Module.train for part in parts)
        self.parts_ = parts if is_usual and not self.is_open_ else None

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Let go of the last batch."""
        super().on_train_end(net, **kwargs)
        self.step_ = self.parts_ = None

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Set training mode once an epoch; skorch does it at every step."""
        super().on_epoch_begin(net, **kwargs)
        if self.is_open_:
            self.step_ = self._choose_step
        if not self.module_.training:
            self._set_training(True)

    def _set_training(self, training: bool = True) -> None:
        """Set the mode of module and criterion; torch's calls take as long as a small product."""
        if self.parts_ is None:
            super()._set_training(training)
            return
        for part in self.parts_:
            vars(part)["training"] = training

    def on_batch_begin(self, net: NeuralNet, *args: Any, **kwargs: Any) -> None:
        """Give weights their own gradients again once a callback has frozen some."""
        super().on_batch_begin(net, *args, **kwargs)
        if self.flat_parameters_ is not None and not self.flat_parameters_.is_trainable:
            self.separate_parameters()

    def separate_parameters(self) -> None:
        """Create the optimizer anew, on the module's weights, with the settings of the last."""
        groups = self.optimizer_.param_groups
        self.initialize_optimizer()
        keep_schedulers(self, groups)
        self.module_.zero_grad()

    def _zero_grad_optimizer(self, set_to_none: bool | None = None) -> None:
        if self.flat_parameters_ is None:
            super()._zero_grad_optimizer(set_to_none)
        else:
            self.flat_parameters_.zero_gradients()

    def _choose_step(self, batch: Batch) -> Tensor:
        """Choose how to compute gradients, at a first batch: if compiled, by autograd."""
        fast = None
        if self.fast_step is not None and not self.compile:
            fast = self.fast_step(self.module_, self.criterion_)
        self.step_ = self._step_by_autograd if fast is None else fast
        return self.step_(batch)

    def _step_by_autograd(self, batch: Batch) -> Tensor:
        loss = self.criterion_.loss(self.module_, batch)
        if loss.requires_grad:  # a filter has nothing to train
            loss.backward()
        return loss.detach()

    def train_step_single(self, batch: Batch, **fit_params: Any) -> dict[str, Tensor | None]:
        """Compute the loss of a batch and its gradients."""
        step = self._step_by_autograd if self.step_ is None else self.step_
        shared = self.shared_step_
        if shared is None:
            return {"loss": step(batch), "y_pred": None}
        return {"loss": shared.take(step, batch, self._gather_gradients), "y_pred": None}

    def _gather_gradients(self) -> list[Tensor]:
        """Return the gradients, zeros where a weight has none from this process's rows."""
        if self.flat_parameters_ is not None:
            return [self.flat_parameters_.gradients]
        trained = [one for one in self.module_.parameters() if one.requires_grad]
        for parameter in trained:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        return [one.grad for one in trained if one.grad is not None]

    def on_batch_end(self, net: NeuralNet, *args: Any, training: bool, **kwargs: Any) -> None:
        """Record how many rows the processes had together, which losses are averaged by."""
        super().on_batch_end(net, *args, training=training, **kwargs)
        if training and self.shared_step_ is not None:
            self.history.record_batch("train_batch_size", self.shared_step_.n_rows)

    def validation_step(self, batch: Batch, **fit_params: Any) -> dict[str, Tensor]:
        """Compute the loss of a block of held-out rows; `y_pred` is each row's."""
        self._set_training(False)
        with torch.no_grad():
            losses = self.criterion_.row_losses(self.module_, batch)
            loss = self.criterion_.reduce(losses, batch.weight)
        return {"loss": loss, "y_pred": losses}

"""One training: a skorch net around a module, run over its epochs."""

import math
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback
from skorch.helper import predefined_split
from torch import nn

from .._environment import RandomStreams, limited_threads, n_threads_for
from ._callbacks import (
    CosineSchedule,
    FiniteLoss,
    HeldOutLosses,
    InverseRootSchedule,
    WeightDecay,
)
from ._net import AutoencoderNet
from ._objective import Objective
from ._optimizers import OptimizerFactory
from ._progress import EpochProgress
from ._rows import Blocks, Rows, ShuffledBatches, batch_length
from ._stored_rows import AnyRows

_VALIDATION_BLOCK = 4096


@dataclass(frozen=True)
class Training:
    """How to train: the estimators' parameters of the same names, checked and resolved."""

    objective: Objective
    optimizer: OptimizerFactory
    lr: float | str
    weight_decay: float
    max_epochs: int | str
    batch_size: int | str
    device: torch.device
    compile: bool
    callbacks: Sequence[Any]
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    tol: float
    verbose: int

    def batch_length(self, n_rows: int) -> int:
        """Return how many rows a batch has."""
        return batch_length(n_rows, self.batch_size)

    def learning_rate(self, n_rows: int) -> float:
        """Return the largest learning rate; "auto" goes with the root of the batch length.

        So do the steps of adaptive optimizers keep their noise (Malladi et al. 2022).
        """
        if self.lr != "auto":
            return float(self.lr)
        return 0.006 * math.sqrt(self.batch_length(n_rows) / 256)

    def n_epochs(self, n_rows: int) -> int:
        """Return the epochs for that many rows; "auto" counts optimizer steps."""
        if self.max_epochs != "auto":
            return int(self.max_epochs)
        n_batches = -(-n_rows // self.batch_length(n_rows))
        n_steps = min(max(n_rows, 150), 1500)
        return max(10, -(-n_steps // n_batches))


def make_net(
    training: Training,
    module: nn.Module,
    n_epochs: int,
    n_rows: int,
    generator: torch.Generator | None,
    callbacks: Sequence[Callback],
) -> AutoencoderNet:
    """Return an uninitialized net around `module`."""
    return AutoencoderNet(
        module,
        criterion=training.objective,
        optimizer=training.optimizer,
        lr=training.learning_rate(n_rows),
        max_epochs=n_epochs,
        batch_size=training.batch_length(n_rows),
        iterator_train=ShuffledBatches,
        iterator_train__generator=generator,
        iterator_valid=Blocks,
        iterator_valid__batch_size=_VALIDATION_BLOCK,
        train_split=None,
        callbacks=list(callbacks),
        device=training.device,
        compile=training.compile,
        verbose=0,
    )


def make_stream_net(
    training: Training, module: nn.Module, n_rows: int, streams: RandomStreams
) -> AutoencoderNet:
    """Return an initialized net that trains one epoch on each block it is given."""
    generator = streams.torch_generator(training.device)
    callbacks = [
        InverseRootSchedule(),
        WeightDecay(training.weight_decay),
        FiniteLoss(),
        *training.callbacks,
    ]
    return make_net(training, module, 1, n_rows, generator, callbacks).initialize()


def run_block(net: AutoencoderNet, rows: AnyRows) -> list[float]:
    """Train a stream's net on a block; return the loss."""
    _train(net, rows)
    _note_interruption(net, 1)
    _warn_of_early_end(net, 1, "training")
    return loss_curve(net)[-1:]


def run(
    training: Training,
    module: nn.Module,
    rows: AnyRows,
    valid: Rows | None,
    streams: RandomStreams,
    description: str,
    judge: HeldOutLosses | None = None,
    stop_after: int | None = None,
    warns: bool = True,
) -> AutoencoderNet:
    """Train once, over the whole horizon or the first `stop_after` epochs of it."""
    horizon = training.n_epochs(len(rows))
    n_epochs = horizon if stop_after is None else min(stop_after, horizon)
    callbacks: list[Any] = [
        CosineSchedule(horizon),
        WeightDecay(training.weight_decay),
        FiniteLoss(),
    ]
    if judge is not None:
        callbacks.append(judge)
    if training.verbose:
        callbacks.append(EpochProgress(n_epochs, description))
    generator = streams.torch_generator(training.device)
    net = make_net(
        training, module, n_epochs, len(rows), generator, [*callbacks, *training.callbacks]
    )
    net.set_params(train_split=None if valid is None else predefined_split(valid))
    _train(net.initialize(), rows)
    net.set_params(train_split=None)  # let go of the rows
    _note_interruption(net, n_epochs)
    if warns:
        _warn_of_early_end(net, n_epochs, description)
    return net


def _train(net: AutoencoderNet, rows: AnyRows) -> None:
    with _threads_for(net), net.ready():
        net.partial_fit(rows.placed(), None)


def _threads_for(net: AutoencoderNet) -> AbstractContextManager[None]:
    n_weights = sum(parameter.numel() for parameter in net.module_.parameters())
    return limited_threads(n_threads_for(6.0 * n_weights * net.batch_size))


def _note_interruption(net: AutoencoderNet, n_epochs: int) -> None:
    """Tell Ctrl-C, which skorch swallows, from a stop of our own, and from an error."""
    if net.stop_reason_ == "diverged" and not net.was_finite_:
        raise ValueError(
            "the loss was not finite from the first step on, expected finite numbers: look at "
            "the architecture's output, or at lr and alpha"
        )
    if net.stop_reason_ is None and net.n_finite_epochs_ < n_epochs:
        net.stop_reason_ = "interrupted"


def _warn_of_early_end(net: AutoencoderNet, n_epochs: int, description: str) -> None:
    done = f"after {net.n_finite_epochs_} of {n_epochs} epochs"
    if net.stop_reason_ == "diverged":
        warnings.warn(
            f"{description} diverged {done}: the loss was not finite. The best weights before "
            f"that are kept. Try a lower lr than {net.lr:g}, or standardize=True.",
            ConvergenceWarning,
            stacklevel=2,
        )
    elif net.stop_reason_ == "interrupted":
        warnings.warn(
            f"{description} was interrupted {done}, from the keyboard or by a callback. The best "
            "weights before that are kept.",
            ConvergenceWarning,
            stacklevel=2,
        )


def loss_curve(net: AutoencoderNet) -> list[float]:
    """Return the training losses of the epochs that ended."""
    return [float(row["train_loss"]) for row in net.history if "train_loss" in row]

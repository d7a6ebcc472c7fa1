"""What processes that train together have in common in each step and epoch, and what not."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.history import History
from torch import Tensor

from .._data import Batch, Rows
from .._processes import TrainingGroup
from .objective import TrainingStep

# What skorch records of an epoch.
_LOSSES = "train_loss", "train_loss_best", "valid_loss", "valid_loss_best"


class SharedStep:
    """A step on a batch of which each process has a part.

    Parameters
    ----------
    group : TrainingGroup
        The processes.
    """

    def __init__(self, group: TrainingGroup) -> None:
        self.group = group
        self.n_rows = 0
        self._message: Tensor | None = None

    def take(self, step: TrainingStep, batch: Batch, gather: Callable[[], list[Tensor]]) -> Tensor:
        """Return the loss of all parts together, and leave its gradients with the weights.

        The loss of a part is a weighted mean over its rows. The loss of the whole batch is the mean
        of these, in which each part counts by the sum of its weights.

        Parameters
        ----------
        step : callable
            Computes the loss and the gradients of a part.
        batch : Batch
            This process's part, maybe without rows.
        gather : callable
            Returns the gradients, which are changed in place.
        """
        n_rows = len(batch.input)
        weight = float(n_rows) if batch.weight is None else float(batch.weight.sum())
        loss = step(batch) if weight > 0 else batch.input.new_zeros(())
        with torch.no_grad():
            gradients = gather()
            lengths = [gradient.numel() for gradient in gradients]
            message = self._make_message(sum(lengths), batch.input)
            parts = message[:-3].split(lengths)
            for gradient, part in zip(gradients, parts, strict=True):
                torch.mul(gradient, weight, out=part.view_as(gradient))
            message[-3:] = torch.tensor([weight * float(loss), weight, n_rows])
            self.group.add(message)
            total, summed, self.n_rows = float(message[-2]), message[-3].clone(), int(message[-1])
            for gradient, part in zip(gradients, parts, strict=True):
                torch.div(part.view_as(gradient), total, out=gradient)
        return summed / total

    def _make_message(self, n_weights: int, like: Tensor) -> Tensor:
        """Return room for gradients, and for a loss, a weight and a number of rows."""
        if self._message is None or len(self._message) != n_weights + 3:
            self._message = like.new_empty(n_weights + 3)
        return self._message


class SharedEpochs(Callback):
    """Give all processes the statistics of the first and the same losses, once an epoch.

    Layers such as batch normalization keep statistics of their own process's rows. Callbacks that
    end training or lower the learning rate by a loss would otherwise do so in some processes only.
    It belongs before all other callbacks but skorch's own.

    Parameters
    ----------
    group : TrainingGroup
        The processes.
    """

    def __init__(self, group: TrainingGroup) -> None:
        self.group = group

    def on_batch_begin(self, net: NeuralNet, training: bool, **kwargs: Any) -> None:
        """Share statistics before the first block of held-out rows."""
        if not training:
            self._share_statistics(net)

    def on_epoch_end(
        self, net: NeuralNet, dataset_valid: Rows | None = None, **kwargs: Any
    ) -> None:
        """Share statistics if no rows are held out, and losses."""
        self._share_statistics(net)
        if dataset_valid is not None:
            self._join_blocks(net.history, len(dataset_valid))
        last = net.history[-1]
        losses = {name: last[name] for name in _LOSSES if name in last}
        for name, value in self.group.take_first(losses).items():
            net.history.record(name, value)

    def _join_blocks(self, history: History, n_held_out: int) -> None:
        """Record the blocks of held-out rows of all processes, as if each had computed all."""
        batches = history[-1]["batches"]
        own = [batch for batch in batches if "valid_loss" in batch]
        if sum(block["valid_batch_size"] for block in own) == n_held_out:
            return  # they are too few to be divided
        blocks = [block for part in self.group.gather(own) for block in part]
        batches[len(batches) - len(own) :] = blocks
        losses = [block["valid_loss"] for block in blocks]
        loss = np.average(losses, weights=[block["valid_batch_size"] for block in blocks])
        lowest = min((row["valid_loss"] for row in history[:-1]), default=math.inf)
        history.record("valid_batch_count", len(blocks))
        history.record("valid_loss", loss)
        history.record("valid_loss_best", bool(loss < lowest))

    def _share_statistics(self, net: NeuralNet) -> None:
        if net.module_.training:  # so not yet in this epoch
            self.group.copy_first(net.module_.buffers())


class ShardSeeds(Callback):
    """Seed the generators that training draws from, in each process and epoch differently.

    So processes draw different noise for different rows, and a fit that goes on from a checkpoint
    needs no state of the generators of other processes.

    Parameters
    ----------
    group : TrainingGroup
        The processes.
    """

    def __init__(self, group: TrainingGroup) -> None:
        self.group = group

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Note the seeds that all processes have in common."""
        self._seeds = [generator.initial_seed() for generator in net.find_generators()]

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Seed an epoch."""
        self._seed(net, self.group.rank)

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Seed what follows alike in all processes."""
        self._seed(net, self.group.size)

    def _seed(self, net: NeuralNet, rank: int) -> None:
        for seed, generator in zip(self._seeds, net.find_generators(), strict=True):
            source = np.random.SeedSequence([seed, len(net.history), rank])
            generator.manual_seed(int(source.generate_state(1)[0]))

"""How to train: the parameters that all estimators share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Self

import torch

from .._data import batch_length
from .checkpoint import Checkpoint
from .fit_tasks import FitTasks
from .objective import FastStep, Module, Objective
from .optimizers import OptimizerFactory, make_adamw, make_adamw_or_muon


@dataclass(frozen=True)
class TrainingConfig(Generic[Module]):
    """How to train.

    Attributes have the names of the estimators' parameters. `lr`, `max_epochs` and `batch_size`
    may be "auto"; the methods resolve them for a number of rows. `is_shared` is whether several
    processes compute a part of each batch.
    """

    objective: Objective[Module]
    fast_step: FastStep[Module] | None
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
    gap: int | None
    n_iter_no_change: int
    tol: float
    verbose: int
    checkpoint: Checkpoint | None = None
    tasks: FitTasks | None = None
    is_shared: bool = False

    def without_muon(self) -> Self:
        """Return a configuration with AdamW where this one has AdamW or Muon."""
        may_be_muon = self.optimizer is make_adamw_or_muon
        return replace(self, optimizer=make_adamw) if may_be_muon else self

    def batch_length(self, n_rows: int) -> int:
        """Return how many rows a batch has."""
        return batch_length(n_rows, self.batch_size, self.is_shared)

    def learning_rate(self, n_rows: int) -> float:
        """Return the largest learning rate; "auto" grows with the root of the batch length.

        This keeps the noise of adaptive optimizers' steps the same (Malladi et al. 2022).
        """
        if self.lr != "auto":
            return float(self.lr)
        return 0.006 * math.sqrt(self.batch_length(n_rows) / 256)

    def n_epochs(self, n_rows: int) -> int:
        """Return the number of epochs; "auto" counts optimizer steps."""
        if self.max_epochs != "auto":
            return int(self.max_epochs)
        n_batches = -(-n_rows // self.batch_length(n_rows))
        n_steps = min(max(n_rows, 150), 1500)
        return max(10, -(-n_steps // n_batches))

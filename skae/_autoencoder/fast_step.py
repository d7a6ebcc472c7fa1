"""An autoencoder's training step without autograd."""

from functools import partial

import torch
from torch import Tensor

from .._data import Batch
from .._training import Objective, TrainingStep
from .._training.fast_gradients import Pass, make_autoencoder_pass
from ..modules import Autoencoder
from .objective import ReconstructionObjective


def make_fast_step(module: Autoencoder, objective: Objective[Autoencoder]) -> TrainingStep | None:
    """Return a training step, None if the network or a penalty needs autograd."""
    if not isinstance(objective, ReconstructionObjective) or objective.penalty.kind is not None:
        return None
    network = make_autoencoder_pass(module)
    return None if network is None else partial(_step, network, objective)


@torch.no_grad()
def _step(network: Pass, objective: ReconstructionObjective, batch: Batch) -> Tensor:
    difference = network.forward(batch.input).sub_(batch.input)
    n_rows, n_columns = len(batch.input), objective.count_columns(batch)
    if batch.mask is not None:
        difference.mul_(batch.mask)
    if batch.weight is None and objective.trim_fraction == 0:
        loss = difference.square().sum() / (n_rows * n_columns)
        network.backward(difference.mul_(2 / (n_rows * n_columns)), False)
        return loss
    losses = difference.square().sum(dim=1) / n_columns
    shares = objective.weight_shares(losses, batch.weight)
    network.backward(difference.mul_((2 / n_columns) * shares[:, None]), False)
    return shares @ losses

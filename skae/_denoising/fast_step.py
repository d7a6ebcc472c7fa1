"""A denoiser's training step without autograd."""

from functools import partial

import torch
from torch import Tensor

from .._data import Batch
from .._training import Objective, TrainingStep
from .._training.fast_gradients import Pass, make_pass
from ..modules import Bypass, Denoiser, RowDenoiser
from .objective import DenoisingObjective, relative_errors


def make_fast_step(module: Denoiser, objective: Objective[Denoiser]) -> TrainingStep | None:
    """Return a training step for a range of Gaussian noise and no bottleneck, else None."""
    if not isinstance(module, RowDenoiser) or not isinstance(module.path, Bypass):
        return None
    if not isinstance(objective, DenoisingObjective) or not objective.is_gaussian_range:
        return None
    network = make_pass(module.path)
    return None if network is None else partial(_step, module, network, objective)


@torch.no_grad()
def _step(
    module: RowDenoiser, network: Pass, objective: DenoisingObjective, batch: Batch
) -> Tensor:
    clean = batch.input
    noisy, level, twice = objective.draw_pairs(clean, objective.generator)
    filtered, unit, conditioned = module.filter_and_condition(noisy, level.repeat(2, 1))
    output = network.forward(conditioned)
    difference = torch.addcmul(filtered.sub_(twice), unit, output)
    if batch.mask is not None:
        difference.mul_(batch.mask.repeat(2, 1))
    errors = difference.square().sum(dim=1)
    factor = module.loss_weight(level).squeeze(1) / objective.count_columns(clean)
    losses = errors.reshape(2, -1).mean(dim=0) * factor
    relative = relative_errors(errors, unit[: len(clean)].square(), batch.mask)
    shares = objective.weight_shares(losses, batch.weight, relative)
    slope = (shares * factor).repeat(2)[:, None] * unit
    network.backward(difference.mul_(slope), False)
    return shares @ losses

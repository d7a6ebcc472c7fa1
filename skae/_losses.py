"""Losses and penalties: functions of tensors, a value for each row."""

import numpy as np
import torch
from torch import Tensor

#: Mean activity that `penalty="kl"` asks of each code unit (Ng 2011, section 3).
TARGET_ACTIVITY = 0.05


def squared_error(reconstruction: Tensor, target: Tensor) -> Tensor:
    """Return each row's squared error, summed over the columns."""
    return (reconstruction - target).square().sum(dim=1)


def weighted_mean(values: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the mean over rows, each counted `weight` times."""
    if weight is None:
        return values.mean()
    return (values * weight).sum() / weight.sum()


def trimmed_weight(losses: Tensor, weight: Tensor | None, trim_fraction: float) -> Tensor:
    """Return the weights left once the rows of largest loss are ignored.

    The share `trim_fraction` of the total weight is taken away, from the largest loss
    down; the row at the border keeps a part of its weight, so that a row of weight two
    is worth two rows exactly (the trimmed likelihood of Neykov and Müller 2003).
    """
    if weight is None:
        weight = torch.ones_like(losses)
    order = losses.detach().argsort(stable=True)
    room = (1 - trim_fraction) * weight.sum() - (weight[order].cumsum(0) - weight[order])
    left = torch.empty_like(weight)
    left[order] = torch.minimum(weight[order], room.clamp_min(0))
    return left


def kept_weight(losses: np.ndarray, weight: np.ndarray | None, trim_fraction: float) -> np.ndarray:
    """Return arrays' weights left once the rows of largest loss are ignored."""
    whole = np.ones(len(losses)) if weight is None else weight.astype(np.float64)
    if trim_fraction == 0:
        return whole
    return trimmed_weight(torch.as_tensor(losses), torch.as_tensor(whole), trim_fraction).numpy()


def l1_penalty(code: Tensor) -> Tensor:
    """Return each row's sum of absolute code values."""
    return code.abs().sum(dim=1)


def kl_penalty(code: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the divergence of the code units' mean activity from the target, a scalar.

    `sum_j KL(rho || mean_j)` of Bernoulli variables, with `rho` = `TARGET_ACTIVITY` and
    `mean_j` the mean over rows of unit `j`, which must lie in (0, 1) (Ng 2011, "Sparse
    autoencoder", CS294A lecture notes, section 3).
    """
    activity = code.mean(dim=0) if weight is None else weight @ code / weight.sum()
    tiny = torch.finfo(code.dtype).eps
    activity = activity.clamp(tiny, 1 - tiny)
    rho = torch.full_like(activity, TARGET_ACTIVITY)
    return (
        torch.xlogy(rho, rho / activity) + torch.xlogy(1 - rho, (1 - rho) / (1 - activity))
    ).sum()


def contractive_penalty(code: Tensor, input: Tensor) -> Tensor:
    """Return each row's squared Frobenius norm of the encoder's Jacobian.

    Exact for any network that treats rows apart, by one backward pass a code unit
    (Rifai et al. 2011, equation 5, which has the closed form for one sigmoid layer).
    `code` must have been computed from `input` with gradients on.
    """
    total = torch.zeros_like(input[:, 0])
    for unit in code.unbind(dim=1):
        (gradient,) = torch.autograd.grad(unit.sum(), input, create_graph=True)
        total = total + gradient.square().sum(dim=1)
    return total

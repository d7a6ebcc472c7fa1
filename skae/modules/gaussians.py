"""Diagonal Gaussians: log-variances that stay in bounds, densities, divergences."""

import math

import torch
from torch import Tensor

# Variances from 5e-12 to 400. Probabilistic PCA's posterior variance is 1e-9 in a nearly singular
# table of a thousand columns; above the prior's variance of 1 nothing is gained.
_LOWEST, _HIGHEST = -26.0, 6.0
_CENTRE, _REACH = (_HIGHEST + _LOWEST) / 2, (_HIGHEST - _LOWEST) / 2
_LOG_2PI = math.log(2 * math.pi)


def bound_log_variance(raw: Tensor) -> Tensor:
    """Return a network's outputs mapped smoothly to log-variances between -26 and 6.

    Without bounds, one row far from the others makes `exp` overflow, and everything NaN.
    """
    # With `rsub`, a product and a sum are one operation: these tensors are small, so time is
    # spent on the number of operations.
    share = torch.tanh(torch.rsub(raw, -_CENTRE / _REACH, alpha=-1 / _REACH))
    return torch.rsub(share, _CENTRE, alpha=-_REACH)


def bound_slope(log_variance: Tensor) -> Tensor:
    """Return the slope of `bound_log_variance` where it returns `log_variance`."""
    share = (log_variance - _CENTRE) / _REACH
    return torch.rsub(share.square_(), 1.0)


def unbound_log_variance(log_variance: Tensor) -> Tensor:
    """Return the inverse of `bound_log_variance`, next to the bounds for values beyond them."""
    share = (log_variance - _CENTRE) / _REACH
    return _CENTRE + _REACH * torch.atanh(share.clamp(-0.999, 0.999))


def gaussian_log_density(code: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return `log N(code; mean, diag(exp(log_variance)))`, summed over the last dimension."""
    squares = (code - mean).square() * torch.exp(-log_variance)
    return -0.5 * (squares + log_variance + _LOG_2PI).sum(dim=-1)


def standard_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return `KL(N(mean, variance) || N(0, I))` in nats (Kingma and Welling 2014, appendix B)."""
    variance = torch.exp(log_variance)
    return 0.5 * (variance + mean.square() - 1 - log_variance).sum(dim=-1)


def gaussian_entropy(log_variance: Tensor) -> Tensor:
    """Return the entropy of diagonal Gaussians, in nats."""
    constant = 0.5 * (1 + _LOG_2PI) * log_variance.shape[-1]
    return torch.rsub(log_variance.sum(dim=-1), constant, alpha=-0.5)

"""Diagonal Gaussians: log-variances that stay in bounds, densities, divergences."""

import math

import torch
from torch import Tensor

# Variances from 5e-12 to 400. Probabilistic PCA's posterior in a nearly singular table of a
# thousand columns is at 1e-9; above the prior's variance of 1 nothing is gained.
_LOWEST, _HIGHEST = -26.0, 6.0
_CENTRE, _REACH = (_HIGHEST + _LOWEST) / 2, (_HIGHEST - _LOWEST) / 2
_LOG_2PI = math.log(2 * math.pi)


def bounded_log_variance(raw: Tensor) -> Tensor:
    """Return log-variances smoothly kept between -26 and 6, where networks give any number.

    Without bounds, one row far from the others makes `exp` overflow, and all is NaN.
    """
    return _CENTRE + _REACH * torch.tanh((raw - _CENTRE) / _REACH)


def raw_log_variance(log_variance: Tensor) -> Tensor:
    """Return what `bounded_log_variance` maps to log-variances, or next to their bound."""
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
    return 0.5 * (log_variance + 1 + _LOG_2PI).sum(dim=-1)

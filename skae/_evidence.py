"""How probable rows are under a variational autoencoder: bounds from draws of the code."""

import math
from functools import lru_cache

import torch
from torch import Tensor

from .modules import VariationalAutoencoder

# The draws are the estimator's, not the user's: scores of two calls, and of two models of
# one size, are compared under the same ones.
_SEED = 20160502

# Elements of a block's largest array (rows x draws x columns).
_BLOCK_ELEMENTS = 2**22


def rows_at_a_time(n_draws: int, n_widest: int) -> int:
    """Return how many rows are scored at a time."""
    return max(1, _BLOCK_ELEMENTS // max(1, n_draws * n_widest))


@lru_cache(maxsize=8)
def normal_draws(n_draws: int, n_components: int) -> Tensor:
    """Return standard normal draws that are spread more evenly than independent ones.

    Scrambled Sobol points through the normal quantile function: each is standard normal,
    and their mean has a smaller error (Buchholz, Wenzel and Mandt 2018, "Quasi-Monte
    Carlo variational inference"). Each comes with its mirror image.

    Parameters
    ----------
    n_draws : int
        Number of draws.
    n_components : int
        Size of the code.
    """
    engine = torch.quasirandom.SobolEngine(
        min(n_components, torch.quasirandom.SobolEngine.MAXDIM), scramble=True, seed=_SEED
    )
    uniform = engine.draw(-(-n_draws // 2), dtype=torch.float64)
    normal = torch.special.ndtri(uniform.clamp(1e-9, 1 - 1e-9))
    if n_components > normal.shape[1]:
        generator = torch.Generator().manual_seed(_SEED)
        size = (len(normal), n_components - normal.shape[1])
        more = torch.randn(size, dtype=torch.float64, generator=generator)
        normal = torch.cat([normal, more], dim=1)
    return torch.stack([normal, -normal], dim=1).flatten(0, 1)[:n_draws]


def importance_bound(module: VariationalAutoencoder, rows: Tensor, n_draws: int) -> Tensor:
    """Return a lower bound of each row's log-density, which rises to it with the draws.

    `log mean_s p(x | z_s) p(z_s) / q(z_s | x)` with `z_s` from `q(z | x)` (Burda, Grosse
    and Salakhutdinov 2016, equation 8). Where `q` is the true posterior, as in a linear
    model, all terms are the density itself and any number of draws gives it exactly.

    Parameters
    ----------
    module : VariationalAutoencoder
        The model.
    rows : Tensor of shape (n_rows, n_features)
        The rows, scaled.
    n_draws : int
        Number of draws.
    """
    mean, log_variance, noise, code = _drawn(module, rows, n_draws)
    log_posterior = -0.5 * (
        noise.square().sum(dim=1) + log_variance.sum(dim=1, keepdim=True)
    ) - 0.5 * mean.shape[1] * math.log(2 * math.pi)
    log_weight = (
        module.log_likelihood(rows, code) + module.mixture().log_density(code) - log_posterior
    )
    return log_weight.logsumexp(dim=1) - math.log(n_draws)


def evidence_bound(module: VariationalAutoencoder, rows: Tensor, n_draws: int) -> Tensor:
    """Return `E_q log p(x | z)` and `KL(q || p)` of each row, in two columns.

    Parameters
    ----------
    module : VariationalAutoencoder
        The model.
    rows : Tensor of shape (n_rows, n_features)
        The rows, scaled.
    n_draws : int
        Number of draws that expectations are taken over.
    """
    mean, log_variance, _, code = _drawn(module, rows, n_draws)
    log_likelihood = module.log_likelihood(rows, code).mean(dim=1)
    return torch.stack([log_likelihood, module.divergence(mean, log_variance, code)], dim=1)


def _drawn(
    module: VariationalAutoencoder, rows: Tensor, n_draws: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    mean, log_variance = module.posterior(rows)
    noise = normal_draws(n_draws, mean.shape[1]).to(mean)
    code = mean.unsqueeze(1) + noise * torch.exp(0.5 * log_variance).unsqueeze(1)
    return mean, log_variance, noise, code

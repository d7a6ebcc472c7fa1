"""The density of rows under a variational autoencoder: bounds from draws of the code."""

import math
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from .._base import Density
from .._data import AnyRows, Batch, block_length
from .._linear import Moments
from .._training import TrainedModule
from ..modules import VariationalAutoencoder

# The seed is fixed, so that scores of two calls, and of two models of one size, use the same
# draws.
_SEED = 20160502

# Cells of a block's largest array (rows x draws x columns).
_BLOCK_CELLS = 2**22


class EvidenceBound(NamedTuple):
    """The evidence lower bound of rows, and its parts, in nats.

    Attributes
    ----------
    bound : ndarray of shape (n_samples,)
        `log_likelihood - divergence`; never above the log-density, on average over draws.
    log_likelihood : ndarray of shape (n_samples,)
        Expected log-density of a row given its code, in the units of the table.
    divergence : ndarray of shape (n_samples,)
        Divergence of the code's posterior from its prior: the information in the code.
    """

    bound: np.ndarray
    log_likelihood: np.ndarray
    divergence: np.ndarray


@dataclass(frozen=True)
class VariationalDensity(Density[VariationalAutoencoder]):
    """The importance-weighted bound, and the spread of the codes.

    Attributes
    ----------
    codes : Moments
        Of the training rows' posterior means.
    n_draws : int
        Draws of the code for each row.
    widest : int
        Columns of the widest array that a draw needs.
    unit_correction : float
        Added to log-masses, which have no units: it cancels the change of units that applies
        to log-densities.
    """

    codes: Moments
    n_draws: int
    widest: int
    unit_correction: float

    def log_density(self, module: VariationalAutoencoder, batch: Batch) -> Tensor:
        """Return the log-density of each row's observed cells, in nats."""
        rows = batch.input
        bound = importance_bound(module, rows, self.n_draws)
        if module.floor is not None:
            bound = module.floor.mix(bound, rows)
        return bound + self.unit_correction

    def block_length(self) -> int:
        """Return how many rows to score at a time."""
        return block_length(self.n_draws * self.widest, _BLOCK_CELLS, most_rows=_BLOCK_CELLS)

    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays, which any pickler can store."""
        state = {field.name: getattr(self, field.name) for field in fields(self)}
        codes = {field.name: getattr(self.codes, field.name) for field in fields(self.codes)}
        return {**state, "codes": codes}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the density of a stored state."""
        return cls(**{**state, "codes": Moments(**state["codes"])})


def measure_codes(rows: AnyRows, trained: TrainedModule[VariationalAutoencoder]) -> Moments:
    """Return the moments of rows' posterior means, by a subsample of a stored table."""
    sample = rows.subsample()
    codes = trained.apply(lambda module, part: module.encode(part), sample.table)
    weight = sample.given_weight
    total = float(weight.sum()) * len(rows) / len(sample)
    return Moments.from_rows(codes.astype(np.float64), weight, total)


@lru_cache(maxsize=8)
def draw_normal(n_draws: int, n_components: int) -> Tensor:
    """Return standard normal draws that are more evenly spread than independent ones.

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
    """Return a lower bound of each row's log-density, which more draws tighten.

    `log mean_s p(x | z_s) p(z_s) / q(z_s | x)` with `z_s` from `q(z | x)` (Burda, Grosse
    and Salakhutdinov 2016, equation 8). Where `q` is the true posterior, as in a linear
    model, all terms are the density itself, and any number of draws gives it exactly.

    Parameters
    ----------
    module : VariationalAutoencoder
        The model.
    rows : Tensor of shape (n_rows, n_features)
        The rows, scaled.
    n_draws : int
        Number of draws.
    """
    mean, log_variance, noise, code = _draw_codes(module, rows, n_draws)
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
    mean, log_variance, _, code = _draw_codes(module, rows, n_draws)
    log_likelihood = module.log_likelihood(rows, code).mean(dim=1)
    return torch.stack([log_likelihood, module.divergence(mean, log_variance, code)], dim=1)


def _draw_codes(
    module: VariationalAutoencoder, rows: Tensor, n_draws: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    mean, log_variance = module.posterior(rows)
    noise = draw_normal(n_draws, mean.shape[1]).to(mean)
    code = mean.unsqueeze(1) + noise * torch.exp(0.5 * log_variance).unsqueeze(1)
    return mean, log_variance, noise, code

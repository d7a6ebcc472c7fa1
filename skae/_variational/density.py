"""The density of rows under a variational autoencoder: bounds from draws of the code."""

import math
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from .._base import SINGLE_VARIANCE, Density
from .._base.draws import draw_normal
from .._data import AnyRows, Batch, ColumnQuantiles, ColumnRanges, block_length
from .._linear import Moments
from .._training import TrainedModule
from ..modules import VariationalAutoencoder
from ..modules.likelihoods import GaussianLikelihood
from ..modules.mixed_likelihood import MixedLikelihood
from .proposal import find_proposal

# Of the draws of codes' Gaussians: scores of two calls use the same.
_SEED = 20160502

# Cells of a block's largest array (rows x draws x columns).
_BLOCK_CELLS = 2**20

# Draws from which their variance is set to one.
_FEWEST_SCALED = 16


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
    log_scales : ndarray of shape (n_features,) or None, default=None
        Each column's part of `unit_correction`; None is 0.
    ranges : ColumnRanges or None, default=None
        Of the training rows; None, in states of earlier versions, is unknown.
    quantiles : ColumnQuantiles or None, default=None
        Of the training rows; None, in states of earlier versions and of very wide tables, is
        unknown.
    """

    codes: Moments
    n_draws: int
    widest: int
    unit_correction: float
    log_scales: np.ndarray | None = None
    ranges: ColumnRanges | None = None
    quantiles: ColumnQuantiles | None = None

    def log_density(self, module: VariationalAutoencoder, batch: Batch) -> Tensor:
        """Return the log-density of each row's observed cells, in nats."""
        bound = importance_bound(module, batch.input, self.n_draws, batch.mask)
        if module.floor is not None:
            bound = module.floor.mix(bound, batch.input, batch.mask)
        return bound + self.correct_units(batch)

    def correct_units(self, batch: Batch) -> Tensor | float:
        """Return what cancels the change of units of observed numbers that have a mass."""
        if batch.mask is None or self.log_scales is None:
            return self.unit_correction
        return batch.mask.double() @ torch.from_numpy(self.log_scales).to(batch.mask.device)

    def block_length(self) -> int:
        """Return how many rows to score at a time."""
        return block_length(self.n_draws * self.widest, _BLOCK_CELLS, most_rows=_BLOCK_CELLS)

    def tolerates_single(self, module: VariationalAutoencoder) -> bool:
        """Whether networks in float32 change log-densities by no more than 1e-3 nats."""
        likelihood = module.likelihood
        if not isinstance(likelihood, GaussianLikelihood):
            return False
        return float(likelihood.variance.detach().min()) >= SINGLE_VARIANCE

    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays, which any pickler can store."""
        state = {field.name: getattr(self, field.name) for field in fields(self)}
        codes = {field.name: getattr(self.codes, field.name) for field in fields(self.codes)}
        ranges = None if self.ranges is None else self.ranges.get_state()
        quantiles = None if self.quantiles is None else self.quantiles.get_state()
        return {**state, "codes": codes, "ranges": ranges, "quantiles": quantiles}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the density of a stored state."""
        # Not in the states of earlier versions.
        ranges, quantiles = state.get("ranges"), state.get("quantiles")
        parts = {
            "codes": Moments(**state["codes"]),
            "ranges": None if ranges is None else ColumnRanges(**ranges),
            "quantiles": None if quantiles is None else ColumnQuantiles(**quantiles),
        }
        return cls(**{**state, **parts})


def measure_codes(rows: AnyRows, trained: TrainedModule[VariationalAutoencoder]) -> Moments:
    """Return the moments of rows' posterior means, by a subsample of a stored table."""
    sample = rows.subsample()
    codes = trained.apply(lambda module, part: module.encode(part), sample.table)
    weight = sample.given_weight
    total = float(weight.sum()) * len(rows) / len(sample)
    return Moments.from_rows(codes.astype(np.float64), weight, total)


def importance_bound(
    module: VariationalAutoencoder, rows: Tensor, n_draws: int, mask: Tensor | None = None
) -> Tensor:
    """Return a lower bound of each row's log-density, which more draws tighten.

    `log mean_s p(x | z_s) p(z_s) / q(z_s | x)` with `z_s` from `q(z | x)` (Burda, Grosse
    and Salakhutdinov 2016, equation 8). Where `q` is the true posterior, as in a linear
    model, all terms are the density itself, and any number of draws gives it exactly. Of rows
    with missing cells it is the density of the observed ones, and `q` is a `Proposal`, as it is
    of all rows with booleans or categories.

    Parameters
    ----------
    module : VariationalAutoencoder
        The model.
    rows : Tensor of shape (n_rows, n_features)
        The rows, scaled.
    n_draws : int
        Number of draws.
    mask : Tensor of bool of shape (n_rows, n_features) or None, default=None
        Which cells are observed; None is all.
    """
    if isinstance(module.likelihood, MixedLikelihood) and mask is None:
        mask = torch.ones_like(rows, dtype=torch.bool)
    if mask is None:
        return _average(_weigh_codes(module, rows, n_draws))
    bound = rows.new_zeros(len(rows))
    # A row's score does not depend on the rows beside it.
    by_encoder = mask.all(dim=1)
    if isinstance(module.likelihood, MixedLikelihood):
        # No posterior of categories is a Gaussian of independent units.
        by_encoder = torch.zeros_like(by_encoder)
    if by_encoder.any():
        bound[by_encoder] = _average(_weigh_codes(module, rows[by_encoder], n_draws))
    others = ~by_encoder & mask.any(dim=1)
    if others.any():
        normal = draw_normal(n_draws, module.mixture().mean.shape[1])
        found = weigh_codes_given_observed(module, rows[others], mask[others], normal)
        bound[others] = _average(found[1])
    return bound


def _average(log_weight: Tensor) -> Tensor:
    """Return logarithms of rows' mean weights."""
    return log_weight.logsumexp(dim=1) - math.log(log_weight.shape[1])


def _weigh_codes(module: VariationalAutoencoder, rows: Tensor, n_draws: int) -> Tensor:
    """Return logarithms of the weights of codes drawn from the encoder's Gaussians."""
    mean, log_variance, noise, code = _draw_codes(module, rows, n_draws)
    log_posterior = -0.5 * (
        noise.square().sum(dim=1) + log_variance.sum(dim=1, keepdim=True)
    ) - 0.5 * mean.shape[1] * math.log(2 * math.pi)
    log_weight = (
        module.log_likelihood(rows, code) + module.mixture().log_density(code) - log_posterior
    )
    return log_weight


def weigh_codes_given_observed(
    module: VariationalAutoencoder,
    rows: Tensor,
    mask: Tensor,
    normal: Tensor,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Return codes `(n_rows, n_draws, n_components)`, and logarithms of their weights.

    Weighted, codes are of the posterior given the observed cells; the mean of the weights is the
    density of these.

    Parameters
    ----------
    module : VariationalAutoencoder
        The model.
    rows : Tensor of shape (n_rows, n_features)
        Completed rows.
    mask : Tensor of bool of shape (n_rows, n_features)
        Which of their cells are observed.
    normal : Tensor of shape (n_draws, n_components)
        Standard normal draws, the same for all rows.
    generator : torch.Generator or None, default=None
        Source of the draws from the prior; None makes the same ones at each call.
    """
    proposal = find_proposal(module, rows, mask)
    if generator is None:
        generator = torch.Generator(rows.device).manual_seed(_SEED)
    code = proposal.draw(normal.to(proposal.mean), generator)
    log_prior = proposal.prior.log_density(code)
    log_likelihood = module.log_likelihood(rows, code, mask)
    return code, log_likelihood + log_prior - proposal.log_density(code, log_prior)


def evidence_bound(
    module: VariationalAutoencoder, rows: Tensor, n_draws: int, mask: Tensor | None = None
) -> Tensor:
    """Return `E_q log p(x | z)` and `KL(q || p)` of each row, in two columns.

    Parameters
    ----------
    module : VariationalAutoencoder
        The model.
    rows : Tensor of shape (n_rows, n_features)
        The rows, scaled.
    n_draws : int
        Number of draws that expectations are taken over.
    mask : Tensor of bool of shape (n_rows, n_features) or None, default=None
        Which cells are observed, of which `x` consists; None is all.
    """
    mean, log_variance, _, code = _draw_codes(module, rows, n_draws)
    log_likelihood = module.log_likelihood(rows, code, mask).mean(dim=1)
    return torch.stack([log_likelihood, module.divergence(mean, log_variance, code)], dim=1)


def _draw_codes(
    module: VariationalAutoencoder, rows: Tensor, n_draws: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    mean, log_variance = module.posterior(rows)
    noise = draw_normal(n_draws, mean.shape[1]).to(mean)
    # Few draws vary less than a normal variable, which costs a bound most where the posterior is
    # nearly Gaussian. Of one or two, a scale would be all that is left.
    if n_draws >= _FEWEST_SCALED:
        noise = noise / noise.square().mean(dim=0).sqrt()
    code = mean.unsqueeze(1) + noise * torch.exp(0.5 * log_variance).unsqueeze(1)
    return mean, log_variance, noise, code

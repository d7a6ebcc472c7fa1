"""Where to draw codes for rows with missing cells, of which an encoder knows less than it says.

The encoder reads completed rows. Its Gaussian is as narrow as if all cells had been observed, and a
bound from its draws would be far below the density.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..modules import VariationalAutoencoder
from ..modules.jacobian import find_jacobian
from ..modules.priors import GaussianComponents

# Steps towards the mode of the posterior.
_N_STEPS = 3

# Halvings of a step that is no improvement.
_N_HALVINGS = 4

# Widening of the Gaussian at the mode: tails of a proposal must not be lighter than the target's.
_WIDENING = 1.1

# Share of the draws that are the prior's: no posterior is wider.
_PRIOR_SHARE = 0.25


@dataclass(frozen=True)
class Proposal:
    """A Gaussian for each row, and the prior, of which a share of the draws are.

    Attributes
    ----------
    mean : Tensor of shape (n_rows, n_components)
        Of the Gaussians.
    root : Tensor of shape (n_rows, n_components, n_components)
        Triangular factors of their precisions.
    prior : GaussianComponents
        The prior.
    """

    mean: Tensor
    root: Tensor
    prior: GaussianComponents

    def draw(self, normal: Tensor, generator: torch.Generator) -> Tensor:
        """Return codes `(n_rows, n_draws, n_components)`, most of them from normal draws."""
        n_own = self._count_own(len(normal))
        own = normal[:n_own].T.expand(len(self.mean), -1, -1)
        offset = torch.linalg.solve_triangular(self.root.mT, own, upper=True).mT
        codes = self.mean.unsqueeze(1) + offset
        others = self.prior.draw(len(normal) - n_own, generator).to(codes)
        return torch.cat([codes, others.expand(len(codes), -1, -1)], dim=1)

    def log_density(self, code: Tensor, log_prior: Tensor) -> Tensor:
        """Return the log-density of draws, of which those of the prior are known."""
        n_draws, size = code.shape[1], code.shape[2]
        offset = code - self.mean.unsqueeze(1)
        squares = (offset @ self.root).square().sum(dim=2)
        log_volume = self.root.diagonal(dim1=1, dim2=2).log().sum(dim=1, keepdim=True)
        own = log_volume - 0.5 * squares - 0.5 * size * math.log(2 * math.pi)
        share = self._count_own(n_draws) / n_draws
        if share == 1:
            return own
        return torch.logaddexp(own + math.log(share), log_prior + math.log(1 - share))

    @staticmethod
    def _count_own(n_draws: int) -> int:
        return n_draws - int(_PRIOR_SHARE * n_draws)


def find_proposal(module: VariationalAutoencoder, input: Tensor, mask: Tensor) -> Proposal:
    """Return Gaussians at the modes of the posteriors given the observed cells, as wide as these.

    From the encoder's means, a few steps of Newton's method with Fisher's information of the
    cells, and the precisions of the prior's Gaussians.

    Parameters
    ----------
    module : VariationalAutoencoder
        The model.
    input : Tensor of shape (n_rows, n_features)
        Completed rows.
    mask : Tensor of bool of shape (n_rows, n_features)
        Which of their cells are observed.
    """
    prior = module.mixture()
    whiteners = prior.whiteners()
    code = module.posterior(input)[0]
    for _ in range(_N_STEPS):
        value, slope = _find_slope(module, prior, input, mask, code)
        root = torch.linalg.cholesky(_find_precision(module, prior, whiteners, code, mask))
        step = torch.cholesky_solve(slope.unsqueeze(2), root).squeeze(2)
        length = torch.ones_like(value)
        for _ in range(_N_HALVINGS):
            reached = _log_joint(module, prior, input, mask, code + length.unsqueeze(1) * step)
            length = torch.where(reached >= value, length, 0.5 * length)
        reached = _log_joint(module, prior, input, mask, code + length.unsqueeze(1) * step)
        length = torch.where(reached >= value, length, 0.0)
        code = code + length.unsqueeze(1) * step
    root = torch.linalg.cholesky(_find_precision(module, prior, whiteners, code, mask))
    return Proposal(code, root / _WIDENING, prior)


def _log_joint(
    module: VariationalAutoencoder,
    prior: GaussianComponents,
    input: Tensor,
    mask: Tensor,
    code: Tensor,
) -> Tensor:
    return module.log_likelihood(input, code, mask) + prior.log_density(code)


def _find_slope(
    module: VariationalAutoencoder,
    prior: GaussianComponents,
    input: Tensor,
    mask: Tensor,
    code: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the log-density of rows and codes, and its gradient."""
    with torch.enable_grad():
        code = code.detach().requires_grad_()
        value = _log_joint(module, prior, input, mask, code)
        (slope,) = torch.autograd.grad(value.sum(), code)
    return value.detach(), slope


def _find_precision(
    module: VariationalAutoencoder,
    prior: GaussianComponents,
    whiteners: Tensor,
    code: Tensor,
    mask: Tensor,
) -> Tensor:
    """Return the prior's precision at codes, and the information in the observed cells."""
    output = module.decoder(code)
    jacobian = find_jacobian(module.decoder, code, output.shape[1])
    root = module.likelihood.whiten(jacobian, output) * mask.unsqueeze(2)
    own = (whiteners.mT @ whiteners).flatten(1)
    shares = prior.responsibilities(code)
    return root.mT @ root + (shares @ own).unflatten(1, whiteners.shape[1:])

"""Where to draw codes for rows with missing cells, of which an encoder knows less than it says.

The encoder reads completed rows. Its Gaussian is as narrow as if all cells had been observed, and a
bound from its draws would be far below the density.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..modules import VariationalAutoencoder
from ..modules.jacobian import decoder_jacobian
from ..modules.priors import GaussianComponents

# Steps towards the mode of the posterior.
_N_STEPS = 3

# Halvings of a step that is no improvement.
_N_HALVINGS = 4

# Share of the draws that are the prior's: tails of a proposal must not be lighter than the
# target's, and no posterior is wider than the prior.
_PRIOR_SHARE = 0.1


@dataclass(frozen=True)
class Proposal:
    """A mixture of Gaussians for each row, and the prior, of which a share of the draws are.

    Attributes
    ----------
    log_weight : Tensor of shape (n_rows, n_mixed)
        Logarithms of weights of the Gaussians.
    mean : Tensor of shape (n_rows, n_mixed, n_components)
        Their means.
    root : Tensor of shape (n_rows, n_mixed, n_components, n_components)
        Triangular factors of their precisions.
    prior : GaussianComponents
        The prior.
    """

    log_weight: Tensor
    mean: Tensor
    root: Tensor
    prior: GaussianComponents

    def draw(self, normal: Tensor, generator: torch.Generator) -> Tensor:
        """Return codes `(n_rows, n_draws, n_components)`, most of them from normal draws."""
        n_own = self._count_own(len(normal))
        # Each Gaussian has its share of the draws, to within one.
        steps = (torch.arange(n_own, device=self.mean.device) + 0.5) / n_own
        ends = self.log_weight.exp().cumsum(dim=1)
        chosen = torch.searchsorted(ends, steps.to(ends).expand(len(ends), -1).contiguous())
        chosen = chosen.clamp_max(ends.shape[1] - 1)
        index = chosen.unsqueeze(2).expand(-1, -1, self.mean.shape[2])
        codes = self.mean.gather(1, index)
        for m in range(ends.shape[1]):
            root, own = self.root[:, m].mT, normal[:n_own].T
            offset = torch.linalg.solve_triangular(root, own, upper=True)
            codes = codes + torch.where(index == m, offset.mT, 0.0)
        if n_own == len(normal):
            return codes
        others = self.prior.draw(len(normal) - n_own, generator).to(codes)
        return torch.cat([codes, others.expand(len(codes), -1, -1)], dim=1)

    def log_density(self, code: Tensor, log_prior: Tensor) -> Tensor:
        """Return the log-density of draws, of which those of the prior are known."""
        n_draws, size = code.shape[1], code.shape[2]
        each = []
        for m in range(self.mean.shape[1]):
            root = self.root[:, m]
            squares = ((code - self.mean[:, m].unsqueeze(1)) @ root).square().sum(dim=2)
            log_volume = root.diagonal(dim1=1, dim2=2).log().sum(dim=1) + self.log_weight[:, m]
            each.append(log_volume.unsqueeze(1) - 0.5 * squares)
        own = torch.stack(each).logsumexp(dim=0) - 0.5 * size * math.log(2 * math.pi)
        share = self._count_own(n_draws) / n_draws
        if share == 1:
            return own
        return torch.logaddexp(own + math.log(share), log_prior + math.log(1 - share))

    @staticmethod
    def _count_own(n_draws: int) -> int:
        return n_draws - int(_PRIOR_SHARE * n_draws)


def find_proposal(module: VariationalAutoencoder, input: Tensor, mask: Tensor) -> Proposal:
    """Return the posteriors of codes given observed cells, if the decoder were linear near them.

    A few steps of Newton's method, with Fisher's information of the cells, lead from the encoder's
    means to the modes. There the cells have a Gaussian likelihood to second order; its product
    with the prior is a mixture of Gaussians.

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
    precisions = whiteners.mT @ whiteners
    code = module.posterior(input)[0]
    for _ in range(_N_STEPS):
        value, slope = _find_slope(module, prior, input, mask, code)
        own = prior.responsibilities(code) @ precisions.flatten(1)
        information = _find_information(module, code, mask)
        root = torch.linalg.cholesky(information + own.unflatten(1, precisions.shape[1:]))
        step = torch.cholesky_solve(slope.unsqueeze(2), root).squeeze(2)
        length = torch.ones_like(value)
        for _ in range(_N_HALVINGS):
            reached = _log_joint(module, prior, input, mask, code + length.unsqueeze(1) * step)
            length = torch.where(reached >= value, length, 0.5 * length)
        reached = _log_joint(module, prior, input, mask, code + length.unsqueeze(1) * step)
        length = torch.where(reached >= value, length, 0.0)
        code = code + length.unsqueeze(1) * step
    _, slope = _find_slope(module, None, input, mask, code)
    information = _find_information(module, code, mask)
    # The likelihood is a Gaussian of precision `information`, and of which this is the pull.
    pull = (information @ code.unsqueeze(2)).squeeze(2) + slope
    root = torch.linalg.cholesky(information.unsqueeze(1) + precisions)
    prior_pull = (precisions @ prior.mean.unsqueeze(2)).squeeze(2)
    pulls = pull.unsqueeze(1) + prior_pull
    mean = torch.cholesky_solve(pulls.unsqueeze(3), root).squeeze(3)
    log_weight = (
        prior.log_weight
        + whiteners.diagonal(dim1=1, dim2=2).log().sum(dim=1)
        - root.diagonal(dim1=2, dim2=3).log().sum(dim=2)
        + 0.5 * ((mean * pulls).sum(dim=2) - (prior.mean * prior_pull).sum(dim=1))
    )
    return Proposal(log_weight.log_softmax(dim=1), mean, root, prior)


def _log_joint(
    module: VariationalAutoencoder,
    prior: GaussianComponents | None,
    input: Tensor,
    mask: Tensor,
    code: Tensor,
) -> Tensor:
    """Return the log-density of rows and codes; of rows given codes without a prior."""
    log_likelihood = module.log_likelihood(input, code, mask)
    return log_likelihood if prior is None else log_likelihood + prior.log_density(code)


def _find_slope(
    module: VariationalAutoencoder,
    prior: GaussianComponents | None,
    input: Tensor,
    mask: Tensor,
    code: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return what `_log_joint` does, and its gradient at the codes."""
    with torch.enable_grad():
        code = code.detach().requires_grad_()
        value = _log_joint(module, prior, input, mask, code)
        (slope,) = torch.autograd.grad(value.sum(), code)
    return value.detach(), slope


def _find_information(module: VariationalAutoencoder, code: Tensor, mask: Tensor) -> Tensor:
    """Return Fisher's information of the observed cells of codes."""
    output = module.decoder(code)
    jacobian = decoder_jacobian(module.decoder, code, output.shape[1])
    root = module.likelihood.whiten(jacobian, output) * mask.unsqueeze(2)
    return root.mT @ root

"""A variational autoencoder's training step without autograd."""

from collections.abc import Callable
from functools import partial
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from .._data import Batch
from .._training import Objective, TrainingStep
from .._training.fast_gradients import Pass, has_shared_weights, make_pass
from ..modules import Bypass, VariationalAutoencoder
from ..modules.gaussians import (
    bound_log_variance,
    bound_slope,
    gaussian_entropy,
    standard_divergence,
)
from ..modules.layers import has_hooks
from ..modules.likelihoods import GaussianLikelihood
from ..modules.priors import MixturePrior, StandardPrior
from ..modules.variational import LinearPosterior
from .objective import VariationalObjective


class LogDensity(Protocol):
    """A log-density of each row as a function of a tensor, and its gradients."""

    def forward(self, argument: Tensor) -> Tensor:
        """Return the log-density of each row, and save what `backward` needs."""

    def backward(self, factor: Tensor) -> Tensor:
        """Return the gradient of `factor @ log_density`, and add to that of the weights."""


class ByAutograd:
    """A log-density whose gradients are autograd's.

    Parameters
    ----------
    function : callable
        Returns the log-density of each row.
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function

    def forward(self, argument: Tensor) -> Tensor:
        """Return the log-density of each row."""
        with torch.enable_grad():
            self.argument = argument.detach().requires_grad_()
            self.value = self.function(self.argument)
        return self.value.detach().clone()  # the sum of losses is changed in place

    def backward(self, factor: Tensor) -> Tensor:
        """Propagate the factors backwards."""
        self.value.backward(factor)
        return cast(Tensor, self.argument.grad)


class GaussianCells:
    """The log-density of rows given a decoder's output.

    Parameters
    ----------
    likelihood : GaussianLikelihood
        The likelihood.
    input : Tensor of shape (n_rows, n_features)
        The rows.
    mask : Tensor of bool of shape (n_rows, n_features) or None
        Which cells are observed; None is all.
    """

    def __init__(self, likelihood: GaussianLikelihood, input: Tensor, mask: Tensor | None) -> None:
        self.likelihood = likelihood
        self.input = input
        self.mask = None if mask is None else mask.to(input.dtype)

    def forward(self, output: Tensor) -> Tensor:
        """Return `log N(input; output, variance)`, of the observed cells."""
        n_features = output.shape[1]
        self.difference = self.input - output
        if self.mask is not None:
            self.difference.mul_(self.mask)
        self.squares = self.difference * self.difference
        variance = self.likelihood.variance
        self.precision = variance.reciprocal().expand(n_features)
        log_volume = self.likelihood.log_volume(variance, n_features, self.mask)
        return torch.add(log_volume, self.squares @ self.precision).mul_(-0.5)

    def backward(self, factor: Tensor) -> Tensor:
        """Propagate the factors to the output and to the noise."""
        excess = self.likelihood.log_excess
        if excess.requires_grad:
            precision = self.precision
            total = factor.sum() if self.mask is None else factor @ self.mask
            slope = (factor @ self.squares).mul_(precision).sub_(total).mul_(precision)
            slope = slope if len(excess) > 1 else slope.sum(0, keepdim=True)
            _add_gradient(excess, slope.mul_(excess.exp()).mul_(0.5))
        return self.difference.mul_(torch.outer(factor, self.precision))


class MixtureCodes:
    """The log-density of codes under a mixture of Gaussians with full covariances.

    Parameters
    ----------
    prior : MixturePrior
        The mixture.
    """

    def __init__(self, prior: MixturePrior) -> None:
        self.prior = prior

    def forward(self, code: Tensor) -> Tensor:
        """Return the mixture's log-density at codes."""
        self.code = code
        self.mixture = self.prior.mixture
        self.whitener = self.mixture.whiteners()
        self.white = self.mixture.whiten(code, self.whitener)
        joint = self.mixture.weigh(self.white)
        log_density = joint.logsumexp(dim=1)
        self.responsibility = joint.sub_(log_density[:, None]).exp_()
        return log_density

    def backward(self, factor: Tensor) -> Tensor:
        """Propagate the factors to the codes and to the mixture."""
        mean, whitener = self.mixture.mean, self.whitener
        share = self.responsibility.mul_(factor[:, None])
        slope = self.white.mul_(share[:, :, None]).neg_().flatten(1)
        moved = slope.sum(0).view_as(mean)
        turned = torch.mm(slope.t(), self.code).view_as(whitener)
        turned.addcmul_(moved[:, :, None], mean[:, None, :], value=-1)
        total = share.sum(0)
        self._add_gradients(total, moved, turned)
        return torch.mm(slope, whitener.flatten(0, 1))

    def _add_gradients(self, total: Tensor, moved: Tensor, turned: Tensor) -> None:
        """Propagate gradients of the constants, the origins and the whitening matrices."""
        prior, mixture, whitener = self.prior, self.mixture, self.whitener
        weight = mixture.log_weight.exp()
        _add_gradient(prior.logit, torch.addcmul(total, weight, total.sum(), value=-1))
        mean = torch.matmul(moved[:, None, :], whitener).squeeze(1).neg_()
        _add_gradient(prior.mean, mean)
        log_variance = (turned * whitener).sum(2).add_(total[:, None]).mul_(-0.5)
        log_variance.mul_(bound_slope(mixture.log_variance))
        _add_gradient(prior.raw_log_variance, log_variance)
        scale = whitener.diagonal(dim1=1, dim2=2)
        regression = turned.mul_(scale[:, :, None]).neg_().tril_(-1)
        _add_gradient(cast(nn.Parameter, prior.raw_regression), regression)


class GaussianEncoder(Pass):
    """A Gaussian encoder with a linear path.

    Parameters
    ----------
    linear : LinearPosterior
        The linear path.
    mean : Pass
        Its means.
    nonlinear : Pass or None
        The nonlinear path behind its gate; None is none.
    """

    def __init__(self, linear: LinearPosterior, mean: Pass, nonlinear: Pass | None) -> None:
        self.raw_log_variance = linear.raw_log_variance
        self.mean = mean
        self.nonlinear = nonlinear

    def forward(self, input: Tensor) -> Tensor:
        """Return means and unbounded log-variances, side by side."""
        mean = self.mean.forward(input)
        linear = torch.cat([mean, self.raw_log_variance.expand_as(mean)], dim=1)
        return linear if self.nonlinear is None else self.nonlinear.forward(input).add_(linear)

    def backward(self, gradient: Tensor, wants_input: bool) -> Tensor | None:
        """Propagate the gradient backwards."""
        mean, raw = gradient.chunk(2, dim=1)
        _add_gradient(self.raw_log_variance, raw.sum(0))
        upstream = self.mean.backward(mean, wants_input)
        if self.nonlinear is None:
            return upstream
        other = self.nonlinear.backward(gradient, wants_input)
        return None if upstream is None or other is None else upstream.add_(other)


def make_fast_step(
    module: VariationalAutoencoder, objective: Objective[VariationalAutoencoder]
) -> TrainingStep | None:
    """Return a training step, None if the networks, the prior or the objective need autograd."""
    # By exact class: what a subclass computes is not known, and that of a game adds to the loss.
    if type(objective) is not VariationalObjective or type(module) is not VariationalAutoencoder:
        return None
    if type(module.prior) not in (StandardPrior, MixturePrior):
        return None  # the gradients of pseudo-rows go through the encoder
    parts = [module, module.encoder, module.prior, module.likelihood]
    if type(module.encoder) is Bypass:
        parts.append(module.encoder.linear)
    if has_hooks(*parts) or has_shared_weights(module):
        return None
    encoder, decoder = _make_encoder_pass(module.encoder), make_pass(module.decoder)
    if encoder is None or decoder is None:
        return None
    return partial(_step, module, encoder, decoder, objective)


def _make_encoder_pass(encoder: nn.Module) -> Pass | None:
    if type(encoder) is not Bypass or type(encoder.linear) is not LinearPosterior:
        return make_pass(encoder)
    mean, nonlinear = make_pass(encoder.linear.mean), None
    if encoder.nonlinear is not None and encoder.gate is not None:
        gated = Bypass(nn.Identity(), encoder.nonlinear, len(encoder.gate))
        gated.gate = encoder.gate
        nonlinear = make_pass(gated)
        if nonlinear is None:
            return None
    return None if mean is None else GaussianEncoder(encoder.linear, mean, nonlinear)


@torch.no_grad()
def _step(
    module: VariationalAutoencoder,
    encoder: Pass,
    decoder: Pass,
    objective: VariationalObjective,
    batch: Batch,
) -> Tensor:
    generator, beta = objective.generator, objective.current_beta(True)
    input = objective.draw_rows(module, batch.input, generator)
    mean, raw = encoder.forward(input).chunk(2, dim=1)
    log_variance = bound_log_variance(raw)
    noise = torch.empty(mean.shape, dtype=mean.dtype, device=mean.device)
    move = noise.normal_(generator=generator).mul_(torch.exp(0.5 * log_variance))
    code = mean + move

    cells = _make_cells(module, input, batch.mask)
    losses = cells.forward(decoder.forward(code)).neg_()
    codes: LogDensity | None = None
    if beta > 0 and isinstance(module.prior, StandardPrior):
        losses.add_(standard_divergence(mean, log_variance), alpha=beta)
    elif beta > 0:
        codes = _make_codes(module)
        log_ratio = codes.forward(code).add_(gaussian_entropy(log_variance))
        losses.sub_(log_ratio, alpha=beta)
    n_columns = objective.count_columns(input)
    losses.div_(n_columns)
    shares = objective.weight_shares(losses, batch.weight)

    factor = shares / n_columns
    by_code = cast(Tensor, decoder.backward(cells.backward(-factor), True))
    factor = factor.mul_(beta)[:, None]
    if codes is not None:
        by_code.add_(codes.backward(-factor[:, 0]))
    by_log_variance = move.mul_(by_code)
    if codes is not None:
        by_log_variance.sub_(factor)
    elif beta > 0:
        by_log_variance.addcmul_(factor, torch.expm1(log_variance))
        by_code.addcmul_(factor, mean)
    by_raw = by_log_variance.mul_(bound_slope(log_variance).mul_(0.5))
    encoder.backward(torch.cat([by_code, by_raw], dim=1), False)
    return shares @ losses


def _make_cells(module: VariationalAutoencoder, input: Tensor, mask: Tensor | None) -> LogDensity:
    if type(module.likelihood) is GaussianLikelihood:
        return GaussianCells(module.likelihood, input, mask)
    return ByAutograd(lambda output: module.likelihood.log_density(output, input, mask))


def _make_codes(module: VariationalAutoencoder) -> LogDensity:
    if isinstance(module.prior, MixturePrior) and module.prior.is_full:
        return MixtureCodes(module.prior)
    return ByAutograd(lambda code: module.mixture().log_density(code))


def _add_gradient(parameter: nn.Parameter, gradient: Tensor) -> None:
    """Add to the gradient of a parameter, or of its first rows."""
    if not parameter.requires_grad:
        return
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    parameter.grad[: len(gradient)].add_(gradient)

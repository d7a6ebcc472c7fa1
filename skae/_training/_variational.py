"""What a variational autoencoder's training minimises."""

from typing import cast

import torch
from torch import Tensor

from .._scaling import Scaling
from ..modules import EncoderDecoder, VariationalAutoencoder
from ..modules._likelihoods import BernoulliLikelihood
from ._objective import WORTH_NATS, Objective

# What held-out rows' codes are drawn with, at each epoch anew, so that epochs are compared
# under the same noise.
_HELD_OUT_SEED = 20140416

# A mass starts near no solution that would be worth keeping, so any sure gain counts.
_WORTH_OF_MASS = 0.0


class VariationalObjective(Objective):
    """`(beta KL(q(z | x) || p(z)) - log p(x | z)) / n_features`, one draw of `z` a row.

    Parameters
    ----------
    beta : float
        Factor of the divergence.
    kl_warmup : float
        Share of the training over which the factor rises from 0; held-out rows are always
        judged by the whole of it.
    is_density : bool
        Whether rows have a density, so that losses can be negative, or a mass.
    scaling : Scaling
        How rows are scaled; kept for the start of training.
    generator : torch.Generator
        Where codes are drawn in training, on the device that trains.
    binarize : bool, default=False
        Draw 0/1 cells from rows of probabilities, at each step anew.
    trim_fraction : float, default=0.0
        Share of rows, those of largest loss, that is ignored.
    """

    def __init__(
        self,
        beta: float,
        kl_warmup: float,
        is_density: bool,
        scaling: Scaling,
        generator: torch.Generator | None,
        binarize: bool = False,
        trim_fraction: float = 0.0,
    ) -> None:
        super().__init__(trim_fraction, generator)
        self.beta = beta
        self.kl_warmup = kl_warmup
        self.worth = WORTH_NATS if is_density else _WORTH_OF_MASS
        self.scaling = scaling
        self.binarize = binarize
        self.done = 1.0  # of streams nobody knows the end: they have no warm-up

    def advance(self, done: float) -> None:
        """Let the divergence's factor rise."""
        self.done = done

    def row_losses(self, module: EncoderDecoder, input: Tensor, weight: Tensor | None) -> Tensor:
        """Return the negative bound of each row, in nats a column."""
        module = cast(VariationalAutoencoder, module)
        generator = self.generator
        if not module.training:
            generator = torch.Generator(input.device).manual_seed(_HELD_OUT_SEED)
        if self.binarize:
            input = cast(BernoulliLikelihood, module.likelihood).binarized(input, generator)
        mean, log_variance = module.posterior(input)
        code = mean + self._noise_like(mean, generator) * torch.exp(0.5 * log_variance)
        losses = -module.log_likelihood(input, code)
        beta = self._beta_now(module.training)
        if beta > 0:
            losses = losses + beta * module.divergence(mean, log_variance, code)
        return losses / input.shape[1]

    def _beta_now(self, is_training: bool) -> float:
        if not is_training or self.done >= self.kl_warmup:
            return self.beta
        return self.beta * self.done / self.kl_warmup

    @staticmethod
    def _noise_like(mean: Tensor, generator: torch.Generator | None) -> Tensor:
        return torch.empty_like(mean).normal_(generator=generator)

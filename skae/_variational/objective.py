"""What a variational autoencoder's training minimizes."""

from typing import cast

import torch
from torch import Tensor

from .._data import Batch
from .._training import MINIMUM_IMPROVEMENT_NATS, Objective
from ..modules import VariationalAutoencoder
from ..modules.cells import CellLayout
from ..modules.likelihoods import BernoulliLikelihood
from ..modules.mixed_likelihood import MixedLikelihood

# Seed of the held-out rows' codes: epochs are compared under the same noise.
_HELD_OUT_SEED = 20140416

# A mass is initialized near no solution that is worth keeping, so any sure gain counts.
_MINIMUM_IMPROVEMENT_OF_MASS = 0.0


class VariationalObjective(Objective[VariationalAutoencoder]):
    """`(beta KL(q(z | x) || p(z)) - log p(x | z)) / n_columns`, with one draw of `z` a row.

    Of rows with missing cells, `x` are the observed ones.

    Parameters
    ----------
    beta : float
        Factor of the divergence.
    kl_warmup : float
        Share of the training over which the factor rises from 0; it is always whole for
        held-out rows.
    is_density : bool
        Whether rows have a density, whose losses can be negative, or a mass.
    generator : torch.Generator
        Source of codes in training, on the device that trains.
    binarize : bool, default=False
        Draw 0/1 cells from rows of probabilities, at each step anew.
    trim_fraction : float, default=0.0
        Share of rows, those of largest loss, that is ignored.
    layout : CellLayout or None, default=None
        What the columns hold; None is numbers.
    """

    def __init__(
        self,
        beta: float,
        kl_warmup: float,
        is_density: bool,
        generator: torch.Generator | None,
        binarize: bool = False,
        trim_fraction: float = 0.0,
        layout: CellLayout | None = None,
    ) -> None:
        super().__init__(trim_fraction, generator)
        self.layout = layout
        self.beta = beta
        self.kl_warmup = kl_warmup
        self.minimum_improvement = _MINIMUM_IMPROVEMENT_OF_MASS
        if is_density:  # of the share of the columns that have one
            share = 1.0 if layout is None else len(layout.numbers) / layout.n_columns
            self.minimum_improvement = share * MINIMUM_IMPROVEMENT_NATS
        self.binarize = binarize
        self.done = 1.0  # streams have no known end, and so no warm-up

    def advance(self, done: float) -> None:
        """Raise the divergence's factor."""
        self.done = done

    def row_losses(self, module: VariationalAutoencoder, batch: Batch) -> Tensor:
        """Return the negative bound of each row, in nats a column of the table."""
        generator = self.generator
        if not module.training:
            generator = torch.Generator(batch.input.device).manual_seed(_HELD_OUT_SEED)
        input = self.draw_rows(module, batch.input, generator)
        mean, log_variance = module.posterior(input)
        noise = torch.empty_like(mean).normal_(generator=generator)
        code = mean + noise * torch.exp(0.5 * log_variance)
        losses = -module.log_likelihood(input, code, batch.mask)
        beta = self.current_beta(module.training)
        if beta > 0:
            losses = losses + beta * module.divergence(mean, log_variance, code)
        return losses / self.count_columns(input)

    def draw_rows(
        self, module: VariationalAutoencoder, input: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        """Return the rows, with 0/1 cells drawn anew if they are binarized."""
        if not self.binarize:
            return input
        likelihood = cast(BernoulliLikelihood | MixedLikelihood, module.likelihood)
        return likelihood.binarize(input, generator)

    def count_columns(self, input: Tensor) -> int:
        """Return the number of columns that losses are divided by."""
        return input.shape[1] if self.layout is None else self.layout.n_columns

    def current_beta(self, is_training: bool) -> float:
        """Return the factor of the divergence at this time of the training."""
        if not is_training or self.done >= self.kl_warmup:
            return self.beta
        return self.beta * self.done / self.kl_warmup

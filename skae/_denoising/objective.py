"""What a denoiser's training minimizes."""

import torch
from torch import Tensor

from .._autoencoder.penalties import CodePenalty
from .._data import Batch
from .._training import Objective
from .._training.losses import squared_error
from ..modules import Denoiser
from .noise import Corruption

# Held-out rows get the same noise at every epoch, in several draws, so that epochs can be
# compared row by row.
_HELD_OUT_SEED = 20180717
_HELD_OUT_DRAWS = 4


class DenoisingObjective(Objective[Denoiser]):
    """Squared error of clean rows estimated from noisy ones, with fresh noise at every call.

    Over a range of levels of Gaussian noise, the module weights errors by their level, and
    noise is drawn in pairs of opposite sign: at low levels the noise itself makes up most of a
    gradient, and in a pair it cancels.

    Parameters
    ----------
    corruption : Corruption
        The noise.
    generator : torch.Generator
        Source of the noise, on the rows' device.
    penalty : CodePenalty
        The penalty on the code.
    trim_fraction : float
        Share of rows, those of largest loss, that is ignored.
    is_gaussian_range : bool
        Whether the noise is Gaussian, of many levels.
    minimum_improvement : float or None
        See `Objective`.
    """

    def __init__(
        self,
        corruption: Corruption,
        generator: torch.Generator,
        penalty: CodePenalty,
        trim_fraction: float,
        is_gaussian_range: bool,
        minimum_improvement: float | None,
    ) -> None:
        super().__init__(trim_fraction, generator)
        self.corruption = corruption
        self.penalty = penalty
        self.is_gaussian_range = is_gaussian_range
        self.minimum_improvement = minimum_improvement

    def row_losses(self, module: Denoiser, batch: Batch) -> Tensor:
        """Return each row's loss, over one draw of noise in training and several outside."""
        if module.training:
            return self._losses(module, batch, self.generator)[0]
        again = torch.Generator(batch.input.device).manual_seed(_HELD_OUT_SEED)
        losses = [self._losses(module, batch, again)[0] for _ in range(_HELD_OUT_DRAWS)]
        return torch.stack(losses).mean(dim=0)

    def loss(self, module: Denoiser, batch: Batch) -> Tensor:
        """Return the loss of a batch, over one draw of noise."""
        losses, relative = self._losses(module, batch, self.generator)
        return self.reduce(losses, batch.weight, relative)

    def _losses(
        self, module: Denoiser, batch: Batch, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return rows' losses, and the errors to trim by if not these."""
        clean, weight = batch.input, batch.weight
        if not self.is_gaussian_range:
            noisy, level = self.corruption.draw(clean, generator)
            errors, penalty = _errors(module, noisy, level, clean, self.penalty, weight)
            return (errors + penalty) / clean.shape[1], None
        noisy, level, twice = self.draw_pairs(clean, generator)
        weights = None if weight is None else weight.repeat(2)
        errors, penalty = _errors(module, noisy, level.repeat(2, 1), twice, self.penalty, weights)
        relative = None
        if self.trim_fraction > 0:
            relative = relative_errors(errors.detach(), module.filter.expected_error(level))
        errors = errors * module.loss_weight(level).squeeze(1).repeat(2)
        return (errors + penalty).reshape(2, -1).mean(dim=0) / clean.shape[1], relative

    def draw_pairs(
        self, clean: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return rows with noise and with its opposite, the levels, and the rows twice."""
        noisy, level = self.corruption.draw(clean, generator)
        return torch.cat([noisy, 2 * clean - noisy]), level, clean.repeat(2, 1)


class PairObjective(Objective[Denoiser]):
    """Squared error of clean rows estimated from given noisy ones.

    Parameters
    ----------
    penalty : CodePenalty
        The penalty on the code.
    trim_fraction : float
        Share of rows, those of largest loss, that is ignored.
    """

    def __init__(self, penalty: CodePenalty, trim_fraction: float) -> None:
        super().__init__(trim_fraction)
        self.penalty = penalty

    def row_losses(self, module: Denoiser, batch: Batch) -> Tensor:
        """Return the loss of each pair; the target is the clean row."""
        clean = batch.input if batch.target is None else batch.target
        errors, penalty = _errors(module, batch.input, None, clean, self.penalty, batch.weight)
        return (errors + penalty) / clean.shape[1]


def relative_errors(errors: Tensor, expected: Tensor) -> Tensor:
    """Return the errors of pairs relative to those expected at their level (n_rows, 1)."""
    return errors.reshape(2, -1).mean(dim=0) / expected.squeeze(1)


def _errors(
    module: Denoiser,
    noisy: Tensor,
    level: Tensor | None,
    clean: Tensor,
    penalty: CodePenalty,
    weight: Tensor | None,
) -> tuple[Tensor, Tensor | float]:
    """Return the squared errors and penalties of rows that pass through the code."""
    code, cost = penalty.encode(lambda rows: module.encode(rows, level), noisy, weight)
    return squared_error(module.decode(code), clean), cost

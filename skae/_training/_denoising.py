"""What training minimises where rows have noise on them."""

from typing import cast

import torch
from torch import Tensor

from .._corruption import Corruption
from .._losses import squared_error
from ..modules import Denoiser, EncoderDecoder
from ._objective import CodePenalty, Objective

# Held-out rows are given the same noise at every epoch, several times over, so that
# epochs can be compared row by row.
_HELD_OUT_SEED = 20180717
_HELD_OUT_DRAWS = 4


class DenoisingObjective(Objective):
    """Squared error of clean rows guessed from noisy ones, with fresh noise at every call.

    Over a range of levels of Gaussian noise, the module weighs errors by their level, and
    noise is drawn in pairs of opposite sign: at low levels the noise itself, and not what
    it hides, is most of a gradient; in a pair it cancels.

    Parameters
    ----------
    corruption : Corruption
        The noise.
    generator : torch.Generator
        Where it is drawn, on the rows' device.
    penalty : CodePenalty
        The penalty on the code.
    trim_fraction : float
        Share of rows, those of largest loss, that is ignored.
    is_gaussian_range : bool
        Whether the noise is Gaussian, of many levels.
    worth : float or None
        See `Objective`.
    """

    def __init__(
        self,
        corruption: Corruption,
        generator: torch.Generator,
        penalty: CodePenalty,
        trim_fraction: float,
        is_gaussian_range: bool,
        worth: float | None,
    ) -> None:
        super().__init__(trim_fraction, generator)
        self.corruption = corruption
        self.penalty = penalty
        self.is_gaussian_range = is_gaussian_range
        self.worth = worth

    def row_losses(self, module: EncoderDecoder, input: Tensor, weight: Tensor | None) -> Tensor:
        """Return each row's loss, over one draw of noise in training and several outside."""
        if module.training:
            return self._losses(cast(Denoiser, module), input, weight, self.generator)[0]
        again = torch.Generator(input.device).manual_seed(_HELD_OUT_SEED)
        losses = [
            self._losses(cast(Denoiser, module), input, weight, again)[0]
            for _ in range(_HELD_OUT_DRAWS)
        ]
        return torch.stack(losses).mean(dim=0)

    def loss(self, module: EncoderDecoder, input: Tensor, weight: Tensor | None) -> Tensor:
        """Return the loss of a batch, over one draw of noise."""
        losses, strangeness = self._losses(cast(Denoiser, module), input, weight, self.generator)
        return self.reduce(losses, weight, strangeness)

    def _losses(
        self,
        module: Denoiser,
        clean: Tensor,
        weight: Tensor | None,
        generator: torch.Generator | None,
    ) -> tuple[Tensor, Tensor | None]:
        """Return rows' losses, and by what they are to be trimmed if not by these."""
        noisy, level = self.corruption.draw(clean, generator)
        if not self.is_gaussian_range:
            errors, penalty = _errors(module, noisy, level, clean, self.penalty, weight)
            return (errors + penalty) / clean.shape[1], None
        both = torch.cat([noisy, 2 * clean - noisy])
        twice = None if weight is None else weight.repeat(2)
        errors, penalty = _errors(
            module, both, level.repeat(2, 1), clean.repeat(2, 1), self.penalty, twice
        )
        strangeness = None
        if self.trim_fraction > 0:
            both_errors = errors.detach().reshape(2, -1).mean(dim=0)
            strangeness = both_errors / module.filter.expected_error(level).squeeze(1)
        errors = errors * module.loss_weight(level).squeeze(1).repeat(2)
        return (errors + penalty).reshape(2, -1).mean(dim=0) / clean.shape[1], strangeness


class PairObjective(Objective):
    """Squared error of clean rows guessed from the noisy ones that stand beside them.

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

    def row_losses(self, module: EncoderDecoder, input: Tensor, weight: Tensor | None) -> Tensor:
        """Return the loss of each pair, noisy columns first."""
        noisy, clean = input.chunk(2, dim=1)
        errors, penalty = _errors(cast(Denoiser, module), noisy, None, clean, self.penalty, weight)
        return (errors + penalty) / clean.shape[1]


def _errors(
    module: Denoiser,
    noisy: Tensor,
    level: Tensor | None,
    clean: Tensor,
    penalty: CodePenalty,
    weight: Tensor | None,
) -> tuple[Tensor, Tensor | float]:
    """Return squared errors and penalties of rows that pass through the code."""
    code, cost = penalty.coded(lambda rows: module.encode(rows, level), noisy, weight)
    return squared_error(module.decode(code), clean), cost

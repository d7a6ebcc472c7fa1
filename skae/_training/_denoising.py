"""What training minimises where rows have noise on them."""

from functools import partial
from typing import cast

import torch
from torch import Tensor

from .._corruption import Corruption
from .._losses import squared_error
from ..modules import Bypass, Denoiser, EncoderDecoder, RowDenoiser
from ..modules._explicit import Pass, explicit_path
from ._objective import CodePenalty, Descent, Objective

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
        if not self.is_gaussian_range:
            noisy, level = self.corruption.draw(clean, generator)
            errors, penalty = _errors(module, noisy, level, clean, self.penalty, weight)
            return (errors + penalty) / clean.shape[1], None
        noisy, level, twice = self._pairs(clean, generator)
        weights = None if weight is None else weight.repeat(2)
        errors, penalty = _errors(module, noisy, level.repeat(2, 1), twice, self.penalty, weights)
        strangeness = None
        if self.trim_fraction > 0:
            strangeness = _relative(errors.detach(), module.filter.expected_error(level))
        errors = errors * module.loss_weight(level).squeeze(1).repeat(2)
        return (errors + penalty).reshape(2, -1).mean(dim=0) / clean.shape[1], strangeness

    def _pairs(
        self, clean: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return rows with noise and with its opposite, the levels, and the rows twice."""
        noisy, level = self.corruption.draw(clean, generator)
        return torch.cat([noisy, 2 * clean - noisy]), level, clean.repeat(2, 1)

    def descent(self, module: EncoderDecoder) -> Descent:
        """Return the function that a step of training calls, without autograd if it can."""
        path = None
        if isinstance(module, RowDenoiser) and self.is_gaussian_range:
            path = explicit_path(module.path) if isinstance(module.path, Bypass) else None
        if path is None:
            return super().descent(module)
        return partial(self._descend_by, cast(RowDenoiser, module), path)

    @torch.no_grad()
    def _descend_by(
        self, module: RowDenoiser, path: Pass, clean: Tensor, weight: Tensor | None
    ) -> Tensor:
        noisy, level, twice = self._pairs(clean, self.generator)
        straight, unit, seen = module.parts(noisy, level.repeat(2, 1))
        difference = torch.addcmul(straight.sub_(twice), unit, path.forward(seen))
        errors = difference.square().sum(dim=1)
        factor = module.loss_weight(level).squeeze(1) / clean.shape[1]
        losses = errors.reshape(2, -1).mean(dim=0) * factor
        shares = self.shares(losses, weight, _relative(errors, unit[: len(clean)].square()))
        slope = (shares * factor).repeat(2)[:, None] * unit
        path.backward(difference.mul_(slope), False)
        return shares @ losses


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


def _relative(errors: Tensor, expected: Tensor) -> Tensor:
    """Return the errors of pairs relative to what is expected at their level (n_rows, 1)."""
    return errors.reshape(2, -1).mean(dim=0) / expected.squeeze(1)


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

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

    All cells of the completed rows get noise, and observed ones count.

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
    n_columns : int or None, default=None
        Number of columns that a loss is the mean over, where it is not that of encoded ones.
    """

    def __init__(
        self,
        corruption: Corruption,
        generator: torch.Generator,
        penalty: CodePenalty,
        trim_fraction: float,
        is_gaussian_range: bool,
        minimum_improvement: float | None,
        n_columns: int | None = None,
    ) -> None:
        super().__init__(trim_fraction, generator)
        self.n_columns = n_columns
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
        clean, mask, weight = batch.input, batch.mask, batch.weight
        n_columns = self.count_columns(clean)
        if not self.is_gaussian_range:
            noisy, level = self.corruption.draw(clean, generator)
            errors, penalty = _errors(module, noisy, level, clean, mask, self.penalty, weight)
            return (errors + penalty) / n_columns, None
        noisy, level, twice = self.draw_pairs(clean, generator)
        weights = None if weight is None else weight.repeat(2)
        masks = None if mask is None else mask.repeat(2, 1)
        errors, penalty = _errors(
            module, noisy, level.repeat(2, 1), twice, masks, self.penalty, weights
        )
        relative = None
        if self.trim_fraction > 0:
            expected = module.filter.expected_error(level)
            relative = relative_errors(errors.detach(), expected, mask)
        errors = errors * module.loss_weight(level).squeeze(1).repeat(2)
        return (errors + penalty).reshape(2, -1).mean(dim=0) / n_columns, relative

    def count_columns(self, rows: Tensor) -> int:
        """Return the number of columns that a loss is the mean over."""
        return rows.shape[1] if self.n_columns is None else self.n_columns

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
    n_columns : int or None, default=None
        As for `DenoisingObjective`.
    """

    def __init__(
        self, penalty: CodePenalty, trim_fraction: float, n_columns: int | None = None
    ) -> None:
        super().__init__(trim_fraction)
        self.penalty = penalty
        self.n_columns = n_columns

    def row_losses(self, module: Denoiser, batch: Batch) -> Tensor:
        """Return the loss of each pair; the target is the clean row."""
        clean = batch.input if batch.target is None else batch.target
        errors, penalty = _errors(
            module, batch.input, None, clean, batch.mask, self.penalty, batch.weight
        )
        n_columns = clean.shape[1] if self.n_columns is None else self.n_columns
        return (errors + penalty) / n_columns


def relative_errors(errors: Tensor, expected: Tensor, mask: Tensor | None) -> Tensor:
    """Return the errors of pairs relative to those expected at their level (n_rows, 1).

    Of observed cells as many are expected as their share of the row.
    """
    means = errors.reshape(2, -1).mean(dim=0)
    if mask is not None:
        means = means / mask.to(means.dtype).mean(dim=1).clamp_min(1 / mask.shape[1])
    return means / expected.squeeze(1)


def _errors(
    module: Denoiser,
    noisy: Tensor,
    level: Tensor | None,
    clean: Tensor,
    mask: Tensor | None,
    penalty: CodePenalty,
    weight: Tensor | None,
) -> tuple[Tensor, Tensor | float]:
    """Return the squared errors and penalties of rows that pass through the code."""
    code, cost = penalty.encode(lambda rows: module.encode(rows, level), noisy, weight)
    return squared_error(module.decode(code), clean, mask), cost

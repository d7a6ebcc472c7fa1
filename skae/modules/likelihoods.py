"""Distributions of a row's cells given a variational decoder's output."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

_LOG_2PI = math.log(2 * math.pi)


class Bounds(NamedTuple):
    """Between which values drawn numbers lie.

    Attributes
    ----------
    low, high : Tensor of shape (n_encoded,)
        For each column, infinite where there is no bound; those of other columns are not read.
    """

    low: Tensor
    high: Tensor

    def clip(self, rows: Tensor) -> Tensor:
        """Return rows whose numbers beyond the bounds are moved to them."""
        return rows.clamp(self.low.to(rows), self.high.to(rows))

    def select(self, columns: Tensor) -> "Bounds":
        """Return the bounds of some columns."""
        return Bounds(self.low[columns], self.high[columns])


class Likelihood(nn.Module, ABC):
    """Abstract: the distribution of a scaled row given a decoder's output."""

    def __init__(self) -> None:
        super().__init__()

    @abstractmethod
    def mean(self, output: Tensor) -> Tensor:
        """Return the expected rows."""

    @abstractmethod
    def log_density(self, output: Tensor, input: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the log-density of rows, or the log-mass if they are discrete.

        Parameters
        ----------
        output : Tensor of shape (..., n_encoded)
            The decoder's.
        input : Tensor of shape (..., n_encoded)
            The rows.
        mask : Tensor of bool of shape (..., n_encoded) or None, default=None
            Which cells are observed; None is all. Others have no influence.
        """

    @abstractmethod
    def log_cells(self, output: Tensor, input: Tensor) -> Tensor:
        """Return the log-density or log-mass of each cell, one for each column of the table."""

    @abstractmethod
    def whiten(self, jacobian: Tensor, output: Tensor) -> Tensor:
        """Return an output's derivatives in units of the cells' noise.

        The product of its transpose and itself is Fisher's information of a row.

        Parameters
        ----------
        jacobian : Tensor of shape (n_rows, n_encoded, n_components)
            Derivatives of the output.
        output : Tensor of shape (n_rows, n_encoded)
            The decoder's.
        """

    @abstractmethod
    def draw(
        self, output: Tensor, generator: torch.Generator, bounds: Bounds | None = None
    ) -> Tensor:
        """Return rows drawn from the distribution, given that numbers are within bounds."""


class GaussianLikelihood(Likelihood):
    """Cells with Gaussian noise, whose variance is learned.

    Parameters
    ----------
    n_variances : int
        1 for a variance that all columns share, or one for each column.
    smallest_variance : float
        Lower bound: a density needs some width where the decoder is perfect.
    """

    def __init__(self, n_variances: int, smallest_variance: float) -> None:
        super().__init__()
        self.smallest_variance = smallest_variance
        self.log_excess = nn.Parameter(torch.zeros(n_variances))

    @property
    def variance(self) -> Tensor:
        """Variance of the noise, shared or of each column."""
        return self.smallest_variance + self.log_excess.exp()

    def set_variance(self, variance: Tensor) -> None:
        """Set the variance, shared or of each column."""
        excess = (variance - self.smallest_variance).clamp_min(0.01 * self.smallest_variance)
        with torch.no_grad():
            self.log_excess.copy_(excess.log())

    def mean(self, output: Tensor) -> Tensor:
        """Return the output itself."""
        return output

    def log_density(self, output: Tensor, input: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return `log N(input; output, variance)`, of the observed cells."""
        variance = self.variance
        difference = input - output
        squares = difference * difference  # the gradient of `square` takes longer
        if mask is not None:
            squares = squares * mask
        constant = self.log_volume(variance, input.shape[-1], mask)
        # A product: the quotient of all cells and their columns' variances takes longer.
        return -0.5 * (squares @ variance.reciprocal().expand(input.shape[-1]) + constant)

    @staticmethod
    def log_volume(variance: Tensor, n_columns: int, mask: Tensor | None = None) -> Tensor:
        """Return the sum of `log(2 pi variance)` over the observed cells of each row.

        Parameters
        ----------
        variance : Tensor of shape (1,) or (n_columns,)
            Of the noise.
        n_columns : int
            Number of columns.
        mask : Tensor of bool of shape (..., n_columns) or None, default=None
            Which cells are observed; None is all, of which there is one sum.
        """
        each = _LOG_2PI + variance.log()
        if mask is None:
            return each.mean() * n_columns
        return mask.to(each.dtype) @ each.expand(n_columns)

    def log_cells(self, output: Tensor, input: Tensor) -> Tensor:
        """Return the log-density of each cell."""
        variance = self.variance
        return -0.5 * ((input - output).square() / variance + _LOG_2PI + variance.log())

    def whiten(self, jacobian: Tensor, output: Tensor) -> Tensor:
        """Divide by the noise's standard deviation."""
        return jacobian * self.variance.rsqrt().unsqueeze(1)

    def draw(
        self, output: Tensor, generator: torch.Generator, bounds: Bounds | None = None
    ) -> Tensor:
        """Add noise to the output."""
        return add_noise(output, self.variance, generator, bounds)


def add_noise(
    mean: Tensor, variance: Tensor, generator: torch.Generator, bounds: Bounds | None
) -> Tensor:
    """Return normal draws around means, given that they are within bounds.

    Parameters
    ----------
    mean : Tensor of shape (..., n_columns)
        Their means without bounds.
    variance : Tensor of shape (n_columns,) or (1,)
        Their variances without bounds.
    generator : torch.Generator
        Source of the draws.
    bounds : Bounds or None
        The bounds of the columns; None is none.
    """
    scale = variance.sqrt()
    if bounds is None:
        return mean + torch.empty_like(mean).normal_(generator=generator) * scale
    uniform = torch.empty_like(mean).uniform_(generator=generator)
    low, high = (torch.special.ndtr((end.to(mean) - mean) / scale) for end in bounds)
    # A mean so far beyond a bound that no share of the normal distribution is left is clipped.
    tiny = torch.finfo(mean.dtype).eps
    share = torch.lerp(low, high, uniform).clamp(tiny, 1 - tiny)
    return bounds.clip(mean + scale * torch.special.ndtri(share))


class DiscreteLikelihood(Likelihood):
    """Abstract: cells that are 0 or 1 before scaling.

    Rows are scaled outside the module, and the likelihood undoes it. For a value between 0
    and 1, the log-mass is the expected one of a cell drawn with this probability.

    Parameters
    ----------
    n_features : int
        Number of encoded columns; `set_scaling` tells how they are scaled.
    """

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("shift", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))

    def set_scaling(self, shift: Tensor, scale: Tensor) -> None:
        """Set the columns' shifts and scales outside the module."""
        self.get_buffer("shift").copy_(shift)
        self.get_buffer("scale").copy_(scale)

    def probabilities(self, input: Tensor) -> Tensor:
        """Return rows before scaling."""
        return (input * self.get_buffer("scale") + self.get_buffer("shift")).clamp(0, 1)

    def scale_rows(self, probabilities: Tensor) -> Tensor:
        """Return scaled rows."""
        return (probabilities - self.get_buffer("shift")) / self.get_buffer("scale")


class BernoulliLikelihood(DiscreteLikelihood):
    """Cells that are 0 or 1, whose logit is the decoder's output.

    Parameters
    ----------
    n_features : int
        Number of columns; `set_scaling` tells how they are scaled.
    """

    def mean(self, output: Tensor) -> Tensor:
        """Return the probability that each cell is 1, scaled."""
        return self.scale_rows(output.sigmoid())

    def log_density(self, output: Tensor, input: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the log-mass of rows, of their observed cells."""
        cells = self.log_cells(output, input)
        return (cells if mask is None else cells * mask).sum(dim=-1)

    def log_cells(self, output: Tensor, input: Tensor) -> Tensor:
        """Return the log-mass of each cell."""
        cells = self.probabilities(input).expand_as(output)
        return -binary_cross_entropy_with_logits(output, cells, reduction="none")

    def whiten(self, jacobian: Tensor, output: Tensor) -> Tensor:
        """Multiply by the standard deviations of the cells."""
        return jacobian * (output.sigmoid() * (-output).sigmoid()).sqrt().unsqueeze(2)

    def draw(
        self, output: Tensor, generator: torch.Generator, bounds: Bounds | None = None
    ) -> Tensor:
        """Return cells of 0 and 1, scaled."""
        return self.scale_rows(torch.bernoulli(output.sigmoid(), generator=generator))

    def binarize(self, input: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return rows of 0 and 1 drawn from rows of probabilities, scaled."""
        return self.scale_rows(torch.bernoulli(self.probabilities(input), generator=generator))


class CategoricalLikelihood(DiscreteLikelihood):
    """Categories, each of which is several indicators; the outputs are logarithms of their odds.

    Parameters
    ----------
    sizes : sequence of int
        Number of indicators of each category; they follow each other.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__(sum(sizes))
        self.sizes = list(sizes)
        repeats = torch.tensor(self.sizes, dtype=torch.long)
        first = repeats.cumsum(0) - repeats
        category = torch.arange(len(self.sizes)).repeat_interleave(repeats)
        self.register_buffer("first", first, persistent=False)
        self.register_buffer("category", category, persistent=False)

    def mean(self, output: Tensor) -> Tensor:
        """Return the probability of each level, scaled."""
        total = self._log_totals(output).index_select(-1, self.get_buffer("category"))
        return self.scale_rows((output - total).exp())

    def log_density(self, output: Tensor, input: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the log-mass of rows, of their observed cells."""
        levels, totals = self.probabilities(input), self._log_totals(output)
        if mask is not None:
            levels = levels * mask
            totals = totals * mask.index_select(-1, self.get_buffer("first"))
        return (levels * output).sum(dim=-1) - totals.sum(dim=-1)

    def log_cells(self, output: Tensor, input: Tensor) -> Tensor:
        """Return the log-mass of each category."""
        chosen = (self.probabilities(input) * output).split(self.sizes, dim=-1)
        sums = [each.sum(dim=-1) for each in chosen]
        return torch.stack(sums, dim=-1) - self._log_totals(output)

    def whiten(self, jacobian: Tensor, output: Tensor) -> Tensor:
        """Subtract the expected derivatives of each category; multiply by the levels' roots."""
        parts = []
        for own, logit in zip(
            jacobian.split(self.sizes, dim=1), output.split(self.sizes, dim=1), strict=True
        ):
            share = logit.softmax(dim=1).unsqueeze(2)
            parts.append((own - (share * own).sum(dim=1, keepdim=True)) * share.sqrt())
        return torch.cat(parts, dim=1)

    def draw(
        self, output: Tensor, generator: torch.Generator, bounds: Bounds | None = None
    ) -> Tensor:
        """Return the indicators of one level of each category, scaled."""
        uniform = torch.empty_like(output).uniform_(generator=generator)
        # The largest of logits with Gumbel noise is drawn with their probabilities.
        noisy = output - torch.log(-torch.log(uniform.clamp(1e-30, 1 - 1e-7)))
        drawn = torch.zeros_like(output)
        for levels, own in zip(
            noisy.split(self.sizes, dim=-1), drawn.split(self.sizes, dim=-1), strict=True
        ):
            own.scatter_(-1, levels.argmax(dim=-1, keepdim=True), 1.0)
        return self.scale_rows(drawn)

    def _log_totals(self, output: Tensor) -> Tensor:
        """Return the logarithm of the sum of the odds of each category."""
        # A loop: padding to the widest category takes longer where widths differ.
        levels = output.split(self.sizes, dim=-1)
        return torch.stack([each.logsumexp(dim=-1) for each in levels], dim=-1)

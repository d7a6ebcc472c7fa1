"""Distributions of a row's cells given a variational decoder's output."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits


class Likelihood(nn.Module, ABC):
    """Abstract: the distribution of a scaled row given a decoder's output."""

    def __init__(self) -> None:
        super().__init__()

    @abstractmethod
    def mean(self, output: Tensor) -> Tensor:
        """Return the expected rows."""

    @abstractmethod
    def log_density(self, output: Tensor, input: Tensor) -> Tensor:
        """Return the log-density of rows, or the log-mass if they are discrete."""

    @abstractmethod
    def draw(self, output: Tensor, generator: torch.Generator) -> Tensor:
        """Return rows drawn from the distribution."""


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

    def log_density(self, output: Tensor, input: Tensor) -> Tensor:
        """Return `log N(input; output, variance)`."""
        variance = self.variance
        # A product: the quotient of all cells and their columns' variances takes longer.
        squares = (input - output).square() @ variance.reciprocal().expand(input.shape[-1])
        constant = (math.log(2 * math.pi) + variance.log()).mean() * input.shape[-1]
        return -0.5 * (squares + constant)

    def draw(self, output: Tensor, generator: torch.Generator) -> Tensor:
        """Add noise to the output."""
        noise = torch.empty_like(output).normal_(generator=generator)
        return output + noise * self.variance.sqrt()


class BernoulliLikelihood(Likelihood):
    """Cells that are 0 or 1, whose logit is the decoder's output.

    Rows are scaled outside the module, and the likelihood undoes it. For a value between 0
    and 1, the log-mass is the expected one of a cell drawn with this probability.

    Parameters
    ----------
    n_features : int
        Number of columns; `set_scaling` tells how they are scaled.
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

    def mean(self, output: Tensor) -> Tensor:
        """Return the probability that each cell is 1, scaled."""
        return self.scale_rows(output.sigmoid())

    def log_density(self, output: Tensor, input: Tensor) -> Tensor:
        """Return the log-mass of rows."""
        cells = self.probabilities(input).expand_as(output)
        return -binary_cross_entropy_with_logits(output, cells, reduction="none").sum(dim=-1)

    def draw(self, output: Tensor, generator: torch.Generator) -> Tensor:
        """Return cells of 0 and 1, scaled."""
        return self.scale_rows(torch.bernoulli(output.sigmoid(), generator=generator))

    def binarize(self, input: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return rows of 0 and 1 drawn from rows of probabilities, scaled."""
        return self.scale_rows(torch.bernoulli(self.probabilities(input), generator=generator))

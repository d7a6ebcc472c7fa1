"""Priors of a variational autoencoder's code, all of them mixtures of Gaussians."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from .gaussians import bound_log_variance, gaussian_log_density, unbound_log_variance

#: Maps rows to the means and log-variances of their codes.
Posterior = Callable[[Tensor], tuple[Tensor, Tensor]]

#: Up to this many units of the code the Gaussians of a learned mixture have full covariances.
FULL_UP_TO = 32


class GaussianComponents(NamedTuple):
    """A mixture of Gaussians.

    Each unit of the code is a regression on those before it, and a residual. This is the
    triangular factor of the precision: any values of it are a covariance (Pourahmadi 1999).

    Attributes
    ----------
    log_weight : Tensor of shape (n_mixed,)
        Logarithms of weights that sum to one.
    mean : Tensor of shape (n_mixed, n_components)
        Of each Gaussian.
    log_variance : Tensor of shape (n_mixed, n_components)
        Of each residual.
    regression : Tensor of shape (n_mixed, n_components, n_components) or None, default=None
        Coefficients, strictly below the diagonal. None is zeros: the Gaussians are diagonal.
    """

    log_weight: Tensor
    mean: Tensor
    log_variance: Tensor
    regression: Tensor | None = None

    def joint(self, code: Tensor) -> Tensor:
        """Return `log(weight_m N(code; mean_m, covariance_m))`, with `m` the last dimension."""
        if self.regression is None:
            each = gaussian_log_density(code.unsqueeze(-2), self.mean, self.log_variance)
            return each + self.log_weight
        whitener = self.whiteners()
        origin = (whitener @ self.mean.unsqueeze(-1)).squeeze(-1)
        # One product for all Gaussians: the differences from their means would be many arrays.
        white = (code @ whitener.flatten(0, 1).T).unflatten(-1, self.mean.shape) - origin
        unit = torch.zeros_like(self.log_variance)
        each = gaussian_log_density(white, unit, unit)
        return each - 0.5 * self.log_variance.sum(dim=-1) + self.log_weight

    def log_density(self, code: Tensor) -> Tensor:
        """Return the mixture's log-density at codes."""
        joint = self.joint(code)
        return joint.squeeze(-1) if joint.shape[-1] == 1 else joint.logsumexp(dim=-1)

    def responsibilities(self, code: Tensor) -> Tensor:
        """Return the probability of each Gaussian given the code."""
        return self.joint(code).softmax(dim=-1)

    def draw(self, n_codes: int, generator: torch.Generator) -> Tensor:
        """Return codes drawn from the mixture."""
        chosen = torch.multinomial(
            self.log_weight.exp(), n_codes, replacement=True, generator=generator
        )
        mean = self.mean[chosen]
        noise = torch.empty_like(mean).normal_(generator=generator)
        residual = noise * torch.exp(0.5 * self.log_variance[chosen])
        if self.regression is not None:
            for m, unmix in enumerate(torch.linalg.inv(self._unit_factor())):
                residual[chosen == m] = residual[chosen == m] @ unmix.T
        return mean + residual

    def whiteners(self) -> Tensor:
        """Return the triangular matrices that map differences from the means to white noise."""
        scale = torch.exp(-0.5 * self.log_variance)
        if self.regression is None:
            return torch.diag_embed(scale)
        return self._unit_factor() * scale.unsqueeze(-1)

    def _unit_factor(self) -> Tensor:
        """Return the matrices that map a difference from the mean to residuals."""
        regression = cast(Tensor, self.regression)
        one = torch.eye(regression.shape[-1], dtype=regression.dtype, device=regression.device)
        return one - regression


class Prior(nn.Module, ABC):
    """Abstract: the distribution of codes before a row is known.

    Attributes
    ----------
    n_mixed : int
        Number of Gaussians that it is a mixture of.
    """

    n_mixed: int

    def __init__(self) -> None:
        super().__init__()

    @abstractmethod
    def components(self, posterior: Posterior) -> GaussianComponents:
        """Return the prior as a mixture; `posterior` is the encoder's."""


class StandardPrior(Prior):
    """`N(0, I)`.

    Parameters
    ----------
    n_components : int
        Size of the code.
    """

    def __init__(self, n_components: int) -> None:
        super().__init__()
        self.n_mixed = 1
        self.register_buffer("zero", torch.zeros(1, n_components))

    def components(self, posterior: Posterior) -> GaussianComponents:
        """Return one Gaussian."""
        zero = self.get_buffer("zero")
        return GaussianComponents(zero[:, 0], zero, zero)


class MixturePrior(Prior):
    """A mixture whose weights, means and covariances are learned.

    Covariances are full for codes of up to 32 units, and diagonal for larger ones.

    Parameters
    ----------
    n_components : int
        Size of the code.
    n_mixed : int
        Number of Gaussians.
    generator : torch.Generator, default=None
        Source of the means; None is torch's global generator.
    """

    def __init__(
        self, n_components: int, n_mixed: int, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.n_mixed = n_mixed
        self.logit = nn.Parameter(torch.zeros(n_mixed))
        self.mean = nn.Parameter(torch.empty(n_mixed, n_components).normal_(generator=generator))
        self.raw_log_variance = nn.Parameter(torch.zeros(n_mixed, n_components))
        self.raw_regression: nn.Parameter | None = None
        if n_components <= FULL_UP_TO:
            self.raw_regression = nn.Parameter(torch.zeros(n_mixed, n_components, n_components))

    @property
    def is_full(self) -> bool:
        """Whether covariances are full, not diagonal."""
        return self.raw_regression is not None

    def components(self, posterior: Posterior) -> GaussianComponents:
        """Return the mixture."""
        return GaussianComponents(
            self.logit.log_softmax(0),
            self.mean,
            bound_log_variance(self.raw_log_variance),
            None if self.raw_regression is None else self.raw_regression.tril(-1),
        )

    def set_components(self, weight: Tensor, mean: Tensor, covariance: Tensor) -> None:
        """Set the mixture.

        Parameters
        ----------
        weight : Tensor of shape (n_mixed,)
            Sums to one.
        mean : Tensor of shape (n_mixed, n_components)
            Of each Gaussian.
        covariance : Tensor of shape (n_mixed, n_components, n_components)
            Of each Gaussian; its diagonals, `(n_mixed, n_components)`, where it is diagonal.
        """
        variance = covariance
        with torch.no_grad():
            if self.raw_regression is not None:
                root = torch.linalg.cholesky(covariance)
                scale = root.diagonal(dim1=-2, dim2=-1)
                unit = torch.linalg.inv(root) * scale.unsqueeze(-1)
                self.raw_regression.copy_((-unit).tril(-1))
                variance = scale.square()
            self.logit.copy_(weight.log())
            self.mean.copy_(mean)
            self.raw_log_variance.copy_(unbound_log_variance(variance.log()))


class VampPrior(Prior):
    """The mean posterior of learned pseudo-rows (Tomczak and Welling 2018), and `N(0, I)`.

    Posteriors can be so narrow that a few of them leave nearly all codes without density. With
    the standard Gaussian in the mixture, the prior is never much worse than the standard one.
    Weights are learned; the standard Gaussian begins with half of the total.

    Parameters
    ----------
    n_features : int
        Width of the pseudo-rows.
    n_components : int
        Size of the code.
    n_mixed : int
        Number of pseudo-rows.
    generator : torch.Generator, default=None
        Their source; None is torch's global generator.
    """

    def __init__(
        self,
        n_features: int,
        n_components: int,
        n_mixed: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.n_mixed = n_mixed + 1
        self.pseudo_rows = nn.Parameter(
            torch.empty(n_mixed, n_features).normal_(generator=generator)
        )
        logit = torch.zeros(n_mixed + 1)
        logit[0] = torch.tensor(float(n_mixed)).log()
        self.logit = nn.Parameter(logit)
        self.register_buffer("zero", torch.zeros(1, n_components))

    def components(self, posterior: Posterior) -> GaussianComponents:
        """Return the standard Gaussian and the pseudo-rows' posteriors."""
        mean, log_variance = posterior(self.pseudo_rows)
        zero = self.get_buffer("zero")
        return GaussianComponents(
            self.logit.log_softmax(0),
            torch.cat([zero, mean]),
            torch.cat([zero, log_variance]),
        )


def make_prior(
    name: str,
    n_features: int,
    n_components: int,
    n_mixed: int,
    generator: torch.Generator | None,
) -> Prior:
    """Return the prior called "standard", "mixture" or "vamp"."""
    if name == "standard":
        return StandardPrior(n_components)
    if name == "mixture":
        return MixturePrior(n_components, n_mixed, generator)
    return VampPrior(n_features, n_components, n_mixed, generator)

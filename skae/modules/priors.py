"""Priors of a variational autoencoder's code, all of them mixtures of Gaussians."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple, Self, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from .gaussians import bound_log_variance, gaussian_log_density, unbound_log_variance

_LOG_2PI = math.log(2 * math.pi)

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
        return self.weigh(self.whiten(code, self.whiteners()))

    def whiten(self, code: Tensor, whitener: Tensor) -> Tensor:
        """Return differences from the means as white noise, `(..., n_mixed, n_components)`.

        Parameters
        ----------
        code : Tensor of shape (..., n_components)
            The codes.
        whitener : Tensor of shape (n_mixed, n_components, n_components)
            What `whiteners` returns.
        """
        origin = torch.linalg.vecdot(whitener, self.mean.unsqueeze(-2))
        # One product for all Gaussians: the differences from their means would be many arrays.
        white = linear(code, whitener.flatten(0, 1), -origin.flatten())
        return white.unflatten(-1, self.mean.shape)

    def weigh(self, white: Tensor) -> Tensor:
        """Return what `joint` does, from what `whiten` returns."""
        squares = white.square().sum(dim=-1)
        constant = self.log_weight - 0.5 * (self.log_variance + _LOG_2PI).sum(dim=-1)
        return torch.sub(constant, squares, alpha=0.5)

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

    def add_whole(self, share: float) -> "GaussianComponents":
        """Return the mixture with one Gaussian more, which has the moments of all codes.

        Parameters
        ----------
        share : float
            Weight of that Gaussian, in (0, 1); the others share what is left.
        """
        weight = self.log_weight.exp().double()
        centre = weight @ self.mean.double()
        offset = self.mean.double() - centre
        root = torch.linalg.inv(self.whiteners().double())  # of each covariance
        spread = torch.einsum("m,mij,mkj->ik", weight, root, root)
        spread = spread + (weight.unsqueeze(1) * offset).T @ offset
        if self.regression is None:
            spread = spread.diagonal().diag()
        whitener = torch.linalg.inv(torch.linalg.cholesky(spread))
        scale = whitener.diagonal()
        regression = self.regression
        if regression is not None:
            own = torch.eye(len(scale)).to(whitener) - whitener / scale.unsqueeze(1)
            regression = torch.cat([regression, own.unsqueeze(0).to(regression)])
        return GaussianComponents(
            torch.cat(
                [self.log_weight + math.log1p(-share), self.log_weight.new([math.log(share)])]
            ),
            torch.cat([self.mean, centre.unsqueeze(0).to(self.mean)]),
            torch.cat([self.log_variance, -2 * scale.log().unsqueeze(0).to(self.log_variance)]),
            regression,
        )

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
    """Abstract: the distribution of codes before a row is known."""

    def __init__(self) -> None:
        super().__init__()

    @property
    @abstractmethod
    def n_mixed(self) -> int:
        """Number of Gaussians that it is a mixture of."""

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
        self.register_buffer("zero", torch.zeros(1, n_components))

    @property
    def n_mixed(self) -> int:
        """One."""
        return 1

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
    most : int
        Largest number of Gaussians, and the number until `set_components` sets fewer.
    generator : torch.Generator, default=None
        Source of the means; None is torch's global generator.
    """

    n_used: Tensor

    def __init__(
        self, n_components: int, most: int, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        # A buffer, with what is stored, and not another shape of the weights, which all have.
        self.register_buffer("n_used", torch.tensor(most))
        self.logit = nn.Parameter(torch.zeros(most))
        self.mean = nn.Parameter(torch.empty(most, n_components).normal_(generator=generator))
        self.raw_log_variance = nn.Parameter(torch.zeros(most, n_components))
        self.raw_regression: nn.Parameter | None = None
        if n_components <= FULL_UP_TO:
            self.raw_regression = nn.Parameter(torch.zeros(most, n_components, n_components))

    @property
    def n_mixed(self) -> int:
        """Number of Gaussians, at most those that there are weights for."""
        return int(self.n_used)

    @property
    def is_full(self) -> bool:
        """Whether covariances are full, not diagonal."""
        return self.raw_regression is not None

    def components(self, posterior: Posterior) -> GaussianComponents:
        """Return the mixture."""
        return self.mixture

    @property
    def mixture(self) -> GaussianComponents:
        """The mixture."""
        used = slice(self.n_mixed)
        return GaussianComponents(
            self.logit[used].log_softmax(0),
            self.mean[used],
            bound_log_variance(self.raw_log_variance[used]),
            None if self.raw_regression is None else self.raw_regression[used].tril(-1),
        )

    def set_components(self, weight: Tensor, mean: Tensor, covariance: Tensor) -> None:
        """Set the mixture, and with it the number of Gaussians.

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
                self.raw_regression[: len(unit)] = (-unit).tril(-1).to(self.raw_regression)
                variance = scale.square()
            self.n_used.fill_(len(weight))
            used = slice(len(weight))
            self.logit[used] = weight.log().to(self.logit)
            self.mean[used] = mean.to(self.mean)
            raw = unbound_log_variance(variance.log())
            self.raw_log_variance[used] = raw.to(self.raw_log_variance)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # The number stays on the CPU: each training step reads it, and would wait for a device.
        number = self.n_used
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.n_used = number
        return self


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
        self.pseudo_rows = nn.Parameter(
            torch.empty(n_mixed, n_features).normal_(generator=generator)
        )
        logit = torch.zeros(n_mixed + 1)
        logit[0] = torch.tensor(float(n_mixed)).log()
        self.logit = nn.Parameter(logit)
        self.register_buffer("zero", torch.zeros(1, n_components))

    @property
    def n_mixed(self) -> int:
        """Number of pseudo-rows, and one."""
        return len(self.logit)

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

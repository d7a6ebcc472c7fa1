"""The variational autoencoder module: a Gaussian encoder, a prior, a likelihood."""

from typing import Any, cast

import torch
from torch import Tensor, nn

from .architectures import Architecture, check_network
from .autoencoder import drop_affine
from .bypass import Bypass
from .cells import CellLayout
from .encoder_decoder import EncoderDecoder
from .gaussians import (
    bound_log_variance,
    gaussian_entropy,
    standard_divergence,
    unbound_log_variance,
)
from .likelihoods import Likelihood
from .linear_mixture import LinearMixture
from .mixed_floor import MixedFloor
from .mixed_likelihood import make_likelihood
from .mlp import MLP
from .priors import GaussianComponents, MixturePrior, Prior, StandardPrior, make_prior


class LinearPosterior(nn.Module):
    """Means that are affine in the row, and log-variances that all rows share.

    The posterior of a linear model with Gaussian noise has this form, so it is the linear path
    of a Gaussian encoder.

    Parameters
    ----------
    n_features, n_components : int
        Width of the rows and of the code.
    generator : torch.Generator, default=None
        Source of the weights; None is torch's global generator.
    """

    def __init__(
        self, n_features: int, n_components: int, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.mean = MLP(n_features, n_components, generator=generator)
        self.raw_log_variance = nn.Parameter(torch.zeros(n_components))

    @property
    def layer(self) -> nn.Linear:
        """The layer that gives the means."""
        return self.mean.linear_layers[0]

    def forward(self, input: Tensor) -> Tensor:
        """Map `(n_rows, n_features)` to `(n_rows, 2 * n_components)`."""
        mean = self.mean(input)
        return torch.cat([mean, self.raw_log_variance.expand_as(mean)], dim=1)


class VariationalAutoencoder(EncoderDecoder):
    """A Gaussian encoder `q(z | x)`, a decoder with a likelihood `p(x | z)`, a prior `p(z)`.

    Parameters
    ----------
    encoder : torch.nn.Module
        Maps `(n_rows, n_features)` to `(n_rows, 2 * n_components)`: the codes' means, and
        unbounded log-variances.
    decoder : torch.nn.Module
        Maps `(n_rows, n_components)` to `(n_rows, n_features)`.
    prior : Prior
        Distribution of the codes.
    likelihood : Likelihood
        Distribution of a row given the decoder's output.
    floor : LinearMixture, MixedFloor or None, default=None
        Linear model that makes a share of the rows; None makes none.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: Prior,
        likelihood: Likelihood,
        floor: LinearMixture | MixedFloor | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.prior = prior
        self.likelihood = likelihood
        self.floor = floor

    def posterior(self, input: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and log-variances of the codes of rows.

        Parameters
        ----------
        input : Tensor of shape (n_rows, n_features)
            The rows.

        Returns
        -------
        mean, log_variance : Tensor of shape (n_rows, n_components)
            Of the code's Gaussian.
        """
        mean, raw = self.encoder(input).chunk(2, dim=1)
        return mean, bound_log_variance(raw)

    def encode(self, input: Tensor) -> Tensor:
        """Return the posterior means of the codes."""
        return self.posterior(input)[0]

    def decode(self, code: Tensor) -> Tensor:
        """Return the expected rows given codes."""
        return self.likelihood.mean(self.decoder(code))

    def log_likelihood(self, input: Tensor, code: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return `log p(x | z)`.

        Parameters
        ----------
        input : Tensor of shape (n_rows, n_features)
            The rows.
        code : Tensor of shape (n_rows, n_components) or (n_rows, n_draws, n_components)
            A code for each row, or several.
        mask : Tensor of bool of shape (n_rows, n_features) or None, default=None
            Which cells are observed: others have no influence. None is all.

        Returns
        -------
        log_likelihood : Tensor of shape (n_rows,) or (n_rows, n_draws)
            In nats.
        """
        if code.ndim == 2:
            return self.likelihood.log_density(self.decoder(code), input, mask)
        output = self.decoder(code.flatten(0, 1)).unflatten(0, code.shape[:2])
        observed = None if mask is None else mask.unsqueeze(1)
        return self.likelihood.log_density(output, input.unsqueeze(1), observed)

    def mixture(self) -> GaussianComponents:
        """Return the prior as a mixture of Gaussians.

        Returns
        -------
        mixture : GaussianComponents
            Logarithms of the weights, means and log-variances.
        """
        return self.prior.components(self.posterior)

    def undecayed_parts(self) -> list[nn.Module]:
        """Return the parts whose weights don't decay.

        Returns
        -------
        parts : list of torch.nn.Module
            The linear paths and the prior.
        """
        return [*super().undecayed_parts(), self.prior]

    def divergence(self, mean: Tensor, log_variance: Tensor, code: Tensor) -> Tensor:
        """Return `KL(q(z | x) || p(z))`: exact for the standard prior.

        For others it is an unbiased estimate from the draws given.

        Parameters
        ----------
        mean, log_variance : Tensor of shape (n_rows, n_components)
            Of the posterior.
        code : Tensor of shape (n_rows, n_components) or (n_rows, n_draws, n_components)
            Draws from the posterior.

        Returns
        -------
        divergence : Tensor of shape (n_rows,)
            In nats.
        """
        if isinstance(self.prior, StandardPrior):
            return standard_divergence(mean, log_variance)
        log_prior = self.mixture().log_density(code)
        if code.ndim == 3:
            log_prior = log_prior.mean(dim=1)
        return -gaussian_entropy(log_variance) - log_prior

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile the encoder and the decoder in place: training does not call `forward`.

        Parameters
        ----------
        *args, **kwargs : Any
            Arguments of `torch.compile`.
        """
        self.encoder.compile(*args, **kwargs)
        self.decoder.compile(*args, **kwargs)

    @property
    def has_linear_path(self) -> bool:
        """Whether both halves have a linear path beside the nonlinear one."""
        return isinstance(self.encoder, Bypass) and isinstance(self.decoder, Bypass)

    @property
    def linear_layers(self) -> tuple[nn.Linear, nn.Linear]:
        """The layers of the encoder's linear path (to the means) and of the decoder's."""
        decoder = cast(MLP, cast(Bypass, self.decoder).linear)
        return self._linear_posterior.layer, decoder.linear_layers[0]

    @property
    def _linear_posterior(self) -> LinearPosterior:
        return cast(LinearPosterior, cast(Bypass, self.encoder).linear)

    def set_linear_variance(self, log_variance: Tensor) -> None:
        """Set the log-variances of the encoder's linear path, which all rows share.

        Parameters
        ----------
        log_variance : Tensor of shape (n_components,)
            Values beyond the bounds are moved to them.
        """
        with torch.no_grad():
            self._linear_posterior.raw_log_variance.copy_(unbound_log_variance(log_variance))


def make_variational(
    n_features: int,
    n_components: int,
    architecture: Architecture,
    *,
    linear_path: bool = True,
    likelihood: str = "gaussian",
    noise_per_column: bool = False,
    smallest_variance: float = 1e-6,
    prior: str = "standard",
    n_prior_components: int = 16,
    layout: CellLayout | None = None,
    generator: torch.Generator | None = None,
) -> VariationalAutoencoder:
    """Assemble a variational autoencoder from the networks that `architecture` builds.

    Parameters
    ----------
    n_features, n_components : int
        Width of the rows and of the code.
    architecture : callable
        `architecture(role, n_inputs, n_outputs)` returns the module for the role "encoder" or
        "decoder"; the encoder has two outputs for each component.
    linear_path : bool, default=True
        Give each of them a linear path.
    likelihood : {"gaussian", "bernoulli"}, default="gaussian"
        Distribution of a row given the decoder's output.
    noise_per_column : bool, default=False
        Learn a noise variance for each column instead of one.
    smallest_variance : float, default=1e-6
        Lower bound of the noise variance.
    prior : {"standard", "mixture", "vamp"}, default="standard"
        Distribution of the codes.
    n_prior_components : int, default=16
        Gaussians of the mixture, or pseudo-rows of the "vamp" prior.
    layout : CellLayout, default=None
        What the columns hold; None is numbers. Booleans and categories have a mass, whatever
        the likelihood of numbers.
    generator : torch.Generator, default=None
        Source of the weights; None is torch's global generator.

    Returns
    -------
    autoencoder : VariationalAutoencoder
        On the CPU, in float32.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import MLPArchitecture, make_variational
    >>> module = make_variational(6, 2, MLPArchitecture((16,)))
    >>> mean, log_variance = module.posterior(torch.zeros(3, 6))
    >>> mean.shape, log_variance.shape
    (torch.Size([3, 2]), torch.Size([3, 2]))
    """
    encoder = check_network(
        architecture("encoder", n_features, 2 * n_components),
        "encoder",
        n_features,
        2 * n_components,
    )
    decoder = check_network(
        architecture("decoder", n_components, n_features), "decoder", n_components, n_features
    )
    if linear_path:
        linear = LinearPosterior(n_features, n_components, generator)
        encoder = Bypass(linear, drop_affine(encoder), 2 * n_components)
        back = MLP(n_components, n_features, generator=generator)
        decoder = Bypass(back, drop_affine(decoder), n_features)
    layout = CellLayout.from_numbers(n_features) if layout is None else layout
    cells = make_likelihood(likelihood, layout, noise_per_column, smallest_variance)
    codes = make_prior(prior, n_features, n_components, n_prior_components, generator)
    floor: LinearMixture | MixedFloor | None = None
    if linear_path and likelihood == "gaussian":
        is_full = isinstance(codes, MixturePrior) and codes.is_full
        n_numbers = len(layout.numbers)
        # One more than the prior has: see `GaussianComponents.add_whole`.
        n_mixed = codes.n_mixed + isinstance(codes, MixturePrior)
        floor = LinearMixture(n_numbers, n_components, n_mixed, is_full)
        floor = floor if layout.is_numeric else MixedFloor(layout, floor)
    return VariationalAutoencoder(encoder, decoder, codes, cells, floor)

"""Modules that denoise rows, conditioned on the noise level if they are trained on a range."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from .architectures import Architecture, check_network
from .autoencoder import Autoencoder, drop_affine, make_autoencoder
from .bypass import Bypass
from .encoder_decoder import EncoderDecoder
from .mlp import MLP
from .wiener_filter import WienerFilter


class NoiseLevels(nn.Module):
    """The levels of noise that a network is trained for.

    Parameters
    ----------
    noise_conditional : bool
        Whether the network is given the level as a further input.
    """

    low: Tensor
    high: Tensor

    def __init__(self, noise_conditional: bool) -> None:
        super().__init__()
        self.noise_conditional = noise_conditional
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))

    def expand(self, rows: Tensor, level: Tensor | None) -> Tensor:
        """Return the level of each row (n_rows, 1); None is the lowest."""
        if level is None:
            level = self.low
        return level.to(rows.dtype).expand(len(rows), 1)

    def grid(self, n_levels: int) -> Tensor:
        """Return levels from the lowest to the highest, in equal ratios."""
        share = torch.linspace(0, 1, n_levels, dtype=self.low.dtype, device=self.low.device)
        return self.low * (self.high / self.low) ** share

    def condition(self, noisy: Tensor, level: Tensor) -> Tensor:
        """Return a network's input: rows of unit scale and, if it is conditional, their level."""
        rows = noisy * self.find_scale(level)
        return torch.cat([rows, self._position(level)], dim=1) if self.noise_conditional else rows

    def condition_draws(self, rows: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """Return a network's inputs for rows with draws of noise that are common to all.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, n_features)
            The rows, without noise.
        noise : Tensor of shape (n_levels, n_draws, n_features)
            The noise at each level.
        level : Tensor of shape (n_levels, 1)
            The levels.

        Returns
        -------
        inputs : Tensor of shape (n_levels, n_rows, n_draws, n_inputs)
            As those of `condition`.
        """
        scale = self.find_scale(level).unsqueeze(1)
        n_features = rows.shape[1]
        width = n_features + int(self.noise_conditional)
        inputs = rows.new_empty(len(level), len(rows), noise.shape[1], width)
        torch.add(
            (rows * scale).unsqueeze(2),
            (noise * scale).unsqueeze(1),
            out=inputs[..., :n_features],
        )
        if self.noise_conditional:
            inputs[..., n_features:] = self._position(level)[:, :, None, None]
        return inputs

    def find_scale(self, level: Tensor) -> Tensor:
        """Return what gives noisy rows of variance 1 unit scale, for each level.

        Parameters
        ----------
        level : Tensor of shape (n_levels, 1)
            Standard deviations of the noise.

        Returns
        -------
        scale : Tensor of shape (n_levels, 1)
            The factor of the rows.
        """
        return torch.rsqrt(1 + level.square())

    def _position(self, level: Tensor) -> Tensor:
        """Return where levels are in the range, from -1 to 1."""
        half_range = 0.5 * (self.high / self.low).log()
        return (level / (self.low * self.high).sqrt()).log() / half_range


class Denoiser(EncoderDecoder):
    """Abstract: an autoencoder of noisy rows.

    Attributes
    ----------
    levels : NoiseLevels
        The levels of noise that it is trained for.
    filter : WienerFilter
        The best linear denoiser, for Gaussian noise.
    is_gaussian : bool
        Whether the noise is Gaussian.
    """

    levels: NoiseLevels
    filter: WienerFilter
    is_gaussian: bool

    @abstractmethod
    def encode(self, input: Tensor, level: Tensor | None = None) -> Tensor:
        """Return the codes of rows with noise of `level` (n_rows, 1); None is the lowest."""

    def denoise(self, noisy: Tensor, level: Tensor | None = None) -> Tensor:
        """Return noisy rows encoded and decoded."""
        return self.decode(self.encode(noisy, level))

    @property
    @abstractmethod
    def linear_weights(self) -> Tensor | None:
        """Weights of the encoder's linear path, None if there is none."""

    @property
    @abstractmethod
    def networks(self) -> list[nn.Module]:
        """The nonlinear paths."""

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile the nonlinear paths in place: training does not call `forward`.

        Parameters
        ----------
        *args, **kwargs : Any
            Arguments of `torch.compile`.
        """
        for network in self.networks:
            network.compile(*args, **kwargs)

    @property
    def is_filter(self) -> bool:
        """Whether its estimates are exactly the filter's, as before training."""
        return False

    def choose_level(self, noisy: Tensor, level: float | None) -> Tensor | None:
        """Return the level (n_rows, 1) to denoise rows at, None if there is only one."""
        if not self.levels.noise_conditional:
            return None
        if level is not None:
            return torch.full_like(noisy[:, :1], level)
        if self.is_gaussian:
            return self.filter.find_likeliest_level(noisy, self.levels.grid(32))
        return (self.levels.low * self.levels.high).sqrt().expand(len(noisy), 1)

    @abstractmethod
    def posterior_mean(self, noisy: Tensor, level: Tensor) -> Tensor:
        """Return the estimated mean of the clean rows given the noisy ones."""

    def find_steps(self, rows: Tensor, noise: Tensor, level: Tensor, errors: Tensor) -> Tensor:
        """Return by how much posterior means differ from the filter's estimates.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, n_features)
            The rows, without noise.
        noise : Tensor of shape (n_levels, n_draws, n_features)
            Noise that is common to all rows, at each level.
        level : Tensor of shape (n_levels, 1)
            The levels.
        errors : Tensor of shape (n_levels, n_rows, n_draws, n_features)
            By how much rows differ from the filter's estimates of them with noise.

        Returns
        -------
        steps : Tensor of shape (n_levels, n_rows, n_draws, n_features)
            The differences.
        """
        noisy = rows.unsqueeze(1) + noise.unsqueeze(1)
        column = level.repeat_interleave(len(rows) * noise.shape[1], dim=0)
        means = self.posterior_mean(noisy.flatten(0, 2), column).view_as(noisy)
        return means - (rows.unsqueeze(1) - errors)

    @abstractmethod
    def loss_weight(self, level: Tensor) -> Tensor:
        """Return the weight (n_rows, 1) of squared errors at a level of Gaussian noise."""


class CodeDenoiser(Denoiser):
    """A denoiser whose rows pass through a code.

    Parameters
    ----------
    autoencoder : Autoencoder
        Its nonlinear encoder takes the level as a last input, if `noise_conditional`.
    n_features, n_components : int
        Width of rows and codes.
    n_axes : int
        Axes of the filter; 0 if the noise is not Gaussian.
    noise_conditional : bool
        Whether the network is given the level.
    """

    precisions: Tensor

    def __init__(
        self,
        autoencoder: Autoencoder,
        n_features: int,
        n_components: int,
        n_axes: int,
        noise_conditional: bool,
    ) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        self.is_gaussian = n_axes > 0
        self.levels = NoiseLevels(noise_conditional)
        self.filter = WienerFilter(n_features, n_axes)
        # Denoises what the code loses, so that the posterior mean uses the whole row.
        self.residual_filter = WienerFilter(n_features, n_axes)
        # Of the linear codes; 0 is a code that noise does not shrink.
        self.register_buffer("precisions", torch.zeros(n_components))

    def encode(self, input: Tensor, level: Tensor | None = None) -> Tensor:
        """Return the codes of rows."""
        level = self.levels.expand(input, level)
        conditioned = self.levels.condition(input, level)
        encoder = self.autoencoder.encoder
        if isinstance(encoder, Bypass):
            shrunk = encoder.linear(input) / (1 + level.square() * self.precisions)
            return self.autoencoder.code_activation(encoder.add_nonlinear(shrunk, conditioned))
        return self.autoencoder.code_activation(encoder(conditioned))

    def decode(self, code: Tensor) -> Tensor:
        """Return the rows that codes decode to."""
        return self.autoencoder.decode(code)

    def posterior_mean(self, noisy: Tensor, level: Tensor) -> Tensor:
        """Return the denoised rows, and the best linear estimate of what their code loses."""
        kept = self.denoise(noisy, level)
        return kept + self.residual_filter(noisy - kept, level)

    @property
    def linear_weights(self) -> Tensor | None:
        """Weights of the encoder's linear path, None if there is none."""
        return (
            self.autoencoder.linear_layers[0].weight if self.autoencoder.has_linear_path else None
        )

    @property
    def networks(self) -> list[nn.Module]:
        """The encoder's and the decoder's nonlinear path."""
        return [path for path in self.autoencoder.nonlinear_paths if path is not None]

    def loss_weight(self, level: Tensor) -> Tensor:
        """Return the inverse of the linear path's error, so that all levels weigh alike."""
        n_kept = min(len(self.precisions), len(self.filter.axes))
        return self.filter.n_features / self.filter.expected_error(level, n_kept)


class RowDenoiser(Denoiser):
    """A denoiser without a bottleneck: its code is the denoised row.

    Parameters
    ----------
    path : torch.nn.Module
        Maps rows, with the level as a last column if `noise_conditional`, to rows; a `Bypass`
        is given the rows themselves for its linear path.
    n_features, n_axes : int
        Width of the rows, axes of the filter.
    noise_conditional : bool
        Whether the network is given the level.
    is_gaussian : bool
        Whether the noise is Gaussian; the linear path is then the filter, not the bypass's own.
    """

    def __init__(
        self,
        path: nn.Module,
        n_features: int,
        n_axes: int,
        noise_conditional: bool,
        is_gaussian: bool,
    ) -> None:
        super().__init__()
        self.levels = NoiseLevels(noise_conditional)
        self.filter = WienerFilter(n_features, n_axes)
        self.is_gaussian = is_gaussian
        self.path = path

    def encode(self, input: Tensor, level: Tensor | None = None) -> Tensor:
        """Return the denoised rows.

        The network's output is added to the filter's, in units of the error that the filter is
        expected to make (as in Karras et al. 2022, table 1, with a matrix for `c_skip`).
        """
        level = self.levels.expand(input, level)
        conditioned = self.levels.condition(input, level)
        if not isinstance(self.path, Bypass):
            return self.path(conditioned)
        if not self.is_gaussian:
            return self.path.add_nonlinear(self.path.linear(input), conditioned)
        filtered, unit, conditioned = self.filter_and_condition(input, level)
        return self.path.add_nonlinear(filtered, conditioned, unit)

    def filter_and_condition(self, input: Tensor, level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the filter's output, the unit of the network's output, and its input.

        Parameters
        ----------
        input : Tensor of shape (n_rows, n_features)
            Noisy rows.
        level : Tensor of shape (n_rows, 1)
            Their levels.

        Returns
        -------
        filtered : Tensor of shape (n_rows, n_features)
            The filter's estimate.
        unit : Tensor of shape (n_rows, 1)
            The unit of the network's output.
        conditioned : Tensor of shape (n_rows, n_inputs)
            The network's input.
        """
        unit = self.find_unit(level)
        return self.filter(input, level), unit, self.levels.condition(input, level)

    def decode(self, code: Tensor) -> Tensor:
        """Return the rows as they are."""
        return code

    def posterior_mean(self, noisy: Tensor, level: Tensor) -> Tensor:
        """Return the denoised rows."""
        return self.denoise(noisy, level)

    def find_steps(self, rows: Tensor, noise: Tensor, level: Tensor, errors: Tensor) -> Tensor:
        """Return by how much posterior means differ from the filter's estimates.

        Beside the filter this is the network's output alone, in its unit.

        Parameters
        ----------
        rows, noise, level, errors : Tensor
            As for `Denoiser`.

        Returns
        -------
        steps : Tensor of shape (n_levels, n_rows, n_draws, n_features)
            The differences.
        """
        path = self.path
        if not self.is_gaussian or not isinstance(path, Bypass):
            return super().find_steps(rows, noise, level, errors)
        if path.nonlinear is None or path.gate is None:
            return torch.zeros_like(errors)
        output = path.nonlinear(self.levels.condition_draws(rows, noise, level).flatten(0, 2))
        return output.view_as(errors) * (self.find_unit(level) * path.gate)[:, None, None]

    def find_unit(self, level: Tensor) -> Tensor:
        """Return the unit of the network's output.

        Parameters
        ----------
        level : Tensor of shape (n_levels, 1)
            Standard deviations of the noise.

        Returns
        -------
        unit : Tensor of shape (n_levels, 1)
            The root of the filter's error a column.
        """
        return (self.filter.expected_error(level) / self.filter.n_features).sqrt()

    @property
    def is_filter(self) -> bool:
        """Whether its estimates are exactly the filter's, as before training."""
        return self.is_gaussian and isinstance(self.path, Bypass) and self.path.is_closed

    @property
    def networks(self) -> list[nn.Module]:
        """The nonlinear path, if there is one."""
        path = self.path.nonlinear if isinstance(self.path, Bypass) else self.path
        return [] if path is None else [path]

    @property
    def linear_weights(self) -> Tensor | None:
        """The filter's axes or the linear layer's weights, None if there is neither."""
        if not isinstance(self.path, Bypass):
            return None
        return self.filter.axes if self.is_gaussian else next(self.path.linear.parameters())

    def loss_weight(self, level: Tensor) -> Tensor:
        """Return the weight with which errors add up to a log-density.

        With levels drawn log-uniformly, a fall of the mean loss is a rise of the rows'
        log-density by as many nats (Kong et al. 2023, equation 8).
        """
        return 0.5 * (self.levels.high / self.levels.low).log() / level.square()


def make_code_denoiser(
    n_features: int,
    n_components: int,
    architecture: Architecture,
    *,
    n_axes: int,
    noise_conditional: bool,
    linear_path: bool = True,
    tied_weights: bool = False,
    code_activation: str = "identity",
    fixed_code_scale: bool = False,
    generator: torch.Generator | None = None,
) -> CodeDenoiser:
    """Assemble a denoiser with a code.

    Parameters
    ----------
    n_features, n_components : int
        Width of the rows and of the code.
    architecture : callable
        As for `make_autoencoder`; a noise-conditional encoder has one input more.
    n_axes : int
        Axes of the filter.
    noise_conditional : bool
        Whether the network is given the level.
    linear_path, tied_weights : bool
        As for `make_autoencoder`.
    code_activation : str, default="identity"
        As for `make_autoencoder`.
    fixed_code_scale : bool, default=False
        As for `make_autoencoder`.
    generator : torch.Generator, default=None
        As for `make_autoencoder`.

    Returns
    -------
    denoiser : CodeDenoiser
        On the CPU, in float32.
    """
    autoencoder = make_autoencoder(
        n_features,
        n_components,
        architecture,
        linear_path=linear_path,
        tied_weights=tied_weights,
        code_activation=code_activation,
        fixed_code_scale=fixed_code_scale,
        n_conditions=int(noise_conditional),
        generator=generator,
    )
    return CodeDenoiser(autoencoder, n_features, n_components, n_axes, noise_conditional)


def make_row_denoiser(
    n_features: int,
    architecture: Architecture,
    *,
    n_axes: int,
    noise_conditional: bool,
    linear_path: bool = True,
    is_gaussian: bool = True,
    generator: torch.Generator | None = None,
) -> RowDenoiser:
    """Assemble a denoiser without a bottleneck.

    Parameters
    ----------
    n_features : int
        Width of the rows.
    architecture : callable
        `architecture("denoiser", n_inputs, n_features)` returns its network; if it is
        noise-conditional, `n_inputs` is one more than `n_features`.
    n_axes : int
        Axes of the filter.
    noise_conditional : bool
        Whether the network is given the level.
    linear_path : bool, default=True
        Put a linear path beside the network.
    is_gaussian : bool, default=True
        Make that path the filter instead of a layer that is trained.
    generator : torch.Generator, default=None
        Source of the linear layer's weights; None is torch's global generator.

    Returns
    -------
    denoiser : RowDenoiser
        On the CPU, in float32.
    """
    n_inputs = n_features + int(noise_conditional)
    path = check_network(
        architecture("denoiser", n_inputs, n_features), "denoiser", n_inputs, n_features
    )
    if linear_path:
        # The identity is a placeholder: the filter is the linear path.
        linear = nn.Identity() if is_gaussian else MLP(n_features, n_features, generator=generator)
        path = Bypass(linear, drop_affine(path), n_features)
    return RowDenoiser(path, n_features, n_axes, noise_conditional, is_gaussian)

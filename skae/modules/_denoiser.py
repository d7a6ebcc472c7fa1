"""Modules that are given noisy rows, and may be told how noisy."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from ._abstract import EncoderDecoder
from ._architecture import Architecture, check_shape
from ._autoencoder import Autoencoder, make_autoencoder, unless_affine
from ._bypass import Bypass
from ._filter import WienerFilter
from ._mlp import MLP


class NoiseLevels(nn.Module):
    """The levels of noise that a network is trained for.

    Parameters
    ----------
    is_told : bool
        Whether the network is given the level as a further input.
    """

    low: Tensor
    high: Tensor

    def __init__(self, is_told: bool) -> None:
        super().__init__()
        self.is_told = is_told
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))

    def of(self, rows: Tensor, level: Tensor | None) -> Tensor:
        """Return the level of each row (n_rows, 1); None is the lowest."""
        if level is None:
            level = self.low
        return level.to(rows.dtype).expand(len(rows), 1)

    def grid(self, n_levels: int) -> Tensor:
        """Return levels from the lowest to the highest, in equal ratios."""
        share = torch.linspace(0, 1, n_levels, dtype=self.low.dtype, device=self.low.device)
        return self.low * (self.high / self.low) ** share

    def seen(self, noisy: Tensor, level: Tensor) -> Tensor:
        """Return what a network is given: rows of unit scale and, if told, their level."""
        rows = noisy * torch.rsqrt(1 + level.square())
        if not self.is_told:
            return rows
        half_range = 0.5 * (self.high / self.low).log()
        place = (level / (self.low * self.high).sqrt()).log() / half_range  # in -1 to 1
        return torch.cat([rows, place], dim=1)


class Denoiser(EncoderDecoder):
    """Abstract: an autoencoder of noisy rows.

    Attributes
    ----------
    levels : NoiseLevels
        The levels of noise that it is trained for.
    filter : WienerFilter
        The best linear denoiser, for Gaussian noise.
    is_gaussian : bool
        Whether the noise is.
    """

    levels: NoiseLevels
    filter: WienerFilter
    is_gaussian: bool

    @abstractmethod
    def encode(self, input: Tensor, level: Tensor | None = None) -> Tensor:
        """Return the codes of rows with noise of `level` (n_rows, 1); None is the lowest."""

    def denoise(self, noisy: Tensor, level: Tensor | None = None) -> Tensor:
        """Return what the code keeps of noisy rows."""
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
        """Compile the nonlinear paths in place: training does not pass through `forward`.

        Parameters
        ----------
        *args, **kwargs : Any
            What `torch.compile` takes.
        """
        for network in self.networks:
            network.compile(*args, **kwargs)

    def assumed_level(self, noisy: Tensor, level: float | None) -> Tensor | None:
        """Return the level (n_rows, 1) to take rows to have, None if there is but one."""
        if not self.levels.is_told:
            return None
        if level is not None:
            return torch.full_like(noisy[:, :1], level)
        if self.is_gaussian:
            return self.filter.likeliest_level(noisy, self.levels.grid(32))
        return (self.levels.low * self.levels.high).sqrt().expand(len(noisy), 1)

    @abstractmethod
    def best_guess(self, noisy: Tensor, level: Tensor) -> Tensor:
        """Return the best that is known of the rows, beside the code if need be."""

    @abstractmethod
    def loss_weight(self, level: Tensor) -> Tensor:
        """Return what squared errors at a level of Gaussian noise count (n_rows, 1)."""


class CodeDenoiser(Denoiser):
    """A denoiser whose rows pass through a code.

    Parameters
    ----------
    autoencoder : Autoencoder
        Its nonlinear encoder takes the level as a last input, if `is_told`.
    n_features, n_components : int
        Width of rows and codes.
    n_axes : int
        Axes of the filter; 0 if the noise is not Gaussian.
    is_told : bool
        Whether the network is told the level.
    """

    precisions: Tensor

    def __init__(
        self,
        autoencoder: Autoencoder,
        n_features: int,
        n_components: int,
        n_axes: int,
        is_told: bool,
    ) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        self.is_gaussian = n_axes > 0
        self.levels = NoiseLevels(is_told)
        self.filter = WienerFilter(n_features, n_axes)
        # What is left beside the code, for guesses that use all there is of a row.
        self.beside = WienerFilter(n_features, n_axes)
        # Of the linear codes; at 0 the noise shrinks them by nothing.
        self.register_buffer("precisions", torch.zeros(n_components))

    def encode(self, input: Tensor, level: Tensor | None = None) -> Tensor:
        """Return the codes of rows."""
        level = self.levels.of(input, level)
        seen = self.levels.seen(input, level)
        encoder = self.autoencoder.encoder
        if isinstance(encoder, Bypass):
            shrunk = encoder.linear(input) / (1 + level.square() * self.precisions)
            return self.autoencoder.code_activation(encoder.beside(shrunk, seen))
        return self.autoencoder.code_activation(encoder(seen))

    def decode(self, code: Tensor) -> Tensor:
        """Return the rows that codes stand for."""
        return self.autoencoder.decode(code)

    def best_guess(self, noisy: Tensor, level: Tensor) -> Tensor:
        """Return what the code keeps, and the best linear guess of what it leaves."""
        kept = self.denoise(noisy, level)
        return kept + self.beside(noisy - kept, level)

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
        """Return the inverse of a cell's error in the linear path: all levels weigh alike."""
        n_kept = min(len(self.precisions), len(self.filter.axes))
        return self.filter.n_features / self.filter.expected_error(level, n_kept)


class RowDenoiser(Denoiser):
    """A denoiser without a bottleneck: its code is the denoised row.

    Parameters
    ----------
    path : torch.nn.Module
        Maps rows, with the level as a last column if `is_told`, to rows; a `Bypass` is
        given the rows themselves for its linear path.
    n_features, n_axes : int
        Width of the rows, axes of the filter.
    is_told : bool
        Whether the network is told the level.
    is_gaussian : bool
        Whether the noise is; the linear path is then the filter, and not the bypass's own.
    """

    def __init__(
        self, path: nn.Module, n_features: int, n_axes: int, is_told: bool, is_gaussian: bool
    ) -> None:
        super().__init__()
        self.levels = NoiseLevels(is_told)
        self.filter = WienerFilter(n_features, n_axes)
        self.is_gaussian = is_gaussian
        self.path = path

    def encode(self, input: Tensor, level: Tensor | None = None) -> Tensor:
        """Return the rows behind noisy ones.

        Beside the filter, the network's part comes in units of the error that the filter
        is expected to make (as in Karras et al. 2022, table 1, with a matrix for `c_skip`).
        """
        level = self.levels.of(input, level)
        seen = self.levels.seen(input, level)
        if not isinstance(self.path, Bypass):
            return self.path(seen)
        if not self.is_gaussian:
            return self.path.beside(self.path.linear(input), seen)
        straight, unit, seen = self.parts(input, level)
        return self.path.beside(straight, seen, unit)

    def parts(self, input: Tensor, level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what `encode` adds up, for those who add it up themselves.

        Parameters
        ----------
        input : Tensor of shape (n_rows, n_features)
            Noisy rows.
        level : Tensor of shape (n_rows, 1)
            Their levels.

        Returns
        -------
        straight : Tensor of shape (n_rows, n_features)
            The filter's guess.
        unit : Tensor of shape (n_rows, 1)
            The unit of the network's part.
        seen : Tensor of shape (n_rows, n_inputs)
            What the network is given.
        """
        unit = (self.filter.expected_error(level) / self.filter.n_features).sqrt()
        return self.filter(input, level), unit, self.levels.seen(input, level)

    def decode(self, code: Tensor) -> Tensor:
        """Return the rows as they are."""
        return code

    def best_guess(self, noisy: Tensor, level: Tensor) -> Tensor:
        """Return the denoised rows."""
        return self.denoise(noisy, level)

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

        With levels drawn log-uniformly, what the mean loss falls by is what the rows'
        log-density rises by, in nats (Kong et al. 2023, equation 8).
        """
        return 0.5 * (self.levels.high / self.levels.low).log() / level.square()


def make_code_denoiser(
    n_features: int,
    n_components: int,
    architecture: Architecture,
    *,
    n_axes: int,
    is_told: bool,
    linear_path: bool = True,
    tied_weights: bool = False,
    code_activation: str = "identity",
    fixed_code_scale: bool = False,
    generator: torch.Generator | None = None,
) -> CodeDenoiser:
    """Assemble a denoiser through a code.

    Parameters
    ----------
    n_features, n_components : int
        Width of the rows and of the code.
    architecture : callable
        As for `make_autoencoder`; where the level is told, the encoder has one input more.
    n_axes : int
        Axes of the filter.
    is_told : bool
        Whether the network is told the level.
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
        n_told=int(is_told),
        generator=generator,
    )
    return CodeDenoiser(autoencoder, n_features, n_components, n_axes, is_told)


def make_row_denoiser(
    n_features: int,
    architecture: Architecture,
    *,
    n_axes: int,
    is_told: bool,
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
        `architecture("denoiser", n_inputs, n_features)` returns its network; where the
        level is told, `n_inputs` is one more than `n_features`.
    n_axes : int
        Axes of the filter.
    is_told : bool
        Whether the network is told the level.
    linear_path : bool, default=True
        Put a linear path beside the network.
    is_gaussian : bool, default=True
        Make that path the filter, and not a layer that is trained.
    generator : torch.Generator, default=None
        Where the linear layer's weights are drawn; None is torch's global generator.

    Returns
    -------
    denoiser : RowDenoiser
        On the CPU, in float32.
    """
    n_inputs = n_features + int(is_told)
    path = check_shape(
        architecture("denoiser", n_inputs, n_features), "denoiser", n_inputs, n_features
    )
    if linear_path:
        # The identity is a place that is left empty: what goes straight is the filter's.
        straight = (
            nn.Identity() if is_gaussian else MLP(n_features, n_features, generator=generator)
        )
        path = Bypass(straight, unless_affine(path), n_features)
    return RowDenoiser(path, n_features, n_axes, is_told, is_gaussian)

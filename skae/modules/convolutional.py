"""Convolutional architectures, for images and for sequences."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, cast

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from .architectures import (
    Role,
    ShapedArchitecture,
    check_counts,
    check_option,
    is_count,
)
from .grids import Grid, GridToRows, RowsToGrid
from .layers import ACTIVATIONS, BatchNormalization
from .mlp import MLP

POOLINGS = ("stride", "max", "average")
UPSAMPLINGS = ("transposed", "nearest", "bed_of_nails", "max_unpooling")
NORMALIZATIONS = (None, "batch")

# By the number of axes in space or time.
_CONVOLUTION: dict[int, type[nn.Conv1d | nn.Conv2d]] = {1: nn.Conv1d, 2: nn.Conv2d}
_TRANSPOSED: dict[int, type[nn.ConvTranspose1d | nn.ConvTranspose2d]] = {
    1: nn.ConvTranspose1d,
    2: nn.ConvTranspose2d,
}
_MAX_POOL: dict[int, type[nn.MaxPool1d | nn.MaxPool2d]] = {1: nn.MaxPool1d, 2: nn.MaxPool2d}
_AVERAGE_POOL: dict[int, type[nn.AvgPool1d | nn.AvgPool2d]] = {1: nn.AvgPool1d, 2: nn.AvgPool2d}


@dataclass(frozen=True)
class ConvolutionConfig:
    """The stages of a convolutional network, whatever the number of axes.

    Attributes have the names of the parameters of `ConvolutionalArchitecture`.
    """

    channels: tuple[int, ...]
    kernel_size: int
    pooling: str
    upsampling: str
    normalization: str | None
    activation: str
    dense: tuple[int, ...]

    def list_sizes(self, grid: Grid) -> list[tuple[int, ...]]:
        """Return the sizes of the grid before and after each stage: halves, rounded up."""
        sizes = [grid.sizes]
        for _ in self.channels:
            sizes.append(tuple((length + 1) // 2 for length in sizes[-1]))
        return sizes

    def count_units(self, grid: Grid) -> int:
        """Return the number of values behind the last stage."""
        return self.channels[-1] * math.prod(self.list_sizes(grid)[-1])


class HalvingStage(nn.Module):
    """A convolution, and half the resolution, rounded up.

    Parameters
    ----------
    config : ConvolutionConfig
        Its parts.
    n_axes : int
        Number of axes: 1 for sequences, 2 for images.
    n_inputs, n_outputs : int
        Number of channels.
    """

    def __init__(self, config: ConvolutionConfig, n_axes: int, n_inputs: int, n_outputs: int):
        super().__init__()
        stride = 2 if config.pooling == "stride" else 1
        self.convolution = _CONVOLUTION[n_axes](
            n_inputs, n_outputs, config.kernel_size, stride, config.kernel_size // 2
        )
        self.finish = _Finish(config, n_outputs)
        self.pool: nn.Module | None = None
        if config.pooling == "max":
            keeps_switches = config.upsampling == "max_unpooling"
            self.pool = _MAX_POOL[n_axes](2, ceil_mode=True, return_indices=keeps_switches)
        elif config.pooling == "average":
            self.pool = _AVERAGE_POOL[n_axes](2, ceil_mode=True)

    def forward(self, input: Tensor) -> Tensor:
        """Return the grid of half the resolution."""
        return self.halve(input)[0]

    def halve(self, input: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the grid of half the resolution, and where its maxima were, if that is kept."""
        output = self.finish(self.convolution(input))
        if self.pool is not None:
            output = self.pool(output)
        return output if isinstance(output, tuple) else (output, None)


class DoublingStage(nn.Module):
    """Twice the resolution, less what rounding up has added, and a convolution.

    Parameters
    ----------
    config : ConvolutionConfig
        Its parts.
    sizes : tuple of int
        Sizes of the grid that it returns.
    n_inputs, n_outputs : int
        Number of channels.
    is_last : bool, default=False
        Whether its outputs are linear.
    """

    def __init__(
        self,
        config: ConvolutionConfig,
        sizes: tuple[int, ...],
        n_inputs: int,
        n_outputs: int,
        is_last: bool = False,
    ):
        super().__init__()
        n_axes, margin = len(sizes), config.kernel_size // 2
        self.sizes = sizes
        self.upsampling = config.upsampling
        if config.upsampling == "transposed":
            self.convolution: nn.Module = _TRANSPOSED[n_axes](
                n_inputs, n_outputs, config.kernel_size, 2, margin
            )
        else:
            self.convolution = _CONVOLUTION[n_axes](
                n_inputs, n_outputs, config.kernel_size, padding=margin
            )
        self.finish = nn.Identity() if is_last else _Finish(config, n_outputs)

    def forward(self, input: Tensor, switches: Tensor | None = None) -> Tensor:
        """Return the grid of twice the resolution."""
        if self.upsampling == "transposed":
            return self.finish(self.convolution(input, list(self.sizes)))
        return self.finish(self.convolution(self._spread(input, switches)))

    def _spread(self, input: Tensor, switches: Tensor | None) -> Tensor:
        n_axes = len(self.sizes)
        if switches is not None:
            unpool = functional.max_unpool1d if n_axes == 1 else functional.max_unpool2d
            return unpool(input, switches, [2] * n_axes, output_size=list(self.sizes))
        if self.upsampling == "nearest":
            for axis, length in enumerate(self.sizes, 2):
                input = input.repeat_interleave(2, dim=axis).narrow(axis, 0, length)
            return input
        nails = input.new_zeros(*input.shape[:2], *self.sizes)
        nails[(..., *[slice(None, None, 2)] * n_axes)] = input  # type: ignore[index]
        return nails


class ConvolutionalEncoder(nn.Module):
    """Stages of halves, then a perceptron to the code.

    Parameters
    ----------
    config : ConvolutionConfig
        Its parts.
    grid : Grid
        Where the cells of a row lie.
    n_conditions : int
        Number of inputs behind the cells.
    n_outputs : int
        Number of outputs.
    """

    def __init__(self, config: ConvolutionConfig, grid: Grid, n_conditions: int, n_outputs: int):
        super().__init__()
        self.to_grid = RowsToGrid(grid, n_conditions)
        widths = pairwise([self.to_grid.n_channels, *config.channels])
        n_axes = len(grid.sizes)
        self.stages = nn.Sequential(*[HalvingStage(config, n_axes, a, b) for a, b in widths])
        self.dense = MLP(config.count_units(grid), n_outputs, config.dense, config.activation)

    def forward(self, input: Tensor) -> Tensor:
        """Map `(n_rows, n_inputs)` to `(n_rows, n_outputs)`."""
        return self.dense(self.stages(self.to_grid(input)).flatten(1))


class ConvolutionalDecoder(nn.Module):
    """The mirror image of the encoder: a perceptron, then stages of doubles.

    Parameters
    ----------
    config : ConvolutionConfig
        Its parts.
    grid : Grid
        Where the cells of a row lie.
    n_inputs : int
        Size of the code.
    """

    def __init__(self, config: ConvolutionConfig, grid: Grid, n_inputs: int):
        super().__init__()
        sizes = config.list_sizes(grid)[::-1]
        self.smallest = (config.channels[-1], *sizes[0])
        n_units = config.count_units(grid)
        self.dense = MLP(n_inputs, n_units, config.dense[::-1], config.activation)
        self.activation = ACTIVATIONS[config.activation]()
        widths = [*config.channels[::-1], grid.n_channels]
        self.stages = nn.Sequential(
            *[
                DoublingStage(config, sizes[i + 1], a, b, is_last=i == len(config.channels) - 1)
                for i, (a, b) in enumerate(pairwise(widths))
            ]
        )
        self.to_rows = GridToRows(grid)

    def forward(self, input: Tensor) -> Tensor:
        """Map `(n_rows, n_inputs)` to `(n_rows, n_cells)`."""
        grid = self.activation(self.dense(input)).reshape(-1, *self.smallest)
        return self.to_rows(self.stages(grid))


class ConvolutionalDenoiser(nn.Module):
    """Stages of halves and of doubles without a code; each double adds what its half was given.

    Such a network is known as a U-net (Ronneberger, Fischer and Brox 2015), here with sums.

    Parameters
    ----------
    config : ConvolutionConfig
        Its parts.
    grid : Grid
        Where the cells of a row lie.
    n_conditions : int
        Number of inputs behind the cells.
    """

    def __init__(self, config: ConvolutionConfig, grid: Grid, n_conditions: int):
        super().__init__()
        n_axes, margin = len(grid.sizes), config.kernel_size // 2
        first, *others = config.channels
        convolution = _CONVOLUTION[n_axes]
        self.to_grid = RowsToGrid(grid, n_conditions)
        self.begin = convolution(self.to_grid.n_channels, first, config.kernel_size, padding=margin)
        self.finish = _Finish(config, first)
        widths = list(pairwise([first, first, *others]))
        sizes = config.list_sizes(grid)[:-1]
        self.halves = nn.ModuleList(HalvingStage(config, n_axes, a, b) for a, b in widths)
        back = zip(reversed(widths), reversed(sizes), strict=True)
        self.doubles = nn.ModuleList(DoublingStage(config, s, b, a) for (a, b), s in back)
        self.end = convolution(first, grid.n_channels, config.kernel_size, padding=margin)
        self.to_rows = GridToRows(grid)

    def forward(self, input: Tensor) -> Tensor:
        """Map `(n_rows, n_inputs)` to `(n_rows, n_cells)`."""
        grid, kept = self.finish(self.begin(self.to_grid(input))), []
        for stage in self.halves:
            smaller, switches = cast(HalvingStage, stage).halve(grid)
            kept.append((grid, switches))
            grid = smaller
        for stage, (given, switches) in zip(self.doubles, reversed(kept), strict=True):
            grid = stage(grid, switches) + given
        return self.to_rows(self.end(grid))


class _Finish(nn.Module):
    """What follows a convolution: a normalization, if there is one, and an activation."""

    def __init__(self, config: ConvolutionConfig, n_channels: int) -> None:
        super().__init__()
        is_normalized = config.normalization == "batch"
        self.normalization = BatchNormalization(n_channels) if is_normalized else None
        self.activation = ACTIVATIONS[config.activation]()

    def forward(self, input: Tensor) -> Tensor:
        if self.normalization is not None:
            input = self.normalization(input)
        return self.activation(input)


class _Convolutions(ShapedArchitecture):
    """Abstract: what the architectures for images and for sequences share."""

    channels: Sequence[int]
    kernel_size: int
    pooling: str
    upsampling: str
    normalization: str | None
    activation: str
    dense: Sequence[int]

    @abstractmethod
    def _make_grid(self) -> Grid:
        """Return where the cells of a row lie."""

    def _check_parameters(self) -> None:
        """Raise for parameters from which no network can be built."""
        self._make_config()
        self._check_shape()

    def label_channels(self) -> np.ndarray:
        """Return the channel of each cell of a row.

        Returns
        -------
        channels : ndarray of int of shape (n_cells,)
            From 0 on.
        """
        return self._make_grid().label_channels()

    def _make_config(self) -> ConvolutionConfig:
        check_option("pooling", self.pooling, POOLINGS)
        check_option("upsampling", self.upsampling, UPSAMPLINGS)
        check_option("normalization", self.normalization, NORMALIZATIONS)
        check_option("activation", self.activation, list(ACTIVATIONS))
        if not is_count(self.kernel_size) or self.kernel_size % 2 == 0:
            raise ValueError(
                "kernel_size must be an odd positive integer, which has a cell in the middle, got "
                f"{self.kernel_size!r}"
            )
        if self.upsampling == "max_unpooling" and self.pooling != "max":
            raise ValueError(
                'upsampling="max_unpooling" puts values back where maxima were, which requires '
                f'pooling="max", got pooling={self.pooling!r}'
            )
        return ConvolutionConfig(
            check_counts("channels", self.channels, least=1),
            int(self.kernel_size),
            self.pooling,
            self.upsampling,
            self.normalization,
            self.activation,
            check_counts("dense", self.dense),
        )

    def __call__(self, role: Role, n_inputs: int, n_outputs: int) -> nn.Module:
        """Return the network that plays `role`.

        Parameters
        ----------
        role : {"encoder", "decoder", "denoiser", "discriminator"}
            What it is for.
        n_inputs, n_outputs : int
            Number of inputs and outputs. An encoder's or a denoiser's inputs are the cells of a
            row, and maybe one more: a noise level, which each place is given as a channel.

        Returns
        -------
        network : torch.nn.Module
            On the CPU, with weights drawn from torch's global generator.
        """
        config = self._make_config()
        if role != "denoiser" and config.upsampling == "max_unpooling":
            raise ValueError(
                'upsampling="max_unpooling" requires a network without a code: it puts values '
                "back where the encoder's maxima were, and would carry the row past the code; use "
                '"transposed", "nearest" or "bed_of_nails", or a denoiser with n_components=None'
            )
        if role == "decoder":
            self._check_outputs(n_outputs)
            return ConvolutionalDecoder(config, self._make_grid(), n_inputs)
        n_conditions = self._count_conditions(n_inputs)
        if role in ("encoder", "discriminator"):
            return ConvolutionalEncoder(config, self._make_grid(), n_conditions, n_outputs)
        self._check_outputs(n_outputs)
        return ConvolutionalDenoiser(config, self._make_grid(), n_conditions)


class ConvolutionalArchitecture(_Convolutions):
    """Convolutional networks for images.

    An encoder halves the resolution in each stage, and a perceptron maps what is left to the code.
    The decoder is its mirror image, for images of any size. Without a code, each stage of the way
    back is given what the stage on the way down was given.

    Parameters
    ----------
    channels : sequence of int, default=(16, 32, 64)
        Channels of each stage, from the image on.
    kernel_size : int, default=3
        Side of the convolutions' kernels; odd.
    pooling : {"stride", "max", "average"}, default="stride"
        How a stage halves the resolution: by a convolution that takes two steps at a time, or by
        the largest or the mean of four cells.
    upsampling : {"transposed", "nearest", "bed_of_nails", "max_unpooling"}, default="transposed"
        How a stage doubles it: by a transposed convolution; or by a convolution of cells that are
        repeated, that have zeros between them, or that lie where the maxima were [1]_. The last
        one needs `pooling="max"`, and a denoiser without a code.
    normalization : "batch" or None, default=None
        "batch" normalizes each channel behind a convolution [2]_.
    activation : str, default="leaky_relu"
        A key of `skae.modules.ACTIVATIONS`.
    dense : sequence of int, default=(256,)
        Hidden units between the last stage and the code.
    shape : tuple of int, default=None
        Shape of a row: `(height, width)`, `(height, width, channels)` or `(channels, height,
        width)`. Of three axes, the shorter one of the first and the last has the channels. None is
        the shape that rows have in `fit`.

    See Also
    --------
    TemporalConvolutionArchitecture : The same for sequences.

    References
    ----------
    .. [1] Zeiler and Fergus (2014), "Visualizing and understanding convolutional networks",
       ECCV, section 2.1.
    .. [2] Ioffe and Szegedy (2015), "Batch normalization", ICML.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.modules import ConvolutionalArchitecture
    >>> images = load_digits().images
    >>> architecture = ConvolutionalArchitecture(channels=(8, 16), dense=())
    >>> autoencoder = AutoencoderTransformer(8, architecture=architecture, max_epochs=5)
    >>> autoencoder.fit(images).reconstruct(images).shape
    (1797, 8, 8)
    """

    row_forms: ClassVar[dict[int, str]] = {
        2: "height, width",
        3: "height, width, channels",
    }

    def __init__(
        self,
        channels: Sequence[int] = (16, 32, 64),
        *,
        kernel_size: int = 3,
        pooling: str = "stride",
        upsampling: str = "transposed",
        normalization: str | None = None,
        activation: str = "leaky_relu",
        dense: Sequence[int] = (256,),
        shape: Sequence[int] | None = None,
    ) -> None:
        self.channels = channels
        self.kernel_size = kernel_size
        self.pooling = pooling
        self.upsampling = upsampling
        self.normalization = normalization
        self.activation = activation
        self.dense = dense
        self.shape = shape

    def _make_grid(self) -> Grid:
        return Grid.from_image(self.shape or ())


class TemporalConvolutionArchitecture(_Convolutions):
    """Convolutional networks for sequences.

    Parameters
    ----------
    channels : sequence of int, default=(16, 32, 64)
        Channels of each stage, from the sequence on.
    kernel_size : int, default=3
        Length of the convolutions' kernels; odd.
    pooling : {"stride", "max", "average"}, default="stride"
        How a stage halves the resolution: by a convolution that takes two steps at a time, or by
        the largest or the mean of two steps.
    upsampling : {"transposed", "nearest", "bed_of_nails", "max_unpooling"}, default="transposed"
        How a stage doubles it, as in `ConvolutionalArchitecture`.
    normalization : "batch" or None, default=None
        "batch" normalizes each channel behind a convolution.
    activation : str, default="leaky_relu"
        A key of `skae.modules.ACTIVATIONS`.
    dense : sequence of int, default=(256,)
        Hidden units between the last stage and the code.
    shape : tuple of int, default=None
        Shape of a row: `(time,)` or `(time, features)`. None is the shape that rows have in
        `fit`.

    See Also
    --------
    ConvolutionalArchitecture : The same for images.
    RecurrentArchitecture : One step after the other.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import TemporalConvolutionArchitecture
    >>> architecture = TemporalConvolutionArchitecture((8, 16), shape=(50, 3))
    >>> architecture("encoder", 150, 4)(torch.zeros(2, 150)).shape
    torch.Size([2, 4])
    """

    row_forms: ClassVar[dict[int, str]] = {1: "time", 2: "time, features"}

    def __init__(
        self,
        channels: Sequence[int] = (16, 32, 64),
        *,
        kernel_size: int = 3,
        pooling: str = "stride",
        upsampling: str = "transposed",
        normalization: str | None = None,
        activation: str = "leaky_relu",
        dense: Sequence[int] = (256,),
        shape: Sequence[int] | None = None,
    ) -> None:
        self.channels = channels
        self.kernel_size = kernel_size
        self.pooling = pooling
        self.upsampling = upsampling
        self.normalization = normalization
        self.activation = activation
        self.dense = dense
        self.shape = shape

    def _make_grid(self) -> Grid:
        return Grid.from_sequence(self.shape or ())

"""The way back from a unit of a convolutional network to the pixels that it responds to."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from .._environment import isolate_torch
from ..modules.convolutional import ConvolutionalDenoiser, ConvolutionalEncoder, HalvingStage
from ..modules.encoder_decoder import EncoderDecoder
from ..modules.grids import Grid

# Images whose responses are computed at a time.
_BLOCK = 500


@dataclass(frozen=True)
class Responses:
    """What makes units respond, strongest first.

    Attributes
    ----------
    units : ndarray of int of shape (n_units,)
        Their places among the channels.
    activations : ndarray of shape (n_units, n_patches)
        The largest response of each of the images that a unit responds to most.
    patches, projections : ndarray of shape (n_units, n_patches, height, width, n_channels)
        What of the image a unit sees there, and its response on the way back.
    """

    units: np.ndarray
    activations: np.ndarray
    patches: np.ndarray
    projections: np.ndarray


class Layer(nn.Module):
    """A convolution, what follows it, and pooling; the way back is rectified.

    Parameters
    ----------
    convolution : torch.nn.Conv2d
        The convolution.
    normalization : torch.nn.Module or None
        What follows it.
    activation : torch.nn.Module
        The activation.
    pool : torch.nn.Module or None, default=None
        Pooling of two by two cells.
    """

    def __init__(
        self,
        convolution: nn.Module,
        normalization: nn.Module | None,
        activation: nn.Module,
        pool: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.convolution = convolution
        self.normalization = normalization
        self.activation = activation
        self.pool = pool

    def forward(self, input: Tensor) -> Tensor:
        """Return the units' responses."""
        output = self.convolution(input)
        if self.normalization is not None:
            output = self.normalization(output)
        output = _RectifyBack.apply(output, self.activation)  # type: ignore[no-untyped-call]
        if self.pool is not None:
            output = self.pool(output)
        return output[0] if isinstance(output, tuple) else output


class _RectifyBack(torch.autograd.Function):
    """An activation whose way back lets positive signals through, whatever its slope is."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
        return activation(input)

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> tuple[Tensor, None]:
        return signals[0].clamp_min(0), None


class Deconvolution:
    """The first layers of a network, forth and back.

    The gradient of a convolution is its transpose, and that of a maximum goes to where it was: so
    the way back of Zeiler and Fergus is a gradient with another rule for activations.

    Parameters
    ----------
    module : EncoderDecoder
        A fitted module of skae.
    layer : int
        The last layer; negative ones count from the end.
    """

    def __init__(self, module: EncoderDecoder, layer: int) -> None:
        self.module = deepcopy(module).eval().cpu().float()
        self.network = find_convolutions(self.module)
        layers = list_layers(self.network)
        if not -len(layers) <= layer < len(layers):
            raise ValueError(
                f"layer must be an integer from {-len(layers)} to {len(layers) - 1}, for a network "
                f"of {len(layers)} layers, got {layer!r}"
            )
        self.layers = nn.Sequential(*layers[: layer % len(layers) + 1])

    @property
    def grid(self) -> Grid:
        """Where the cells of a row lie."""
        return self.network.to_grid.grid

    def read_grids(self, rows: np.ndarray) -> Tensor:
        """Return what the network is given for scaled rows, such as with a noise level behind."""
        seen: list[Tensor] = []
        hook = self.network.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        try:
            with torch.no_grad():
                self.module.encode(torch.from_numpy(rows).float())
        finally:
            hook.remove()
        return self.network.to_grid(seen[0])

    def find_largest(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return each image's largest response of each unit, and the place of it.

        Parameters
        ----------
        rows : ndarray of shape (n_images, n_cells)
            Scaled rows.

        Returns
        -------
        responses : ndarray of shape (n_images, n_units)
            The largest responses.
        places : ndarray of int of shape (n_images, n_units, 2)
            Their row and column in the grid of the units.
        """
        responses, places = [], []
        for start in range(0, len(rows), _BLOCK):
            with torch.no_grad():
                output = self.layers(self.read_grids(rows[start : start + _BLOCK]))
            values, indices = output.flatten(2).max(dim=2)
            responses.append(values.numpy())
            places.append(np.stack(np.unravel_index(indices.numpy(), output.shape[2:]), axis=-1))
        return np.concatenate(responses), np.concatenate(places)

    def project(self, rows: np.ndarray, unit: int, places: np.ndarray) -> np.ndarray:
        """Return one response of each image, on the way back to the pixels.

        Parameters
        ----------
        rows : ndarray of shape (n_images, n_cells)
            Scaled rows.
        unit : int
            The unit.
        places : ndarray of int of shape (n_images, 2)
            Where its response is taken; all others are set to zero.

        Returns
        -------
        projections : ndarray of shape (n_images, height, width, n_channels)
            In units of scaled cells.
        """
        grids = self.read_grids(rows).requires_grad_()
        output = self.layers(grids)
        across, down = np.arange(len(rows)), torch.from_numpy(places)
        signal = torch.zeros_like(output)
        taken = (across, unit, down[:, 0], down[:, 1])
        signal[taken] = output.detach()[taken].clamp_min(0)
        (back,) = torch.autograd.grad(output, grids, signal)
        return back[:, : self.grid.n_channels].movedim(1, -1).numpy()

    def find_window(self, place: np.ndarray) -> tuple[slice, slice]:
        """Return the part of an image that a unit sees, moved into the image."""
        first, length, step = 0, 1, 1
        for layer in cast(Sequence[Layer], self.layers):
            convolution = cast(nn.Conv2d, layer.convolution)
            width, stride = convolution.kernel_size[0], convolution.stride[0]
            first, length = first - width // 2 * step, length + (width - 1) * step
            step *= stride
            if layer.pool is not None:
                length, step = length + step, 2 * step
        windows = []
        for size, at in zip(self.grid.sizes, place, strict=True):
            seen = min(length, size)
            begin = int(np.clip(at * step + first, 0, size - seen))
            windows.append(slice(begin, begin + seen))
        return windows[0], windows[1]


def find_convolutions(module: nn.Module) -> ConvolutionalEncoder | ConvolutionalDenoiser:
    """Return the convolutional network for images in a module."""
    for part in module.modules():
        if not isinstance(part, ConvolutionalEncoder | ConvolutionalDenoiser):
            continue
        if len(part.to_grid.grid.sizes) == 2:
            return part
    raise TypeError(
        "estimator must have a convolutional encoder for images, such as "
        'architecture="convolutional"; the units of other networks see no patches of an image'
    )


def list_layers(network: ConvolutionalEncoder | ConvolutionalDenoiser) -> list[Layer]:
    """Return a network's layers, from the image on."""
    layers: list[Layer] = []
    stages: nn.Module
    if isinstance(network, ConvolutionalDenoiser):
        finish, stages = network.finish, network.halves
        layers.append(Layer(network.begin, finish.normalization, finish.activation))
    else:
        stages = network.stages
    for stage in cast(Sequence[HalvingStage], stages):
        finish = stage.finish
        layers.append(Layer(stage.convolution, finish.normalization, finish.activation, stage.pool))
    return layers


@isolate_torch()
def find_responses(
    module: EncoderDecoder,
    images: np.ndarray,
    scaled: np.ndarray,
    *,
    layer: int,
    units: Sequence[int] | None,
    n_units: int,
    n_patches: int,
) -> Responses:
    """Return what makes units respond, among images.

    Parameters
    ----------
    module : EncoderDecoder
        A fitted module of skae.
    images, scaled : ndarray of shape (n_images, n_cells)
        The images, and as the module takes them.
    layer : int
        The layer of the units; negative ones count from the end.
    units : sequence of int or None
        The units; None is those of the strongest responses.
    n_units, n_patches : int
        Number of units if `units` is None, and of images for each.
    """
    way = Deconvolution(module, layer)
    grid = way.grid
    if scaled.shape[1] != grid.n_cells:
        raise ValueError(
            f"X must have the {grid.n_cells} cells of the images that estimator was fitted to, got "
            f"{scaled.shape[1]}"
        )
    if grid.channels_first:
        images = images.reshape(-1, grid.n_channels, *grid.sizes).transpose(0, 2, 3, 1)
    images = images.reshape(-1, *grid.sizes, grid.n_channels)
    responses, places = way.find_largest(scaled)
    order = np.argsort(-responses, axis=0, kind="stable")[:n_patches]
    strongest = np.take_along_axis(responses, order, axis=0)
    if units is None:
        chosen = np.argsort(-strongest.mean(axis=0), kind="stable")[:n_units]
    else:
        chosen = check_units(units, responses.shape[1])
    patches, projections = [], []
    for unit in chosen:
        rows = order[:, unit]
        back = way.project(scaled[rows], int(unit), places[rows, unit])
        windows = [way.find_window(place) for place in places[rows, unit]]
        patches.append([images[row][window] for row, window in zip(rows, windows, strict=True)])
        projections.append([part[window] for part, window in zip(back, windows, strict=True)])
    return Responses(chosen, strongest[:, chosen].T, np.array(patches), np.array(projections))


def check_units(units: Sequence[int], n_units: int) -> np.ndarray:
    """Return the places of units, each one that the layer has."""
    chosen = np.asarray(units)
    if chosen.ndim != 1 or chosen.dtype.kind not in "iu" or not len(chosen):
        raise TypeError(f"units must be a sequence of integers, got {units!r}")
    if chosen.min() < 0 or chosen.max() >= n_units:
        raise ValueError(
            f"units must be from 0 to {n_units - 1}, for a layer of {n_units}, got {units!r}"
        )
    return chosen

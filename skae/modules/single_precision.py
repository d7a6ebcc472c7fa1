"""A network that computes in float32, whatever the precision of its rows."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from .mlp import is_mlp
from .slopes import SLOPES, Slope, has_slope

#: Beyond it float32 would overflow within a network.
LARGEST = 1e12

# Products with a number of columns that is not a whole number of the processor's vectors take up
# to twice as long.
_VECTOR = 16

# Products with fewer rows, or with another number than a multiple of that, are computed otherwise.
_LEAST_ROWS = 8


class SinglePrecision(nn.Module):
    """A network in float32, for rows of any precision.

    A row's result does not depend on the other rows: products have a fixed number of rows, of
    which the last are zeros. Numbers beyond 1e12 count as that.

    Parameters
    ----------
    network : torch.nn.Module
        The network, in float32, whose weights won't change any more.

    Attributes
    ----------
    length : int
        Rows of a product.
    perceptron : PaddedPerceptron or None
        The network's layers; None if it is no perceptron.
    """

    length = 192

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.perceptron = PaddedPerceptron.from_network(network)

    def forward(self, input: Tensor) -> Tensor:
        """Map rows to the network's outputs, in the rows' precision."""
        rows = input.float().clamp(-LARGEST, LARGEST)
        if n_missing := -len(rows) % self.length:
            rows = pad(rows, [0, 0] * (rows.ndim - 1) + [0, n_missing])
        perceptron = self.perceptron
        if perceptron is None:
            out = torch.cat([self.network(part) for part in rows.split(self.length)])
        else:
            out = perceptron.apply(rows, self.length)[..., : perceptron.n_outputs]
        return out[: len(input)].to(input.dtype)

    def find_tangents(self, input: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return the outputs of rows, and their derivatives by each input.

        Derivatives are pushed forward, through products of a fixed number of rows, so that a row's
        do not depend on the other rows.

        Parameters
        ----------
        input : Tensor of shape (n_rows, n_inputs)
            The rows.

        Returns
        -------
        outputs : Tensor of shape (n_rows, n_outputs)
            The outputs.
        tangents : Tensor of shape (n_rows, n_inputs, n_outputs)
            The derivatives. Both are None unless the network is a perceptron with hidden layers
            whose activation's slope is known.
        """
        perceptron, (n_rows, n_inputs) = self.perceptron, input.shape
        if perceptron is None or perceptron.slope is None or len(perceptron.layers) == 1:
            return None
        length = self.length // n_inputs
        length = max(_LEAST_ROWS, length - length % _LEAST_ROWS)
        rows = pad(input.float().clamp(-LARGEST, LARGEST), (0, 0, 0, -n_rows % length))
        out, tangents = perceptron.find_tangents(rows, length, perceptron.slope)
        n_outputs = perceptron.n_outputs
        tangents = tangents[:n_rows, :, :n_outputs].to(input.dtype)
        return out[:n_rows, :n_outputs].to(input.dtype), tangents


@dataclass(frozen=True)
class PaddedPerceptron:
    """The layers of a perceptron, of which the last has further outputs: a whole number of vectors.

    Calls of modules would take a tenth of the time of products as short as these.

    Attributes
    ----------
    layers : list of (Tensor, Tensor)
        Weights and biases, from the input on.
    activate : callable
        Returns the outputs of a layer's activation; the last layer has none.
    slope : Slope or None
        That of the activation; None if it isn't known.
    n_outputs : int
        How many of the outputs count.
    """

    layers: list[tuple[Tensor, Tensor]]
    activate: Callable[[Tensor], Tensor]
    slope: Slope | None
    n_outputs: int

    @classmethod
    def from_network(cls, network: nn.Module) -> "PaddedPerceptron | None":
        """Return the layers of a perceptron, None of another network."""
        if not is_mlp(network):
            return None
        layers = [(own.weight.detach(), own.bias.detach()) for own in network.linear_layers]
        weight, bias = layers[-1]
        n_missing = -len(bias) % _VECTOR
        layers[-1] = pad(weight, (0, 0, 0, n_missing)), pad(bias, (0, n_missing))
        activation = network.activation
        slope = SLOPES[type(activation)] if has_slope(activation) else None
        return cls(layers, activation.forward, slope, len(bias))

    def apply(self, rows: Tensor, length: int) -> Tensor:
        """Return the outputs of rows, so many at a time, in memory that all use in turn."""
        *hidden, (weight, bias) = self.layers
        if rows.ndim > 2 or rows.requires_grad or len(rows) == 0:
            return torch.cat([self._apply_to_any(part) for part in rows.split(length)])
        whole = rows.new_empty(len(rows), len(bias))
        memory = [rows.new_empty(length, len(own)) for _, own in hidden]
        for part, out in zip(rows.split(length), whole.split(length), strict=True):
            for layer, own in zip(hidden, memory, strict=True):
                part = self.activate(torch.addmm(layer[1], part, layer[0].T, out=own))
            torch.addmm(bias, part, weight.T, out=out)
        return whole

    def _apply_to_any(self, rows: Tensor) -> Tensor:
        """Return the outputs of sequences, or with what their gradient needs."""
        *hidden, last = self.layers
        for weight, bias in hidden:
            rows = self.activate(linear(rows, weight, bias))
        return linear(rows, *last)

    def find_tangents(self, rows: Tensor, length: int, slope: Slope) -> tuple[Tensor, Tensor]:
        """Return the outputs of rows, and their derivatives (n_rows, n_inputs, n_outputs).

        So many rows are computed at a time, in memory that all use in turn.
        """
        *hidden, (last, bias) = self.layers
        n_inputs = rows.shape[1]
        whole = rows.new_empty(len(rows), len(bias))
        derivatives = rows.new_empty(len(rows) // length, n_inputs, length, len(bias))
        values = [rows.new_empty(length, len(own)) for _, own in hidden]
        slopes = [torch.empty_like(own) for own in values]
        pushed = [rows.new_empty(n_inputs, length, len(own)) for _, own in hidden]
        first = hidden[0][0].T.unsqueeze(1).contiguous()
        parts = zip(rows.split(length), whole.split(length), derivatives, strict=True)
        for part, out, derivative in parts:
            tangents = first
            for number, (weight, own) in enumerate(hidden):
                before = torch.addmm(own, part, weight.T, out=values[number])
                if number > 0:
                    next_tangents = pushed[number].flatten(0, 1)
                    torch.mm(tangents.flatten(0, 1), weight.T, out=next_tangents)
                    tangents = pushed[number]
                part = self.activate(before)
                factor = slope(slopes[number].fill_(1.0), before, part)
                tangents = torch.mul(tangents, factor, out=pushed[number])
            torch.mm(tangents.flatten(0, 1), last.T, out=derivative.flatten(0, 1))
            torch.addmm(bias, part, last.T, out=out)
        return whole, derivatives.transpose(1, 2).flatten(0, 1)

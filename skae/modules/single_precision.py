"""A network that computes in float32, whatever the precision of its rows."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from .mlp import is_mlp

#: Beyond it float32 would overflow within a network.
LARGEST = 1e12

# Products with a number of columns that is not a whole number of the processor's vectors take up
# to twice as long.
_VECTOR = 16


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
    """

    length = 192

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._perceptron = _Perceptron.from_network(network)

    def forward(self, input: Tensor) -> Tensor:
        """Map rows to the network's outputs, in the rows' precision."""
        rows = input.float().clamp(-LARGEST, LARGEST)
        if n_missing := -len(rows) % self.length:
            rows = pad(rows, [0, 0] * (rows.ndim - 1) + [0, n_missing])
        network = self.network if self._perceptron is None else self._perceptron.apply
        out = torch.cat([network(part) for part in rows.split(self.length)])[: len(input)]
        if self._perceptron is not None:
            out = out[..., : self._perceptron.n_outputs]
        return out.to(input.dtype)


@dataclass(frozen=True)
class _Perceptron:
    """The layers of a perceptron, of which the last has further outputs: a whole number of vectors.

    Calls of modules would take a tenth of the time of products as short as these.

    Attributes
    ----------
    layers : list of (Tensor, Tensor)
        Weights and biases, from the input on.
    activate : callable
        Returns the outputs of a layer's activation; the last layer has none.
    n_outputs : int
        How many of the outputs count.
    """

    layers: list[tuple[Tensor, Tensor]]
    activate: Callable[[Tensor], Tensor]
    n_outputs: int

    @classmethod
    def from_network(cls, network: nn.Module) -> "_Perceptron | None":
        """Return the layers of a perceptron, None of another network."""
        if not is_mlp(network):
            return None
        layers = [(own.weight.detach(), own.bias.detach()) for own in network.linear_layers]
        weight, bias = layers[-1]
        n_missing = -len(bias) % _VECTOR
        layers[-1] = pad(weight, (0, 0, 0, n_missing)), pad(bias, (0, n_missing))
        return cls(layers, network.activation.forward, len(bias))

    def apply(self, rows: Tensor) -> Tensor:
        """Return the outputs of rows."""
        *hidden, last = self.layers
        for weight, bias in hidden:
            rows = self.activate(linear(rows, weight, bias))
        return linear(rows, *last)

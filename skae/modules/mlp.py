"""Multilayer perceptrons, with weights of their own or tied to another's."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeGuard, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils import parametrize

from .layers import ACTIVATIONS, Dropout, has_hooks, make_linear


class MLP(nn.Module):
    """A multilayer perceptron with a linear last layer.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Number of inputs and outputs.
    hidden_layer_sizes : sequence of int, default=()
        Units of each hidden layer, from the input on; without any the map is affine.
    activation : str, default="silu"
        "elu", "gelu", "identity", "leaky_relu", "logistic", "relu", "silu" or "tanh", after
        each hidden layer.
    dropout : float, default=0.0
        Share of the hidden units that is zeroed while training.
    generator : torch.Generator, default=None
        Source of weights and dropout masks; None is torch's global generator.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import MLP
    >>> MLP(5, 2, (16, 8))(torch.zeros(3, 5)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        n_inputs: int,
        n_outputs: int,
        hidden_layer_sizes: Sequence[int] = (),
        activation: str = "silu",
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        sizes = [n_inputs, *hidden_layer_sizes, n_outputs]
        self.layers = nn.ModuleList(make_linear(a, b, generator) for a, b in pairwise(sizes))
        self.activation = ACTIVATIONS[activation]()
        self.dropout = Dropout(dropout, generator)

    @property
    def linear_layers(self) -> list[nn.Linear]:
        """Its layers, from the input on."""
        return cast(list[nn.Linear], list(self.layers))

    def forward(self, input: Tensor) -> Tensor:
        """Map `(n_rows, n_inputs)` to `(n_rows, n_outputs)`."""
        return _run(self, input)


class TransposedMLP(nn.Module):
    """The mirror image of an `MLP`: its weights transposed, biases of its own.

    Parameters
    ----------
    mlp : MLP
        The network to mirror. Its weights are shared, not copied: training one trains the
        other (Vincent et al. 2010, section 2.2).
    n_outputs : int, default=None
        Number of outputs, the first of `mlp`'s inputs; None is all of them.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import MLP, TransposedMLP
    >>> encoder = MLP(5, 2, (16,))
    >>> TransposedMLP(encoder)(torch.zeros(3, 2)).shape
    torch.Size([3, 5])
    """

    def __init__(self, mlp: MLP, n_outputs: int | None = None) -> None:
        super().__init__()
        first, *others = mlp.linear_layers
        mirrored = [TransposedLinear(layer) for layer in reversed(others)]
        self.layers = nn.ModuleList([*mirrored, TransposedLinear(first, n_outputs)])
        self.activation = mlp.activation
        self.dropout = mlp.dropout

    @property
    def linear_layers(self) -> "list[TransposedLinear]":
        """Its layers, from the input on."""
        return cast(list[TransposedLinear], list(self.layers))

    def forward(self, input: Tensor) -> Tensor:
        """Map `(n_rows, mlp's outputs)` to `(n_rows, mlp's inputs)`."""
        return _run(self, input)


class TransposedLinear(nn.Module):
    """The transpose of a linear layer, with a bias of its own.

    Parameters
    ----------
    layer : torch.nn.Linear
        The layer whose weight is shared.
    n_outputs : int, default=None
        Number of outputs, the first of `layer`'s inputs; None is all of them.
    """

    def __init__(self, layer: nn.Linear, n_outputs: int | None = None) -> None:
        super().__init__()
        self.weight = layer.weight
        self.bias = nn.Parameter(torch.zeros(n_outputs or layer.in_features))

    def forward(self, input: Tensor) -> Tensor:
        """Map `(n_rows, layer's outputs)` to `(n_rows, layer's inputs)`."""
        return linear(input, self.weight.T[: len(self.bias)], self.bias)


def is_perceptron(network: nn.Module | None) -> TypeGuard[MLP | TransposedMLP]:
    """Whether a network computes what its layers and its activation say, outside of training.

    A user's may be of a subclass, have hooks, or have had parts replaced.
    """
    if type(network) not in (MLP, TransposedMLP):
        return False
    own = cast(MLP | TransposedMLP, network)
    layers = list(own.layers)
    are_linear = all(
        parametrize.type_before_parametrizations(layer) in (nn.Linear, TransposedLinear)
        and layer.bias is not None
        for layer in layers
    )
    is_known = bool(layers) and are_linear and type(own.dropout) in (Dropout, nn.Dropout)
    return is_known and not has_hooks(own, *layers, own.activation, own.dropout)


def is_mlp(network: nn.Module | None) -> TypeGuard[MLP]:
    """Whether a network is an `MLP` that computes what it says, see `is_perceptron`."""
    return type(network) is MLP and is_perceptron(network)


def _run(perceptron: MLP | TransposedMLP, input: Tensor) -> Tensor:
    *hidden, last = perceptron.layers
    for layer in hidden:
        input = perceptron.dropout(perceptron.activation(layer(input)))
    return last(input)

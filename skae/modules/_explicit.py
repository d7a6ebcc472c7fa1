"""Gradients of perceptrons written out: the same products as autograd's, with less around them.

For networks of tables' size much of autograd's time is not spent on products: it goes to the
record of each operation, and to a gate that is applied to rows where it can be applied to
weights. A pass remembers what its `backward` needs from its last `forward`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from ._autoencoder import Autoencoder
from ._bypass import Bypass
from ._mlp import MLP

_aten = torch.ops.aten

#: What activations make of a gradient, given their input and their output.
Slope = Callable[[Tensor, Tensor, Tensor], Tensor]
SLOPES: dict[type[nn.Module], Slope] = {
    nn.ELU: lambda gradient, x, y: _aten.elu_backward(gradient, 1.0, 1.0, 1.0, False, x),
    nn.GELU: lambda gradient, x, y: _aten.gelu_backward(gradient, x),
    nn.Identity: lambda gradient, x, y: gradient,
    nn.ReLU: lambda gradient, x, y: _aten.threshold_backward(gradient, y, 0.0),
    nn.Sigmoid: lambda gradient, x, y: _aten.sigmoid_backward(gradient, y),
    nn.SiLU: lambda gradient, x, y: _aten.silu_backward(gradient, x),
    nn.Tanh: lambda gradient, x, y: _aten.tanh_backward(gradient, y),
}


class Pass(ABC):
    """Abstract: a map of rows that can be gone through backwards, once each time."""

    @abstractmethod
    def forward(self, input: Tensor) -> Tensor:
        """Return the output, and remember what `backward` needs."""

    @abstractmethod
    def backward(self, gradient: Tensor, wants_input: bool) -> Tensor | None:
        """Add the weights' gradients to theirs, and return the input's if it is wanted."""


class Affine(Pass):
    """A linear layer.

    Parameters
    ----------
    layer : torch.nn.Linear
        The layer.
    """

    def __init__(self, layer: nn.Linear) -> None:
        self.layer = layer

    def forward(self, input: Tensor) -> Tensor:
        """Return `input W' + b`."""
        self.input = input
        return torch.addmm(self.layer.bias, input, self.layer.weight.t())

    def backward(self, gradient: Tensor, wants_input: bool) -> Tensor | None:
        """Go backwards."""
        _add(self.layer.weight, gradient.t() @ self.input)
        _add(self.layer.bias, gradient.sum(0))
        return gradient @ self.layer.weight if wants_input else None


class Activation(Pass):
    """An activation, element by element.

    Parameters
    ----------
    activation : torch.nn.Module
        A module of a class in `SLOPES`.
    """

    def __init__(self, activation: nn.Module) -> None:
        self.activation = activation
        self.slope = SLOPES[type(activation)]

    def forward(self, input: Tensor) -> Tensor:
        """Return what the activation makes of each element."""
        self.input, self.output = input, self.activation(input)
        return self.output

    def backward(self, gradient: Tensor, wants_input: bool) -> Tensor | None:
        """Go backwards."""
        return self.slope(gradient, self.input, self.output) if wants_input else None


class Chain(Pass):
    """Passes one after the other.

    Parameters
    ----------
    passes : list of Pass
        In the order of `forward`.
    """

    def __init__(self, passes: list[Pass]) -> None:
        self.passes = passes

    def forward(self, input: Tensor) -> Tensor:
        """Go through them all."""
        for one in self.passes:
            input = one.forward(input)
        return input

    def backward(self, gradient: Tensor, wants_input: bool) -> Tensor | None:
        """Go back through them all; the first may stand alone without its input's gradient."""
        for one in self.passes[:0:-1]:
            gradient = cast(Tensor, one.backward(gradient, True))
        if not self.passes:
            return gradient if wants_input else None
        return self.passes[0].backward(gradient, wants_input)


class Gated(Pass):
    """A perceptron behind a gate, and a linear layer beside it if there is one.

    The gate is applied to the last layer's weights, which are fewer than a batch's cells.

    Parameters
    ----------
    straight : torch.nn.Linear or None
        The layer beside it.
    hidden : Chain
        What comes before the last layer.
    last : torch.nn.Linear
        The last layer.
    gate : torch.nn.Parameter
        A number for each output.
    """

    def __init__(
        self, straight: nn.Linear | None, hidden: Chain, last: nn.Linear, gate: nn.Parameter
    ) -> None:
        self.straight = straight
        self.hidden = hidden
        self.last = last
        self.gate = gate

    def forward(self, input: Tensor) -> Tensor:
        """Return `straight(input) + gate * last(hidden(input))`."""
        self.input, self.before = input, self.hidden.forward(input)
        self.weight = self.gate[:, None] * self.last.weight
        bias = self.gate * self.last.bias
        if self.straight is None:
            return torch.addmm(bias, self.before, self.weight.t())
        output = torch.addmm(bias + self.straight.bias, input, self.straight.weight.t())
        return output.addmm_(self.before, self.weight.t())

    def backward(self, gradient: Tensor, wants_input: bool) -> Tensor | None:
        """Go backwards."""
        turned, total = gradient.t(), gradient.sum(0)
        weight = turned @ self.before
        _add(self.gate, (weight * self.last.weight).sum(1) + total * self.last.bias)
        _add(self.last.weight, weight.mul_(self.gate[:, None]))
        _add(self.last.bias, total * self.gate)
        behind = self.hidden.backward(gradient @ self.weight, wants_input)
        if self.straight is None:
            return behind
        _add(self.straight.weight, turned @ self.input)
        _add(self.straight.bias, total)
        if behind is None:
            return None
        return torch.addmm(behind, gradient, self.straight.weight)


def explicit_autoencoder(module: nn.Module) -> Pass | None:
    """Return a pass through an autoencoder, None if it is made of other parts than these."""
    if not isinstance(module, Autoencoder):
        return None
    encoder, decoder = explicit_path(module.encoder), explicit_path(module.decoder)
    if encoder is None or decoder is None:
        return None
    return Chain([encoder, Activation(module.code_activation), decoder])


def explicit_path(path: nn.Module) -> Pass | None:
    """Return a pass through a perceptron or a bypass, None if it is made of other parts."""
    if not all(parameter.requires_grad for parameter in path.parameters()):
        return None
    if isinstance(path, MLP):
        return _explicit_perceptron(path)
    return _explicit_bypass(path) if isinstance(path, Bypass) else None


def _explicit_bypass(path: Bypass) -> Pass | None:
    straight: nn.Linear | None = None
    if not isinstance(path.linear, nn.Identity):  # a place left empty
        layers = _plain_layers(path.linear)
        if not layers:
            return None
        straight = layers[0]
    if path.nonlinear is None or path.gate is None:
        return None if straight is None else Affine(straight)
    layers = _plain_layers(path.nonlinear)
    if not layers:
        return None
    hidden: list[Pass] = []
    for layer in layers[:-1]:
        hidden += [Affine(layer), Activation(cast(MLP, path.nonlinear).activation)]
    return Gated(straight, Chain(hidden), layers[-1], path.gate)


def _explicit_perceptron(path: MLP) -> Pass | None:
    layers = _plain_layers(path)
    if not layers:
        return None
    passes: list[Pass] = [Affine(layers[0])]
    for layer in layers[1:]:
        passes += [Activation(path.activation), Affine(layer)]
    return Chain(passes)


def _plain_layers(path: nn.Module) -> list[nn.Linear]:
    """Return the layers of a perceptron, none if it is not made of linear layers alone."""
    if not isinstance(path, MLP) or path.dropout.p > 0:
        return []
    layers = list(path.layers)
    # By the exact class: a layer whose weight is parametrized has one of its own.
    are_plain = all(type(layer) is nn.Linear for layer in layers)
    return cast(list[nn.Linear], layers) if are_plain else []


def _add(parameter: Tensor, gradient: Tensor) -> None:
    parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)

"""Gradients of perceptrons written out: the same products as autograd's, with less around them.

For networks of tables' size much of autograd's time is not spent on products: it goes to the
record of each operation, and to a gate that is applied to rows where it can be applied to
weights. A pass holds the weights themselves, for to look one up in a module takes as long as a
small product, and remembers what its `backward` needs from its last `forward`. Both are called
under `torch.no_grad()`.
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

# Of products whose rows are no whole number of the processor's vectors, and shorter than
# this, the transpose is made: BLAS took up to eight times as long for the product itself.
_SHORT = 64
_VECTOR = 16

#: What activations make of a gradient, in its place, given their input and their output.
Slope = Callable[[Tensor, Tensor, Tensor], Tensor]
SLOPES: dict[type[nn.Module], Slope] = {
    nn.ELU: lambda g, x, y: _aten.elu_backward.grad_input(g, 1.0, 1.0, 1.0, False, x, grad_input=g),
    nn.GELU: lambda g, x, y: _aten.gelu_backward.grad_input(g, x, grad_input=g),
    nn.Identity: lambda g, x, y: g,
    nn.ReLU: lambda g, x, y: _aten.threshold_backward.grad_input(g, y, 0.0, grad_input=g),
    nn.Sigmoid: lambda g, x, y: _aten.sigmoid_backward.grad_input(g, y, grad_input=g),
    nn.SiLU: lambda g, x, y: _aten.silu_backward.grad_input(g, x, grad_input=g),
    nn.Tanh: lambda g, x, y: _aten.tanh_backward.grad_input(g, y, grad_input=g),
}


class Pass(ABC):
    """Abstract: a map of rows that can be gone through backwards, once each time."""

    @abstractmethod
    def forward(self, input: Tensor) -> Tensor:
        """Return the output, and remember what `backward` needs."""

    @abstractmethod
    def backward(self, gradient: Tensor, wants_input: bool) -> Tensor | None:
        """Set the weights' gradients, and return the input's if it is wanted.

        What `gradient` holds is lost.
        """


class Affine(Pass):
    """A linear layer.

    Parameters
    ----------
    layer : torch.nn.Linear
        The layer.
    """

    def __init__(self, layer: nn.Linear) -> None:
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, input: Tensor) -> Tensor:
        """Return `input W' + b`."""
        self.input = input
        return _affine(self.bias, input, self.weight)

    def backward(self, gradient: Tensor, wants_input: bool) -> Tensor | None:
        """Go backwards."""
        _product(gradient.t(), self.input, _place(self.weight))
        torch.sum(gradient, 0, out=_place(self.bias))
        return _product(gradient, self.weight) if wants_input else None


class Activation(Pass):
    """An activation, element by element.

    Parameters
    ----------
    activation : torch.nn.Module
        A module of a class in `SLOPES`.
    """

    def __init__(self, activation: nn.Module) -> None:
        self.activate = activation.forward
        self.slope = SLOPES[type(activation)]

    def forward(self, input: Tensor) -> Tensor:
        """Return what the activation makes of each element."""
        self.input, self.output = input, self.activate(input)
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
        self.beside = None if straight is None else (straight.weight, straight.bias)
        self.hidden = hidden
        self.weight, self.bias = last.weight, last.bias
        self.gate = gate

    def forward(self, input: Tensor) -> Tensor:
        """Return `straight(input) + gate * last(hidden(input))`."""
        self.input, self.before = input, self.hidden.forward(input)
        self.gated = self.gate[:, None] * self.weight
        bias = self.gate * self.bias
        if self.beside is None:
            return _affine(bias, self.before, self.gated)
        straight_weight, straight_bias = self.beside
        output = _affine(bias.add_(straight_bias), input, straight_weight)
        return output.addmm_(self.before, self.gated.t())

    def backward(self, gradient: Tensor, wants_input: bool) -> Tensor | None:
        """Go backwards."""
        place = None if self.beside is None else _place(self.beside[1])
        turned, total = gradient.t(), torch.sum(gradient, 0, out=place)
        ungated = _product(turned, self.before)
        torch.sum(ungated * self.weight, 1, out=_place(self.gate)).addcmul_(total, self.bias)
        torch.mul(ungated, self.gate[:, None], out=_place(self.weight))
        torch.mul(total, self.gate, out=_place(self.bias))
        behind = self.hidden.backward(_product(gradient, self.gated), wants_input)
        if self.beside is None:
            return behind
        straight_weight = self.beside[0]
        _product(turned, self.input, _place(straight_weight))
        return None if behind is None else behind.addmm_(gradient, straight_weight)


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


def _affine(bias: Tensor, input: Tensor, weight: Tensor) -> Tensor:
    """Return `input weight' + bias`."""
    if _is_slow(input.shape[0], weight.shape[0]):
        return torch.addmm(bias[:, None], weight, input.t()).t()
    return torch.addmm(bias, input, weight.t())


def _product(a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    """Return `a b`, in `out` if there is one."""
    if not _is_slow(a.shape[0], b.shape[1]):
        return torch.mm(a, b, out=out)
    result = torch.mm(b.t(), a.t()).t()
    return result if out is None else out.copy_(result)


def _is_slow(n_rows: int, n_columns: int) -> bool:
    return n_columns < _SHORT and n_columns < n_rows and n_columns % _VECTOR > 0


def _place(parameter: Tensor) -> Tensor | None:
    """Return where a weight's gradient is to be, None if it isn't wanted."""
    if not parameter.requires_grad:  # frozen, perhaps since the pass was made
        return None
    if parameter.grad is None:
        parameter.grad = torch.empty_like(parameter)
    return parameter.grad

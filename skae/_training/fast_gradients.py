"""Gradients of perceptrons without autograd: the same products, with less overhead.

With networks for tables, autograd spends much of its time on recording operations, and on a gate
that it applies to rows where it could apply it to weights. A `Pass` keeps references to the
weights, because looking one up in a module takes as long as a small product, and its `forward`
saves what `backward` needs. Both are called under `torch.no_grad()`.
"""

from abc import ABC, abstractmethod
from typing import cast

import torch
from torch import Tensor, nn

from ..modules import MLP, Autoencoder, Bypass
from ..modules.layers import has_hooks
from ..modules.mlp import is_mlp
from ..modules.slopes import SLOPES, has_slope

# Products with rows shorter than this, and not a whole number of the processor's vectors, are
# computed transposed: BLAS took up to eight times as long otherwise.
_SHORT = 64
_VECTOR = 16


class Pass(ABC):
    """Abstract: a map of rows with a backward pass, to be called once after each forward pass."""

    @abstractmethod
    def forward(self, input: Tensor) -> Tensor:
        """Return the output, and save what `backward` needs."""

    @abstractmethod
    def backward(self, gradient: Tensor, wants_input: bool) -> Tensor | None:
        """Set the weights' gradients, and return the input's if it is wanted.

        The contents of `gradient` are overwritten.
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
        """Propagate the gradient backwards."""
        _product(gradient.t(), self.input, _gradient_of(self.weight))
        torch.sum(gradient, 0, out=_gradient_of(self.bias))
        return _product(gradient, self.weight) if wants_input else None


class Activation(Pass):
    """An elementwise activation.

    Parameters
    ----------
    activation : torch.nn.Module
        A module that `has_slope`.
    """

    def __init__(self, activation: nn.Module) -> None:
        self.activate = activation.forward
        self.slope = SLOPES[type(activation)]

    def forward(self, input: Tensor) -> Tensor:
        """Return the activation of each element."""
        self.input, self.output = input, self.activate(input)
        return self.output

    def backward(self, gradient: Tensor, wants_input: bool) -> Tensor | None:
        """Propagate the gradient backwards."""
        return self.slope(gradient, self.input, self.output) if wants_input else None


class Chain(Pass):
    """A sequence of passes.

    Parameters
    ----------
    passes : list of Pass
        In the order of `forward`.
    """

    def __init__(self, passes: list[Pass]) -> None:
        self.passes = passes

    def forward(self, input: Tensor) -> Tensor:
        """Apply all of them."""
        for one in self.passes:
            input = one.forward(input)
        return input

    def backward(self, gradient: Tensor, wants_input: bool) -> Tensor | None:
        """Propagate the gradient through all of them; the first may not need its input's."""
        for one in self.passes[:0:-1]:
            gradient = cast(Tensor, one.backward(gradient, True))
        if not self.passes:
            return gradient if wants_input else None
        return self.passes[0].backward(gradient, wants_input)


class Gated(Pass):
    """A perceptron behind a gate, with an optional linear layer in parallel.

    The gate is applied to the last layer's weights, which are fewer than a batch's cells.

    Parameters
    ----------
    linear : torch.nn.Linear or None
        The layer in parallel.
    hidden : Chain
        Everything before the last layer.
    last : torch.nn.Linear
        The last layer.
    gate : torch.nn.Parameter
        A number for each output.
    """

    def __init__(
        self, linear: nn.Linear | None, hidden: Chain, last: nn.Linear, gate: nn.Parameter
    ) -> None:
        self.linear = None if linear is None else (linear.weight, linear.bias)
        self.hidden = hidden
        self.weight, self.bias = last.weight, last.bias
        self.gate = gate

    def forward(self, input: Tensor) -> Tensor:
        """Return `linear(input) + gate * last(hidden(input))`."""
        self.input, self.before = input, self.hidden.forward(input)
        self.gated = self.gate[:, None] * self.weight
        bias = self.gate * self.bias
        if self.linear is None:
            return _affine(bias, self.before, self.gated)
        linear_weight, linear_bias = self.linear
        output = _affine(bias.add_(linear_bias), input, linear_weight)
        return output.addmm_(self.before, self.gated.t())

    def backward(self, gradient: Tensor, wants_input: bool) -> Tensor | None:
        """Propagate the gradient backwards."""
        out = None if self.linear is None else _gradient_of(self.linear[1])
        turned, total = gradient.t(), torch.sum(gradient, 0, out=out)
        ungated = _product(turned, self.before)
        torch.sum(ungated * self.weight, 1, out=_gradient_of(self.gate)).addcmul_(total, self.bias)
        torch.mul(ungated, self.gate[:, None], out=_gradient_of(self.weight))
        torch.mul(total, self.gate, out=_gradient_of(self.bias))
        upstream = self.hidden.backward(_product(gradient, self.gated), wants_input)
        if self.linear is None:
            return upstream
        linear_weight = self.linear[0]
        _product(turned, self.input, _gradient_of(linear_weight))
        return None if upstream is None else upstream.addmm_(gradient, linear_weight)


def make_autoencoder_pass(module: nn.Module) -> Pass | None:
    """Return a pass through an autoencoder, None if it has parts of other kinds."""
    if type(module) is not Autoencoder or has_hooks(module) or has_shared_weights(module):
        return None
    if not has_slope(module.code_activation):
        return None
    encoder, decoder = make_pass(module.encoder), make_pass(module.decoder)
    if encoder is None or decoder is None:
        return None
    return Chain([encoder, Activation(module.code_activation), decoder])


def make_pass(path: nn.Module) -> Pass | None:
    """Return a pass through a perceptron or a bypass, None if it has parts of other kinds."""
    if has_hooks(path) or has_shared_weights(path):
        return None
    if type(path) is MLP:
        return _make_perceptron_pass(path)
    return _make_bypass_pass(path) if type(path) is Bypass else None


def has_shared_weights(module: nn.Module) -> bool:
    """Whether a weight has several places, in each of which a pass would set its gradient."""
    everywhere = [weight for _, weight in module.named_parameters(remove_duplicate=False)]
    return len(everywhere) > len(set(everywhere))


def _make_bypass_pass(path: Bypass) -> Pass | None:
    linear: nn.Linear | None = None
    if not isinstance(path.linear, nn.Identity):  # a placeholder
        layers = _plain_layers(path.linear)
        if len(layers) != 1:
            return None
        linear = layers[0]
    if path.nonlinear is None or path.gate is None:
        return None if linear is None else Affine(linear)
    layers = _plain_layers(path.nonlinear)
    if not layers:
        return None
    hidden: list[Pass] = []
    for layer in layers[:-1]:
        hidden += [Affine(layer), Activation(cast(MLP, path.nonlinear).activation)]
    return Gated(linear, Chain(hidden), layers[-1], path.gate)


def _make_perceptron_pass(path: MLP) -> Pass | None:
    layers = _plain_layers(path)
    if not layers:
        return None
    passes: list[Pass] = [Affine(layers[0])]
    for layer in layers[1:]:
        passes += [Activation(path.activation), Affine(layer)]
    return Chain(passes)


def _plain_layers(path: nn.Module) -> list[nn.Linear]:
    """Return the layers of a perceptron, none if some need autograd, or its activation does."""
    if not is_mlp(path) or path.dropout.p > 0:
        return []
    if len(path.layers) > 1 and not has_slope(path.activation):
        return []
    # By exact class: a layer with a parametrized weight has a class of its own.
    are_plain = all(type(layer) is nn.Linear for layer in path.layers)
    return path.linear_layers if are_plain else []


def _affine(bias: Tensor, input: Tensor, weight: Tensor) -> Tensor:
    """Return `input weight' + bias`."""
    if _is_slow(input.shape[0], weight.shape[0]):
        return torch.addmm(bias[:, None], weight, input.t()).t()
    return torch.addmm(bias, input, weight.t())


def _product(a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    """Return `a b`, in `out` if it is given."""
    if not _is_slow(a.shape[0], b.shape[1]):
        return torch.mm(a, b, out=out)
    result = torch.mm(b.t(), a.t()).t()
    return result if out is None else out.copy_(result)


def _is_slow(n_rows: int, n_columns: int) -> bool:
    return n_columns < _SHORT and n_columns < n_rows and n_columns % _VECTOR > 0


def _gradient_of(parameter: Tensor) -> Tensor | None:
    """Return the tensor for a weight's gradient, None if it isn't wanted."""
    if not parameter.requires_grad:  # frozen, perhaps after the pass was made
        return None
    if parameter.grad is None:
        parameter.grad = torch.empty_like(parameter)
    return parameter.grad

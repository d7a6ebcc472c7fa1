"""The slopes of activations, without autograd."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .layers import has_default_parameters

_aten = torch.ops.aten

#: Multiplies a gradient, in place, by an activation's slope, given its input and output. Those
#: of `SLOPES` are of activations with default parameters.
Slope = Callable[[Tensor, Tensor, Tensor], Tensor]
SLOPES: dict[type[nn.Module], Slope] = {
    nn.ELU: lambda g, x, y: _aten.elu_backward.grad_input(g, 1.0, 1.0, 1.0, False, x, grad_input=g),
    nn.GELU: lambda g, x, y: _aten.gelu_backward.grad_input(g, x, grad_input=g),
    nn.Identity: lambda g, x, y: g,
    nn.LeakyReLU: lambda g, x, y: _aten.leaky_relu_backward.grad_input(
        g, x, 0.01, False, grad_input=g
    ),
    nn.ReLU: lambda g, x, y: _aten.threshold_backward.grad_input(g, y, 0.0, grad_input=g),
    nn.Sigmoid: lambda g, x, y: _aten.sigmoid_backward.grad_input(g, y, grad_input=g),
    nn.SiLU: lambda g, x, y: _aten.silu_backward.grad_input(g, x, grad_input=g),
    nn.Tanh: lambda g, x, y: _aten.tanh_backward.grad_input(g, y, grad_input=g),
}


def has_slope(activation: nn.Module) -> bool:
    """Whether `SLOPES` has the slope of an activation."""
    return type(activation) in SLOPES and has_default_parameters(activation)

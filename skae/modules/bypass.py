"""A linear path beside a nonlinear one."""

import torch
from torch import Tensor, nn


class Bypass(nn.Module):
    """`linear(x) + gate * nonlinear(x)`, with a gate that starts closed.

    With the gate at zero the network is its linear path, so that training can begin at PCA
    whatever the nonlinear path is. The gate's gradient is not zero, so training opens it at
    once (ReZero, Bachlechner et al. 2021, with a gate for each output).

    Parameters
    ----------
    linear : torch.nn.Module
        An affine map.
    nonlinear : torch.nn.Module or None
        A network with the same inputs and outputs; None is the linear path alone.
    n_outputs : int
        Number of outputs, each with a gate.
    """

    def __init__(self, linear: nn.Module, nonlinear: nn.Module | None, n_outputs: int) -> None:
        super().__init__()
        self.linear = linear
        self.nonlinear = nonlinear
        self.gate = None if nonlinear is None else nn.Parameter(torch.zeros(n_outputs))

    @property
    def is_closed(self) -> bool:
        """Whether it is its linear path."""
        return self.gate is None or not bool(self.gate.any())

    def forward(self, input: Tensor) -> Tensor:
        """Map `(n_rows, n_inputs)` to `(n_rows, n_outputs)`."""
        return self.add_nonlinear(self.linear(input), input)

    def add_nonlinear(self, linear: Tensor, input: Tensor, unit: Tensor | None = None) -> Tensor:
        """Return `linear + unit * gate * nonlinear(input)`."""
        if self.nonlinear is None or self.gate is None:
            return linear
        gate = self.gate if unit is None else unit * self.gate
        return torch.addcmul(linear, gate, self.nonlinear(input))

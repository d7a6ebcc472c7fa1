"""Architectures: what builds the nonlinear paths of an autoencoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import nn

from ._mlp import MLP

Role = Literal["encoder", "decoder", "denoiser"]


class Architecture(Protocol):
    """Anything that builds a network of given width, called once a role.

    A function will do. `role` is "encoder" or "decoder", or "denoiser" for a network
    without a bottleneck; the module returned maps a tensor `(n_rows, n_inputs)` to
    `(n_rows, n_outputs)`, whatever shape it works in between.
    """

    def __call__(self, role: Role, n_inputs: int, n_outputs: int) -> nn.Module:
        """Return the module that plays `role`."""
        ...


@dataclass(frozen=True)
class MLPArchitecture:
    """Multilayer perceptrons, the decoder's layers in the reverse order of the encoder's.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int
        The encoder's hidden layers, from its input on.
    activation : str
        A key of `skae.modules.ACTIVATIONS`.
    dropout : float
        Share of the hidden units that is zeroed while training.
    generator : torch.Generator, default=None
        Where weights and dropout masks are drawn; None is torch's global generator.
    """

    hidden_layer_sizes: Sequence[int]
    activation: str = "silu"
    dropout: float = 0.0
    generator: torch.Generator | None = None

    def __call__(self, role: Role, n_inputs: int, n_outputs: int) -> MLP:
        """Return the perceptron that plays `role`."""
        sizes = tuple(self.hidden_layer_sizes)
        return MLP(
            n_inputs,
            n_outputs,
            sizes[::-1] if role == "decoder" else sizes,
            self.activation,
            self.dropout,
            self.generator,
        )


def check_shape(module: nn.Module, role: Role, n_inputs: int, n_outputs: int) -> nn.Module:
    """Return `module` if it maps two rows of `n_inputs` columns to `n_outputs` columns."""
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"architecture({role!r}, {n_inputs}, {n_outputs}) returned "
            f"{type(module).__name__}, expected a torch.nn.Module"
        )
    try:
        with torch.no_grad():
            shape = tuple(module.eval()(torch.zeros(2, n_inputs)).shape)
    except RuntimeError as error:
        raise ValueError(
            f"the module of architecture({role!r}, {n_inputs}, {n_outputs}) failed on an "
            f"input of shape (2, {n_inputs}): {error}"
        ) from error
    if shape != (2, n_outputs):
        raise ValueError(
            f"the module of architecture({role!r}, {n_inputs}, {n_outputs}) returned a "
            f"tensor of shape {shape}, expected (2, {n_outputs})"
        )
    return module.train()

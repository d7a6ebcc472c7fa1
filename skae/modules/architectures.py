"""Architectures: builders of an autoencoder's nonlinear paths."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import nn

from .mlp import MLP

Role = Literal["encoder", "decoder", "denoiser"]


class Architecture(Protocol):
    """Any callable that builds a network of given width, such as a function.

    It is called once for each role: "encoder" and "decoder", or "denoiser" for a network
    without a bottleneck. The module that it returns maps a tensor `(n_rows, n_inputs)` to
    `(n_rows, n_outputs)`, whatever shapes it uses in between.
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
        Source of weights and dropout masks; None is torch's global generator.
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


def check_output_shape(module: nn.Module, role: Role, n_inputs: int, n_outputs: int) -> nn.Module:
    """Return `module` if it maps two rows of `n_inputs` columns to `n_outputs` columns."""
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"architecture({role!r}, {n_inputs}, {n_outputs}) must return a torch.nn.Module, "
            f"got {type(module).__name__}"
        )
    try:
        with torch.no_grad():
            shape = tuple(module.eval()(torch.zeros(2, n_inputs)).shape)
    except RuntimeError as error:
        raise ValueError(
            f"the module of architecture({role!r}, {n_inputs}, {n_outputs}) must map a tensor of "
            f"shape (2, {n_inputs}) to one of shape (2, {n_outputs}); it failed with: {error}"
        ) from error
    if shape != (2, n_outputs):
        raise ValueError(
            f"the module of architecture({role!r}, {n_inputs}, {n_outputs}) must map a tensor of "
            f"shape (2, {n_inputs}) to one of shape (2, {n_outputs}), got shape {shape}"
        )
    return module.train()

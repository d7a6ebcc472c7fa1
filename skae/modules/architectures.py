"""Architectures: builders of an autoencoder's nonlinear paths."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from .mlp import MLP

Role = Literal["encoder", "decoder", "denoiser", "discriminator"]


class Architecture(Protocol):
    """Any callable that builds a network of given width, such as a function.

    It is called once for each role: "encoder" and "decoder", or "denoiser" for a network
    without a bottleneck. A "discriminator" has one output. The module that it returns maps a
    tensor `(n_rows, n_inputs)` to `(n_rows, n_outputs)`, whatever shapes it uses in between.
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


def check_network(module: nn.Module, role: Role, n_inputs: int, n_outputs: int) -> nn.Module:
    """Return `module` if it maps rows of `n_inputs` columns to rows of `n_outputs` columns.

    A few rows are passed through it. From then on it checks each of its outputs, since a shape
    may depend on the number of rows.
    """
    call = f"architecture({role!r}, {n_inputs}, {n_outputs})"
    if not isinstance(module, nn.Module):
        raise TypeError(f"{call} must return a torch.nn.Module, got {type(module).__name__}")
    if isinstance(module, MLP):
        return module.train()
    tensors = [*module.parameters(), *module.buffers()]
    if any(tensor.is_inference() for tensor in tensors if not _is_lazy(tensor)):
        raise ValueError(
            f"the module of {call} must have weights that can be trained, got some that were made "
            "in torch.inference_mode: build it outside"
        )
    module.register_forward_hook(_OutputCheck(call, n_outputs))
    rows = torch.linspace(-1, 1, 3 * n_inputs).reshape(3, n_inputs)
    module.eval()
    try:
        with torch.no_grad():
            outputs = [module(rows[:n_rows]) for n_rows in (2, 1, 3, 3)]
    except RuntimeError as error:
        raise ValueError(
            f"the module of {call} must map a tensor of shape (n, {n_inputs}) to one of shape "
            f"(n, {n_outputs}), on the CPU and in float32; it failed with: {error}"
        ) from error
    _check_outputs(outputs, call)
    return module.train()


def _check_outputs(outputs: list[Tensor], call: str) -> None:
    """Raise unless outputs for two rows, for one, and twice for three fit together."""
    two, one, three, again = outputs
    if not torch.isfinite(three).all():
        raise ValueError(
            f"the module of {call} must give finite numbers before it is trained, got "
            f"{float(three[~torch.isfinite(three)][0])} for rows between -1 and 1: check its "
            "initial weights"
        )
    if three.is_inference():
        raise ValueError(
            f"the module of {call} must give tensors that can be trained, got one of "
            "torch.inference_mode: leave that out of forward"
        )
    is_random = not torch.equal(three, again)
    alike = all(torch.allclose(part, three[: len(part)], 1e-3, 1e-4) for part in (one, two))
    if not is_random and not alike:
        raise ValueError(
            f"the module of {call} must map each row by itself, and its output for a row depends "
            "on the other rows: do not normalize or compare across rows, other than with "
            "torch.nn.BatchNorm1d and its running statistics"
        )


def _is_lazy(tensor: Tensor) -> bool:
    return nn.parameter.is_lazy(tensor)


class _OutputCheck:
    """A forward hook that raises for an output that is no tensor of the right shape.

    Others are converted to the type of the input, which is float64 where rows are.

    Parameters
    ----------
    call : str
        The call that the module is of, for messages.
    n_outputs : int
        Number of columns that it must return.
    """

    def __init__(self, call: str, n_outputs: int) -> None:
        self.call = call
        self.n_outputs = n_outputs

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> Tensor:
        """Return the output."""
        rows = inputs[0]
        expected = (*rows.shape[:-1], self.n_outputs)
        got = type(output).__name__
        if isinstance(output, Tensor):
            got = f"{output.dtype} of shape {tuple(output.shape)}"
            if tuple(output.shape) == expected and output.is_floating_point():
                return output.to(rows.dtype)
        raise ValueError(
            f"the module of {self.call} must map a tensor of shape {tuple(rows.shape)} to a "
            f"floating-point one of shape {expected}, got {got}"
        )

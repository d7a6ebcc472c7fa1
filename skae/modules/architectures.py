"""Architectures: builders of an autoencoder's nonlinear paths."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from torch import Tensor, nn

from .layers import ACTIVATIONS
from .mlp import MLP, TransposedMLP, is_perceptron

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


class ParametrizedArchitecture(BaseEstimator, ABC):
    """Abstract: an architecture that is the value of its parameters.

    A search reaches them as `architecture__...`. Two of one class with equal parameters are equal.
    A subclass writes its own literal `__init__`; parameters are checked when they are used.
    """

    @abstractmethod
    def __call__(self, role: Role, n_inputs: int, n_outputs: int) -> nn.Module:
        """Return the module that plays `role`."""

    def fit_shape(self, row_shape: tuple[int, ...] | None, n_features: int) -> Self:
        """Return the architecture for rows of a shape, after a check of its parameters.

        Parameters
        ----------
        row_shape : tuple of int or None
            The shape of a row as it was given; None is a flat one.
        n_features : int
            Number of its cells.

        Returns
        -------
        architecture : ParametrizedArchitecture
            Itself, or another one of its class.
        """
        return self

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def _values(self) -> tuple[Any, ...]:
        return tuple(_freeze(value) for value in self.get_params(deep=False).values())


class ShapedArchitecture(ParametrizedArchitecture):
    """Abstract: an architecture for rows that have a shape, such as images."""

    #: How many axes a row has, and what they are called.
    row_forms: ClassVar[dict[int, str]]
    shape: Sequence[int] | None

    @abstractmethod
    def _check_parameters(self) -> None:
        """Raise for parameters from which no network can be built."""

    @abstractmethod
    def label_channels(self) -> np.ndarray:
        """Return the channel of each cell of a row.

        Returns
        -------
        channels : ndarray of int of shape (n_cells,)
            From 0 on.
        """

    def fit_shape(self, row_shape: tuple[int, ...] | None, n_features: int) -> Self:
        """Return the architecture for rows of a shape, after a check of its parameters.

        Parameters
        ----------
        row_shape : tuple of int or None
            The shape of a row as it was given; None is a flat one.
        n_features : int
            Number of its cells.

        Returns
        -------
        architecture : ParametrizedArchitecture
            Itself, or another one of its class.
        """
        self._check_parameters()
        name, forms = type(self).__name__, " or ".join(f"(n, {f})" for f in self.row_forms.values())
        if self.shape is not None:
            own = tuple(int(length) for length in self.shape)
            given = (n_features,) if row_shape is None else row_shape
            if math.prod(own) != n_features or not (row_shape is None or are_alike(own, given)):
                raise ValueError(
                    f"{name} has shape={own}, and a row of X has the shape {given}: set another "
                    "shape, or None to take that of X"
                )
            return self
        if row_shape is None and 1 in self.row_forms:  # a sequence of one feature is a flat row
            row_shape = (n_features,)
        if row_shape is None:
            raise ValueError(
                f"{name} must know the shape of a row, and X has flat rows of {n_features} "
                f"columns: pass X as {forms}, or set shape"
            )
        if len(row_shape) not in self.row_forms or math.prod(row_shape) != n_features:
            raise ValueError(
                f"{name} takes X as {forms}, got rows of the shape {row_shape} with "
                f"{n_features} columns that hold numbers: set shape"
            )
        return clone(self).set_params(shape=row_shape)

    def _count_conditions(self, n_inputs: int) -> int:
        """Return how many inputs are not a row's cells: 1 if the noise level is the last input."""
        self._check_parameters()
        if self.shape is None:
            raise ValueError(
                f"{type(self).__name__} must know the shape of a row: set shape, such as "
                f"{type(self).__name__}(shape=(28, 28))"
            )
        n_cells = math.prod(self.shape)
        if n_inputs not in (n_cells, n_cells + 1):
            raise ValueError(
                f"{type(self).__name__} has shape={tuple(self.shape)}, which is {n_cells} cells, "
                f"and a network of {n_inputs} inputs is asked for: set another shape"
            )
        return n_inputs - n_cells

    def _check_outputs(self, n_outputs: int) -> None:
        """Raise unless a network's outputs are a row."""
        if self._count_conditions(n_outputs):
            raise ValueError(
                f"{type(self).__name__} has shape={tuple(self.shape or ())}, and a network of "
                f"{n_outputs} outputs is asked for: set another shape"
            )

    def _check_shape(self) -> None:
        """Raise unless the shape is None or has positive lengths, and as many as rows have."""
        if self.shape is None:
            return
        is_sequence = isinstance(self.shape, Sequence) and not isinstance(self.shape, str)
        known = tuple(self.shape) if is_sequence else ()
        if len(known) not in self.row_forms or not all(is_count(length) for length in known):
            forms = " or ".join(f"({form})" for form in self.row_forms.values())
            raise ValueError(f"shape must be {forms} with positive lengths, got {self.shape!r}")


def are_alike(shape: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two shapes are equal up to axes of length 1."""
    return [n for n in shape if n != 1] == [n for n in other if n != 1]


def is_count(value: Any) -> bool:
    """Whether a value is a positive integer."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) > 0


def check_counts(name: str, values: Any, least: int = 0) -> tuple[int, ...]:
    """Return positive integers as a tuple; raise if there are fewer than `least` or others."""
    known = tuple(values) if isinstance(values, Sequence | np.ndarray) else (None,)
    if len(known) < least or not all(is_count(value) for value in known):
        example = "such as (16, 32)" if least else "such as (256,), or () for none"
        raise ValueError(f"{name} must be positive integers, {example}, got {values!r}")
    return tuple(int(value) for value in known)


def check_option(name: str, value: Any, options: Sequence[str | None]) -> None:
    """Raise unless a value is one of some options."""
    if not any(value is option or value == option for option in options):
        known = ", ".join(repr(option) for option in options)
        raise ValueError(f"{name} must be one of {known}, got {value!r}")


def _freeze(value: Any) -> Any:
    """Return a value as one that can be compared and hashed: picklers may give lists for tuples."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return tuple(map(_freeze, value)) if isinstance(value, list | tuple) else value


class MLPArchitecture(ParametrizedArchitecture):
    """Multilayer perceptrons, the decoder's layers in the reverse order of the encoder's.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=(128, 128)
        The encoder's hidden layers, from its input on.
    activation : str, default="silu"
        A key of `skae.modules.ACTIVATIONS`.
    dropout : float, default=0.0
        Share of the hidden units that is zeroed while training.

    Examples
    --------
    >>> from skae.modules import MLPArchitecture
    >>> MLPArchitecture((16, 8))
    MLPArchitecture(hidden_layer_sizes=(16, 8))
    >>> len(MLPArchitecture((16, 8))("encoder", 5, 2).layers)
    3
    """

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (128, 128),
        activation: str = "silu",
        dropout: float = 0.0,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout

    def __call__(
        self,
        role: Role,
        n_inputs: int,
        n_outputs: int,
        *,
        generator: torch.Generator | None = None,
    ) -> MLP:
        """Return the perceptron that plays `role`.

        Parameters
        ----------
        role : {"encoder", "decoder", "denoiser", "discriminator"}
            What it is for.
        n_inputs, n_outputs : int
            Number of inputs and outputs.
        generator : torch.Generator, default=None
            Source of weights and dropout masks; None is torch's global generator.

        Returns
        -------
        perceptron : MLP
            On the CPU, in float32.
        """
        check_option("activation", self.activation, list(ACTIVATIONS))
        sizes = check_counts("hidden_layer_sizes", self.hidden_layer_sizes)
        if not isinstance(self.dropout, Real) or not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout!r}")
        return MLP(
            n_inputs,
            n_outputs,
            sizes[::-1] if role == "decoder" else sizes,
            self.activation,
            self.dropout,
            generator,
        )


def check_network(module: nn.Module, role: Role, n_inputs: int, n_outputs: int) -> nn.Module:
    """Return `module` if it maps rows of `n_inputs` columns to rows of `n_outputs` columns.

    A few rows are passed through it. From then on it checks each of its outputs, since a shape
    may depend on the number of rows.
    """
    call = f"architecture({role!r}, {n_inputs}, {n_outputs})"
    if not isinstance(module, nn.Module):
        raise TypeError(f"{call} must return a torch.nn.Module, got {type(module).__name__}")
    tensors = [*module.parameters(), *module.buffers()]
    if any(tensor.is_inference() for tensor in tensors if not _is_lazy(tensor)):
        raise ValueError(
            f"the module of {call} must have weights that can be trained, got some that were made "
            "in torch.inference_mode: build it outside"
        )
    if is_perceptron(module) and _find_width(module) == (n_inputs, n_outputs):
        return module.train()
    module.register_forward_hook(OutputCheck(call, n_outputs))
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


def _find_width(perceptron: MLP | TransposedMLP) -> tuple[int, int]:
    """Return the number of inputs and outputs."""
    weights = [layer.weight for layer in perceptron.linear_layers]
    return weights[0].shape[1], weights[-1].shape[0]


def _is_lazy(tensor: Tensor) -> bool:
    return nn.parameter.is_lazy(tensor)


class OutputCheck:
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

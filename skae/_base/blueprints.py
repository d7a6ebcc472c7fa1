"""Blueprints: what a module is built from, as values that any pickler can store."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, Generic, Self, TypeVar

import numpy as np
import torch
from sklearn.base import clone

from .._environment import seed_default_generator
from .._training import Module
from ..modules import (
    Architecture,
    ConvolutionalArchitecture,
    MLPArchitecture,
    ParametrizedArchitecture,
    RecurrentArchitecture,
)
from ..modules.architectures import ShapedArchitecture
from ..modules.cells import CellLayout

#: Architectures by name, with their defaults; "mlp" has parameters of the estimators.
ARCHITECTURES: dict[str, ParametrizedArchitecture] = {
    "convolutional": ConvolutionalArchitecture(),
    "recurrent": RecurrentArchitecture(),
}


def has_shape(architecture: str | Architecture) -> bool:
    """Whether an architecture, or one that has this name, is for rows with a shape."""
    return isinstance(_find_architecture(architecture), ShapedArchitecture)


def open_architecture(name: str, value: Any) -> Any:
    """Return an architecture whose parameters can be set, a new one for its name.

    Parameters
    ----------
    name : str
        The parameter of an estimator that has the value.
    value : object
        The value.

    Raises
    ------
    ValueError
        If it has no parameters.
    """
    if isinstance(value, str) and value in ARCHITECTURES:
        return clone(ARCHITECTURES[value])
    if not hasattr(value, "set_params"):
        raise ValueError(
            f"{name} must be an architecture with parameters for {name}__..., got {value!r}: use "
            "one of skae.modules, such as MLPArchitecture()"
        )
    return value


def find_sequences(architecture: str | Architecture) -> bool | None:
    """Return whether the rows of an architecture are sequences; None if they are in some tables."""
    known = _find_architecture(architecture)
    return 1 in known.row_forms if isinstance(known, ShapedArchitecture) else None


def _find_architecture(architecture: str | Architecture) -> str | Architecture:
    """Return the architecture that has a name; "mlp" has parameters of the estimators instead."""
    if isinstance(architecture, str):
        return ARCHITECTURES.get(architecture, architecture)
    return architecture


@dataclass(frozen=True)
class NetworkConfig:
    """The networks of a module.

    Attributes
    ----------
    n_features : int
        Number of columns.
    architecture : str or callable
        Builder of the nonlinear paths; "mlp" or, until `fit_shape`, another name.
    hidden_layer_sizes : tuple of int
        Hidden units of "mlp".
    activation : str
        Activation of "mlp".
    dropout : float
        Dropout of "mlp".
    linear_path : bool
        Whether there is a linear path, where training begins.
    layout : CellLayout or None, default=None
        What the columns hold; None is numbers.
    """

    n_features: int
    architecture: str | Architecture
    hidden_layer_sizes: tuple[int, ...]
    activation: str
    dropout: float
    linear_path: bool
    layout: CellLayout | None = None

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the configuration of a stored state."""
        layout = state.get("layout")  # not in the states of earlier versions
        known = None if layout is None else CellLayout.from_state(layout)
        return cls(**{**state, "layout": known})

    def fit_shape(self, row_shape: tuple[int, ...] | None) -> Self:
        """Return the configuration for rows of a shape, None for flat ones.

        Raises
        ------
        ValueError
            If the architecture has wrong parameters, or can't be used on such rows.
        """
        known = _find_architecture(self.architecture)
        if isinstance(known, ParametrizedArchitecture):
            known = known.fit_shape(row_shape, self.n_features)
        return self if known is self.architecture else replace(self, architecture=known)

    @property
    def channels(self) -> np.ndarray | None:
        """The channel of each column, None where the architecture knows none."""
        known = self.architecture
        return known.label_channels() if isinstance(known, ShapedArchitecture) else None

    @property
    def cells(self) -> CellLayout:
        """What the columns hold."""
        return CellLayout.from_numbers(self.n_features) if self.layout is None else self.layout

    def count_weights(self, code_size: int) -> int:
        """Return how many weights the networks have, without biases and custom ones."""
        sizes = [self.n_features, code_size]
        paths = [sizes] if self.linear_path else []
        if isinstance(self.architecture, str):
            paths.append([self.n_features, *self.hidden_layer_sizes, code_size])
        return 2 * sum(a * b for path in paths for a, b in pairwise(path))

    @property
    def is_affine(self) -> bool:
        """Whether the linear path is the whole network."""
        is_mlp = isinstance(self.architecture, str)
        return self.linear_path and is_mlp and not self.hidden_layer_sizes


@dataclass(frozen=True)
class Blueprint(ABC, Generic[Module]):
    """Abstract: what a module is built from.

    Attributes
    ----------
    network : NetworkConfig
        Its networks.
    """

    network: NetworkConfig

    @property
    @abstractmethod
    def code_size(self) -> int:
        """Number of columns of the code."""

    @property
    @abstractmethod
    def is_closed_form(self) -> bool:
        """Whether the initialization is the optimum, so that there is nothing to train."""

    def fit_shape(self, row_shape: tuple[int, ...] | None) -> Self:
        """Return what a module for rows of a shape is built from, see `NetworkConfig`."""
        return replace(self, network=self.network.fit_shape(row_shape))

    def count_weights(self) -> int:
        """Return how many weights the module has at least."""
        return self.network.count_weights(self.code_size)

    @abstractmethod
    def assemble(self, architecture: Architecture, generator: torch.Generator) -> Module:
        """Return the module, with weights drawn from `generator`."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the blueprint of a stored state."""

    def get_state(self) -> dict[str, Any]:
        """Return the values by name, those of the parts in dictionaries of their own."""
        parts = _name_fields(self)
        return {name: _name_fields(v) if is_dataclass(v) else v for name, v in parts.items()}

    def build(self, seed: int) -> Module:
        """Return the module, on the CPU, with weights drawn from `seed`."""
        generator = torch.Generator().manual_seed(seed)
        network, architecture = self.network, self.network.architecture
        if isinstance(architecture, str):
            sizes = network.hidden_layer_sizes
            mlp = MLPArchitecture(sizes, network.activation, network.dropout)
            return self.assemble(partial(mlp, generator=generator), generator)
        with seed_default_generator(seed):  # the only one that a user's modules use
            return self.assemble(architecture, generator)

    def check_continues(self, fitted: "Blueprint[Module]") -> None:
        """Raise unless training can continue with a network built from `fitted`."""
        known = dict(_name_values(fitted.get_state()))
        changed = sorted(
            name for name, value in _name_values(self.get_state()) if known.get(name) != value
        )
        if changed:
            raise ValueError(
                "training can continue only with the fitted network, which has another "
                f"{', '.join(changed)}: restore the parameters, or fit with warm_start=False"
            )


BlueprintT = TypeVar("BlueprintT", bound=Blueprint[Any])


def _name_fields(value: Any) -> dict[str, Any]:
    # Not `dataclasses.asdict`, which would copy a user's architecture.
    known = {field.name: getattr(value, field.name) for field in fields(value)}
    return {n: v.get_state() if isinstance(v, CellLayout) else v for n, v in known.items()}


def _name_values(state: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in state.items():
        if isinstance(value, dict):
            yield from _name_values(value)
        else:
            yield name, value

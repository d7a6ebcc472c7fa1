"""What an autoencoder is built from."""

from dataclasses import dataclass
from typing import Any, Self

import torch

from .._base import Blueprint, NetworkConfig
from ..modules import Architecture, Autoencoder, make_autoencoder


@dataclass(frozen=True)
class CodeConfig:
    """A code that may be penalized.

    Attributes
    ----------
    n_components : int
        Number of its columns.
    tied_weights : bool
        Whether the decoder's weights are the encoder's, transposed.
    code_activation : str
        Activation of its units.
    fixed_code_scale : bool
        Whether the linear decoder keeps its columns' lengths, which a penalty requires.
    """

    n_components: int
    tied_weights: bool
    code_activation: str
    fixed_code_scale: bool


def make_code_config(
    n_components: int, tied_weights: bool, penalty: str | None, linear_path: bool
) -> CodeConfig:
    """Return the code that a penalty requires."""
    return CodeConfig(
        int(n_components),
        bool(tied_weights),
        code_activation="logistic" if penalty == "kl" else "identity",
        fixed_code_scale=penalty is not None and linear_path,
    )


@dataclass(frozen=True)
class AutoencoderBlueprint(Blueprint[Autoencoder]):
    """What an autoencoder is built from.

    Attributes
    ----------
    network : NetworkConfig
        Its networks.
    code : CodeConfig
        Its code.
    """

    code: CodeConfig

    @property
    def code_size(self) -> int:
        """Number of columns of the code."""
        return self.code.n_components

    @property
    def is_closed_form(self) -> bool:
        """Whether it is PCA: affine, and without a penalty."""
        return self.network.is_affine and not self.code.fixed_code_scale

    def assemble(self, architecture: Architecture, generator: torch.Generator) -> Autoencoder:
        """Return the module, with weights drawn from `generator`."""
        return make_autoencoder(
            self.network.n_features,
            self.code.n_components,
            architecture,
            linear_path=self.network.linear_path,
            tied_weights=self.code.tied_weights,
            code_activation=self.code.code_activation,
            fixed_code_scale=self.code.fixed_code_scale,
            generator=generator,
        )

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the blueprint of a stored state."""
        return cls(NetworkConfig.from_state(state["network"]), CodeConfig(**state["code"]))

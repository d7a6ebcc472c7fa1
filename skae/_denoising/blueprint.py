"""What a denoiser is built from."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import torch

from .._autoencoder.blueprint import CodeConfig
from .._base import Blueprint, NetworkConfig
from .._linear import count_axes
from ..modules import Architecture, Denoiser, make_code_denoiser, make_row_denoiser


@dataclass(frozen=True)
class DenoiserBlueprint(Blueprint[Denoiser]):
    """What a denoiser is built from.

    Attributes
    ----------
    network : NetworkConfig
        Its networks.
    code : CodeConfig or None
        Its code, None if it has no bottleneck.
    is_gaussian : bool
        Whether the noise is Gaussian.
    noise_conditional : bool
        Whether the network is given the noise level.
    is_paired : bool
        Whether it is trained on pairs of noisy and clean rows.
    """

    code: CodeConfig | None
    is_gaussian: bool
    noise_conditional: bool
    is_paired: bool

    @property
    def code_size(self) -> int:
        """Number of columns of the code; without a bottleneck it is the denoised row."""
        return self.network.n_features if self.code is None else self.code.n_components

    @property
    def is_closed_form(self) -> bool:
        """Whether it is the best linear denoiser: affine, and without a penalty."""
        if not self.network.is_affine:
            return False
        code = self.code
        if code is None:
            return True
        return not code.fixed_code_scale and (self.is_gaussian or not code.tied_weights)

    def count_weights(self) -> int:
        """Return how many weights the module has at least."""
        if self.code is not None:
            return super().count_weights()
        n_features, hidden = self.network.n_features, self.network.hidden_layer_sizes
        if not isinstance(self.network.architecture, str) or not hidden:
            return 0
        return sum(a * b for a, b in pairwise([n_features, *hidden, n_features]))

    def assemble(self, architecture: Architecture, generator: torch.Generator) -> Denoiser:
        """Return the module, with weights drawn from `generator`."""
        n_features, code = self.network.n_features, self.code
        if code is None:
            return make_row_denoiser(
                n_features,
                architecture,
                n_axes=count_axes(n_features),
                noise_conditional=self.noise_conditional,
                linear_path=self.network.linear_path,
                is_gaussian=self.is_gaussian,
                generator=generator,
            )
        return make_code_denoiser(
            n_features,
            code.n_components,
            architecture,
            n_axes=count_axes(n_features) if self.is_gaussian else 0,
            noise_conditional=self.noise_conditional,
            linear_path=self.network.linear_path,
            tied_weights=code.tied_weights,
            code_activation=code.code_activation,
            fixed_code_scale=code.fixed_code_scale,
            generator=generator,
        )

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the blueprint of a stored state."""
        code = state["code"]
        return cls(
            NetworkConfig.from_state(state["network"]),
            None if code is None else CodeConfig(**code),
            state["is_gaussian"],
            state["noise_conditional"],
            state["is_paired"],
        )

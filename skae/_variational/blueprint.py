"""What a variational autoencoder is built from."""

from dataclasses import dataclass
from typing import Any, Self

import torch

from .._base import Blueprint, NetworkConfig
from ..modules import Architecture, VariationalAutoencoder, make_variational
from ..modules.priors import FULL_UP_TO


@dataclass(frozen=True)
class VariationalBlueprint(Blueprint[VariationalAutoencoder]):
    """What a variational autoencoder is built from.

    Attributes
    ----------
    network : NetworkConfig
        Its networks.
    n_components : int
        Size of the code.
    likelihood : {"gaussian", "bernoulli"}
        Distribution of a row given the decoder's output.
    noise_per_column : bool
        Whether each column has a noise variance of its own.
    prior : {"standard", "mixture", "vamp"}
        Distribution of the codes.
    n_prior_components : int
        Largest number of Gaussians of the mixture, or number of pseudo-rows.
    """

    n_components: int
    likelihood: str
    noise_per_column: bool
    prior: str
    n_prior_components: int

    @property
    def code_size(self) -> int:
        """Number of columns of the code."""
        return self.n_components

    @property
    def is_closed_form(self) -> bool:
        """Whether it is probabilistic PCA or factor analysis."""
        is_gaussian = self.likelihood == "gaussian" and self.network.cells.is_numeric
        is_linear_gaussian = self.prior == "standard" and is_gaussian
        return self.network.is_affine and is_linear_gaussian

    def count_weights(self) -> int:
        """Return how many weights the module has at least."""
        size = self.n_components
        spread = size * (size + 1) if size <= FULL_UP_TO else size
        n_columns = {"standard": 0, "mixture": size + spread}.get(
            self.prior, self.network.n_features
        )
        return super().count_weights() + self.n_prior_components * n_columns

    def assemble(
        self, architecture: Architecture, generator: torch.Generator
    ) -> VariationalAutoencoder:
        """Return the module, with weights drawn from `generator`."""
        return make_variational(
            self.network.n_features,
            self.n_components,
            architecture,
            linear_path=self.network.linear_path,
            likelihood=self.likelihood,
            noise_per_column=self.noise_per_column,
            prior=self.prior,
            n_prior_components=self.n_prior_components,
            layout=self.network.layout,
            generator=generator,
        )

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the blueprint of a stored state."""
        return cls(**{**state, "network": NetworkConfig.from_state(state["network"])})

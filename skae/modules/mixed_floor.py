"""A floor under the density of mixed rows: a linear model of numbers, and shares of levels."""

import numpy as np
import torch
from torch import Tensor, nn

from .cells import CellLayout
from .likelihoods import Bounds
from .linear_mixture import LinearMixture, add_background, mix_densities
from .mixed_likelihood import MixedLikelihood
from .priors import GaussianComponents


class MixedFloor(nn.Module):
    """Numbers from a mixture of factor analysers; other cells are independent of all.

    As `LinearMixture` does for numbers, it bounds the loss on each row: a level that a network
    excludes for some codes is as frequent here as in all rows.

    Parameters
    ----------
    layout : CellLayout
        What the encoded columns hold.
    numbers : LinearMixture
        The model of the numbers.

    Attributes
    ----------
    logit : Tensor of shape (n_others,)
        Logarithms of the odds of booleans and levels.
    """

    logit: Tensor
    number_columns: Tensor
    other_columns: Tensor
    places: Tensor

    def __init__(self, layout: CellLayout, numbers: LinearMixture) -> None:
        super().__init__()
        others = np.flatnonzero(~layout.is_number)
        rank = {int(index): place for place, index in enumerate(others)}
        own = CellLayout(
            (),
            tuple(rank[index] for index in layout.booleans),
            tuple((rank[first], rank[end - 1] + 1) for first, end in layout.categories),
        )
        self.numbers = numbers
        self.others = MixedLikelihood(own, noise_per_column=False, smallest_variance=1.0)
        self.register_buffer("logit", torch.zeros(len(others)))
        columns = torch.from_numpy(np.flatnonzero(layout.is_number))
        other_columns = torch.from_numpy(others)
        self.register_buffer("number_columns", columns, persistent=False)
        self.register_buffer("other_columns", other_columns, persistent=False)
        places = torch.cat([columns, other_columns]).argsort()
        self.register_buffer("places", places, persistent=False)

    @property
    def share(self) -> Tensor:
        """Share of the rows that it makes; 0 until `set_model`."""
        return self.numbers.share

    @property
    def components(self) -> GaussianComponents:
        """The mixture of codes."""
        return self.numbers.components

    def set_model(
        self,
        share: float,
        loadings: Tensor,
        output: Tensor,
        variance: Tensor,
        components: GaussianComponents,
    ) -> None:
        """Set the model.

        Parameters
        ----------
        share : float
            Share of the rows that it makes.
        loadings : Tensor of shape (n_encoded, n_components)
            Maps codes to rows; those of numbers count.
        output : Tensor of shape (n_encoded,)
            Numbers for a code of zeros, and the logarithms of the odds of the others.
        variance : Tensor of shape (n_numbers,) or (1,)
            Variance of the noise, of each number or shared.
        components : GaussianComponents
            The mixture of codes.
        """
        own = self.number_columns
        self.numbers.set_model(share, loadings[own], output[own], variance, components)
        with torch.no_grad():
            self.logit.copy_(output[self.other_columns])

    def set_scaling(self, shift: Tensor, scale: Tensor) -> None:
        """Set the encoded columns' shifts and scales outside the module."""
        own = self.other_columns
        self.others.set_scaling(shift[own], scale[own])

    def log_density(self, input: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the log-density of rows, of their observed cells, in nats."""
        (numbers, others), (seen, seen_others) = self._split(input), self._split_mask(mask)
        return self.numbers.log_density(numbers, seen) + self._find_mass(others, seen_others)

    def mix(self, log_density: Tensor, input: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the log-density of rows of which this makes its share, and another the rest.

        A tenth of its part is a background, of the numbers.
        """

        def find_own() -> Tensor:
            (numbers, others), (seen, seen_others) = self._split(input), self._split_mask(mask)
            own = add_background(self.numbers.log_density(numbers, seen), numbers, seen)
            return own + self._find_mass(others, seen_others)

        return mix_densities(self.share, log_density, find_own)

    def decode(self, code: Tensor) -> Tensor:
        """Return the expected rows given codes."""
        others = self.others.mean(self.logit.expand(len(code), -1))
        return self._join(self.numbers.decode(code), others)

    def add_noise(
        self, rows: Tensor, generator: torch.Generator, bounds: Bounds | None = None
    ) -> Tensor:
        """Return rows drawn around the expected ones, given that numbers are within bounds."""
        numbers, _ = self._split(rows)
        own = None if bounds is None else bounds.select(self.number_columns)
        others = self.others.draw(self.logit.expand(len(rows), -1), generator)
        return self._join(self.numbers.add_noise(numbers, generator, own), others)

    def _find_mass(self, others: Tensor, mask: Tensor | None) -> Tensor:
        return self.others.log_density(self.logit.expand_as(others), others, mask)

    def _split_mask(self, mask: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        return (None, None) if mask is None else self._split(mask)

    def _split(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the numbers and the others."""
        return rows.index_select(1, self.number_columns), rows.index_select(1, self.other_columns)

    def _join(self, numbers: Tensor, others: Tensor) -> Tensor:
        """Return rows whose columns are in the table's order."""
        return torch.cat([numbers, others], dim=1).index_select(1, self.places)

"""The distribution of rows that hold numbers, booleans and categories."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .cells import CellLayout
from .likelihoods import (
    BernoulliLikelihood,
    Bounds,
    CategoricalLikelihood,
    DiscreteLikelihood,
    GaussianLikelihood,
    Likelihood,
)


class MixedLikelihood(Likelihood):
    """Numbers with Gaussian noise, booleans and categories by the logarithms of their odds.

    A row has a density of its numbers times a mass of its other cells.

    Parameters
    ----------
    layout : CellLayout
        What the encoded columns hold.
    noise_per_column : bool
        Learn a noise variance for each number instead of one.
    smallest_variance : float
        Lower bound of the noise variance.

    Attributes
    ----------
    numbers, booleans, categories : Likelihood or None
        Of the columns of each kind, None where there are none.
    """

    columns: Tensor
    places: Tensor
    cell_places: Tensor

    def __init__(
        self, layout: CellLayout, noise_per_column: bool, smallest_variance: float
    ) -> None:
        super().__init__()
        self.layout = layout
        sizes = [end - first for first, end in layout.categories]
        n_numbers, n_booleans = len(layout.numbers), len(layout.booleans)
        n_variances = n_numbers if noise_per_column else 1
        self.numbers = GaussianLikelihood(n_variances, smallest_variance) if n_numbers else None
        self.booleans = BernoulliLikelihood(n_booleans) if n_booleans else None
        self.categories = CategoricalLikelihood(sizes) if sizes else None
        self.widths = [width for width in (n_numbers, n_booleans, sum(sizes)) if width]
        indicators = [index for own in layout.categories for index in range(*own)]
        first = [own[0] for own in layout.categories]
        before = [*layout.numbers, *layout.booleans]
        columns = torch.tensor([*before, *indicators], dtype=torch.long)
        cells = torch.tensor([*before, *first], dtype=torch.long)
        self.register_buffer("columns", columns, persistent=False)
        self.register_buffer("places", columns.argsort(), persistent=False)
        self.register_buffer("cell_places", cells.argsort(), persistent=False)

    def binarize(self, input: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return rows whose probabilities are replaced by 0 and 1 drawn from them, scaled.

        Parameters
        ----------
        input : Tensor of shape (n_rows, n_encoded)
            The rows.
        generator : torch.Generator or None
            Source of the draws; None is torch's global generator.

        Returns
        -------
        rows : Tensor of shape (n_rows, n_encoded)
            The rows, whose numbers, categories and drawn cells are as they were scaled.
        """
        if self.booleans is None:
            return input
        own, rows = list(self.layout.booleans), input.clone()
        rows[:, own] = self.booleans.binarize(input[:, own], generator)
        return rows

    @property
    def is_number(self) -> Tensor:
        """Which encoded columns hold numbers."""
        return torch.from_numpy(self.layout.is_number).to(self.columns.device)

    @property
    def variance(self) -> Tensor:
        """Variance of the numbers' noise, shared or of each; 1 without numbers."""
        return self.columns.new_ones(1).float() if self.numbers is None else self.numbers.variance

    @property
    def parts(self) -> list[Likelihood]:
        """The likelihoods of the kinds that there are."""
        kinds: list[Likelihood | None] = [self.numbers, self.booleans, self.categories]
        return [part for part in kinds if part is not None]

    def set_scaling(self, shift: Tensor, scale: Tensor) -> None:
        """Set the encoded columns' shifts and scales outside the module."""
        for part, own_shift, own_scale in zip(
            self.parts, self._split(shift), self._split(scale), strict=True
        ):
            if isinstance(part, DiscreteLikelihood):
                part.set_scaling(own_shift, own_scale)

    def mean(self, output: Tensor) -> Tensor:
        """Return the expected numbers and the probabilities of levels, scaled."""
        each = zip(self.parts, self._split(output), strict=True)
        return self._join([part.mean(own) for part, own in each])

    def log_density(self, output: Tensor, input: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the log-density of rows, of their observed cells."""
        return self._sum_parts(self.parts, output, input, mask)

    def log_mass(self, output: Tensor, input: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the log-mass of the booleans and categories of rows."""
        discrete = [part for part in self.parts if isinstance(part, DiscreteLikelihood)]
        return self._sum_parts(discrete, output, input, mask)

    def _sum_parts(
        self, chosen: Sequence[Likelihood], output: Tensor, input: Tensor, mask: Tensor | None
    ) -> Tensor:
        masks: Sequence[Tensor | None]
        masks = [None] * len(self.widths) if mask is None else self._split(mask)
        each = zip(self.parts, self._split(output), self._split(input), masks, strict=True)
        found = [
            part.log_density(out, own, observed)
            for part, out, own, observed in each
            if any(part is one for one in chosen)
        ]
        return torch.stack(found).sum(dim=0)

    def log_cells(self, output: Tensor, input: Tensor) -> Tensor:
        """Return the log-density or log-mass of each cell, in the order of the columns."""
        each = zip(self.parts, self._split(output), self._split(input), strict=True)
        found = torch.cat([part.log_cells(out, own) for part, out, own in each], dim=-1)
        return found.index_select(-1, self.cell_places)

    def whiten(self, jacobian: Tensor, output: Tensor) -> Tensor:
        """Return an output's derivatives in units of the cells' noise."""
        slopes = jacobian.index_select(1, self.columns).split(self.widths, dim=1)
        each = zip(self.parts, slopes, self._split(output), strict=True)
        found = [part.whiten(own, out) for part, own, out in each]
        return torch.cat(found, dim=1).index_select(1, self.places)

    def draw(
        self, output: Tensor, generator: torch.Generator, bounds: Bounds | None = None
    ) -> Tensor:
        """Return rows drawn from the distribution, scaled; indicators are 0 and 1 before."""
        each = zip(self.parts, self._split(output), self.columns.split(self.widths), strict=True)
        parts = [
            part.draw(own, generator, None if bounds is None else bounds.select(columns))
            for part, own, columns in each
        ]
        return self._join(parts)

    def _split(self, rows: Tensor) -> Sequence[Tensor]:
        """Return the columns of each part."""
        return rows.index_select(-1, self.columns).split(self.widths, dim=-1)

    def _join(self, parts: list[Tensor]) -> Tensor:
        """Return the columns of all parts in the table's order."""
        return torch.cat(parts, dim=-1).index_select(-1, self.places)


def make_likelihood(
    name: str, layout: CellLayout, noise_per_column: bool, smallest_variance: float
) -> Likelihood:
    """Return the likelihood of rows whose numbers have the one called "gaussian" or "bernoulli"."""
    if name == "bernoulli":
        if layout.is_numeric:
            return BernoulliLikelihood(layout.n_encoded)
        # Numbers in [0, 1] are probabilities of booleans.
        zeros_and_ones = tuple(sorted([*layout.numbers, *layout.booleans]))
        layout = CellLayout((), zeros_and_ones, layout.categories)
    elif layout.is_numeric:
        n_variances = layout.n_encoded if noise_per_column else 1
        return GaussianLikelihood(n_variances, smallest_variance)
    return MixedLikelihood(layout, noise_per_column, smallest_variance)

"""The abstract objective: a loss for each row, and their mean."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar

import torch
from torch import Tensor, nn

from .._data import Batch, trim_weight
from ..modules import EncoderDecoder
from ..modules.layers import copy_with_generator
from .losses import weighted_mean

Module = TypeVar("Module", bound=EncoderDecoder)

#: Returns the loss of a batch, and leaves its gradients with the weights, which have none or
#: zeros before.
TrainingStep = Callable[[Batch], Tensor]

#: A gain in log-likelihood, in nats a column, for which it is worth leaving the initialization:
#: what 6 % less squared error is worth, see `SelectionRule`.
MINIMUM_IMPROVEMENT_NATS = 0.03


class Objective(nn.Module, ABC, Generic[Module]):
    """Abstract: a loss for each row, and the mean of those that are not trimmed.

    A module without weights, which is what skorch takes as a criterion.

    Parameters
    ----------
    trim_fraction : float
        Share of rows, those of largest loss, that is ignored.
    generator : torch.Generator, default=None
        Source of noise, on the device that trains; None is torch's global generator.

    Attributes
    ----------
    minimum_improvement : float or None
        How far an epoch's loss must be below the initial one to be worth leaving the
        initialization for; None is a share of that loss, which is no measure for losses that
        may be negative.
    has_saddle : bool
        Whether the linear model is a stationary point that training may not leave by itself.
    """

    minimum_improvement: float | None = None
    has_saddle: bool = False

    def __init__(
        self, trim_fraction: float = 0.0, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.trim_fraction = trim_fraction
        self.generator = generator

    def __getstate__(self) -> dict[str, Any]:
        # A generator can't be pickled.
        return {**self.__dict__, "generator": None}

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return copy_with_generator(self, memo)

    @abstractmethod
    def row_losses(self, module: Module, batch: Batch) -> Tensor:
        """Return the loss of each row."""

    def loss(self, module: Module, batch: Batch) -> Tensor:
        """Return the loss of a batch: the mean of its rows' losses."""
        return self.reduce(self.row_losses(module, batch), batch.weight)

    def advance(self, done: float) -> None:
        """Take notice of the share of training that is done; some objectives change with it."""

    def reduce(
        self, losses: Tensor, weight: Tensor | None, rank_by: Tensor | None = None
    ) -> Tensor:
        """Return the weighted mean over the rows that are not trimmed.

        Trimmed are the rows that are largest in `rank_by`, by default their losses.
        """
        return weighted_mean(losses, self._trim(losses, weight, rank_by))

    def weight_shares(
        self, losses: Tensor, weight: Tensor | None, rank_by: Tensor | None = None
    ) -> Tensor:
        """Return the factor of each row's loss in the mean that `reduce` returns."""
        weight = self._trim(losses, weight, rank_by)
        if weight is None:
            return torch.full_like(losses, 1 / len(losses))
        return weight / weight.sum()

    def _trim(self, losses: Tensor, weight: Tensor | None, rank_by: Tensor | None) -> Tensor | None:
        if self.trim_fraction == 0:
            return weight
        return trim_weight(losses if rank_by is None else rank_by, weight, self.trim_fraction)


#: Returns a training step that needs no autograd, or None if the module has parts for which
#: there is none.
FastStep = Callable[[Module, Objective[Module]], TrainingStep | None]

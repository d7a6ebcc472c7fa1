"""What training minimises."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from .._losses import (
    contractive_penalty,
    kl_penalty,
    l1_penalty,
    squared_error,
    trimmed_weight,
    weighted_mean,
)
from ..modules import EncoderDecoder
from ..modules._explicit import Pass, explicit_autoencoder

#: Returns the loss of a batch and its weights. The network's gradients, nothing or zeros
#: before, are those of the loss then.
Descent = Callable[[Tensor, Tensor | None], Tensor]

#: A gain in log-likelihood, in nats a column, that is worth leaving the start for: what 6 %
#: less squared error is worth, see `Rule`.
WORTH_NATS = 0.03


class Objective(nn.Module, ABC):
    """Abstract: a loss for each row, and the mean of those that are not trimmed.

    A module without weights, which is what skorch takes for a criterion.

    Parameters
    ----------
    trim_fraction : float
        Share of rows, those of largest loss, that is ignored.
    generator : torch.Generator, default=None
        Where noise is drawn, on the device that trains; None is torch's global generator.
    """

    def __init__(
        self, trim_fraction: float = 0.0, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.trim_fraction = trim_fraction
        self.generator = generator

    def __getstate__(self) -> dict[str, Any]:
        # A generator can be neither pickled nor deep-copied.
        return {**self.__dict__, "generator": None}

    #: How far an epoch's loss must be below the start's to be worth leaving PCA; None is a
    #: share of the start's loss, which is no measure for losses that may be negative.
    worth: float | None = None

    @abstractmethod
    def row_losses(self, module: EncoderDecoder, input: Tensor, weight: Tensor | None) -> Tensor:
        """Return the loss of each row."""

    def loss(self, module: EncoderDecoder, input: Tensor, weight: Tensor | None) -> Tensor:
        """Return the loss of a batch: what `reduce` makes of its rows' losses."""
        return self.reduce(self.row_losses(module, input, weight), weight)

    def descent(self, module: EncoderDecoder) -> Descent:
        """Return the function that a step of training calls, by autograd for any module."""
        return partial(self.descend, module)

    def descend(self, module: EncoderDecoder, input: Tensor, weight: Tensor | None) -> Tensor:
        """Return the loss of a batch, and leave its gradients with the weights."""
        loss = self.loss(module, input, weight)
        if loss.requires_grad:  # a filter has nothing to train
            loss.backward()
        return loss.detach()

    def advance(self, done: float) -> None:
        """Take notice of the share of training that is done; some objectives change with it."""

    def reduce(self, losses: Tensor, weight: Tensor | None, by: Tensor | None = None) -> Tensor:
        """Return the weighted mean over the rows that are not trimmed: the largest in `by`.

        By default that is the loss itself.
        """
        return weighted_mean(losses, self._left(losses, weight, by))

    def shares(self, losses: Tensor, weight: Tensor | None, by: Tensor | None = None) -> Tensor:
        """Return what each row's loss counts in what `reduce` returns."""
        weight = self._left(losses, weight, by)
        if weight is None:
            return torch.full_like(losses, 1 / len(losses))
        return weight / weight.sum()

    def _left(self, losses: Tensor, weight: Tensor | None, by: Tensor | None) -> Tensor | None:
        if self.trim_fraction == 0:
            return weight
        return trimmed_weight(losses if by is None else by, weight, self.trim_fraction)


@dataclass(frozen=True)
class CodePenalty:
    """A penalty on the code.

    Attributes
    ----------
    kind : {"l1", "kl", "contractive"} or None, default=None
        Which one.
    alpha : float, default=0.0
        Its factor.
    """

    kind: str | None = None
    alpha: float = 0.0

    def coded(
        self, encode: Callable[[Tensor], Tensor], input: Tensor, weight: Tensor | None
    ) -> tuple[Tensor, Tensor | float]:
        """Return the codes of rows, and what each row's penalty is."""
        if self.kind is None:
            return encode(input), 0.0
        # The contractive penalty is a derivative, which validation has to compute as well.
        with torch.set_grad_enabled(torch.is_grad_enabled() or self.kind == "contractive"):
            leaf = input.detach().requires_grad_(self.kind == "contractive")
            code = encode(leaf)
            return code, self.alpha * self._of(code, leaf, weight)

    def _of(self, code: Tensor, input: Tensor, weight: Tensor | None) -> Tensor:
        if self.kind == "l1":
            return l1_penalty(code)
        if self.kind == "kl":
            return kl_penalty(code, weight)
        return contractive_penalty(code, input)


class ReconstructionObjective(Objective):
    """Squared error plus a penalty on the code, both divided by the number of columns.

    So that, for standardised columns, the loss without its penalty is the share of
    variance that is left unexplained.

    Parameters
    ----------
    penalty : CodePenalty, default=CodePenalty()
        The penalty on the code.
    trim_fraction : float, default=0.0
        Share of rows, those of largest loss, that is ignored.
    """

    def __init__(self, penalty: CodePenalty = CodePenalty(), trim_fraction: float = 0.0) -> None:
        super().__init__(trim_fraction)
        self.penalty = penalty

    def row_losses(self, module: EncoderDecoder, input: Tensor, weight: Tensor | None) -> Tensor:
        """Return `(|x - g(f(x))|^2 + alpha * penalty) / n_features` for each row."""
        code, penalty = self.penalty.coded(module.encode, input, weight)
        return (squared_error(module.decode(code), input) + penalty) / input.shape[1]

    def loss(self, module: EncoderDecoder, input: Tensor, weight: Tensor | None) -> Tensor:
        """Return the loss of a batch, by fewer operations where all rows count alike."""
        if self.penalty.kind is None and weight is None and self.trim_fraction == 0:
            return mse_loss(module(input), input)
        return self.reduce(self.row_losses(module, input, weight), weight)

    def descent(self, module: EncoderDecoder) -> Descent:
        """Return the function that a step of training calls, without autograd if it can."""
        path = explicit_autoencoder(module) if self.penalty.kind is None else None
        return super().descent(module) if path is None else partial(self._descend_by, path)

    @torch.no_grad()
    def _descend_by(self, path: Pass, input: Tensor, weight: Tensor | None) -> Tensor:
        difference = path.forward(input).sub_(input)
        if weight is None and self.trim_fraction == 0:
            loss = difference.square().mean()
            path.backward(difference.mul_(2 / difference.numel()), False)
            return loss
        losses = difference.square().mean(dim=1)
        shares = self.shares(losses, weight)
        path.backward(difference.mul_((2 / input.shape[1]) * shares[:, None]), False)
        return shares @ losses

"""Optimizers by name, and the one vector of weights that they work on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

OptimizerFactory = Callable[..., torch.optim.Optimizer]

#: Each of them does to a weight what it does to any other.
OPTIMIZERS: dict[str, OptimizerFactory] = {
    "adamw": partial(torch.optim.AdamW, fused=True),
    "sgd": partial(torch.optim.SGD, momentum=0.9, nesterov=True, fused=True),
}


class OnePiece:
    """A module's weights and their gradients as parts of two vectors, while it trains.

    An optimizer that works weight by weight may as well work on a vector, in one call in
    place of one for each layer: with networks of tables' size that is most of its time.

    Parameters
    ----------
    parameters : list of torch.nn.Parameter
        The module's, which stay what they are; their data move.
    """

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self.parameters = parameters
        self.weights = nn.Parameter(torch.cat([p.detach().reshape(-1) for p in parameters]))
        self.gradients = torch.zeros_like(self.weights.data)

    @contextmanager
    def taken_up(self) -> Iterator[None]:
        """Move the parameters' data into the vector, and out of it at the end.

        Out again, for who saves a part of a module would save the vector that it is of.
        """
        weights = self._parts(self.weights.data)
        for parameter, part, gradient in zip(
            self.parameters, weights, self._parts(self.gradients), strict=True
        ):
            part.copy_(parameter.data)
            parameter.data, parameter.grad = part, gradient
        try:
            yield
        finally:
            for parameter in self.parameters:
                parameter.data, parameter.grad = parameter.data.clone(), None

    @property
    def is_whole(self) -> bool:
        """Whether all weights are trained: a callback may have frozen some."""
        return all(parameter.requires_grad for parameter in self.parameters)

    def is_of(self, parameters: list[nn.Parameter]) -> bool:
        """Whether these are the parameters, and no others."""
        return list(map(id, parameters)) == list(map(id, self.parameters))

    def begin_step(self) -> None:
        """Let gradients be added up from zero."""
        self.gradients.zero_()
        self.weights.grad = self.gradients

    def _parts(self, vector: Tensor) -> list[Tensor]:
        parts = vector.split([parameter.numel() for parameter in self.parameters])
        return [part.view_as(p) for part, p in zip(parts, self.parameters, strict=True)]


def one_piece(
    module: nn.Module, optimizer: OptimizerFactory, present: OnePiece | None = None
) -> OnePiece | None:
    """Return a module's weights in one piece, None if they must not be moved together.

    A user's optimizer may look at whole matrices, and layers that are not ours may hold on
    to where their weights are, as recurrent ones do. If `present` is of these weights it is
    what is returned, for they may be in it just now.
    """
    if not any(optimizer is known for known in OPTIMIZERS.values()):
        return None
    parameters = list(module.parameters())
    are_alike = len({(parameter.dtype, parameter.device) for parameter in parameters}) == 1
    if not are_alike or not all(_is_known(part) for part in module.modules()):
        return None
    piece = present if present is not None and present.is_of(parameters) else OnePiece(parameters)
    return piece if piece.is_whole else None


def _is_known(part: nn.Module) -> bool:
    has_weights = any(True for _ in part.parameters(recurse=False))
    ours, theirs = (name.partition(".")[0] for name in (__name__, type(part).__module__))
    return not has_weights or type(part) is nn.Linear or theirs == ours

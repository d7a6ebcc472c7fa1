"""Optimizers by name, and the single vector of weights that they work on."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .muon import Muon

OptimizerFactory = Callable[..., torch.optim.Optimizer]


def make_adamw(params: Iterable[Any], lr: float) -> torch.optim.Optimizer:
    """Return AdamW."""
    return torch.optim.AdamW(params, lr=lr, fused=True)


def make_adamw_or_muon(params: Iterable[Any], lr: float) -> torch.optim.Optimizer:
    """Return AdamW, in place of which `make_optimizer` takes Muon where it pays."""
    return make_adamw(params, lr)


def make_sgd(params: Iterable[Any], lr: float) -> torch.optim.Optimizer:
    """Return SGD with Nesterov's momentum."""
    return torch.optim.SGD(params, lr=lr, momentum=0.9, nesterov=True, fused=True)


#: Each treats all weights alike, so that it can work on one vector of them.
OPTIMIZERS: dict[str, OptimizerFactory] = {
    "auto": make_adamw_or_muon,
    "adamw": make_adamw,
    "sgd": make_sgd,
}

# Muon pays from so many rows a batch on, for matrices whose smaller side is at most this share of
# the batch: with fewer rows its products would take as long as the step's.
_FEWEST_ROWS = 512
_LARGEST_SIDE = 0.25


class FlatParameters:
    """A module's weights and gradients as parts of two vectors, while it trains.

    An optimizer that works weight by weight can as well work on one vector, in one call in
    place of one for each layer, which is most of its time with networks for tables.

    Parameters
    ----------
    parameters : list of torch.nn.Parameter
        The module's. They stay the same objects; their data move.
    """

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self.parameters = parameters
        self.weights = nn.Parameter(torch.cat([p.detach().reshape(-1) for p in parameters]))
        self.gradients = torch.zeros_like(self.weights.data)

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Keep the parameters' data in the vector while the context lasts."""
        weights = self._split(self.weights.data)
        for parameter, part, gradient in zip(
            self.parameters, weights, self._split(self.gradients), strict=True
        ):
            part.copy_(parameter.data)
            parameter.data, parameter.grad = part, gradient
        try:
            yield
        finally:
            # Restore separate storage: saving one tensor would otherwise save the whole vector.
            for parameter in self.parameters:
                parameter.data, parameter.grad = parameter.data.clone(), None

    @property
    def is_trainable(self) -> bool:
        """Whether all weights are trained: a callback may have frozen some."""
        return all(parameter.requires_grad for parameter in self.parameters)

    def holds(self, parameters: list[nn.Parameter]) -> bool:
        """Whether it consists of exactly these parameters."""
        return list(map(id, parameters)) == list(map(id, self.parameters))

    def zero_gradients(self) -> None:
        """Set all gradients to zero."""
        self.gradients.zero_()
        self.weights.grad = self.gradients

    def find(self, parameters: list[nn.Parameter]) -> list[tuple[int, torch.Size]]:
        """Return where in the vector these begin, in its order, and their shapes."""
        wanted = {id(parameter) for parameter in parameters}
        found, first = [], 0
        for parameter in self.parameters:
            if id(parameter) in wanted:
                found.append((first, parameter.shape))
            first += parameter.numel()
        return found

    def _split(self, vector: Tensor) -> list[Tensor]:
        parts = vector.split([parameter.numel() for parameter in self.parameters])
        return [part.view_as(p) for part, p in zip(parts, self.parameters, strict=True)]


def flatten_parameters(
    module: nn.Module, optimizer: OptimizerFactory, present: FlatParameters | None = None
) -> FlatParameters | None:
    """Return a module's weights as one vector, None if they must stay apart.

    A user's optimizer may look at whole matrices, and layers of other libraries, such as
    recurrent ones, may remember where their weights are. `present` is returned if it holds
    these weights, since they may be attached to it.
    """
    if not any(optimizer is known for known in OPTIMIZERS.values()):
        return None
    parameters = list(module.parameters())
    are_alike = len({(parameter.dtype, parameter.device) for parameter in parameters}) == 1
    if not are_alike or not all(_is_known(part) for part in module.modules()):
        return None
    flat = present
    if flat is None or not flat.holds(parameters):
        flat = FlatParameters(parameters)
    return flat if flat.is_trainable else None


def make_optimizer(
    factory: OptimizerFactory,
    groups: list[dict[str, Any]],
    lr: float,
    hidden: list[nn.Parameter],
    flat: FlatParameters | None,
    batch_size: int,
) -> torch.optim.Optimizer:
    """Return an optimizer of groups of weights.

    Parameters
    ----------
    factory : callable
        Makes it.
    groups : list of dict
        What it works on.
    lr : float
        The learning rate.
    hidden : list of torch.nn.Parameter
        The weights of nonlinear paths' layers, of which some are for Muon if `factory` is
        `make_adamw_or_muon`.
    flat : FlatParameters or None
        The vector that all weights are parts of, if they are.
    batch_size : int
        Rows of a batch.
    """
    if factory is make_adamw_or_muon and flat is not None and batch_size >= _FEWEST_ROWS:
        matrices = [p for p in hidden if p.ndim == 2 and min(p.shape) <= _LARGEST_SIDE * batch_size]
        if matrices:
            return Muon(groups, lr, flat.find(matrices))
    return factory(groups, lr=lr)


def _is_known(part: nn.Module) -> bool:
    has_weights = any(True for _ in part.parameters(recurse=False))
    ours, theirs = (name.partition(".")[0] for name in (__name__, type(part).__module__))
    return not has_weights or type(part) is nn.Linear or theirs == ours

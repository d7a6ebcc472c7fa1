"""How much work a network is, for the choice of a number of threads."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from .objective import Module

# Layers that use a weight once at each place or step of a row.
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_REPEATED = (*_CONVOLUTIONS, *_TRANSPOSED, nn.RNNBase)


def count_products(module: Module, n_features: int | None) -> int:
    """Return how many times a weight is multiplied in a forward pass of one row.

    Layers for tables use each weight once. Networks with others are tried on a row.

    Parameters
    ----------
    module : EncoderDecoder
        The module.
    n_features : int or None
        Number of columns of its rows; None counts each weight once.
    """
    n_products = sum(parameter.numel() for parameter in module.parameters())
    repeated = [part for part in module.modules() if isinstance(part, _REPEATED)]
    if n_features is None or not repeated:
        return n_products
    n_more: list[int] = []

    def note(part: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
        given = inputs[0] if inputs else named.get("input")
        n_uses = _count_uses(part, given, output)
        n_more.append((n_uses - 1) * sum(p.numel() for p in part.parameters()))

    hooks = [part.register_forward_hook(note, with_kwargs=True) for part in repeated]
    known, was_training = next(module.parameters()), module.training
    module.eval()
    try:
        with torch.no_grad():
            module(torch.zeros(1, n_features, dtype=known.dtype, device=known.device))
    finally:
        module.train(was_training)
        for hook in hooks:
            hook.remove()
    return n_products + sum(n_more)


def _count_uses(part: nn.Module, given: Any, output: Any) -> int:
    """Return how often one row uses each weight of a layer; 1 of inputs that aren't tensors."""
    is_recurrent = isinstance(part, nn.RNNBase)
    places = given if is_recurrent or isinstance(part, _TRANSPOSED) else output
    if not isinstance(places, Tensor) or places.ndim < 2:
        return 1
    if isinstance(part, nn.RNNBase):
        return places.shape[1 if part.batch_first else 0]
    return math.prod(places.shape[2:])

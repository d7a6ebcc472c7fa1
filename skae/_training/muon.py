"""Muon for the weight matrices of hidden layers, AdamW for all other weights."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

# Momentum as in Jordan et al. (2024). Their coefficients map singular values to about one, in five
# rounds; three are enough here, and cost less.
_MOMENTUM = 0.95
_COEFFICIENTS = 3.4445, -4.7750, 2.0315
_ROUNDS = 3

# The root mean square of a matrix's step as a share of the learning rate. See docs/defaults.md.
_STEP = 0.5

_EPSILON = 1e-7


class Muon(torch.optim.AdamW):
    """Muon (Jordan et al. 2024) for matrices that are parts of a vector, AdamW for its other parts.

    A matrix's step is orthogonal: all directions of its gradient count alike, also those that the
    rows vary little along, and that AdamW takes many steps for. `torch.optim.Muon` would do it in
    bfloat16, which most processors compute slowly, and matrix by matrix. The length of a gradient
    makes no difference, so that to clip gradients does not shorten a step.

    Parameters
    ----------
    params : iterable
        The vector of weights, or a group of it.
    lr : float
        The learning rate of both.
    matrices : list of (int, torch.Size)
        Where in the vector each matrix begins, and its shape.
    """

    def __init__(
        self, params: Iterable[Any], lr: float, matrices: list[tuple[int, torch.Size]]
    ) -> None:
        super().__init__(params, lr=lr, fused=True)
        self.matrices = matrices

    def __getstate__(self) -> dict[str, Any]:
        """Return what copies consist of."""
        return {**super().__getstate__(), "matrices": self.matrices}

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make a step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        (group,) = self.param_groups
        (weights,) = group["params"]
        gradients = weights.grad
        if gradients is None:
            return loss
        state = self.state[weights]
        momentum = state["momentum"] if state else torch.zeros_like(weights)
        momentum.lerp_(gradients, 1 - _MOMENTUM)
        ahead = gradients.lerp(momentum, _MOMENTUM)
        weights.grad = gradients.clone()
        for part in self._split(weights.grad):
            part.zero_()
        super().step()
        weights.grad = gradients  # callbacks may look at all of them
        state["momentum"] = momentum  # behind AdamW's first step, which wants no state
        steps = orthogonalize(self._split(ahead))
        for weight, step in zip(self._split(weights), steps, strict=True):
            size = _STEP * math.sqrt(max(weight.shape))
            weight.add_(step, alpha=-group["lr"] * size)
        return loss

    def _split(self, vector: Tensor) -> list[Tensor]:
        return [vector[first : first + shape.numel()].view(shape) for first, shape in self.matrices]


def orthogonalize(matrices: list[Tensor]) -> list[Tensor]:
    """Return matrices of the same singular vectors, whose singular values are about one.

    Newton's and Schulz's iteration, on the products of rows: matrices are wide, or turned so.
    """
    turned = [matrix if len(matrix) <= matrix.shape[1] else matrix.T for matrix in matrices]
    by_shape: dict[torch.Size, list[int]] = {}
    for number, matrix in enumerate(turned):
        by_shape.setdefault(matrix.shape, []).append(number)
    found = list(turned)
    for numbers in by_shape.values():
        stacked = torch.stack([turned[number] for number in numbers])
        for number, result in zip(numbers, _orthogonalize_rows(stacked), strict=True):
            found[number] = result
    return [
        result if matrix is wide else result.T
        for matrix, wide, result in zip(matrices, turned, found, strict=True)
    ]


def _orthogonalize_rows(matrices: Tensor) -> Tensor:
    norms = torch.linalg.vector_norm(matrices, dim=(1, 2), keepdim=True)
    matrices = matrices / (norms + _EPSILON)
    products = torch.bmm(matrices, matrices.mT)
    total = factor = _evaluate_polynomial(products)
    for _ in range(_ROUNDS - 1):
        products = torch.bmm(torch.bmm(factor, products), factor)
        factor = _evaluate_polynomial(products)
        total = torch.bmm(factor, total)
    return torch.bmm(total, matrices)


def _evaluate_polynomial(products: Tensor) -> Tensor:
    linear, cubic, quintic = _COEFFICIENTS
    value = torch.baddbmm(products, products, products, beta=cubic, alpha=quintic)
    value.diagonal(dim1=1, dim2=2).add_(linear)
    return value

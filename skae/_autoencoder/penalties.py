"""Penalties on the code: sparse, by absolute values or mean activity, and contractive."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

#: Mean activity that `penalty="kl"` asks of each code unit (Ng 2011, section 3).
TARGET_ACTIVITY = 0.05


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

    def encode(
        self, encode: Callable[[Tensor], Tensor], input: Tensor, weight: Tensor | None
    ) -> tuple[Tensor, Tensor | float]:
        """Return the codes of rows, and the penalty of each row."""
        if self.kind is None:
            return encode(input), 0.0
        # The contractive penalty is a derivative, which validation has to compute as well.
        with torch.set_grad_enabled(torch.is_grad_enabled() or self.kind == "contractive"):
            leaf = input.detach().requires_grad_(self.kind == "contractive")
            code = encode(leaf)
            return code, self.alpha * self._penalize(code, leaf, weight)

    def _penalize(self, code: Tensor, input: Tensor, weight: Tensor | None) -> Tensor:
        if self.kind == "l1":
            return l1_penalty(code)
        if self.kind == "kl":
            return kl_penalty(code, weight)
        return contractive_penalty(code, input)


NO_PENALTY = CodePenalty()


def l1_penalty(code: Tensor) -> Tensor:
    """Return each row's sum of absolute code values."""
    return code.abs().sum(dim=1)


def kl_penalty(code: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the divergence of the code units' mean activity from the target, a scalar.

    `sum_j KL(rho || mean_j)` of Bernoulli variables, with `rho` = `TARGET_ACTIVITY` and
    `mean_j` the mean over rows of unit `j`, which must lie in (0, 1) (Ng 2011, "Sparse
    autoencoder", CS294A lecture notes, section 3).
    """
    activity = code.mean(dim=0) if weight is None else weight @ code / weight.sum()
    tiny = torch.finfo(code.dtype).eps
    activity = activity.clamp(tiny, 1 - tiny)
    rho = torch.full_like(activity, TARGET_ACTIVITY)
    return (
        torch.xlogy(rho, rho / activity) + torch.xlogy(1 - rho, (1 - rho) / (1 - activity))
    ).sum()


def contractive_penalty(code: Tensor, input: Tensor) -> Tensor:
    """Return each row's squared Frobenius norm of the encoder's Jacobian.

    It is exact for any network that treats rows separately, and takes one backward pass for
    each code unit (Rifai et al. 2011, equation 5, which has the closed form for one sigmoid
    layer). `code` must be computed from `input` with gradients enabled.
    """
    total = torch.zeros_like(input[:, 0])
    for unit in code.unbind(dim=1):
        (gradient,) = torch.autograd.grad(unit.sum(), input, create_graph=True)
        total = total + gradient.square().sum(dim=1)
    return total

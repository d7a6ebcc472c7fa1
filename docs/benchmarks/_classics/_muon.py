"""Muon for weight matrices and AdamW for other parameters, as one optimizer."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import AdamW, Muon, Optimizer


class MuonAndAdamW(Optimizer):
    """`torch.optim.Muon` for the weight matrices, AdamW for biases and gates.

    The steps of Muon are orthogonal matrices, so no direction dominates the others (Jordan et al.
    2024). Units with a nonzero mean, such as logistic units, need this: without it the direction
    of their mean outweighs all others.

    Parameters
    ----------
    params : iterable
        Parameters or groups of them; groups are treated alike.
    lr : float
        Learning rate of both; steps of Muon are scaled to the size of those of AdamW (Liu et al.
        2025).
    momentum : float, default=0.95
        Momentum of Muon.
    """

    def __init__(self, params: Iterable[Any], lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr})
        every = [parameter for group in self.param_groups for parameter in group["params"]]
        matrices = [parameter for parameter in every if parameter.ndim == 2]
        others = [parameter for parameter in every if parameter.ndim != 2]
        self.parts = [
            Muon(
                matrices,
                lr=lr,
                momentum=momentum,
                weight_decay=0.0,
                adjust_lr_fn="match_rms_adamw",
            ),
            AdamW(others, lr=lr, betas=(0.9, 0.99), weight_decay=0.0, fused=True),
        ]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make a step with the learning rate of the first group; skae uses a single group."""
        loss = None if closure is None else closure()
        with torch.autocast("cpu", enabled=False):
            for part in self.parts:
                for group in part.param_groups:
                    group["lr"] = self.param_groups[0]["lr"]
                part.step()
        return loss

"""A copy of a network's weights to go back to."""

import math
from typing import Any

import torch
from torch import Tensor, nn


class WeightSnapshot:
    """A module's parameters and buffers as they were when last saved.

    Floating-point tensors are saved as one vector: copying many small tensors one by one took
    as long as a training step. Those that lie next to each other in memory, as the weights of a
    network for tables do while it trains, are one tensor here.

    Parameters
    ----------
    module : torch.nn.Module
        The module, whose tensors change in place from now on.
    """

    def __init__(self, module: nn.Module) -> None:
        tensors = [*module.parameters(), *module.buffers()]
        self.floats = _join_neighbours(
            [tensor.detach() for tensor in tensors if tensor.is_floating_point()]
        )
        self.others = [tensor for tensor in tensors if not tensor.is_floating_point()]
        if not self.floats:
            raise ValueError(
                "a network must have weights to train, got none: return modules with parameters "
                'from architecture, or use init="pca", which adds a linear path'
            )
        self.save(self.read())

    def look(self) -> Tensor:
        """Return the floating-point values as they are now, which the next step may change."""
        if len(self.floats) == 1:
            return self.floats[0].reshape(-1)
        return torch.cat([tensor.reshape(-1) for tensor in self.floats])

    def read(self) -> Tensor:
        """Return a copy of the floating-point values as they are now."""
        found = self.look()
        return found.clone() if len(self.floats) == 1 else found

    def save(self, values: Tensor) -> None:
        """Save values that `read` returned, and the tensors of other types."""
        self.saved_floats = values
        self.saved_others = [tensor.clone() for tensor in self.others]

    @torch.no_grad()
    def restore(self) -> None:
        """Set the module's tensors to the saved values."""
        lengths = [tensor.numel() for tensor in self.floats]
        for tensor, part in zip(self.floats, self.saved_floats.split(lengths), strict=True):
            tensor.copy_(part.view_as(tensor))
        for tensor, saved in zip(self.others, self.saved_others, strict=True):
            tensor.copy_(saved)

    def state_dict(self) -> dict[str, Any]:
        """Return the saved values, as torch's own parts do theirs."""
        return {"floats": self.saved_floats, "others": self.saved_others}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the saved values."""
        # Copies: a saved average changes in place.
        self.saved_floats = state["floats"].to(self.saved_floats.device, copy=True)
        self.saved_others = [
            value.to(known.device, copy=True)
            for value, known in zip(state["others"], self.saved_others, strict=True)
        ]


def are_all_finite(values: Tensor) -> bool:
    """Whether all values are finite."""
    # One pass tells in nearly all cases; a sum may overflow.
    return math.isfinite(values.sum()) or bool(values.isfinite().all())


def _join_neighbours(tensors: list[Tensor]) -> list[Tensor]:
    """Return tensors with the same values, of which those next to each other in memory are one."""
    joined: list[Tensor] = []
    for tensor in tensors:
        if joined and _are_neighbours(joined[-1], tensor):
            first = joined.pop()
            n_values = first.numel() + tensor.numel()
            tensor = first.as_strided((n_values,), (1,))
        joined.append(tensor)
    return joined


def _are_neighbours(first: Tensor, second: Tensor) -> bool:
    """Whether a tensor begins where another one, of its type, ends."""
    if first.layout is not torch.strided or second.layout is not torch.strided:
        return False
    return (
        first.dtype == second.dtype
        and first.is_contiguous()
        and second.is_contiguous()
        and first.untyped_storage().data_ptr() == second.untyped_storage().data_ptr()
        and first.storage_offset() + first.numel() == second.storage_offset()
    )

"""A copy of a network's weights to go back to."""

from typing import Any

import torch
from torch import Tensor, nn


class WeightSnapshot:
    """A module's parameters and buffers as they were when last saved.

    Floating-point tensors are saved as one vector: copying many small tensors one by one took
    as long as a training step.

    Parameters
    ----------
    module : torch.nn.Module
        The module, whose tensors change in place from now on.
    """

    def __init__(self, module: nn.Module) -> None:
        tensors = [*module.parameters(), *module.buffers()]
        self.floats = [tensor.detach() for tensor in tensors if tensor.is_floating_point()]
        self.others = [tensor for tensor in tensors if not tensor.is_floating_point()]
        if not self.floats:
            raise ValueError(
                "a network must have weights to train, got none: return modules with parameters "
                'from architecture, or use init="pca", which adds a linear path'
            )
        self.save(self.read())

    def read(self) -> Tensor:
        """Return a copy of the floating-point values as they are now."""
        return torch.cat([tensor.reshape(-1) for tensor in self.floats])

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

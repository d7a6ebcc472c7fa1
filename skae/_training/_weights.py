"""A network's weights, kept to go back to."""

import torch
from torch import Tensor, nn


class KeptWeights:
    """A module's parameters and buffers as they were when last kept.

    In one piece, for a copy and a look at each of many small tensors took as long as a
    step of training.

    Parameters
    ----------
    module : torch.nn.Module
        The module, whose tensors change in place from now on.
    """

    def __init__(self, module: nn.Module) -> None:
        tensors = [*module.parameters(), *module.buffers()]
        self.numbers = [tensor.detach() for tensor in tensors if tensor.is_floating_point()]
        self.others = [tensor for tensor in tensors if not tensor.is_floating_point()]
        self.keep(self.now())

    def now(self) -> Tensor:
        """Return a copy of all floating-point numbers as they are."""
        return torch.cat([tensor.reshape(-1) for tensor in self.numbers])

    def keep(self, numbers: Tensor) -> None:
        """Keep what `now` gave, and the tensors of other types."""
        self.kept_numbers = numbers
        self.kept_others = [tensor.clone() for tensor in self.others]

    @torch.no_grad()
    def restore(self) -> None:
        """Go back to what was kept."""
        lengths = [tensor.numel() for tensor in self.numbers]
        for tensor, part in zip(self.numbers, self.kept_numbers.split(lengths), strict=True):
            tensor.copy_(part.view_as(tensor))
        for tensor, kept in zip(self.others, self.kept_others, strict=True):
            tensor.copy_(kept)

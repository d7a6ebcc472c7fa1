"""A network that computes in float32, whatever the precision of its rows."""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

#: Beyond it float32 would overflow within a network.
LARGEST = 1e12


class SinglePrecision(nn.Module):
    """A network in float32, for rows of any precision.

    A row's result does not depend on the other rows: products have a fixed number of rows, of
    which the last are zeros. Numbers beyond 1e12 count as that.

    Parameters
    ----------
    network : torch.nn.Module
        The network, in float32.

    Attributes
    ----------
    length : int
        Rows of a product.
    """

    length = 192

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input: Tensor) -> Tensor:
        """Map rows to the network's outputs, in the rows' precision."""
        rows = input.float().clamp(-LARGEST, LARGEST)
        if n_missing := -len(rows) % self.length:
            rows = pad(rows, [0, 0] * (rows.ndim - 1) + [0, n_missing])
        out = torch.cat([self.network(part) for part in rows.split(self.length)])
        return out[: len(input)].to(input.dtype)

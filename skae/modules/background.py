"""A density far wider than all rows, which bounds what a single one costs."""

import math

import torch
from torch import Tensor

# Its width, in scales of the columns.
_WIDTH = 10.0


def measure_background(rows: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return each row's log-density under a multivariate Cauchy distribution, far wider than all.

    It counts as one training row. Otherwise a single row unlike all others could have any
    log-density, however low, and outweigh all others in a mean.
    """
    if mask is None:
        n_features = rows.shape[1]
        constant: float | Tensor = (
            math.lgamma((n_features + 1) / 2)
            - math.lgamma(0.5)
            - 0.5 * n_features * math.log(math.pi)
            - n_features * math.log(_WIDTH)
        )
        squares = rows.square().sum(dim=1) / _WIDTH**2
        return constant - 0.5 * (n_features + 1) * squares.log1p()
    # The observed cells' marginal is of the same kind.
    n_observed = mask.sum(dim=1).to(rows)
    constant = torch.lgamma((n_observed + 1) / 2) - math.lgamma(0.5)
    constant = constant - n_observed * (0.5 * math.log(math.pi) + math.log(_WIDTH))
    squares = (rows * mask).square().sum(dim=1) / _WIDTH**2
    return constant - 0.5 * (n_observed + 1) * squares.log1p()

"""Losses that the families share: functions of tensors, a value for each row."""

from torch import Tensor


def squared_error(reconstruction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return each row's squared error, summed over the columns whose cells are observed."""
    squares = (reconstruction - target).square()
    return squares.sum(dim=1) if mask is None else (squares * mask).sum(dim=1)


def weighted_mean(values: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the mean over rows, each counted `weight` times."""
    if weight is None:
        return values.mean()
    return (values * weight).sum() / weight.sum()

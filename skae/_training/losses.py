"""Losses that the families share: functions of tensors, a value for each row."""

from torch import Tensor


def squared_error(reconstruction: Tensor, target: Tensor) -> Tensor:
    """Return each row's squared error, summed over the columns."""
    return (reconstruction - target).square().sum(dim=1)


def weighted_mean(values: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the mean over rows, each counted `weight` times."""
    if weight is None:
        return values.mean()
    return (values * weight).sum() / weight.sum()

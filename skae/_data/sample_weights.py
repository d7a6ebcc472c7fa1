"""Sample weights: checked, normalized, trimmed, and quantiles under them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .blocks import Table
from .cells import shorten
from .inputs import convert_input

# The least weight that counts beside one of 1. In float64, even a billion rows of it would change
# no mean.
_LEAST_WEIGHT = 1e-30

# Given weights are bounded by these: float64 then holds the products of their sums.
_WEIGHT_RANGE = (1e-30, 1e30)

# Whole numbers that float32 has kept as weights of mean one are off by less than this share.
_WHOLE = 1e-6

# No table of weights that are numbers of rows has more.
_MOST_ROWS = 1e9


@dataclass(frozen=True)
class WeightUnit:
    """What a weight of one stands for; weights have mean one over a table.

    It belongs to a whole table. Its parts have the same unit, or they could not be compared.

    Attributes
    ----------
    given : float, default=1.0
        The weight as it was given.
    n_rows : float, default=1.0
        The number of rows: weights are numbers of rows if all are whole numbers. Others say
        nothing of how many rows there are, and each counts once on average.
    """

    given: float = 1.0
    n_rows: float = 1.0

    @classmethod
    def from_total(cls, total: float, weight: np.ndarray | None, n_rows: int) -> "WeightUnit":
        """Return the unit of `n_rows` weights of mean one, whose given total is known."""
        given = float(np.clip(total / n_rows, *_WEIGHT_RANGE))
        were_given = given * (np.ones(1) if weight is None else weight)
        are_whole = (np.abs(were_given - np.rint(were_given)) <= _WHOLE * were_given).all()
        return cls(given, given if are_whole and total <= _MOST_ROWS else 1.0)


#: Each row counts once.
ONE_EACH = WeightUnit()


def check_sample_weight(sample_weight: Any, n_rows: int) -> np.ndarray | None:
    """Return weights as float64, or None where none were given."""
    if sample_weight is None:
        return None
    if isinstance(sample_weight, torch.Tensor):
        sample_weight = convert_input(sample_weight, "sample_weight")
    try:
        given = np.asarray(sample_weight)
        if given.dtype.kind in "cmM":
            raise TypeError(f"values are of type {given.dtype}")
        weight = given.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        found = _describe_no_number(sample_weight) or f"got {shorten(sample_weight)} ({error})"
        raise ValueError(
            f"sample_weight must have a number for each row, {found}: give each row the number of "
            "times that it counts"
        ) from error
    if weight.ndim == 0:
        weight = np.full(n_rows, float(weight))
    if weight.shape != (n_rows,):
        raise ValueError(
            f"sample_weight must have a value for each row, shape ({n_rows},); got "
            f"sample_weight.shape == {weight.shape}"
        )
    wrong = ~(np.isfinite(weight) & (weight >= 0))
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"sample_weight must be finite and not negative, got {weight[row]} for row {row}: give "
            "a row that is not to count the weight 0"
        )
    if not (weight > 0).any():
        raise ValueError("sample_weight must be positive for one row at least, got zeros only")
    return weight


def _describe_no_number(values: Any) -> str | None:
    """Name the first value that is no number; None if there is none in a list or array."""
    known = np.asarray(values, dtype=object)
    for row, value in enumerate(known if known.ndim == 1 else ()):
        try:
            float(value)
        except (TypeError, ValueError, OverflowError):
            return f"got {value!r} for row {row}"
    return None


def scale_weight(weight: np.ndarray) -> np.ndarray:
    """Return weights divided by a power of two that makes the largest less than one.

    Sums of the largest numbers would overflow, and products of the smallest would vanish. Unlike
    other divisors a power of two leaves counts, and sums of them, exactly proportional. A weight
    that is nothing beside the largest becomes zero: float32, which trains, holds no such pair.
    """
    _, exponent = np.frexp(weight.max())
    scaled = np.ldexp(weight, -exponent)
    return np.where(scaled < _LEAST_WEIGHT, 0.0, scaled)


def sum_weights(weight: np.ndarray) -> float:
    """Return the sum of weights, of which those of two blocks can be added."""
    # A power of two: the sum of counts is exact, as if their rows were written out.
    exponent = int(np.frexp(weight.max())[1]) - 1
    share = float(np.ldexp(weight, -exponent).sum())
    return min(2.0**exponent, np.finfo(np.float64).max / (4 * share)) * share


def normalize_weight(X: Table, weight: np.ndarray | None) -> Callable[[slice], np.ndarray]:
    """Return a function that gives each row's share of the total weight, for a block of rows.

    A function, so that nothing as long as the table is made where all rows count alike.
    """
    if weight is None:
        return lambda rows: np.full(rows.stop - rows.start, 1 / len(X))
    total = weight.sum(dtype=np.float64)
    return lambda rows: weight[rows].astype(np.float64) / total


def trim_weight(losses: Tensor, weight: Tensor | None, trim_fraction: float) -> Tensor:
    """Return the weights that are left once the rows of largest loss are ignored.

    The share `trim_fraction` of the total weight is taken away, from the largest loss down;
    the row at the border keeps a part of its weight, so that a row of weight two is exactly
    worth two rows (the trimmed likelihood of Neykov and Müller 2003).
    """
    if weight is None:
        weight = torch.ones_like(losses)
    order = losses.detach().argsort(stable=True)
    room = (1 - trim_fraction) * weight.sum() - (weight[order].cumsum(0) - weight[order])
    left = torch.empty_like(weight)
    left[order] = torch.minimum(weight[order], room.clamp_min(0))
    return left


def trim_weight_array(
    losses: np.ndarray, weight: np.ndarray | None, trim_fraction: float
) -> np.ndarray:
    """Return what `trim_weight` does, for arrays."""
    whole = np.ones(len(losses)) if weight is None else weight.astype(np.float64)
    if trim_fraction == 0:
        return whole
    return trim_weight(torch.as_tensor(losses), torch.as_tensor(whole), trim_fraction).numpy()


def weighted_quantile(
    values: np.ndarray, share: float | np.ndarray, weight: np.ndarray | None
) -> np.ndarray:
    """Return each column's least value that has at least that share of the weight up to it.

    Parameters
    ----------
    values : ndarray of shape (n_rows,) or (n_rows, n_columns)
        The values.
    share : float or ndarray of shape (n_shares,)
        In [0, 1].
    weight : ndarray of shape (n_rows,) or None
        How often each row counts.
    """
    return np.quantile(values, share, axis=0, weights=weight, method="inverted_cdf")

"""What an estimator does if several processes share its fit."""

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from .._data import Scaling, TrainingTable, take_rows
from .._environment import resolve_device
from .._processes import find_group
from .fingerprint import describe_parameters

# Rows that are compared.
_N_PLACES = 10
_N_NEIGHBOURS = 10


def check_same_estimator(estimator: BaseEstimator, is_continued: bool) -> None:
    """Raise unless all processes that share a fit have the same parameters.

    Parameters
    ----------
    estimator : estimator
        What is fitted.
    is_continued : bool
        Whether it continues from an earlier fit.
    """
    group = find_group()
    if group is None:
        return
    parameters: dict[str, Any] = {
        "the class": type(estimator).__name__,
        **describe_parameters(estimator),
    }
    parameters["warm_start"] = parameters.get("warm_start"), is_continued
    checkpoint = getattr(estimator, "checkpoint", None)
    # A path may be another on another machine, where only the first process needs one.
    group.check_alike({**parameters, "checkpoint": checkpoint is not None})


def check_same_table(table: TrainingTable, scaling: Scaling) -> None:
    """Raise unless all processes that share a fit have the same table, as far as a sample tells.

    Columns' means and scales are compared, and rows at a few places in the table. A fit that
    continues from another has that one's means and scales, and the rows alone tell.
    """
    group = find_group()
    if group is None:
        return
    indices = _find_sample(len(table))
    linear = replace(scaling, margins=None)  # at which rounding stays as small as it is
    rows = linear.forward(take_rows(table.X, indices), np.float64)
    moments = [scaling.mean / scaling.scale, np.log(scaling.scale)]
    target, weight = table.target, table.weight
    group.check_alike(
        {
            "the number of rows of X": len(table),
            "X": np.vstack([*moments, rows]),
            "y": None if target is None else linear.forward(target[indices], np.float64),
            "sample_weight": None if weight is None else weight[indices],
            "the total of sample_weight": np.log([table.unit.given]),
        }
    )


def _find_sample(n_rows: int) -> np.ndarray:
    """Return indices of neighbouring rows at a few places, which stores read at once."""
    firsts = np.linspace(0, max(0, n_rows - _N_NEIGHBOURS), _N_PLACES).astype(int)
    indices = np.unique(firsts[:, None] + np.arange(_N_NEIGHBOURS))
    return indices[indices < n_rows]


def check_shared_device(device: str) -> None:
    """Raise unless processes that share a fit train on processors."""
    if find_group() is not None and resolve_device(device).type != "cpu":
        raise ValueError(
            'device must be "cpu" for a fit that processes share, got '
            f"{device!r}, which is {resolve_device(device)}"
        )

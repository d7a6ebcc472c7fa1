"""What an estimator does if several processes share its fit."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from .._data import Scaling, TrainingTable
from .._environment import resolve_device
from .._training import find_group
from .fingerprint import describe_parameters


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
    """Raise unless all processes that share a fit have the same table, by its columns' moments."""
    group = find_group()
    if group is None:
        return
    target = table.target
    group.check_alike(
        {
            "the number of rows of X": len(table),
            "X": np.stack([scaling.mean, scaling.scale]),
            "the total of sample_weight": table.unit.given,
            "y": None if target is None else np.nanmean(target, axis=0),
        }
    )


def check_shared_device(device: str) -> None:
    """Raise unless processes that share a fit train on processors."""
    if find_group() is not None and resolve_device(device).type != "cpu":
        raise ValueError(
            'device must be "cpu" for a fit that processes share, got '
            f"{device!r}, which is {resolve_device(device)}"
        )

"""Constraints of the estimators' parameters, and what `set_output` asks for.

The one place that imports what is private in scikit-learn.
"""

import os
from collections.abc import Callable, Sequence
from functools import wraps
from numbers import Integral, Real
from typing import Any, TypeVar, cast

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    RealNotInt,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils._set_output import _get_output_config

from .._environment import check_memory
from .._training import OPTIMIZERS
from ..modules import ACTIVATIONS
from .blueprints import ARCHITECTURES

Method = TypeVar("Method", bound=Callable[..., Any])

#: Validates an estimator's parameters before the method that it decorates runs.
validate_parameters: Callable[[Method], Method] = _fit_context(prefer_skip_nested_validation=True)

#: The same for an estimator of another, whose parameters are validated when it is fitted.
validate_meta_parameters: Callable[[Method], Method] = _fit_context(
    prefer_skip_nested_validation=False
)

#: Types and intervals of `_parameter_constraints`, for the modules of the families.
__all__ = [
    "CODE_CONSTRAINTS",
    "LARGEST_FACTOR",
    "RANDOM_STATE",
    "SHARED_CONSTRAINTS",
    "Constraints",
    "HasMethods",
    "Interval",
    "StrOptions",
    "check_draws",
    "check_layer_sizes",
    "find_output",
    "is_share",
    "refuse_parameters",
    "validate_each_time",
    "validate_meta_parameters",
    "validate_parameter_constraints",
    "validate_parameters",
]

Constraints = dict[str, list[Any]]


def validate_each_time(method: Method) -> Method:
    """Validate parameters before `partial_fit`, also those that were set since the first block.

    scikit-learn validates them before the first block only.
    """
    validated = validate_parameters(method)

    @wraps(method)
    def wrapper(estimator: BaseEstimator, *args: Any, **kwargs: Any) -> Any:
        if not get_config()["skip_parameter_validation"]:
            estimator._validate_params()
        return validated(estimator, *args, **kwargs)

    return cast(Method, wrapper)


#: Of what fixes random draws, a `RandomSource`.
RANDOM_STATE: list[Any] = ["random_state", np.random.Generator]

#: The largest factor or rate: float32, in which networks train, holds products of it.
LARGEST_FACTOR = 1e30

#: Of the parameters that all three transformers have.
SHARED_CONSTRAINTS: Constraints = {
    "n_components": [
        Interval(Integral, 1, None, closed="left"),
        Interval(RealNotInt, 0, 1, closed="neither"),
    ],
    "hidden_layer_sizes": ["array-like"],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "architecture": [StrOptions({"mlp", *ARCHITECTURES}), callable],
    "init": [StrOptions({"pca", "random"})],
    "standardize": ["boolean", StrOptions({"column", "channel"})],
    "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
    "max_categories": [Interval(Integral, 1, None, closed="left"), None],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "weight_decay": [Interval(Real, 0, LARGEST_FACTOR, closed="both")],
    "max_epochs": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "lr": [StrOptions({"auto"}), Interval(Real, 0, LARGEST_FACTOR, closed="right")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
    "device": [str],
    "callbacks": [list, tuple, None],
    "compile": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "gap": [Interval(Integral, 0, None, closed="left"), None],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, 1, closed="left")],
    "trim_fraction": [Interval(Real, 0, 0.5, closed="left")],
    "warm_start": ["boolean"],
    "random_state": RANDOM_STATE,
    "checkpoint": [str, os.PathLike, None],
    "verbose": ["verbose"],
}

#: Of the parameters of codes that can be penalized.
CODE_CONSTRAINTS: Constraints = {
    "penalty": [StrOptions({"l1", "kl", "contractive"}), None],
    "alpha": [Interval(Real, 0, LARGEST_FACTOR, closed="both")],
    "tied_weights": ["boolean"],
    "pretrain": [StrOptions({"layerwise"}), None],
}


def is_share(n_components: float | None) -> bool:
    """Whether `n_components` is a share of the variance, not a number."""
    return n_components is not None and not isinstance(n_components, Integral)


def check_layer_sizes(hidden_layer_sizes: Sequence[int]) -> tuple[int, ...]:
    """Return `hidden_layer_sizes` as a tuple of positive integers."""
    sizes: tuple[Any, ...] = ("not a sequence",)
    if np.ndim(hidden_layer_sizes) > 0:
        sizes = tuple(hidden_layer_sizes)
    if not all(isinstance(size, Integral) and int(size) > 0 for size in sizes):
        raise ValueError(
            "hidden_layer_sizes must be positive integers, such as (128, 128), or () for a linear "
            f"autoencoder, got {hidden_layer_sizes!r}"
        )
    return tuple(int(size) for size in sizes)


def check_draws(n_draws: int, cells_per_draw: int) -> None:
    """Raise if a row's draws are more than memory holds."""
    purpose = f"a row's draws with n_draws={n_draws}"
    check_memory(8 * int(n_draws) * int(cells_per_draw), purpose, "choose a smaller n_draws")


def refuse_parameters(estimator: BaseEstimator, names: Sequence[str], requirement: str) -> None:
    """Raise if any of these parameters is set, naming what it requires."""
    for name in names:
        value = getattr(estimator, name)
        if value:
            raise ValueError(f"{name}={value!r} requires {requirement}")


def find_output(estimator: BaseEstimator) -> str:
    """Return what `set_output` of an estimator, or of all, asks for: "pandas", "default", ..."""
    return str(_get_output_config("transform", estimator)["dense"])

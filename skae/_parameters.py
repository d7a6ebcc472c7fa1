"""Parameters that the estimators share: their bounds and what they resolve to.

The one place that imports scikit-learn's private parameter validation.
"""

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

from sklearn.base import _fit_context
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from ._corruption import NOISES
from ._environment import resolve_device
from ._training import OPTIMIZERS, Objective, Training
from .modules import ACTIVATIONS

#: Validates an estimator's parameters before the method it decorates runs.
validates_parameters: Callable[[Callable], Callable] = _fit_context(
    prefer_skip_nested_validation=True
)

SHARED_CONSTRAINTS: dict[str, list[Any]] = {
    "n_components": [Interval(Integral, 1, None, closed="left")],
    "hidden_layer_sizes": ["array-like"],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "architecture": [StrOptions({"mlp"}), callable],
    "init": [StrOptions({"pca", "random"})],
    "standardize": ["boolean"],
    "penalty": [StrOptions({"l1", "kl", "contractive"}), None],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "tied_weights": ["boolean"],
    "pretrain": [StrOptions({"layerwise"}), None],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "max_epochs": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "lr": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
    "device": [str],
    "callbacks": [list, tuple, None],
    "compile": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, 1, closed="left")],
    "trim_fraction": [Interval(Real, 0, 0.5, closed="left")],
    "warm_start": ["boolean"],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}

# What a variational autoencoder has in the place of the penalties and tied weights.
VARIATIONAL_CONSTRAINTS: dict[str, list[Any]] = {
    **{
        name: bounds
        for name, bounds in SHARED_CONSTRAINTS.items()
        if name not in ("penalty", "alpha", "tied_weights", "pretrain")
    },
    "beta": [Interval(Real, 0, None, closed="left")],
    "kl_warmup": [Interval(Real, 0, 1, closed="both")],
    "likelihood": [StrOptions({"gaussian", "bernoulli"})],
    "binarize": ["boolean"],
    "noise_per_column": ["boolean"],
    "prior": [StrOptions({"standard", "mixture", "vamp"})],
    "n_prior_components": [Interval(Integral, 1, None, closed="left")],
    "n_draws": [Interval(Integral, 1, None, closed="left")],
}


NOISE_CONSTRAINTS: dict[str, list[Any]] = {
    "noise": [StrOptions(set(NOISES)), callable],
    "noise_level": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither"), tuple, list],
    "n_draws": [Interval(Integral, 1, None, closed="left")],
}

DETECTOR_CONSTRAINTS: dict[str, list[Any]] = {
    "estimator": [HasMethods(["fit", "score_samples"]), None],
    "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
    "alpha": [Interval(Real, 0, 1, closed="neither")],
    "calibration_fraction": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="neither")],
    "random_state": ["random_state"],
}


def check_layer_sizes(hidden_layer_sizes: Any) -> tuple[int, ...]:
    """Return `hidden_layer_sizes` as a tuple of positive integers."""
    sizes = tuple(hidden_layer_sizes)
    if not all(isinstance(size, Integral) and int(size) > 0 for size in sizes):
        raise ValueError(
            f"hidden_layer_sizes={hidden_layer_sizes!r} was got, expected positive integers, "
            "such as (128, 128), or () for a linear autoencoder"
        )
    return tuple(int(size) for size in sizes)


def network_blueprint(estimator: Any, n_features: int) -> dict[str, Any]:
    """Return what the networks of all estimators are built from."""
    return {
        "n_features": n_features,
        "architecture": estimator.architecture,
        "hidden_layer_sizes": check_layer_sizes(estimator.hidden_layer_sizes),
        "activation": estimator.activation,
        "dropout": float(estimator.dropout),
        "linear_path": estimator.init == "pca",
    }


def coded_blueprint(estimator: Any, n_features: int) -> dict[str, Any]:
    """Return what networks are built from whose code may be penalised."""
    if estimator.architecture != "mlp":
        refuse(estimator, ("tied_weights", "pretrain"), 'architecture="mlp"')
    return {
        **network_blueprint(estimator, n_features),
        "n_components": int(estimator.n_components),
        "tied_weights": bool(estimator.tied_weights),
        "code_activation": "logistic" if estimator.penalty == "kl" else "identity",
        "fixed_code_scale": estimator.penalty is not None and estimator.init == "pca",
    }


def refuse(estimator: Any, names: Sequence[str], needed: str) -> None:
    """Raise if any of these parameters is set, naming what it needs."""
    for name in names:
        value = getattr(estimator, name)
        if value:
            raise ValueError(f"{name}={value!r} was got, which needs {needed}")


def resolved_training(estimator: Any, objective: Objective) -> Training:
    """Return how to train, from the shared parameters of an estimator."""
    optimizer = estimator.optimizer
    return Training(
        objective=objective,
        optimizer=OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer,
        lr=estimator.lr,
        weight_decay=estimator.weight_decay,
        max_epochs=estimator.max_epochs,
        batch_size=estimator.batch_size,
        device=resolve_device(estimator.device),
        compile=estimator.compile,
        callbacks=list(estimator.callbacks or ()),
        early_stopping=estimator.early_stopping,
        validation_fraction=estimator.validation_fraction,
        n_iter_no_change=estimator.n_iter_no_change,
        tol=estimator.tol,
        verbose=int(estimator.verbose),
    )

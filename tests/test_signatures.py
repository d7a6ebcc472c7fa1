"""The estimators' signatures: shared names, order and defaults."""

import inspect

import pytest

import skae
from skae import AutoencoderTransformer
from skae._parameters import SHARED_CONSTRAINTS

ESTIMATORS = [getattr(skae, name) for name in skae.__all__ if name != "__version__"]
# The detector wraps one, and has none of their parameters but the seed.
NETWORKS = [estimator for estimator in ESTIMATORS if estimator is not skae.AEAnomalyDetector]

SHARED = {
    "n_components": 2,
    "hidden_layer_sizes": (128, 128),
    "activation": "silu",
    "architecture": "mlp",
    "init": "pca",
    "standardize": True,
    "penalty": None,
    "alpha": 0.1,
    "tied_weights": False,
    "pretrain": None,
    "dropout": 0.0,
    "weight_decay": 0.01,
    "max_epochs": "auto",
    "lr": "auto",
    "batch_size": "auto",
    "optimizer": "adamw",
    "device": "auto",
    "callbacks": None,
    "compile": False,
    "early_stopping": True,
    "validation_fraction": 0.1,
    "n_iter_no_change": 30,
    "tol": 1e-4,
    "trim_fraction": 0.0,
    "warm_start": False,
    "random_state": None,
    "verbose": 0,
}


# What an estimator goes without.
LEFT_OUT = {
    "VAETransformer": {"penalty", "alpha", "tied_weights", "pretrain"},
}


@pytest.mark.parametrize("estimator", NETWORKS)
def test_shared_names_order_and_defaults(estimator):
    parameters = inspect.signature(estimator).parameters
    left_out = LEFT_OUT.get(estimator.__name__, set())
    expected = {name: default for name, default in SHARED.items() if name not in left_out}
    assert {name: p.default for name, p in parameters.items() if name in SHARED} == expected
    assert [name for name in parameters if name in SHARED] == list(expected)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_keyword_only_but_the_first(estimator):
    first, *others = inspect.signature(estimator).parameters.values()
    assert first.kind is first.POSITIONAL_OR_KEYWORD
    assert all(other.kind is other.KEYWORD_ONLY for other in others)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_no_name_has_two_underscores(estimator):
    assert not [name for name in inspect.signature(estimator).parameters if "__" in name]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_parameter_is_bounded_and_documented(estimator):
    names = set(inspect.signature(estimator).parameters)
    assert names == set(estimator._parameter_constraints)
    for name in names:
        assert f"\n{name} : " in inspect.getdoc(estimator)


def test_constraints_are_of_shared_parameters():
    assert set(SHARED_CONSTRAINTS) == set(SHARED)


def test_documented_defaults_are_the_defaults():
    for name, default in SHARED.items():
        shown = f'"{default}"' if isinstance(default, str) else str(default)
        (line,) = [
            line
            for line in inspect.getdoc(AutoencoderTransformer).splitlines()
            if line.startswith(f"{name} : ")
        ]
        written = line.split("default=")[1]
        assert written == shown or float(written) == default  # 1e-4 is 0.0001

"""The estimators' signatures: shared names, order and defaults."""

import inspect
import re
from itertools import pairwise

import pytest
from numpydoc.docscrape import ClassDoc

import skae
from skae import AutoencoderTransformer
from skae._base.parameters import CODE_CONSTRAINTS, SHARED_CONSTRAINTS

ESTIMATORS = [getattr(skae, name) for name in skae.__all__ if name != "__version__"]
# The others share only the seed and few more with them.
NETWORKS = [e for e in ESTIMATORS if e not in (skae.AEAnomalyDetector, skae.AEImputer)]

SHARED = {
    "n_components": 2,
    "hidden_layer_sizes": (128, 128),
    "activation": "silu",
    "architecture": "mlp",
    "init": "pca",
    "standardize": True,
    "categorical_features": "from_dtype",
    "max_categories": 50,
    "penalty": None,
    "alpha": 0.1,
    "tied_weights": False,
    "pretrain": None,
    "dropout": 0.0,
    "weight_decay": 0.01,
    "max_epochs": "auto",
    "lr": "auto",
    "batch_size": "auto",
    "optimizer": "auto",
    "device": "auto",
    "callbacks": None,
    "compile": False,
    "early_stopping": True,
    "validation_fraction": 0.1,
    "gap": None,
    "n_iter_no_change": 30,
    "tol": 1e-4,
    "trim_fraction": 0.0,
    "warm_start": False,
    "random_state": None,
    "checkpoint": None,
    "verbose": 0,
}


# Parameters that an estimator does not have.
LEFT_OUT = {
    "VAETransformer": {"penalty", "alpha", "tied_weights", "pretrain"},
}


@pytest.mark.parametrize("estimator", NETWORKS)
def test_shared_names_order_and_defaults(estimator):
    parameters = inspect.signature(estimator).parameters
    left_out = LEFT_OUT.get(estimator.__name__, set())
    expected = {name: default for name, default in SHARED.items() if name not in left_out}
    if estimator is skae.DenoisingAutoencoder:
        expected["n_components"] = None  # denoised rows keep what a code would lose
    assert {name: p.default for name, p in parameters.items() if name in SHARED} == expected
    assert [name for name in parameters if name in SHARED] == list(expected)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_keyword_only_but_the_size_of_codes_or_an_estimator(estimator):
    parameters = inspect.signature(estimator).parameters
    for name, parameter in parameters.items():
        is_first = name in ("n_components", "estimator")
        assert parameter.kind is (
            parameter.POSITIONAL_OR_KEYWORD if is_first else parameter.KEYWORD_ONLY
        )


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
    assert {*SHARED_CONSTRAINTS, *CODE_CONSTRAINTS} == set(SHARED)
    assert set(CODE_CONSTRAINTS) == LEFT_OUT["VAETransformer"]


def read_section(estimator, section):
    """Type and description of each parameter or attribute, and the headings of groups."""
    return {part.name: (part.type, " ".join(part.desc)) for part in ClassDoc(estimator)[section]}


# Only the denoiser takes n_components=None.
@pytest.mark.parametrize("name", [name for name in SHARED if name != "n_components"])
def test_shared_parameters_have_the_same_words(name):
    own = [e for e in NETWORKS if name not in LEFT_OUT.get(e.__name__, ())]
    assert len({read_section(estimator, "Parameters")[name] for estimator in own}) == 1


@pytest.mark.parametrize(
    "name", ["net_", "n_iter_", "loss_curve_", "validation_scores_", "gain_", "gain_error_"]
)
def test_shared_attributes_have_the_same_words(name):
    assert len({read_section(estimator, "Attributes")[name] for estimator in NETWORKS}) == 1


@pytest.mark.parametrize("estimator", NETWORKS)
def test_parameters_are_in_groups_of_two_to_eight(estimator):
    names = list(read_section(estimator, "Parameters"))
    starts = [i for i, name in enumerate(names) if name.endswith(":")]
    assert names[0] == "Network:"
    assert all(2 <= end - start - 1 <= 8 for start, end in pairwise([*starts, len(names)]))
    assert [name for name in names if not name.endswith(":")] == list(
        inspect.signature(estimator).parameters
    )


@pytest.mark.parametrize("estimator", NETWORKS)
def test_the_parameters_to_try_first_are_named_first(estimator):
    text = " ".join(estimator.__doc__.split())
    (sentence,) = re.findall(r"parameters to try first are ([^;]*);", text)
    named = re.findall(r"`(\w+)`", sentence)
    assert len(named) == 5
    assert set(named) <= set(inspect.signature(estimator).parameters)


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

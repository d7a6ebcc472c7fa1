"""What tells an equal fit from another, in this process and in the next."""

import functools
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import EarlyStopping, Freezer, LRScheduler

from skae import AEAnomalyDetector, AutoencoderTransformer, DenoisingAutoencoder
from skae._base.fingerprint import describe_fit
from skae._data import TrainingTable
from skae.modules import ConvolutionalArchitecture

TABLE = TrainingTable(np.zeros((3, 2)))


def describe(name, value, kind=AutoencoderTransformer):
    return describe_fit(kind(**{name: value}), TABLE, "cpu")[name]


def make_function(body, closed=0, default=0):
    names = {"closed": closed}
    exec(f"def make(closed):\n def f(a={default}):\n  return {body}\n return f", names)
    return names["make"](closed)


class Built:
    """An architecture with settings."""

    def __init__(self, n):
        self.n = n
        self.own = self  # a value may contain itself

    def __call__(self, role, n_inputs, n_outputs):
        return torch.nn.Linear(n_inputs, n_outputs)


PAIRS = {
    "a number": ("lr", 0.1, 0.2),
    "a number of another type": ("lr", 0.1, "auto"),
    "sizes": ("hidden_layer_sizes", (3,), (4,)),
    "an array": ("hidden_layer_sizes", np.array([3]), np.array([4])),
    "what a function does": ("architecture", make_function("1"), make_function("2")),
    "what it closes over": (
        "architecture",
        make_function("closed", 1),
        make_function("closed", 2),
    ),
    "an architecture in it": (
        "architecture",
        make_function("closed", ConvolutionalArchitecture(activation="relu")),
        make_function("closed", ConvolutionalArchitecture(activation="tanh")),
    ),
    "its defaults": ("architecture", make_function("a", 0, 1), make_function("a", 0, 2)),
    "arguments": ("optimizer", functools.partial(print, 1), functools.partial(print, 2)),
    "a class": ("optimizer", torch.optim.Adam, torch.optim.SGD),
    "settings": ("architecture", Built(1), Built(2)),
    "a method's object": ("architecture", Built(1).__call__, Built(2).__call__),
    "a callback": ("callbacks", [EarlyStopping()], [LRScheduler()]),
    "a callback's settings": ("callbacks", [EarlyStopping()], [EarlyStopping(patience=3)]),
    "a name": ("callbacks", [("a", EarlyStopping())], [("b", EarlyStopping())]),
    "a state": ("random_state", np.random.RandomState(0), np.random.RandomState(1)),
    "a generator": ("random_state", np.random.default_rng(0), np.random.default_rng(1)),
}


@pytest.mark.parametrize("case", PAIRS)
def test_other_values_are_told_apart(case):
    name, one, other = PAIRS[case]
    assert describe(name, one) == describe(name, one)
    assert describe(name, one) != describe(name, other)


def test_equal_values_are_not():
    for name, one, other in [
        ("hidden_layer_sizes", (3, 4), [3, np.int64(4)]),
        ("lr", 0.1, np.float64(0.1)),
        ("architecture", make_function("a + 1"), make_function("a + 1")),
        ("architecture", Built(1), Built(1)),
        ("random_state", np.random.RandomState(0), np.random.RandomState(0)),
        ("random_state", np.random.default_rng(0), np.random.default_rng(0)),
    ]:
        assert describe(name, one) == describe(name, other)


def test_a_fit_leaves_its_callbacks_the_same(curve):
    ours = AutoencoderTransformer(
        2, max_epochs=2, callbacks=[Freezer("encoder*", at=2), EarlyStopping(), LRScheduler()]
    )
    before = describe_fit(ours, TABLE, "cpu")
    ours.fit(curve)
    assert describe_fit(ours, TABLE, "cpu") == before


def test_a_detectors_is_its_estimators_too():
    ours = AEAnomalyDetector(DenoisingAutoencoder(None, lr=0.1))
    other = clone(ours).set_params(estimator__lr=0.2)
    one, two = (describe_fit(each, TABLE, "cpu") for each in (ours, other))
    assert {name for name in one if one[name] != two[name]} == {"estimator__lr"}


def test_it_is_the_same_in_every_process():
    """Hashes of strings, and so the order of sets, differ between them."""
    code = "from tests._base.test_fingerprint import describe_sets\nprint(describe_sets())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "12345", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(describe_sets())


def describe_sets():
    """Descriptions of functions with a set among their constants, and beside them."""
    words = {f"word {i}" for i in range(9)}
    return [
        describe("architecture", make_function("a in {'one', 'two', 'three', 'four', 'five'}")),
        describe("architecture", make_function("closed", closed=words)),
    ]


def test_rows_of_another_shape_and_parameters_of_an_architecture_are_told_apart():
    ours = AutoencoderTransformer(architecture=ConvolutionalArchitecture((3,)))
    known = describe_fit(ours, TABLE, "cpu", row_shape=(2, 1))
    assert describe_fit(ours, TABLE, "cpu", row_shape=(1, 2)) != known
    assert describe_fit(clone(ours), TABLE, "cpu", row_shape=(2, 1)) == known
    other = clone(ours).set_params(architecture__channels=(4,))
    assert describe_fit(other, TABLE, "cpu", row_shape=(2, 1)) != known

"""Fits succeed or leave no trace."""

import os
import pickle
import sys
import threading
from contextlib import suppress
from inspect import CO_GENERATOR

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture
from skorch.callbacks import Callback

import skae
from skae import (
    AEAnomalyDetector,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)

SMALL = {"hidden_layer_sizes": (8,), "max_epochs": 3, "random_state": 0}
TRANSFORMERS = [
    AutoencoderTransformer(2, dropout=0.2, **SMALL),
    DenoisingAutoencoder(None, n_draws=2, **SMALL),
    DenoisingAutoencoder(2, noise="swap", **SMALL),
    VAETransformer(2, prior="mixture", n_draws=4, **SMALL),
]
ESTIMATORS = [
    *TRANSFORMERS,
    AEAnomalyDetector(DenoisingAutoencoder(None, n_draws=2, **SMALL), random_state=0),
    AEAnomalyDetector(GaussianMixture(), random_state=0),
]


class CallbackError(Exception):
    pass


class FailAt(Callback):
    """Raises at the n-th of all calls that training makes to it."""

    def __init__(self, n_calls=10**9, error=CallbackError):
        self.n_calls = n_calls
        self.error = error

    def notify(self, *args, **kwargs):
        self.n_calls -= 1
        if self.n_calls == 0:
            raise self.error

    on_train_begin = on_epoch_begin = on_batch_begin = notify
    on_grad_computed = on_batch_end = on_epoch_end = on_train_end = notify


def infer(estimator, X):
    """What a fitted estimator says of rows, to the bit."""
    found = [estimator.score_samples(X).tobytes()]
    for name in ("transform", "reconstruct"):
        if hasattr(estimator, name):
            found += [getattr(estimator, name)(X.astype(t)).tobytes() for t in ("f4", "f8")]
    return found


def describe(estimator, X):
    """All that a fitted estimator says and holds."""
    state = estimator.__getstate__() | {"callbacks": None}  # a callback's state is its own
    history = len(estimator.net_.history) if hasattr(estimator, "net_") else None
    return [pickle.dumps(state), history, *infer(estimator, X)]


@pytest.fixture
def frame(wine):
    return pd.DataFrame(wine[:, :5], columns=list("abcde"))


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_a_failed_first_fit_leaves_it_unfitted(estimator, frame):
    model = clone(estimator)
    bad = frame.astype(float).copy()
    bad.iloc[3, 2] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        model.fit(bad)
    assert vars(model).keys() == vars(clone(estimator)).keys()
    with pytest.raises(NotFittedError):
        model.score_samples(frame)
    model.fit(frame)
    fresh = clone(estimator).fit(frame)
    np.testing.assert_array_equal(model.score_samples(frame), fresh.score_samples(frame))


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
@pytest.mark.parametrize(
    ("spoil", "weight"),
    [
        (lambda frame: frame[["a", "b"]].assign(c=np.inf), None),
        (lambda frame: frame[["a", "b"]], -1.0),
        (lambda frame: frame.mask(frame > -np.inf), None),
        (lambda frame: frame.assign(a="prose of many words, all of them different"), -1.0),
    ],
    ids=["other columns", "weights", "no values", "text"],
)
def test_a_refused_refit_leaves_the_model_in_service(estimator, spoil, weight, frame):
    model = clone(estimator).fit(frame)
    before = describe(model, frame)
    spoiled = spoil(frame)
    weights = None if weight is None else np.full(len(frame), weight)
    with pytest.raises(ValueError):  # noqa: PT011 - whichever of several messages
        model.fit(spoiled, sample_weight=weights)
    assert describe(model, frame) == before


@pytest.mark.parametrize("estimator", TRANSFORMERS, ids=repr)
@pytest.mark.parametrize(
    ("first", "method"),
    [("partial_fit", "partial_fit"), ("partial_fit", "fit"), ("fit", "partial_fit")],
)
def test_an_error_at_any_moment_leaves_it_as_it_was(estimator, first, method, frame):
    """As SQLite is tested: fail at the k-th call for every k, and compare."""

    def make(**params):
        model = clone(estimator).set_params(max_epochs=2, batch_size=89, **params)
        for _ in range(2):
            getattr(model, first)(frame)
        return model

    fails = FailAt()
    model = make(callbacks=[fails], early_stopping=False)
    before = describe(model, frame)
    fresh = make(early_stopping=False)
    for k in range(1, 100):
        fails.n_calls = k
        with suppress(CallbackError):
            getattr(model, method)(frame)
            break
        assert describe(model, frame) == before, k
    assert 8 < k < 99
    expected = getattr(fresh, method)(frame)
    np.testing.assert_array_equal(model.score_samples(frame), expected.score_samples(frame))
    assert model.loss_curve_ == expected.loss_curve_


class CallError(Exception):
    pass


def is_own(path):
    return path.startswith(os.path.dirname(skae.__file__))


def run_to_call(method, X, n_calls):
    """Call a method; raise at the n-th call of a function of the package, and count them."""
    count = 0

    def profile(frame, event, argument):
        nonlocal count
        # Generators: their return from a context is a call too, after all is done.
        code = frame.f_code
        if event == "call" and is_own(code.co_filename) and not code.co_flags & CO_GENERATOR:
            count += 1
            if count == n_calls:
                sys.setprofile(None)
                raise CallError

    sys.setprofile(profile)
    try:
        method(X)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    ("estimator", "method"),
    [*((e, "fit") for e in ESTIMATORS), *((e, "partial_fit") for e in TRANSFORMERS)],
    ids=repr,
)
def test_an_error_in_any_function_leaves_it_as_it_was(estimator, method, frame):
    """Raise at the k-th call into the package, for forty k from the first to the last."""

    def make():
        model = clone(estimator)
        if "max_epochs" in model.get_params():
            model.set_params(max_epochs=1, batch_size=89, early_stopping=False)
        return getattr(model, method)(frame)

    model, done = make(), make()
    before = describe(model, frame)
    other = frame.iloc[:, :4] if method == "fit" else frame
    getattr(make(), method)(other)  # what is cached then is not called again
    n_calls = run_to_call(getattr(done, method), other, None)
    after = describe(done, other)
    chosen = np.r_[np.geomspace(1, n_calls, 20), np.linspace(1, n_calls, 25)]
    for k in np.unique(chosen.astype(int)):
        with pytest.raises(CallError):
            run_to_call(getattr(model, method), other, k)
        can_be_done = k > 0.98 * n_calls and model.n_features_in_ == len(other.columns)
        if can_be_done and describe(model, other) == after:  # the error came in leaving
            model = make()
        assert describe(model, frame) == before, k


@pytest.mark.parametrize("estimator", TRANSFORMERS, ids=repr)
@pytest.mark.parametrize("n_before", [0, 1])
def test_an_interrupted_block_can_come_again(estimator, n_before, frame):
    """Weights decay every sixteen steps, of which a block has nine."""
    interrupt = FailAt(error=KeyboardInterrupt)
    parameters = {"batch_size": 20, "weight_decay": 10.0}
    model = clone(estimator).set_params(callbacks=[interrupt], **parameters)
    expected = clone(estimator).set_params(**parameters)
    for _ in range(n_before):
        model.partial_fit(frame)
        expected.partial_fit(frame)
    interrupt.n_calls = 6
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(frame)
    assert hasattr(model, "module_") == bool(n_before)
    for _ in range(2):
        model.partial_fit(frame)
        expected.partial_fit(frame)
    assert infer(model, frame) == infer(expected, frame)


def test_rows_are_scored_by_one_model_while_another_is_fitted(frame):
    """A reader sees the old model or the new one, with its own columns, and never both."""
    wide, narrow = frame, frame[["a", "b", "c"]]
    model = AutoencoderTransformer(2, hidden_layer_sizes=(), random_state=0)
    known = {
        table.shape[1]: clone(model).fit(table).score_samples(table) for table in (wide, narrow)
    }
    model.fit(wide)
    wrong, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            for table in (wide, narrow):
                try:
                    found = model.score_samples(table)
                except ValueError:  # the other model is there
                    continue
                if not np.array_equal(found, known[table.shape[1]]):
                    wrong.append(table.shape[1])

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(40):
        model.fit(narrow)
        model.fit(wide)
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_a_fit_between_the_check_and_the_score_does_not_matter(estimator, frame):
    class FitsMeanwhile:
        """Rows that another thread fits the model to as they are read."""

        def __array__(self, dtype=None, copy=None):
            model.fit(frame[["a", "b", "c"]])
            return frame.to_numpy()

    model = clone(estimator).fit(frame.to_numpy())
    expected = model.score_samples(frame.to_numpy())
    np.testing.assert_array_equal(model.score_samples(FitsMeanwhile()), expected)
    assert model.n_features_in_ == 3


@pytest.mark.parametrize("estimator", TRANSFORMERS, ids=repr)
@pytest.mark.parametrize("first", ["fit", "partial_fit"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_rows_scored_during_training_see_the_model_before_it(estimator, first, method, frame):
    class Reads(Callback):
        def on_batch_end(self, *args, **kwargs):
            if hasattr(model, "module_"):
                seen.append(infer(model, frame))

    seen = []
    model = clone(estimator).set_params(callbacks=[Reads()], early_stopping=False)
    getattr(model, first)(frame)
    seen.clear()
    before = infer(model, frame)
    getattr(model, method)(frame)
    assert seen
    assert all(found == before for found in seen)
    assert infer(model, frame) != before or method == "fit"

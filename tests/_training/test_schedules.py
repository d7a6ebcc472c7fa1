"""Learning rates over a fit and over a stream."""

import math

import numpy as np
import pytest
from skorch.callbacks import Callback, Freezer

from skae import AutoencoderTransformer


class RecordRates(Callback):
    """Record the learning rate of each step."""

    def __init__(self):
        self.rates = []

    def on_grad_computed(self, net, named_parameters, **kwargs):
        (rate,) = {group["lr"] for group in net.optimizer_.param_groups}
        self.rates.append(rate)


def make(record, **parameters):
    defaults = {
        "hidden_layer_sizes": (4,),
        "lr": 1e-3,
        "optimizer": "sgd",
        "early_stopping": False,
        "random_state": 0,
    }
    callbacks = [record, *parameters.pop("callbacks", [])]
    return AutoencoderTransformer(2, callbacks=callbacks, **{**defaults, **parameters})


def cosine(n_steps):
    """Up over a tenth of the steps, down along a cosine (Loshchilov and Hutter 2017)."""
    done = (np.arange(n_steps) + 0.5) / n_steps
    return np.where(done < 0.1, done / 0.1, 0.5 * (1 + np.cos(np.pi * (done - 0.1) / 0.9)))


@pytest.mark.parametrize(("batch_size", "n_steps"), [(60, 100), (59, 110), (600, 10)])
def test_a_fit_follows_the_cosine(curve, batch_size, n_steps):
    record = RecordRates()
    make(record, max_epochs=10, batch_size=batch_size).fit(curve / 1e3)
    np.testing.assert_allclose(record.rates, 1e-3 * cosine(n_steps), rtol=1e-9)
    assert record.rates[-1] < 4e-5


def test_the_objective_is_given_the_share_of_training_that_is_done(curve):
    shares = []

    class Listen(Callback):
        def on_train_begin(self, net, **kwargs):
            net.criterion_.advance = shares.append

    make(RecordRates(), max_epochs=5, batch_size=150, callbacks=[Listen()]).fit(curve)
    np.testing.assert_allclose(shares, (np.arange(20) + 0.5) / 20)


def test_a_fit_that_is_stopped_went_through_the_rates_of_a_whole_one(curve):
    """Trained to the epoch that the folds chose, on the schedule of all epochs."""
    record = RecordRates()
    X = np.random.default_rng(0).normal(size=(60, 6))  # noise, which is soon overfitted
    ours = make(
        record,
        hidden_layer_sizes=(64,),
        max_epochs=40,
        batch_size=10,
        optimizer="adamw",
        lr=0.03,
        init="random",
        early_stopping=True,
    ).fit(X)
    assert 0 < ours.n_iter_ < 40
    assert len(record.rates) == 6 * ours.n_iter_
    np.testing.assert_allclose(record.rates, 0.03 * cosine(240)[: 6 * ours.n_iter_], rtol=1e-9)


def test_a_stream_rises_for_a_hundred_steps_then_falls_with_their_root(curve):
    """Vaswani et al. (2017), over blocks: each continues where the last one ended."""
    record = RecordRates()
    stream = make(record, batch_size=10)
    for block in np.array_split(curve / 1e3, 3):  # of 20 steps each
        for _ in range(4):
            stream.partial_fit(block)
    expected = [1e-3 * min(step / 100, math.sqrt(100 / step)) for step in range(1, 241)]
    np.testing.assert_allclose(record.rates, expected, rtol=1e-9)


def test_the_schedule_reaches_the_optimizer_that_follows_a_freeze(curve):
    record = RecordRates()
    freezer = Freezer("encoder.*", at=3)
    make(record, max_epochs=10, batch_size=60, callbacks=[freezer]).fit(curve / 1e3)
    np.testing.assert_allclose(record.rates, 1e-3 * cosine(100), rtol=1e-9)

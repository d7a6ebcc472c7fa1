"""Learning rates over a fit and over a stream, and a user's own schedules."""

import math

import numpy as np
import pytest
from skorch.callbacks import Callback, Freezer, LRScheduler

from skae import AutoencoderTransformer

from .configs import make_recording_optimizer


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


class Longer(Callback):
    """Ask for batches twice as long, which the next training has."""

    def on_epoch_begin(self, net, **kwargs):
        net.batch_size = 120


def test_the_cosine_is_over_the_steps_that_are_taken(curve):
    record = RecordRates()
    make(record, max_epochs=10, batch_size=60, callbacks=[Longer()]).fit(curve / 1e3)
    np.testing.assert_allclose(record.rates, 1e-3 * cosine(100), rtol=1e-9)


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


# A user's scheduler -----------------------------------------------------------------------


class Subclass(LRScheduler):
    """A scheduler of a user's own kind."""


class Wrapper(Callback):
    """A callback that hands all on to a scheduler."""

    def __init__(self, inner):
        self.inner = inner

    def initialize(self):
        self.inner.initialize()
        return self

    def on_train_begin(self, net, **kwargs):
        self.inner.on_train_begin(net, **kwargs)

    def on_epoch_end(self, net, **kwargs):
        self.inner.on_epoch_end(net, **kwargs)


SCHEDULERS = {
    "plain": lambda **kwargs: LRScheduler(**kwargs),
    "named": lambda **kwargs: ("rate", LRScheduler(**kwargs)),
    "subclass": lambda **kwargs: Subclass(**kwargs),
    "contained": lambda **kwargs: Wrapper(LRScheduler(**kwargs)),
}


def halving(n_trainings, n_epochs, n_steps):
    """Half the rate of the epoch before, in each training anew."""
    return np.tile(np.repeat(1e-3 * 0.5 ** np.arange(n_epochs), n_steps), n_trainings)


@pytest.mark.parametrize("kind", SCHEDULERS)
def test_a_users_scheduler_rules(curve, kind):
    record = RecordRates()
    scheduler = SCHEDULERS[kind](policy="StepLR", step_size=1, gamma=0.5)
    make(record, max_epochs=4, batch_size=150, callbacks=[scheduler]).fit(curve)
    np.testing.assert_allclose(record.rates, halving(1, 4, 4), rtol=1e-9)


@pytest.mark.parametrize("kind", SCHEDULERS)
def test_a_users_scheduler_rules_in_folds_and_after_them(curve, kind):
    optimizer, trainings = make_recording_optimizer()
    scheduler = SCHEDULERS[kind](policy="StepLR", step_size=1, gamma=0.5)
    ours = make(
        RecordRates(),
        max_epochs=3,
        batch_size=50,
        optimizer=optimizer,
        init="random",
        early_stopping=True,
        callbacks=[scheduler],
    ).fit(curve[:100])
    *folds, final = trainings
    assert len(folds) == 5
    for rates in folds:
        np.testing.assert_allclose(rates, halving(1, 3, 2), rtol=1e-9)
    assert final == folds[0][: 2 * ours.n_iter_]


def test_a_users_scheduler_rules_in_pretraining(curve):
    optimizer, trainings = make_recording_optimizer()
    make(
        RecordRates(),
        hidden_layer_sizes=(4, 4),
        pretrain="layerwise",
        max_epochs=6,
        batch_size=150,
        optimizer=optimizer,
        callbacks=[LRScheduler("StepLR", step_size=1, gamma=0.5)],
    ).fit(curve)
    *layers, final = trainings
    assert len(layers) == 3
    for rates in layers:
        np.testing.assert_allclose(rates, halving(1, 2, 4), rtol=1e-9)
    np.testing.assert_allclose(final, halving(1, 6, 4), rtol=1e-9)


@pytest.mark.parametrize("monitor", ["valid_loss", "a score that pretraining lacks"])
def test_a_scheduler_follows_the_loss_that_there_is(curve, monitor):
    """In folds that of held-out rows, in pretraining that of the rows that train."""

    class Score(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.history.record("a score that pretraining lacks", 1.0)

    plateau = LRScheduler("ReduceLROnPlateau", monitor=monitor)
    make(
        RecordRates(),
        hidden_layer_sizes=(4, 4),
        pretrain="layerwise",
        max_epochs=4,
        init="random",
        early_stopping=True,
        callbacks=[Score(), plateau],
    ).fit(curve[:60])
    assert plateau.monitor == monitor


@pytest.mark.parametrize("kind", SCHEDULERS)
def test_a_users_scheduler_goes_on_over_a_stream(curve, kind):
    record = RecordRates()
    scheduler = SCHEDULERS[kind](policy="StepLR", step_size=2, gamma=0.5)
    stream = make(record, batch_size=100, callbacks=[scheduler])
    for block in np.array_split(curve / 1e3, 6):
        stream.partial_fit(block)
    np.testing.assert_allclose(record.rates, 1e-3 * 0.5 ** (np.arange(6) // 2), rtol=1e-9)


def test_a_block_that_fails_does_not_count_for_a_users_scheduler(curve):
    class Fail(Callback):
        fails = False

        def on_batch_end(self, net, **kwargs):
            if self.fails:
                raise OSError("full")

    record, fail = RecordRates(), Fail()
    # A rate that follows from the number of steps alone.
    scheduler = LRScheduler("LambdaLR", lr_lambda=lambda n: 0.5**n, step_every="batch")
    stream = make(record, batch_size=50, callbacks=[scheduler, fail])
    stream.partial_fit(curve[:100])
    fail.fails = True
    with pytest.raises(OSError, match="full"):
        stream.partial_fit(curve[:100])
    fail.fails = False
    stream.partial_fit(curve[:100])
    np.testing.assert_allclose(record.rates, 1e-3 / np.array([1, 2, 4, 4, 8]), rtol=1e-9)


def test_a_users_scheduler_reaches_the_optimizer_that_follows_a_freeze(curve):
    record = RecordRates()
    callbacks = [Freezer("encoder.*", at=3), LRScheduler("StepLR", step_size=1, gamma=0.5)]
    make(record, max_epochs=6, batch_size=300, callbacks=callbacks).fit(curve)
    np.testing.assert_allclose(record.rates, halving(1, 6, 2), rtol=1e-9)


class SetRate(Callback):
    """Set the rate once, in the way of no scheduler."""

    def __init__(self, at, rate):
        self.at = at
        self.rate = rate

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.at:
            for group in net.optimizer_.param_groups:
                group["lr"] = self.rate


@pytest.mark.parametrize("at", [1, 3])
def test_the_schedule_leaves_a_rate_that_another_callback_has_set(curve, at):
    record = RecordRates()
    callbacks = [SetRate(at, 0.002)]
    make(record, max_epochs=5, batch_size=300, callbacks=callbacks).fit(curve)
    expected = 1e-3 * cosine(10)
    expected[2 * (at - 1) :] = 0.002
    np.testing.assert_allclose(record.rates, expected, rtol=1e-9)


def test_a_streams_schedule_leaves_a_rate_that_another_callback_has_set(curve):
    record = RecordRates()
    stream = make(record, batch_size=300, callbacks=[SetRate(2, 0.002)])
    for _ in range(4):
        stream.partial_fit(curve / 1e3)
    np.testing.assert_allclose(record.rates, [1e-5, 2e-5] + 6 * [0.002], rtol=1e-9)


def test_the_objective_goes_on_under_a_users_scheduler(curve):
    shares = []

    class Listen(Callback):
        def on_train_begin(self, net, **kwargs):
            net.criterion_.advance = shares.append

    callbacks = [Listen(), LRScheduler("StepLR", step_size=1)]
    make(RecordRates(), max_epochs=5, batch_size=150, callbacks=callbacks).fit(curve)
    np.testing.assert_allclose(shares, (np.arange(20) + 0.5) / 20)

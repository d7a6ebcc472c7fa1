"""One training: seeds, interruption, losses that are never finite."""

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback, EarlyStopping
from torch import nn

from skae import AutoencoderTransformer

SMALL = AutoencoderTransformer(2, hidden_layer_sizes=(8,), max_epochs=4, random_state=0)


# Seeds ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [{}, {"dropout": 0.3}, {"init": "random"}, {"pretrain": "layerwise"}, {"batch_size": 50}],
)
def test_same_seed_same_fit(curve, parameters):
    ours = clone(SMALL).set_params(max_epochs=30, lr=0.05, **parameters)
    a, b = (clone(ours).fit(curve).transform(curve) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    other = clone(ours).set_params(random_state=1).fit(curve).transform(curve)
    assert not np.array_equal(a, other)


def test_a_random_state_instance_gives_another_fit_each_time(curve):
    state = np.random.RandomState(0)
    a = clone(SMALL).set_params(random_state=state, init="random")
    first, second = a.fit(curve).transform(curve), a.fit(curve).transform(curve)
    assert not np.array_equal(first, second)


def test_none_takes_fresh_entropy(curve):
    ours = clone(SMALL).set_params(random_state=None, init="random")
    np.random.seed(0)  # noqa: NPY002
    first = clone(ours).fit(curve).transform(curve)
    np.random.seed(0)  # noqa: NPY002
    assert not np.array_equal(first, clone(ours).fit(curve).transform(curve))
    np.random.seed(1)  # noqa: NPY002 - as the fixture left it


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_parallel_fits_are_the_same(curve, backend):
    def codes(seed):
        ours = AutoencoderTransformer(
            2, hidden_layer_sizes=(8,), max_epochs=4, dropout=0.2, random_state=seed
        )
        return ours.fit(curve).transform(curve)

    alone = [codes(seed) for seed in range(6)]
    together = Parallel(n_jobs=2, backend=backend)(delayed(codes)(seed) for seed in range(6))
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a, b)


# Losses that are never finite -------------------------------------------------------------


class NotANumber(nn.Module):
    def __init__(self, n_outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_outputs))

    def forward(self, rows):
        value = float("nan") if len(rows) > 3 else 0.0  # a few rows are checked beforehand
        return self.weight + torch.full((len(rows), len(self.weight)), value)


@pytest.mark.parametrize("early_stopping", [True, False])
@pytest.mark.parametrize("n_rows", [100, 600])
def test_never_finite_is_an_error(curve, early_stopping, n_rows):
    ours = AutoencoderTransformer(
        2,
        architecture=lambda role, n_inputs, n_outputs: NotANumber(n_outputs),
        early_stopping=early_stopping,
    )
    for train in (ours.fit, ours.partial_fit):
        with pytest.raises(
            ValueError, match="must be finite, and it was not from the first step on: check"
        ):
            train(curve[:n_rows])
        assert not hasattr(ours, "module_")


# Ctrl-C -----------------------------------------------------------------------------------


class PressCtrlC(Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, training=None, **kwargs):
        if training and len(net.history) == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("n_rows", [300, 600])
@pytest.mark.parametrize("early_stopping", [True, False])
def test_keyboard_interrupt_leaves_a_usable_estimator(curve, early_stopping, n_rows):
    ours = AutoencoderTransformer(
        2,
        max_epochs=60,
        early_stopping=early_stopping,
        callbacks=[PressCtrlC(20)],
        random_state=0,
    )
    X = curve[:n_rows]
    with pytest.warns(ConvergenceWarning, match="interrupted after 19 of"):
        ours.fit(X)
    assert np.isfinite(ours.transform(X)).all()
    assert ours.n_iter_ <= 19
    assert np.isfinite(ours.score(X))


def test_an_interrupted_block_of_a_stream_is_undone(curve):
    ours = clone(SMALL).set_params(callbacks=[PressCtrlC(2)])
    before = ours.partial_fit(curve).score_samples(curve)
    with pytest.raises(KeyboardInterrupt):
        ours.partial_fit(curve)
    np.testing.assert_array_equal(ours.score_samples(curve), before)


def test_skorchs_own_early_stopping_works(curve):
    ours = AutoencoderTransformer(
        2,
        max_epochs=100,
        callbacks=[EarlyStopping(patience=1, threshold=0.9, sink=lambda *_: None)],
        random_state=0,
    )
    with pytest.warns(ConvergenceWarning, match="by a callback"):
        ours.fit(curve)
    assert len(ours.loss_curve_) < 10


# Streams ----------------------------------------------------------------------------------


def test_a_stream_has_a_loss_for_each_block_and_calls_back(curve):
    losses = []

    class Watch(Callback):
        def on_epoch_end(self, net, **kwargs):
            losses.append(net.history[-1]["train_loss"])

    stream = clone(SMALL).set_params(callbacks=[Watch()])
    for block in np.array_split(curve, 3):
        stream.partial_fit(block)
    assert stream.loss_curve_ == losses
    assert len(losses) == stream.n_iter_ == 3


def test_a_stream_that_diverges_warns_and_keeps_the_last_finite_weights(curve):
    # After a fit, for a stream that knows its rows would begin again.
    stream = clone(SMALL).set_params(optimizer="sgd", lr=0.01, batch_size=30).fit(curve)
    before = stream.transform(curve)
    far = curve * 1e15
    far[:, 1:] = curve[:, 1:]
    with (
        pytest.warns(ConvergenceWarning, match="training diverged after 0 of 1 epochs"),
        pytest.warns(UserWarning, match="the block lies far"),
    ):
        stream.partial_fit(far)
    np.testing.assert_array_equal(stream.transform(curve), before)

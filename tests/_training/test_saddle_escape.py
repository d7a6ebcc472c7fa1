"""A way out for trainings that don't leave the linear model."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import make_moons
from skorch.callbacks import Callback

from skae import AutoencoderTransformer
from skae._training import checkpoint
from skae._training.epoch_selection import select_epoch
from skae._training.saddle_escape import SaddleEscape


class Gates(Callback):
    """Record the widest gate at the start of each epoch of each training."""

    def __init__(self):
        self.trainings = []

    def on_train_begin(self, net, **kwargs):
        self.trainings.append([])

    def on_epoch_begin(self, net, **kwargs):
        paths = (net.module_.encoder, net.module_.decoder)
        self.trainings[-1].append(max(float(path.gate.detach().abs().max()) for path in paths))


def make_ring(n_rows):
    angles = np.linspace(0, 2 * np.pi, n_rows, endpoint=False)
    return np.c_[np.cos(angles), np.sin(angles)]


def fit(X, **parameters):
    gates = Gates()
    defaults = {"hidden_layer_sizes": (16,), "max_epochs": 24, "random_state": 0}
    ours = AutoencoderTransformer(1, callbacks=[gates], **{**defaults, **parameters}).fit(X)
    return ours, gates.trainings


@pytest.mark.parametrize("seed", range(2))
def test_symmetric_shapes_are_learned_whatever_the_seed(seed):
    X = make_moons(600, noise=0.05, random_state=0)[0]
    ours = AutoencoderTransformer(1, random_state=seed).fit(X)
    # A code of one number leaves PCA 28 % of the variance; two arcs need next to none.
    assert ours.n_iter_ > 0
    assert min(ours.validation_scores_) < 0.5 * ours.validation_scores_[0]


def test_gates_open_once_where_training_is_stuck():
    _, (widest,) = fit(make_ring(600))
    assert max(widest[:7]) < 0.05
    assert widest[7] == 3.0  # three batches an epoch: seven epochs are twenty steps
    assert 3.0 not in widest[8:]


def test_gates_stay_where_training_gets_on(curve):
    _, (widest,) = fit(curve)
    assert len(widest) > 8
    assert max(widest) < 1


def test_a_training_without_held_out_rows_is_pushed_too():
    ours, (widest,) = fit(make_ring(600), early_stopping=False, max_epochs=70)
    assert max(widest[:7]) < 0.05
    assert widest[7] == 3.0
    assert ours.loss_curve_[-1] < ours.loss_curve_[0]


def test_a_short_training_without_held_out_rows_is_left_alone():
    _, (widest,) = fit(make_ring(600), early_stopping=False, max_epochs=60)
    assert max(widest) < 1


@pytest.mark.parametrize("n_epochs", [20, 21])
def test_a_training_of_few_epochs_without_held_out_rows_is_left_alone(n_epochs):
    few_rows = {"early_stopping": False, "max_epochs": n_epochs, "batch_size": 20}
    _, (widest,) = fit(make_ring(200), **few_rows)
    assert (3.0 in widest) == (n_epochs == 21)


class Stop(Callback):
    """End training two epochs after the push, as Ctrl-C does; or fail after one, once."""

    fails = False

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 9:
            raise KeyboardInterrupt
        if len(net.history) == 8 and Stop.fails:
            Stop.fails = False
            raise OSError("full")


@pytest.mark.parametrize("is_resumed", [False, True])
@pytest.mark.filterwarnings("ignore:training was interrupted")
def test_weights_before_a_push_are_restored_if_the_loss_ends_higher(
    tmp_path, monkeypatch, is_resumed
):
    monkeypatch.setattr(checkpoint, "_LEAST_PAUSE", 0.0)
    monkeypatch.setattr(checkpoint, "_PAUSE_PER_WRITE", 0.0)
    monkeypatch.setattr(Stop, "fails", is_resumed)
    X = make_ring(600)
    parameters = {"early_stopping": False, "max_epochs": 70, "hidden_layer_sizes": (16,)}
    ours = AutoencoderTransformer(
        1, callbacks=[Stop()], checkpoint=tmp_path / "fit", random_state=0, **parameters
    )
    if is_resumed:
        with pytest.raises(OSError, match="full"):
            ours.fit(X)
    ours.fit(X)
    assert ours.loss_curve_[8] > 1.05 * ours.loss_curve_[6]
    pca = AutoencoderTransformer(1, hidden_layer_sizes=(), random_state=0).fit(X)
    loss = ours.reconstruction_error(X).mean()
    assert loss == pytest.approx(pca.reconstruction_error(X).mean(), rel=0.01)


def test_short_trainings_are_left_alone():
    _, (widest,) = fit(make_ring(600), max_epochs=7)
    assert max(widest) < 1


def test_folds_and_the_training_on_all_rows_open_gates_at_the_same_epoch(monkeypatch):
    def select_the_last(curves, weights, rule):
        selected = select_epoch(curves, weights, rule)
        return replace(selected, epoch=len(selected.gains))

    monkeypatch.setattr("skae._training.fit.has_promise", lambda *args: True)
    monkeypatch.setattr("skae._training.fit.select_epoch", select_the_last)
    opened = []
    monkeypatch.setattr(
        SaddleEscape, "_open", lambda self, net, gates: opened.append(len(net.history))
    )
    fit(make_ring(400), max_epochs=14)
    assert opened == [10] * 6  # five folds and the whole; two batches an epoch


def test_gates_that_are_frozen_stay_closed():
    class Freeze(Gates):
        def on_train_begin(self, net, **kwargs):
            super().on_train_begin(net)
            net.module_.encoder.gate.requires_grad_(False)
            net.module_.decoder.gate.requires_grad_(False)

    gates = Freeze()
    AutoencoderTransformer(
        1, callbacks=[gates], hidden_layer_sizes=(16,), max_epochs=12, random_state=0
    ).fit(make_ring(600))
    assert max(gates.trainings[0]) == 0


def test_patience_begins_anew():
    _, (widest,) = fit(make_ring(600), n_iter_no_change=8, lr=1e-6)
    assert len(widest) == 7 + 7 + 8  # as many epochs go free as went before

"""The skorch net, and the modules that it trains."""

import copy
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch import NeuralNet
from skorch.callbacks import Callback, PassthroughScoring
from skorch.history import History
from torch import nn

from skae import AutoencoderTransformer, DenoisingAutoencoder

SMALL = AutoencoderTransformer(2, hidden_layer_sizes=(8,), max_epochs=4, random_state=0)


def test_net_is_skorchs_and_lets_go_of_the_rows(curve):
    net = clone(SMALL).set_params(init="random").fit(curve).net_
    assert isinstance(net, NeuralNet)
    assert net.train_split is None
    assert net.step_ is None  # a step by hand keeps its last batch
    assert len(net.history) == 4
    assert {"train_loss", "valid_loss", "dur"} <= set(net.history[-1])


def test_a_fitted_net_can_be_copied(curve):
    ours = clone(SMALL).fit(curve)
    copied = copy.deepcopy(ours.net_)
    for a, b in zip(copied.module_.parameters(), ours.module_.parameters(), strict=True):
        assert torch.equal(a, b)
        assert a is not b


@pytest.mark.parametrize("optimizer", ["adamw", torch.optim.AdamW], ids=["by name", "a class"])
def test_the_optimizer_has_no_decay_of_its_own(curve, optimizer):
    ours = clone(SMALL).set_params(optimizer=optimizer, weight_decay=0.5).fit(curve)
    assert [group["weight_decay"] for group in ours.net_.optimizer_.param_groups] == [0.0]


def test_a_module_without_weights_runs_through_the_loop(curve):
    """A Wiener filter: it has buffers alone."""
    stream = DenoisingAutoencoder(None, hidden_layer_sizes=(), random_state=0)
    stream.partial_fit(curve).partial_fit(curve)
    assert np.isfinite(stream.loss_curve_).all()
    assert stream.n_iter_ == 2


class Modes(nn.Module):
    """A layer that records whether it trains each time that it is called."""

    def __init__(self, n_inputs, n_outputs, modes):
        super().__init__()
        self.layer = nn.Linear(n_inputs, n_outputs)
        self.modes = modes

    def forward(self, rows):
        self.modes.append((self.training, len(rows)))
        return self.layer(rows)


def test_training_mode_is_for_training_rows_alone(curve):
    modes = []

    def architecture(role, n_inputs, n_outputs):
        if role == "encoder":
            return Modes(n_inputs, n_outputs, modes)
        return nn.Linear(n_inputs, n_outputs)

    seen = []

    class Watch(Callback):
        def on_train_begin(self, net, **kwargs):
            modes.clear()

        def on_train_end(self, net, **kwargs):
            seen.extend(modes)

    AutoencoderTransformer(
        2, architecture=architecture, max_epochs=3, callbacks=[Watch()], random_state=0
    ).fit(curve)
    epoch = [(True, 180)] * 3 + [(False, 60)]
    assert seen == [(False, 60), *epoch * 3]


def test_held_out_losses_count_weights(curve):
    """As they are reported in the history, and in `validation_scores_`."""
    weight = np.random.default_rng(0).uniform(0.1, 3.0, size=len(curve))
    ours = clone(SMALL).set_params(init="random").fit(curve, sample_weight=weight)
    np.testing.assert_allclose(
        ours.net_.history[:, "valid_loss"], ours.validation_scores_[1:], rtol=1e-5
    )


def test_training_passes_through_the_compiled_module(curve, monkeypatch):
    """A step by hand would pass it by."""
    calls = []

    def count_calls(module):
        module.register_forward_hook(lambda module, *_: calls.append(module.training))

    monkeypatch.setattr(nn.Module, "compile", count_calls)
    clone(SMALL).set_params(compile=True, early_stopping=False).fit(curve)
    assert sum(calls) == 4 * 3  # epochs of three batches


def test_compiled_training_gives_the_same(curve):
    """`torch.compile` for real, with the default backend."""
    # From PCA on, gradients are mere rounding, which would decide the first steps' direction.
    plain = AutoencoderTransformer(
        2,
        hidden_layer_sizes=(8,),
        init="random",
        max_epochs=2,
        early_stopping=False,
        random_state=0,
    ).fit(curve)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's compiler warns of torch's own deprecations
        compiled = clone(plain).set_params(compile=True).fit(curve)
        np.testing.assert_allclose(
            compiled.transform(curve), plain.transform(curve), rtol=1e-3, atol=1e-4
        )
        assert compiled.score(curve) == pytest.approx(plain.score(curve), abs=0.01)
    assert compiled.module_._compiled_call_impl is not None
    assert compiled.net_.flat_parameters_ is None


class Switched(nn.Linear):
    """A layer with a mode of its own."""

    is_switched = False

    def train(self, mode=True):
        self.is_switched = mode
        return super().train(mode)


def test_a_module_that_sets_its_own_mode_is_asked_to(curve):
    seen = []

    class Watch(nn.Module):
        def __init__(self, n_inputs, n_outputs):
            super().__init__()
            self.layer = Switched(n_inputs, n_outputs)

        def forward(self, rows):
            seen.append((self.training, self.layer.is_switched))
            return self.layer(rows)

    AutoencoderTransformer(
        2,
        architecture=lambda role, n_inputs, n_outputs: Watch(n_inputs, n_outputs),
        max_epochs=3,
        random_state=0,
    ).fit(curve)
    assert set(seen) == {(True, True), (False, False)}


def test_losses_of_batches_are_averaged_as_skorch_does(curve):
    ours = clone(SMALL).set_params(init="random", batch_size=70).fit(curve).net_.history
    names = ["train_loss", "train_loss_best", "valid_loss", "valid_loss_best"]
    theirs = copy.deepcopy(ours)
    for row in theirs:
        assert len(row["batches"]) > 3
        for name in names:
            del row[name]
    callbacks = [
        PassthroughScoring(name="train_loss", on_train=True).initialize(),
        PassthroughScoring(name="valid_loss").initialize(),
    ]
    for epoch in range(1, len(theirs) + 1):
        for callback in callbacks:
            callback.on_epoch_end(SimpleNamespace(history=History(theirs[:epoch])))
    assert ours[:, names] == theirs[:, names]


class HookAtStart(Callback):
    """Add a hook to the encoder that scales its network's output, when an epoch begins."""

    def __init__(self, scale, epoch=1):
        self.scale = scale
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) != self.epoch:
            return
        path = net.module_.encoder.nonlinear
        path.register_forward_hook(lambda module, inputs, output: self.scale * output)


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_hook_of_a_callback_is_trained_with(curve, epoch):
    """The gates are closed at first, and their gradients are as large as the network's output."""
    model = clone(SMALL).set_params(early_stopping=False, max_epochs=epoch, lr=1e-6)
    gates = {}
    for scale in (1.0, 300.0):
        callbacks = [("hook", HookAtStart(scale, epoch))]
        twin = clone(model).set_params(optimizer=torch.optim.SGD, callbacks=callbacks)
        gates[scale] = float(twin.fit(curve).module_.encoder.gate.detach().abs().sum())
    assert gates[300.0] > 30 * gates[1.0]  # the steps before the hook are alike

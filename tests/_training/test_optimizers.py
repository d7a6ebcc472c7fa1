"""Weights as one vector: an optimizer steps as it does over separate weights."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback, Checkpoint, Freezer, GradientNormClipping
from torch import nn

from skae import AutoencoderTransformer, DenoisingAutoencoder, VAETransformer
from skae._training.optimizers import OPTIMIZERS, flatten_parameters
from skae.modules import mlp_autoencoder

ADAMW = partial(torch.optim.AdamW, fused=True)  # the same, but not the one by name
SGD = partial(torch.optim.SGD, momentum=0.9, nesterov=True, fused=True)
# From PCA on, some gradients are mere rounding, whose sign Adam takes for a direction.
RANDOM = {"init": "random", "early_stopping": False, "max_epochs": 5, "random_state": 0}
OURS = AutoencoderTransformer(2, hidden_layer_sizes=(8, 6), **RANDOM)


def weights_of(estimator):
    return [weight.detach().numpy() for weight in estimator.module_.parameters()]


@pytest.mark.parametrize(("name", "apart"), [("adamw", ADAMW), ("sgd", SGD)])
@pytest.mark.parametrize(
    "estimator",
    [
        OURS,
        clone(OURS).set_params(dropout=0.2, tied_weights=True),
        clone(OURS).set_params(pretrain="layerwise", batch_size=40),
        DenoisingAutoencoder(2, hidden_layer_sizes=(8,), **RANDOM),
        clone(OURS).set_params(callbacks=[GradientNormClipping(0.05)]),
        VAETransformer(hidden_layer_sizes=(8,), **RANDOM),
    ],
    ids=["explicit", "tied", "layerwise", "denoiser", "clipped", "vae"],
)
def test_steps_are_those_over_separate_weights(curve, estimator, name, apart):
    ours = clone(estimator).set_params(optimizer=name).fit(curve)
    theirs = clone(estimator).set_params(optimizer=apart).fit(curve)
    assert ours.net_.flat_parameters_ is not None
    assert theirs.net_.flat_parameters_ is None
    np.testing.assert_allclose(
        ours.net_.history[:, "train_loss"], theirs.net_.history[:, "train_loss"], rtol=1e-4
    )
    for a, b in zip(weights_of(ours), weights_of(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_a_stream_keeps_its_momentum(curve):
    ours, theirs = clone(OURS), clone(OURS).set_params(optimizer=ADAMW)
    for block in np.array_split(curve, 4):
        ours.partial_fit(block)
        theirs.partial_fit(block)
    assert ours.net_.flat_parameters_ is not None
    for a, b in zip(weights_of(ours), weights_of(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_weights_that_are_set_between_two_blocks_are_trained_on(curve):
    stream = clone(OURS).set_params(lr=1e-30).partial_fit(curve)
    with torch.no_grad():
        for weight in stream.module_.parameters():
            weight.fill_(0.25)
    stream.partial_fit(curve)
    assert stream.net_.flat_parameters_ is not None
    assert all((weight == 0.25).all() for weight in weights_of(stream))


def test_weights_have_separate_storage_after_a_fit(curve):
    ours = clone(OURS).fit(curve)
    for weight in ours.module_.parameters():
        assert weight.untyped_storage().nbytes() == 4 * weight.numel()
        assert weight.grad is None


def test_separate_storage_is_restored_when_training_fails(curve):
    class Failing(Callback):
        def on_epoch_end(self, net, **kwargs):
            self.module = net.module_
            raise RuntimeError("a callback's own error")

    failing = Failing()
    with pytest.raises(RuntimeError, match="callback's own"):
        clone(OURS).set_params(callbacks=[failing]).fit(curve)
    for weight in failing.module.parameters():
        assert weight.untyped_storage().nbytes() == 4 * weight.numel()


def test_skorchs_checkpoint_saves_and_loads_them(curve, tmp_path):
    best = Checkpoint(monitor=None, dirname=tmp_path, load_best=True)
    ours = clone(OURS).set_params(callbacks=[best]).fit(curve)
    again = clone(OURS).fit(curve)
    again.net_.load_params(f_params=tmp_path / "params.pt", f_optimizer=tmp_path / "optimizer.pt")
    for a, b in zip(weights_of(ours), weights_of(again), strict=True):
        np.testing.assert_array_equal(a, b)


class Again(Callback):
    """Make a new optimizer at the third epoch, of another kind if one is given."""

    def __init__(self, optimizer=None):
        self.optimizer = optimizer

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 3:
            net.optimizer = net.optimizer if self.optimizer is None else self.optimizer
            net.initialize_optimizer()


@pytest.mark.parametrize("again", [None, SGD], ids=["the same", "the user's"])
def test_a_new_optimizer_continues_with_the_weights(curve, again):
    ours, theirs = (
        clone(OURS).set_params(optimizer=optimizer, callbacks=[Again(again)]).fit(curve)
        for optimizer in ("adamw", ADAMW)
    )
    assert (ours.net_.flat_parameters_ is None) == (again is not None)
    for a, b in zip(weights_of(ours), weights_of(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


class Recurrent(nn.Module):
    """A layer that remembers where its weights are stored."""

    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.layer = nn.GRU(n_inputs, n_outputs)

    def forward(self, rows):
        return self.layer(rows)[0]


def small_module():
    return mlp_autoencoder(5, 2, (4,), generator=torch.Generator().manual_seed(0))


def test_which_weights_stay_separate():
    with torch.random.fork_rng():
        recurrent, double = Recurrent(5, 5), nn.Linear(5, 5).double()
    module = small_module()
    assert flatten_parameters(module, OPTIMIZERS["adamw"]) is not None
    assert flatten_parameters(module, ADAMW) is None
    assert flatten_parameters(nn.Sequential(module, recurrent), OPTIMIZERS["adamw"]) is None
    module.encoder.gate.requires_grad_(False)
    assert flatten_parameters(module, OPTIMIZERS["adamw"]) is None
    assert flatten_parameters(small_module().half(), OPTIMIZERS["adamw"]) is not None
    mixed = nn.Sequential(small_module(), double)
    assert flatten_parameters(mixed, OPTIMIZERS["adamw"]) is None
    assert flatten_parameters(nn.Identity(), OPTIMIZERS["adamw"]) is None


class Record(Callback):
    """Record the initial weights and those after each epoch."""

    def on_train_begin(self, net, **kwargs):
        self.epochs = []
        self.on_epoch_end(net)

    def on_epoch_end(self, net, **kwargs):
        named = net.module_.named_parameters()
        self.epochs.append({name: weight.detach().clone() for name, weight in named})


@pytest.mark.parametrize("at", [1, 3])
@pytest.mark.parametrize("optimizer", ["adamw", ADAMW], ids=["flat", "separate"])
def test_frozen_weights_do_not_change(curve, at, optimizer):
    record = Record()
    ours = clone(OURS).set_params(
        callbacks=[Freezer("encoder.*", at=at), record], optimizer=optimizer
    )
    ours.fit(curve)
    before, after = record.epochs[at - 1], record.epochs[-1]
    for name in before:
        assert torch.equal(before[name], after[name]) == name.startswith("encoder.")

"""Weight decay, and a loss that stays finite."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback
from torch import nn

from skae import AutoencoderTransformer


class Still(torch.optim.SGD):
    """An optimizer that leaves the weights alone, so that only the decay moves them."""

    def step(self, closure=None):
        return None if closure is None else closure()


class Record(Callback):
    """Record the initial weights, and the sum of the learning rates."""

    def __init__(self):
        self.total, self.before = 0.0, None

    def on_train_begin(self, net, **kwargs):
        if self.before is None:
            named = net.module_.named_parameters()
            self.before = {name: weight.detach().clone() for name, weight in named}

    def on_batch_begin(self, net, training, **kwargs):
        if training:
            self.total += net.optimizer_.param_groups[0]["lr"]


def make_still(record, **parameters):
    defaults = {
        "hidden_layer_sizes": (8,),
        "optimizer": Still,
        "weight_decay": 3.0,
        "lr": 0.05,
        "batch_size": 8,
        "max_epochs": 4,
        "early_stopping": False,
        "random_state": 0,
    }
    return AutoencoderTransformer(2, callbacks=[record], **{**defaults, **parameters})


def assert_decayed(ours, record, decay, is_frozen=lambda name: False):
    """The nonlinear paths' matrices shrink by `exp(-decay * sum of the rates)`."""
    for name, weight in ours.module_.named_parameters():
        decays = ".nonlinear." in name and name.endswith("weight") and not is_frozen(name)
        factor = np.exp(-decay * record.total) if decays else 1.0
        torch.testing.assert_close(weight.detach(), factor * record.before[name])


@pytest.mark.parametrize("decay", [0.0, 3.0])
def test_matrices_of_nonlinear_paths_decay_at_the_learning_rate(curve, decay):
    record = Record()
    ours = make_still(record, weight_decay=decay).fit(curve[:64])  # 32 steps
    assert record.total > 0.5
    assert_decayed(ours, record, decay)


def test_frozen_weights_do_not_decay(curve):
    class Freezing(Record):
        def on_train_begin(self, net, **kwargs):
            super().on_train_begin(net, **kwargs)
            for parameter in net.module_.encoder.parameters():
                parameter.requires_grad_(False)

    record = Freezing()
    ours = make_still(record).fit(curve[:64])
    assert_decayed(ours, record, 3.0, lambda name: name.startswith("encoder."))


@pytest.mark.parametrize("n_blocks", [1, 4])
def test_a_stream_decays_however_it_is_cut(curve, n_blocks):
    record = Record()
    ours = make_still(record)
    for block in np.array_split(curve[:128], n_blocks):  # 16 steps in all
        ours.partial_fit(block)
    assert_decayed(ours, record, 3.0)


# A loss that is not finite ----------------------------------------------------------------


class Spoil(Callback):
    """Set a weight to NaN after the last step of an epoch, whose loss is still finite."""

    def __init__(self, epoch):
        self.epoch = epoch
        self.steps = 0

    def on_epoch_begin(self, net, **kwargs):
        self.steps = 0

    def on_batch_end(self, net, training, **kwargs):
        self.steps += training
        if training and len(net.history) == self.epoch and self.steps == 10:
            with torch.no_grad():
                next(net.module_.parameters())[0, 0] = torch.nan


@pytest.mark.parametrize("early_stopping", [False, True])
def test_weights_that_are_not_finite_are_not_kept(curve, early_stopping):
    plain = AutoencoderTransformer(
        2,
        hidden_layer_sizes=(8,),
        batch_size=54 if early_stopping else 60,
        max_epochs=8,
        early_stopping=early_stopping,
        init="random",
        random_state=0,
    )
    spoilt = clone(plain).set_params(callbacks=[Spoil(4)])
    with pytest.warns(ConvergenceWarning, match="diverged after 3 of 8 epochs"):
        spoilt.fit(curve)
    assert spoilt.n_iter_ == 3
    reference = {}

    class Keep(Callback):
        def on_epoch_end(self, net, **kwargs):
            state = net.module_.state_dict()
            reference[len(net.history)] = {name: v.clone() for name, v in state.items()}

    clone(plain).set_params(callbacks=[Keep()]).fit(curve)
    for name, value in spoilt.module_.state_dict().items():
        assert torch.equal(value, reference[3][name])


class Explode(nn.Module):
    """Return infinity after a number of training steps, with weights that stay finite."""

    def __init__(self, n_inputs, n_outputs, n_steps):
        super().__init__()
        self.layer = nn.Linear(n_inputs, n_outputs)
        self.n_left = n_steps

    def forward(self, rows):
        self.n_left -= self.training
        return self.layer(rows) + (torch.inf if self.n_left < 0 and self.training else 0.0)


def test_a_loss_that_is_not_finite_ends_training_though_the_weights_are(curve):
    def architecture(role, n_inputs, n_outputs):
        return Explode(n_inputs, n_outputs, n_steps=25)

    ours = AutoencoderTransformer(
        2,
        architecture=architecture,
        init="random",
        optimizer=Still,
        batch_size=60,
        max_epochs=8,
        early_stopping=False,
        random_state=0,
    )
    with pytest.warns(ConvergenceWarning, match="diverged after 2 of 8 epochs"):
        ours.fit(curve)
    assert ours.n_iter_ == 2

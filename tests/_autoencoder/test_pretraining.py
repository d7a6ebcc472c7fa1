"""Greedy layerwise pretraining."""

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback
from torch import nn

from skae import AutoencoderTransformer
from skae._autoencoder.objective import ReconstructionObjective
from skae._autoencoder.pretraining import pretrain_layerwise
from skae._data import Batch, Rows
from skae._environment import RandomStreams
from skae.modules import Autoencoder, mlp_autoencoder

from .._training.configs import make_config

RNG = np.random.default_rng(0)
X = torch.from_numpy(RNG.normal(size=(120, 6)) @ RNG.normal(size=(6, 6))).float()


class Counting(torch.optim.Adam):
    """An optimizer that counts the steps of each training, and how many weights it has."""

    trainings: list

    def __init__(self, groups, lr):
        super().__init__(groups, lr=lr)
        n_weights = sum(p.numel() for group in self.param_groups for p in group["params"])
        self.count = [n_weights, 0]
        self.trainings.append(self.count)

    def step(self, closure=None):
        self.count[1] += 1
        return super().step(closure)


@pytest.fixture
def optimizer():
    return type("CountingHere", (Counting,), {"trainings": []})


def make_module(**parameters):
    parameters = {"hidden_layer_sizes": (5, 4), "activation": "tanh", **parameters}
    return mlp_autoencoder(6, 3, generator=torch.Generator().manual_seed(0), **parameters)


def pretrain(module, rows=X, weight=None, trim_fraction=0.0, **parameters):
    objective = ReconstructionObjective(trim_fraction=trim_fraction)
    config = make_config(objective=objective, **{"max_epochs": 300, "lr": 0.03, **parameters})
    pretrain_layerwise(module, Rows(Batch(rows, weight=weight)), config, RandomStreams(0))
    return module


def rebuild(module, n_layers):
    """The rows, through the outermost layers of the nonlinear paths and back."""
    encoder, decoder = module.nonlinear_paths
    with torch.no_grad():
        hidden = X
        for layer in encoder.layers[:n_layers]:
            hidden = torch.tanh(layer(hidden))
        *inner, outermost = decoder.layers[len(decoder.layers) - n_layers :]
        for layer in inner:
            hidden = torch.tanh(layer(hidden))
        return outermost(hidden)


def error(module, n_layers, rows=slice(None)):
    return (rebuild(module, n_layers) - X)[rows].square().mean().item() / X.var().item()


@pytest.mark.parametrize("tied_weights", [False, True])
def test_outer_layers_reconstruct_their_input(tied_weights):
    module = make_module(tied_weights=tied_weights)
    before = [error(module, n_layers) for n_layers in (1, 2)]
    pretrain(module)
    after = [error(module, n_layers) for n_layers in (1, 2)]
    assert after[0] < 0.3 < 0.7 < before[0]
    assert after[1] < 0.6 < 0.7 < before[1]


def test_the_gates_stay_closed_and_the_linear_paths_as_they_were():
    module, untouched = make_module(), make_module()
    pretrain(module)
    for (name, found), was in zip(module.named_parameters(), untouched.parameters(), strict=True):
        assert torch.equal(found, was) == (".nonlinear." not in name), name


def test_all_layers_together_take_the_epochs_of_a_training(optimizer):
    pretrain(make_module(), optimizer=optimizer, max_epochs=30, batch_size=60)
    assert optimizer.trainings == [
        [6 * 5 + 5 + 5 * 6 + 6, 20],
        [5 * 4 + 4 + 4 * 5 + 5, 20],
        [4 * 3 + 3 + 3 * 4 + 4, 20],
    ]


def test_each_layer_takes_one_epoch_at_least(optimizer):
    pretrain(make_module(), optimizer=optimizer, max_epochs=2)
    assert [n_steps for _, n_steps in optimizer.trainings] == [1, 1, 1]


def test_inner_layers_reconstruct_behind_an_activation():
    """As the decoder has it; the innermost code has none, and may have any values."""
    module = pretrain(make_module(activation="logistic", hidden_layer_sizes=(5,)))
    encoder, decoder = module.nonlinear_paths
    with torch.no_grad():
        hidden = torch.sigmoid(encoder.layers[0](X))
        code = encoder.layers[1](hidden)
        rebuilt = torch.sigmoid(decoder.layers[0](code))
    assert code.min() < 0
    assert (rebuilt - hidden).square().mean() < 0.1 * hidden.var(dim=0).mean()


def test_rows_without_weight_do_not_count_in_any_layer():
    """Weights of zero: as if the rows were not there, which one batch an epoch shows."""
    weight = torch.ones(120)
    weight[:40] = 0
    others = X.clone()
    others[:40] = 50.0
    weighted, again = (
        pretrain(make_module(), rows, weight, batch_size=120, max_epochs=30) for rows in (X, others)
    )
    for a, b in zip(weighted.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_outliers_are_trimmed():
    spoilt = X.clone()
    spoilt[:6] *= 100
    trimmed = pretrain(make_module(), spoilt, trim_fraction=0.1)
    trusting = pretrain(make_module(), spoilt)
    clean = slice(6, None)
    assert error(trimmed, 1, clean) < 0.5 * error(trusting, 1, clean)


def test_networks_that_are_no_perceptrons_are_left_as_they_are(optimizer):
    with torch.random.fork_rng():
        module = Autoencoder(nn.Linear(6, 3), nn.Linear(3, 6))
    pretrain(module, optimizer=optimizer)
    assert optimizer.trainings == []


def test_an_interrupt_ends_the_pretraining_and_not_the_fit(curve):
    trainings = []

    class Interrupted(torch.optim.Adam):
        def __init__(self, groups, lr):
            super().__init__(groups, lr=lr)
            trainings.append(0)

        def step(self, closure=None):
            trainings[-1] += 1
            if len(trainings) == 1 and trainings[-1] == 3:
                raise KeyboardInterrupt
            return super().step(closure)

    ours = AutoencoderTransformer(
        2,
        hidden_layer_sizes=(8,),
        pretrain="layerwise",
        optimizer=Interrupted,
        max_epochs=6,
        batch_size=600,
        early_stopping=False,
        random_state=0,
    )
    with pytest.warns(ConvergenceWarning, match="layer 1/2 was interrupted after 2 of 3 epochs"):
        ours.fit(curve)
    assert trainings == [3, 6]
    assert ours.n_iter_ == 6


def test_callbacks_are_of_the_fit_alone(curve):
    trained = []

    class Watch(Callback):
        def on_train_begin(self, net, **kwargs):
            trained.append(net.module_)

    ours = AutoencoderTransformer(
        2,
        hidden_layer_sizes=(8,),
        pretrain="layerwise",
        callbacks=[Watch()],
        max_epochs=2,
        early_stopping=False,
        random_state=0,
    ).fit(curve)
    assert trained == [ours.module_]


def test_pretraining_that_diverges_is_no_fit(monkeypatch):
    """Also where no epoch follows: with so few rows the initialization is kept."""

    def diverge(module, *args):
        for parameter in module.parameters():
            nn.init.constant_(parameter, 1e30)

    monkeypatch.setattr("skae._autoencoder.estimator.pretrain_layerwise", diverge)
    ours = AutoencoderTransformer(2, hidden_layer_sizes=(3,), pretrain="layerwise", random_state=0)
    with pytest.raises(ValueError, match=r"training diverged: .* lr"):
        ours.fit(np.random.default_rng(0).normal(size=(6, 3)))
    assert not hasattr(ours, "module_")

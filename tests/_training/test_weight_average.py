"""Averages of weights, which held-out rows judge while training goes on from the weights."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from skae import AutoencoderTransformer
from skae._training.weight_average import WeightAverage

N_BATCHES = 3


class Driven:
    """A module whose weight is set by hand, and the average that watches it."""

    def __init__(self):
        self.module = nn.Module()
        self.module.weight = nn.Parameter(torch.zeros(2))
        self.net = SimpleNamespace(module_=self.module, batch_size=1)
        self.average = WeightAverage()
        self.average.on_train_begin(self.net)

    def begin_epoch(self):
        self.average.on_epoch_begin(self.net, dataset_train=range(N_BATCHES))

    def step_to(self, values):
        with torch.no_grad():
            self.module.weight.copy_(torch.tensor(values))
        self.average.on_batch_end(self.net, training=True)

    @property
    def weight(self):
        return self.module.weight.tolist()


def average_of(steps):
    """The average in closed form: step t counts as t (t + 1) ... (t + 8)."""
    shares = np.array([math.comb(t + 8, 9) for t in range(1, len(steps) + 1)], dtype=float)
    return np.average(steps, axis=0, weights=shares)


def test_an_epoch_ends_with_the_average_and_the_next_begins_with_the_weights():
    driven, steps = Driven(), np.random.default_rng(0).normal(size=(2 * N_BATCHES, 2))
    for epoch in range(2):
        driven.begin_epoch()
        if epoch > 0:
            np.testing.assert_allclose(driven.weight, steps[N_BATCHES - 1], rtol=1e-6)
        for step in range(epoch * N_BATCHES, (epoch + 1) * N_BATCHES):
            driven.step_to(steps[step])
        seen = steps[: (epoch + 1) * N_BATCHES]
        np.testing.assert_allclose(driven.weight, average_of(seen), rtol=1e-5)
        driven.average.on_batch_end(driven.net, training=False)
        np.testing.assert_allclose(driven.weight, average_of(seen), rtol=1e-5)


def test_what_callbacks_change_between_epochs_is_kept():
    driven = Driven()
    driven.begin_epoch()
    for step in range(N_BATCHES):
        driven.step_to([float(step), 1.0 + step])
    with torch.no_grad():
        driven.module.weight[1] = 7.0
    driven.begin_epoch()
    assert driven.weight == [N_BATCHES - 1.0, 7.0]
    for _ in range(N_BATCHES):
        driven.step_to(driven.weight)
    assert driven.weight[1] == 7.0


class Watch(Callback):
    """Record the weights before each step, and at the end of each epoch."""

    def __init__(self):
        self.steps, self.ends = [], []

    def read(self, net):
        return torch.cat([p.detach().reshape(-1) for p in net.module_.parameters()]).numpy()

    def on_batch_begin(self, net, training=False, **kwargs):
        if training:
            self.steps.append(self.read(net))

    def on_epoch_end(self, net, **kwargs):
        self.ends.append(self.read(net))


@pytest.mark.parametrize("optimizer", ["adamw", torch.optim.Adam], ids=["flat", "separate"])
def test_held_out_rows_judge_the_average(curve, optimizer):
    watch = Watch()
    ours = AutoencoderTransformer(
        2,
        hidden_layer_sizes=(8,),
        init="random",
        max_epochs=3,
        batch_size=180,
        optimizer=optimizer,
        callbacks=[watch],
        random_state=0,
    ).fit(curve)
    # 540 rows, three batches: what a step left is seen before the next one.
    np.testing.assert_allclose(watch.ends[0], average_of([*watch.steps[1:4]]), rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(watch.ends[1], average_of([*watch.steps[1:7]]), rtol=1e-3, atol=1e-6)
    returned = torch.cat([p.detach().reshape(-1) for p in ours.module_.parameters()]).numpy()
    np.testing.assert_array_equal(returned, watch.ends[ours.n_iter_ - 1])


def test_without_held_out_rows_the_last_weights_are_returned(curve):
    watch = Watch()
    settings = {"hidden_layer_sizes": (8,), "batch_size": 200, "random_state": 0, "lr": 1e-2}
    AutoencoderTransformer(
        2, max_epochs=2, early_stopping=False, callbacks=[watch], **settings
    ).fit(curve)
    np.testing.assert_array_equal(watch.ends[0], watch.steps[3])


def test_statistics_of_layers_are_averaged_but_counts_are_not():
    module = nn.BatchNorm1d(2).train()
    net = SimpleNamespace(module_=module, batch_size=1)
    average = WeightAverage()
    average.on_train_begin(net)
    average.on_epoch_begin(net, dataset_train=range(2))
    means = []
    for number in range(2):
        module(torch.arange(8.0).reshape(4, 2) * (number + 1))
        means.append(module.running_mean.numpy().copy())
        average.on_batch_end(net, training=True)
    np.testing.assert_allclose(module.running_mean, average_of(means), rtol=1e-5)
    average.on_epoch_begin(net, dataset_train=range(2))
    np.testing.assert_allclose(module.running_mean, means[-1], rtol=1e-6)
    assert module.num_batches_tracked == 2

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

    def __init__(self, **buffers):
        self.module = nn.Module()
        for name, values in buffers.items():
            self.module.register_buffer(name, values)
        self.module.weight = nn.Parameter(torch.zeros(2))
        self.net = SimpleNamespace(module_=self.module)
        self.average = WeightAverage()
        self.average.on_train_begin(self.net)

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
        driven.average.begin_pass()
        if epoch > 0:
            np.testing.assert_allclose(driven.weight, steps[N_BATCHES - 1], rtol=1e-6)
        for step in range(epoch * N_BATCHES, (epoch + 1) * N_BATCHES):
            driven.step_to(steps[step])
            np.testing.assert_allclose(driven.weight, steps[step], rtol=1e-6)
        driven.average.end_pass()
        seen = steps[: (epoch + 1) * N_BATCHES]
        np.testing.assert_allclose(driven.weight, average_of(seen), rtol=1e-5)
        driven.average.on_batch_end(driven.net, training=False)
        np.testing.assert_allclose(driven.weight, average_of(seen), rtol=1e-5)


BUFFERS = {
    "none": {},
    "of another precision": {"temperature": torch.tensor(0.7, dtype=torch.float64)},
    "infinite": {"mask": torch.tensor([0.0, -torch.inf])},
}


@pytest.mark.parametrize("buffers", BUFFERS.values(), ids=BUFFERS)
def test_what_callbacks_change_between_epochs_is_kept(buffers):
    driven = Driven(**{name: values.clone() for name, values in buffers.items()})
    driven.average.begin_pass()
    for step in range(N_BATCHES):
        driven.step_to([1.1 + step, step / 3])
    last = driven.weight
    driven.average.end_pass()
    assert driven.weight != last
    with torch.no_grad():
        driven.module.weight[1] = 7.0
    driven.average.begin_pass()
    assert driven.weight == [last[0], 7.0]
    for _ in range(N_BATCHES):
        driven.step_to(driven.weight)
    driven.average.end_pass()
    assert driven.weight[1] == 7.0
    for name, values in buffers.items():
        torch.testing.assert_close(driven.module.get_buffer(name), values)


def test_weights_that_are_not_finite_any_more_show():
    driven = Driven()
    driven.average.begin_pass()
    driven.step_to([1.0, 2.0])
    with torch.no_grad():
        driven.module.weight[0] = torch.nan
    driven.average.end_pass()
    assert math.isnan(driven.weight[0])
    assert driven.weight[1] == 2.0


class Watch(Callback):
    """Record the weights before and after each step, and at the end of each epoch."""

    def __init__(self):
        self.steps, self.left, self.ends = [], [], []

    def read(self, net):
        return torch.cat([p.detach().reshape(-1) for p in net.module_.parameters()]).numpy()

    def on_batch_begin(self, net, training=False, **kwargs):
        if training:
            self.steps.append(self.read(net))

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.left.append(self.read(net))

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


class Longer(Watch):
    """Take batches twice as long from the second epoch on."""

    def on_epoch_begin(self, net, **kwargs):
        if net.history[:-1]:
            net.batch_size = 240


class OwnAverage(Watch):
    """Put weights of its own in place of those at an epoch's end, and put these back."""

    def on_epoch_end(self, net, **kwargs):
        super().on_epoch_end(net, **kwargs)
        with torch.no_grad():
            self.found = [p.clone() for p in net.module_.parameters()]
            for p in net.module_.parameters():
                p.zero_()

    def on_epoch_begin(self, net, **kwargs):
        if self.ends:
            with torch.no_grad():
                for p, found in zip(net.module_.parameters(), self.found, strict=True):
                    p.copy_(found)


@pytest.mark.parametrize("watch", [Watch(), Longer(), OwnAverage()], ids=lambda w: type(w).__name__)
def test_each_step_goes_on_from_the_one_before(curve, watch):
    AutoencoderTransformer(
        2, hidden_layer_sizes=(8,), max_epochs=3, batch_size=120, callbacks=[watch], random_state=0
    ).fit(curve)
    assert len(watch.steps) > 6
    for left, next_step in zip(watch.left, watch.steps[1:], strict=False):
        np.testing.assert_array_equal(left, next_step)
    assert all((end != watch.left[-1]).any() for end in watch.ends)


class Masked(nn.Module):
    """A layer with a constant that is infinite."""

    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.layer = nn.Linear(n_inputs, n_outputs)
        self.register_buffer("mask", torch.full((3, 3), -torch.inf).triu(1))

    def forward(self, rows):
        return self.layer(rows)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_infinite_constants_are_no_divergence(curve, early_stopping):
    ours = AutoencoderTransformer(
        2,
        architecture=lambda role, n_inputs, n_outputs: Masked(n_inputs, n_outputs),
        init="random",
        max_epochs=2,
        early_stopping=early_stopping,
        random_state=0,
    ).fit(curve)
    assert len(ours.loss_curve_) == 2
    masks = [values for name, values in ours.module_.named_buffers() if name.endswith("mask")]
    assert len(masks) == 2
    for mask in masks:
        torch.testing.assert_close(mask, torch.full((3, 3), -torch.inf).triu(1))


def test_without_held_out_rows_the_last_weights_are_returned(curve):
    watch = Watch()
    settings = {"hidden_layer_sizes": (8,), "batch_size": 200, "random_state": 0, "lr": 1e-2}
    AutoencoderTransformer(
        2, max_epochs=2, early_stopping=False, callbacks=[watch], **settings
    ).fit(curve)
    np.testing.assert_array_equal(watch.ends[0], watch.steps[3])


def test_statistics_of_layers_are_averaged_but_counts_are_not():
    module = nn.BatchNorm1d(2).train()
    net = SimpleNamespace(module_=module)
    average = WeightAverage()
    average.on_train_begin(net)
    average.begin_pass()
    means = []
    for number in range(2):
        module(torch.arange(8.0).reshape(4, 2) * (number + 1))
        means.append(module.running_mean.numpy().copy())
        average.on_batch_end(net, training=True)
    average.end_pass()
    np.testing.assert_allclose(module.running_mean, average_of(means), rtol=1e-5)
    average.begin_pass()
    np.testing.assert_allclose(module.running_mean, means[-1], rtol=1e-6)
    assert module.num_batches_tracked == 2

"""Muon for matrices, AdamW for the rest."""

import copy
import pickle

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from skae import AutoencoderTransformer
from skae._autoencoder import pretraining
from skae._training import run
from skae._training.muon import Muon, orthogonalize

SHAPES = [(3, 5), (5, 3), (4, 9), (1, 6)]


def make_matrices():
    rng = np.random.default_rng(0)
    return [torch.from_numpy(rng.normal(size=shape)).float() for shape in SHAPES]


def test_singular_vectors_stay_and_all_values_are_about_one():
    for matrix, result in zip(make_matrices(), orthogonalize(make_matrices()), strict=True):
        left, _, right = torch.linalg.svd(matrix.double(), full_matrices=False)
        rotated = left.T @ result.double() @ right.T
        values = rotated.diagonal()
        assert ((values > 0.5) & (values < 1.5)).all()
        torch.testing.assert_close(rotated, torch.diag(values), rtol=0, atol=1e-5)


def test_matrices_of_one_shape_have_the_results_that_each_has_alone():
    matrices = make_matrices()
    together = orthogonalize(matrices)
    for matrix, result in zip(matrices, together, strict=True):
        torch.testing.assert_close(orthogonalize([matrix])[0], result)


def test_a_matrix_without_a_gradient_stays():
    (result,) = orthogonalize([torch.zeros(3, 4)])
    assert not result.any()


def make_vector():
    return torch.nn.Parameter(torch.linspace(-1, 1, 20))


def make_muon(vector):
    group = {"params": [vector], "weight_decay": 0.0}
    return Muon([group], 0.01, [(2, torch.Size((2, 3))), (10, torch.Size((4, 2)))])


def step(optimizer, vector, seed):
    vector.grad = torch.from_numpy(np.random.default_rng(seed).normal(size=20)).float()
    optimizer.step()


def test_other_weights_step_as_under_adamw():
    ours, theirs = make_vector(), make_vector()
    muon, adamw = make_muon(ours), torch.optim.AdamW([theirs], 0.01, weight_decay=0.0)
    for seed in range(3):
        step(muon, ours, seed)
        step(adamw, theirs, seed)
    others = [*range(2), *range(8, 10), *range(18, 20)]
    torch.testing.assert_close(ours[others], theirs[others])
    assert not torch.isclose(ours, theirs)[2:8].any()


def test_the_size_of_a_step_does_not_depend_on_the_gradients():
    steps = []
    for scale in (1e-3, 1e3):
        vector = make_vector()
        muon = make_muon(vector)
        vector.grad = scale * torch.linspace(1, 2, 20).sin()
        muon.step()
        steps.append((vector.detach() - make_vector().detach())[2:8])
    torch.testing.assert_close(steps[0], steps[1], rtol=1e-3, atol=1e-5)
    assert 0 < steps[0].abs().max() < 0.01


def test_it_goes_on_from_its_state():
    ours, again = make_vector(), make_vector()
    muon = make_muon(ours)
    step(muon, ours, 0)
    with torch.no_grad():
        again.copy_(ours)
    other = make_muon(again)
    other.load_state_dict(copy.deepcopy(muon.state_dict()))
    for seed in (1, 2):
        step(muon, ours, seed)
        step(other, again, seed)
    assert torch.equal(ours, again)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["copy", "pickle"]
)
def test_copies_go_on_as_it_does(copied):
    ours = make_vector()
    muon = make_muon(ours)
    step(muon, ours, 0)
    other = copied(muon)
    (again,) = other.param_groups[0]["params"]
    assert again is not ours
    step(muon, ours, 1)
    step(other, again, 1)
    assert torch.equal(ours, again)


def test_a_step_without_gradients_is_skipped():
    vector = make_vector()
    muon = make_muon(vector)
    muon.step()
    assert torch.equal(vector, make_vector())
    step(muon, vector, 0)
    before = vector.detach().clone()
    muon.zero_grad()
    assert muon.step(lambda: 3.0) == 3.0
    assert torch.equal(vector, before)


def test_gradients_stay_for_others_to_read():
    vector = make_vector()
    muon = make_muon(vector)
    gradients = vector.grad = torch.linspace(1, 2, 20).sin()
    muon.step()
    assert vector.grad is gradients
    assert torch.equal(gradients, torch.linspace(1, 2, 20).sin())


class Note(Callback):
    """Note the optimizer of each training."""

    def on_train_begin(self, net, **kwargs):
        self.optimizer = net.optimizer_


@pytest.mark.parametrize(
    ("settings", "n_matrices"),
    [
        ({"batch_size": 600}, 4),
        ({"batch_size": 512}, 4),
        ({"batch_size": 511}, 0),
        ({"batch_size": 600, "optimizer": "adamw"}, 0),
        ({"batch_size": 600, "hidden_layer_sizes": (151, 8)}, 6),
        ({"batch_size": 600, "hidden_layer_sizes": (151, 151)}, 4),
    ],
)
def test_auto_takes_it_for_narrow_matrices_in_long_batches(settings, n_matrices):
    X = np.random.default_rng(0).normal(size=(700, 4))
    note = Note()
    settings = {"hidden_layer_sizes": (8,), "max_epochs": 1, "random_state": 0, **settings}
    AutoencoderTransformer(2, callbacks=[note], **settings).fit(X)
    assert len(getattr(note.optimizer, "matrices", [])) == n_matrices


class SkipFirst(Note):
    """Skip the first step, as a callback may that has found gradients of no use."""

    def on_grad_computed(self, net, **kwargs):
        self.n_steps = getattr(self, "n_steps", 0) + 1
        if self.n_steps == 1:
            net.optimizer_.zero_grad()

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.norms = [float(weight.grad.norm()) for weight in net.module_.decaying_weights()]


def test_callbacks_skip_steps_and_read_gradients_and_the_net_is_copied():
    X = np.random.default_rng(0).normal(size=(700, 4))
    skip = SkipFirst()
    settings = {"hidden_layer_sizes": (8,), "batch_size": 600, "max_epochs": 2, "random_state": 0}
    ours = AutoencoderTransformer(2, callbacks=[skip], init="random", **settings).fit(X)
    assert type(skip.optimizer) is Muon
    assert all(norm > 0 for norm in skip.norms)
    again = pickle.loads(pickle.dumps(ours.net_))
    assert again.optimizer_.matrices == ours.net_.optimizer_.matrices
    again.initialize_optimizer()
    assert type(again.optimizer_) is Muon


def test_a_stream_takes_adamw():
    X = np.random.default_rng(0).normal(size=(700, 4))
    stream = AutoencoderTransformer(2, hidden_layer_sizes=(8,), batch_size=700)
    assert type(stream.partial_fit(X).net_.optimizer_) is torch.optim.AdamW


def test_layers_are_pretrained_under_adamw(monkeypatch):
    nets = []

    def note(*args, **kwargs):
        nets.append(run(*args, **kwargs))
        return nets[-1]

    monkeypatch.setattr(pretraining, "run", note)
    X = np.random.default_rng(0).normal(size=(700, 4))
    AutoencoderTransformer(
        2, hidden_layer_sizes=(8,), batch_size=600, max_epochs=2, pretrain="layerwise"
    ).fit(X)
    assert {type(net.optimizer_) for net in nets} == {torch.optim.AdamW}


def test_two_fits_are_equal_to_the_last_bit():
    X = np.random.default_rng(0).normal(size=(700, 4)) ** 3
    settings = {"hidden_layer_sizes": (8,), "batch_size": 600, "max_epochs": 3, "random_state": 0}
    curves = [AutoencoderTransformer(2, **settings).fit(X).validation_scores_ for _ in range(2)]
    assert curves[0] == curves[1]
    assert curves[0][-1] != curves[0][0]

"""Gradients of a variational autoencoder without autograd: the same as autograd's."""

from functools import partial

import pytest
import torch
from torch import nn

from skae import VAETransformer
from skae._data import Batch
from skae._variational.fast_step import make_fast_step
from skae._variational.objective import VariationalObjective
from skae.modules import Bypass, MLPArchitecture, make_variational
from skae.modules.cells import CellLayout
from skae.modules.priors import FULL_UP_TO, MixturePrior

N_ROWS, N_FEATURES = 20, 7


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def make_module(prior="mixture", sizes=(6, 5), n_components=3, **parameters):
    """Return a module in double precision whose every weight has a part in the loss."""
    module = make_variational(
        N_FEATURES,
        n_components,
        partial(MLPArchitecture(sizes), generator=generator(1)),
        prior=prior,
        n_prior_components=5,
        generator=generator(2),
        **parameters,
    ).double()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith(("gate", "logit", "log_excess")) or "raw" in name:
                parameter.normal_(generator=generator(3)).mul_(0.5)
    if prior == "mixture":
        module.prior.n_used.fill_(3)
    return module.train()


def by_autograd(module, objective):
    def step(batch):
        loss = objective.loss(module, batch)
        loss.backward()
        return loss.detach()

    return step


def measure(make, module, objective, batch, left_over):
    """Return the loss and the gradients, zeros where there are none."""
    objective.generator = generator(4)
    for parameter in module.parameters():
        parameter.grad = None if left_over is None else torch.full_like(parameter, left_over)
    loss = make(module, objective)(batch)
    assert not loss.requires_grad
    return loss, {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        for name, parameter in module.named_parameters()
    }


def assert_same_as_autograd(module, objective=None, batch=None):
    objective = VariationalObjective(1.0, 0.0, True, None) if objective is None else objective
    if batch is None:
        X = torch.randn(N_ROWS, N_FEATURES, generator=generator(), dtype=torch.float64)
        batch = Batch(X)
    expected = measure(by_autograd, module, objective, batch, None)
    assert sum(bool(gradient.any()) for gradient in expected[1].values()) > 3
    for left_over in (None, 0.0):
        found = measure(make_fast_step, module, objective, batch, left_over)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("prior", ["mixture", "standard"])
@pytest.mark.parametrize("noise_per_column", [True, False])
@pytest.mark.parametrize("sizes", [(), (6,), (6, 5)])
def test_gradients_of_networks_noise_and_prior(prior, noise_per_column, sizes):
    assert_same_as_autograd(make_module(prior, sizes, noise_per_column=noise_per_column))


@pytest.mark.parametrize("prior", ["mixture", "standard"])
def test_gradients_without_a_linear_path(prior):
    assert_same_as_autograd(make_module(prior, linear_path=False))


def test_gradients_of_a_mixture_of_one():
    module = make_module()
    module.prior.n_used.fill_(1)
    assert_same_as_autograd(module)


def test_gradients_of_diagonal_gaussians():
    module = make_module(n_components=FULL_UP_TO + 1)
    assert not module.prior.is_full
    assert_same_as_autograd(module)


@pytest.mark.parametrize("prior", ["mixture", "standard"])
@pytest.mark.parametrize("beta", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("done", [0.0, 0.3, 1.0])
def test_gradients_while_the_divergence_warms_up(prior, beta, done):
    objective = VariationalObjective(beta, 0.6, True, None)
    objective.advance(done)
    assert_same_as_autograd(make_module(prior), objective)


@pytest.mark.parametrize("noise_per_column", [True, False])
@pytest.mark.parametrize("trim_fraction", [0.0, 0.23])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_of_observed_cells_and_of_weighted_and_trimmed_rows(
    noise_per_column, trim_fraction, weighted, masked
):
    X = torch.randn(N_ROWS, N_FEATURES, generator=generator(), dtype=torch.float64)
    weight = torch.rand(N_ROWS, generator=generator(5), dtype=torch.float64) if weighted else None
    mask = torch.rand(N_ROWS, N_FEATURES, generator=generator(6)) > 0.3 if masked else None
    objective = VariationalObjective(1.0, 0.0, True, None, trim_fraction=trim_fraction)
    module = make_module(noise_per_column=noise_per_column)
    assert_same_as_autograd(module, objective, Batch(X, mask=mask, weight=weight))


@pytest.mark.parametrize("binarize", [True, False])
def test_gradients_of_a_bernoulli_likelihood(binarize):
    X = torch.rand(N_ROWS, N_FEATURES, generator=generator(), dtype=torch.float64)
    objective = VariationalObjective(1.0, 0.0, False, None, binarize)
    assert_same_as_autograd(make_module(likelihood="bernoulli"), objective, Batch(X))


@pytest.mark.parametrize("masked", [False, True])
def test_gradients_of_a_table_with_categories(masked):
    layout = CellLayout(numbers=(0, 4, 5), booleans=(6,), categories=((1, 4),))
    X = torch.randn(N_ROWS, N_FEATURES, generator=generator(), dtype=torch.float64)
    X[:, 1:4] = torch.eye(3).double()[X[:, 1:4].argmax(1)]
    X[:, 6] = (X[:, 6] > 0).double()
    mask = torch.ones(N_ROWS, N_FEATURES, dtype=torch.bool)
    mask[:4, 0] = mask[2:7, 1:4] = False
    objective = VariationalObjective(1.0, 0.0, True, None, layout=layout)
    batch = Batch(X, mask=mask if masked else None)
    assert_same_as_autograd(make_module(layout=layout), objective, batch)


@pytest.mark.parametrize("part", ["prior.mean", "likelihood", "encoder.linear", "decoder.gate"])
def test_frozen_weights_get_no_gradients(part):
    module = make_module()
    objective = VariationalObjective(1.0, 0.0, True, None)
    batch = Batch(torch.randn(N_ROWS, N_FEATURES, generator=generator(), dtype=torch.float64))
    expected = measure(make_fast_step, module, objective, batch, None)[1]
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(not name.startswith(part))
    measure(make_fast_step, module, objective, batch, None)
    for name, parameter in module.named_parameters():
        if name.startswith(part):
            assert parameter.grad is None
        else:
            assert torch.equal(parameter.grad, expected[name])


def triple(module, inputs, output):
    return 3 * output


class Tripled(Bypass):
    def forward(self, input):
        return 3 * super().forward(input)


class Moved(MixturePrior):
    def components(self, posterior):
        found = super().components(posterior)
        return found._replace(mean=found.mean + 1)


def share_weight(module):
    """Let the decoder have one of the encoder's weights."""
    layer = module.decoder.nonlinear.layers[1]
    layer.weight = module.encoder.nonlinear.layers[1].weight


CHANGES = {
    "forward hook of the encoder": lambda m: m.encoder.register_forward_hook(triple),
    "forward hook of its linear path": lambda m: m.encoder.linear.register_forward_hook(triple),
    "forward hook of its network": lambda m: m.encoder.nonlinear.register_forward_hook(triple),
    "forward hook of the decoder": lambda m: m.decoder.register_forward_hook(triple),
    "subclass of the encoder": lambda m: setattr(m.encoder, "__class__", Tripled),
    "subclass of the prior": lambda m: setattr(m.prior, "__class__", Moved),
    "hook of the encoder's noise": lambda m: m.encoder.linear.raw_log_variance.register_hook(
        lambda gradient: 3 * gradient
    ),
    "hook of the prior's means": lambda m: m.prior.mean.register_hook(lambda slope: 3 * slope),
    "a weight in both networks": share_weight,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_module_is_trained_on_its_own_function(change):
    module = make_module(sizes=(6, 6))
    objective = VariationalObjective(1.0, 0.0, True, None)
    batch = Batch(torch.randn(N_ROWS, N_FEATURES, generator=generator(), dtype=torch.float64))
    before = measure(by_autograd, module, objective, batch, None)
    change(module)
    after = measure(by_autograd, module, objective, batch, None)
    with pytest.raises(AssertionError):  # so the change matters
        torch.testing.assert_close(before[1], {**before[1], **after[1]})
    assert make_fast_step(module, objective) is None


def sequential_architecture(role, n_inputs, n_outputs):
    return nn.Sequential(nn.Linear(n_inputs, 4), nn.ReLU(), nn.Linear(4, n_outputs))


@pytest.mark.parametrize(
    ("parameters", "is_fast"),
    [
        ({}, True),
        ({"prior": "standard", "noise_per_column": False}, True),
        ({"init": "random"}, True),
        ({"hidden_layer_sizes": ()}, True),
        ({"dropout": 0.1}, False),
        ({"prior": "vamp"}, False),
        ({"architecture": sequential_architecture}, False),
    ],
    ids=["default", "standard", "random", "linear", "dropout", "vamp", "own network"],
)
def test_perceptrons_have_a_fast_step(curve, parameters, is_fast):
    ours = VAETransformer(2, hidden_layer_sizes=(4,), max_epochs=1).set_params(**parameters)
    ours.fit(curve)
    step = make_fast_step(ours.module_.train(), ours.net_.criterion_)
    assert (step is not None) == is_fast


@pytest.mark.parametrize("init", ["pca", "random"])
def test_a_step_of_a_fit_is_the_same_as_by_autograd(init, curve, monkeypatch):
    """By plain gradient descent, in which weights differ by what gradients do."""
    ours = VAETransformer(2, hidden_layer_sizes=(16,), init=init, random_state=0)
    ours.set_params(optimizer=torch.optim.SGD, lr=1.0, batch_size=len(curve), max_epochs=1)
    ours.set_params(early_stopping=False)
    fast = ours.fit(curve).module_.state_dict()
    monkeypatch.setattr(VAETransformer, "_fast_step", None)
    slow = ours.fit(curve).module_.state_dict()
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-6)
    initial = ours.set_params(lr=1e-9).fit(curve).module_.state_dict()
    moved = [name for name in slow if (slow[name] - initial[name]).abs().max() > 1e-4]
    assert {name.split(".")[0] for name in moved} >= {"encoder", "decoder", "prior", "likelihood"}

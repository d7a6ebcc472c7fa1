"""Gradients written out: the same as autograd's."""

import copy

import pytest
import torch
from torch import nn

from skae._corruption import NOISES, Corruption
from skae._training import CodePenalty, DenoisingObjective, ReconstructionObjective
from skae._training._objective import Objective
from skae.modules import ACTIVATIONS, MLPArchitecture, make_row_denoiser, mlp_autoencoder
from skae.modules._explicit import SLOPES, explicit_autoencoder, explicit_path
from skae.modules._layers import fix_column_norms, make_linear

N_ROWS, N_FEATURES = 20, 7


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def rows(dtype=torch.float64):
    return torch.randn(N_ROWS, N_FEATURES, generator=generator(), dtype=dtype)


def opened(module):
    """A module with its gates open, in double precision."""
    for name, parameter in module.named_parameters():
        if name.endswith("gate"):
            nn.init.normal_(parameter, generator=generator(3))
    return module.double().train()


def autoencoder(**parameters):
    parameters = {"hidden_layer_sizes": (6, 5), "generator": generator(1), **parameters}
    return opened(mlp_autoencoder(N_FEATURES, 3, **parameters))


def gradients(descent, module, *batch, left_over=None):
    """Loss and gradients of a step, with gradients of that value left from another step."""
    for parameter in module.parameters():
        is_clear = left_over is None
        parameter.grad = None if is_clear else torch.full_like(parameter, left_over)
    loss = descent(*batch)
    return loss, [parameter.grad for parameter in module.parameters()]


def assert_same_as_autograd(objective, module, weight=None, seed=0):
    found = []
    for kind, left_over in ((Objective, None), (type(objective), None), (type(objective), 1.0)):
        objective.generator = generator(seed)
        descent = kind.descent(objective, module)
        found.append(gradients(descent, module, rows(), weight, left_over=left_over))
        assert not found[-1][0].requires_grad
        torch.testing.assert_close(found[-1], found[0], rtol=1e-10, atol=1e-12)


def uses_autograd(objective, module):
    return objective.descent(module).func == objective.descend


def test_there_is_a_slope_for_each_activation():
    assert set(SLOPES) == set(ACTIVATIONS.values())


@pytest.mark.parametrize("linear_path", [True, False])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_of_an_autoencoder(activation, linear_path):
    module = autoencoder(activation=activation, linear_path=linear_path)
    objective = ReconstructionObjective()
    assert not uses_autograd(objective, module)
    assert_same_as_autograd(objective, module)


@pytest.mark.parametrize("sizes", [(), (4,), (4, 5, 6)])
@pytest.mark.parametrize("trim_fraction", [0.0, 0.23])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_of_weighted_and_trimmed_rows(sizes, trim_fraction, weighted):
    weight = torch.rand(N_ROWS, generator=generator(5), dtype=torch.float64) if weighted else None
    objective = ReconstructionObjective(trim_fraction=trim_fraction)
    assert_same_as_autograd(objective, autoencoder(hidden_layer_sizes=sizes), weight)


def test_gradients_through_an_activation_of_the_code():
    module = autoencoder()
    module.code_activation = nn.Sigmoid()
    assert_same_as_autograd(ReconstructionObjective(), module)


def test_the_gradient_of_the_input():
    module = autoencoder()
    X = rows().requires_grad_()
    output = module(X)
    (expected,) = torch.autograd.grad(output.square().sum(), X)
    path = explicit_autoencoder(module)
    with torch.no_grad():
        found = path.backward(2 * path.forward(X), True)
    torch.testing.assert_close(found, expected)
    with torch.no_grad():
        path.forward(X)
        assert path.backward(output.detach(), False) is None


def own_layer(n_inputs, n_outputs):
    return make_linear(n_inputs, n_outputs, generator()).double()


def made_of_parts(change, **parameters):
    def make():
        module = autoencoder(**parameters)
        change(module)
        return module

    return make


@pytest.mark.parametrize(
    "make",
    [
        made_of_parts(lambda m: None, dropout=0.1),
        made_of_parts(lambda m: None, tied_weights=True),
        made_of_parts(lambda m: fix_column_norms(m.decoder.linear.layers[0])),
        made_of_parts(lambda m: setattr(m.encoder, "nonlinear", own_layer(N_FEATURES, 3))),
        made_of_parts(lambda m: setattr(m.decoder, "linear", own_layer(3, N_FEATURES))),
    ],
    ids=["dropout", "tied", "parametrized", "own network", "own line"],
)
def test_other_parts_are_left_to_autograd(make):
    module = make()
    objective = ReconstructionObjective()
    assert explicit_autoencoder(module) is None
    assert uses_autograd(objective, module)
    loss, _ = gradients(objective.descent(module), module, rows(), None)
    assert torch.isfinite(loss)


@pytest.mark.parametrize("part", ["encoder.gate", "encoder.nonlinear", "decoder.linear"])
def test_frozen_weights_get_no_gradients(part):
    module = autoencoder()
    descent = ReconstructionObjective().descent(module)
    _, expected = gradients(descent, module, rows(), None)
    frozen = [p for name, p in module.named_parameters() if name.startswith(part)]
    for parameter in frozen:
        parameter.requires_grad_(False)
    gradients(descent, module, rows(), None)
    for parameter, gradient in zip(module.parameters(), expected, strict=True):
        is_frozen = any(parameter is one for one in frozen)
        assert parameter.grad is None if is_frozen else torch.equal(parameter.grad, gradient)


@pytest.mark.parametrize("n_features", [5, 16, 40, 63, 64, 70])
@pytest.mark.parametrize("n_components", [2, 16])
def test_gradients_of_rows_of_any_length(n_features, n_components):
    module = opened(mlp_autoencoder(n_features, n_components, (80, 50), generator=generator(1)))
    X = torch.randn(100, n_features, generator=generator(), dtype=torch.float64)
    objective = ReconstructionObjective()
    expected = gradients(Objective.descent(objective, module), module, X, None)
    found = gradients(objective.descent(module), module, X, None)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_a_penalty_is_left_to_autograd():
    assert uses_autograd(ReconstructionObjective(CodePenalty("l1", 0.1)), autoencoder())


def test_what_is_not_a_perceptron_has_no_pass():
    assert explicit_autoencoder(own_layer(2, 2)) is None
    assert explicit_path(own_layer(2, 2)) is None
    empty = copy.deepcopy(autoencoder(hidden_layer_sizes=()).encoder)
    empty.linear = nn.Identity()
    assert explicit_path(empty) is None


def row_denoiser():
    architecture = MLPArchitecture((6, 5), generator=generator(1))
    module = make_row_denoiser(N_FEATURES, architecture, n_axes=4, is_told=True)
    module.levels.low.fill_(0.1)
    module.levels.high.fill_(3.0)
    module.filter.variances.copy_(torch.tensor([2.0, 1.5, 0.5, 0.1]))
    module.filter.remainder.fill_(0.05)
    return opened(module)


def denoising(noise="gaussian", low=0.1, trim_fraction=0.0):
    corruption = Corruption(NOISES[noise], low, 3.0)
    return DenoisingObjective(
        corruption, None, CodePenalty(), trim_fraction, noise == "gaussian" and low < 3.0, None
    )


@pytest.mark.parametrize("trim_fraction", [0.0, 0.23])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_of_a_denoiser(trim_fraction, weighted):
    weight = torch.rand(N_ROWS, generator=generator(5), dtype=torch.float64) if weighted else None
    objective = denoising(trim_fraction=trim_fraction)
    assert not uses_autograd(objective, row_denoiser())
    assert_same_as_autograd(objective, row_denoiser(), weight)


def test_other_noises_are_left_to_autograd():
    assert uses_autograd(denoising("masking"), row_denoiser())
    assert uses_autograd(denoising(low=3.0), row_denoiser())

"""Gradients without autograd: the same as autograd's."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

from skae._autoencoder.fast_step import make_fast_step
from skae._autoencoder.objective import ReconstructionObjective
from skae._autoencoder.penalties import NO_PENALTY, CodePenalty
from skae._data import Batch
from skae._denoising import fast_step as denoising_step
from skae._denoising.noise import NOISES, Corruption
from skae._denoising.objective import DenoisingObjective
from skae._training.fast_gradients import SLOPES, make_autoencoder_pass, make_pass
from skae.modules import (
    ACTIVATIONS,
    MLP,
    Autoencoder,
    Bypass,
    Denoiser,
    MLPArchitecture,
    make_row_denoiser,
    mlp_autoencoder,
)
from skae.modules.layers import fix_column_norms, make_linear

N_ROWS, N_FEATURES = 20, 7


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def rows(dtype=torch.float64):
    return torch.randn(N_ROWS, N_FEATURES, generator=generator(), dtype=dtype)


def open_gates(module):
    """Return the module with open gates, in double precision."""
    for name, parameter in module.named_parameters():
        if name.endswith("gate"):
            nn.init.normal_(parameter, generator=generator(3))
    return module.double().train()


def autoencoder(**parameters):
    parameters = {"hidden_layer_sizes": (6, 5), "generator": generator(1), **parameters}
    return open_gates(mlp_autoencoder(N_FEATURES, 3, **parameters))


def by_autograd(module, objective):
    def step(batch):
        loss = objective.loss(module, batch)
        loss.backward()
        return loss.detach()

    return step


def make_step(module, objective):
    """Return the fast step of the module's family, None if there is none."""
    make = denoising_step.make_fast_step if isinstance(module, Denoiser) else make_fast_step
    return make(module, objective)


def gradients(step, module, X, weight=None, left_over=None, mask=None):
    """Loss and gradients of a step, with gradients of that value left from another step."""
    for parameter in module.parameters():
        is_clear = left_over is None
        parameter.grad = None if is_clear else torch.full_like(parameter, left_over)
    loss = step(Batch(X, mask=mask, weight=weight))
    return loss, [parameter.grad for parameter in module.parameters()]


def assert_same_as_autograd(objective, module, weight=None, seed=0, mask=None):
    found = []
    for make, left_over in ((by_autograd, None), (make_step, None), (make_step, 1.0)):
        objective.generator = generator(seed)
        step = make(module, objective)
        found.append(gradients(step, module, rows(), weight, left_over, mask))
        assert not found[-1][0].requires_grad
        torch.testing.assert_close(found[-1], found[0], rtol=1e-10, atol=1e-12)


def test_there_is_a_slope_for_each_activation():
    assert set(SLOPES) == set(ACTIVATIONS.values())


@pytest.mark.parametrize("linear_path", [True, False])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_of_an_autoencoder(activation, linear_path):
    module = autoencoder(activation=activation, linear_path=linear_path)
    assert_same_as_autograd(ReconstructionObjective(), module)


@pytest.mark.parametrize("sizes", [(), (4,), (4, 5, 6)])
@pytest.mark.parametrize("trim_fraction", [0.0, 0.23])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_of_weighted_and_trimmed_rows(sizes, trim_fraction, weighted):
    weight = torch.rand(N_ROWS, generator=generator(5), dtype=torch.float64) if weighted else None
    objective = ReconstructionObjective(trim_fraction=trim_fraction)
    assert_same_as_autograd(objective, autoencoder(hidden_layer_sizes=sizes), weight)


@pytest.mark.parametrize("n_columns", [None, 3])
@pytest.mark.parametrize("trim_fraction", [0.0, 0.23])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_of_observed_cells(n_columns, trim_fraction, weighted):
    weight = torch.rand(N_ROWS, generator=generator(5), dtype=torch.float64) if weighted else None
    mask = torch.rand(N_ROWS, N_FEATURES, generator=generator(6)) > 0.3
    objective = ReconstructionObjective(trim_fraction=trim_fraction, n_columns=n_columns)
    assert_same_as_autograd(objective, autoencoder(), weight, mask=mask)


def test_gradients_of_nonlinear_paths_without_hidden_layers():
    halves = [
        Bypass(MLP(a, b, generator=generator(1)), MLP(a, b, generator=generator(2)), b)
        for a, b in ((N_FEATURES, 3), (3, N_FEATURES))
    ]
    assert_same_as_autograd(ReconstructionObjective(), open_gates(Autoencoder(*halves)))


def test_gradients_through_an_activation_of_the_code():
    module = autoencoder()
    module.code_activation = nn.Sigmoid()
    assert_same_as_autograd(ReconstructionObjective(), module)


def test_the_gradient_of_the_input():
    module = autoencoder()
    X = rows().requires_grad_()
    output = module(X)
    (expected,) = torch.autograd.grad(output.square().sum(), X)
    path = make_autoencoder_pass(module)
    with torch.no_grad():
        found = path.backward(2 * path.forward(X), True)
    torch.testing.assert_close(found, expected)
    with torch.no_grad():
        path.forward(X)
        assert path.backward(output.detach(), False) is None


def make_layer(n_inputs, n_outputs):
    return make_linear(n_inputs, n_outputs, generator()).double()


def change_parts(change, **parameters):
    def make():
        module = autoencoder(**parameters)
        change(module)
        return module

    return make


@pytest.mark.parametrize(
    "make",
    [
        change_parts(lambda m: None, dropout=0.1),
        change_parts(lambda m: None, tied_weights=True),
        change_parts(lambda m: fix_column_norms(m.decoder.linear.layers[0])),
        change_parts(lambda m: setattr(m.encoder, "nonlinear", make_layer(N_FEATURES, 3))),
        change_parts(lambda m: setattr(m.decoder, "linear", make_layer(3, N_FEATURES))),
    ],
    ids=["dropout", "tied", "parametrized", "another network", "another linear path"],
)
def test_other_parts_are_left_to_autograd(make):
    module = make()
    assert make_autoencoder_pass(module) is None
    assert make_step(module, ReconstructionObjective()) is None


class Tripled(MLP):
    def forward(self, input):
        return 3 * super().forward(input)


class Widened(Bypass):
    def forward(self, input):
        return 3 * super().forward(input)


def change_network(change):
    """Return a change of an autoencoder that changes the encoder's nonlinear path."""
    return lambda module: change(module.encoder.nonlinear)


def replace_activation(activation):
    return change_network(lambda mlp: setattr(mlp, "activation", activation))


def triple(module, inputs, output):
    return 3 * output


def override_forward(network):
    own = network.forward
    network.forward = lambda input: 3 * own(input)


def repeat_layer(network):
    again = make_layer(5, 5)
    layers = make_layer(N_FEATURES, 5), again, again, make_layer(5, 3)
    network.layers = nn.ModuleList(layers)


#: What a user can do to a network so that it isn't what its class says.
CHANGES = {
    "subclass": change_network(lambda mlp: setattr(mlp, "__class__", Tripled)),
    "subclass of a bypass": lambda m: setattr(m.decoder, "__class__", Widened),
    "own forward": change_network(override_forward),
    "forward hook": change_network(lambda mlp: mlp.register_forward_hook(triple)),
    "forward hook of a bypass": lambda m: m.decoder.register_forward_hook(triple),
    "forward hook of the linear path": lambda m: m.encoder.linear.register_forward_hook(triple),
    "forward hook of all": lambda m: m.register_forward_hook(triple),
    "forward hook of a layer": change_network(
        lambda mlp: mlp.layers[1].register_forward_hook(triple)
    ),
    "forward hook of an activation": change_network(
        lambda mlp: mlp.activation.register_forward_hook(triple)
    ),
    "forward hook of dropout": change_network(
        lambda mlp: mlp.dropout.register_forward_hook(triple)
    ),
    "pre-hook": change_network(
        lambda mlp: mlp.register_forward_pre_hook(lambda module, inputs: (3 * inputs[0],))
    ),
    "backward hook": change_network(
        lambda mlp: mlp.register_full_backward_pre_hook(lambda module, g: (3 * g[0],))
    ),
    "hook of a gradient": change_network(
        lambda mlp: mlp.layers[0].weight.register_hook(lambda gradient: 3 * gradient)
    ),
    "pre-hook of a layer": change_network(
        lambda mlp: mlp.layers[0].register_forward_pre_hook(lambda layer, inputs: (3 * inputs[0],))
    ),
    "parametrized": change_network(lambda mlp: fix_column_norms(mlp.layers[0])),
    "no bias": change_network(lambda mlp: mlp.layers[0].register_parameter("bias", None)),
    "another layer": change_network(
        lambda mlp: mlp.layers.insert(1, nn.LayerNorm(6, dtype=torch.float64))
    ),
    "a layer twice": change_network(repeat_layer),
    "dropout of another kind": change_network(
        lambda mlp: setattr(mlp, "dropout", nn.Hardtanh(-0.1, 0.1))
    ),
    "longer linear path": lambda m: setattr(
        m.encoder, "linear", MLP(N_FEATURES, 3, (4,), generator=generator()).double()
    ),
    "a network of both": lambda m: setattr(m.decoder, "nonlinear", share_network(m)),
    **{
        repr(activation): replace_activation(activation)
        for activation in (
            nn.ELU(3.0),
            nn.GELU("tanh"),
            nn.LeakyReLU(0.2),
            nn.SiLU(inplace=True),
            nn.Softplus(),
            nn.PReLU(dtype=torch.float64),
        )
    },
    "scaled code": lambda m: setattr(m, "code_activation", nn.ELU(3.0)),
}


def share_network(module):
    """Return a network for the decoder that has the encoder's weights in it."""
    network = MLP(3, N_FEATURES, (6, 5), generator=generator()).double()
    network.layers[1].weight = module.encoder.nonlinear.layers[1].weight
    return network


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_network_is_trained_on_its_own_function(change):
    module = autoencoder()
    change(module)
    path = make_autoencoder_pass(module)
    X = rows()
    expected = gradients(by_autograd(module, ReconstructionObjective()), module, X)
    step = by_autograd if path is None else make_step
    found = gradients(step(module, ReconstructionObjective()), module, X)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    assert path is None


@pytest.mark.parametrize("part", ["encoder.gate", "encoder.nonlinear", "decoder.linear"])
def test_frozen_weights_get_no_gradients(part):
    module = autoencoder()
    step = make_step(module, ReconstructionObjective())
    _, expected = gradients(step, module, rows())
    frozen = [p for name, p in module.named_parameters() if name.startswith(part)]
    for parameter in frozen:
        parameter.requires_grad_(False)
    gradients(step, module, rows())
    for parameter, gradient in zip(module.parameters(), expected, strict=True):
        is_frozen = any(parameter is one for one in frozen)
        assert parameter.grad is None if is_frozen else torch.equal(parameter.grad, gradient)


@pytest.mark.parametrize("n_features", [5, 16, 40, 63, 64, 70])
@pytest.mark.parametrize("n_components", [2, 16])
def test_gradients_of_rows_of_any_length(n_features, n_components):
    module = open_gates(mlp_autoencoder(n_features, n_components, (80, 50), generator=generator(1)))
    X = torch.randn(100, n_features, generator=generator(), dtype=torch.float64)
    objective = ReconstructionObjective()
    expected = gradients(by_autograd(module, objective), module, X)
    found = gradients(make_step(module, objective), module, X)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_a_penalty_is_left_to_autograd():
    assert make_step(autoencoder(), ReconstructionObjective(CodePenalty("l1", 0.1))) is None


def test_other_modules_have_no_pass():
    assert make_autoencoder_pass(make_layer(2, 2)) is None
    assert make_pass(make_layer(2, 2)) is None
    empty = copy.deepcopy(autoencoder(hidden_layer_sizes=()).encoder)
    empty.linear = nn.Identity()
    assert make_pass(empty) is None


def row_denoiser():
    architecture = partial(MLPArchitecture((6, 5)), generator=generator(1))
    module = make_row_denoiser(N_FEATURES, architecture, n_axes=4, noise_conditional=True)
    module.levels.low.fill_(0.1)
    module.levels.high.fill_(3.0)
    module.filter.variances.copy_(torch.tensor([2.0, 1.5, 0.5, 0.1]))
    module.filter.remainder.fill_(0.05)
    return open_gates(module)


def denoising(noise="gaussian", low=0.1, trim_fraction=0.0):
    corruption = Corruption(NOISES[noise], low, 3.0)
    return DenoisingObjective(
        corruption, None, NO_PENALTY, trim_fraction, noise == "gaussian" and low < 3.0, None
    )


@pytest.mark.parametrize("trim_fraction", [0.0, 0.23])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_of_a_denoiser(trim_fraction, weighted):
    weight = torch.rand(N_ROWS, generator=generator(5), dtype=torch.float64) if weighted else None
    assert_same_as_autograd(denoising(trim_fraction=trim_fraction), row_denoiser(), weight)


def test_other_noises_are_left_to_autograd():
    assert make_step(row_denoiser(), denoising("masking")) is None
    assert make_step(row_denoiser(), denoising(low=3.0)) is None

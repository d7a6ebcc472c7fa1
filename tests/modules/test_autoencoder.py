"""Autoencoders assembled from networks, in plain torch and skorch."""

from functools import partial

import numpy as np
import pytest
import torch
from skorch import NeuralNetRegressor
from torch import nn

from skae.modules import (
    MLP,
    Autoencoder,
    Dropout,
    MLPArchitecture,
    make_autoencoder,
    mlp_autoencoder,
    set_dropout_generator,
)
from skae.modules.layers import make_linear


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_every_dropout_of_a_module_gets_the_generator():
    network = nn.Sequential(nn.Sequential(nn.Dropout(0.4)), Dropout(0.2))
    set_dropout_generator(network, generator())
    first, second = network[0][0], network[1]
    assert isinstance(first, Dropout)
    assert first.p == 0.4
    assert first.generator is second.generator is not None


@pytest.mark.parametrize("linear_path", [True, False])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("sizes", [(), (6,), (8, 4)])
def test_autoencoder_shapes(linear_path, tied, sizes):
    ours = mlp_autoencoder(
        5, 2, sizes, linear_path=linear_path, tied_weights=tied, generator=generator()
    )
    X = torch.randn(7, 5, generator=generator())
    assert ours.encode(X).shape == (7, 2)
    assert ours(X).shape == (7, 5)
    torch.testing.assert_close(ours(X), ours.decode(ours.encode(X)))
    assert ours.has_linear_path is linear_path


def test_an_affine_path_beside_a_linear_one_is_left_out():
    ours = mlp_autoencoder(5, 2, (), generator=generator())
    assert ours.nonlinear_paths == (None, None)
    assert sum(p.numel() for p in ours.parameters()) == 2 * 10 + 7


def test_logistic_codes():
    ours = make_autoencoder(
        5,
        3,
        partial(MLPArchitecture((4,)), generator=generator()),
        code_activation="logistic",
        generator=generator(),
    )
    code = ours.encode(torch.randn(9, 5, generator=generator()))
    assert ((code > 0) & (code < 1)).all()


def test_plain_skorch(curve):
    X = curve.astype(np.float32)
    net = NeuralNetRegressor(
        mlp_autoencoder,
        module__n_features=6,
        module__n_components=2,
        module__hidden_layer_sizes=(16,),
        module__generator=generator(),
        max_epochs=20,
        lr=0.05,
        iterator_train__generator=generator(),
        train_split=None,
        verbose=0,
    ).fit(X, X)
    losses = net.history[:, "train_loss"]
    assert losses[-1] < 0.7 * losses[0]


def assemble(sizes=(4,), **parameters):
    architecture = partial(MLPArchitecture(sizes), generator=generator())
    return make_autoencoder(5, 3, architecture, generator=generator(), **parameters)


def test_codes_are_activated_once():
    linear = make_linear(5, 2, generator())
    plain, bounded = (
        Autoencoder(linear, make_linear(2, 5, generator()), name) for name in ("identity", "tanh")
    )
    X = torch.randn(9, 5, generator=generator())
    torch.testing.assert_close(bounded.encode(X), torch.tanh(linear(X)))
    torch.testing.assert_close(plain.encode(X), linear(X))
    assert torch.equal(
        Autoencoder(linear, make_linear(2, 5, generator())).encode(X), plain.encode(X)
    )


def test_paths_are_those_of_the_encoder_and_the_decoder():
    ours = assemble()
    assert ours.nonlinear_paths == (ours.encoder.nonlinear, ours.decoder.nonlinear)
    encoder, decoder = ours.linear_layers
    assert (encoder.weight.shape, decoder.weight.shape) == ((3, 5), (5, 3))
    mixed = Autoencoder(ours.encoder, make_linear(3, 5, generator()))
    assert not mixed.has_linear_path
    assert mixed.nonlinear_paths == (mixed.encoder, mixed.decoder)


def test_only_nonlinear_paths_decay():
    """Decay of the linear paths would shrink PCA."""
    ours = assemble((4, 6))
    expected = [layer.weight for path in ours.nonlinear_paths for layer in path.linear_layers]
    assert {id(p) for p in ours.decaying_weights()} == {id(p) for p in expected}
    plain = assemble((4,), linear_path=False)
    assert {id(p) for p in plain.decaying_weights()} == {
        id(layer.weight) for half in (plain.encoder, plain.decoder) for layer in half.linear_layers
    }


@pytest.mark.parametrize("tied", [True, False])
def test_conditions_are_inputs_of_the_nonlinear_encoder_alone(tied):
    ours = assemble(n_conditions=2, tied_weights=tied)
    assert ours.encoder.nonlinear(torch.zeros(1, 7)).shape == (1, 3)
    assert ours.encoder.linear(torch.zeros(1, 5)).shape == (1, 3)
    assert ours.decode(torch.zeros(1, 3)).shape == (1, 5)
    assert ours.decoder.nonlinear(torch.zeros(1, 3)).shape == (1, 5)


def test_tied_linear_paths_share_their_weight():
    ours = assemble(tied_weights=True)
    encoder, decoder = ours.linear_layers
    assert decoder.weight is encoder.weight
    nonlinear = ours.encoder.nonlinear.layers[0], ours.decoder.nonlinear.layers[1]
    assert nonlinear[0].weight is nonlinear[1].weight
    with pytest.raises(ValueError, match="needs an encoder that is an MLP, got Linear"):
        make_autoencoder(5, 3, lambda role, n, m: make_linear(n, m, generator()), tied_weights=True)


def test_a_fixed_code_scale_holds_all_that_reads_the_code():
    def lengths(module):
        layers = [module.linear_layers[1], module.nonlinear_paths[1].linear_layers[0]]
        return torch.cat([layer.weight.norm(dim=0) for layer in layers])

    def stretch(module):
        for parameter in module.decoder.parameters():
            parameter.data.mul_(3)
        return lengths(module)

    fixed, free = assemble(fixed_code_scale=True), assemble()
    before = lengths(fixed)
    torch.testing.assert_close(stretch(fixed), before)
    torch.testing.assert_close(stretch(free), 3 * before)
    tied = assemble(fixed_code_scale=True, tied_weights=True)
    before = lengths(tied)
    torch.testing.assert_close(tied.linear_layers[0].weight.norm(dim=1).shape, before[:3].shape)
    with torch.no_grad():
        tied.linear_layers[0].weight.mul_(3)  # its columns are the encoder's rows
    torch.testing.assert_close(lengths(tied)[:5], 3 * before[:5])


def test_parameters_reach_the_networks():
    ours = mlp_autoencoder(6, 2, (5, 4), "tanh", 0.3, generator=generator())
    again = mlp_autoencoder(6, 2, (5, 4), "tanh", 0.3, generator=generator())
    for one, same in zip(ours.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, same)
    for path, sizes in zip(ours.nonlinear_paths, ([5, 4, 2], [4, 5, 6]), strict=True):
        assert [layer.out_features for layer in path.layers] == sizes
        assert isinstance(path.activation, nn.Tanh)
        assert path.dropout.p == 0.3


def test_a_dropout_in_several_places_is_one_with_the_generator():
    dropout = nn.Dropout(0.5)
    network = nn.Sequential(dropout, nn.Sequential(dropout), dropout)
    source = generator()
    set_dropout_generator(network, source)
    found = [network[0], network[1][0], network[2]]
    assert all(type(one) is Dropout and one.generator is source for one in found)
    assert found[0] is found[1] is found[2]
    X, outputs = torch.ones(20, 5), []
    for seed in (1, 2):
        set_dropout_generator(network, generator())
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            outputs.append(network(X))
    assert torch.equal(*outputs)


def test_a_dropout_keeps_its_mode_and_its_hooks():
    network = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5))
    handle = network[0].register_forward_hook(lambda module, inputs, output: 3 * output)
    network[0].eval()
    set_dropout_generator(network, generator())
    assert [one.training for one in network] == [False, True]
    X = torch.ones(20, 5)
    assert torch.equal(network[0](X), 3 * X)
    handle.remove()
    assert torch.equal(network[0](X), X)


class Tripled(MLP):
    def forward(self, input):
        return 3 * super().forward(input)


class Squared(MLP):
    def forward(self, input):
        return super().forward(input).square()


def build(kind, n_inputs, n_outputs, generator=None):
    return kind(n_inputs, n_outputs, generator=generator or torch.Generator().manual_seed(0))


def test_an_affine_perceptron_is_dropped_beside_a_linear_path_and_no_other():
    make = partial(make_autoencoder, 5, 2, generator=generator())
    assert make(lambda role, *widths: build(MLP, *widths)).encoder.nonlinear is None
    other = make(lambda role, *widths: build(Squared, *widths)).encoder.nonlinear
    assert isinstance(other, Squared)


@pytest.mark.parametrize("make", [partial(build, Tripled), make_linear], ids=["subclass", "linear"])
def test_tied_weights_need_a_perceptron_whose_transpose_is_known(make):
    with pytest.raises(ValueError, match="tied_weights=True needs an encoder that is an MLP"):
        make_autoencoder(5, 2, lambda role, *widths: make(*widths, generator()), tied_weights=True)

"""The networks, in plain torch."""

import copy
import pickle

import numpy as np
import pytest
import torch
from skorch import NeuralNetRegressor
from torch import nn

from skae.modules import (
    ACTIVATIONS,
    MLP,
    Autoencoder,
    Bypass,
    Dropout,
    MLPArchitecture,
    TransposedMLP,
    make_autoencoder,
    mlp_autoencoder,
    set_dropout_generator,
)
from skae.modules.layers import fix_column_norms, make_linear, set_weight


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_weights_come_from_the_generator():
    a, b, c = (MLP(5, 3, (4,), generator=generator(seed)) for seed in (0, 0, 1))
    for one, same, other in zip(a.parameters(), b.parameters(), c.parameters(), strict=True):
        assert torch.equal(one, same)
        assert not torch.equal(one, other)


def test_weights_are_spread_as_torchs_are():
    layer = make_linear(400, 300, generator())
    assert layer.weight.abs().max() <= 1 / 20
    assert layer.weight.std().item() == pytest.approx(1 / 20 / np.sqrt(3), rel=0.02)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_mlp_is_layers_and_activations(activation):
    mlp = MLP(5, 3, (7, 6), activation, generator=generator()).eval()
    X = torch.randn(4, 5, generator=generator())
    first, second, last = mlp.layers
    expected = last(mlp.activation(second(mlp.activation(first(X)))))
    torch.testing.assert_close(mlp(X), expected)


def test_transposed_mlp_shares_weights_and_has_its_own_biases():
    mlp = MLP(5, 2, (7,), "tanh", generator=generator())
    back = TransposedMLP(mlp)
    Z = torch.randn(4, 2, generator=generator())
    hidden, last = mlp.layers
    torch.testing.assert_close(back(Z), torch.tanh(Z @ last.weight) @ hidden.weight)
    assert sum(p.numel() for p in back.parameters()) == 5 * 7 + 7 * 2 + 7 + 5
    whole = Autoencoder(mlp, back)
    assert len(list(whole.parameters())) == 4 + 2
    twin = copy.deepcopy(whole)
    assert twin.decoder.layers[0].weight is twin.encoder.layers[1].weight


def test_bypass_starts_closed_and_opens():
    path = Bypass(MLP(4, 3, generator=generator()), MLP(4, 3, (8,), generator=generator(1)), 3)
    X = torch.randn(10, 4, generator=generator())
    torch.testing.assert_close(path(X), path.linear(X))
    path(X).square().sum().backward()
    assert path.gate.grad.abs().min() > 0
    with torch.no_grad():
        path.gate.fill_(2.0)
    torch.testing.assert_close(path(X), path.linear(X) + 2 * path.nonlinear(X))


def test_dropout_draws_from_its_own_generator():
    ones = torch.ones(1000, 10)
    a, b = Dropout(0.3, generator()), Dropout(0.3, generator())
    out = a(ones)
    assert torch.equal(out, b(ones))
    assert not torch.equal(out, a(ones))
    assert out.mean().item() == pytest.approx(1, abs=0.02)
    assert set(out.unique().tolist()) == {0.0, torch.tensor(1 / 0.7).item()}
    assert torch.equal(a.eval()(ones), ones)
    assert pickle.loads(pickle.dumps(a)).generator is None
    assert repr(a) == "Dropout(p=0.3)"


def test_own_dropout_reaches_a_users_modules():
    network = nn.Sequential(nn.Sequential(nn.Dropout(0.5)), Dropout(0.2))
    set_dropout_generator(network, generator())
    first, second = network[0][0], network[1]
    assert isinstance(first, Dropout)
    assert first.p == 0.5
    assert first.generator is second.generator is not None


def test_fixed_columns_turn_but_do_not_stretch():
    layer = make_linear(3, 5, generator())
    lengths = layer.weight.norm(dim=0).detach()
    fix_column_norms(layer)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    X = torch.randn(20, 3, generator=generator())
    before = layer.weight.detach().clone()
    for _ in range(5):
        optimizer.zero_grad()
        layer(X).square().sum().backward()
        optimizer.step()
    torch.testing.assert_close(layer.weight.norm(dim=0), lengths)
    assert (layer.weight - before).abs().max() > 0.01
    with torch.no_grad():
        set_weight(layer, 3 * before)
    torch.testing.assert_close(layer.weight, 3 * before)


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
        MLPArchitecture((4,), generator=generator()),
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

"""Multilayer perceptrons and their transposes."""

import copy

import pytest
import torch

from skae.modules import ACTIVATIONS, MLP, Autoencoder, TransposedMLP


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_weights_come_from_the_generator():
    a, b, c = (MLP(5, 3, (4,), generator=generator(seed)) for seed in (0, 0, 1))
    for one, same, other in zip(a.parameters(), b.parameters(), c.parameters(), strict=True):
        assert torch.equal(one, same)
        assert not torch.equal(one, other)


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


def test_a_transposed_mlp_of_three_layers():
    mlp = MLP(5, 2, (7, 4), "relu", generator=generator())
    first, second, last = mlp.layers
    Z = torch.randn(4, 2, generator=generator())
    back = TransposedMLP(mlp)
    expected = torch.relu(torch.relu(Z @ last.weight) @ second.weight) @ first.weight
    torch.testing.assert_close(back(Z), expected)
    for layer, value in zip(back.layers, (1.0, 2.0, 3.0), strict=True):
        assert torch.equal(layer.bias, torch.zeros_like(layer.bias))
        torch.nn.init.constant_(layer.bias, value)
    expected = torch.relu(torch.relu(Z @ last.weight + 1) @ second.weight + 2) @ first.weight + 3
    torch.testing.assert_close(back(Z), expected)
    torch.testing.assert_close(
        TransposedMLP(mlp, 3).layers[-1](torch.zeros(1, 7)), torch.zeros(1, 3)
    )


def test_a_transposed_mlp_may_leave_the_last_inputs_out():
    """Those that say how much noise there is, for example."""
    mlp = MLP(5, 2, (7,), generator=generator())
    Z = torch.randn(4, 2, generator=generator())
    torch.testing.assert_close(TransposedMLP(mlp, 3)(Z), TransposedMLP(mlp)(Z)[:, :3])


def test_dropout_acts_on_hidden_units_while_training():
    """With rate 1/2, a unit is zero or doubled."""
    mlp = MLP(8, 8, (8,), "identity", dropout=0.5, generator=generator())
    back = TransposedMLP(mlp)
    for layer in mlp.layers:
        torch.nn.init.eye_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    ones = torch.ones(50, 8)
    for network in (mlp, back):
        mlp.dropout.generator = generator(3)
        first = network(ones)
        assert set(first.unique().tolist()) == {0.0, 2.0}
        mlp.dropout.generator = generator(3)
        assert torch.equal(network(ones), first)
        assert torch.equal(network.eval()(ones), ones)
        network.train()


def test_dropout_draws_from_the_generator_of_the_weights():
    first, second = (MLP(4, 4, (4,), dropout=0.5, generator=generator()) for _ in range(2))
    X = torch.ones(20, 4)
    assert torch.equal(first(X), second(X))

"""Networks in float32 for rows of any precision."""

import pytest
import torch

from skae.modules import MLP
from skae.modules.jacobian import decoder_jacobian
from skae.modules.layers import fix_column_norms
from skae.modules.single_precision import SinglePrecision


@pytest.fixture(scope="module")
def network():
    return MLP(5, 3, (192, 192), generator=torch.Generator().manual_seed(0))


def draw(n_rows, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n_rows, 5, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("n_rows", [1, 191, 192, 193, 1000])
def test_outputs_are_the_networks(network, n_rows):
    rows = draw(n_rows)
    found = SinglePrecision(network)(rows)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, network(rows.float()).double(), atol=1e-5, rtol=1e-5)


def make(n_outputs=3, sizes=(), activation="silu"):
    return MLP(5, n_outputs, sizes, activation, generator=torch.Generator().manual_seed(0))


def make_parametrized():
    network = make(sizes=(8,))
    fix_column_norms(network.layers[1])
    return network


class Squared(MLP):
    def forward(self, input):
        return super().forward(input).square()


def make_changed(change):
    network = make(sizes=(8,))
    change(network)
    return network


def triple(module, inputs, output):
    return 3 * output


def square(module, inputs):
    return (inputs[0].square(),)


@pytest.mark.parametrize(
    "network",
    [
        make(),
        make_changed(lambda mlp: mlp.register_forward_hook(triple)),
        make_changed(lambda mlp: mlp.layers[0].register_forward_hook(triple)),
        make_changed(lambda mlp: mlp.activation.register_forward_hook(triple)),
        make_changed(lambda mlp: mlp.layers[0].register_forward_pre_hook(square)),
        make_changed(lambda mlp: mlp.layers.insert(1, torch.nn.LayerNorm(8))),
        make_changed(lambda mlp: mlp.layers[1].register_parameter("bias", None)),
        make_changed(lambda mlp: setattr(mlp, "dropout", torch.nn.Hardtanh())),
        make_changed(lambda mlp: setattr(mlp, "activation", torch.nn.ELU(3.0))),
        Squared(5, 3, generator=torch.Generator().manual_seed(0)),
        make(32, (7,), "relu"),
        make_parametrized(),
        torch.nn.Sequential(make(), torch.nn.Tanh()),
    ],
)
def test_so_are_those_of_other_networks(network):
    rows = draw(200)
    found = SinglePrecision(network)(rows)
    expected = network(rows.float()).double()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_rows_may_be_sequences(network):
    rows = draw(400).view(200, 2, 5)
    found = SinglePrecision(network)(rows)
    torch.testing.assert_close(found, network(rows.float()).double(), atol=1e-5, rtol=1e-5)


def test_a_row_has_the_same_bits_alone_and_among_others(network):
    rows, single = draw(1000), SinglePrecision(network)
    whole = single(rows)
    for first, last in ((0, 1), (7, 8), (500, 501), (999, 1000), (3, 700), (390, 400)):
        assert torch.equal(single(rows[first:last]), whole[first:last])


def test_derivatives_are_the_networks(network):
    codes = draw(50)
    expected = decoder_jacobian(network, codes.float(), 3).double()
    found = decoder_jacobian(SinglePrecision(network), codes, 3)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [1e30, 1e150])
def test_rows_beyond_single_precision_have_finite_outputs(network, size):
    found = SinglePrecision(network)(size * draw(2))
    assert torch.isfinite(found).all()

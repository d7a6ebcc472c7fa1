"""Jacobians against torch's."""

import pytest
import torch
from torch import nn

from skae.modules import MLP, Autoencoder, mlp_autoencoder
from skae.modules.jacobian import decode_with_jacobian, decoder_jacobian, push_tangents
from skae.modules.layers import ACTIVATIONS
from skae.modules.single_precision import SinglePrecision


@pytest.mark.parametrize(("n_components", "n_features"), [(2, 5), (5, 2)])
def test_jacobians_of_all_rows(n_components, n_features):
    generator = torch.Generator().manual_seed(0)
    decode = MLP(n_components, n_features, (7,), "silu", generator=generator).double()
    codes = torch.randn(6, n_components, dtype=torch.float64, generator=generator)
    with torch.no_grad():
        found = decoder_jacobian(decode, codes, n_features)
    for code, jacobian in zip(codes, found, strict=True):
        expected = torch.autograd.functional.jacobian(lambda one: decode(one[None])[0], code)
        torch.testing.assert_close(jacobian, expected)


def make_mixed(sizes=(24, 16), activation="silu", kind=Autoencoder, **settings):
    generator = torch.Generator().manual_seed(0)
    module = mlp_autoencoder(5, 3, sizes, activation, generator=generator, **settings).double()
    decoder = module.decoder
    if getattr(decoder, "nonlinear", None) is not None:
        decoder.gate.data.uniform_(-1, 1, generator=generator)
        decoder.nonlinear = SinglePrecision(decoder.nonlinear.float())
    module.__class__ = kind
    return module


def draw_codes(n_rows):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n_rows, 3, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("sizes", [(24,), (24, 16, 8)])
def test_pushed_tangents_are_those_of_backward_passes(activation, sizes):
    module, codes = make_mixed(sizes, activation), draw_codes(150)
    with torch.no_grad():
        rows, jacobian = push_tangents(module, codes)
        expected = decode_with_jacobian(module.decode, codes, 5)
    torch.testing.assert_close(rows, expected[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(jacobian, expected[1], rtol=1e-5, atol=1e-6)


def test_pushed_tangents_have_the_same_bits_alone_and_among_others():
    module, codes = make_mixed(), draw_codes(300)
    with torch.no_grad():
        rows, jacobian = push_tangents(module, codes)
        for own in (slice(0, 1), slice(70, 71), slice(3, 280)):
            again = push_tangents(module, codes[own])
            for found, whole in zip(again, (rows, jacobian), strict=True):
                assert torch.equal(found, whole[own])


class Doubled(Autoencoder):
    def decode(self, code):
        return 2 * super().decode(code)


def make_hooked(name):
    module = make_mixed()
    part = module.get_submodule(name)
    part.register_forward_hook(lambda part, inputs, output: output.square())
    return module


def make_with_slope():
    module = make_mixed()
    network = module.decoder.nonlinear.network
    network.activation = nn.ELU(3.0)
    module.decoder.nonlinear = SinglePrecision(network)
    return module


@pytest.mark.parametrize(
    "module",
    [
        make_mixed(kind=Doubled),
        make_hooked("decoder"),
        make_hooked("decoder.linear"),
        make_with_slope(),
        make_mixed(sizes=()),
        make_mixed(linear_path=False),
        make_mixed(tied_weights=True),
        mlp_autoencoder(5, 3, (24,)).double(),
    ],
)
def test_other_decoders_need_backward_passes(module):
    with torch.no_grad():
        assert push_tangents(module, draw_codes(2)) is None

"""Recurrent architectures."""

import math

import numpy as np
import pytest
import torch

from skae import AutoencoderTransformer
from skae._environment import seed_default_generator
from skae.modules import RecurrentArchitecture
from skae.modules.architectures import check_network
from skae.modules.jacobian import decoder_jacobian


def build(architecture, role, n_inputs, n_outputs):
    with seed_default_generator(0):
        return architecture(role, n_inputs, n_outputs)


def draw(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("shape", [(9,), (9, 2), (1, 3)])
def test_every_role_has_the_widths_that_are_asked_for(cell, shape):
    architecture, n = RecurrentArchitecture(cell, 4, shape), math.prod(shape)
    for role, n_inputs, n_outputs in [
        ("encoder", n, 5),
        ("encoder", n + 1, 5),
        ("decoder", 5, n),
        ("denoiser", n, n),
        ("denoiser", n + 1, n),
    ]:
        module = build(architecture, role, n_inputs, n_outputs)
        assert check_network(module, role, n_inputs, n_outputs) is module
        output = module(draw(4, n_inputs))
        assert output.shape == (4, n_outputs)
        output.square().sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


def test_the_encoder_reads_to_the_end_and_the_decoder_writes_in_order():
    architecture = RecurrentArchitecture(hidden_size=4, shape=(9, 2))
    rows = draw(1, 18).requires_grad_()
    build(architecture, "encoder", 18, 1)(rows).backward()
    assert (rows.grad.reshape(9, 2) != 0).all()
    decoder = build(architecture, "decoder", 2, 18)
    steps = decoder(draw(1, 2)).reshape(9, 2)
    with torch.no_grad():
        decoder.waves[5:] += 1.0
    later = decoder(draw(1, 2)).reshape(9, 2)
    assert torch.equal(steps[:5], later[:5])
    assert not torch.isclose(steps[5:], later[5:]).any()


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_decoder_has_second_derivatives(cell):
    decoder = build(RecurrentArchitecture(cell, 4, (6,)), "decoder", 2, 6).double().eval()
    code = draw(3, 2).double()
    jacobian = decoder_jacobian(decoder, code, 6)
    step = 1e-6 * torch.eye(2, dtype=torch.float64)
    with torch.no_grad():
        slopes = [(decoder(code + d) - decoder(code - d)) / 2e-6 for d in step]
    assert torch.allclose(jacobian, torch.stack(slopes, dim=2), atol=1e-7)


WRONG = {"cell": ["rnn", None], "hidden_size": [0, 2.5, "8"], "shape": [(), (1, 2, 3), (0,)]}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in WRONG.items() for v in vs])
def test_wrong_parameters_are_named(name, value):
    architecture = RecurrentArchitecture(**{"shape": (8,), name: value})
    with pytest.raises(ValueError, match=f"{name} must be .*, got "):
        architecture("encoder", 8, 2)
    with pytest.raises(ValueError, match=f"{name} must be .*, got "):
        architecture.fit_shape(None, 8)


def test_sines_are_reconstructed_and_not_their_mean():
    rng = np.random.default_rng(0)
    frequency, phase = rng.uniform(1, 2, 300), rng.uniform(0, 2 * np.pi, 300)
    angle = 2 * np.pi * frequency[:, None] * np.linspace(0, 1, 12) + phase[:, None]
    sines = np.sin(angle)[:, :, None]
    recurrent = AutoencoderTransformer(
        3,
        architecture=RecurrentArchitecture(hidden_size=16),
        init="random",
        max_epochs=60,
        lr=0.02,
        early_stopping=False,
        random_state=0,
    ).fit(sines[:200])
    rebuilt = recurrent.reconstruct(sines[200:])
    assert ((rebuilt - sines[200:]) ** 2).mean() < 0.4 * sines.var()  # 0.28

"""Denoising modules, with filters that are known."""

import math
from functools import partial

import pytest
import torch

from skae.modules import MLP, MLPArchitecture, NoiseLevels, make_code_denoiser, make_row_denoiser

LOW, HIGH = 0.1, 2.5


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def prepare(module, open_gates=True):
    """Give a denoiser levels, a filter, and gates that are open."""
    module.levels.low.fill_(LOW)
    module.levels.high.fill_(HIGH)
    if len(module.filter.axes):
        module.filter.variances.copy_(torch.linspace(3, 0.5, len(module.filter.axes)))
        module.filter.remainder.fill_(0.2)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith("gate"):
                parameter.fill_(0.7 if open_gates else 0.0)
    return module


def code_denoiser(sizes=(6,), n_axes=4, noise_conditional=True, **parameters):
    architecture = partial(MLPArchitecture(sizes), generator=generator())
    return prepare(
        make_code_denoiser(
            4,
            2,
            architecture,
            n_axes=n_axes,
            noise_conditional=noise_conditional,
            generator=generator(),
            **parameters,
        )
    )


def row_denoiser(sizes=(6,), n_axes=4, noise_conditional=True, **parameters):
    architecture = partial(MLPArchitecture(sizes), generator=generator())
    return prepare(
        make_row_denoiser(
            4,
            architecture,
            n_axes=n_axes,
            noise_conditional=noise_conditional,
            generator=generator(),
            **parameters,
        )
    )


@pytest.fixture
def rows():
    return torch.randn(5, 4, generator=generator())


@pytest.fixture
def level():
    return torch.tensor([[0.1], [0.5], [0.5], [1.0], [2.5]])


def test_levels_are_in_equal_ratios(rows):
    levels = NoiseLevels(noise_conditional=True)
    levels.low.fill_(LOW)
    levels.high.fill_(HIGH)
    torch.testing.assert_close(levels.grid(3), torch.tensor([0.1, 0.5, 2.5]))
    assert torch.equal(levels.expand(rows, None), torch.full((5, 1), LOW))
    assert levels.expand(rows.double(), torch.tensor(0.5)).dtype == torch.float64
    # Rows have unit scale, and positions are -1 at the lowest level and 1 at the highest.
    for level, position in ((0.1, -1.0), (0.5, 0.0), (2.5, 1.0)):
        found = levels.condition(rows, torch.full((5, 1), level))
        torch.testing.assert_close(found[:, :4], rows / math.sqrt(1 + level**2))
        torch.testing.assert_close(found[:, 4], torch.full((5,), position))
    plain = NoiseLevels(noise_conditional=False)
    assert plain.condition(rows, torch.ones(5, 1)).shape == (5, 4)


def test_a_code_denoisers_linear_codes_shrink_with_the_noise(rows, level):
    module = code_denoiser()
    module.precisions.copy_(torch.tensor([0.5, 4.0]))
    encoder = module.autoencoder.encoder
    shrunk = encoder.linear(rows) / (1 + level**2 * module.precisions)
    nonlinear = encoder.nonlinear(module.levels.condition(rows, level))
    torch.testing.assert_close(module.encode(rows, level), shrunk + 0.7 * nonlinear)
    torch.testing.assert_close(module.encode(rows), module.encode(rows, torch.full((5, 1), LOW)))
    torch.testing.assert_close(
        module.denoise(rows, level), module.decode(module.encode(rows, level))
    )


@pytest.mark.parametrize("linear_path", [True, False])
def test_codes_are_activated(linear_path, rows, level):
    plain = code_denoiser(linear_path=linear_path)
    bounded = code_denoiser(linear_path=linear_path, code_activation="tanh")
    torch.testing.assert_close(bounded.encode(rows, level), plain.encode(rows, level).tanh())


def test_the_posterior_mean_of_a_code_denoiser_filters_what_the_code_loses(rows, level):
    module = code_denoiser()
    kept = module.denoise(rows, level)
    expected = kept + module.residual_filter(rows - kept, level)
    torch.testing.assert_close(module.posterior_mean(rows, level), expected)
    assert not torch.allclose(expected, kept)


def test_a_row_denoiser_corrects_the_filter_in_units_of_its_error(rows, level):
    module = row_denoiser()
    unit = (module.filter.expected_error(level) / 4).sqrt()
    nonlinear = module.path.nonlinear(module.levels.condition(rows, level))
    expected = module.filter(rows, level) + 0.7 * unit * nonlinear
    torch.testing.assert_close(module.encode(rows, level), expected)
    torch.testing.assert_close(module.posterior_mean(rows, level), expected)


@pytest.mark.parametrize("make", [row_denoiser, code_denoiser])
@pytest.mark.parametrize("linear_path", [True, False])
def test_steps_are_the_difference_from_the_filter(make, linear_path, rows):
    module, levels = make(linear_path=linear_path), torch.tensor([[0.1], [2.5]])
    noise = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1))
    shape = (2, 5, 3, 4)
    noisy = (rows.unsqueeze(1) + noise.unsqueeze(1)).reshape(30, 4)
    column = levels.repeat_interleave(15, dim=0)
    filtered = module.filter(noisy, column)
    expected = (module.posterior_mean(noisy, column) - filtered).view(shape)
    errors = rows.unsqueeze(1) - filtered.view(shape)
    found = module.find_steps(rows, noise, levels, errors)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert found.abs().max() > 0.1


def test_without_a_network_there_are_no_steps(rows):
    module = row_denoiser(sizes=())
    noise, levels = torch.ones(2, 3, 4), torch.tensor([[0.1], [2.5]])
    found = module.find_steps(rows, noise, levels, torch.ones(2, 5, 3, 4))
    assert torch.equal(found, torch.zeros(2, 5, 3, 4))


@pytest.mark.parametrize("noise_conditional", [True, False])
def test_inputs_of_common_draws_are_those_of_their_rows(noise_conditional, rows):
    module, levels = row_denoiser(noise_conditional=noise_conditional), torch.tensor([[0.1], [2.5]])
    noise = torch.randn(2, 3, 4, generator=generator(1))
    noisy = (rows.unsqueeze(1) + noise.unsqueeze(1)).reshape(30, 4)
    expected = module.levels.condition(noisy, levels.repeat_interleave(15, dim=0))
    found = module.levels.condition_draws(rows, noise, levels)
    assert found.shape[:3] == (2, 5, 3)
    torch.testing.assert_close(found.flatten(0, 2), expected)


def test_of_other_noise_the_linear_path_is_trained(rows, level):
    module = row_denoiser(is_gaussian=False, n_axes=0)
    nonlinear = module.path.nonlinear(module.levels.condition(rows, level))
    expected = module.path.linear(rows) + 0.7 * nonlinear
    torch.testing.assert_close(module.denoise(rows, level), expected)
    assert module.linear_weights is module.path.linear.layers[0].weight
    plain = row_denoiser(linear_path=False)
    torch.testing.assert_close(
        plain.denoise(rows, level), plain.path(plain.levels.condition(rows, level))
    )
    assert plain.linear_weights is None


def test_linear_weights_and_networks():
    module = row_denoiser()
    assert module.linear_weights is module.filter.axes
    assert module.networks == [module.path.nonlinear]
    assert row_denoiser(()).networks == []  # an affine path adds nothing to a linear one
    plain = row_denoiser(linear_path=False)
    assert plain.networks == [plain.path]
    module = code_denoiser()
    assert module.linear_weights is module.autoencoder.encoder.linear.layers[0].weight
    assert module.networks == [
        module.autoencoder.encoder.nonlinear,
        module.autoencoder.decoder.nonlinear,
    ]
    assert code_denoiser(()).networks == []
    assert code_denoiser(linear_path=False).linear_weights is None


@pytest.mark.parametrize("make", [code_denoiser, row_denoiser])
def test_the_level_of_rows(make):
    module = make(n_axes=4)
    rows = torch.randn(200, 4, generator=generator()) * 3
    assert torch.equal(module.choose_level(rows, 0.3), torch.full((200, 1), 0.3))
    grid = module.levels.grid(32)
    expected = module.filter.find_likeliest_level(rows, grid)
    assert torch.equal(module.choose_level(rows, None), expected)
    module.is_gaussian = False  # nothing is known of the level: the middle one
    torch.testing.assert_close(module.choose_level(rows, None), torch.full((200, 1), 0.5))
    single = make(noise_conditional=False)
    assert single.choose_level(rows, None) is None
    assert single.choose_level(rows, 0.3) is None


def test_loss_weights(level):
    """With a code, all levels weigh alike; without one, losses are nats (Kong et al. 2023)."""
    module = code_denoiser()
    error = module.filter.expected_error(level, 2)
    torch.testing.assert_close(module.loss_weight(level) * error, torch.full((5, 1), 4.0))
    found = row_denoiser().loss_weight(level)
    torch.testing.assert_close(found, 0.5 * math.log(HIGH / LOW) / level**2)


@pytest.mark.parametrize("make", [code_denoiser, row_denoiser])
def test_the_level_is_an_input_only_if_there_are_several(make, rows):
    module = make(noise_conditional=False)
    first = module.denoise(rows, torch.full((5, 1), LOW))
    assert torch.equal(module.denoise(rows), first)
    weights = [network.layers[0].in_features for network in module.networks]
    assert weights[0] == 4
    assert make().networks[0].layers[0].in_features == 5


def test_compiling_reaches_the_nonlinear_paths():
    compiled = []

    class Recorder(MLP):
        def compile(self, **kwargs):
            compiled.append((self, kwargs))

    def architecture(role, n_inputs, n_outputs):
        return Recorder(n_inputs, n_outputs, (6,), generator=generator())

    parameters = {"n_axes": 4, "noise_conditional": True, "generator": generator()}
    for module in (
        make_code_denoiser(4, 2, architecture, **parameters),
        make_row_denoiser(4, architecture, **parameters),
    ):
        compiled.clear()
        module.compile(dynamic=True)
        assert compiled == [(network, {"dynamic": True}) for network in module.networks]

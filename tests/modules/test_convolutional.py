"""Convolutional architectures."""

import math
from itertools import product

import pytest
import torch

from skae._environment import seed_default_generator
from skae.modules import ConvolutionalArchitecture, TemporalConvolutionArchitecture
from skae.modules.architectures import check_network
from skae.modules.layers import BatchNormalization

SHAPES = {
    "even": (8, 8),
    "odd": (7, 5),
    "one cell": (1, 1),
    "channels last": (6, 5, 2),
    "channels first": (2, 6, 5),
    "sequence": (9,),
    "sequence of features": (9, 2),
}
POOLINGS = ("stride", "max", "average")
UPSAMPLINGS = ("transposed", "nearest", "bed_of_nails")


def is_sequence(name):
    return name.startswith("sequence")


def make(shape_name="even", **options):
    kind = TemporalConvolutionArchitecture if is_sequence(shape_name) else ConvolutionalArchitecture
    return kind(**{"channels": (3, 4), "dense": (6,), "shape": SHAPES[shape_name], **options})


def build(architecture, role, n_inputs, n_outputs, seed=0):
    with seed_default_generator(seed):
        return architecture(role, n_inputs, n_outputs)


def draw(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(("pooling", "upsampling"), [*product(POOLINGS, UPSAMPLINGS)])
def test_every_role_has_the_widths_that_are_asked_for(name, pooling, upsampling):
    architecture = make(name, pooling=pooling, upsampling=upsampling)
    n = math.prod(SHAPES[name])
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


def test_each_stage_halves_the_resolution_and_the_decoder_mirrors_it():
    architecture = ConvolutionalArchitecture((2, 3, 4), shape=(28, 28))
    encoder = build(architecture, "encoder", 784, 2)
    decoder = build(architecture, "decoder", 2, 784)
    sizes = []
    for stage in [*encoder.stages, *decoder.stages]:
        stage.register_forward_hook(lambda _, inputs, output: sizes.append(output.shape[2:]))
    decoder(encoder(draw(1, 784)))
    assert [size[0] for size in sizes] == [14, 7, 4, 7, 14, 28]


@pytest.mark.parametrize("name", ["even", "sequence"])
def test_max_unpooling_puts_values_where_maxima_were(name):
    architecture = make(name, pooling="max", upsampling="max_unpooling")
    n = math.prod(SHAPES[name])
    module = build(architecture, "denoiser", n, n)
    stage = module.doubles[-1]
    grid = draw(1, 3, *stage.sizes)
    smaller, switches = module.halves[0].pool(grid)
    spread = stage._spread(smaller, switches)
    assert spread.shape == grid.shape
    assert torch.equal(spread[spread != 0], grid[spread != 0])
    assert int((spread != 0).sum()) == smaller.numel()


def test_max_unpooling_is_refused_with_a_code():
    architecture = make(pooling="max", upsampling="max_unpooling")
    for role, widths in {"encoder": (64, 2), "decoder": (2, 64)}.items():
        with pytest.raises(ValueError, match="would carry the row past the code; use"):
            architecture(role, *widths)
    with pytest.raises(ValueError, match=r'requires pooling="max", got pooling=\'stride\''):
        make(upsampling="max_unpooling").fit_shape(None, 64)


@pytest.mark.parametrize(
    ("upsampling", "expected"),
    [("nearest", [1, 1, 2, 2, 3]), ("bed_of_nails", [1, 0, 2, 0, 3])],
)
def test_cells_are_spread(upsampling, expected):
    stage = build(make("sequence", upsampling=upsampling), "decoder", 2, 9).stages[0]
    assert stage.sizes == (5,)
    assert stage._spread(torch.tensor([[[1.0, 2, 3]]]), None).tolist() == [[expected]]


def test_the_noise_level_reaches_every_place():
    module = build(make(), "denoiser", 65, 64)
    rows = torch.cat([draw(1, 64), torch.zeros(1, 1)], dim=1).requires_grad_()
    module(rows).square().sum().backward()
    assert rows.grad[0, -1] != 0
    assert module.to_grid.n_channels == 2


WRONG = {
    "channels": [(), 3, (3, 0), (2.5,), "ab", None],
    "kernel_size": [2, 0, 1.5, "3"],
    "pooling": ["mean", None],
    "upsampling": ["linear"],
    "normalization": ["layer", True],
    "activation": ["swish", None],
    "dense": [(0,), 256],
    "shape": [(3,), (0, 3), (1, 2, 3, 4), 8, "8x8"],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in WRONG.items() for v in vs])
def test_wrong_parameters_are_named(name, value):
    architecture = ConvolutionalArchitecture(**{"shape": (8, 8), name: value})
    with pytest.raises(ValueError, match=f"{name} must be .*, got "):
        architecture("encoder", 64, 2)
    with pytest.raises(ValueError, match=f"{name} must be .*, got "):
        architecture.fit_shape(None, 64)


def test_widths_of_other_shapes_are_refused():
    message = r"has shape=\(8, 8\), which is 64 cells, and a network of 63 inputs is asked for"
    with pytest.raises(ValueError, match=message):
        make()("encoder", 63, 2)
    with pytest.raises(ValueError, match="network of 65 outputs is asked for"):
        make()("decoder", 2, 65)
    with pytest.raises(ValueError, match="must know the shape of a row: set shape"):
        make(shape=None)("encoder", 64, 2)


def test_each_parameter_has_an_effect():
    usual = build(make(), "decoder", 2, 64)(draw(3, 2))
    for other in [
        {"channels": (4, 4)},
        {"kernel_size": 5},
        {"upsampling": "nearest"},
        {"activation": "tanh"},
        {"dense": ()},
    ]:
        assert not torch.equal(build(make(**other), "decoder", 2, 64)(draw(3, 2)), usual)
    encoded = build(make(), "encoder", 64, 2)(draw(3, 64))
    for pooling in ("max", "average"):
        assert not torch.equal(build(make(pooling=pooling), "encoder", 64, 2)(draw(3, 64)), encoded)


def test_batch_normalization_uses_batches_in_training_and_their_mean_later():
    module = build(make(normalization="batch"), "encoder", 64, 2)
    layers = [part for part in module.modules() if isinstance(part, BatchNormalization)]
    assert len(layers) == 2
    rows = draw(6, 64)
    module.train()
    both, one = module(rows), module(rows[:3])
    assert not torch.allclose(both[:3], one)
    assert all(int(layer.num_batches_tracked) == 2 for layer in layers)
    module.eval()
    assert torch.allclose(module(rows)[:3], module(rows[:3]), atol=1e-6)
    assert all(int(layer.num_batches_tracked) == 2 for layer in layers)


@pytest.mark.parametrize("name", SHAPES)
def test_batch_normalization_has_gradients_in_every_role(name):
    architecture, n = make(name, normalization="batch"), math.prod(SHAPES[name])
    for role, widths in {"encoder": (n, 2), "decoder": (2, n), "denoiser": (n, n)}.items():
        module = check_network(build(architecture, role, *widths), role, *widths)
        for n_rows in (4, 1):
            module(draw(n_rows, widths[0])).square().sum().backward()
            assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


def test_running_statistics_are_means_at_first():
    layer = BatchNormalization(2).train()
    batches = [draw(5, 2, 3) + shift for shift in (0.0, 4.0)]
    for batch in batches:
        layer(batch)
    means = torch.stack([batch.mean(dim=(0, 2)) for batch in batches]).mean(0)
    assert torch.allclose(layer.running_mean, means)
    for _ in range(200):
        layer(batches[1])
    last = batches[1].transpose(0, 1).flatten(1)
    assert torch.allclose(layer.running_mean, last.mean(1), atol=1e-4)
    assert torch.allclose(layer.running_var, last.var(1), atol=1e-4)

"""What units of convolutional networks respond to."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch.nn import functional

from skae import AutoencoderTransformer, DenoisingAutoencoder, VAETransformer
from skae.inspection import UnitsDisplay
from skae.inspection.deconvolution import Deconvolution
from skae.modules import ConvolutionalArchitecture, TemporalConvolutionArchitecture

CROSS = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]])
PARAMETERS = {"max_epochs": 1, "early_stopping": False, "standardize": False, "random_state": 0}
POOLED = ConvolutionalArchitecture((3, 4), pooling="max", upsampling="nearest", dense=())


def fit(images, architecture=POOLED, **parameters):
    return AutoencoderTransformer(2, architecture=architecture, **PARAMETERS | parameters).fit(
        images
    )


def find_stage(model, index=0):
    return model.module_.encoder.nonlinear.stages[index]


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(size=(30, 8, 10))


@pytest.fixture(scope="module")
def model(images):
    return fit(images)


@pytest.mark.parametrize("mode", [lambda: torch.device("meta"), torch.inference_mode])
def test_torchs_modes_change_nothing(model, images, mode):
    expected = UnitsDisplay.from_estimator(model, images, n_units=2, n_patches=2)
    with mode():
        found = UnitsDisplay.from_estimator(model, images, n_units=2, n_patches=2)
    np.testing.assert_array_equal(found.projections, expected.projections)
    np.testing.assert_array_equal(found.activations, expected.activations)


# What is found ----------------------------------------------------------------------------


def test_a_planted_filter_finds_its_pattern(images):
    model = fit(images)
    with torch.no_grad():
        convolution = find_stage(model).convolution
        convolution.weight.zero_()
        convolution.bias.zero_()
        convolution.weight[1, 0] = torch.from_numpy(CROSS - CROSS.mean())
    given = np.tile(model.mean_.reshape(1, 8, 10), (5, 1, 1))
    given[3, 2:5, 5:8] += CROSS
    given[1, 4:7, 0:3] += 0.5 * CROSS
    display = UnitsDisplay.from_estimator(model, given, layer=0, units=[1], n_patches=2)
    # The middles of the crosses are in the pools from (2, 6) and (4, 0), so four by four cells
    # around these are seen, the second moved to the edge.
    np.testing.assert_allclose(display.patches[0, 0], given[3, 1:5, 5:9])
    np.testing.assert_allclose(display.patches[0, 1], given[1, 3:7, 0:4])
    strength = np.square(CROSS - CROSS.mean()).sum() / model.scale_[0]
    np.testing.assert_allclose(display.activations[0], [strength, strength / 2], rtol=1e-5)
    for index, (top, left) in enumerate([(1, 0), (1, 0)]):
        expected = np.zeros((4, 4))
        expected[top : top + 3, left : left + 3] = CROSS - CROSS.mean()
        expected *= display.activations[0, index]
        np.testing.assert_allclose(display.projections[0, index], expected, atol=1e-5)


def test_the_way_back_unpools_rectifies_and_transposes(images, model):
    scaled = (images.reshape(30, -1) - model.mean_) / model.scale_[0]
    grid = torch.from_numpy(scaled).float().reshape(30, 1, 8, 10)
    kept = []
    for stage in model.module_.encoder.nonlinear.stages:
        output = functional.leaky_relu(stage.convolution(grid))
        pooled, switches = functional.max_pool2d(output, 2, ceil_mode=True, return_indices=True)
        kept.append((switches, output.shape[2:], stage.convolution.weight))
        grid = pooled
    unit, place = 2, np.array([1, 0])
    back = torch.zeros_like(grid)
    back[:, unit, 1, 0] = grid[:, unit, 1, 0].clamp_min(0)
    for switches, size, weight in reversed(kept):
        spread = functional.max_unpool2d(back, switches, 2, output_size=size)
        back = functional.conv_transpose2d(spread.clamp_min(0), weight, padding=1)
    expected = back.movedim(1, -1).detach().numpy()
    assert expected.any(axis=(1, 2, 3)).mean() > 0.2
    way = Deconvolution(model.module_, -1)
    found = way.project(scaled, unit, np.tile(place, (30, 1)))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_strongest_come_first(images, model):
    display = UnitsDisplay.from_estimator(model, images, layer=0, n_units=2, n_patches=5)
    assert display.patches.shape == (2, 5, 4, 4)
    assert (np.diff(display.activations, axis=1) <= 0).all()
    each = UnitsDisplay.from_estimator(model, images, layer=0, units=[0, 1, 2], n_patches=5)
    order = np.argsort(-each.activations.mean(axis=1))[:2]
    np.testing.assert_array_equal(display.units, order)
    np.testing.assert_array_equal(display.projections, each.projections[order])
    all_of_them = UnitsDisplay.from_estimator(model, images[:4], layer=0)
    assert all_of_them.activations.shape == (3, 4)


def test_each_layer_sees_more(images):
    strided = fit(images, ConvolutionalArchitecture((2, 2, 2), dense=()))
    sizes = [
        UnitsDisplay.from_estimator(strided, images, layer=layer).patches.shape[2:]
        for layer in (0, 1, 2)
    ]
    assert sizes == [(3, 3), (7, 7), (8, 10)]


def test_colours_in_either_order(images):
    colours = np.random.default_rng(0).uniform(size=(20, 6, 7, 3))
    last = UnitsDisplay.from_estimator(fit(colours), colours)
    assert last.patches.shape == last.projections.shape == (4, 8, 6, 7, 3)
    first = colours.transpose(0, 3, 1, 2)
    display = UnitsDisplay.from_estimator(fit(first), first, layer=0, units=[0], n_patches=1)
    windows = np.lib.stride_tricks.sliding_window_view(colours, (4, 4), axis=(1, 2))
    differences = np.abs(windows.transpose(0, 1, 2, 4, 5, 3) - display.patches[0, 0])
    assert differences.max(axis=(3, 4, 5)).min() == 0


@pytest.mark.parametrize(
    ("estimator", "n_layers"),
    [
        (VAETransformer(2), 2),
        (DenoisingAutoencoder(2, stacking=False), 2),
        (DenoisingAutoencoder(None, stacking=False), 3),
        (DenoisingAutoencoder(None, noise="masking", init="random"), 3),
    ],
)
def test_other_estimators(images, estimator, n_layers):
    estimator.set_params(**PARAMETERS, architecture=POOLED).fit(images)
    display = UnitsDisplay.from_estimator(estimator, images, layer=n_layers - 1)
    assert display.projections.any()
    with pytest.raises(ValueError, match=rf"from -{n_layers} to {n_layers - 1}"):
        UnitsDisplay.from_estimator(estimator, images, layer=n_layers)


def test_estimators_stay_as_they_are(images, model):
    before = {name: value.clone() for name, value in model.module_.state_dict().items()}
    UnitsDisplay.from_estimator(model, images)
    after = model.module_.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert not any(part._forward_pre_hooks for part in model.module_.modules())


# What is drawn ----------------------------------------------------------------------------


def test_patches_and_projections_side_by_side(images, model):
    display = UnitsDisplay.from_estimator(model, images, layer=0, n_patches=3)
    assert [ax.get_title() for ax in display.axes_] == ["patches", "projections"]
    names = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert names == [f"unit {unit}" for unit in display.units]
    assert len(display.images_) == 2 * len(display.units)
    patches, projections = (np.asarray(strip.get_array()) for strip in display.images_[:2])
    low, high = display.patches.min(), display.patches.max()
    np.testing.assert_allclose(patches[:, 4:8], (display.patches[0, 1] - low) / (high - low))
    reach = np.abs(display.projections[0]).max()
    np.testing.assert_allclose(projections[:, :4], 0.5 + display.projections[0, 0] / reach / 2)
    assert {image.get_clim() for image in display.images_} == {(0, 1)}


def test_colours_are_drawn_as_colours():
    patches = np.random.default_rng(0).uniform(-1, 1, size=(2, 4, 3, 3, 3))
    display = UnitsDisplay(patches=patches, projections=-patches, units=[5, 7]).plot()
    assert display.images_[0].get_array().shape == (3, 12, 3)
    assert 0 <= display.images_[1].get_array().min() <= display.images_[1].get_array().max() <= 1


# What is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"layer": 2}, ValueError, "layer must be an integer from -2 to 1"),
        ({"units": [0, 9]}, ValueError, "units must be from 0 to 3"),
        ({"units": [0.5]}, TypeError, "units must be a sequence of integers"),
        ({"n_units": 0}, ValueError, "n_units must be a positive integer"),
        ({"n_patches": 0}, ValueError, "n_patches must be a positive integer"),
    ],
)
def test_odd_parameters(images, model, given, kind, message):
    with pytest.raises(kind, match=message):
        UnitsDisplay.from_estimator(model, images, **given)


@pytest.mark.parametrize(
    "other", [np.ones((2, 8, 9)), np.full((2, 8, 10), np.nan), np.ones((0, 8, 10))]
)
def test_odd_images(model, other):
    with pytest.raises(ValueError, match="X must"):
        UnitsDisplay.from_estimator(model, other)


def test_networks_without_units_that_see_patches(images):
    rows = images.reshape(30, -1)
    for other in (
        fit(rows, "mlp"),
        fit(rows, TemporalConvolutionArchitecture((2,), shape=(80,), dense=())),
    ):
        with pytest.raises(TypeError, match="must have a convolutional encoder for images"):
            UnitsDisplay.from_estimator(other, rows)
    with pytest.raises(TypeError, match="a transformer of skae, which has module_, got PCA"):
        UnitsDisplay.from_estimator(PCA().fit(rows), rows)


def test_values_that_do_not_go_together():
    with pytest.raises(ValueError, match="patches and projections must be"):
        UnitsDisplay(
            patches=np.ones((2, 3, 4, 4)), projections=np.ones((2, 3, 4, 5)), units=[0, 1]
        ).plot()

"""Architectures, and the check of the modules that they return."""

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skae._environment import seed_default_generator
from skae.modules import (
    MLP,
    ConvolutionalArchitecture,
    MLPArchitecture,
    RecurrentArchitecture,
    TemporalConvolutionArchitecture,
)
from skae.modules.architectures import check_network
from skae.modules.layers import make_linear


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def sizes_of(mlp):
    return [mlp.layers[0].in_features, *(layer.out_features for layer in mlp.layers)]


def test_the_decoder_mirrors_the_encoder():
    architecture = partial(MLPArchitecture((9, 7), "tanh", 0.2), generator=generator())
    assert sizes_of(architecture("encoder", 5, 2)) == [5, 9, 7, 2]
    assert sizes_of(architecture("decoder", 2, 5)) == [2, 7, 9, 5]
    assert sizes_of(architecture("denoiser", 6, 5)) == [6, 9, 7, 5]


def test_parameters_reach_the_perceptron():
    source = generator()
    mlp = MLPArchitecture([4], "tanh", 0.2)("encoder", 5, 2, generator=source)
    assert isinstance(mlp.activation, nn.Tanh)
    assert mlp.dropout.p == 0.2
    assert mlp.dropout.generator is source
    again = MLPArchitecture([4])("encoder", 5, 2, generator=generator())
    assert torch.equal(mlp.layers[0].weight, again.layers[0].weight)
    assert isinstance(again.activation, nn.SiLU)
    assert again.dropout.p == 0


def test_a_module_of_the_right_shape_is_returned_ready_to_train():
    module = nn.Sequential(make_linear(4, 3, generator()), nn.BatchNorm1d(3))
    assert check_network(module, "encoder", 4, 3) is module
    assert module.training
    assert module[1].num_batches_tracked == 0  # the check is no batch of training


def test_other_modules_are_refused():
    with pytest.raises(TypeError, match=r"architecture\('encoder', 4, 3\) must return .* got int"):
        check_network(3, "encoder", 4, 3)
    message = r"architecture\('encoder', 4, 3\) must map a tensor of shape "
    with pytest.raises(ValueError, match=message + r"\(2, 4\) .* \(2, 3\), got .* \(2, 5\)"):
        check_network(make_linear(4, 5, generator()), "encoder", 4, 3)
    with pytest.raises(ValueError, match=message + ".* it failed with: mat1 and mat2"):
        check_network(make_linear(5, 3, generator()), "encoder", 4, 3)
    with pytest.raises(ValueError, match=message + r"\(2, 4\) .* \(2, 3\), got .* \(2, 5\)"):
        check_network(MLP(4, 5, generator=generator()), "encoder", 4, 3)
    tripled = MLP(4, 3, generator=generator())
    tripled.register_forward_hook(lambda module, inputs, output: output.repeat(1, 3))
    with pytest.raises(ValueError, match=message + r"\(2, 4\) .* \(2, 3\), got .* \(2, 9\)"):
        check_network(tripled, "encoder", 4, 3)


class Own(nn.Module):
    """A user's network, which does what a function says with the output of a linear layer."""

    def __init__(self, change, layer=None):
        super().__init__()
        self.layer = make_linear(4, 3, generator()) if layer is None else layer
        self.change = change

    def forward(self, rows):
        return self.change(self.layer(rows))


OUTPUTS = {
    "tuple": (lambda out: (out, out), "got tuple"),
    "nothing": (lambda out: None, "got NoneType"),
    "integers": (lambda out: out.long(), "got torch.int64"),
    "a column": (lambda out: out[:, :1], r"got torch.float32 of shape \(2, 1\)"),
    "two rows always": (lambda out: out[:1].expand(2, 3), r"\(1, 3\), got .* \(2, 3\)"),
    "flat": (lambda out: out.flatten(), r"got torch.float32 of shape \(6,\)"),
    "NaN": (lambda out: out / 0 * 0, "finite numbers before it is trained, got nan"),
    "other rows": (lambda out: out - out.mean(0), "must map each row by itself"),
    "inference": (torch.inference_mode()(lambda out: out + 0), "leave that out of forward"),
}


@pytest.mark.parametrize(("change", "message"), OUTPUTS.values(), ids=OUTPUTS)
def test_outputs_that_training_could_not_use_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        check_network(Own(change), "encoder", 4, 3)


def test_weights_of_inference_mode_are_refused():
    with torch.inference_mode():
        module = Own(lambda out: out)
    with pytest.raises(ValueError, match="weights that can be trained"):
        check_network(module, "encoder", 4, 3)


def test_weights_of_another_type_or_device_are_refused():
    for layer in (make_linear(4, 3, generator()).double(), nn.Linear(4, 3, device="meta")):
        with pytest.raises(ValueError, match="on the CPU and in float32; it failed with"):
            check_network(Own(lambda out: out, layer), "encoder", 4, 3)


def test_a_shape_that_changes_later_is_refused_then():
    module = check_network(Own(lambda out: out if len(out) < 9 else out[:, :1]), "encoder", 4, 3)
    assert module(torch.zeros(8, 4)).shape == (8, 3)
    with pytest.raises(ValueError, match=r"shape \(9, 4\) .* \(9, 3\), got .* \(9, 1\)"):
        module(torch.zeros(9, 4))


def test_outputs_have_the_type_of_the_input():
    module = check_network(Own(lambda out: out.double()), "encoder", 4, 3)
    assert module(torch.zeros(2, 4)).dtype == torch.float32
    assert module.double()(torch.zeros(2, 4, dtype=torch.float64)).dtype == torch.float64


def test_random_networks_and_lazy_layers_are_taken():
    with seed_default_generator(0):
        check_network(Own(lambda out: nn.functional.dropout(out)), "encoder", 4, 3)
        check_network(Own(lambda out: out, nn.LazyLinear(3)), "encoder", 4, 3)


def test_errors_of_the_users_own_code_pass():
    def fail(out):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        check_network(Own(fail), "encoder", 4, 3)


VALUES = [
    MLPArchitecture((9, 7), "tanh", 0.2),
    ConvolutionalArchitecture((4, 6), pooling="max", shape=(8, 8)),
    TemporalConvolutionArchitecture((4, 6), dense=()),
    RecurrentArchitecture("lstm", 5),
]


@pytest.mark.parametrize("architecture", VALUES, ids=lambda a: type(a).__name__)
def test_an_architecture_is_the_value_of_its_parameters(architecture):
    copies = [clone(architecture), pickle.loads(pickle.dumps(architecture))]
    skops = pytest.importorskip("skops.io")
    stored = skops.dumps(architecture)
    trusted = skops.get_untrusted_types(data=stored)
    assert all(name.startswith("skae.modules.") for name in trusted)
    copies.append(skops.loads(stored, trusted=trusted))
    for copy in copies:
        assert copy is not architecture
        assert copy == architecture
        assert hash(copy) == hash(architecture)
        assert repr(copy) == repr(architecture)
        assert eval(repr(copy)) == architecture
    assert architecture not in [type(architecture)(), "mlp", None]
    name = next(iter(architecture.get_params()))
    assert clone(architecture).set_params(**{name: (3,)}) != architecture


def test_lists_and_arrays_are_as_good_as_tuples():
    for sizes in ([4, 6], np.array([4, 6])):
        assert MLPArchitecture(sizes) == MLPArchitecture((4, 6))
        assert hash(ConvolutionalArchitecture(sizes)) == hash(ConvolutionalArchitecture((4, 6)))


def test_classes_with_equal_parameters_differ():
    assert ConvolutionalArchitecture() != TemporalConvolutionArchitecture()


def test_wrong_parameters_of_a_perceptron_are_named():
    with pytest.raises(ValueError, match=r"hidden_layer_sizes must be .*, got \(3, 0\)"):
        MLPArchitecture((3, 0))("encoder", 5, 2)
    with pytest.raises(ValueError, match=r"activation must be one of 'elu', .*, got 'swish'"):
        MLPArchitecture((3,), "swish")("encoder", 5, 2)
    with pytest.raises(ValueError, match=r"dropout must be in \[0, 1\), got 1.5"):
        MLPArchitecture((3,), dropout=1.5)("encoder", 5, 2)


IMAGE_FORMS = r"\(n, height, width\) or \(n, height, width, channels\)"
SEQUENCE_FORMS = r"\(n, time\) or \(n, time, features\)"


@pytest.mark.parametrize(
    ("architecture", "forms"),
    [
        (ConvolutionalArchitecture(), IMAGE_FORMS),
        (TemporalConvolutionArchitecture(), SEQUENCE_FORMS),
        (RecurrentArchitecture(), SEQUENCE_FORMS),
    ],
)
def test_the_shape_is_that_of_the_rows(architecture, forms):
    fitted = architecture.fit_shape((8, 3), 24)
    assert fitted.shape == (8, 3)
    assert architecture.shape is None
    assert fitted.fit_shape(None, 24) is fitted
    assert fitted.fit_shape((8, 1, 3), 24) is fitted
    with pytest.raises(ValueError, match=rf"takes X as {forms}, got rows .* \(1, 2, 3, 4\)"):
        architecture.fit_shape((1, 2, 3, 4), 24)
    for shape, given in {(3, 8): r"\(3, 8\)", None: r"\(20,\)"}.items():
        with pytest.raises(ValueError, match=rf"has shape=\(8, 3\), and a row of X has .* {given}"):
            fitted.fit_shape(shape, 20 if shape is None else 24)


def test_flat_rows_are_sequences_and_no_images():
    with pytest.raises(ValueError, match=f"flat rows of 24 columns: pass X as {IMAGE_FORMS}, or"):
        ConvolutionalArchitecture().fit_shape(None, 24)
    assert TemporalConvolutionArchitecture().fit_shape(None, 24).shape == (24,)

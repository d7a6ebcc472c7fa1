"""Architectures, and the check of the modules that they return."""

import pytest
import torch
from torch import nn

from skae._environment import seed_default_generator
from skae.modules import MLPArchitecture
from skae.modules.architectures import check_network
from skae.modules.layers import make_linear


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def sizes_of(mlp):
    return [mlp.layers[0].in_features, *(layer.out_features for layer in mlp.layers)]


def test_the_decoder_mirrors_the_encoder():
    architecture = MLPArchitecture((9, 7), "tanh", 0.2, generator())
    assert sizes_of(architecture("encoder", 5, 2)) == [5, 9, 7, 2]
    assert sizes_of(architecture("decoder", 2, 5)) == [2, 7, 9, 5]
    assert sizes_of(architecture("denoiser", 6, 5)) == [6, 9, 7, 5]


def test_parameters_reach_the_perceptron():
    source = generator()
    mlp = MLPArchitecture([4], "tanh", 0.2, source)("encoder", 5, 2)
    assert isinstance(mlp.activation, nn.Tanh)
    assert mlp.dropout.p == 0.2
    assert mlp.dropout.generator is source
    again = MLPArchitecture([4], generator=generator())("encoder", 5, 2)
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

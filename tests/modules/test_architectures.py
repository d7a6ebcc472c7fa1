"""Architectures, and the check of the modules that they return."""

import pytest
import torch
from torch import nn

from skae.modules import MLPArchitecture
from skae.modules.architectures import check_output_shape
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
    assert check_output_shape(module, "encoder", 4, 3) is module
    assert module.training
    assert module[1].num_batches_tracked == 0  # the check is no batch of training


def test_other_modules_are_refused():
    with pytest.raises(TypeError, match=r"architecture\('encoder', 4, 3\) must return .* got int"):
        check_output_shape(3, "encoder", 4, 3)
    message = r"must map a tensor of shape \(2, 4\) to one of shape \(2, 3\)"
    with pytest.raises(ValueError, match=message + r", got shape \(2, 5\)"):
        check_output_shape(make_linear(4, 5, generator()), "encoder", 4, 3)
    with pytest.raises(ValueError, match=message + "; it failed with: mat1 and mat2"):
        check_output_shape(make_linear(5, 3, generator()), "encoder", 4, 3)

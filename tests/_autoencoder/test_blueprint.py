"""The code that a penalty requires."""

import pytest
from torch import nn
from torch.nn.utils import parametrize

from skae._autoencoder.blueprint import AutoencoderBlueprint, make_code_config
from skae._base import NetworkConfig
from skae.modules import TransposedMLP


def build(penalty, tied_weights=False, linear_path=True):
    network = NetworkConfig(5, "mlp", (4,), "silu", 0.0, linear_path)
    code = make_code_config(2, tied_weights, penalty, linear_path)
    return AutoencoderBlueprint(network, code).build(0)


@pytest.mark.parametrize(
    ("penalty", "activation"),
    [(None, nn.Identity), ("l1", nn.Identity), ("contractive", nn.Identity), ("kl", nn.Sigmoid)],
)
def test_activities_of_kl_are_shares(penalty, activation):
    assert type(build(penalty).code_activation) is activation


@pytest.mark.parametrize("penalty", ["l1", "kl", "contractive", None])
@pytest.mark.parametrize("linear_path", [True, False])
@pytest.mark.parametrize("tied_weights", [True, False])
def test_a_penalty_fixes_the_codes_scale_where_there_is_a_linear_path(
    penalty, linear_path, tied_weights
):
    module = build(penalty, tied_weights, linear_path)
    is_fixed = any(parametrize.is_parametrized(part) for part in module.decoder.modules())
    assert is_fixed == (penalty is not None and linear_path and not tied_weights)
    assert tied_weights == any(isinstance(part, TransposedMLP) for part in module.modules())

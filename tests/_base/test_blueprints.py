"""What a module is built from, as values that can be stored."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from skae._autoencoder.blueprint import AutoencoderBlueprint, CodeConfig
from skae._base import NetworkConfig
from skae._denoising.blueprint import DenoiserBlueprint
from skae._variational.blueprint import VariationalBlueprint
from skae.modules import Dropout
from skae.modules.cells import CellLayout


def architecture(role, n_inputs, n_outputs):
    return nn.Sequential(nn.Linear(n_inputs, 3), nn.Tanh(), nn.Linear(3, n_outputs))


NETWORK = NetworkConfig(5, "mlp", (7, 6), "tanh", 0.25, linear_path=True)
CODE = CodeConfig(2, tied_weights=False, code_activation="identity", fixed_code_scale=False)
BLUEPRINT = AutoencoderBlueprint(NETWORK, CODE)
BLUEPRINTS = [
    BLUEPRINT,
    AutoencoderBlueprint(replace(NETWORK, architecture=architecture), CODE),
    DenoiserBlueprint(NETWORK, CODE, True, True, False),
    DenoiserBlueprint(NETWORK, None, False, False, True),
    VariationalBlueprint(NETWORK, 2, "gaussian", True, "mixture", 4),
]


def weights(module):
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


@pytest.mark.parametrize("blueprint", BLUEPRINTS, ids=lambda b: type(b).__name__)
def test_a_stored_state_gives_the_blueprint_back(blueprint):
    again = type(blueprint).from_state(blueprint.get_state())
    assert again == blueprint
    assert torch.equal(weights(again.build(3)), weights(blueprint.build(3)))


def test_a_state_is_of_plain_values():
    state = BLUEPRINT.get_state()
    assert state["network"]["hidden_layer_sizes"] == (7, 6)
    assert state["code"]["n_components"] == BLUEPRINT.code_size == 2
    values = [value for part in state.values() for value in part.values()]
    assert all(isinstance(value, str | int | float | tuple | None) for value in values)
    cells = CellLayout((0, 1), (2,), ((3, 5),))
    layout = replace(BLUEPRINT, network=replace(NETWORK, layout=cells))
    assert layout.get_state()["network"]["layout"]["categories"] == [[3, 5]]
    assert type(layout).from_state(layout.get_state()) == layout


@pytest.mark.parametrize("blueprint", BLUEPRINTS, ids=lambda b: type(b).__name__)
def test_weights_come_from_the_seed(blueprint):
    found = torch.get_rng_state()
    modules = [blueprint.build(seed) for seed in (1, 1, 2)]
    for a, b, c in zip(*(module.parameters() for module in modules), strict=True):
        assert torch.equal(a, b)
        if a.ndim > 1 and a.any():
            assert not torch.equal(a, c)
    assert torch.equal(torch.get_rng_state(), found)


def test_a_module_has_the_networks_asked_for():
    module = BLUEPRINT.build(0)
    assert [layer.out_features for layer in module.encoder.nonlinear.layers] == [7, 6, 2]
    assert [layer.out_features for layer in module.decoder.nonlinear.layers] == [6, 7, 5]
    assert {part.p for part in module.modules() if isinstance(part, Dropout)} == {0.0, 0.25}
    assert any(isinstance(part, nn.Tanh) for part in module.modules())
    assert (
        not replace(BLUEPRINT, network=replace(NETWORK, linear_path=False)).build(0).has_linear_path
    )


@pytest.mark.parametrize(
    ("changes", "is_affine"),
    [
        ({"hidden_layer_sizes": ()}, True),
        ({"hidden_layer_sizes": (3,)}, False),
        ({"hidden_layer_sizes": (), "architecture": architecture}, False),
        ({"hidden_layer_sizes": (), "linear_path": False}, False),
    ],
)
def test_affine_is_the_linear_path_alone(changes, is_affine):
    network = replace(NETWORK, **changes)
    assert network.is_affine == is_affine
    assert AutoencoderBlueprint(network, CODE).is_closed_form == is_affine
    penalized = replace(CODE, fixed_code_scale=True)
    assert not AutoencoderBlueprint(network, penalized).is_closed_form


def test_training_continues_with_an_equal_network():
    sizes = tuple([7, 6])  # equal, and not the same object
    same = replace(NETWORK, hidden_layer_sizes=sizes)
    BLUEPRINT.check_continues(replace(BLUEPRINT, network=same))
    own = replace(BLUEPRINT, network=replace(NETWORK, architecture=architecture))
    own.check_continues(AutoencoderBlueprint.from_state(own.get_state()))


@pytest.mark.parametrize(
    ("network", "code", "names"),
    [
        ({"hidden_layer_sizes": (7,)}, {}, "hidden_layer_sizes"),
        ({"architecture": architecture}, {}, "architecture"),
        ({}, {"n_components": 3}, "n_components"),
        ({"linear_path": False}, {"tied_weights": True}, "linear_path, tied_weights"),
        ({"hidden_layer_sizes": (7,), "activation": "relu"}, {}, "activation, hidden_layer_sizes"),
    ],
)
def test_training_does_not_continue_with_another_network(network, code, names):
    changed = AutoencoderBlueprint(replace(NETWORK, **network), replace(CODE, **code))
    with pytest.raises(ValueError, match=f"which has another {names}: restore the parameters"):
        changed.check_continues(BLUEPRINT)

"""Networks that torch's exporter writes."""

import numpy as np
import pytest
import torch
from torch import nn

from skae.modules import MLP, RecurrentArchitecture
from skae.modules.architectures import check_network

from .sessions import require_onnx

require_onnx()
pytest.importorskip("onnxscript", reason="torch's exporter needs it")

import onnxruntime  # noqa: E402
import spox  # noqa: E402

from skae.export.arrays import Array  # noqa: E402
from skae.export.networks import Networks  # noqa: E402


def apply(network, X):
    rows = spox.argument(spox.Tensor(np.float64, ("n", X.shape[1])))
    output = Networks().apply(network, Array(rows))
    model = spox.build({"X": rows}, {"output": output.var})
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"X": X})[0]


class OwnNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 4)

    def forward(self, rows):
        return nn.functional.softplus(self.layer(rows)).reshape(len(rows), 4)


class Unwritable(nn.Module):
    def forward(self, rows):
        return torch.from_numpy(np.sort(rows.detach().numpy(), axis=1))


class Tripled(MLP):
    def forward(self, input):
        return 3 * super().forward(input)


@pytest.mark.parametrize(
    "change",
    [
        lambda mlp: setattr(mlp, "__class__", Tripled),
        lambda mlp: mlp.register_forward_hook(lambda module, inputs, output: 3 * output),
        lambda mlp: setattr(mlp, "activation", nn.ELU(3.0)),
        lambda mlp: setattr(mlp, "activation", nn.LeakyReLU(0.2)),
        lambda mlp: setattr(mlp, "activation", nn.GELU("tanh")),
        lambda mlp: setattr(mlp, "activation", nn.Softplus()),
        lambda mlp: setattr(mlp, "dropout", nn.Hardtanh()),
    ],
    ids=["subclass", "hook", "ELU", "LeakyReLU", "GELU", "Softplus", "dropout"],
)
def test_a_changed_perceptron_is_written_as_it_is(change):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = MLP(6, 4, (5,))
    change(network)
    network = check_network(network, "encoder", 6, 4).eval()
    X = 3 * np.random.default_rng(0).normal(size=(5, 6))
    with torch.no_grad():
        expected = network(torch.from_numpy(X).float()).numpy()
    np.testing.assert_allclose(apply(network, X), expected, atol=1e-5)


@pytest.mark.parametrize(
    "make",
    [OwnNetwork, lambda: RecurrentArchitecture("lstm", 3, shape=(3, 2))("denoiser", 6, 6)],
    ids=["own", "recurrent"],
)
def test_any_number_of_rows(make):
    with torch.random.fork_rng():
        network = make().eval()
    X = np.random.default_rng(0).normal(size=(5, 6))
    with torch.no_grad():
        expected = network(torch.from_numpy(X).float()).numpy()
    np.testing.assert_allclose(apply(network, X), expected, atol=1e-6)
    np.testing.assert_allclose(apply(network, X[:1]), expected[:1], atol=1e-6)
    assert apply(network, X[:0]).shape == (0, *expected.shape[1:])


def test_a_network_that_can_not_be_written():
    with pytest.raises(ValueError, match=r"must be able to write the network Unwritable"):
        apply(Unwritable(), np.zeros((3, 6)))

"""Networks that torch's exporter writes."""

import numpy as np
import pytest
import torch
from torch import nn

from skae.modules import RecurrentArchitecture

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

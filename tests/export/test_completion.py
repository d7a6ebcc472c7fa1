"""Missing cells filled by elimination are those that NumPy's inverse gives."""

import numpy as np
import pytest

from skae._linear import Completion

from .sessions import require_onnx

require_onnx()

import onnxruntime  # noqa: E402
import spox  # noqa: E402

from skae.export.arrays import Array  # noqa: E402
from skae.export.completion import fill_rows  # noqa: E402


@pytest.mark.filterwarnings("ignore:Output type for variable")
@pytest.mark.parametrize("rank", [2, 12])
def test_any_pattern(rank):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, rank)) @ rng.normal(size=(rank, 12))
    X[rng.uniform(size=X.shape) < 0.5] = np.nan
    X[0] = np.nan
    X[1] = 1.0
    completion = Completion.fit(X)
    rows = spox.argument(spox.Tensor(np.float64, ("n", 12)))
    filled = fill_rows(Array(rows), Array(rows).is_nan(), completion)
    outputs = {"values": filled.values.var, "seen": filled.seen.var}
    model = spox.build({"X": rows}, outputs)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    values, seen = session.run(None, {"X": X})
    expected = completion.complete(X)
    np.testing.assert_allclose(values, expected.values, rtol=1e-7, atol=1e-7)
    np.testing.assert_array_equal(seen == 1, expected.observed)

"""Transformers as graphs give what they give in Python."""

import numpy as np
import pytest

from skae import AutoencoderTransformer, DenoisingAutoencoder, VAETransformer
from skae.modules import ConvolutionalArchitecture

from .sessions import open_gates, require_onnx, run

require_onnx()

SMALL = {"hidden_layer_sizes": (8,), "max_epochs": 1, "early_stopping": False, "random_state": 0}
RANGE = {"noise_level": (0.1, 5.0)}
ACTIVATIONS = ("elu", "gelu", "identity", "leaky_relu", "logistic", "relu", "silu", "tanh")


def check(estimator, X, folder, dtype="float64"):
    """Compare to 1e-5 of the largest code or of a column's scale, and numbers' own rounding."""
    X = X.astype(dtype)
    found = run(estimator, X, folder, dtype)
    expected = {"codes": estimator.transform(X), "reconstruction": estimator.reconstruct(X)}
    if isinstance(estimator, DenoisingAutoencoder):
        expected["denoised"] = estimator.denoise(X)
    assert found.keys() == expected.keys()
    for name, rows in expected.items():
        assert found[name].dtype == dtype
        assert found[name].shape == rows.shape
        is_code = name == "codes"
        scale = np.abs(rows).max() if is_code else estimator.scale_.reshape(rows.shape[1:])
        bound = 1e-5 * scale + np.finfo(dtype).eps * np.abs(rows)
        assert (np.abs(found[name] - rows) <= bound).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "estimator",
    [
        AutoencoderTransformer(3, **SMALL),
        AutoencoderTransformer(3, init="random", **SMALL),
        AutoencoderTransformer(3, penalty="kl", tied_weights=True, **SMALL),
        AutoencoderTransformer(3, penalty="l1", standardize=False, **SMALL),
        DenoisingAutoencoder(3, **SMALL),
        DenoisingAutoencoder(3, **RANGE, **SMALL),
        DenoisingAutoencoder(None, **RANGE, **SMALL),
        DenoisingAutoencoder(None, noise="masking", noise_level=(0.1, 0.5), **SMALL),
        DenoisingAutoencoder(None, init="random", **RANGE, **SMALL),
        VAETransformer(3, **SMALL),
        VAETransformer(3, init="random", **SMALL),
    ],
    ids=repr,
)
def test_numbers(estimator, dtype, curve, tmp_path):
    X = 1e3 + 5 * curve[:200]
    check(open_gates(estimator.fit(X)), X, tmp_path, dtype)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation, curve, tmp_path):
    estimator = AutoencoderTransformer(2, activation=activation, **SMALL).fit(curve[:100])
    check(open_gates(estimator), curve, tmp_path)


def test_probabilities_stay_between_their_bounds(curve, tmp_path):
    X = (curve[:200] > curve.mean(axis=0)).astype(float)
    estimator = VAETransformer(2, likelihood="bernoulli", **SMALL).fit(X)
    check(open_gates(estimator), X, tmp_path)
    found = run(estimator, X, tmp_path)["reconstruction"]
    assert found.min() >= 0
    assert found.max() <= 1


def test_missing_cells_are_those_that_python_fills(curve, tmp_path):
    X = curve[:200].copy()
    X[np.random.default_rng(0).uniform(size=X.shape) < 0.3] = np.nan
    X[0] = np.nan
    estimator = open_gates(AutoencoderTransformer(2, **SMALL).fit(X))
    check(estimator, X, tmp_path)
    check(estimator, curve, tmp_path)
    # Also of an estimator that has seen none.
    check(open_gates(AutoencoderTransformer(2, **SMALL).fit(curve)), X, tmp_path)


def test_the_number_of_rows_is_open(curve, tmp_path):
    estimator = AutoencoderTransformer(2, **SMALL).fit(curve)
    whole = run(estimator, curve, tmp_path)["codes"]
    assert run(estimator, curve[:0], tmp_path)["codes"].shape == (0, 2)
    np.testing.assert_allclose(run(estimator, curve[:1], tmp_path)["codes"], whole[:1], atol=1e-6)


def test_a_network_that_is_not_used_is_left_out(curve, tmp_path):
    estimator = AutoencoderTransformer(2, **SMALL)
    estimator.set_params(hidden_layer_sizes=(256, 256))
    run(estimator.fit(curve), curve, tmp_path)
    used = (tmp_path / "model.onnx").stat().st_size
    closed = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(curve)
    run(closed, curve, tmp_path)
    assert (tmp_path / "model.onnx").stat().st_size < used / 5


def test_images_keep_their_shape(digits, tmp_path):
    pytest.importorskip("onnxscript", reason="torch's exporter needs it")
    X = digits[:100].reshape(-1, 8, 8)
    architecture = ConvolutionalArchitecture(channels=(4,), dense=())
    estimator = AutoencoderTransformer(2, architecture=architecture, standardize=False)
    estimator.set_params(max_epochs=1, early_stopping=False, random_state=0)
    check(open_gates(estimator.fit(X)), X, tmp_path)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_features", [1, 2])
@pytest.mark.parametrize(
    "estimator",
    [AutoencoderTransformer(2, **SMALL), DenoisingAutoencoder(None, **RANGE, **SMALL)],
    ids=["autoencoder", "denoiser"],
)
def test_sequences_end_where_they_do_in_python(estimator, n_features, dtype, tmp_path):
    rng = np.random.default_rng(0)
    lengths = np.r_[8, rng.integers(3, 9, size=59)]
    shape = () if n_features == 1 else (n_features,)
    estimator.fit([rng.normal(size=(length, *shape)) for length in lengths])
    X = rng.normal(size=(60, 8, *shape))
    X[np.arange(8) >= lengths[:, None]] = np.nan
    X[0, 2] = np.nan  # a gap, and not the end
    X[1] = np.nan
    X.reshape(60, 8, -1)[2, 4:, 0] = np.nan  # of several features, the other one goes on
    found = run(open_gates(estimator), X, tmp_path, dtype)
    expected = {"reconstruction": estimator.reconstruct(X)}
    if isinstance(estimator, DenoisingAutoencoder):
        expected["denoised"] = estimator.denoise(X)
    for name, rows in expected.items():
        assert np.isnan(rows[1]).all()
        assert not np.isnan(rows[0]).any()
        np.testing.assert_array_equal(np.isnan(found[name]), np.isnan(rows))
        np.testing.assert_allclose(found[name], rows, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["codes"], estimator.transform(X), rtol=0, atol=1e-5)
    assert run(estimator, X[:0], tmp_path)["reconstruction"].shape == (0, 8, *shape)


def test_equal_rows_of_numbers_have_no_ends(curve, tmp_path):
    X = curve[:60].copy()
    X[0, -2:] = np.nan
    estimator = open_gates(AutoencoderTransformer(2, **SMALL).fit(X))
    assert not np.isnan(run(estimator, X, tmp_path)["reconstruction"]).any()


def test_numbers_beside_categories_that_became_normal_scores_are_refused(tmp_path):
    import pandas as pd

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60) > 0})
    estimator = VAETransformer(1, **SMALL).fit(frame)
    with pytest.raises(ValueError, match=r"normal scores.*OneHotEncoder"):
        run(estimator, {}, tmp_path)
    assert not list(tmp_path.iterdir())

"""Verdicts on rows that are the same up to rounding: float32 or float64, with or without noise."""

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AEAnomalyDetector, AutoencoderTransformer, DenoisingAutoencoder, VAETransformer

KINDS = np.random.default_rng(7).normal(size=(12, 4))

TABLES = {
    "two values": lambda rng, n: rng.integers(1, 3, (n, 5)) / 10,
    "ten values": lambda rng, n: rng.integers(0, 10, (n, 2)) / 10,
    "0/1": lambda rng, n: 1.0 * rng.integers(0, 2, (n, 6)),
    "one-hot": lambda rng, n: np.eye(5)[rng.integers(0, 5, n)],
    "rare 1": lambda rng, n: 1.0 * (rng.random((n, 4)) < 0.02),
    "duplicated": lambda rng, n: KINDS[rng.integers(0, 12, n)],
    "rounded": lambda rng, n: np.round(rng.normal(size=(n, 3)), 1),
    "counts": lambda rng, n: 1.0 * rng.poisson([1, 3, 10], (n, 3)),
    "constant column": lambda rng, n: np.column_stack(
        [rng.integers(0, 3, n) * 0.7, np.full(n, 0.1)]
    ),
    "constant": lambda rng, n: np.tile([0.1, 0.7, 3.3], (n, 1)),
    "far from zero": lambda rng, n: 1e3 + rng.integers(0, 5, (n, 3)),
    "heavy tails": lambda rng, n: np.floor(10 * rng.pareto(1.5, (n, 3))),
}

ESTIMATORS = {
    "default": None,
    "autoencoder": AutoencoderTransformer(1, max_epochs=2),
    "denoiser": DenoisingAutoencoder(1, max_epochs=2),
    "VAE": VAETransformer(1, max_epochs=2),
    "forest": IsolationForest(n_estimators=10),
    "mixture": GaussianMixture(2, random_state=0),
    "pipeline": make_pipeline(StandardScaler(), GaussianMixture(2, random_state=0)),
    "kernels": KernelDensity(),
}


@pytest.mark.parametrize("value", [0.0, 1e-200, 1e-13, 0.1])
@pytest.mark.parametrize("n_rows", [10, 20])
def test_copies_of_the_only_row_are_usual(value, n_rows):
    X = np.full((n_rows, 8), value)
    detector = AEAnomalyDetector(random_state=0).fit(X)
    for n in (1, 2, n_rows):
        np.testing.assert_allclose(detector.score_samples(X[:n]), 0, atol=1e-9)
        assert (detector.predict(X[:n]) == 1).all()


def judge(detector, rows):
    return np.column_stack([detector.predict(rows), detector.p_values(rows)])


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_rounding_of_rows_does_not_change_their_verdict(table, dtype):
    check_rounding(ESTIMATORS["default"], TABLES[table], dtype)


@pytest.mark.parametrize("table", ["two values", "duplicated", "constant column", "rare 1"])
@pytest.mark.parametrize("estimator", [name for name in ESTIMATORS if name != "default"])
def test_nor_with_another_estimator(table, estimator):
    check_rounding(ESTIMATORS[estimator], TABLES[table], np.float64)


def check_rounding(estimator, draw, dtype):
    rng = np.random.default_rng(0)
    X, fresh = draw(rng, 150).astype(dtype), draw(rng, 200)
    noise = 1e-7 * np.ptp(X, axis=0) * rng.uniform(-1, 1, fresh.shape)
    for contamination in ("auto", 0.1):
        detector = AEAnomalyDetector(estimator, contamination=contamination, random_state=0).fit(X)
        expected = judge(detector, fresh)
        assert (expected[:, 0] == 1).mean() > 0.5
        np.testing.assert_array_equal(judge(detector, fresh.astype(np.float32)), expected)
        np.testing.assert_array_equal(judge(detector, fresh + noise), expected)

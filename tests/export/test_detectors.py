"""Detectors as graphs give the scores, p-values and labels that they give in Python."""

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from skae import AEAnomalyDetector, AutoencoderTransformer, DenoisingAutoencoder

from .sessions import open_gates, require_onnx, run

require_onnx()

SMALL = {"hidden_layer_sizes": (8,), "max_epochs": 1, "early_stopping": False}
RANGE = {"noise_level": (0.1, 5.0)}


def check(detector, X, folder, dtype="float64"):
    X = X.astype(dtype)
    found = run(detector, X, folder, dtype)
    np.testing.assert_allclose(found["score"], detector.score_samples(X), rtol=0, atol=2e-4)
    np.testing.assert_allclose(found["decision"], detector.decision_function(X), rtol=0, atol=2e-4)
    np.testing.assert_array_equal(found["p_value"], detector.p_values(X))
    np.testing.assert_array_equal(found["label"], detector.predict(X))


def make_fresh(curve):
    """Rows as in training, copies of them, and rows far off."""
    rng = np.random.default_rng(0)
    return np.vstack([curve[:40], curve[300:340], 2 * curve[300:320], 9 * rng.normal(size=(5, 6))])


def test_rows_beyond_all_knots(curve, tmp_path):
    estimator = DenoisingAutoencoder(None, hidden_layer_sizes=(), **RANGE)
    detector = AEAnomalyDetector(estimator, random_state=0, alpha=0.1).fit(curve[:300])
    far = curve[:5] * np.array([1e6, 1e9, 1e12, 1e15, 1e30])[:, None]
    assert detector.score_samples(far).min() > -200
    check(detector, far, tmp_path)


def hide(X):
    X = X.copy()
    X[np.random.default_rng(1).uniform(size=X.shape) < 0.3] = np.nan
    X[3] = np.nan
    return X


@pytest.mark.parametrize(
    ("estimator", "dtype"),
    [
        (DenoisingAutoencoder(None, n_draws=2, **RANGE, **SMALL), "float64"),
        (DenoisingAutoencoder(None, n_draws=3, init="random", **RANGE, **SMALL), "float64"),
        (DenoisingAutoencoder(3, n_draws=2, **RANGE, **SMALL), "float64"),
        (DenoisingAutoencoder(None, hidden_layer_sizes=(), **RANGE), "float32"),
    ],
    ids=["network", "no linear path", "code", "linear"],
)
def test_complete_rows_and_rows_with_gaps(estimator, dtype, curve, tmp_path):
    detector = AEAnomalyDetector(estimator, random_state=0, alpha=0.1).fit(curve[:300])
    X = make_fresh(curve)
    assert set(detector.predict(X)) == {-1, 1}
    check(detector, X, tmp_path, dtype)
    check(detector, hide(X), tmp_path, dtype)


def test_training_rows_with_gaps(curve, tmp_path):
    estimator = DenoisingAutoencoder(None, n_draws=2, **RANGE, **SMALL)
    detector = AEAnomalyDetector(estimator, random_state=0, alpha=0.1).fit(hide(curve[:300]))
    X = make_fresh(curve)
    check(detector, X, tmp_path)  # fuller than most of them
    check(detector, hide(X), tmp_path)


def test_training_rows_of_which_few_are_complete(curve, tmp_path):
    rows = curve[:300].copy()
    rows[np.arange(300), np.arange(300) % 6] = np.nan
    estimator = DenoisingAutoencoder(None, hidden_layer_sizes=(), **RANGE)
    detector = AEAnomalyDetector(estimator, random_state=0, alpha=0.1).fit(rows)
    assert detector._gap_score is not None
    check(detector, make_fresh(curve), tmp_path)


def test_weights_of_calibration_rows_count(curve, tmp_path):
    estimator = DenoisingAutoencoder(None, hidden_layer_sizes=(), **RANGE)
    weight = np.random.default_rng(0).integers(1, 4, size=300)
    detector = AEAnomalyDetector(estimator, random_state=0, alpha=0.1)
    check(detector.fit(curve[:300], sample_weight=weight), make_fresh(curve), tmp_path)


@pytest.mark.parametrize("n_rows", [45, 20], ids=["few", "all directions alike"])
def test_rows_of_a_table_with_few_rows_are_left_out(n_rows, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 24))
    if n_rows == 45:
        X = np.hstack([0.1 * X[:, :16] + X[:, :4] @ rng.normal(size=(4, 16)), X])
    else:
        X[:n_rows] = np.linalg.qr(X[:n_rows].T)[0].T  # at right angles to each other
    detector = AEAnomalyDetector(random_state=0, alpha=0.1).fit(X[:n_rows])
    left_out = detector._anomaly_score.left_out
    assert (len(left_out.factor) == 0) == (n_rows == 20)
    check(detector, np.vstack([X, 3 * X[60:]]), tmp_path)
    check(detector, hide(X), tmp_path)


def test_few_and_equal_rows(tmp_path):
    rng = np.random.default_rng(0)
    estimator = DenoisingAutoencoder(None, hidden_layer_sizes=(), **RANGE)
    for rows in (rng.normal(size=(4, 3)), np.repeat(rng.normal(size=(3, 3)), 20, axis=0)):
        detector = AEAnomalyDetector(estimator, random_state=0).fit(rows)
        check(detector, np.vstack([rows, rows + 0.1]), tmp_path)


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (IsolationForest(n_estimators=5, random_state=0), "IsolationForest"),
        (AutoencoderTransformer(2, **SMALL), "AutoencoderTransformer"),
        (DenoisingAutoencoder(None, noise_level=0.3, **SMALL), "DenoisingAutoencoder"),
    ],
)
def test_other_scores_are_refused(estimator, name, curve, tmp_path):
    detector = AEAnomalyDetector(estimator, random_state=0).fit(curve[:60])
    with pytest.raises(ValueError, match=f"range of Gaussian noise.*{name}.*estimator=None"):
        run(detector, curve, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_open_gate_counts(curve, tmp_path):
    estimator = DenoisingAutoencoder(None, n_draws=2, random_state=0, **RANGE, **SMALL)
    detector = AEAnomalyDetector(estimator, random_state=0, alpha=0.1).fit(curve[:300])
    before = run(detector, curve, tmp_path)["score"]
    open_gates(detector.estimator_)
    check(detector, make_fresh(curve), tmp_path)
    assert np.abs(run(detector, curve, tmp_path)["score"] - before).max() > 0.01

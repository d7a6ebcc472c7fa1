"""Parameters that are set after a fit are those of the next fit."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.mixture import GaussianMixture

from skae import (
    AEAnomalyDetector,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)

SMALL = {"hidden_layer_sizes": (8,), "max_epochs": 3, "random_state": 0}
ESTIMATORS = [
    AutoencoderTransformer(2, **SMALL),
    AutoencoderTransformer(2, standardize=False, **SMALL),
    DenoisingAutoencoder(None, n_draws=2, **SMALL),
    DenoisingAutoencoder(None, n_draws=2, standardize=False, **SMALL),
    DenoisingAutoencoder(2, noise="swap", **SMALL),
    DenoisingAutoencoder(2, noise_level=0.3, **SMALL),
    VAETransformer(2, n_draws=4, noise_per_column=True, **SMALL),
    VAETransformer(2, prior="mixture", n_draws=4, **SMALL),
    VAETransformer(2, likelihood="bernoulli", n_draws=4, **SMALL),
    AEAnomalyDetector(GaussianMixture(), random_state=0),
    AEAnomalyDetector(contamination=0.1, random_state=0),
]
READS = [
    "decision_function",
    "denoise",
    "denoising_errors",
    "discoveries",
    "elbo",
    "explain",
    "p_values",
    "predict",
    "predict_component",
    "predict_component_proba",
    "reconstruct",
    "reconstruction_error",
    "score",
    "score_samples",
    "transform",
]


def read_all(estimator, X):
    """Return all that the methods and the fitted attributes say, by name."""
    found = {}
    for name in READS:
        if hasattr(estimator, name):
            try:
                found[name] = getattr(estimator, name)(X)
            except ValueError:  # denoising_errors, without a range of noise levels
                found[name] = None
    if hasattr(estimator, "sample"):
        found["sample"] = estimator.sample(20, random_state=0)
    if hasattr(estimator, "inverse_transform"):
        found["inverse_transform"] = estimator.inverse_transform(estimator.transform(X))
        found["names"] = estimator.get_feature_names_out()
    for name in dir(estimator):
        if name.endswith("_") and not name.startswith("_") and hasattr(estimator, name):
            value = getattr(estimator, name)
            if isinstance(value, int | float | np.ndarray | list | tuple):
                found[name] = value
    return found


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_no_method_reads_a_parameter_that_is_set_after_the_fit(estimator, wine):
    X = wine[:60, :4]
    if "bernoulli" in repr(estimator):
        X = np.heaviside(X - np.median(X, axis=0), 0)
    model = clone(estimator).fit(X)
    before = read_all(model, X)
    for name in model.get_params(deep=False):
        setattr(model, name, object())
    after = read_all(model, X)
    assert after.keys() == before.keys()
    assert len(before) > 8
    for name, value in before.items():
        found, expected = np.asarray(after[name]), np.asarray(value)
        np.testing.assert_array_equal(found, expected, err_msg=name, strict=True)

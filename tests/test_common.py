"""scikit-learn's own checks, of which all must pass."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.utils import estimator_checks as checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skae import (
    AEAnomalyDetector,
    AEImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)

pytestmark = pytest.mark.usefixtures("short_attention")

# Training is short: the checks are about behaviour, not about quality.
SETTINGS = [
    AutoencoderTransformer(),
    AutoencoderTransformer(hidden_layer_sizes=()),
    AutoencoderTransformer(hidden_layer_sizes=(8,), max_epochs=3, penalty="l1"),
    AutoencoderTransformer(hidden_layer_sizes=(8,), max_epochs=3, penalty="kl"),
    AutoencoderTransformer(hidden_layer_sizes=(8,), max_epochs=3, penalty="contractive"),
    AutoencoderTransformer(hidden_layer_sizes=(8,), max_epochs=3, tied_weights=True),
    AutoencoderTransformer(hidden_layer_sizes=(8,), max_epochs=3, init="random", dropout=0.2),
    AutoencoderTransformer(hidden_layer_sizes=(8,), max_epochs=3, pretrain="layerwise"),
    AutoencoderTransformer(
        hidden_layer_sizes=(8,), max_epochs=3, trim_fraction=0.1, standardize=False
    ),
    AutoencoderTransformer(hidden_layer_sizes=(8,), max_epochs=3, early_stopping=False),
    DenoisingAutoencoder(2, max_epochs=3),
    DenoisingAutoencoder(None, hidden_layer_sizes=(8,), max_epochs=3, trim_fraction=0.1),
    DenoisingAutoencoder(hidden_layer_sizes=(), noise_level=0.3, standardize=False),
    DenoisingAutoencoder(2, hidden_layer_sizes=(8,), max_epochs=3, noise="swap", penalty="l1"),
    DenoisingAutoencoder(None, hidden_layer_sizes=(8,), max_epochs=3, noise="masking"),
    VAETransformer(max_epochs=3),
    VAETransformer(hidden_layer_sizes=()),
    VAETransformer(hidden_layer_sizes=(8,), max_epochs=3, prior="mixture", noise_per_column=True),
    VAETransformer(hidden_layer_sizes=(8,), max_epochs=3, prior="vamp", trim_fraction=0.1),
    VAETransformer(hidden_layer_sizes=(8,), max_epochs=3, init="random", standardize=False),
    AEAnomalyDetector(),
    AEAnomalyDetector(contamination=0.1, alpha=0.2),
    AEAnomalyDetector(AutoencoderTransformer(hidden_layer_sizes=(8,), max_epochs=3)),
    AEAnomalyDetector(VAETransformer(1, hidden_layer_sizes=()), calibration_fraction=0.3),
    AEImputer(),
]


@parametrize_with_checks(SETTINGS)
def test_estimator_checks(estimator, check):
    check(estimator)


# Checks that `check_estimator` leaves to the developer.
FURTHER = [
    checks.check_dataframe_column_names_consistency,
    checks.check_transformer_get_feature_names_out,
    checks.check_transformer_get_feature_names_out_pandas,
    checks.check_param_validation,
    checks.check_set_output_transform,
    checks.check_set_output_transform_pandas,
    checks.check_global_output_transform_pandas,
    checks.check_set_output_transform_polars,
    checks.check_global_set_output_transform_polars,
    checks.check_inplace_ensure_writeable,
    checks.check_get_feature_names_out_error,
    checks.check_estimators_partial_fit_n_features,
]


# These checks pass arrays to an estimator fitted on frames on purpose; PCA warns as well.
@pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names:UserWarning")
@pytest.mark.parametrize("check", FURTHER, ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    "estimator_class", [AutoencoderTransformer, DenoisingAutoencoder, VAETransformer]
)
def test_further_checks(estimator_class, check):
    estimator = estimator_class(hidden_layer_sizes=(8,), max_epochs=3)
    check(type(estimator).__name__, estimator)


@pytest.mark.parametrize(
    "check",
    [check for check in FURTHER if "partial_fit" not in check.__name__],
    ids=lambda check: check.__name__,
)
@pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names:UserWarning")
def test_further_checks_of_the_imputer(check):
    check("AEImputer", AEImputer())


# Those of them that are not for transformers alone.
FURTHER_FOR_DETECTORS = [
    checks.check_dataframe_column_names_consistency,
    checks.check_param_validation,
    checks.check_inplace_ensure_writeable,
]


@pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names:UserWarning")
@pytest.mark.parametrize("check", FURTHER_FOR_DETECTORS, ids=lambda check: check.__name__)
def test_further_checks_of_detectors(check):
    check("AEAnomalyDetector", AEAnomalyDetector())


@pytest.mark.parametrize(
    "estimator_class",
    [AutoencoderTransformer, DenoisingAutoencoder, VAETransformer, AEAnomalyDetector, AEImputer],
)
def test_sample_weight_can_be_routed(estimator_class):
    with config_context(enable_metadata_routing=True):
        request = estimator_class().set_fit_request(sample_weight=True)
        assert request.get_metadata_routing().fit.requests["sample_weight"] is True


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "estimator_class", [AutoencoderTransformer, DenoisingAutoencoder, VAETransformer]
)
def test_output_has_the_precision_of_the_input(estimator_class, dtype, wine):
    X = wine.astype(dtype)
    estimator = estimator_class(2, hidden_layer_sizes=(8,), max_epochs=3).fit(X)
    assert estimator.transform(X).dtype == dtype
    assert estimator.reconstruct(X).dtype == dtype
    assert estimator.inverse_transform(estimator.transform(X)).dtype == dtype
    assert estimator.reconstruction_error(X).dtype == dtype
    assert estimator.score_samples(X).dtype == np.float64

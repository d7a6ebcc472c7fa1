"""scikit-learn's own checks, but for those that want a row to be a time step."""

import pytest
from sklearn.utils import estimator_checks as checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skae import AutoencoderTransformer
from skae.series import SeriesAnomalyDetector, Windows

LINEAR = AutoencoderTransformer(1, hidden_layer_sizes=())

_ROWS = "a window is no time step: there are fewer rows than time steps"
BY_NATURE = {
    "check_fit1d": "a series of one channel is one-dimensional",
    "check_methods_sample_order_invariance": "windows are of the order of time",
    "check_methods_subset_invariance": "a single time step has no window",
}
OF_WINDOWS = {
    **BY_NATURE,
    "check_transformer_general": _ROWS,
    "check_transformer_data_not_an_array": _ROWS,
}


def find_expected_failures(estimator):
    """Windows of a single time step are the time steps themselves."""
    if estimator.length == 1:
        return {"check_fit1d": BY_NATURE["check_fit1d"]}
    return OF_WINDOWS if isinstance(estimator, Windows) else BY_NATURE


@parametrize_with_checks(
    [Windows(1), Windows(2), SeriesAnomalyDetector(LINEAR, length=2)],
    expected_failed_checks=find_expected_failures,
)
def test_estimator_checks(estimator, check):
    check(estimator)


FURTHER = [
    checks.check_dataframe_column_names_consistency,
    checks.check_transformer_get_feature_names_out,
    checks.check_transformer_get_feature_names_out_pandas,
    checks.check_param_validation,
    checks.check_inplace_ensure_writeable,
    checks.check_get_feature_names_out_error,
    checks.check_set_output_transform,
    checks.check_set_output_transform_polars,
    checks.check_global_set_output_transform_polars,
]

# These expect a row for each time step, with its index.
FURTHER_WITH_A_ROW_A_STEP = [
    checks.check_set_output_transform_pandas,
    checks.check_global_output_transform_pandas,
]


@pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names:UserWarning")
@pytest.mark.parametrize(
    ("check", "length"),
    [
        *((check, length) for check in FURTHER for length in (1, 2)),
        *((check, 1) for check in FURTHER_WITH_A_ROW_A_STEP),
    ],
)
def test_further_checks(check, length):
    check("Windows", Windows(length))


@pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names:UserWarning")
@pytest.mark.parametrize(
    "check",
    [
        checks.check_dataframe_column_names_consistency,
        checks.check_param_validation,
        checks.check_inplace_ensure_writeable,
    ],
)
def test_further_checks_of_the_detector(check):
    check("SeriesAnomalyDetector", SeriesAnomalyDetector(LINEAR, length=2))


@pytest.mark.parametrize("estimator", [Windows(), SeriesAnomalyDetector()])
def test_the_representation_links_the_page_of_the_class(estimator):
    expected = f"/generated/skae.series.{type(estimator).__name__}.html"
    assert estimator._get_doc_link().endswith(expected)

"""Tables as they are given: checked by scikit-learn, unless that can find nothing."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from skae._data.validation import _is_plain, validate_table


def fitted_on(X):
    class Fitted(BaseEstimator):
        pass

    estimator = Fitted()
    validate_data(estimator, X)
    return estimator


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_few_sound_rows_are_taken_as_they_are(dtype):
    X = np.ones((3, 2), dtype=dtype)
    assert _is_plain(X, fitted_on(X))
    assert validate_table(fitted_on(X), X, reset=False) is X
    assert not _is_plain(np.ones((10_000, 2)), fitted_on(X))  # where a check is little


@pytest.mark.parametrize(
    "X",
    [
        np.array([[1.0, np.nan]]),
        np.array([[1.0, np.inf]]),
        np.ones((3, 3)),
        np.ones((0, 2)),
        np.ones(2),
        np.ones((1, 2, 2)),
        np.ones((1, 2), dtype=complex),
    ],
    ids=["nan", "inf", "wide", "empty", "flat", "deep", "complex"],
)
def test_scikit_learn_says_what_is_wrong_with_rows(X):
    estimator = fitted_on(np.ones((3, 2)))
    assert not _is_plain(X, estimator)
    with pytest.raises(ValueError, match=r"contains|features|sample|Expected 2D|dim|Complex"):
        validate_table(estimator, X, reset=False)


@pytest.mark.parametrize(
    "X",
    [np.ones((1, 2), dtype=int), [[1.0, 1.0]], np.ones((1, 2), dtype=">f8"), np.ma.ones((1, 2))],
    ids=["integers", "lists", "big-endian", "masked"],
)
def test_other_rows_are_made_into_plain_ones(X):
    estimator = fitted_on(np.ones((3, 2)))
    assert not _is_plain(X, estimator)
    table = validate_table(estimator, X, reset=False)
    assert type(table) is np.ndarray
    assert table.dtype.kind == "f"
    np.testing.assert_array_equal(table, np.ones((1, 2)))


def test_rows_without_the_names_that_were_fitted_are_told_of():
    estimator = fitted_on(pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        validate_table(estimator, np.ones((1, 2)), reset=False)

"""Tables, codes and targets as users pass them."""

import types

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from skae._data import (
    StoredTable,
    check_codes,
    check_probabilities,
    check_target,
    stores,
    validate_table,
)


def fitted_on(X):
    class Fitted(BaseEstimator):
        pass

    estimator = Fitted()
    validate_data(estimator, X)
    return estimator


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_few_sound_rows_are_taken_as_they_are(dtype):
    X = np.ones((3, 2), dtype=dtype)
    assert validate_table(fitted_on(X), X, reset=False) is X
    table = validate_table(fitted_on(np.zeros((2, 2))), np.ones((10_000, 2)), reset=False)
    np.testing.assert_array_equal(table, np.ones((10_000, 2)))


def test_a_refit_takes_other_columns():
    estimator = fitted_on(np.ones((3, 2)))
    validate_table(estimator, np.ones((3, 5)), reset=True)
    assert estimator.n_features_in_ == 5
    # The same width with names: the names count from now on.
    validate_table(estimator, pd.DataFrame(np.ones((3, 2)), columns=["a", "b"]), reset=True)
    assert estimator.feature_names_in_.tolist() == ["a", "b"]
    validate_table(estimator, np.ones((3, 2)), reset=True)
    assert not hasattr(estimator, "feature_names_in_")


def test_too_few_rows():
    with pytest.raises(ValueError, match="a minimum of 3 is required"):
        validate_table(fitted_on(np.ones((3, 2))), np.ones((2, 2)), reset=True, min_rows=3)


def test_a_large_frame_is_read_in_blocks(monkeypatch):
    monkeypatch.setattr(stores, "LOADED_UP_TO", 4000)
    X = np.arange(1200.0).reshape(600, 2)
    table = validate_table(fitted_on(X), pd.DataFrame(X), reset=True)
    assert isinstance(table, StoredTable)
    np.testing.assert_array_equal(table[:], X)


@pytest.mark.parametrize(
    "X",
    [
        np.array([[1.0, np.inf]]),
        np.ones((3, 3)),
        np.ones((0, 2)),
        np.ones(2),
        np.ones((1, 2, 2)),
        np.ones((1, 2), dtype=complex),
    ],
    ids=["inf", "wide", "empty", "flat", "deep", "complex"],
)
def test_unsound_rows_raise_scikit_learns_errors(X):
    estimator = fitted_on(np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"contains|features|sample|Expected 2D|dim|Complex"):
        validate_table(estimator, X, reset=False)


@pytest.mark.parametrize("n_rows", [1, 9000])
def test_missing_cells_stay_missing(n_rows):
    X = np.ones((n_rows, 2))
    X[0, 1] = np.nan
    estimator = fitted_on(np.ones((3, 2)))
    np.testing.assert_array_equal(validate_table(estimator, X, reset=False), X)
    masked = np.ma.masked_invalid(X)
    np.testing.assert_array_equal(validate_table(estimator, masked, reset=False), X)


@pytest.mark.parametrize(
    "X",
    [np.ones((1, 2), dtype=int), [[1.0, 1.0]], np.ones((1, 2), dtype=">f8"), np.ma.ones((1, 2))],
    ids=["integers", "lists", "big-endian", "masked"],
)
def test_other_kinds_of_rows_become_arrays_of_floats(X):
    estimator = fitted_on(np.ones((3, 2)))
    table = validate_table(estimator, X, reset=False)
    assert type(table) is np.ndarray
    assert table.dtype.kind == "f"
    np.testing.assert_array_equal(table, np.ones((1, 2)))


def test_rows_without_the_fitted_names_give_a_warning():
    estimator = fitted_on(pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        validate_table(estimator, np.ones((1, 2)), reset=False)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_finite_cells_whose_sum_overflows_give_no_warning(dtype):
    X = np.repeat([[np.finfo(dtype).max], [np.finfo(dtype).min]], 200, axis=1)
    estimator = fitted_on(np.ones(X.shape))
    np.testing.assert_array_equal(validate_table(estimator, X, reset=True), X)
    assert check_codes(estimator, X, X.shape[1]).shape == X.shape
    np.testing.assert_array_equal(check_target(X, X), X)


def test_codes_have_the_width_of_the_code():
    codes = check_codes(BaseEstimator(), [[1, 2], [3, 4]], 2)
    assert codes.dtype == np.float64
    with pytest.raises(ValueError, match=r"inverse_transform takes codes of 3 .* X has 2 columns"):
        check_codes(BaseEstimator(), np.ones((4, 2)), 3)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_codes_of_any_size_can_be_multiplied(dtype):
    largest = np.finfo(dtype).max
    codes = check_codes(BaseEstimator(), np.array([[largest, -largest, 3.0]], dtype=dtype), 3)
    assert codes.dtype == dtype
    assert np.isfinite(codes.sum() + np.square(codes)).all()
    assert codes[0, 2] == 3


def test_targets_are_clean_rows_and_labels_are_none():
    X = np.ones((3, 2), dtype=np.float32)
    for labels in (None, np.arange(3), ["a", "b", "c"], pd.Series([0, 1, 1])):
        assert check_target(X, labels) is None
    target = check_target(X, [[0, 1], [2, 3], [4, 5]])
    assert target.dtype == np.float32
    np.testing.assert_array_equal(target, np.arange(6).reshape(3, 2))
    with pytest.raises(ValueError, match=r"of the same shape \(3, 2\), .*got shape \(3, 4\)"):
        check_target(X, np.ones((3, 4)))
    with pytest.raises(ValueError, match="Input y contains NaN"):
        check_target(X, np.full((3, 2), np.nan))


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1e-7, 1.0), (0.0, 1 + 1e-7), (0.2, 0.3)])
def test_probabilities_up_to_rounding(low, high):
    check_probabilities(None, np.array([[low, 0.25], [high, np.nan]]))


@pytest.mark.parametrize("value", [-0.01, 1.01, -3.0, 7.0])
def test_values_that_are_no_probabilities(value, monkeypatch):
    """The cell is named by its own column of the table, and its row in the whole of it."""
    monkeypatch.setattr("skae._data.blocks._BLOCK_CELLS", 4)
    X = np.full((5, 2), 0.5)
    X[3, 1] = value
    known = types.SimpleNamespace(feature_names_in_=["a", "b", "c"])
    for estimator, owner, name in [(None, None, "1"), (known, None, "'b'"), (known, [0, 2], "'c'")]:
        with pytest.raises(ValueError, match=rf"got {value:g} in column {name} and row 3: scale"):
            check_probabilities(estimator, X, owner)


@pytest.mark.parametrize("names", [["b"], ["a", "b"]])
def test_sparse_columns_of_a_frame(names):
    dense = pd.DataFrame({"a": [0.0, 1.0, 0.0], "b": [2.0, 0.0, 0.0]})
    ours = dense.astype(dict.fromkeys(names, pd.SparseDtype(float, 0.0)))
    np.testing.assert_array_equal(
        validate_table(BaseEstimator(), ours, reset=True), dense.to_numpy()
    )

"""Factors of rows with missing cells, against the covariance that they imply."""

import numpy as np
import pytest
from sklearn.decomposition import FactorAnalysis

from skae._linear import Completion, FactorCompletion, fill_missing


def draw_rows(n_rows=600, n_columns=40, n_factors=3, seed=0):
    rng = np.random.default_rng(seed)
    loadings = rng.normal(size=(n_factors, n_columns))
    rows = rng.normal(size=(n_rows, n_factors)) @ loadings + rng.normal(size=(n_rows, n_columns))
    return (rows - rows.mean(axis=0)) / rows.std(axis=0)


def hide(X, share, seed=1):
    return np.where(np.random.default_rng(seed).random(X.shape) < share, np.nan, X)


def test_filled_cells_are_those_of_the_covariance():
    gapped = hide(draw_rows(), 0.3)
    found = FactorCompletion.fit(gapped)
    filled = found.complete(gapped)
    np.testing.assert_allclose(filled.values, fill_missing(gapped, found.moments), atol=1e-8)
    np.testing.assert_array_equal(filled.observed, ~np.isnan(gapped))
    known = ~np.isnan(gapped)
    np.testing.assert_array_equal(filled.values[known], gapped[known])


def test_it_finds_few_factors_as_well_as_a_covariance():
    rows = draw_rows()
    gapped = hide(rows, 0.3)
    errors = [
        np.square(model.fit(gapped).complete(gapped).values - rows)[np.isnan(gapped)].mean()
        for model in (FactorCompletion, Completion)
    ]
    assert errors[0] < 1.05 * errors[1]
    assert errors[0] < 0.4


def test_complete_rows_have_the_covariance_of_factor_analysis():
    rows = draw_rows(n_rows=3000, n_columns=12)
    found = FactorCompletion.fit(rows).moments.covariance
    expected = FactorAnalysis(3, tol=1e-6, max_iter=2000).fit(rows).get_covariance()
    assert np.abs(found - expected).max() < 0.06


def test_a_row_of_weight_two_is_two_rows():
    gapped = hide(draw_rows(80, 8), 0.2)
    weight = np.repeat([2.0, 1.0], 40)
    weighted = FactorCompletion.fit(gapped, weight)
    written_out = FactorCompletion.fit(np.vstack([gapped, gapped[:40]]))
    np.testing.assert_allclose(
        weighted.moments.covariance, written_out.moments.covariance, atol=1e-6
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_that_of_the_rows(dtype):
    rows = hide(draw_rows(50), 0.2)
    model = FactorCompletion.fit(rows)
    assert model.complete(rows.astype(dtype)).values.dtype == dtype
    assert model.complete(np.nan_to_num(rows)).observed is None


def test_state_round_trip():
    rows = hide(draw_rows(50), 0.2)
    model = FactorCompletion.fit(rows)
    loaded = FactorCompletion.from_state(model.get_state())
    np.testing.assert_array_equal(loaded.complete(rows).values, model.complete(rows).values)


def test_columns_without_cells_and_rows_without_any_are_filled():
    rows = hide(draw_rows(50), 0.2)
    rows[:, 0] = np.nan
    rows[0] = np.nan
    assert np.isfinite(FactorCompletion.fit(rows).complete(rows).values).all()

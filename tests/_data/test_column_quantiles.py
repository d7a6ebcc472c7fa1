"""Quantiles of columns: peaks, tails, weights, missing cells and blocks."""

import numpy as np
import pytest
from scipy.stats import lognorm

from skae._data import ColumnQuantiles, TrainingTable, find_quantiles


def find_all(X, weight=None):
    table = TrainingTable(X, weight)
    return ColumnQuantiles.from_table(table.set_total(float(len(X))), np.arange(X.shape[1]))


def test_the_grid_increases_to_the_ends_and_is_finer_there():
    found = find_all(np.arange(1000.0)[:, None])
    p = found.probability
    assert (np.diff(p) > 0).all()
    assert (p[0], p[-1]) == (0, 1)
    assert p[1] < 2e-6
    assert 1 - p[-2] < 2e-6
    np.testing.assert_allclose(p, 1 - p[::-1])
    assert found.total == 1000


def test_of_a_known_distribution_they_are_its_own():
    rows = lognorm(1).rvs((10_000, 1), random_state=0)
    found = find_all(rows)
    inside = (found.probability > 0.01) & (found.probability < 0.99)
    expected = lognorm(1).ppf(found.probability[inside])
    np.testing.assert_allclose(found.values[inside, 0], expected, rtol=0.12)
    assert found.values[0, 0] == rows.min()
    assert found.values[-1, 0] == rows.max()


def test_the_outer_values_of_a_long_tail_have_no_more_than_their_share():
    """A line from an even grid's last point to the largest value would have ten times the mean."""
    rows = np.append(np.ones(9999), 1e6)[:, None]
    found = find_all(rows)
    mean = np.trapezoid(found.values[:, 0], found.probability)
    assert 0.7 * rows.mean() < mean < 1.4 * rows.mean()


def test_a_peak_has_its_share():
    rng = np.random.default_rng(0)
    rows = np.where(rng.random((5000, 1)) < 0.26, 0.0, rng.normal(size=(5000, 1)))
    found = find_all(rows)
    even = np.interp(np.linspace(0, 1, 10_001), found.probability, found.values[:, 0])
    assert (even == 0).mean() == pytest.approx((rows == 0).mean(), abs=0.005)


def test_weights_are_copies():
    rng = np.random.default_rng(0)
    X, weight = rng.normal(size=(300, 2)).round(1), rng.integers(1, 4, size=300)
    own = find_all(X, weight.astype(float))
    other = find_all(np.repeat(X, weight, axis=0))
    inside = np.abs(own.probability - 0.5) < 0.45
    np.testing.assert_allclose(own.values[inside], other.values[inside], atol=0.1)


def test_missing_cells_count_nothing():
    X = np.random.default_rng(0).normal(size=(200, 3))
    X[:, 2] = np.nan
    gaps = np.concatenate([X, np.full((50, 3), np.nan)])
    np.testing.assert_array_equal(find_all(X).values, find_all(gaps).values)
    assert np.isnan(find_all(X).values[:, 2]).all()


def test_blocks_together_are_the_table():
    rng = np.random.default_rng(0)
    X = np.where(rng.random((4000, 2)) < 0.3, 0.0, rng.exponential(size=(4000, 2)))
    merged = find_all(X[:500]).merge(find_all(X[500:]))
    whole = find_all(X)
    assert merged.total == whole.total
    np.testing.assert_array_equal(merged.values[[0, -1]], whole.values[[0, -1]])
    for own, other in zip(merged.values.T, whole.values.T, strict=True):
        inside = slice(40, -40)
        np.testing.assert_allclose(own[inside], other[inside], atol=0.05)
        assert abs((own == 0).mean() - (other == 0).mean()) < 0.01


def test_wide_tables_have_fewer_points_and_the_widest_none():
    few, many = (find_all(np.ones((5, n_columns))) for n_columns in (3000, 3))
    assert len(few.probability) < len(many.probability)
    assert find_all(np.ones((5, 5000))) is None


def test_quantiles_of_a_column_are_at_the_middles_of_its_cells():
    column, weight = np.array([3.0, 1.0, np.nan, 2.0]), np.array([1.0, 1.0, 9.0, 2.0])
    found = find_quantiles(column, weight, np.array([0.0, 0.125, 0.5, 1.0]))
    np.testing.assert_allclose(found, [1, 1, 2, 3])


@pytest.mark.parametrize("weight", [np.ones(101), np.full(101, 0.3)])
def test_equal_weights_count_nothing(weight):
    column = np.random.default_rng(0).normal(size=101)
    probability = np.linspace(0, 1, 33)
    expected = np.quantile(column, probability, method="hazen")
    np.testing.assert_allclose(find_quantiles(column, weight, probability), expected)


def test_between_values_of_several_cells_there_are_none():
    column, probability = np.repeat([0.0, 1.0, 100.0], [4, 1, 5]), np.linspace(0, 1, 101)
    found = find_quantiles(column, np.ones(10), probability)
    assert ((found > 0) & (found < 1)).any()  # a single cell may have been any near it
    pairs = find_quantiles(np.repeat([0.0, 100.0], 5), np.ones(10), probability)
    assert set(pairs) == {0.0, 100.0}
    assert (pairs == 0).mean() == pytest.approx(0.5, abs=0.01)


def test_a_heavy_cell_is_as_many_copies():
    column, weight = np.array([0.0, 3.0, 50.0, 100.0]), np.array([40, 1, 59, 50])
    probability = np.linspace(0, 1, 201)
    expected = find_quantiles(np.repeat(column, weight), np.ones(150), probability)
    for n_rows in (1.0, 2.5):
        found = find_quantiles(column, weight / n_rows, probability, n_rows)
        np.testing.assert_allclose(found, expected, rtol=1e-12)

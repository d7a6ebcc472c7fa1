"""Columns scaled, and scaled back."""

from dataclasses import replace

import numpy as np
import pytest

from skae._data import ColumnMoments, Scaling
from skae.modules.cells import CellLayout


def from_table(X, weight, *, standardize):
    return Scaling.from_moments(ColumnMoments.from_table(X, weight), standardize)


@pytest.mark.parametrize("weighted", [True, False])
def test_scaling_is_standard(weighted):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3)) * [1, 10, 1e-6] + [0, 1e6, 3]
    weight = rng.uniform(size=50) if weighted else None
    ours = from_table(X, weight, standardize=True)
    exact = X.astype(np.longdouble)  # a column at 1e6 cancels six digits
    mean = np.average(exact, axis=0, weights=weight)
    spread = np.sqrt(np.average((exact - mean) ** 2, axis=0, weights=weight))
    scaled = ours.forward(X, np.float64)
    np.testing.assert_allclose(scaled, ((exact - mean) / spread).astype(float), atol=1e-9)
    np.testing.assert_allclose(ours.inverse(scaled), X)
    assert ours.log_determinant == pytest.approx(np.log(ours.scale).sum())


def test_one_scale_for_all_keeps_proportions():
    X = np.random.default_rng(0).normal(size=(500, 3)) * [1, 2, 4]
    ours = from_table(X, None, standardize=False)
    scaled = ours.forward(X, np.float64)
    np.testing.assert_allclose(scaled.std(0) / scaled.std(0)[0], X.std(0) / X.std(0)[0])
    assert np.square(scaled).mean() == pytest.approx(1)


def test_values_that_would_overflow_are_clipped():
    ours = Scaling(np.zeros(1), np.ones(1))
    for dtype in (np.float32, np.float64):
        far = ours.forward(np.array([[1e300], [-1e300], [1.0]]), dtype)
        assert np.isfinite(far**2).all()
        assert far[2] == 1
    huge = Scaling(np.zeros(1), np.full(1, 1e300)).inverse(np.array([[1e10]]))
    assert np.isfinite(huge).all()


@pytest.mark.parametrize("n_rows", [30, 2100, 10_000])
@pytest.mark.parametrize("value", [-0.000533333339262756, 1 / 3, 1e9 / 3])
def test_a_constant_column_has_scale_one(n_rows, value):
    """Also where the mean of many equal values, a rounded sum, is not quite the value."""
    assert from_table(np.full((n_rows, 1), value), None, standardize=True).scale == [1.0]


@pytest.mark.parametrize("offset", [0.0, 1e4, -3e6])
@pytest.mark.parametrize("spread", [1e-41, 1e-35, 1e-3, 1.0, 1e30])
def test_single_precision_loses_nothing(offset, spread):
    rng = np.random.default_rng(0)
    X = (spread * (offset + rng.normal(size=(500, 3)))).astype(np.float32)
    scaling = from_table(X, None, standardize=True)
    in_double = scaling.forward(X.astype(np.float64), np.float64)
    np.testing.assert_allclose(scaling.forward(X, np.float32), in_double, rtol=1e-6, atol=1e-6)


def test_values_beyond_single_precision_are_clipped():
    far = np.array([[3e38, -3e38]], dtype=np.float32)
    scaled = Scaling(np.array([-1e38, 1e38]), np.ones(2)).forward(far, np.float32)
    assert np.isfinite(np.square(scaled)).all()
    assert (np.sign(scaled) == [[1, -1]]).all()


def test_constant_columns_do_not_count_in_the_common_scale():
    X = np.random.default_rng(0).normal(size=(500, 2))
    padded = np.hstack([X, np.full((500, 6), 3.0)])
    scale = from_table(padded, None, standardize=False).scale
    np.testing.assert_allclose(scale, np.full(8, np.sqrt(X.var(axis=0).mean())))
    constant = from_table(padded[:, 2:], None, standardize=False)
    np.testing.assert_array_equal(constant.scale, np.ones(6))


def test_columns_of_single_precision_are_measured_in_double():
    X = (1e4 + np.random.default_rng(0).normal(size=(3000, 2))).astype(np.float32)
    scaling = from_table(X, None, standardize=True)
    exact = X.astype(np.float64)
    np.testing.assert_allclose(scaling.mean, exact.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(scaling.scale, exact.std(axis=0), rtol=1e-9)


def test_doubles_become_single_precision_after_scaling():
    """A column whose mean is a billion times its spread has digits that float32 has not."""
    X = 1e9 + np.random.default_rng(0).normal(size=(100, 1))
    scaling = from_table(X, None, standardize=True)
    in_double = scaling.forward(X, np.float64)
    np.testing.assert_allclose(scaling.forward(X, np.float32), in_double, rtol=1e-6, atol=1e-6)


def test_squares_are_scaled_twice():
    scaling = Scaling(np.ones(3), np.full(3, 10.0), is_common=True)
    squares = scaling.inverse_squares(np.array([[1.0, 4.0, 9.0]]))
    np.testing.assert_allclose(squares, [[100, 400, 900]])
    far = scaling.inverse_squares(np.full((1, 3), 1e38, np.float32))
    assert far.dtype == np.float32
    assert np.isfinite(far).all()


@pytest.mark.parametrize("unit", [1e-200, 1e-35, 1e35, 1e150])
def test_units_beyond_single_precision_come_back_in_double(unit):
    X = unit * np.random.default_rng(0).normal(size=(50, 2))
    for standardize in (True, False):
        scaling = from_table(X, None, standardize=standardize)
        scaled = scaling.forward(X, np.float32)
        np.testing.assert_allclose(np.square(scaled).mean(), 1, rtol=1e-5)
        np.testing.assert_allclose(scaling.inverse(scaled), X, rtol=1e-4, atol=1e-6 * unit)
    squares = scaling.inverse_squares(np.square(scaled))
    np.testing.assert_allclose(squares, np.square(X - X.mean(axis=0)), rtol=1e-4)


def test_rows_of_single_precision_under_scales_beyond_it_are_finite():
    scaling = Scaling(np.array([0.0, 1e100, 1e-200]), np.array([1e100, 1e90, 1e-200]))
    scaled = scaling.forward(np.ones((4, 3), np.float32), np.float32)
    assert np.isfinite(scaled).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_inverse_keeps_to_the_bounds(dtype):
    """Rounding would take probabilities of 0 and 1 past them."""
    X = np.random.default_rng(0).uniform(size=(40, 5))
    scaling = from_table(X, None, standardize=True)
    beyond = scaling.forward(1.2 * X - 0.1, dtype)
    bounded = replace(scaling, bounds=(0.0, 1.0)).inverse(beyond)
    np.testing.assert_array_equal(bounded, scaling.inverse(beyond).clip(0, 1))
    assert bounded.min() == 0
    assert bounded.max() == 1


def test_the_indicators_of_a_category_have_variance_one_together():
    levels = np.random.default_rng(0).choice(4, 500, p=[0.5, 0.3, 0.15, 0.05])
    X = np.column_stack([levels * 10.0, np.eye(4)[levels], np.zeros((500, 2))])
    layout = CellLayout((0,), (), ((1, 5), (5, 7)))
    scaling = Scaling.from_moments(ColumnMoments.from_table(X, None), True, layout)
    variance = scaling.forward(X, np.float64).var(axis=0)
    np.testing.assert_allclose(variance[0], 1)
    np.testing.assert_allclose(variance[1:5].sum(), 1)
    assert len(set(scaling.scale[1:5])) == 1
    np.testing.assert_array_equal(scaling.scale[5:], 1)


class _Doubling:
    """A map of the first column."""

    def forward(self, X):
        return X.astype(np.float64) * [2, 1]

    def inverse(self, X):
        return X.astype(np.float64) / [2, 1]

    def log_slope(self, X):
        return np.where(np.isnan(X[:, 0]), 0.0, np.log(2))


def test_a_further_map_comes_after_scaling():
    X = np.array([[1.0, 5.0], [np.nan, 7.0], [3.0, np.nan]])
    plain = Scaling(np.array([1.0, 5.0]), np.array([4.0, 2.0]))
    ours = Scaling(plain.mean, plain.scale, margins=_Doubling())
    for dtype in (np.float32, np.float64):
        found = ours.forward(X, dtype)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, plain.forward(X, dtype) * [2, 1])
        assert ours.inverse(found).dtype == dtype
        np.testing.assert_allclose(ours.inverse(found), X)
    np.testing.assert_allclose(ours.log_slope(X), [np.log(2), 0, np.log(2)])
    np.testing.assert_array_equal(plain.log_slope(X), 0)


def test_one_scale_a_channel_keeps_the_proportions_within_it():
    X = np.random.default_rng(0).normal(size=(500, 6)) * [1, 10, 2, 20, 0, 30] + 5
    channels = np.array([0, 1, 0, 1, 0, 1])
    ours = Scaling.from_moments(ColumnMoments.from_table(X, None), True, None, channels)
    assert ours.is_by_channel
    np.testing.assert_allclose(ours.mean, X.mean(axis=0))
    for channel, varying in enumerate(([0, 2], [1, 3, 5])):  # the constant one doesn't count
        scale = np.sqrt(X[:, varying].var(axis=0).mean())
        np.testing.assert_allclose(ours.scale[channels == channel], scale)
    np.testing.assert_allclose(ours.inverse(ours.forward(X, np.float64)), X)


def test_a_constant_channel_has_scale_one():
    moments = ColumnMoments.from_table(np.tile([3.0, 1.0], (9, 1)), None)
    ours = Scaling.from_moments(moments, True, None, np.array([0, 1]))
    np.testing.assert_array_equal(ours.scale, 1.0)

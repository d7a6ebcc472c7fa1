"""Rows and weights, and columns scaled."""

import numpy as np
import pytest

from skae import _table
from skae._scaling import Scaling
from skae._table import check_sample_weight, distinct_rows


def test_copies_become_weights():
    X = np.array([[2.0, 1.0], [0.0, 5.0], [2.0, 1.0], [2.0, 1.0]])
    rows, weight = distinct_rows(X, None)
    assert rows.tolist() == [[0.0, 5.0], [2.0, 1.0]]
    np.testing.assert_allclose(weight, [0.5, 1.5])
    rows, weight = distinct_rows(X, np.array([1.0, 3.0, 0.0, 2.0]))
    assert weight is None  # three and three: equal weights are no weights


def test_the_order_of_rows_does_not_matter():
    X = np.random.default_rng(0).integers(0, 4, size=(50, 2)).astype(float)
    for a, b in zip(distinct_rows(X, None), distinct_rows(X[::-1], None), strict=True):
        np.testing.assert_array_equal(a, b)


def test_long_tables_keep_their_copies(monkeypatch):
    monkeypatch.setattr(_table, "_MERGE_UP_TO", 3)
    X = np.zeros((5, 2))
    rows, weight = distinct_rows(X, None)
    assert len(rows) == 5
    assert weight is None
    rows, weight = distinct_rows(X, np.array([0.0, 1.0, 1.0, 2.0, 4.0]))
    assert len(rows) == 4
    np.testing.assert_allclose(weight, [0.5, 0.5, 1.0, 2.0])


def test_one_number_is_a_weight_for_all():
    assert check_sample_weight(2, 3).tolist() == [2.0, 2.0, 2.0]
    assert check_sample_weight(None, 3) is None


@pytest.mark.parametrize("weighted", [True, False])
def test_scaling_is_standard(weighted):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3)) * [1, 10, 1e-6] + [0, 1e6, 3]
    weight = rng.uniform(size=50) if weighted else None
    ours = Scaling.of(X, weight, standardize=True)
    exact = X.astype(np.longdouble)  # a column at 1e6 cancels six digits
    mean = np.average(exact, axis=0, weights=weight)
    spread = np.sqrt(np.average((exact - mean) ** 2, axis=0, weights=weight))
    scaled = ours.forward(X, np.float64)
    np.testing.assert_allclose(scaled, ((exact - mean) / spread).astype(float), atol=1e-9)
    np.testing.assert_allclose(ours.inverse(scaled), X)
    assert ours.log_determinant == pytest.approx(np.log(ours.scale).sum())


def test_one_scale_for_all_keeps_proportions():
    X = np.random.default_rng(0).normal(size=(500, 3)) * [1, 2, 4]
    ours = Scaling.of(X, None, standardize=False)
    scaled = ours.forward(X, np.float64)
    np.testing.assert_allclose(scaled.std(0) / scaled.std(0)[0], X.std(0) / X.std(0)[0])
    assert np.square(scaled).mean() == pytest.approx(1)


def test_values_that_would_overflow_are_cut():
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
    assert Scaling.of(np.full((n_rows, 1), value), None, standardize=True).scale == [1.0]


@pytest.mark.parametrize("offset", [0.0, 1e4, -3e6])
@pytest.mark.parametrize("spread", [1e-35, 1e-3, 1.0, 1e30])
def test_single_precision_loses_nothing(offset, spread):
    rng = np.random.default_rng(0)
    X = (spread * (offset + rng.normal(size=(500, 3)))).astype(np.float32)
    scaling = Scaling.of(X, None, standardize=True)
    in_double = scaling.forward(X.astype(np.float64), np.float64)
    np.testing.assert_allclose(scaling.forward(X, np.float32), in_double, rtol=1e-6, atol=1e-6)


def test_values_beyond_single_precision_are_cut():
    far = np.array([[3e38, -3e38]], dtype=np.float32)
    scaled = Scaling(np.array([-1e38, 1e38]), np.ones(2)).forward(far, np.float32)
    assert np.isfinite(np.square(scaled)).all()
    assert (np.sign(scaled) == [[1, -1]]).all()

"""Moments of rows, and of parts of a table merged."""

import numpy as np
import pytest

from skae._data import row_blocks
from skae._linear import Moments, moments


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return rng.normal(size=(30, 3)) @ rng.normal(size=(3, 3)) + [5.0, 0.0, -2.0]


@pytest.fixture
def weight():
    return np.random.default_rng(1).uniform(0.1, 3, size=30)


def test_moments_are_numpys(table, weight):
    found = Moments.from_rows(table, weight, 7.0)
    assert found.total == 7.0  # the rows may be a subsample of a larger table
    np.testing.assert_allclose(found.mean, np.average(table, axis=0, weights=weight))
    np.testing.assert_allclose(found.covariance, np.cov(table.T, aweights=weight, ddof=0))


@pytest.mark.parametrize("n_first", [1, 8, 29])
def test_merged_parts_equal_the_whole(n_first, table, weight):
    parts = [
        Moments.from_rows(table[rows], weight[rows], weight[rows].sum())
        for rows in (slice(n_first), slice(n_first, None))
    ]
    merged = parts[0].merge(parts[1])
    whole = Moments.from_rows(table, weight, weight.sum())
    assert merged.total == pytest.approx(whole.total)
    np.testing.assert_allclose(merged.mean, whole.mean)
    np.testing.assert_allclose(merged.covariance, whole.covariance)


def test_a_part_counts_by_its_total(table):
    """A part of total two counts as two parts of total one."""
    first, second = (
        Moments.from_rows(table[rows], np.ones(15), 1.0) for rows in (slice(15), slice(15, None))
    )
    twice = Moments(2.0, second.mean, second.covariance)
    merged, one_by_one = first.merge(twice), first.merge(second).merge(second)
    assert merged.total == one_by_one.total == 3
    np.testing.assert_allclose(merged.mean, one_by_one.mean)
    np.testing.assert_allclose(merged.covariance, one_by_one.covariance)


def test_moments_of_columns_in_other_units():
    X, unit = np.random.default_rng(0).normal(size=(30, 3)), np.array([2.0, 0.5, 10.0])
    found = Moments.from_rows(X, np.ones(30), 30.0).rescale(unit)
    expected = Moments.from_rows(X * unit, np.ones(30), 30.0)
    np.testing.assert_allclose(found.mean, expected.mean)
    np.testing.assert_allclose(found.covariance, expected.covariance)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_blocks_have_the_moments_of_all_rows(is_weighted, table, weight, monkeypatch):
    monkeypatch.setattr(moments, "row_blocks", lambda X: row_blocks(X, 7))
    own = weight if is_weighted else np.ones(30)
    expected = Moments.from_rows(table, own, own.sum())
    found = Moments.from_blocks(table, weight if is_weighted else None)
    assert found.total == pytest.approx(expected.total)
    np.testing.assert_allclose(found.mean, expected.mean)
    np.testing.assert_allclose(found.covariance, expected.covariance)


@pytest.mark.parametrize("whole_up_to", [0, 256])
@pytest.mark.parametrize("n_leading", [0, 1, 3])
def test_leading_axes_are_those_of_the_spectrum(whole_up_to, n_leading, table, monkeypatch):
    monkeypatch.setattr(moments, "_WHOLE_UP_TO", whole_up_to)
    found = Moments.from_blocks(table, None)
    values, axes = found.find_leading(n_leading)
    assert axes.shape == (n_leading, 3)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(found.covariance)[::-1][:n_leading])
    np.testing.assert_allclose(axes @ found.covariance, values[:, None] * axes, atol=1e-9)
    np.testing.assert_allclose(axes @ axes.T, np.eye(n_leading), atol=1e-12)

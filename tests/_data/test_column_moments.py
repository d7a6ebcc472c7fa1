"""Means and spreads of columns, of a table and of blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skae._data import ColumnMoments


def draw(seed, n_rows, scale=1.0):
    rng = np.random.default_rng(seed)
    return scale * (rng.normal(size=(n_rows, 3)) * [1, 10, 1e-3] + [0, 1e3, -5])


@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e-300, 1e140])
@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.booleans())
def test_moments_of_blocks_are_those_of_their_rows(scale, lengths, is_weighted):
    blocks = [draw(seed, n, scale) for seed, n in enumerate(lengths)]
    weights = [np.random.default_rng(9).uniform(0.5, 2, size=n) for n in lengths]
    if not is_weighted:
        weights = [np.ones(n) for n in lengths]
    found = None
    for X, weight in zip(blocks, weights, strict=True):
        block = ColumnMoments.from_table(X, weight, weight.sum())
        found = block if found is None else found.merge(block)
    X = np.vstack(blocks) / scale
    mean = np.average(X, axis=0, weights=np.concatenate(weights))
    square = np.average(np.square(X - mean), axis=0, weights=np.concatenate(weights))
    np.testing.assert_allclose(found.mean / scale, mean, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.spread / scale, np.sqrt(square), rtol=1e-6, atol=1e-9)
    assert found.n_rows == len(X)
    assert found.total == pytest.approx(np.concatenate(weights).sum())


@given(st.lists(st.integers(1, 300), min_size=1, max_size=9), st.sampled_from([0.1, -1e9 / 3, 0]))
def test_a_constant_does_not_vary_in_blocks_either(lengths, value):
    found = ColumnMoments.from_table(np.full((5, 1), value), None)
    for n in lengths:
        found = found.merge(ColumnMoments.from_table(np.full((n, 1), value), None))
    assert not found.varies.any()
    assert found.common_spread == 1.0


@pytest.mark.parametrize("scale", [1e-200, 1e140])
def test_the_common_spread_neither_underflows_nor_overflows(scale):
    small = ColumnMoments.from_table(draw(0, 100), None).common_spread
    assert ColumnMoments.from_table(draw(0, 100, scale), None).common_spread == pytest.approx(
        small * scale
    )

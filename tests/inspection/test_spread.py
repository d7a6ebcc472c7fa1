"""Maps of axes that make room for crowded codes."""

import numpy as np
import pytest

from skae.inspection.spread import KINDS, Spread


@pytest.fixture
def codes():
    return np.random.default_rng(0).standard_t(2, size=(300, 2)) * [1, 10]


@pytest.mark.parametrize("kind", KINDS)
def test_order_is_kept(codes, kind):
    points = Spread.from_codes(kind, codes).forward(codes)
    np.testing.assert_array_equal(points.argsort(axis=0), codes.argsort(axis=0))


@pytest.mark.parametrize(("kind", "tolerance"), [("as_is", 0), ("squash", 1e-9)])
def test_inverse(codes, kind, tolerance):
    spread = Spread.from_codes(kind, codes)
    np.testing.assert_allclose(spread.inverse(spread.forward(codes)), codes, rtol=tolerance)


def test_ranks_go_back_to_codes_nearly(codes):
    spread = Spread.from_codes("rank", codes)
    inner = np.percentile(codes, [10, 30, 50, 70, 90], axis=0)
    np.testing.assert_allclose(spread.inverse(spread.forward(inner)), inner, atol=1.0)


def test_squash_is_in_standard_deviations_of_a_normal_distribution():
    codes = np.random.default_rng(0).normal(5, 3, size=(100_000, 2))
    spread = Spread.from_codes("squash", codes)
    np.testing.assert_allclose(spread.center, 5, atol=0.05)
    np.testing.assert_allclose(spread.width, 3, atol=0.05)
    np.testing.assert_allclose(spread.forward(np.array([[8.0, 2.0]])), [[0.88, -0.88]], atol=0.03)


def test_ties_share_a_rank():
    spread = Spread.from_codes("rank", np.array([[0.0, 7], [1, 7], [1, 7], [3, 7]]))
    points = spread.forward(np.array([[0.0, 7], [1, 7], [3, 7]]))
    np.testing.assert_allclose(points, [[0.125, 0.5], [0.5, 0.5], [0.875, 0.5]])
    np.testing.assert_allclose(spread.inverse(np.array([[0.5, 0.5]])), [[1, 7]])


@pytest.mark.parametrize("kind", KINDS)
def test_equal_codes(kind):
    spread = Spread.from_codes(kind, np.ones((5, 2)))
    assert np.isfinite(spread.forward(np.ones((5, 2)))).all()
    assert np.isfinite(spread.inverse(np.zeros((5, 2)))).all()


def test_unknown_kind(codes):
    with pytest.raises(ValueError, match=r"spread must be one of .*'squash'.*, got 'log'"):
        Spread.from_codes("log", codes)

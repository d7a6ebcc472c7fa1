"""How rarely errors as large are met, in nats."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skae._detection.anomaly_score import TailSurprisal


@pytest.fixture(scope="module")
def known():
    return np.random.default_rng(0).exponential([1.0, 10.0], size=(20_000, 2))


def test_of_exponential_errors_it_is_the_error_in_units_of_its_mean(known):
    for share in (0.5, 1.0, 2.0, 4.0, 20.0):
        nats = TailSurprisal.from_values(known).measure(np.array([[share, 10 * share]]))
        assert nats[0] == pytest.approx(share, rel=0.05)


def test_it_is_the_mean_over_levels(known):
    both = TailSurprisal.from_values(known).measure(known[:50])
    each = [
        TailSurprisal.from_values(known[:, [level]]).measure(known[:50, [level]])
        for level in (0, 1)
    ]
    np.testing.assert_allclose(both, np.mean(each, axis=0))


def test_beyond_all_that_is_known_it_goes_on_growing(known):
    nats = TailSurprisal.from_values(known).measure(
        np.array([[1e2, 1e2], [1e4, 1e4], [1e200, 1e200]])
    )
    assert np.isfinite(nats).all()
    assert (np.diff(nats) > 0).all()


@given(st.integers(1, 30), st.integers(0, 10_000))
def test_it_never_falls_with_the_error(n_known, seed):
    rng = np.random.default_rng(seed)
    errors = rng.integers(0, 5, size=(n_known, 1)).astype(float)  # with ties
    grid = np.linspace(-1, 12, 53)[:, None]
    nats = TailSurprisal.from_values(errors).measure(grid)
    assert (np.diff(nats) >= 0).all()
    assert np.isfinite(nats).all()
    assert (nats >= 0).all()


def test_weights_count_rows():
    rng = np.random.default_rng(0)
    errors, weight = rng.exponential(size=(200, 3)), rng.integers(1, 4, size=200)
    once = TailSurprisal.from_values(errors, weight.astype(float))
    often = TailSurprisal.from_values(np.repeat(errors, weight, axis=0))
    grid = rng.exponential(2.0, size=(100, 3))
    np.testing.assert_allclose(once.measure(grid), often.measure(grid), rtol=1e-12)


def test_errors_that_are_all_the_same():
    nats = TailSurprisal.from_values(np.full((10, 1), 2.0)).measure(np.array([[1.0], [2.0], [2.1]]))
    assert nats[0] == 0
    assert nats[1] < 0.1
    assert np.isfinite(nats[2])
    assert nats[2] > 100

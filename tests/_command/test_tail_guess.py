"""Rows far beyond all known ones."""

import numpy as np
import pytest

from skae._command.tail_guess import count_far


@pytest.mark.parametrize("n_known", [3, 10, 30, 100, 300])
@pytest.mark.parametrize("power", [1, 1.5])
def test_rows_alike_are_seldom_far(n_known, power):
    rng = np.random.default_rng(0)
    calls = [
        count_far(-(rng.exponential(size=100) ** power), -(rng.exponential(size=n_known) ** power))
        for _ in range(200)
    ]
    assert np.count_nonzero(calls) <= 10


@pytest.mark.parametrize("n_known", [10, 30, 300])
def test_absurd_rows_are_far(n_known):
    rng = np.random.default_rng(0)
    scores = -rng.exponential(size=40)
    scores[[3, 7]] = -2_000
    assert count_far(scores, -rng.exponential(size=n_known)) == 2


def test_a_row_as_strange_as_a_known_one_is_not_far():
    known = -np.append(np.random.default_rng(0).exponential(size=299), 2_000.0)
    assert count_far(np.array([-2_000.0, -1_000.0]), known) == 0


def test_known_rows_tell_no_scale():
    assert count_far(np.array([-9.0]), np.array([-1.0])) == 0
    assert count_far(np.array([-9.0]), np.full(20, -1.0)) == 0

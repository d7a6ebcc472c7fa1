"""Fixed points of slow steps."""

import numpy as np
import pytest

from skae._linear.acceleration import find_fixed_point

END = np.array([1.0, -2.0, 0.5])


def count_steps(most_steps, rate, start=END + 5):
    """Return the point that is found, and the number of steps to it."""
    seen = []

    def step(point):
        seen.append(point)
        return END + rate * (point - END), float(np.square(point - END).sum())

    found = find_fixed_point(step, start, lambda move: np.abs(move).max() < 1e-6, most_steps)
    return found, len(seen)


def test_it_ends_where_steps_do_in_fewer_of_them():
    rate = np.array([0.9, 0.5, 0.1])
    found, n_steps = count_steps(1000, rate)
    np.testing.assert_allclose(found, END, atol=2e-5)
    plain = np.log(1e-6 / (5 * 0.1)) / np.log(0.9)
    assert n_steps < plain / 2


def test_it_begins_no_steps_beyond_the_most():
    _, n_steps = count_steps(10, 0.9999)
    assert 10 <= n_steps < 13


@pytest.mark.parametrize("worse", [np.inf, np.nan])
def test_a_stretched_point_that_is_worse_is_dropped(worse):
    """The loss allows the points of plain steps only."""
    plain = [END + 5 * 0.9**power for power in range(400)]

    def step(point):
        is_plain = any(np.allclose(point, other, rtol=1e-12, atol=0) for other in plain)
        return END + 0.9 * (point - END), 1.0 if is_plain else worse

    found = find_fixed_point(step, END + 5, lambda move: np.abs(move).max() < 1e-3, 600)
    np.testing.assert_allclose(found, END, atol=0.02)
    assert any(np.allclose(found, other, rtol=1e-10, atol=0) for other in plain)


def test_a_start_that_is_the_end_stays():
    found, n_steps = count_steps(100, 0.5, END.copy())
    np.testing.assert_array_equal(found, END)
    assert n_steps == 1

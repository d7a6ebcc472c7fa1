"""How sure means are."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from skae._command.certainty import Difference, measure_standard_error


@pytest.mark.parametrize("n_rows", [2, 3, 10, 60])
def test_few_rows_have_the_interval_of_the_t_distribution(n_rows):
    rows = np.random.default_rng(0).normal(1, 1, n_rows)
    found = Difference.from_rows(rows)
    low, high = ttest_1samp(rows, 0).confidence_interval(0.95)
    assert found.mean - found.margin == pytest.approx(low)
    assert found.mean + found.margin == pytest.approx(high)
    assert found.is_sure == (low > 0 or high < 0)


def test_many_rows_have_two_standard_errors():
    rows = np.random.default_rng(0).normal(size=1000)
    assert Difference.from_rows(rows).margin == 2 * measure_standard_error(rows)


def test_a_single_row_is_not_sure():
    assert not Difference.from_rows(np.array([9.0])).is_sure
    assert measure_standard_error(np.array([9.0])) == 0


def test_a_share_has_the_interval_of_its_residuals():
    rng = np.random.default_rng(0)
    totals = rng.lognormal(size=200)
    found = Difference.from_shares(0.3 * totals, totals)
    assert (found.mean, found.margin) == (pytest.approx(0.3), pytest.approx(0, abs=1e-12))
    differences = 0.3 * totals + 0.1 * rng.normal(size=200)
    draws = rng.integers(200, size=(4_000, 200))
    shares = differences[draws].sum(axis=1) / totals[draws].sum(axis=1)
    found = Difference.from_shares(differences, totals)
    assert found.margin == pytest.approx(2 * shares.std(), rel=0.1)

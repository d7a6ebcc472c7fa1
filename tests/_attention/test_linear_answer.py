"""The normal distribution's answers, against regressions."""

import numpy as np
import pytest

from skae._attention.linear_answer import LinearAnswer
from skae._linear import Completion

from .tables import draw_levels, draw_normal


def test_residuals_of_a_number_are_those_of_its_regression_on_the_others():
    rows = draw_normal()
    linear = LinearAnswer(Completion.fit(rows))
    residuals = linear.measure_residuals(rows, (slice(0, 1), slice(1, 2), slice(2, 3), slice(3, 4)))
    gapped = rows.copy()
    gapped[:, 2] = np.nan
    np.testing.assert_allclose(residuals[:, 2], (rows - linear.fill(gapped))[:, 2], atol=1e-8)


def test_residuals_of_a_category_are_given_other_columns_only():
    rows, _, _ = draw_levels()
    linear = LinearAnswer(Completion.fit(rows))
    residuals = linear.measure_residuals(rows, (slice(0, 1), slice(1, 4), slice(4, 5)))
    gapped = rows.copy()
    gapped[:, 1:4] = np.nan
    np.testing.assert_allclose(residuals[:, 1:4], (rows - linear.fill(gapped))[:, 1:4], atol=1e-6)


def test_the_order_of_many_rows_changes_little():
    """Tables whose copies are merged are sorted."""
    rows = np.random.default_rng(0).multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], size=3000)
    rows = rows[rows[:, 0].argsort()]
    linear = LinearAnswer.fit(rows, np.ones(3000))
    filled = linear.fill(np.array([[2.0, np.nan], [np.nan, 2.0]]))
    np.testing.assert_allclose([filled[0, 1], filled[1, 0]], 1.6, atol=0.1)


def test_without_a_distribution_means_fill():
    linear = LinearAnswer(None)
    rows = np.array([[1.0, np.nan], [np.nan, 2.0]])
    np.testing.assert_array_equal(linear.fill(rows), [[1, 0], [0, 2]])
    assert linear.relate((slice(0, 1), slice(1, 2)), 2) == pytest.approx(np.ones((2, 2)))

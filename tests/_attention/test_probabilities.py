"""Scaled indicators as probabilities."""

import numpy as np

from skae._attention.probabilities import IndicatorScale

from .tables import draw_levels


def test_rows_of_the_table_stay_as_they_are():
    rows, layout, _ = draw_levels()
    scale = IndicatorScale.from_rows(rows, layout)
    np.testing.assert_allclose(scale.normalize(rows), rows, atol=1e-12)


def test_what_is_no_probability_becomes_one():
    rows, layout, _ = draw_levels()
    scale = IndicatorScale.from_rows(rows, layout)
    odd = scale.zero + scale.unit * np.array([5.0, 0.9, -0.3, 0.3, 1.2])
    odd[0] = 5.0
    found = scale.normalize(odd[None])[0]
    assert found[0] == 5.0
    shares = (found - scale.zero)[1:] / scale.unit[1:]
    np.testing.assert_allclose(shares, [0.75, 0.0, 0.25, 1.0], atol=1e-12)


def test_a_category_without_any_probability_is_uniform():
    rows, layout, _ = draw_levels()
    scale = IndicatorScale.from_rows(rows, layout)
    found = scale.normalize((scale.zero - scale.unit)[None])[0]
    np.testing.assert_allclose((found - scale.zero)[1:4] / scale.unit[1:4], 1 / 3)


def test_a_level_that_no_row_has_shares_the_scale_of_the_others():
    rows, layout, _ = draw_levels()
    rows[:, 3] = -0.1
    scale = IndicatorScale.from_rows(rows, layout)
    assert len(set(scale.unit[1:4])) == 1
    assert scale.zero[3] == -0.1


def test_cells_that_hold_the_same_in_all_rows_are_left_alone():
    rows, layout, _ = draw_levels()
    rows[:, 1:] = 0.0
    scale = IndicatorScale.from_rows(rows, layout)
    odd = np.array([[1.0, 2.0, 3.0, 4.0, 5.0]])
    np.testing.assert_array_equal(scale.normalize(odd), odd)

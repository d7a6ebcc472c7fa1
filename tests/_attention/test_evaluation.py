"""How far held-out rows let attention leave the linear answer."""

import numpy as np
import pytest

from skae._attention.evaluation import HiddenCells, assess, fit_gains

TRAINED = np.array([0.5, 0.2])


def make_cells(gains=TRAINED, noise=0.1, n_answers=200, seed=0):
    """Answers whose best gains are known."""
    rng = np.random.default_rng(seed)
    parts = rng.normal(size=(n_answers, 2, 1))
    errors = np.einsum("k,nkj->nj", gains, parts) + noise * rng.normal(size=(n_answers, 1))
    return HiddenCells(errors, parts, np.ones(n_answers), np.arange(n_answers))


@pytest.mark.parametrize("gains", [[0.2, 0.7], [0.9, -0.3]])
def test_many_answers_determine_the_gains(gains):
    found = fit_gains([make_cells(np.array(gains))], TRAINED[None])
    np.testing.assert_allclose(found[0], gains, atol=0.03)


def test_a_column_without_answers_follows_the_factor_of_the_others():
    others = [make_cells(1.6 * TRAINED, seed=seed) for seed in range(4)]
    found = fit_gains([*others, HiddenCells.none(slice(0, 1))], np.tile(TRAINED, (5, 1)))
    np.testing.assert_allclose(found[-1], 1.6 * TRAINED, atol=0.02)


def test_a_column_of_few_answers_stays_near_training():
    few = make_cells(np.array([0.9, 0.2]), noise=1.0, n_answers=3)
    many = make_cells(np.array([0.9, 0.2]), noise=1.0, n_answers=3000)
    others = [make_cells(seed=seed) for seed in range(4)]
    moved = [
        abs(fit_gains([*others, cells], np.tile(TRAINED, (5, 1)))[-1, 0] - 0.9)
        for cells in (few, many)
    ]
    assert moved[1] < 0.06 < 0.2 < moved[0]


def test_without_answers_gains_are_those_of_training():
    none = HiddenCells.none(slice(0, 1))
    np.testing.assert_allclose(fit_gains([none], TRAINED[None])[0], TRAINED)


def test_gains_do_not_go_beyond_the_neighbours():
    found = fit_gains([make_cells(np.array([4.0, 4.0]))], TRAINED[None])
    np.testing.assert_array_equal(found[0], [1.0, 1.5])
    found = fit_gains([make_cells(np.array([-4.0, -4.0]))], TRAINED[None])
    np.testing.assert_array_equal(found[0], [0.0, -0.5])


def test_steps_that_are_no_better_over_all_cells_are_not_taken():
    nothing = [make_cells(np.zeros(2), noise=1.0, seed=seed) for seed in range(2)]
    found = assess(nothing, np.tile(TRAINED, (2, 1)))
    assert not found.gains.any()
    np.testing.assert_array_equal(found.left[0], nothing[0].errors)
    np.testing.assert_array_equal(found.shrinkage, 1.0)


def test_steps_that_are_better_are_taken_and_leave_smaller_errors():
    cells = [make_cells(seed=seed) for seed in range(2)]
    found = assess(cells, np.tile(TRAINED, (2, 1)))
    np.testing.assert_allclose(found.gains, np.tile(TRAINED, (2, 1)), atol=0.03)
    assert np.abs(found.left[0]).mean() == pytest.approx(0.08, abs=0.02)
    size = np.sqrt(np.square(cells[0].errors).mean())
    assert found.shrinkage[0] == pytest.approx(0.1 / size, rel=0.15)


def measure_share(cells):
    """Return which share of the best gains an assessment takes."""
    return assess([cells], TRAINED[None]).gains[0, 0] / fit_gains([cells], TRAINED[None])[0, 0]


def test_the_share_is_the_best_one_less_two_standard_errors():
    parts = np.tile([[1.0], [0.0]], (100, 1, 1))
    errors = np.tile(np.repeat([1.0, -1.0, 2.0], [14, 4, 2]), 5)[:, None]
    cells = HiddenCells(errors, parts, np.ones(100), np.arange(100))
    gain = fit_gains([cells], TRAINED[None])[0, 0]  # all steps are as long
    expected = (errors.mean() - 2 * errors.std() / 10) / gain
    assert measure_share(cells) == pytest.approx(expected, abs=0.03)


def test_steps_that_are_right_are_taken_as_a_whole():
    assert measure_share(make_cells(noise=1e-3)) > 0.99


def test_the_more_rows_the_larger_the_share_that_is_taken():
    shares = [measure_share(make_cells(noise=1.0, n_answers=n)) for n in (60, 300, 3000)]
    assert 0 < shares[0] < shares[1] < shares[2] < 1


def test_errors_that_are_left_are_those_of_gains_fitted_to_other_rows():
    cells = make_cells(noise=1.0, n_answers=12)
    found = assess([cells, make_cells(seed=1)], np.tile(TRAINED, (2, 1)))
    odd = cells.rows % 2 == 1
    other = make_cells(seed=1)
    gains = fit_gains([cells.take(~odd), other.take(other.rows % 2 == 0)], np.tile(TRAINED, (2, 1)))
    whole = fit_gains([cells, other], np.tile(TRAINED, (2, 1)))
    share = found.gains[0, 0] / whole[0, 0]
    assert 0.5 < share < 1
    np.testing.assert_allclose(found.left[0][odd], cells.take(odd).leave(share * gains[0]))


def test_one_row_of_a_large_error_does_not_decide():
    cells = make_cells(np.zeros(2), noise=1.0)
    cells.errors[0], cells.parts[0] = 1e3, 1e3
    assert not assess([cells], TRAINED[None]).gains.any()


def test_rows_of_little_weight_do_not_decide_how_large_an_error_may_be():
    cells = make_cells()
    cells.errors[:20], cells.weight[:20] = 1e5, 1e-4
    assert measure_share(cells) > 0.9


def test_a_row_of_weight_two_is_two_rows():
    cells = make_cells(noise=0.5, n_answers=20)
    weight = np.repeat([2.0, 1.0], 10)
    weighted = HiddenCells(cells.errors, cells.parts, weight, cells.rows)
    twice = cells.take(np.r_[0:10, 0:20])
    np.testing.assert_allclose(
        fit_gains([weighted], TRAINED[None]), fit_gains([twice], TRAINED[None])
    )


def test_steps_that_are_not_finite_are_not_taken():
    cells = make_cells()
    cells.parts[0] = np.nan
    found = assess([cells], TRAINED[None])
    assert not found.gains.any()
    np.testing.assert_array_equal(found.left[0], cells.errors)


def test_without_any_answers_nothing_is_taken():
    found = assess([HiddenCells.none(slice(0, 2))], TRAINED[None])
    assert not found.gains.any()
    assert found.shrinkage.tolist() == [1.0]

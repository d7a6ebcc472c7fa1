"""How far held-out rows let attention leave the linear answer."""

import numpy as np
import pytest

from skae._imputation.evaluation import HiddenCells, choose_gates


def make_cells(share, noise=0.1, n_answers=200, seed=0):
    """Answers whose best share of the steps is known."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(n_answers, 1))
    errors = share * steps + noise * rng.normal(size=(n_answers, 1))
    return HiddenCells(errors, steps, np.ones(n_answers), np.arange(n_answers))


@pytest.mark.parametrize("share", [0.2, 0.7])
def test_a_gate_is_near_the_best_share(share):
    assert make_cells(share).choose_gate() == pytest.approx(share, abs=0.02)


def test_gates_are_shares():
    assert make_cells(3.0).choose_gate() == 1.0
    assert make_cells(-3.0).choose_gate() == 0.0


@pytest.mark.parametrize(("n_answers", "gate"), [(4, 1.0), (16, 0.75), (100, 0.6)])
def test_a_gate_is_a_standard_error_above_the_best_share(n_answers, gate):
    errors = 0.5 + np.resize([1.0, -1.0], (n_answers, 1))
    cells = HiddenCells(errors, np.ones((n_answers, 1)), np.ones(n_answers), np.arange(n_answers))
    assert cells.choose_gate() == pytest.approx(gate)


def test_steps_that_are_no_better_over_all_cells_are_not_taken():
    assert not choose_gates([make_cells(0.0, noise=1.0), make_cells(0.0, noise=1.0, seed=1)]).any()
    assert (choose_gates([make_cells(1.0), make_cells(1.0, seed=1)]) > 0.9).all()


def test_one_row_of_a_large_error_does_not_decide():
    cells = make_cells(0.0, noise=1.0)
    cells.errors[0], cells.steps[0] = 1e3, 1e3
    assert not choose_gates([cells]).any()


def test_a_row_of_weight_two_is_two_rows():
    cells = make_cells(0.5, noise=0.5)
    weighted = HiddenCells(cells.errors, cells.steps, np.repeat([2.0, 0.0], 100), cells.rows)
    half = HiddenCells(
        *(part[:100] for part in (cells.errors, cells.steps, cells.weight, cells.rows))
    )
    assert weighted.choose_gate() == pytest.approx(half.choose_gate())
    assert weighted.measure_shrinkage(0.5) == pytest.approx(half.measure_shrinkage(0.5))


def test_steps_that_are_not_finite_are_not_taken():
    cells = make_cells(1.0)
    cells.steps[0] = np.nan
    assert choose_gates([cells])[0] == 0.0
    assert np.isfinite(cells.measure_errors(0.0)).all()
    assert cells.measure_shrinkage(0.0) == 1.0


def test_without_answers_nothing_is_taken():
    none = HiddenCells.none(slice(0, 2))
    assert choose_gates([none, none]).tolist() == [0.0, 0.0]
    assert none.measure_shrinkage(0.0) == 1.0

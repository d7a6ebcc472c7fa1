"""What missing cells are filled with."""

import pickle

import numpy as np
import pytest
import torch

from skae._attention import AttentionCompletion, fit_attention, linear_answer, training
from skae._environment import RandomStreams
from skae._linear import Completion, FactorCompletion
from skae.modules.cells import CellLayout

from .tables import draw_curve, draw_levels, draw_normal, hide


def fit(rows, layout, seed=0, **given):
    """Return a model that takes few steps to train."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_N_STEPS", (60, 60))
        return fit_attention(rows, layout, RandomStreams(seed), **given)


@pytest.fixture(scope="module")
def curve():
    """Rows, the same with gaps, where these are, and a model."""
    rows, layout = draw_curve()
    gapped, hidden = hide(rows, [1])
    return rows, gapped, hidden, fit(gapped, layout)


@pytest.fixture(scope="module")
def levels():
    """The same, with a category and a boolean that are missing together."""
    rows, layout, _ = draw_levels()
    gapped, hidden = hide(rows, [1, 2, 3, 4])
    return rows, gapped, hidden, fit(gapped, layout)


def measure_error(filled, rows, hidden):
    return float(np.sqrt(np.square(filled - rows)[hidden].mean()))


def test_a_function_of_another_column_is_recovered(curve):
    rows, gapped, hidden, model = curve
    filled = model.complete(gapped)
    linear = Completion.fit(gapped).complete(gapped).values
    assert measure_error(linear, rows, hidden) > 0.8
    assert measure_error(filled, rows, hidden) < 0.1


def test_categories_and_booleans_that_a_number_determines_are_recovered(levels):
    rows, gapped, hidden, model = levels
    scale = model.indicators
    shares = ((model.complete(gapped) - scale.zero)[:, 1:] / scale.unit[1:])[hidden[:, 1]]
    truth = ((rows - scale.zero)[:, 1:] / scale.unit[1:])[hidden[:, 1]]
    np.testing.assert_allclose(shares[:, :3].sum(axis=1), 1.0, atol=1e-9)
    assert ((shares > -1e-9) & (shares < 1 + 1e-9)).all()
    assert (shares[:, :3].argmax(axis=1) == truth[:, :3].argmax(axis=1)).mean() > 0.9
    assert ((shares > 0.5) == (truth > 0.5))[:, 3].mean() > 0.9


def test_normal_rows_stay_at_the_linear_answer():
    rows = draw_normal()
    gapped, hidden = hide(rows, [1, 2])
    filled = fit(gapped, CellLayout.from_numbers(4)).complete(gapped)
    linear = Completion.fit(gapped).complete(gapped).values
    assert measure_error(filled, rows, hidden) < measure_error(linear, rows, hidden) + 0.01
    assert measure_error(filled, linear, hidden) < 0.05


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_observed_cells_stay_as_they_are(dtype, levels):
    rows, model = levels[0].astype(dtype), levels[3]
    gapped = np.vstack([hide(rows, columns)[0] for columns in ([0], [1, 2, 3], [4], [0, 4])])
    kept = gapped.copy()
    filled = model.complete(gapped)
    assert filled.dtype == dtype
    assert not np.isnan(filled).any()
    np.testing.assert_array_equal(gapped, kept)
    observed = ~np.isnan(gapped)
    np.testing.assert_array_equal(filled[observed], gapped[observed])


def test_rows_are_filled_alike_with_and_without_others(curve):
    _, gapped, _, model = curve
    whole = model.complete(gapped)
    for part in (slice(0, 1), slice(3, 40)):
        np.testing.assert_allclose(model.complete(gapped[part]), whole[part], atol=1e-9)
    assert model.complete(gapped[:0]).shape == (0, 2)


def test_a_row_without_any_observed_cell_is_filled(levels):
    assert np.isfinite(levels[3].complete(np.full((2, 5), np.nan))).all()


def test_complete_rows_can_be_learnt_from():
    rows, layout = draw_curve()
    model = fit(rows, layout)
    new = np.array([[0.5, np.nan], [-1.2, np.nan]])
    nearest = np.abs(rows[:, :1] - new[:, 0]).argmin(axis=0)
    np.testing.assert_allclose(model.complete(new)[:, 1], rows[nearest, 1], atol=0.2)


def test_the_same_seed_gives_the_same_cells_and_another_others(curve):
    _, gapped, hidden, model = curve
    first, layout = model.complete(gapped), model.layout
    state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    again, other = (fit(gapped, layout, seed).complete(gapped) for seed in (0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other)[hidden].any()
    assert torch.equal(torch.get_rng_state(), state[0])
    np.testing.assert_array_equal(np.random.get_state()[1], state[1])  # noqa: NPY002


def test_the_state_gives_the_same_imputer(levels):
    _, gapped, _, model = levels
    loaded = AttentionCompletion.from_state(pickle.loads(pickle.dumps(model.get_state())))
    np.testing.assert_array_equal(loaded.complete(gapped), model.complete(gapped))
    np.testing.assert_array_equal(loaded.half_widths(0.9), model.half_widths(0.9))
    for value in model.get_state()["attention"].values():
        assert isinstance(value, np.ndarray)


def test_rows_of_weight_zero_do_not_count():
    rows, layout = draw_curve(300)
    gapped, hidden = hide(rows, [1])
    wrong = np.column_stack([rows[:, 0], -3 - rows[:, 1]])
    both = np.vstack([gapped, wrong])
    weight = np.repeat([1.0, 0.0], 300)
    filled = fit(both, layout, weight=weight).complete(gapped)
    assert measure_error(filled, rows, hidden) < 0.1
    unweighted = fit(both, layout).complete(gapped)
    assert measure_error(unweighted, rows, hidden) > 0.5


@pytest.mark.parametrize("n_rows", [1, 3, 29])
def test_few_rows_have_the_linear_answer(n_rows):
    rows, layout = draw_curve()
    gapped = rows[:n_rows].copy()
    gapped[0, 1] = np.nan
    model = fit(gapped, layout)
    np.testing.assert_array_equal(
        model.complete(gapped), Completion.fit(gapped).complete(gapped).values
    )
    assert model.half_widths(0.9)[0] == np.inf


def test_a_single_column_and_columns_without_cells_are_filled_with_means():
    one = np.array([[0.0], [1.0], [np.nan]] * 20)
    filled = fit(one, CellLayout.from_numbers(1)).complete(one)
    assert filled[2, 0] == pytest.approx(0.5, abs=0.01)
    rows, _ = draw_curve()
    empty = np.column_stack([rows, np.full(len(rows), np.nan)])
    assert np.isfinite(fit(empty, CellLayout.from_numbers(3)).complete(empty)).all()


@pytest.mark.parametrize(
    ("narrower", "kind"), [(["COMPLETED"], FactorCompletion), (["COMPLETED", "FACTORED"], None)]
)
def test_tables_too_wide_for_a_covariance_are_filled(narrower, kind, monkeypatch):
    for name in narrower:
        monkeypatch.setattr(linear_answer, f"WIDEST_{name}", 1)
    rows, layout = draw_curve()
    gapped, hidden = hide(rows, [1])
    model = fit(gapped, layout)
    assert isinstance(model.linear.completion, kind or type(None))
    loaded = AttentionCompletion.from_state(model.get_state())
    np.testing.assert_array_equal(loaded.complete(gapped), model.complete(gapped))
    assert measure_error(model.complete(gapped), rows, hidden) < 0.2


def test_intervals_hold_the_truth_as_often_as_asked():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, 1500)
    y = np.cos(3 * x) + 0.3 * rng.normal(size=1500)
    rows = np.column_stack([x, y]) / [x.std(), y.std()]
    model = fit(hide(rows[:1000], [1])[0], CellLayout.from_numbers(2))
    new = np.column_stack([rows[1000:, 0], np.full(500, np.nan)])
    error = np.abs(model.complete(new) - rows[1000:])[:, 1]
    for coverage in (0.5, 0.8, 0.95):
        width = model.half_widths(coverage)[1]
        assert (error <= width).mean() == pytest.approx(coverage, abs=0.08)
    assert model.half_widths(0.999_999)[1] == np.inf


def test_intervals_are_for_numbers(levels):
    widths = levels[3].half_widths(0.9)
    assert np.isfinite(widths[0])
    assert np.isnan(widths[1:]).all()

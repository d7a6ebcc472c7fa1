"""Latent classes of normal scores as densities of numbers, alone and beside classes of numbers."""

import numpy as np
import pytest
from scipy.stats import expon, norm

from skae._linear import MixedCells, StackedClasses, split_for_stacking, stack_classes
from skae._linear.latent_classes import ClassRecipe
from skae._linear.normal_scores import NormalScores
from skae._linear.scored_classes import ScoredClasses, score_cells
from skae.modules.cells import CellLayout

LAYOUT = CellLayout(numbers=(0, 1), booleans=(2,))


def draw_cells(n_rows=600, seed=0):
    """A waiting time, another that follows it, and a boolean that knows which is long."""
    rng = np.random.default_rng(seed)
    first = rng.exponential(size=n_rows)
    second = expon.ppf(norm.cdf(0.8 * norm.ppf(expon.cdf(first)) + 0.6 * rng.normal(size=n_rows)))
    is_long = np.where(first > 1, 1.0, -1.0)
    return MixedCells.from_encoded(np.column_stack([first, second, is_long]), None, LAYOUT)


@pytest.fixture(scope="module")
def scored():
    cells, weight = draw_cells(), np.ones(600)
    margins = NormalScores.fit(cells.numbers, weight)
    classes = ClassRecipe(2, True, 1.0, 1.0).fit(score_cells(margins, cells)[0], weight)
    return ScoredClasses(margins, classes)


def test_densities_of_numbers_integrate_to_one(scored):
    grid = np.arange(-2, 14, 0.05)
    numbers = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    total = 0.0
    for own in ([1.0, 0.0], [0.0, 1.0]):
        levels = np.tile(own, (len(numbers), 1))
        cells = MixedCells(numbers, levels, draw_cells(3).blocks)
        total += np.exp(scored.log_density(cells)).sum() * 0.05**2
    assert total == pytest.approx(1, abs=0.03)


def test_a_missing_number_is_integrated_out(scored):
    grid = np.arange(-2, 14, 0.01)
    cells = draw_cells(1, seed=3)
    many = MixedCells(
        np.column_stack([np.full(len(grid), cells.numbers[0, 0]), grid]),
        np.repeat(cells.levels, len(grid), axis=0),
        cells.blocks,
    )
    expected = np.log(np.exp(scored.log_density(many)).sum() * 0.01)
    cells.numbers[0, 1] = np.nan
    assert scored.log_density(cells)[0] == pytest.approx(expected, abs=0.01)


def test_missing_numbers_are_completed_in_their_own_units(scored):
    cells = draw_cells(50, seed=4)
    known = cells.numbers.copy()
    cells.numbers[:, 1] = np.nan
    filled = scored.complete(cells)
    np.testing.assert_array_equal(filled.numbers[:, 0], known[:, 0])
    assert filled.numbers.min() > -0.1
    assert np.corrcoef(np.log(filled.numbers[:, 1]), np.log(known[:, 1]))[0, 1] > 0.7


def test_what_suits_the_rows_gets_the_larger_share():
    cells, splits = draw_cells(300), split_for_stacking(300)
    waiting, _ = stack_classes(cells, np.ones(300), splits, None)
    assert waiting.share > 0.8
    rng = np.random.default_rng(1)
    centre = np.array([[0.0, 0.0], [0.0, 9.0], [9.0, 4.0]])[rng.integers(3, size=300)]
    numbers = centre + rng.normal(size=(300, 2)) @ np.array([[1.0, 0.9], [0.0, 0.4]])
    clusters = MixedCells(numbers, cells.levels, cells.blocks)
    assert stack_classes(clusters, np.ones(300), splits, None)[0].share < 0.5


def test_the_mixture_has_the_density_of_its_parts(scored):
    cells = draw_cells()
    plain = ClassRecipe(2, False, 1.0, 1.0).fit(cells, np.ones(600))
    stacked = StackedClasses(plain, scored, 0.3)
    expected = np.log(
        0.7 * np.exp(plain.log_density(cells)) + 0.3 * np.exp(scored.log_density(cells))
    )
    np.testing.assert_allclose(stacked.log_density(cells), expected)
    again = StackedClasses.from_state(stacked.get_state())
    np.testing.assert_array_equal(again.log_density(cells), stacked.log_density(cells))
    for only in (StackedClasses(plain, None, 0.0), StackedClasses(None, scored, 1.0)):
        loaded = StackedClasses.from_state(only.get_state())
        np.testing.assert_array_equal(
            loaded.log_density(cells), only.parts[0][1].log_density(cells)
        )


def test_a_state_of_classes_of_numbers_alone_is_read():
    cells = draw_cells()
    classes = ClassRecipe(2, False, 1.0, 1.0).fit(cells, np.ones(600))
    loaded = StackedClasses.from_state(classes.get_state())
    np.testing.assert_array_equal(loaded.log_density(cells), classes.log_density(cells))

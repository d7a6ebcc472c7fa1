"""Latent classes of many sizes, weighted by held-out rows."""

import itertools

import numpy as np
import pytest
from scipy.stats import entropy

from skae._linear import ClassRecipe, MixedCells, split_for_stacking, stack_classes
from skae.modules.cells import CellLayout

LAYOUT = CellLayout(booleans=(0,), categories=((1, 4), (4, 8)))
LEVELS = np.array(list(itertools.product(range(2), range(3), range(4))))


def read(levels):
    rows = np.full((len(levels), 8), -1.0)
    rows[levels[:, 0] == 1, 0] = 1.0
    rows[np.arange(len(levels)), 1 + levels[:, 1]] = 1.0
    rows[np.arange(len(levels)), 4 + levels[:, 2]] = 1.0
    return MixedCells.from_encoded(rows, None, LAYOUT)


def stack(cells, rival=None):
    splits = split_for_stacking(len(cells))
    held_out = np.concatenate([split.held_out for split in splits])
    find_rival = None if rival is None else lambda known, weight: rival[held_out]
    return stack_classes(cells, np.ones(len(cells)), splits, find_rival)


def draw_independent(n_rows):
    rng = np.random.default_rng(0)
    mass = [[0.8, 0.2], [0.6, 0.3, 0.1], [0.1, 0.2, 0.3, 0.4]]
    return np.column_stack([rng.choice(len(own), n_rows, p=own) for own in mass])


@pytest.mark.parametrize("n_rows", [300, 2000])
def test_independent_cells_have_the_mass_of_their_levels(n_rows):
    levels = draw_independent(n_rows)
    classes, share = stack(read(levels))
    assert share == 0
    found = classes.log_density(read(LEVELS))
    assert np.exp(found).sum() == pytest.approx(1)
    expected = sum(
        np.log(np.bincount(own) / n_rows)[column]
        for own, column in zip(levels.T, LEVELS.T, strict=True)
    )
    lost = np.exp(expected) @ (expected - found)
    assert 0 <= lost < 0.02 * 3


def test_dependent_cells_have_their_joint_mass():
    rng = np.random.default_rng(1)
    mass = rng.dirichlet(np.full(24, 0.5))
    classes, _ = stack(read(LEVELS[rng.choice(24, 3000, p=mass)]))
    found = classes.log_density(read(LEVELS))
    assert np.exp(found).sum() == pytest.approx(1)
    assert entropy(mass, np.exp(found)) < 0.03


@pytest.fixture
def tried(monkeypatch):
    """Recipes that are fitted from here on."""
    recipes, fit = [], ClassRecipe.fit_rows

    def note(recipe, *arguments):
        recipes.append(recipe)
        return fit(recipe, *arguments)

    monkeypatch.setattr(ClassRecipe, "fit_rows", note)
    return recipes


def test_more_classes_are_tried_while_held_out_rows_gain(tried):
    stack(read(draw_independent(600)))
    assert max(recipe.n_classes for recipe in tried) <= 8
    tried.clear()
    rng = np.random.default_rng(1)
    mass = rng.dirichlet(np.full(24, 0.5))
    stack(read(LEVELS[rng.choice(24, 2000, p=mass)]))
    assert max(recipe.n_classes for recipe in tried) >= 16


def test_kinds_far_from_the_best_get_no_more_classes(tried):
    """Numbers close to lines: classes with diagonal covariances would need many."""
    rng = np.random.default_rng(0)
    own = rng.integers(8, size=1200)
    along = rng.normal(size=1200)
    centre = 6 * np.column_stack([np.cos(own), np.sin(own)])
    numbers = centre + along[:, None] + 0.01 * rng.normal(size=(1200, 2))
    rows = np.column_stack([numbers, np.where(rng.random(1200) < 0.5, 1.0, -1.0)])
    stack(MixedCells.from_encoded(rows, None, CellLayout(numbers=(0, 1), booleans=(2,))))
    most = {
        kind: max(recipe.n_classes for recipe in tried if recipe.is_full == kind)
        for kind in (False, True)
    }
    assert most[False] < most[True]


def test_a_true_rival_gets_most_of_the_density():
    rng = np.random.default_rng(1)
    mass = rng.dirichlet(np.full(24, 0.5))
    own = rng.choice(24, 400, p=mass)
    assert stack(read(LEVELS[own]), np.log(mass)[own])[1] > 0.5
    assert stack(read(LEVELS[own]), np.log(mass)[own] - 5)[1] == 0


def test_numbers_of_classes_have_densities_of_their_own():
    """A category that decides a number's sign, and a number that is often zero."""
    rng = np.random.default_rng(0)
    is_set = rng.random(1100) < 0.5
    number = np.where(is_set, 1.0, -1.0) + 0.3 * rng.normal(size=1100)
    often = np.where(rng.random(1100) < 0.7, 0.0, rng.normal(size=1100))
    rows = np.column_stack([number, often, np.where(is_set, 1.0, -1.0)])
    cells = MixedCells.from_encoded(rows, None, CellLayout(numbers=(0, 1), booleans=(2,)))
    classes, _ = stack(cells.take(slice(600)))
    found = classes.log_density(cells.take(slice(600, None)))
    normal = -0.5 * np.log(2 * np.pi * np.e)
    assert found.mean() > np.log(0.5) + normal + np.log(1 / 0.3) + 0.3 * normal

"""Latent classes of mixed rows, against closed forms."""

import itertools

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from skae._linear import ClassRecipe, LatentClasses, MixedCells, fit_with_missing
from skae._linear.latent_classes import ClassRows, group_by_pattern
from skae.modules.cells import CellLayout

LAYOUT = CellLayout(numbers=(0, 4), booleans=(1,), categories=((2, 4), (5, 8)))
OFF = np.array([0.0, -0.7, -0.5, -0.8, 0.0, -0.2, -0.4, -0.9])
ON = OFF + np.array([0.0, 2.2, 1.3, 1.3, 0.0, 1.3, 1.3, 1.3])
ALL_LEVELS = list(itertools.product(range(2), range(2), range(3)))


def encode(numbers, levels):
    """Scaled rows of two numbers, a boolean and two categories."""
    is_set = np.zeros((len(numbers), 8), dtype=bool)
    is_set[:, 1] = levels[:, 0] == 1
    is_set[np.arange(len(numbers)), 2 + levels[:, 1]] = True
    is_set[np.arange(len(numbers)), 5 + levels[:, 2]] = True
    rows = np.where(is_set, ON, OFF)
    rows[:, [0, 4]] = numbers
    return rows


def draw(n_rows, seed=0):
    """Two classes that differ in all columns."""
    rng = np.random.default_rng(seed)
    own = rng.random(n_rows) < 0.4
    mixing = np.where(own[:, None, None], [[1.0, 0.0], [0.8, 0.6]], [[0.5, 0.0], [0.0, 0.3]])
    numbers = np.einsum("nij,nj->ni", mixing, rng.normal(size=(n_rows, 2)))
    numbers += np.where(own[:, None], [1.0, -1.0], [-1.0, 1.0])
    chance = rng.random((n_rows, 3))
    levels = np.column_stack(
        [
            chance[:, 0] < np.where(own, 0.9, 0.2),
            chance[:, 1] < np.where(own, 0.5, 0.1),
            (chance[:, 2] > np.where(own, 0.2, 0.7)) * 1 + (chance[:, 2] > 0.9),
        ]
    ).astype(int)
    return encode(numbers, levels)


def read(rows, observed=None):
    return MixedCells.from_encoded(rows, observed, LAYOUT)


def hide(rows, share, seed=0):
    """Return which cells are observed, all indicators of a category together."""
    cells = np.random.default_rng(seed).random((len(rows), 5)) >= share
    return cells[:, [0, 1, 2, 2, 3, 4, 4, 4]]


@pytest.fixture(scope="module", params=[False, True], ids=["diagonal", "full"])
def classes(request):
    rows = draw(1500)
    return ClassRecipe(3, request.param, 1.0, 1.0).fit(read(rows), np.ones(len(rows)))


def test_cells_and_rows_are_the_same():
    rows = draw(50)
    np.testing.assert_array_equal(read(rows).to_encoded(LAYOUT, OFF, ON), rows)


def test_it_is_a_density_of_numbers_and_a_mass_of_levels(classes):
    ticks = np.linspace(-50, 50, 201)
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    total = 0.0
    for levels in ALL_LEVELS:
        cells = read(encode(grid, np.tile(levels, (len(grid), 1))))
        total += np.exp(classes.log_density(cells)).sum() * (ticks[1] - ticks[0]) ** 2
    assert total == pytest.approx(1, abs=0.01)


def test_missing_levels_are_summed_over(classes):
    rows = draw(40)
    observed = np.ones(rows.shape, dtype=bool)
    observed[:, 5:8] = False
    observed[:20, 1] = False
    found = classes.log_density(read(rows, observed))
    for row, own, value in zip(rows, observed, found, strict=True):
        numbers, parts = row[None, [0, 4]], []
        for levels in ALL_LEVELS:
            other = encode(numbers, np.array([levels]))
            if np.array_equal(other[0, own], row[own]):
                parts.append(classes.log_density(read(other))[0])
        assert value == pytest.approx(logsumexp(parts), abs=1e-10)


def test_missing_numbers_are_integrated_over():
    covariance = np.array([[[1.0, 0.6], [0.6, 2.0]], [[0.5, -0.2], [-0.2, 0.4]]])
    mean = np.array([[0.0, 1.0], [2.0, -1.0]])
    log_mass = np.log([[0.3, 0.7, 0.5, 0.5, 0.2, 0.3, 0.5], [0.6, 0.4, 0.9, 0.1, 0.3, 0.3, 0.4]])
    classes = LatentClasses(np.array([0.25, 0.75]), mean, covariance, log_mass)
    rows = draw(60)
    observed = hide(rows, 0.4)
    cells = read(rows, observed)
    found = classes.log_density(cells)
    for n, value in enumerate(found):
        known = ~np.isnan(cells.numbers[n])
        joint = np.log(classes.weight) + log_mass @ cells.levels[n]
        if known.any():
            x = cells.numbers[n, known]
            for k in range(2):
                own = multivariate_normal(mean[k][known], covariance[k][np.ix_(known, known)])
                joint[k] += own.logpdf(x)
        assert value == pytest.approx(logsumexp(joint), abs=1e-10)
    assert found[~observed.any(axis=1)] == pytest.approx(0, abs=1e-12)


def test_a_diagonal_is_a_covariance():
    rows = draw(300)
    cells = read(rows, hide(rows, 0.3))
    narrow = ClassRecipe(3, False, 1.0, 1.0).fit(cells, np.ones(300))
    whole = narrow.covariance[:, :, None] * np.eye(2)
    full = LatentClasses(narrow.weight, narrow.mean, whole, narrow.log_mass)
    np.testing.assert_allclose(full.log_density(cells), narrow.log_density(cells), atol=1e-9)


def test_the_only_class_is_normal_and_independent():
    rows = draw(4000)
    cells = read(rows)
    one = LatentClasses.fit_one(cells, np.ones(4000))
    mean, covariance = cells.numbers.mean(axis=0), np.cov(cells.numbers.T, bias=True)
    expected = multivariate_normal(mean, covariance).logpdf(cells.numbers)
    expected += cells.levels @ np.log(cells.levels.mean(axis=0))
    np.testing.assert_allclose(one.log_density(cells), expected, atol=0.01)


@pytest.mark.parametrize("is_full", [False, True])
def test_classes_are_found(is_full):
    """Two classes explain what one cannot, in rows that they were not fitted to."""
    rows, others = draw(2000), read(draw(2000, seed=1))
    fits = [ClassRecipe(n, is_full, 1.0, 1.0).fit(read(rows), np.ones(2000)) for n in (1, 2, 8)]
    one, two, many = (fitted.log_density(others).mean() for fitted in fits)
    assert two > one + 1
    assert many > two - 0.05


def test_full_covariances_see_what_diagonals_do_not():
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(1000, 2)) @ np.array([[1.0, 0.95], [0.0, 0.3]])
    cells = read(encode(numbers, np.zeros((1000, 3), dtype=int)))
    full, narrow = (
        ClassRecipe(1, kind, 1.0, 1.0).fit(cells, np.ones(1000)).log_density(cells).mean()
        for kind in (True, False)
    )
    assert full > narrow + 0.5


@pytest.mark.parametrize("n_patterns", [3, 1000])
def test_moments_of_incomplete_numbers(n_patterns):
    """Of few patterns by expectation, of many by draws: near those of maximum likelihood."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(5, 5))
    X = rng.normal(size=(3000, 5)) @ mixing + 2.0
    hidden = (rng.random((n_patterns, 5)) < 0.25)[rng.integers(n_patterns, size=3000)]
    X[hidden] = np.nan
    layout = CellLayout.from_numbers(5)
    cells = MixedCells.from_encoded(np.nan_to_num(X), ~hidden, layout)
    assert len(group_by_pattern(cells.numbers)) <= n_patterns
    one = ClassRecipe(1, True, 1e-3, 1.0, tolerance=1e-6).fit(cells, np.ones(3000))
    expected = fit_with_missing(X)
    spread = np.sqrt(expected.covariance.diagonal())
    np.testing.assert_allclose(one.mean[0] / spread, expected.mean / spread, atol=0.05)
    off = (one.covariance[0] - expected.covariance) / np.outer(spread, spread)
    assert np.abs(off).max() < 0.08


@pytest.mark.parametrize("is_full", [False, True])
def test_a_weight_of_two_is_a_row_twice(is_full):
    rows = draw(200)
    observed = hide(rows, 0.1)
    observed[:, [0, 4]] = True
    weight = np.where(np.arange(200) < 100, 2.0, 1.0)
    twice = np.repeat(np.arange(200), weight.astype(int))
    recipe = ClassRecipe(1, is_full, 1.0, 1.0)
    by_weight = recipe.fit(read(rows, observed), weight)
    by_copies = recipe.fit(read(rows[twice], observed[twice]), np.ones(300))
    others = read(draw(50, seed=1))
    np.testing.assert_allclose(by_weight.log_density(others), by_copies.log_density(others))


def test_products_of_numbers_sum_to_the_same_classes(monkeypatch):
    cells, recipe = read(draw(400)), ClassRecipe(4, True, 0.05, 1.0)
    by_products = recipe.fit(cells, np.ones(400))
    monkeypatch.setattr("skae._linear.latent_classes._PRODUCT_CELLS", 0)
    by_rows = recipe.fit(cells, np.ones(400))
    others = read(draw(100, seed=1))
    np.testing.assert_allclose(
        by_products.log_density(others), by_rows.log_density(others), atol=1e-6
    )


def test_a_level_never_seen_has_some_mass():
    rows = draw(200)
    rows = rows[rows[:, 7] < 0]
    fitted = ClassRecipe(4, False, 1.0, 1.0).fit(read(rows), np.ones(len(rows)))
    unseen = encode(np.zeros((1, 2)), np.array([[0, 0, 2]]))
    assert -30 < fitted.log_density(read(unseen))[0] < -3


def test_completed_cells_are_likely(classes):
    rows = draw(300, seed=2)
    observed = hide(rows, 0.3)
    cells = read(rows, observed)
    filled = classes.complete(cells)
    known = ~np.isnan(cells.numbers)
    np.testing.assert_array_equal(filled.numbers[known], cells.numbers[known])
    assert np.isfinite(filled.numbers).all()
    assert all((filled.levels[:, block].sum(axis=1) == 1).all() for block in filled.blocks)
    given = cells.levels > 0
    assert (filled.levels[given] == 1).all()
    rng = np.random.default_rng(0)
    order = rng.permutation(300)
    other = MixedCells(
        np.where(known, cells.numbers, filled.numbers[order]), filled.levels, cells.blocks
    )
    gap = classes.log_density(filled) - classes.log_density(other)
    assert gap.mean() > 0.3


def test_a_completed_number_is_its_conditional_mean():
    covariance = np.array([[[1.0, 0.6], [0.6, 2.0]]])
    classes = LatentClasses(np.ones(1), np.array([[1.0, -1.0]]), covariance, np.empty((1, 0)))
    cells = MixedCells(np.array([[3.0, np.nan]]), np.empty((1, 0)), ())
    assert classes.complete(cells).numbers[0, 1] == pytest.approx(-1 + 0.6 * 2)


def test_rows_without_weight_say_nothing():
    cells = MixedCells(np.zeros((2, 1)), np.eye(2), [slice(0, 2)])
    classes = ClassRecipe(3, False, 1.0, 1.0).fit(cells, np.zeros(2))
    assert len(classes.weight) >= 1
    assert np.isfinite(classes.log_density(cells)).all()


@pytest.mark.parametrize("n_gaps", [0, 1, 4])
def test_recipes_share_rows_and_nothing_else(n_gaps):
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(300, 4)) + 3 * rng.integers(2, size=(300, 1))
    numbers[:, :n_gaps][rng.random((300, n_gaps)) < 0.3] = np.nan
    levels = np.eye(3)[rng.integers(3, size=300)]
    cells, weight = MixedCells(numbers, levels, (slice(0, 3),)), rng.uniform(size=300)
    rows = ClassRows(cells, weight)
    for is_full in (True, False, True):
        for seed in (1, 0):
            recipe = ClassRecipe(3, is_full, 1.0, 1.0, seed)
            alone, shared = recipe.fit(cells, weight), recipe.fit_rows(rows)
            for name, value in alone.get_state().items():
                np.testing.assert_array_equal(getattr(shared, name), value)

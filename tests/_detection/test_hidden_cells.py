"""How scores depend on which cells are observed."""

import numpy as np
import pytest

from skae._detection.hidden_cells import (
    CountWeights,
    ScoreAdjustment,
    hide_cells,
    observe_columns,
    sample_reference,
    thin_rows,
)

OWNER = np.array([0, 1, 1, 1, 2, 4, 5, 5])  # column 3 has no encoded ones


def test_whole_columns_are_hidden_until_as_many_are_left():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 8))
    rows[:200, 0] = np.nan
    rows[:100, 1:4] = np.nan
    groups = hide_cells(rows, OWNER)
    assert [group.n_observed for group in groups] == [5, 4, 2, 1]
    for group in groups:
        observed = observe_columns(group.rows, OWNER)
        assert observed.shape[1] == 5
        np.testing.assert_array_equal(observed.sum(axis=1), group.n_observed)
        hidden = np.isnan(group.rows)
        assert (hidden[:, 1:4].all(axis=1) == hidden[:, 1:4].any(axis=1)).all()
        # All columns are hidden, and cells keep their values.
        assert observed.any(axis=0).all()
        known = set(rows[~np.isnan(rows)].tolist())
        assert set(group.rows[~hidden].tolist()) <= known
    assert len(groups[0].rows) == 100
    assert len(groups[-1].rows) == 300


def test_fuller_rows_are_thinned_in_ways_that_show_each_column():
    rows = np.random.default_rng(0).normal(size=(30, 8))
    rows[:10, 0] = np.nan
    rows[10:20, [0, 4, 5]] = np.nan
    ways = thin_rows(rows, OWNER, 3)
    seen = np.array([observe_columns(way, OWNER) for way in ways])
    whole = observe_columns(rows, OWNER)
    most = np.minimum(whole.sum(axis=1), 3)
    np.testing.assert_array_equal(seen.sum(axis=2), np.tile(most, (4, 1)))
    assert (seen <= whole).all()
    np.testing.assert_array_equal(seen.any(axis=0), whole)
    for way, alone in zip(ways, thin_rows(rows[20:], OWNER, 3), strict=True):
        np.testing.assert_array_equal(way[20:], alone)


def test_reference_rows_are_drawn_by_weight():
    rows = np.arange(2000.0)[:, None]
    weight = np.where(rows[:, 0] < 1000, 1.0, 0.0)
    assert sample_reference(rows, weight).max() < 1000
    assert sample_reference(rows, None).max() == 1999


def test_values_of_groups_are_combined_by_the_logarithm_of_the_count():
    weights = CountWeights.from_counts(np.array([20, 8, 4, 2, 0, 6]), np.array([8, 4, 2]))
    values = [np.full(6, 1.0), np.full(6, 2.0), np.full(6, 9.0)]
    expected = [1, 1, 2, 9, 9, 1 + np.log(8 / 6) / np.log(2)]
    np.testing.assert_allclose(weights.combine(values), expected)


@pytest.fixture(scope="module")
def fitted():
    """A score that adds up what each cell is worth, as a log-density does."""
    rng = np.random.default_rng(0)
    worth, spread = np.array([5.0, -2.0, 0.0, 1.0]), np.array([1.0, 3.0, 0.5, 0.1])

    def draw(n_rows, count):
        observed = rng.uniform(size=(n_rows, 4)).argsort(axis=1) < count
        cells = worth - spread * rng.exponential(size=(n_rows, 4))
        return (cells * observed).sum(axis=1), observed

    counts = [4, 3, 2, 1]
    groups = [draw(2000, count) for count in [4, *counts]]
    scores, observed = zip(*groups, strict=True)
    return ScoreAdjustment.fit(counts, list(observed), list(scores)), draw


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_adjusted_scores_are_distributed_as_those_of_other_rows(fitted, count):
    adjustment, draw = fitted
    usual, _ = draw(20_000, 4)
    scores, observed = draw(20_000, count)
    adjusted = adjustment.adjust(scores, observed)
    for share, error in ((0.01, 0.01), (0.05, 0.02), (0.5, 0.05)):
        assert (adjusted < np.quantile(usual, share)).mean() == pytest.approx(share, abs=error)
    alone = adjustment.adjust(scores[:1], observed[:1])
    np.testing.assert_allclose(alone, adjusted[:1])


def test_the_order_of_rows_with_the_same_cells_stays(fitted):
    adjustment, _ = fitted
    scores = np.linspace(-100, 20, 500)
    for count in (1, 2, 3):
        observed = np.zeros((500, 4), dtype=bool)
        observed[:, :count] = True
        assert (np.diff(adjustment.adjust(scores, observed)) > 0).all()


def test_a_row_without_cells_has_the_median(fitted):
    adjustment, draw = fitted
    usual, _ = draw(20_000, 4)
    found = adjustment.adjust(np.zeros(1), np.zeros((1, 4), dtype=bool))
    assert found[0] == pytest.approx(np.median(usual), abs=0.5)


def test_a_value_that_many_share_is_no_rarer_than_it_is():
    """A cell of two values, one of them rare."""
    rng = np.random.default_rng(0)
    usual = -rng.exponential(size=2000)
    cell = np.where(rng.uniform(size=2000) < 0.1, -5.0, -0.1)
    masks = [np.ones((2000, 2), dtype=bool), np.ones((2000, 2), dtype=bool)]
    one = np.tile([True, False], (2000, 1))
    adjustment = ScoreAdjustment.fit([2, 1], [*masks, one], [usual, usual, cell])
    rare, common = adjustment.adjust(np.array([-5.0, -0.1]), one[:2])
    assert (usual <= rare).mean() == pytest.approx(0.1, abs=0.03)
    assert (usual <= common).mean() > 0.9


def test_far_out_a_score_is_no_farther_out_among_the_reference_rows_than_it_may_be():
    rng = np.random.default_rng(0)
    masks = [np.ones((400, 2), dtype=bool), np.tile([True, False], (400, 1))]
    scores = [4 * rng.normal(size=400), rng.normal(size=400)]
    masks, scores, counts = [masks[0], *masks], [scores[0], *scores], [2, 1]
    far, one = np.array([-10.0, -11.0]), np.tile([True, False], (2, 1))
    slopes = []
    for steepest in (np.inf, 1.0):
        adjustment = ScoreAdjustment.fit(counts, masks, scores, steepest)
        slopes.append(-np.diff(adjustment.adjust(far, one))[0])
    assert slopes == pytest.approx([4, 1], rel=0.2)

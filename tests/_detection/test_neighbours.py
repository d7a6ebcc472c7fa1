"""Distances of rows to reference rows."""

import pickle

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from skae._detection import neighbours
from skae._detection.neighbours import NeighbourDistances


@pytest.fixture(scope="module")
def known():
    return np.random.default_rng(0).normal(size=(300, 4))


@pytest.fixture(scope="module")
def distances_to(known):
    return NeighbourDistances.from_rows(known, known[:, 0] < 0.5)


def test_distances_of_new_rows_are_those_of_nearest_neighbors(known, distances_to):
    rows = np.random.default_rng(1).normal(size=(50, 4))
    nearest, fifth = distances_to.measure(rows).T
    usual = known[known[:, 0] < 0.5]
    np.testing.assert_allclose(nearest, NearestNeighbors().fit(known).kneighbors(rows, 1)[0][:, 0])
    np.testing.assert_allclose(fifth, NearestNeighbors().fit(usual).kneighbors(rows, 5)[0][:, -1])


@pytest.mark.parametrize("n_known", [70, 300])
@pytest.mark.parametrize("is_masked", [False, True])
def test_blocks_of_rows_have_distances_of_their_own(known, n_known, is_masked, monkeypatch):
    few = known[:n_known]
    distances_to = NeighbourDistances.from_rows(few, few[:, 0] < 0.5)
    rows = np.random.default_rng(1).normal(size=(50, 4))
    observed = np.ones(rows.shape, dtype=bool) if is_masked else None
    whole = distances_to.measure(rows, observed)
    monkeypatch.setattr(neighbours, "_BLOCK_CELLS", 7 * n_known)
    in_blocks = distances_to.measure(rows, observed)
    alone = [
        distances_to.measure(rows[[i]], None if observed is None else observed[[i]])
        for i in range(50)
    ]
    for found in (in_blocks, np.concatenate(alone)):
        np.testing.assert_allclose(found, whole, rtol=1e-9 if is_masked else 1e-12)


@pytest.mark.parametrize("n_usual", [1, 3, 70, 300, 2000])
@pytest.mark.parametrize("n_others", [0, 1, 5, 600])
def test_groups_of_rows_leave_none_out(n_usual, n_others):
    rng = np.random.default_rng(0)
    known = rng.integers(0, 4, size=(n_usual + n_others, 3)) + 0.25  # with ties
    rows = rng.normal(size=(40, 3))
    is_usual = rng.permutation(len(known)) < n_usual
    distances_to = NeighbourDistances.from_rows(known, is_usual)
    whole = np.linalg.norm(rows[:, None] - known, axis=2)
    count = min(5, max(1, n_usual - 1))
    expected = np.stack([whole.min(axis=1), np.sort(whole[:, is_usual], axis=1)[:, count - 1]], 1)
    np.testing.assert_allclose(distances_to.measure(rows), expected)
    np.testing.assert_allclose(distances_to.measure(rows[:3]), expected[:3])


def test_a_reference_row_is_not_its_own_neighbour(known, distances_to):
    nearest, fifth = distances_to.measure(known).T
    usual = known[known[:, 0] < 0.5]
    others = NearestNeighbors(n_neighbors=5)
    np.testing.assert_allclose(nearest, others.fit(known).kneighbors()[0][:, 0])
    distances = others.fit(usual).kneighbors()[0][:, -1]
    np.testing.assert_allclose(fifth[known[:, 0] < 0.5], distances)
    in_single = distances_to.measure(known.astype(np.float32).astype(np.float64))
    np.testing.assert_allclose(in_single[:, 0], nearest, rtol=1e-4)


def test_a_second_copy_is_a_neighbour(known, distances_to):
    twice = NeighbourDistances.from_rows(
        np.vstack([known, known[:1]]), np.r_[known[:, 0] < 0.5, False]
    )
    assert twice.measure(known[:1])[0, 0] == 0
    assert distances_to.measure(known[:1])[0, 0] > 0.01


def test_copies_are_found(known, distances_to):
    rows = np.vstack([known[:3].astype(np.float32), known[3:6] + 1e-3])
    distances, is_copy = distances_to.find(rows)
    assert is_copy.tolist() == [True] * 3 + [False] * 3
    np.testing.assert_array_equal(distances, distances_to.measure(rows))
    observed = np.arange(4) < np.full((6, 1), 2)
    rows[:3, 2:] = 9.0  # not looked at
    assert distances_to.find(rows, observed)[1].tolist() == [True] * 3 + [False] * 3


@pytest.mark.parametrize("size", [1e6, 1e12, 1e100])
def test_far_rows_are_far(distances_to, size):
    distances = distances_to.measure(np.array([[size, 0, 0, 0], [-size, size, 0, 0]]))
    np.testing.assert_allclose(distances[0], size, rtol=1e-5)
    assert np.isfinite(distances).all()


@pytest.mark.parametrize("n_rows", [1, 2, 3])
def test_few_reference_rows_give_finite_distances(n_rows):
    rows = np.arange(2.0 * n_rows).reshape(n_rows, 2)
    distances_to = NeighbourDistances.from_rows(rows, np.arange(n_rows) < max(1, n_rows - 1))
    assert np.isfinite(distances_to.measure(rows)).all()
    assert (distances_to.measure(rows + 100) > 50).all()


def test_with_few_usual_rows_the_farthest_of_them_counts():
    """Of a usual row among three there are two others, not five."""
    rows = np.array([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0], [0.0, 0.5]])
    distances_to = NeighbourDistances.from_rows(rows, np.arange(4) < 3)
    np.testing.assert_allclose(distances_to.measure(rows[:3]), [[0.5, 3], [1, 2], [2, 3]])


@pytest.mark.parametrize("at", [0.0, 100.0])
def test_only_rows_equal_up_to_rounding_are_copies(at):
    rows = np.array([[at, at], [at + 1.0, at]])
    distances_to = NeighbourDistances.from_rows(rows, np.ones(2, dtype=bool))
    step = 0.001 * max(at, 1.0)
    copy = distances_to.measure(np.array([[at + 1e-7, at]]))
    near = distances_to.measure(np.array([[at + step, at]]))
    np.testing.assert_allclose(copy, 1, rtol=1e-6)
    np.testing.assert_allclose(near[0, 0], step, rtol=1e-3)


def test_the_distance_of_rows_as_near_as_rounding_is_zero():
    rows = np.repeat([[0.0, 0.0], [1.0, 0.0]], 8, axis=0)
    distances_to = NeighbourDistances.from_rows(rows, np.ones(16, dtype=bool), rounding=1e-3)
    within, beyond = np.array([[1.0009, 0.0]]), np.array([[1.002, 0.0]])
    np.testing.assert_array_equal(distances_to.measure(within), 0)
    np.testing.assert_allclose(distances_to.measure(beyond), 0.002, rtol=1e-3)


def test_distances_over_observed_cells():
    rng = np.random.default_rng(0)
    known, rows = rng.normal(size=(60, 4)), rng.normal(size=(20, 4))
    observed = rng.uniform(size=rows.shape) < 0.6
    observed[:, 0] = True
    variance = np.where(rng.uniform(size=known.shape) < 0.3, rng.uniform(size=known.shape), 0.0)
    is_usual = np.arange(60) % 3 > 0
    distances_to = NeighbourDistances.from_rows(known, is_usual, 0.0, variance)
    squares = np.square(rows[:, None] - known) + variance
    expected = np.sqrt((squares * observed[:, None]).sum(axis=2))
    found = distances_to.measure(np.where(observed, rows, 1e6), observed)
    np.testing.assert_allclose(found[:, 0], expected.min(axis=1))
    np.testing.assert_allclose(found[:, 1], np.sort(expected[:, is_usual], axis=1)[:, 4])
    whole = np.sort(np.sqrt(squares.sum(axis=2)), axis=1)
    np.testing.assert_allclose(distances_to.measure(rows)[:, 0], whole[:, 0])
    certain = NeighbourDistances.from_rows(known, is_usual)
    np.testing.assert_allclose(certain.measure(rows, observed | True), certain.measure(rows))


def test_what_was_computed_from_the_rows_is_not_stored(known):
    distances_to = NeighbourDistances.from_rows(known, known[:, 0] < 0.5)
    before = pickle.dumps(distances_to)
    distances = distances_to.measure(known[:3] + 1)
    assert pickle.dumps(distances_to) == before
    np.testing.assert_array_equal(pickle.loads(before).measure(known[:3] + 1), distances)

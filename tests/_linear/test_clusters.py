"""Clusters of rows by their codes and errors."""

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from skae._linear import CodesAndErrors, find_clusters


def draw(n_rows=400, seed=0):
    """Two clusters, as codes, errors and labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n_rows) % 2
    codes = rng.normal(size=(n_rows, 2)) @ [[2.0, 1.0], [0.0, 0.5]] + 6 * labels[:, None]
    errors = rng.normal(size=(n_rows, 3)) * np.where(labels[:, None] == 1, 0.1, 1.0)
    return codes, errors, labels


@pytest.mark.parametrize("full", [False, True])
def test_clusters_are_found(full):
    codes, errors, labels = draw()
    share = find_clusters(CodesAndErrors.from_arrays(codes, errors, np.ones(400), full), 2)
    np.testing.assert_allclose(share.sum(axis=1), 1)
    own = share[np.arange(400), share[labels == 1].sum(axis=0).argmax() ^ 1 ^ labels]
    assert (own > 0.99).mean() > 0.99


def test_shares_are_those_of_a_gaussian_mixture():
    """With full covariances of both together, beside the weight of one row."""
    codes, errors, _ = draw(3000)
    codes = codes - 3 * (codes > 3)  # nearer to each other, so that shares differ from 0 and 1
    ours = find_clusters(CodesAndErrors.from_arrays(codes, errors, np.ones(3000), True), 2)
    theirs = GaussianMixture(2, tol=1e-6, random_state=0).fit(np.hstack([codes, errors]))
    expected = theirs.predict_proba(np.hstack([codes, errors]))
    if ours[0].argmax() != expected[0].argmax():
        expected = expected[:, ::-1]
    assert np.abs(ours - expected).mean() < 0.01


@pytest.mark.parametrize("full", [False, True])
def test_a_weight_counts_as_copies(full):
    codes, errors, _ = draw(200)
    weight = np.random.default_rng(1).integers(1, 4, size=200)
    ours = find_clusters(CodesAndErrors.from_arrays(codes, errors, weight * 1.0, full), 2)
    copies = [np.repeat(part, weight, axis=0) for part in (codes, errors)]
    share = find_clusters(CodesAndErrors.from_arrays(*copies, np.ones(weight.sum()), full), 2)
    expected = share[np.cumsum(weight) - 1]
    if ours[0].argmax() != expected[0].argmax():
        expected = expected[:, ::-1]
    np.testing.assert_allclose(ours, expected, atol=0.02)


def test_rows_without_weight_count_for_nothing():
    codes, errors, _ = draw(200)
    weight = np.r_[np.ones(150), np.zeros(50)]
    codes[150:] = 1e3
    ours = find_clusters(CodesAndErrors.from_arrays(codes, errors, weight, False), 2)
    alone = CodesAndErrors.from_arrays(codes[:150], errors[:150], weight[:150], False)
    expected = find_clusters(alone, 2)
    if ours[0].argmax() != expected[0].argmax():
        expected = expected[:, ::-1]
    np.testing.assert_allclose(ours[:150], expected, atol=0.02)


@pytest.mark.parametrize("full", [False, True])
def test_constant_columns_and_few_rows(full):
    codes, errors = np.zeros((6, 2)), np.zeros((6, 3))
    codes[:3, 0] = 1
    share = find_clusters(CodesAndErrors.from_arrays(codes, errors, np.ones(6), full), 4)
    assert np.isfinite(share).all()


def test_directions_without_variance_do_not_favour_the_largest_cluster():
    """The errors of PCA vary in the directions that its axes leave alone."""
    codes, errors, labels = draw(600)
    errors = np.column_stack([errors, np.zeros((600, 4))])
    kept = np.r_[np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)[:100]]
    rows = CodesAndErrors.from_arrays(codes[kept], errors[kept], np.ones(len(kept)), True)
    share = find_clusters(rows, 2)
    np.testing.assert_allclose(np.sort(share.sum(axis=0)), [100, 300], atol=2)

"""The share of the variance that a reconstruction explains."""

import numpy as np
import pytest
from sklearn.metrics import r2_score

from skae.inspection import explained_variance


def test_explained_variance_is_r2_of_standardised_columns():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 4)) * [1, 10, 100, 1000]
    reconstruction = X + rng.normal(size=X.shape) * [0.1, 1, 20, 100]
    # All columns have the same variance once scaled, so the mean of their R2s is the pooled one.
    assert explained_variance(X, reconstruction) == pytest.approx(r2_score(X, reconstruction))
    assert explained_variance(X, X) == 1
    assert explained_variance(X, np.tile(X.mean(axis=0), (30, 1))) == pytest.approx(0)
    assert explained_variance(X, -X) < 0


def test_rows_without_variance():
    assert np.isnan(explained_variance(np.ones((3, 2)), np.ones((3, 2))))


def test_constant_column_counts_with_its_errors():
    X = np.array([[1.0, 5.0], [-1.0, 5.0]])
    reconstruction = X + np.array([0.0, 0.5])
    # The total is 2, all of the first column.
    assert explained_variance(X, reconstruction) == pytest.approx(1 - 2 * 0.25 / 2)


def test_given_mean_and_scale():
    share = explained_variance([[3.0, 4.0]], [[3.0, 2.0]], mean=[0, 0], scale=[3, 2])
    assert share == pytest.approx(1 - 1 / 5)
    share = explained_variance([[3.0], [5.0]], [[3.0], [4.0]], mean=[1.0])
    assert share == pytest.approx(1 - 1 / (4 + 16))
    share = explained_variance([[3.0], [5.0]], [[3.0], [4.0]], scale=[7.0])
    assert share == pytest.approx(1 - 1 / 2)


def test_reconstructions_in_the_shape_of_images_are_of_flat_rows_too():
    X = np.random.default_rng(0).normal(size=(30, 6))
    rebuilt = X + 0.1
    expected = explained_variance(X, rebuilt)
    assert explained_variance(X, rebuilt.reshape(30, 2, 3)) == expected
    with pytest.raises(ValueError, match="reshape"):
        explained_variance(X, rebuilt[:, :5])

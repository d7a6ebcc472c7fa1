"""Errors of a linear model that has not seen a row, for tables of few rows."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.covariance import oas
from sklearn.metrics import roc_auc_score

from skae import AEAnomalyDetector
from skae._detection.anomaly_score import AnomalyScore
from skae._detection.detector import make_default_estimator
from skae._detection.left_out import LeftOutErrors


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return rng.normal(size=(30, 40)) @ rng.normal(size=(40, 40)) + 3


def few_rows(n_rows, seed=0):
    """Rows of 60 columns about a plane of five dimensions."""
    rng = np.random.default_rng(seed)
    plane = np.random.default_rng(7).normal(size=(5, 60))
    return rng.normal(size=(n_rows, 5)) @ plane + 0.3 * rng.normal(size=(n_rows, 60))


@pytest.fixture(scope="module")
def fitted():
    return AEAnomalyDetector(random_state=0).fit(few_rows(70))


def shrink(rows):
    """Return the centred rows, their covariance and how much it is shrunk."""
    centred = rows - rows.mean(axis=0)
    return centred, *oas(centred, assume_centered=True)


@pytest.mark.parametrize("n_rows", [30, 15])
def test_errors_are_distances_of_a_shrunk_covariance(rows, n_rows):
    centred, covariance, share = shrink(rows[:n_rows])
    outside = share * np.square(centred).mean()
    squares = np.einsum("ij,jk,ik->i", centred, np.linalg.inv(covariance), centred)
    errors = LeftOutErrors.from_rows(rows[:n_rows], None).measure(
        rows[:n_rows], np.zeros(n_rows, dtype=bool)
    )
    np.testing.assert_allclose(errors[:, 0], outside * squares)


def test_a_known_row_is_left_out(rows):
    centred, covariance, share = shrink(rows)
    outside = share * np.square(centred).mean()
    found = LeftOutErrors.from_rows(rows, None).measure(rows, np.ones(len(rows), dtype=bool))
    for row, error in zip(centred, found[:, 0], strict=True):
        without = covariance - (1 - share) / len(rows) * np.outer(row, row)
        assert error == pytest.approx(outside * row @ np.linalg.solve(without, row))


def test_a_weight_of_two_is_two_rows(rows):
    weight = np.random.default_rng(0).integers(1, 4, size=len(rows))
    once = LeftOutErrors.from_rows(rows, weight)
    often = LeftOutErrors.from_rows(np.repeat(rows, weight, axis=0), None)
    for is_known in (np.zeros(len(rows), dtype=bool), np.ones(len(rows), dtype=bool)):
        np.testing.assert_allclose(
            once.measure(rows, is_known), often.measure(rows, is_known), rtol=1e-9
        )


def test_rows_of_little_weight_are_left_out_as_a_whole():
    """More of a row than there is can't be taken away."""
    rows = few_rows(70)
    centred = rows - rows.mean(axis=0)
    halves = LeftOutErrors.from_rows(rows, np.full(len(rows), 0.5))
    covariance = np.linalg.inv(np.eye(60) - halves.factor.T @ halves.factor)
    ratio = (np.trace(covariance) - 60) / np.square(centred).sum()
    found = halves.measure(rows, np.ones(len(rows), dtype=bool))
    for row, error in zip(centred, found[:, 0], strict=True):
        assert error == pytest.approx(
            row @ np.linalg.solve(covariance - ratio * np.outer(row, row), row)
        )


@pytest.mark.parametrize("known", [np.ones((1, 3)), np.ones((5, 3)), np.eye(3)[:2]])
def test_rows_that_are_equal_or_few_give_finite_errors(known):
    errors = LeftOutErrors.from_rows(known, None)
    for is_known in (np.ones(len(known), dtype=bool), np.zeros(len(known), dtype=bool)):
        for step in (0.0, 2.0, 1e6):
            found = errors.measure(known + step, is_known)
            assert np.isfinite(found).all()
            assert (found >= 0).all()
    assert (errors.measure(known + 2.0, np.zeros(len(known), dtype=bool)) > 1).all()


def test_training_rows_are_no_more_usual_than_fresh_ones(fitted):
    """The network's errors on them are much smaller."""
    known, fresh = few_rows(70), few_rows(200, seed=1)
    is_fresh = np.repeat([0, 1], [len(known), len(fresh)])
    scores = fitted.score_samples(np.vstack([known, fresh]))
    assert 0.4 < roc_auc_score(is_fresh, -scores) < 0.6
    score = AnomalyScore.fit(fitted.estimator_, known, None)
    errors = score.view(fitted.estimator_, np.vstack([known, fresh])).errors
    assert roc_auc_score(is_fresh, errors[:, 0]) > 0.8


def test_finds_rows_off_the_plane(fitted):
    odd = few_rows(100, seed=2)
    odd[:, :3] += 2 * np.random.default_rng(3).normal(size=(100, 3))
    X = np.vstack([few_rows(100, seed=1), odd])
    assert roc_auc_score(np.repeat([1, 0], 100), fitted.score_samples(X)) > 0.95


def test_the_reason_is_the_cell_that_was_changed(fitted):
    X = few_rows(3, seed=1)
    X[np.arange(3), [4, 20, 59]] += 25
    reasons = fitted.explain(X)["contribution"].unstack()
    assert reasons.to_numpy().argmax(axis=1).tolist() == [4, 20, 59]


def test_rows_with_missing_cells(fitted):
    X = few_rows(200, seed=1)
    X[np.random.default_rng(0).uniform(size=X.shape) < 0.2] = np.nan
    odd = X + np.where(np.arange(60) < 6, 6.0, 0.0)
    scores = fitted.score_samples(np.vstack([X, odd]))
    assert np.isfinite(scores).all()
    assert roc_auc_score(np.repeat([1, 0], 200), scores) > 0.9
    # As often outliers as complete rows.
    assert np.mean(fitted.p_values(X) <= 0.2) < 0.4


def test_training_rows_with_missing_cells():
    X = few_rows(70)
    X[np.random.default_rng(0).uniform(size=X.shape) < 0.1] = np.nan
    detector = AEAnomalyDetector(random_state=0).fit(X)
    assert detector._anomaly_score.left_out is not None
    odd = few_rows(100, seed=1) + np.where(np.arange(60) < 6, 6.0, 0.0)
    scores = detector.score_samples(np.vstack([few_rows(100, seed=1), odd]))
    assert roc_auc_score(np.repeat([1, 0], 100), scores) > 0.9


def test_scores_do_not_depend_on_the_batch(fitted):
    X = np.vstack([few_rows(5), few_rows(5, seed=1)])  # known rows and fresh ones
    alone = [fitted.score_samples(X[[row]])[0] for row in range(10)]
    np.testing.assert_allclose(alone, fitted.score_samples(X), rtol=1e-9)


def test_scores_are_stored(fitted):
    X = few_rows(20, seed=1)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.score_samples(X), fitted.score_samples(X))


def test_other_tables_are_scored_by_the_network():
    few, many = few_rows(70), few_rows(150)
    small = make_default_estimator(70).set_params(max_epochs=1)
    labels = pd.DataFrame(few).add_prefix("x").assign(label=np.where(np.arange(70) % 2, "a", "b"))
    series = AEAnomalyDetector(random_state=0, gap=2)
    for detector in (
        AEAnomalyDetector(random_state=0).fit(many),
        AEAnomalyDetector(small, random_state=0).fit(few),
        AEAnomalyDetector(random_state=0).fit(labels),
        series.fit(few),
    ):
        assert detector._anomaly_score.left_out is None
        assert detector._anomaly_score.by_error.knots.shape[1] > 1


def test_a_score_of_an_earlier_version_leaves_nothing_out(fitted):
    score = AnomalyScore.fit(fitted.estimator_, few_rows(70), None)
    stored = {name: value for name, value in vars(score).items() if name != "left_out"}
    earlier = AnomalyScore.__new__(AnomalyScore)
    earlier.__setstate__(stored)
    assert earlier.left_out is None

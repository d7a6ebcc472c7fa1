"""Rows that share a rare label."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control

from skae._command.rare_kinds import find_kind_p_values, list_kinds
from skae._command.scored_rows import compute_p_values, score_rows


def make_labels(n_rows, n_rare, label="rare", others="uvw"):
    """Return a column in which the first rows have a label that others don't."""
    labels = np.random.default_rng(0).choice(list(others), n_rows).astype(object)
    labels[:n_rare] = label
    return pd.DataFrame({"kind": labels, "size": np.random.default_rng(1).normal(size=n_rows)})


def draw_scores(n_rows, n_rare, rng):
    """Return scores that fall off exponentially, those of the first rows beyond all others."""
    scores = -rng.exponential(size=n_rows)
    scores[:n_rare] -= 12
    return scores


@pytest.mark.parametrize(("n_rows", "n_rare"), [(300, 4), (1000, 15), (1000, 5)])
def test_a_rare_label_is_no_anomaly(n_rows, n_rare):
    frame, rng = make_labels(n_rows, n_rare), np.random.default_rng(0)
    n_called = 0
    for _ in range(40):
        scores = draw_scores(n_rows, n_rare, rng)
        p_values = compute_p_values(scores, frame)
        assert (p_values[:n_rare] < 0.02).all()  # as rare as the label is
        n_called += (false_discovery_control(p_values) <= 0.1).any()
        alone = compute_p_values(scores, frame[["size"]])
        assert (false_discovery_control(alone)[:n_rare] <= 0.1).all()
    assert n_called <= 8


@pytest.mark.parametrize("labels", [("u", "v", True), (0.0, 1.0, 2.0), (False, False, True)])
def test_codes_and_booleans_are_labels(labels):
    frame = make_labels(1000, 15, labels[2], labels[:2]).infer_objects()
    p_values = compute_p_values(draw_scores(1000, 15, np.random.default_rng(0)), frame)
    assert false_discovery_control(p_values).min() > 0.1


def test_an_absurd_row_is_called_though_its_label_is_rare():
    rng = np.random.default_rng(0)
    scores = draw_scores(1000, 15, rng)
    scores[[3, 700]] = -40
    is_called = false_discovery_control(compute_p_values(scores, make_labels(1000, 15))) <= 0.1
    assert np.flatnonzero(is_called).tolist() == [3, 700]


def test_rows_of_usual_labels_keep_their_p_values():
    frame, scores = make_labels(1000, 0), -np.random.default_rng(0).exponential(size=1000)
    known = compute_p_values(scores, frame[["size"]])
    np.testing.assert_array_equal(compute_p_values(scores, frame), known)


def test_a_label_of_few_rows_may_be_wrong():
    """A slip of the pen is not a kind of rows, nor is a value of a quantity."""
    frame = make_labels(300, 3).assign(age=np.arange(300) // 4)
    assert all(len(rows) > 50 for rows in list_kinds(frame))
    scores = draw_scores(300, 3, np.random.default_rng(0))
    is_called = false_discovery_control(compute_p_values(scores, frame)) <= 0.1
    assert is_called[:3].all()


def test_missing_cells_dates_and_single_values_are_no_labels():
    dates = pd.to_datetime(["2020-01-01"] * 5 + ["2021-01-01"] * 5)
    frame = pd.DataFrame({"none": [None] * 5 + ["x"] * 5, "date": dates, "same": "x"})
    assert list(list_kinds(frame)) == []


def test_scores_that_do_not_vary():
    found = find_kind_p_values(make_labels(20, 5), np.zeros(20), 0.0)
    assert 0 < found.min() <= found.max() <= 0.5


def test_a_table_of_independent_columns():
    """The rare rows are the strangest, and aren't called; a planted row is."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({name: rng.choice(list("uvw"), 400).astype(object) for name in "abcd"})
    frame.loc[rng.choice(400, 6, replace=False), "a"] = "rare"
    frame["e"] = rng.normal(size=400)
    frame.loc[17, "e"] = 40.0
    found = score_rows(frame, seed=0)
    assert np.flatnonzero(false_discovery_control(found.p_values) <= 0.2).tolist() == [17]
    assert sum(frame["a"].iloc[row] == "rare" for row in found.order.tolist()) >= 4

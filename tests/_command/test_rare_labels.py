"""Rows that share a rare label."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control

from skae._command.rare_labels import find_label_p_values, list_rare_labels
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


DISTRIBUTIONS = {
    "exponential": lambda rng, n_rows: rng.exponential(size=n_rows),
    "normal": lambda rng, n_rows: rng.normal(size=n_rows),
    "uniform": lambda rng, n_rows: rng.uniform(size=n_rows),
    "chi2": lambda rng, n_rows: rng.chisquare(20, size=n_rows),
}


@pytest.mark.parametrize("share", [0.5, 0.2, 0.03])
@pytest.mark.parametrize("name", list(DISTRIBUTIONS))
def test_rows_of_usual_labels_keep_their_p_values(name, share):
    """Whatever the scores' distribution, so that planted rows are found as without the labels."""
    rng, n_rows = np.random.default_rng(0), 5000
    scores = -DISTRIBUTIONS[name](rng, n_rows)
    scores[rng.choice(n_rows, 30, replace=False)] = scores.mean() - 12 * scores.std()
    is_first = np.arange(n_rows) < share * n_rows
    frame = pd.DataFrame({"sex": rng.permutation(np.where(is_first, "f", "m")).astype(object)})
    known = compute_p_values(scores, pd.DataFrame({"size": rng.normal(size=n_rows)}))
    np.testing.assert_array_equal(compute_p_values(scores, frame), known)
    assert (false_discovery_control(known) <= 0.1).sum() >= 30


@pytest.mark.parametrize(("n_rare", "is_rare"), [(3, False), (4, True), (20, True), (21, False)])
def test_a_rare_label_has_four_rows_and_at_most_a_fiftieth(n_rare, is_rare):
    rows = [found.tolist() for found in list_rare_labels(make_labels(1000, n_rare), 0.02)]
    assert rows == ([list(range(n_rare))] if is_rare else [])


def test_a_label_of_few_rows_may_be_wrong():
    """A typing error is no rare label, nor is a value of a quantity."""
    frame = make_labels(300, 3).assign(age=np.arange(300) // 4)
    assert list(list_rare_labels(frame, 0.02)) == []
    scores = draw_scores(300, 3, np.random.default_rng(0))
    is_called = false_discovery_control(compute_p_values(scores, frame)) <= 0.1
    assert is_called[:3].all()


def test_missing_cells_dates_and_single_values_are_no_labels():
    dates = pd.to_datetime(["2020-01-01"] * 5 + ["2021-01-01"] * 5)
    frame = pd.DataFrame({"none": [None] * 5 + ["x"] * 5, "date": dates, "same": "x"})
    assert list(list_rare_labels(frame, 1.0)) == []


def test_scores_that_do_not_vary():
    found = find_label_p_values(make_labels(20, 5), np.zeros(20), 0.0, 1.0)
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

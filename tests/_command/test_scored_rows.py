"""How strange rows are, and why."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, kstest
from sklearn.model_selection import KFold

from skae import AEAnomalyDetector
from skae._command import scored_rows
from skae._command.scored_rows import compute_p_values as find_p_values
from skae._command.scored_rows import list_reasons, score_rows

from .tables import make_people

PLANTED = {17: "age", 101: "job", 160: "born"}


def compute_p_values(scores):
    """Return the p-values of rows without labels."""
    return find_p_values(scores, pd.DataFrame(index=range(len(scores))))


@pytest.fixture(scope="module")
def planted():
    """People of whom three have a wrong cell each, and how strange the rows are."""
    people = make_people(200)
    people.loc[17, "age"] = 400.0
    people.loc[101, "job"] = "retired" if people.loc[101, "age"] < 40 else "student"
    people.loc[160, "born"] += pd.Timedelta(days=40_000)
    return people, score_rows(people, seed=0)


def test_planted_rows_are_the_strangest(planted):
    people, found = planted
    assert len(found.p_values) == len(people)
    assert len(found.strangest) == len(found.order) == 20
    assert [int(row.row) for row in found.strangest] == found.order.tolist()
    assert set(found.order[:3].tolist()) == set(PLANTED)
    p_values = [row.p_value for row in found.strangest]
    assert p_values == sorted(p_values) == found.p_values[found.order].tolist()
    called = np.flatnonzero(false_discovery_control(found.p_values) <= 0.1)
    assert set(PLANTED) <= set(called.tolist())


def test_reasons_are_the_planted_cells(planted):
    people, found = planted
    rows = {int(row.row): row.reasons for row in found.strangest}
    for row, name in PLANTED.items():
        first = rows[row][0]
        assert first.column == name
        assert first.share > 0.5
    age, born = rows[17][0], rows[160][0]
    assert age.value == "400"
    assert 0 < float(age.expected) < 100
    assert born.value == people.loc[160, "born"].strftime("%Y-%m-%d")
    assert pd.Timestamp(born.expected) < pd.Timestamp(born.value)
    job = rows[101][0]
    assert job.value == people.loc[101, "job"]
    assert job.expected in {"student", "worker", "retired"} - {job.value}
    for reasons in rows.values():
        shares = [reason.share for reason in reasons]
        assert shares == sorted(shares, reverse=True)
        assert 0 < sum(shares) <= 1 + 1e-9
        assert all("missing" not in (reason.value, reason.expected) for reason in reasons)


def test_no_row_is_judged_by_a_detector_that_saw_it(monkeypatch):
    fits, scored = [], set()

    class Spy(AEAnomalyDetector):
        def fit(self, X):
            super().fit(X)
            self.seen_ = set(X.index)
            fits.append(self)
            return self

        def score_samples(self, X):
            assert not self.seen_ & set(X.index)
            scored.update(X.index)
            return np.zeros(len(X))

    monkeypatch.setattr(scored_rows, "AEAnomalyDetector", Spy)
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(23, 3)), columns=list("abc"))
    score_rows(frame, seed=0)
    assert len(fits) == 5
    assert sorted(scored) == list(range(23))
    folds = KFold(5, shuffle=True, random_state=0).split(frame)
    assert [fit.seen_ for fit in fits] == [set(train.tolist()) for train, _ in folds]


def test_p_values_of_rows_alike_are_uniform(normal_scores):
    assert kstest(compute_p_values(normal_scores), "uniform").pvalue > 0.05


@pytest.mark.parametrize("n_views", [1, 3])
def test_anomalies_are_seldom_called_among_rows_alike(n_views):
    # A score is the mean surprisal of several views: those of usual rows are exponential.
    rng = np.random.default_rng(0)
    scores = -rng.exponential(size=(300, 500, n_views)).mean(axis=2)
    is_called = [(false_discovery_control(compute_p_values(own)) <= 0.1).any() for own in scores]
    assert 0.005 < np.mean(is_called) < 0.15


@pytest.fixture(scope="module")
def normal_scores():
    """Scores of rows of one normal distribution, by detectors that were not fitted on them."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(300, 3)) @ rng.normal(size=(3, 5)), columns=list("abcde"))
    frame += 0.5 * rng.normal(size=frame.shape)
    scores = np.empty(300)
    for train, test in KFold(2, shuffle=True, random_state=0).split(frame):
        detector = AEAnomalyDetector(random_state=0).fit(frame.iloc[train])
        scores[test] = detector.score_samples(frame.iloc[test])
    return scores


def test_few_anomalies_do_not_hide_each_other(normal_scores):
    spread = normal_scores.std()
    scores = np.append(normal_scores, normal_scores.min() - spread * np.arange(5, 8))
    found = compute_p_values(scores)
    called = np.flatnonzero(false_discovery_control(found) <= 0.1)
    assert called.tolist() == [300, 301, 302]
    assert found[-1] < found[-2] < found[-3] < 1e-3


def test_p_values_are_not_extrapolated_without_end():
    scores = np.append(-np.random.default_rng(0).exponential(size=200), -1e9)
    found = compute_p_values(scores)
    assert found.argmin() == 200
    assert found.min() == 1e-6
    assert found.max() <= 1


def test_scores_that_are_all_alike():
    assert compute_p_values(np.zeros(30)).tolist() == [1.0] * 30


@pytest.mark.parametrize("n_rows", [4, 7])
def test_a_few_rows(n_rows):
    frame = pd.DataFrame({"a": np.arange(float(n_rows)), "b": list("xyxxyxy")[:n_rows]})
    found = score_rows(frame, seed=0)
    assert len(found.strangest) == n_rows
    assert ((found.p_values > 0) & (found.p_values <= 1)).all()


def test_missing_cells_are_no_reasons():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 3)), columns=list("abc"))
    frame["d"] = frame["a"] + 0.1 * rng.normal(size=60)
    gaps = frame.mask(rng.random(frame.shape) < 0.2)
    gaps.loc[7] = [np.nan, 9.0, np.nan, np.nan]
    found = score_rows(gaps, seed=0)
    assert found.strangest[0].row == "7"
    assert [reason.column for reason in found.strangest[0].reasons] == ["b"]


def test_shares_are_of_what_the_score_lacks():
    """Few cells of a row with several wrong ones have a share; an expected value is no reason."""
    names, values = ["a", "b", "c"], np.array([1.0, "x", 3.0], dtype=object)
    expected, gains = np.array([2.0, "x", 4.0], dtype=object), np.array([3.0, 2.0, 0.5])
    found = list_reasons(names, values, expected, gains, lacking=10.0)
    assert [(reason.column, reason.share) for reason in found] == [("a", 0.3), ("c", 0.05)]
    assert list_reasons(names, values, expected, gains, lacking=300.0) == ()
    alone = list_reasons(names, values, expected, gains * [1, 0, 0], lacking=2.0)
    assert [(reason.column, reason.share) for reason in alone] == [("a", 1.0)]
    assert list_reasons(names, values, expected, -gains, lacking=-1.0) == ()

"""How well columns predict each other."""

import numpy as np
import pandas as pd
import pytest

from skae import AEImputer
from skae._command import predicted_columns
from skae._command.encoding import Encoding, ignore_reported
from skae._command.predicted_columns import list_columns, measure_predictions

from .tables import make_people


@pytest.fixture(scope="module")
def people():
    people = make_people(120).assign(
        name=[f"person {number}" for number in range(120)],
        copy=lambda frame: frame["job"].map({"student": "s", "worker": "w", "retired": "r"}),
        same="always",
    )
    people.loc[:19, "job"] = None
    people["took"] = pd.to_timedelta(people["age"].round(), "D")
    return people


@pytest.fixture(scope="module")
def found(people):
    with pytest.MonkeyPatch.context() as patch, ignore_reported():
        patch.setattr(predicted_columns, "_N_FOLDS", 2)
        patch.setattr(predicted_columns, "_MOST_ROWS", 60)  # of one fold
        patch.setattr(predicted_columns, "_FEWEST_ROWS", 1)
        encoding = Encoding.fit(people)
        return {column.name: column for column in list_columns(people, encoding, seed=0)}


def test_what_columns_are(found, people):
    assert list(found) == list(people)
    assert {name: column.kind for name, column in found.items()} == {
        "age": "number",
        "job": "category",
        "works": "boolean",
        "born": "date",
        "noise": "number",
        "name": "identifier",
        "copy": "category",
        "same": "category",
        "took": "duration",
    }
    assert {name: column.n_missing for name, column in found.items() if column.n_missing} == {
        "job": 20
    }
    assert found["same"].summary == "always 'always'"
    assert found["name"].summary == "120 labels, one for nearly every row"


def test_what_is_told(found):
    predicted = {name: column.predicted_by_others for name, column in found.items()}
    for name in ("age", "born", "took"):
        assert 0.98 < predicted[name] <= 1
    for name in ("job", "copy", "works"):
        assert 0.9 < predicted[name] <= 1
    assert predicted["noise"] < 0.1
    assert predicted["name"] is None
    assert predicted["same"] is None


class Means(AEImputer):
    """What fills cells with zeros, and labels with "b"."""

    def fit(self, X):
        return self

    def impute(self, X):
        return X.fillna({"number": 0.0, "label": "b"})


def test_told_is_what_it_says(monkeypatch):
    monkeypatch.setattr(predicted_columns, "AEImputer", Means)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"number": rng.normal(0.1, 1, 50), "label": list("abbbb") * 10})
    frame.loc[3, "number"] = np.nan
    frame.loc[4, "label"] = None
    predicted = measure_predictions(frame, Encoding.fit(frame), seed=0)
    assert predicted["label"] == 0  # as good as the most frequent label
    frame["number"] += 5 - frame["number"].mean()
    frame["label"] = list("abcbd") * 10
    assert (
        measure_predictions(frame, Encoding.fit(frame), seed=0)["number"] == 0
    )  # worse than the mean
    frame["number"] = 0.1 * rng.normal(size=50)
    frame.loc[0, "number"] = 5.0
    # The mean of the rows to learn from errs more than 0 in most of the folds.
    assert 0 < measure_predictions(frame, Encoding.fit(frame), seed=0)["number"] < 0.1


def test_filled_rows_were_held_out(monkeypatch):
    fitted, filled = [], []

    class Spy(Means):
        def fit(self, X):
            fitted.append(set(X.index))
            return self

        def impute(self, X):
            assert not fitted[-1] & set(X.index)
            filled.append(X)
            return super().impute(X)

    monkeypatch.setattr(predicted_columns, "AEImputer", Spy)
    monkeypatch.setattr(predicted_columns, "_MOST_ROWS", 25)
    monkeypatch.setattr(predicted_columns, "_FEWEST_ROWS", 1)
    monkeypatch.setattr(predicted_columns, "_MOST_TRAINING_ROWS", 30)
    monkeypatch.setattr(predicted_columns, "_MOST_COPIES", 20)
    frame = pd.DataFrame({"number": np.arange(50.0), "label": list("abcde") * 10})
    measure_predictions(frame, Encoding.fit(frame), seed=0)
    assert [len(rows) for rows in fitted] == [30, 30, 30]
    # By chance: a table's first rows may be unlike the others.
    assert any(np.diff(copies.index[: len(copies) // 2]).min() < 0 for copies in filled)
    # Both columns fit into one call.
    assert [len(copies) for copies in filled] == [20, 20, 10]
    for copies in filled:
        n_rows = len(copies) // 2
        assert copies["number"].isna().tolist() == [True] * n_rows + [False] * n_rows
        assert copies["label"].isna().tolist() == [False] * n_rows + [True] * n_rows
        assert copies.index[:n_rows].tolist() == copies.index[n_rows:].tolist()


def test_a_few_rows():
    frame = pd.DataFrame({"a": [1.0, 2, 3, 4], "b": ["x", "y", "x", None], "c": [None] * 3 + [1.0]})
    predicted = measure_predictions(frame, Encoding.fit(frame), seed=0)
    assert predicted["c"] is None
    assert 0 <= predicted["a"] <= 1

"""The columns of a second table."""

import numpy as np
import pandas as pd
import pytest

from skae._command.arguments import CommandError
from skae._command.second_table import select_second_table
from skae._command.source import Source
from skae._command.table import select_table

from .tables import make_people


@pytest.fixture
def select():
    """Return a function that selects from a second frame, given the first."""

    def select_it(second, first=None, target=None, n_rows=None):
        first = make_people(60) if first is None else first
        table = select_table(Source("a.csv", first), target, None, 0)
        return select_second_table(Source("b.csv", second), table, n_rows, 0)

    return select_it


def test_the_same_columns_in_another_order(select):
    people = make_people(30, seed=1)
    found = select(people[people.columns[::-1]])
    assert list(found.frame) == list(found.first) == list(people)
    assert (found.name, found.first_name) == ("b.csv", "a.csv")
    assert len(found.frame) == 30
    assert len(found.first) == 60
    assert found.notes == []


def test_columns_that_are_lacking_or_new(select):
    people = make_people(30).drop(columns=["age", "born"]).assign(new=1.0, target="x")
    found = select(people, first=make_people(60).assign(target="y", empty=None), target="target")
    assert list(found.frame) == list(found.first) == ["job", "works", "noise"]
    assert found.notes == [
        "columns of a.csv that b.csv lacks: 'age', 'born'",
        "columns of b.csv that a.csv lacks: 'new'",
    ]


@pytest.mark.parametrize(
    ("name", "cell"), [("age", "n/k"), ("noise", "1,5"), ("born", "soon"), ("works", "maybe")]
)
def test_one_cell_of_another_kind_is_no_column_of_another_kind(select, name, cell):
    people = make_people(40)
    broken = people.assign(**{name: people[name].astype(str).where(people.index != 7, cell)})
    found = select(broken)
    assert (found.unlike, found.lost, list(found.frame)) == ((), (), list(people))
    assert found.broken == (f"'{cell}' in '{name}' of row 7",)
    assert found.frame[name].isna().tolist() == [row == 7 for row in range(40)]
    np.testing.assert_array_equal(
        found.encoding.encode_column(found.frame[name]).ravel()[:7],
        found.encoding.encode_column(people[name]).ravel()[:7],
    )
    # Five of them are more than a slip.
    many = people.assign(**{name: people[name].astype(str).where(people.index >= 5, cell)})
    assert select(many).unlike == (name,)
    assert select(people.assign(**{name: cell})).unlike == (name,)


@pytest.mark.parametrize("zoned", ["2020-01-02T00:00:00+01:00", "2020-01-02 00:00Z"])
@pytest.mark.parametrize("other", ["soon", "2020-01-03T00:00:00+02:00", "2020-01-03"])
def test_dates_of_different_time_zones(select, zoned, other):
    people = make_people(40)
    born = (
        people["born"].astype(str).where(people.index != 7, zoned).where(people.index != 9, other)
    )
    found = select(people.assign(born=born))
    assert (found.unlike, found.broken) == (("born",), ())
    assert found.notes == [
        "columns that are not compared (different time zones in b.csv; write all dates in one): "
        "'born'"
    ]


@pytest.mark.parametrize("names", [("TRUE", "FALSE"), ("true", "false"), ("1", "0"), (1, 0)])
@pytest.mark.parametrize("broken", [[], [7]])
def test_booleans_are_written_in_many_ways(select, names, broken):
    people = make_people(40)
    works = people["works"].map(dict(zip((True, False), names, strict=True))).astype(object)
    works[broken] = "n/k"
    found = select(people.assign(works=works))
    assert (found.unlike, len(found.broken)) == ((), len(broken))
    codes = found.encoding.encode_column(found.frame["works"]).ravel()
    expected = people["works"].to_numpy(dtype=float)
    expected[broken] = np.nan
    np.testing.assert_array_equal(codes, expected)


def test_numbers_that_are_no_booleans(select):
    """A two is neither of both, and five of them are more than a slip."""
    people = make_people(40)
    works = people["works"].astype(int).astype(object)
    works[7] = "2"
    assert select(people.assign(works=works)).broken == ("'2' in 'works' of row 7",)
    works[:5] = "2"
    assert select(people.assign(works=works)).unlike == ("works",)


def test_columns_of_another_kind(select):
    people = make_people(30)
    people = people.assign(
        age=people["age"].astype(str) + " years", works="yes", born=people["born"].dt.year
    )
    found = select(people)
    assert list(found.frame) == ["job", "noise"]
    assert found.notes == [
        "columns that are not compared (not booleans in b.csv): 'works'",
        "columns that are not compared (not dates in b.csv): 'born'",
        "columns that are not compared (not numbers in b.csv): 'age'",
    ]


def test_labels_that_are_numbers_alone(select):
    first = make_people(60).assign(grade=[*"123A"] * 15)
    found = select(make_people(4).assign(grade=[1, 2, None, 3]), first=first)
    assert found.frame["grade"].tolist() == ["1", "2", None, "3"]
    assert found.notes == []


def test_labels_that_are_new(select):
    people = make_people(30).assign(
        job=["<b>"] * 3 + ["x"] * 2 + ["y"] * 2 + ["z"] + ["worker"] * 22
    )
    assert select(people).notes == [
        "labels that are new, and their rows: '<b>' (3), 'x' (2), 'y' (2) and 1 more in 'job'"
    ]


@pytest.mark.parametrize(
    ("grades", "example"),
    [
        ([1, 2, 1, 2], "'1' for '01' in 'grade'"),
        # Some labels are written alike.
        ([12, 2, None, 2], "'2' for '02' in 'grade'"),
        (["1.0", "A", "2.0", "A"], "'1.0' for '01' in 'grade'"),
    ],
)
def test_labels_that_are_written_otherwise(select, grades, example):
    first = make_people(60).assign(grade=["01", "02", "12", "A"] * 15)
    notes = select(make_people(4).assign(grade=grades), first=first).notes
    assert notes[0].startswith("labels that are new, and their rows: ")
    assert notes[1:] == [
        f"labels that b.csv writes otherwise than a.csv: {example}; they count as new, so write "
        "numbers alike in both tables"
    ]


def test_numbers_that_are_new_labels(select):
    first = make_people(60).assign(grade=["01", "a", "Infinity", "9" * 20] * 15)
    second = make_people(4).assign(grade=["3", "b", "inf", "9" * 19 + "8"])
    notes = select(second, first=first).notes
    assert [note.split(":")[0] for note in notes] == ["labels that are new, and their rows"]


def test_infinite_values_and_rows_without_a_value(select):
    people = make_people(30).astype({"works": object})
    people.loc[3, "noise"] = np.inf
    people.loc[4] = [None] * 5
    found = select(people)
    assert found.frame.index.tolist() == [n for n in range(30) if n != 4]
    assert np.isnan(found.frame.loc[3, "noise"])
    assert found.notes == [
        "infinite values of b.csv that count as missing cells: 1",
        "rows of b.csv left out (no value in any column): 1",
    ]


def test_rows_are_sampled(select):
    found = select(make_people(30), n_rows=20)
    assert len(found.frame) == 20
    assert found.frame.index.is_monotonic_increasing
    assert found.notes == ["rows of b.csv sampled: 20 of 30"]
    assert select(make_people(30), n_rows=50).notes == []


def test_tables_that_share_nothing(select):
    with pytest.raises(CommandError, match=r"b.csv must have a column of a.csv with values"):
        select(pd.DataFrame({"x": [1.0], "y": [2.0]}))
    with pytest.raises(
        CommandError, match=r"got none; columns of a.csv that b.csv lacks: 'age', 'job'"
    ):
        select(make_people(9)[["age"]].rename(columns={"age": "years"}))
    with pytest.raises(CommandError, match=r"b.csv must have a row with a value in a column"):
        select(make_people(9).assign(**dict.fromkeys(make_people(9), None)))

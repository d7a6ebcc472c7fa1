"""What is said of a second table."""

import numpy as np
import pytest

from skae._command.findings import ColumnShift
from skae._command.second_table import select_second_table
from skae._command.shift_verdict import SecondRows, conclude
from skae._command.source import Source
from skae._command.table import select_table

from .tables import make_people

PEOPLE = make_people(20)
NAMES = list(PEOPLE)
CANNOT = "Whether b.csv differs from a.csv can't be told: "


def say(
    n_rows=150,
    n_known=100,
    columns=NAMES,
    moved=(),
    weak=(),
    labels=(),
    rows_differ=False,
    extremes=(),
    others=None,
):
    """Return what is said of made scores, the first rows of which have these scores."""
    table = select_table(Source("a.csv", PEOPLE), None, None, 0)
    second = PEOPLE[columns].sample(n_rows, replace=True, random_state=0).reset_index(drop=True)
    tables = select_second_table(Source("b.csv", second), table, None, 0)
    rng = np.random.default_rng(0)
    known = -rng.exponential(size=n_known)
    scores = -rng.exponential(size=n_rows) if others is None else np.full(n_rows, others)
    scores[: len(extremes)] = extremes
    ranks = (known[:, None] <= scores).sum(axis=0)
    shifts = [
        ColumnShift(
            name,
            p_value=0.001 if name in moved else 1.0,
            distance=0.5,
            before="",
            after="",
            n_before=300,
            n_after=n_rows,
            detectable=0.9 if name in weak else 0.3 if name in labels else 0.2,
            is_ordered=name not in labels,
        )
        for name in columns
    ]
    rows = SecondRows(scores, (1 + ranks) / (1 + n_known), known)
    return conclude(tables, rows, rows_differ, shifts)


# How much could be compared -----------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({}, "b.csv does not surely differ from a.csv: its rows do not surely differ, and"),
        (
            {"columns": NAMES[:4]},
            "b.csv does not surely differ from a.csv in 4 of 5 columns: its rows do not surely ",
        ),
        ({"columns": NAMES[:3]}, "b.csv does not surely differ from a.csv in 3 of 5 columns: its"),
        ({"columns": NAMES[:2]}, f"{CANNOT}only 2 of 5 columns could be compared."),
        (
            {"weak": NAMES[:2]},
            "b.csv does not surely differ from a.csv in 3 of 5 columns: its",
        ),
        ({"weak": NAMES[:3]}, f"{CANNOT}only 2 of 5 columns could be compared."),
        ({"columns": NAMES[:4], "weak": NAMES[:2]}, f"{CANNOT}only 2 of 5 columns could be com"),
        ({"n_rows": 8}, f"{CANNOT}8 rows of b.csv are too few."),
        ({"n_rows": 1}, f"{CANNOT}a single row of b.csv is too little."),
        ({"n_rows": 8, "n_known": 8}, f"{CANNOT}8 rows of b.csv are too few."),
        ({"n_known": 10}, f"{CANNOT}10 rows of a.csv that its model has not seen are too few."),
        (
            {"n_rows": 8, "weak": NAMES},
            f"{CANNOT}8 rows of b.csv are too few and none of 5 columns could be compared.",
        ),
        # A difference is told however little is compared.
        (
            {"columns": NAMES[:2], "moved": NAMES[:1]},
            "b.csv differs from a.csv: 1 of 5 columns changed: 'age', but its rows do not surely "
            "differ.",
        ),
        (
            {"n_rows": 8, "moved": NAMES[:2]},
            "b.csv differs from a.csv: 2 of 5 columns changed, most of all 'age'.",
        ),
        (
            {"rows_differ": True, "others": -9.0},
            "b.csv differs from a.csv: its rows are stranger, but no column has surely changed.",
        ),
        (
            {"rows_differ": True, "others": -0.01, "moved": NAMES[:1]},
            "b.csv differs from a.csv: its rows are more usual, and 1 of 5 columns changed: 'age'.",
        ),
    ],
)
def test_answer(changes, answer):
    assert say(**changes)[0].startswith(answer)


@pytest.mark.parametrize(
    ("changes", "scope"),
    [
        ({}, "150 rows with 100 rows of a.csv that its model has not seen, and 5 of 5 columns; a "),
        ({"columns": NAMES[:2]}, "and 2 of 5 columns, without 'works', 'born', 'noise'; a column "),
        ({"weak": NAMES[:1]}, "and 4 of 5 columns, without 'age'; a column of numbers or "),
        (
            {"columns": NAMES[:2], "weak": NAMES[1:]},
            "1 of 5 columns, without 'job', 'works'",
        ),
        ({"weak": NAMES}, "and 0 of 5 columns, without 'age', 'job', 'works', 'born', 'noise'."),
        ({"moved": NAMES}, "and 5 of 5 columns."),
        (
            {"labels": NAMES[1:3]},
            "; a column of numbers or dates that has moved by a distance of less than about 0.20 "
            "may go unnoticed",
        ),
        ({"labels": NAMES}, "and 5 of 5 columns."),
    ],
)
def test_scope(changes, scope):
    sentence = say(**changes)[1]
    assert sentence.startswith("Compared: ")
    assert scope in sentence


def test_columns_of_another_kind_are_named_in_the_answer():
    unlike = PEOPLE.assign(age="old", noise="loud")
    table = select_table(Source("a.csv", PEOPLE), None, None, 0)
    tables = select_second_table(Source("b.csv", unlike.drop(columns="job")), table, None, 0)
    known = -np.random.default_rng(0).exponential(size=20)
    answer = conclude(tables, SecondRows(known, np.full(20, 0.5), known), False, [])[0]
    assert answer.endswith(" 'age', 'noise' have values of another kind than in a.csv.")


ALIKE = (
    "b.csv does not surely differ from a.csv: its rows do not surely differ, and no column has "
    "surely changed."
)


def test_a_broken_row_is_told_from_a_table_that_moved():
    assert say()[0] == say(n_rows=1000, extremes=[-9.0])[0] == ALIKE
    assert say(n_rows=150, extremes=[-0.1, -300.0])[0] == f"{ALIKE} A single row stands out: row 1."
    found = say(n_rows=150, n_known=300, extremes=[-300.0, -0.1, -200.0])[0]
    assert found == f"{ALIKE} 2 rows stand out: rows 0, 2."
    found = say(moved=NAMES[:1], extremes=[-300.0])[0]
    assert found.endswith("but its rows do not surely differ. A single row stands out: row 0.")
    # Half of the rows are the table.
    assert "out:" not in say(n_rows=100, extremes=[-300.0] * 50, rows_differ=True)[0]


def test_cells_that_cannot_be_read_are_named_in_the_answer():
    table = select_table(Source("a.csv", PEOPLE), None, None, 0)
    broken = PEOPLE.assign(age=PEOPLE["age"].astype(str).where(PEOPLE.index != 3, "?!"))
    tables = select_second_table(Source("b.csv", broken), table, None, 0)
    known = -np.random.default_rng(0).exponential(size=20)
    answer = conclude(tables, SecondRows(known, np.full(20, 0.5), known), False, [])[0]
    assert answer.endswith(" Cells that can't be read: '?!' in 'age' of row 3.")
    assert "another kind" not in answer


def test_few_rows_have_no_share_of_small_p_values():
    assert any("have a p-value of at most 0.05" in sentence for sentence in say(n_rows=20))
    assert not any("have a p-value of at most 0.05" in sentence for sentence in say(n_rows=19))


# Rows that no p-value can single out --------------------------------------------------


def test_called_rows_are_named():
    found = say(n_rows=40, extremes=[-50.0] * 9)[-1]
    assert found == (
        "9 rows are called anomalous at a false-discovery rate of 0.1: rows 0, 1, 2, 3, 4, 5, 6, 7 "
        "and 1 more."
    )
    assert say(n_rows=1, extremes=[-50.0])[-1] == (
        "1 row is called anomalous at a false-discovery rate of 0.1: row 0."
    )


def test_an_absurd_row_among_few():
    assert say(n_rows=30, n_known=20, extremes=[-0.5, -90.0, -7.0])[-3:] == (
        "No row is called anomalous at a false-discovery rate of 0.1: with 20 rows to compare "
        "with, the smallest possible p-value is 0.048, and 15 rows must have it.",
        "2 rows are stranger than all of these, where chance gives 1.4: rows 1, 2.",
        "1 row is so far beyond that chance is an unlikely reason, as a rough guess from how the "
        "scores fall off: row 1.",
    )


def test_more_rows_than_there_are_need_not_be_strange():
    found = say(n_rows=60, n_known=8, extremes=[-50.0])
    assert found[-2 if "chance gives" in found[-1] else -3].endswith(
        "with 8 rows to compare with, the smallest possible p-value is 0.11, which is too large "
        "for any row to be called."
    )


def test_chance_has_two_digits():
    found = say(n_rows=30, n_known=150, extremes=[-50.0], others=-0.5)
    assert any("where chance gives 0.2: row 0." in sentence for sentence in found)
    found = say(n_rows=37, n_known=150, extremes=[-50.0], others=-0.5)
    assert any("where chance gives 0.25: row 0." in sentence for sentence in found)


def test_no_row_is_beyond_the_known_ones():
    assert say(others=-0.5)[-1] == "No row is called anomalous at a false-discovery rate of 0.1."

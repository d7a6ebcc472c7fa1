"""Whether a second table is like the first."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

from skae import AEAnomalyDetector
from skae._command.column_shift import compare_columns, find_detectable
from skae._command.encoding import Encoding
from skae._command.second_table import select_second_table
from skae._command.shift import measure_shift
from skae._command.shift_verdict import count_discoveries
from skae._command.source import Source
from skae._command.table import select_table

from .tables import make_people


def compare(first, second):
    table = select_table(Source("a.csv", first), None, None, 0)
    return measure_shift(select_second_table(Source("b.csv", second), table, None, 0), seed=0)


@pytest.fixture(scope="module")
def alike():
    people = make_people(450)
    return people, compare(people[:300], people[300:])


def test_tables_alike(alike):
    people, found = alike
    assert found.table == "b.csv"
    assert found.n_rows == len(found.p_values) == 150
    assert found.text == " ".join(found.sentences)
    answer, compared, small, *_ = found.sentences
    assert answer == (
        "b.csv does not surely differ from a.csv: its rows do not surely differ, and no column "
        "has surely changed."
    )
    assert compared == (
        "Compared: 150 rows with 100 rows of a.csv that its model has not seen, and 5 of 5 "
        "columns; a column of numbers or dates that has moved by a distance of less than about "
        "0.17 may go unnoticed (0 is no change, 1 no value in common)."
    )
    assert small.endswith("where chance gives 5.0% ± 5.6%.")
    # The critical value at 1% of a two-sample test: 100 rows calibrate.
    critical = 1.63 * np.sqrt(1 / 100 + 1 / 150)
    assert kstest(found.p_values, "uniform").statistic < critical
    assert all(column.p_value >= 0.05 for column in found.columns)
    assert {column.name for column in found.columns} == set(people)
    assert found.notes == ()


def test_p_values_are_those_of_a_detector(alike):
    people, found = alike
    detector = AEAnomalyDetector(calibration_fraction=1 / 3, random_state=0).fit(people[:300])
    np.testing.assert_array_equal(found.p_values, detector.p_values(people[300:]))
    called = detector.discoveries(people[300:], false_discovery_rate=0.1)
    assert count_discoveries(np.array(found.p_values)) == called.sum()
    p_values = pd.Series(found.p_values, people.index[300:].astype(str))
    assert all(row.p_value == p_values[row.row] for row in found.strangest)
    assert [row.p_value for row in found.strangest] == sorted(found.p_values)[:20]


@pytest.fixture(scope="module")
def moved():
    people = make_people(400)
    second = people[300:].copy()
    second["noise"] += 3
    second.loc[320:349, "age"] = 300.0
    return compare(people[:300], second)


def test_tables_that_differ(moved):
    assert moved.sentences[0] == (
        "b.csv differs from a.csv: its rows are stranger, and 2 of 5 columns changed, most of all "
        "'noise'."
    )
    assert [column.name for column in moved.columns[:2]] == ["noise", "age"]
    assert all(column.p_value < 0.05 for column in moved.columns[:2])
    assert all(column.p_value > 0.05 for column in moved.columns[2:])
    n_found = count_discoveries(np.array(moved.p_values))
    assert n_found >= 30
    first = ", ".join(row.row for row in moved.strangest[:8])
    assert moved.sentences[-1] == (
        f"{n_found} rows are called anomalous at a false-discovery rate of 0.1: rows {first} and "
        f"{n_found - 8} more."
    )


def test_p_values_of_columns_are_corrected(moved):
    people = make_people(400)
    second = people[300:].copy()
    second["noise"] += 3
    second.loc[320:349, "age"] = 300.0
    plain = compare_columns(people[:300], second, Encoding.fit(people[:300]))
    corrected = {column.name: column.p_value for column in moved.columns}
    least = sorted(column.p_value for column in plain)
    assert max(corrected.values()) > least[-1]
    for column in plain:
        assert corrected[column.name] > column.p_value
    # The least of six p-values, the rows' among them, counts at least five times.
    assert corrected["noise"] >= 5 * least[0]


def test_reasons_are_the_planted_cells(moved):
    """Both of them: the noise is three standard deviations off."""
    assert {int(row.row) for row in moved.strangest} <= set(range(320, 350))
    for row in moved.strangest:
        assert {reason.column for reason in row.reasons[:2]} == {"age", "noise"}
        assert "300" in {reason.value for reason in row.reasons[:2]}
    assert sum(row.reasons[0].column == "age" for row in moved.strangest) >= 15


def test_columns_change_where_rows_do_not():
    people = make_people(400)
    second = people[300:]
    found = compare(people[:300], second[second["age"] < 50])
    assert found.text.startswith("b.csv differs from a.csv: ")
    assert "age" in {column.name for column in found.columns if column.p_value < 0.05}
    assert found.columns[-1].name == "noise"


def test_rows_that_are_too_usual():
    rng = np.random.default_rng(0)
    first = pd.DataFrame(rng.normal(size=(200, 3)), columns=list("abc"))
    found = compare(first, 0.1 * first[:100])
    assert "b.csv differs from a.csv: its rows are more usual, and " in found.text


def test_a_single_row():
    people = make_people(60)
    found = compare(people, people[:1])
    assert found.sentences[0] == (
        "Whether b.csv differs from a.csv can't be told: a single row of b.csv is too little and "
        "none of 5 columns could be compared."
    )
    assert len(found.strangest) == 1
    assert found.notes == ()


def test_a_single_row_is_not_surely_stranger():
    rng = np.random.default_rng(0)
    first = pd.DataFrame(rng.normal(size=(30, 2)), columns=list("ab"))
    # Ten rows calibrate: the strangest of eleven is one of two extreme ones, with 2 / 11.
    found = compare(first, pd.DataFrame({"a": [9.0], "b": [-9.0]}))
    assert found.p_values == pytest.approx((1 / 11,))
    assert found.text.startswith("Whether b.csv differs from a.csv can't be told: ")
    assert "10 rows to compare with are too few for p-values of at most 0.05." in found.text


@pytest.mark.parametrize(("n_first", "chance"), [(90, "3.2%"), (57, "5.0%"), (54, None)])
def test_chance_is_what_so_few_rows_allow(n_first, chance):
    rng = np.random.default_rng(0)
    first = pd.DataFrame(rng.normal(size=(n_first, 2)), columns=list("ab"))
    found = compare(first, first[:25])
    assert found.n_calibration == n_first // 3
    assert (" ± " in found.text) == (chance is not None)
    assert chance is None or f"where chance gives {chance} ± " in found.text


def test_few_rows_warn_of_no_threshold():
    people = make_people(60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compare(people[:50], people[50:]).n_calibration == 17


def test_cells_of_each_column_are_counted():
    people = make_people(90)
    found = compare(people[:60], people[60:].assign(age=None, job=[None] * 20 + ["worker"] * 10))
    counts = {column.name: (column.n_before, column.n_after) for column in found.columns}
    assert counts == {**dict.fromkeys(people, (60, 30)), "age": (60, 0), "job": (60, 10)}
    for column in found.columns:
        assert column.detectable == find_detectable(column.n_before, column.n_after, 6)


def test_names_are_text():
    people = make_people(60).rename(columns={"age": "<script>alert(1)</script>"})
    people["job"] = "<img src=x>"
    found = compare(people, people.assign(job="</script>"))
    assert {column.name for column in found.columns} >= {"<script>alert(1)</script>"}
    job = next(column for column in found.columns if column.name == "job")
    assert job.after == "'<img src=x>' 0%, '</script>' 100%"


def make_periods():
    """Return rows of two periods, alike but for dates, periods and batches, and a strange row."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=400)
    days = pd.date_range("2024-01-01", periods=400, freq="4h")
    is_first = days < pd.Timestamp("2024-02-15")
    frame = pd.DataFrame(
        {
            "day": days,
            "period": np.where(is_first, "P1", "P2"),
            "batch": np.where(is_first, 17, 18),
            "a": a,
            "b": 2 * a + 0.3 * rng.normal(size=400),
        }
    )
    second = frame[~is_first].reset_index(drop=True)
    second.loc[5, "a"] = 40.0
    return frame[is_first], second


def test_columns_of_periods_do_not_make_every_row_strange():
    first, second = make_periods()
    found = compare(first, second)
    answer = found.sentences[0]
    assert answer.startswith("b.csv differs from a.csv: 3 of 5 columns changed, most of all 'day'")
    assert "but its rows do not surely differ." in answer
    assert (
        "'day', 'period', 'batch' have no value in common with a.csv, as dates of two periods have "
        "none; the rows are judged by the other columns."
    ) in answer
    assert answer.endswith("A single row stands out: row 5.")
    assert np.mean(np.array(found.p_values) <= 0.05) < 0.15
    assert found.strangest[0].row == "5"
    assert {reason.column for row in found.strangest for reason in row.reasons} <= {"a", "b"}
    # The columns are compared all the same.
    assert [column.distance for column in found.columns[:3]] == [1, 1, 1]


def test_tables_apart_in_all_columns_are_judged_by_all():
    first, second = make_periods()
    found = compare(first[["day", "batch"]], second[["day", "batch"]])
    assert "in common" not in found.sentences[0]
    assert found.sentences[0].startswith("b.csv differs from a.csv: its rows are stranger, and 2 ")


def test_rows_with_values_only_in_columns_apart():
    first, second = make_periods()
    second.loc[9, ["a", "b"]] = np.nan
    assert compare(first, second).n_rows == len(second)

"""Amounts and dates that are text."""

import numpy as np
import pandas as pd
import pytest

from skae._command.arguments import TextFormat
from skae._command.dialect import Dialect
from skae._command.source import Source
from skae._command.text_columns import convert_texts

from .tables import read


def convert(cells, **asked):
    """Return a column, converted, and the notes of it."""
    frame = pd.DataFrame({"a": cells}, dtype="string")
    source, _ = convert_texts(Source("t", frame), TextFormat(**asked))
    return source.columns["a"], source.notes


# Amounts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["$475.00", "$1,234.50", "-$3.25"], [475, 1234.5, -3.25]),
        (["$ 475", "475 $", "US$475"], None),  # two signs
        (["1,234", "12", "1,234,567"], [1234, 12, 1234567]),
        (["44.1%", "5 %", "-0.5%"], [44.1, 5, -0.5]),
        (["1.234,50 €", "12 €", "0,99 €"], [1234.5, 12, 0.99]),
        (["1\u00a0234,50\u00a0€", "12,00\u202f€"], [1234.5, 12]),
        (["CHF 1'234.50", "CHF 12.00", "CHF 1\u2019000.00"], [1234.5, 12, 1000]),
        (["(1,234.50)", "99.00", "($3.00)"], [-1234.5, 99, -3]),
        (["\u22125.5%", "+5.5%"], [-5.5, 5.5]),
        (["1.234,50-", "12,00", "0,99-"], [-1234.5, 12, -0.99]),
        (["12,00-", "3,50"], [-12, 3.5]),
        (["12.00-", "3.50"], [-12, 3.5]),
        (["12,00- EUR", "3,50 EUR"], [-12, 3.5]),
        (["(12.00)", "99.00"], [-12, 99]),
        (["\u22125", "3", "\u22122"], [-5, 3, -2]),
        (["-12.00-", "3.50"], None),
        (["2-", "3", "1-"], None),  # grades
        (["(1)", "(2)", "3"], None),
        (["65+", "18", "20"], None),
        (["EUR 5", "5 EUR"], [5, 5]),
        (["£.99", "£1"], [0.99, 1]),
        (["$5", "€5", "$7"], None),
        (["5%", "0.3", "7%"], None),
        (["5%", "0", "7%"], [5, 0, 7]),
        (["$1.234,5", "$1,234.5"], None),
        (["$5", "$6", "free"], None),
        (["1", "1,3", "2,4"], None),  # lists of choices
        (["12", "13", "A1"], None),
        (["10.0.0.1", "10.0.0.2"], None),
        (["555-0100", "555-0101"], None),
        (["(5", "5)"], None),
        (["$1,23", "$12,34,5"], None),
        (["10 kg", "12.5 kg", "0"], [10, 12.5, 0]),
        (["10 kg", "12 lb"], None),
        (["10 kg", "12"], None),
        (["316 ms", "1,200 ms"], [316, 1200]),
        (["12 m²", "7 m²"], [12, 7]),
        (["21°C", "-3°C"], [21, -3]),
        (["$29.4K", "$1.2M", "$900"], [29400, 1200000, 900]),
        (["29.4k", "35k"], [29400, 35000]),
        (["300 K", "310 K"], [300, 310]),  # kelvins
        (["1st", "2nd", "3rd"], None),
        (["12A", "13B", "14C"], None),
    ],
)
def test_amounts(cells, numbers):
    column, notes = convert(cells)
    if numbers is None:
        assert column.tolist() == cells
        assert not any("read as numbers" in note for note in notes)
    else:
        np.testing.assert_allclose(column, numbers, rtol=1e-15)
        assert notes[0].startswith("text read as numbers (--text keeps it): 'a' (")


def test_what_was_read_is_said():
    assert convert(["$475.00", "$1,234.50", None])[1] == [
        "text read as numbers (--text keeps it): 'a' ('$1,234.50' is 1234.5)"
    ]
    heading = "text of numbers that do not compare, taken for labels"
    assert convert(["$5", "€5"])[1] == [f"{heading}: 'a' ($, €)"]
    assert convert(["5%", "0.5"])[1] == [f"{heading}: 'a' (some with % and some without)"]


@pytest.mark.parametrize(
    "cells",
    [
        ["1st", "2nd", "3rd"],
        ["1. Married", "2. Single"],
        ["0 no", "1 yes"],
        ["A", "B"],
        ["1", "x"],
    ],
)
def test_nothing_is_said_of_labels(cells):
    column, notes = convert(cells)
    assert column.tolist() == cells
    assert notes == []


def test_few_other_cells_are_missing():
    cells = [f"${n}.50" for n in range(58)] + ["free", "n/k"]
    column, notes = convert(cells)
    assert column.isna().tolist() == [False] * 58 + [True] * 2
    assert notes[1] == (
        "cells of these columns that can't be read, and count as missing: "
        "'a' ('free' in row 58, 2 in all)"
    )
    # Codes that are mostly numbers are labels, also if a mark is asked for.
    codes = [f"{n}" for n in range(58)] + ["A1"]
    assert convert(codes, thousands=",")[0].tolist() == codes
    # More of them are no accident.
    frame = pd.DataFrame({"a": ["free"] * 4 + cells})
    source, formats = convert_texts(Source("t", frame), TextFormat())
    assert source.columns["a"].tolist() == frame["a"].tolist()
    assert formats == {}
    assert source.first_texts == {"a": "'free' in row 0"}


@pytest.mark.parametrize(
    ("decimal", "asked", "number", "other"),
    [
        (".", {}, 1234, "','"),
        (",", {}, 1.234, "'.'"),
        (".", {"decimal": ","}, 1.234, None),
        (",", {"thousands": ","}, 1234, None),
    ],
)
def test_marks_that_read_in_two_ways(decimal, asked, number, other):
    """They are read as those of the other columns."""
    frame = pd.DataFrame({"a": ["$1,234", "$5"]})
    source = Source("t", frame, dialect=Dialect(";", decimal))
    source, _ = convert_texts(source, TextFormat(**asked))
    assert source.columns["a"].tolist() == [number, 5]
    doubts = [note for note in source.notes if "may be meant otherwise" in note]
    expected = f"amounts such as '$1,234' may be meant otherwise: --decimal {other} says so"
    assert doubts == ([expected] if other else [])


# Dates --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "dates"),
    [
        (["03/11/2024", "12/25/2024"], ["2024-03-11", "2024-12-25"]),
        (["03/11/2024", "25/12/2024"], ["2024-11-03", "2024-12-25"]),
        (["3.11.2024", "4.5.24"], ["2024-11-03", "2024-05-04"]),
        (["3-14-24 8:15", "3-15-24 18:15:30"], ["2024-03-14T08:15", "2024-03-15T18:15:30"]),
        (["3/14/2024 12:15 AM", "3/14/2024 1:15 pm"], ["2024-03-14T00:15", "2024-03-14T13:15"]),
        (["2024/03/11", "2024/3/1"], ["2024-03-11", "2024-03-01"]),
        (["11-Mar-69", "1-sept-2024"], ["1969-03-11", "2024-09-01"]),
        (["March 11, 2024", "May 3rd 2024"], ["2024-03-11", "2024-05-03"]),
        (["2024-03-11T08:15:00.250Z", "2024-03-11T08:15+01:30"], None),
        (["03/04/2024", "05/06/2024"], None),
        (["13/04/2024", "04/13/2024"], None),
        (["25/12/24", "24/12/24"], None),  # of 2025, or the day first
        (["30/02/2024", "29/02/2024"], None),
        (["2024-03-11T08:15", "2024-03-11T08:15Z"], None),
        (["3/14/2024 25:00", "3/14/2024 13:00 pm"], None),
        (["2009-10", "2010-11"], None),  # seasons
        (["11-Foo-24", "12-Bar-24"], None),
        (["12-34-5678", "11-22-3333"], None),
        (["12:30", "08:15"], None),
    ],
)
def test_dates(cells, dates):
    column, notes = convert(cells)
    if cells[0].endswith("Z"):
        instants = ["2024-03-11T08:15:00.250Z", "2024-03-11T06:45Z"]
        assert column.tolist() == [pd.Timestamp(text) for text in instants]
    elif dates is None:
        assert column.tolist() == cells
        assert not any("read as dates" in note for note in notes)
    else:
        assert column.tolist() == [pd.Timestamp(date) for date in dates]
        assert notes[0].startswith("text read as dates (--text keeps it): 'a' ('")


def test_dates_that_read_in_two_ways_say_what_to_do():
    cells = ["03/04/2024", "05/06/2024"]
    assert convert(cells)[1] == [
        "text that may be dates, taken for labels (--date-order day or month says what is first "
        "in them): 'a' ('03/04/2024')"
    ]
    assert convert(cells, day_first=True)[0].tolist() == [
        pd.Timestamp("2024-04-03"),
        pd.Timestamp("2024-06-05"),
    ]
    assert convert(cells, day_first=False)[0][0] == pd.Timestamp("2024-03-04")


def test_years_of_two_digits_say_which_they_are():
    _, notes = convert(["3/14/24", "12/31/69"])
    assert notes[0].endswith("('12/31/69' is 1969-12-31; 1969-12-31 to 2024-03-14)")


def test_a_date_that_is_none_is_missing():
    cells = [f"2024-01-{day:02}" for day in range(1, 31)] + ["unknown"]
    column, notes = convert(cells)
    assert column.isna().tolist() == [False] * 30 + [True]
    assert notes[1].endswith("'a' ('unknown' in row 30)")


# Options ------------------------------------------------------------------------------


CONTENT = "price,day,code,n\n" + "".join(
    f"$1{n % 10}.50,2024-03-{n:02},0{n},{n}\n" for n in range(10, 25)
)


def test_text_is_kept_on_demand(report, refuse, tmp_path):
    path = tmp_path / "t.csv"
    columns = read(path, CONTENT, text=["price", "day", "code"]).columns
    assert columns.iloc[0].astype(str).tolist() == ["$10.50", "2024-03-10", "010", "10"]
    out = report(path, "--text", "price", "day", "code")
    assert "read as" not in out
    assert "columns of numbers: 'n'" in out
    assert "text read as numbers (--text keeps it): 'price' ('$10.50' is 10.5)\n" in report(path)
    assert "--text must name columns of t.csv, got 'x'; there are 'price', 'day', 'code', 'n'" in (
        refuse(path, "--text", "x")
    )
    assert "--keep must name columns of t.csv, got 'x'" in refuse(path, "--keep", "x")
    assert "--date-order must be day or month, got 'us'" in refuse(path, "--date-order", "us")


def test_numbers_of_other_files_are_labels_on_demand(tmp_path):
    frame = pd.DataFrame({"zip": [2134, 10001], "price": ["$5", "$6"]})
    frame.to_parquet(tmp_path / "t.parquet")
    found = read(tmp_path / "t.parquet", text=["zip"]).columns
    assert found["zip"].tolist() == ["2134", "10001"]


# A second table -----------------------------------------------------------------------


def test_a_second_table_is_written_as_the_first():
    """Of its own cells the order of a date may not be known, nor which mark is which."""
    first = pd.DataFrame({"day": ["3/14/2024", "3/4/2024"], "price": ["$1,234.50", "$7"]})
    _, formats = convert_texts(Source("t", first), TextFormat())
    second = pd.DataFrame({"day": ["3/4/2024", "soon"], "price": ["$1,234", "n/k"]})
    source, _ = convert_texts(Source("u", second), TextFormat(), known=formats)
    assert source.columns["day"].tolist() == [pd.Timestamp("2024-03-04"), "soon"]
    assert source.columns["price"].tolist() == [1234, "n/k"]


def test_cells_that_cannot_be_read_in_a_second_table_are_named(report, tmp_path):
    rng = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=300, freq="7h")
    frame = pd.DataFrame(
        {
            "price": [f"${value:,.2f}" for value in rng.uniform(500, 5000, 300)],
            "day": days.strftime("%m/%d/%Y"),
            "label": rng.choice(["03/04/2024", "05/06/2024"], 300),
            "size": rng.normal(size=300),
        }
    ).sample(frac=1, random_state=0)
    frame[:200].to_csv(tmp_path / "t.csv", index=False)
    second = frame[200:].reset_index(drop=True)
    second.loc[7, "price"], second.loc[9, "day"] = "n/k", "soon"
    second["label"] = "13/06/2024"  # no date in the first table
    second.to_csv(tmp_path / "u.csv", index=False)
    out = report(tmp_path / "t.csv", "--against", tmp_path / "u.csv", "--components", 1)
    assert "Cells that can't be read: 'n/k' in 'price' of row 7, 'soon' in 'day' of row 9" in out
    assert "and 4 of 4 columns" in out
    assert "labels that are new, and their rows: '13/06/2024' (100) in 'label'" in out

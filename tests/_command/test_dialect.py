"""Separators of cells, and the marks in numbers."""

import csv

import pytest

from skae._command.arguments import CommandError, TextFormat
from skae._command.dialect import Dialect, find_dialect

from .tables import read


def find(text, **asked):
    return find_dialect(text.splitlines(keepends=True), TextFormat(**asked))


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2,5\n", ";"),
        ("a\tb\n1,5\t2,5\n", "\t"),
        ("a|b\n1|2\n", "|"),
        ("x, y;z\n1,5;2\n3,5;4\n", ";"),
        ("1,5;2,5\n3,5;4,5\n", ";"),
        ('"a;b;c",d\n1,2\n', ","),
        ("name,note\nx,y;z\nu,v;w\n", ","),
        ("a,b,c\n1,2,\n3,4,\n", ","),
        ("a b\n1 2\n 3  4\n", r"\s+"),
        ("only\n1\n2\n", ","),
        ("some words\n1\n", ","),
    ],
)
def test_separators(text, separator):
    dialect, notes = find(text)
    assert dialect.separator == separator
    assert any(note.startswith("separator taken") for note in notes) == (separator != ",")


def test_separators_that_fit_alike():
    with pytest.raises(CommandError, match="separated by ',' or tab; say which with --sep"):
        find("a,b\tc\n1,\t2\n")
    assert find("a,b\tc\n1,\t2\n", separator="\t")[0].separator == "\t"


@pytest.mark.parametrize(
    ("cells", "decimal", "thousands"),
    [
        ("1.5 2.25", ".", None),
        ("1,5 2,25", ",", None),
        ("1,5 3", ",", None),
        ("1,5e3 2", ",", None),
        ("0,123 1,234", ",", None),
        ("1.234,5 2", ",", "."),
        ("1.234.567 2", ",", "."),
        ("1,234.5 2", ".", ","),
        ("1,234,567 2", ".", ","),
        ("1'234.5 2", ".", "'"),
        ("1'234,5 2", ",", "'"),
        ("1_234 2", ".", "_"),
        ("1,5 1.234", ",", "."),
        ("1.5 1,234", ".", ","),
        ("1.234 5,678", ",", "."),
        ("1.234 5.678", ".", None),
        ("1,234 5,678", ",", None),
        ("12 7", ".", None),
        ("2020.01.02 1.1.1.1", ".", None),
        ("-1,5 +2,5", ",", None),
        ("x,5 y", ".", None),
    ],
)
def test_marks(cells, decimal, thousands):
    columns = cells.split()
    found, _ = find("a;b\n" + ";".join(columns) + "\n")
    assert (found.decimal, found.thousands) == (decimal, thousands)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("a;b\n1.234;5.678\n", "numbers such as '1.234' may be meant otherwise: --decimal ','"),
        ("a;b\n1,234;5,678\n", "numbers such as '1,234' may be meant otherwise: --thousands ','"),
        ('a,b\n"1,234",2\n', "numbers such as '1,234' may be meant otherwise: --decimal ','"),
        ("a;b\n1.5;2,5\n", "columns differ in their decimal mark; --decimal names one"),
    ],
)
def test_marks_that_are_open_are_pointed_out(text, note):
    assert any(found.startswith(note) for found in find(text)[1])


@pytest.mark.parametrize("separator", ["\t", "|"])
def test_marks_that_can_not_be_told(separator):
    text = f"a{separator}b\n1,234{separator}5\n"
    with pytest.raises(CommandError, match="pass --decimal ',' or --thousands ','"):
        find(text)
    assert find(text, decimal=",")[0] == Dialect(separator, ",")
    assert find(text, thousands=",")[0] == Dialect(separator, ".", ",")


def test_marks_that_are_named_are_not_noted():
    dialect, notes = find("a;b\n1.234;5.678\n", separator=";", decimal=",", thousands=".")
    assert (dialect, notes) == (Dialect(";", ",", "."), [])


def test_columns_of_text_say_nothing_of_marks():
    text = 'a,b\n1,"x, 1,5"\n2,"1,5"\n3,y\n'
    assert find(text)[0] == Dialect(",")


def test_decimal_mark_of_another_column_separates_no_thousands():
    text = "a;b;c\n1,5;1.5;2,5\n1,25;1.234;7\n"
    assert find(text)[0] == Dialect(";", ",")


def test_no_group_of_thousands_follows_a_zero():
    assert find("a\tb\n0,123\t1,234\n")[0] == Dialect("\t", ",")


@pytest.mark.parametrize(
    ("dialect", "cells"),
    [
        (Dialect(";", ",", "."), {"1.234,5": 1234.5, "1234,5": 1234.5, "-1.234.567": -1234567}),
        (Dialect(",", ".", ","), {"1,234.5": 1234.5, ".5": 0.5, "5.": 5, "1e-3": 1e-3}),
        (Dialect(";", ".", " "), {"1 234.5": 1234.5, " 7 ": 7, "+1": 1}),
    ],
)
def test_numbers(dialect, cells):
    for cell, number in cells.items():
        assert dialect.is_number(cell)
        assert dialect.convert(cell) == number


@pytest.mark.parametrize(
    "cell", ["1.5", "1.2345", "12.34.567", "0.544", "1234.567", ".", "", "-", "e5", "1,5,5", "x"]
)
def test_no_numbers_with_thousands(cell):
    assert not Dialect(";", ",", ".").is_number(cell)


def test_badly_grouped_numbers_stay_text(tmp_path):
    # pandas' own reader would take 1.5 for 15.
    source = read(tmp_path / "t.csv", "a;b\n1.234,5;1.234,5\n1.5;2.345\n1;1\n")
    assert source.columns["b"].tolist() == [1234.5, 2345, 1]
    assert source.first_texts == {"a": "'1.5' in line 3"}


def test_limit_of_the_csv_module_is_kept(tmp_path):
    before = csv.field_size_limit(1000)
    try:
        read(tmp_path / "t.csv", "a,b\n1,2\nx,3\n5,6\n")
        assert csv.field_size_limit() == 1000
    finally:
        csv.field_size_limit(before)

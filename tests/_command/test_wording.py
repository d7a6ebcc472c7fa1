"""Cells and columns in a few words."""

import numpy as np
import pandas as pd
import pytest

from skae._command.wording import (
    contrast_values,
    count_labels,
    describe_cell,
    describe_cells,
    describe_values,
    format_percent,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (22.0, "22"),
        (-3.0, "-3"),
        (0.1 + 0.2, "0.3"),
        (1234567.0, "1234567"),
        (1234567.25, "1.23457e+06"),
        (2e300, "2e+300"),
        (np.float64("inf"), "inf"),
        (np.nan, "missing"),
        (None, "missing"),
        (pd.NaT, "missing"),
        (True, "True"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        (pd.Timestamp("2020-02-03"), "2020-02-03"),
        (pd.Timestamp("2020-02-03", tz="UTC"), "2020-02-03"),
        (pd.Timestamp("2020-02-03 04:05"), "2020-02-03 04:05:00"),
        (pd.Timestamp("2020-02-03") + pd.Timedelta(1, "ns"), "2020-02-03 00:00:00.000000001"),
        (pd.Timedelta("2h"), "0 days 02:00:00"),
        (pd.Period("2020-03", "M"), "2020-03"),
    ],
)
def test_cells(value, text):
    assert describe_cell(value) == text


def test_missing_cells_of_all_types():
    for dtype in ("float64", "Float64", "boolean", "string", "datetime64[ns]", "category"):
        assert describe_cells(pd.Series([None, None], dtype=dtype)) == ["missing"] * 2


@pytest.mark.parametrize(
    ("values", "kind", "text"),
    [
        ([3.0, 1.0, np.nan, 2.5], "number", "1 to 3, median 2.5"),
        ([1.0, 2.0], "number", "1 to 2, median 1.5"),
        ([2**60, 2**60, 2**60], "number", f"always {2**60}"),
        ([1, 2**60, 2**60, 2**60], "number", f"1 to {2**60}, median {2**60}"),
        ([5.0, 5.0], "number", "always 5"),
        ([np.nan, np.nan], "number", "no value"),
        (["b", "a", "b", None], "category", "2 labels, most often 'b'"),
        (["b", "b"], "category", "always 'b'"),
        ([True, False, True, None], "boolean", "2 labels, most often 'True'"),
        (["x", "y"], "identifier", "2 labels, one for nearly every row"),
    ],
)
def test_values(values, kind, text):
    assert describe_values(pd.Series(values), kind) == text


def test_values_of_dates():
    dates = pd.Series(pd.to_datetime(["2020-03-01", "2020-01-01", None, "2020-02-01"]))
    assert describe_values(dates, "date") == "2020-01-01 to 2020-03-01, median 2020-02-01"


def test_contrast_of_numbers():
    before, after = contrast_values(pd.Series([0.0, 1, 2, 3, 4]), pd.Series([7.0, None]), "number")
    assert before == "median 2, half within 1 to 3, missing 0%"
    assert after == "median 7, half within 7 to 7, missing 50%"
    assert contrast_values(pd.Series([1.0]), pd.Series([2.0]), "number")[0] == (
        "median 1, half within 1 to 1"
    )
    assert contrast_values(pd.Series([1.0]), pd.Series([np.nan]), "number")[1] == (
        "no value, missing 100%"
    )


def test_contrast_of_labels_names_those_that_changed_most():
    before = pd.Series(list("aaaaabbbcd"))
    after = pd.Series([*"aaaaabbbcc"[:5], "e", "e", "e", None, "c"], dtype=object)
    assert contrast_values(before, after, "category") == (
        "'b' 30%, 'e' 0%, 'd' 10%",
        "'b' 0%, 'e' 30%, 'd' 0%",
    )
    missing = contrast_values(pd.Series(["a", "a"]), pd.Series(["a", None]), "category")
    assert missing == ("'a' 100%, missing 0%", "'a' 50%, missing 50%")


def test_a_label_may_be_called_missing():
    before, after = pd.Series(["missing", None, "x"]), pd.Series(["missing", "x", "x"])
    labels, counts = count_labels(before, after)
    assert labels == ["missing", None, "x"]
    assert counts.tolist() == [[1, 1], [1, 0], [1, 2]]
    assert count_labels(after, before)[1].tolist() == [[1, 1], [2, 1], [0, 1]]


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0%"), (0.004, "0.4%"), (0.05, "5.0%"), (0.123, "12%"), (1, "100%")]
)
def test_percent(share, text):
    assert format_percent(share) == text

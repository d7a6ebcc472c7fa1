"""Tables of all kinds read, and given back without gaps."""

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import BaseEstimator

from skae._data import ColumnChoice, encode_table, fill_table, read_table, wrap_numbers

NAN = np.nan
FRAME = pd.DataFrame(
    {
        "number": [1.5, NAN, 3.0, 4.0],
        "whole": pd.array([1, 2, pd.NA, 2**53 + 1], dtype="Int64"),
        "single": np.array([0.1, NAN, 0.3, 0.4], dtype=np.float32),
        "flag": pd.array([True, pd.NA, False, True], dtype="boolean"),
        "job": pd.Categorical(
            ["clerk", None, "nurse", "clerk"], categories=["nurse", "clerk", "x"]
        ),
        "town": pd.array(["Bonn", "Kiel", None, "Bonn"], dtype="string"),
        "day": pd.to_datetime(["2020-01-01", None, "2020-01-03", "2020-02-01"]),
        "wait": pd.to_timedelta([1, None, 3, 4], unit="h"),
        "price": [Decimal("1.25"), None, Decimal("2.50"), Decimal("3.75")],
        "full": [1, 2, 3, 4],
    }
)


class Reader(BaseEstimator):
    pass


def read(X, *choice):
    reader = Reader()
    return reader, read_table(reader, X, ColumnChoice(*choice))[:2]


def fill(X):
    """A table with missing cells as in the row after them."""
    _, (table, columns) = read(X)
    other = np.roll(table, -1, axis=0)
    return fill_table(X, np.where(np.isnan(table), other, table), columns)


def test_a_pandas_frame_keeps_its_types_and_cells():
    frame = FRAME.set_index(pd.Index(list("abcd")))
    filled = fill(frame)
    expected = frame.copy()
    for name in frame.columns.drop("full"):
        row = int(np.flatnonzero(frame[name].isna())[0])
        expected.iloc[row, frame.columns.get_loc(name)] = frame[name].iloc[row + 1]
    expected.loc["c", "whole"] = 2**53  # the next is one that a double rounds
    pd.testing.assert_frame_equal(filled, expected)


def test_observed_cells_of_any_size_are_left_alone():
    filled = fill(FRAME)
    assert filled["whole"].iloc[3] == 2**53 + 1
    for name in FRAME:
        seen = FRAME[name].notna()
        assert (filled[name][seen] == FRAME[name][seen]).all()


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_frames_of_other_libraries_keep_their_types(library):
    table = pa.table(
        {
            "number": pa.array([1.5, None, 3.0]),
            "small": pa.array([1, None, 3], type=pa.int8()),
            "flag": pa.array([True, None, False]),
            "town": pa.array(["Bonn", None, "Kiel"]),
            "day": pa.array([date(2020, 1, 1), None, date(2021, 1, 1)]),
        }
    )
    X = pl.from_arrow(table) if library == "polars" else table
    filled = fill(X)
    assert filled.schema == X.schema
    rows = (
        filled.rows() if library == "polars" else [*zip(*filled.to_pydict().values(), strict=True)]
    )
    assert rows[1] == rows[2] == (3.0, 3, False, "Kiel", date(2021, 1, 1))


def test_a_label_that_the_frames_type_has_not_is_filled_in():
    reader, (_, columns) = read(FRAME[["job"]])
    X = pd.DataFrame({"job": pd.Categorical(["nurse", None], categories=["nurse"])})
    table = encode_table(reader, X, columns)
    filled = fill_table(X, np.where(np.isnan(table), [[1.0, 0.0]], table), columns)
    assert filled["job"].tolist() == ["nurse", columns.columns[0].coding.levels[0]]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, object])
def test_an_array_keeps_its_type(dtype):
    X = np.array([[1, 2], [NAN, 3], [5, 6]], dtype=dtype)
    filled = fill(X)
    assert filled.dtype == (np.float64 if dtype is object else dtype)
    np.testing.assert_array_equal(filled.astype(float), [[1, 2], [5, 3], [5, 6]])


def test_an_array_of_objects_keeps_them():
    X = np.array([["a", 2], [None, None], ["b", 5]], dtype=object)
    filled = fill(X)
    assert filled.dtype == object
    assert filled.tolist()[1] == ["b", 5]
    assert X[1, 0] is None


def test_a_frame_of_numbers_is_no_table_of_columns_but_stays_a_frame():
    frame = pd.DataFrame({"a": [1.0, NAN, 3.0], "b": pd.array([1, pd.NA, 3], dtype="Int8")})
    _, (table, columns) = read(frame)
    assert columns is None
    filled = fill(frame)
    pd.testing.assert_frame_equal(filled, frame.bfill())
    np.testing.assert_array_equal(np.isnan(table), frame.isna())


def test_times_of_another_unit_are_converted():
    frame = pd.DataFrame({"day": pd.to_datetime(["2020-01-01", "2020-01-02"]).as_unit("s")})
    reader, (_, columns) = read(frame)
    later = pd.DataFrame({"day": pd.to_datetime(["2020-01-02", None]).as_unit("ns")})
    table = encode_table(reader, later, columns)
    filled = fill_table(later, np.where(np.isnan(table), 1.0, table), columns)
    assert (filled["day"] == pd.Timestamp("2020-01-02")).all()
    assert filled["day"].dtype == later["day"].dtype


def test_a_column_missing_as_a_whole_gets_the_type_of_the_fit():
    frame = pd.DataFrame({"job": ["a", "b"], "x": [1.0, 2.0]})
    reader, (_, columns) = read(frame)
    gaps = frame.assign(job=NAN)
    table = encode_table(reader, gaps, columns)
    filled = fill_table(gaps, np.where(np.isnan(table), [[0.2, 0.9, 5.0]], table), columns)
    assert filled["job"].tolist() == ["b", "b"]


def test_a_column_without_cells_is_kept():
    with pytest.warns(UserWarning, match="no observed cell in column 1"):
        _, (table, columns) = read(np.array([[1.0, NAN], [2.0, NAN]]))
    assert table.shape == (2, 1)
    np.testing.assert_array_equal(columns.decode(table), [[1.0, NAN], [2.0, NAN]])


def test_names_and_numbers_of_columns_are_scikit_learns():
    reader, (_, columns) = read(FRAME)
    assert reader.n_features_in_ == 10
    assert list(reader.feature_names_in_) == list(FRAME)
    with pytest.raises(ValueError, match="feature names should match"):
        encode_table(reader, FRAME[FRAME.columns[::-1]], columns)
    with pytest.raises(ValueError, match=r"feature names should match|X has 2 features"):
        encode_table(reader, FRAME.iloc[:, :2], columns)
    with pytest.raises(ValueError, match="0 sample"):
        read(FRAME.iloc[:0])


def test_columns_in_another_order_are_filled_by_their_names():
    frame = pd.DataFrame({0: [1.0, 2.0], 1: [50.0, 60.0], 2: ["a", "b"]})
    _, (table, columns) = read(frame)
    other = pd.DataFrame({2: ["a", None], 1: [NAN, 70.0], 0: [3.0, NAN]})
    encoded = columns.encode(other).values
    filled = fill_table(other, np.where(np.isnan(encoded), table, encoded), columns)
    assert filled[[0, 1, 2]].to_numpy().tolist() == [[3.0, 50.0, "a"], [2.0, 70.0, "b"]]


def test_an_observed_label_that_was_not_fitted_stays():
    frame = pd.DataFrame({"job": pd.Categorical(["a", "b", "b"])})
    reader, (_, columns) = read(frame)
    X = pd.DataFrame({"job": pd.Categorical(["new", None, "a"], ["a", "new"])})
    table = encode_table(reader, X, columns)
    filled = fill_table(X, np.where(np.isnan(table), [[1.0, 0.0]], table), columns)
    assert filled["job"].tolist() == ["new", "b", "a"]
    assert filled["job"].cat.categories.tolist() == ["a", "new", "b"]


def test_numbers_are_wrapped_as_the_table_is():
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5]}, index=[7, 8])
    values = np.array([[1.0, NAN], [3.0, 4.0]])
    expected = pd.DataFrame(values, columns=["a", "b"], index=[7, 8])
    pd.testing.assert_frame_equal(wrap_numbers(values, frame), expected)
    in_polars = wrap_numbers(values, pl.from_pandas(frame))
    assert in_polars.rows() == [(1.0, None), (3.0, 4.0)]
    in_arrow = wrap_numbers(values, pa.table({"a": [1, 2], "b": [0.5, 1.5]}))
    assert in_arrow.to_pydict() == {"a": [1.0, 3.0], "b": [None, 4.0]}
    assert wrap_numbers(values, frame.to_numpy()) is values


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_a_missing_column_of_another_library_is_filled(library):
    fitted = pl.DataFrame({"job": ["a", "b"], "x": [1.0, 2.0]})
    _, (_, columns) = read(fitted)
    values = {"job": [None, None], "x": [1.0, 2.0]}
    make = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}[library]
    filled = fill_table(make(values), np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 2.0]]), columns)
    assert type(filled) is type(make(values))
    expected = [columns.columns[0].coding.levels[index] for index in (0, 1)]
    assert [*(filled["job"].to_pylist() if library == "pyarrow" else filled["job"])] == expected

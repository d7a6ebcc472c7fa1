"""Tables in Parquet files."""

import decimal
import sys

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet as pq
import pytest

from .tables import read

# With so few rows the autoencoder stays PCA and takes no time.
X = np.random.default_rng(0).normal(size=(12, 5))


def test_parquet_types(report, tmp_path):
    frame = pd.DataFrame(X).astype("float32")
    frame["when"] = pd.Timestamp("2020-01-01")
    frame["count"] = pd.array([None, *range(11)], dtype="Int64")
    frame["kind"] = pd.Categorical(["a"] * 12)
    frame["flag"] = pd.array([True] * 12, dtype="boolean")
    frame["gap"] = pd.Series([None, *[True, False] * 5, True], dtype=object)
    frame.set_axis([str(name) for name in frame.columns], axis=1).to_parquet(tmp_path / "t.parquet")
    out = report(tmp_path / "t.parquet", "--components", 2)
    assert "12 rows x 10 columns" in out
    assert "columns of booleans: 'flag', 'gap'" in out
    assert "columns of categories: 'kind' (1 level)" in out
    assert "columns of dates: 'when'" in out
    assert "missing cells: 2 of 120, in 1 row" in out


def test_parquet_names_that_are_numbers(record, tmp_path):
    pd.DataFrame(X).to_parquet(tmp_path / "t.parquet")
    found = record(tmp_path / "t.parquet", "--components", 2, "--target", "4")
    assert found["table"]["columns"] == list("0123")


def test_parquet_without_pyarrow(refuse, tmp_path, monkeypatch):
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    line = refuse(tmp_path / "t.parquet")
    assert "t.parquet needs pyarrow" in line
    assert "pip install pyarrow" in line


# An index that pandas has stored ------------------------------------------------------


@pytest.mark.parametrize("is_marked", [True, False])
@pytest.mark.parametrize("order", [None, 0])
def test_row_numbers_are_left_out(tmp_path, order, is_marked):
    frame = pd.DataFrame(X, columns=list("abcde"))
    if order is not None:
        frame = frame.sample(frac=1, random_state=order)
    table = pyarrow.Table.from_pandas(frame, preserve_index=True)
    if not is_marked:  # as other libraries write it back
        table = table.replace_schema_metadata({})
    pq.write_table(table, tmp_path / "t.parquet")
    source = read(tmp_path / "t.parquet")
    assert list(source.columns) == list("abcde")
    np.testing.assert_array_equal(source.columns, frame)


def test_index_with_a_name_is_a_column(tmp_path):
    frame = pd.DataFrame(X, columns=list("abcde")).set_index(["b", "a"])
    frame.to_parquet(tmp_path / "t.parquet")
    columns = read(tmp_path / "t.parquet").columns
    assert list(columns) == list("bacde")
    np.testing.assert_array_equal(columns[list("abcde")], X)


# Columns ------------------------------------------------------------------------------


def test_decimal_numbers(tmp_path):
    price = [decimal.Decimal("1.25"), None, decimal.Decimal("-3")] * 4
    pd.DataFrame(X, columns=list("vwxyz")).assign(price=price).to_parquet(tmp_path / "t.parquet")
    price = read(tmp_path / "t.parquet").columns["price"]
    assert price.dtype == "Float64"
    found = price.to_numpy(float, na_value=np.nan)
    np.testing.assert_array_equal(found, [1.25, np.nan, -3] * 4)


def test_text_that_is_mostly_numbers(tmp_path):
    frame = pd.DataFrame(X, columns=list("vwxyz")).assign(
        a=["1", None] * 6, b=["2", "x", "3"] * 4, c="words"
    )
    frame.to_parquet(tmp_path / "t.parquet")
    first_texts = read(tmp_path / "t.parquet").first_texts
    assert first_texts == {"a": "numbers stored as text", "b": "'x' in row 2"}


def test_columns_of_the_same_name(refuse, tmp_path):
    table = pyarrow.table([pyarrow.array(X[:, n]) for n in range(3)], names=["a", "b", "a"])
    pq.write_table(table, tmp_path / "t.parquet")
    line = refuse(tmp_path / "t.parquet")
    assert "t.parquet has several columns of the same name: 'a'; rename them" in line


def test_no_rows(refuse, tmp_path):
    pd.DataFrame(X[:0]).to_parquet(tmp_path / "t.parquet")
    assert "t.parquet has column names but no rows" in refuse(tmp_path / "t.parquet")

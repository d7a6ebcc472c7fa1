"""Names of columns, and row numbers among them."""

import numpy as np
import pandas as pd
import pytest

from skae._command.source import (
    Source,
    is_blank,
    leave_out_index,
    leave_out_row_numbers,
    name_columns,
)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["a", "b"], ["a", "b"]),
        (["", "a", " "], ["Unnamed: 0", "a", "Unnamed: 2"]),
        (["a", "a", "a"], ["a", "a.1", "a.2"]),
        (["a", "a", "a.1"], ["a", "a.2", "a.1"]),
        (["a", " a "], ["a", "a.1"]),
        (["Unnamed: 1", ""], ["Unnamed: 1", "Unnamed: 1.1"]),
    ],
)
def test_names(names, found):
    assert name_columns(names)[0] == found


def test_renamed_columns_are_noted_once():
    names, notes = name_columns(["a"] * 20)
    assert len(set(names)) == 20
    assert notes[0].startswith("columns with the name of another, renamed: 'a' to 'a.1', 'a' to")
    assert notes[0].endswith("and 11 more")
    assert name_columns(["a", ""])[1] == []


@pytest.mark.parametrize("name", ["Unnamed: 0", "Unnamed: 0.1", "__index_level_0__"])
def test_names_that_stand_for_none(name):
    assert is_blank(name)
    assert not is_blank(f"{name}x")


@pytest.mark.parametrize(
    ("columns", "n_left_out"),
    [
        ({"Unnamed: 0": [3, 1, 2], "a": [1, 2, 3]}, 1),
        ({"a": [1, 2, 3], "Unnamed: 1": [3, 1, 2]}, 0),
        ({"Unnamed: 0": [3, 1, 1], "a": [1, 2, 3]}, 0),
        ({"Unnamed: 0": [0, 1, 2, 0, 1, 2], "a": range(6)}, 1),
        ({"Unnamed: 0": [1, 2, 3, 1, 2, 3], "a": range(6)}, 1),
        ({"Unnamed: 0": [5, 6, 7, 5, 6, 7], "a": range(6)}, 0),
        ({"Unnamed: 0": [0, 1, 0, 0, 1, 0], "a": range(6)}, 0),
        ({"Unnamed: 0": [0, 0, 1], "Unnamed: 1": [0, 1, 1], "a": [1, 2, 3]}, 2),
        ({"Unnamed: 0": [0, 0, 1], "Unnamed: 1": [1, 1, 1], "a": [1, 2, 3]}, 0),
        ({"Unnamed: 0": ["x", "y", "z"], "Unnamed: 1": [7, 3, 1], "a": [1, 2, 3]}, 1),
        ({"Unnamed: 0": pd.array([3, 1, None], dtype="Int64"), "a": [1, 2, 3]}, 0),
        ({"Unnamed: 0": [-1, 0, 1], "a": [1, 2, 3]}, 0),
        ({"Unnamed: 0": [0.0, 1.0, 2.0], "a": [1, 2, 3]}, 0),
        ({"Unnamed: 0": np.array([2**64 - 1, 1, 2], dtype=np.uint64), "a": [1, 2, 3]}, 1),
        ({"Unnamed: 0": np.zeros(0, dtype=int), "a": []}, 0),
    ],
)
def test_row_numbers(columns, n_left_out):
    frame = pd.DataFrame(columns)
    source = leave_out_index(Source("t", frame))
    assert len(source.left_out) == n_left_out
    columns = [name for name in frame.columns if name not in source.left_out]
    assert list(source.columns) == columns


N_ROWS = 12


@pytest.mark.parametrize(
    ("name", "values", "is_left_out"),
    [
        ("case", range(N_ROWS), True),
        ("case", range(1, N_ROWS + 1), True),
        ("case", np.arange(N_ROWS, dtype=float), True),
        ("PassengerId", range(892, 892 + N_ROWS), True),
        ("year", range(1950, 1950 + N_ROWS), False),
        ("id", [*range(N_ROWS - 1), N_ROWS], False),
        ("id", [1, 0, *range(2, N_ROWS)], False),
        ("id", range(N_ROWS, 0, -1), False),
        ("id", range(-1, N_ROWS - 1), False),
        ("id", np.arange(N_ROWS) + 0.5, False),
        ("id", [None, *range(1, N_ROWS)], False),
        ("id", [f"{n}" for n in range(N_ROWS)], False),
    ],
)
def test_named_row_numbers(name, values, is_left_out):
    frame = pd.DataFrame({"a": np.arange(N_ROWS) ** 2, name: values})
    found = leave_out_row_numbers(Source("t", frame))
    assert list(found.columns) == (["a"] if is_left_out else ["a", name])
    assert found.left_out == ({name: "row numbers"} if is_left_out else {})
    assert list(leave_out_row_numbers(Source("t", frame), [name]).columns) == ["a", name]


def test_rows_without_a_value_number_nothing():
    frame = pd.DataFrame({"a": np.arange(N_ROWS) ** 2, "id": range(N_ROWS)})
    blank = pd.DataFrame({"a": [None] * 3, "id": [None] * 3})
    frame = pd.concat([frame, blank], ignore_index=True).astype("Int64")
    assert list(leave_out_row_numbers(Source("t", frame)).columns) == ["a"]


def test_a_table_of_nothing_else_keeps_its_numbers():
    frame = pd.DataFrame({"a": range(N_ROWS), "id": range(N_ROWS)})
    assert list(leave_out_row_numbers(Source("t", frame)).columns) == ["a", "id"]


def test_few_rows_may_be_in_order_by_chance():
    frame = pd.DataFrame({"a": range(9), "b": 1})
    assert list(leave_out_row_numbers(Source("t", frame)).columns) == ["a", "b"]

"""The files that the command reads."""

import sys

import numpy as np
import pandas as pd
import pytest

# With so few rows the autoencoder stays PCA and takes no time.
X = np.random.default_rng(0).normal(size=(12, 5))
y = np.arange(12) % 2


def test_digits_without_a_table(report):
    out = report("--rows", 80, "--components", 2)
    assert "digits: 80 rows x 64 columns, target 'digit' of 10 classes\n" in out
    assert "rows sampled: 80 of 1797\n" in out


# CSV ----------------------------------------------------------------------------------


def test_first_line_of_numbers_is_pointed_out(report, tmp_path):
    np.savetxt(tmp_path / "bare.csv", X, delimiter=",")
    out = report(tmp_path / "bare.csv", "--components", 2)
    assert "the first line was taken for column names" in out


@pytest.mark.parametrize("header", [range(5), range(1, 6)])
def test_counted_columns_are_names(report, tmp_path, header):
    pd.DataFrame(X, columns=header).to_csv(tmp_path / "t.csv", index=False)
    assert "first line" not in report(tmp_path / "t.csv", "--components", 2)


def test_row_numbers_of_pandas_are_left_out(report, tmp_path):
    pd.DataFrame(X, columns=list("abcde")).to_csv(tmp_path / "t.csv")
    out = report(tmp_path / "t.csv", "--components", 2)
    assert "12 rows x 5 columns" in out
    assert "columns left out (row numbers): 'Unnamed: 0'" in out


@pytest.mark.parametrize("index", [range(1, 13), [0.5, *range(1, 12)]])
def test_other_unnamed_columns_are_kept(report, tmp_path, index):
    pd.DataFrame(X, columns=list("abcde"), index=index).to_csv(tmp_path / "t.csv")
    assert "12 rows x 6 columns" in report(tmp_path / "t.csv", "--components", 2)


def test_row_numbers_with_a_name_are_kept(report, tmp_path):
    frame = pd.DataFrame(X, columns=list("abcde"))
    frame.insert(0, "n", range(12))
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert "12 rows x 6 columns" in report(tmp_path / "t.csv", "--components", 2)


# All formats --------------------------------------------------------------------------


def write_as(path):
    frame = pd.DataFrame(X, columns=list("01234")).assign(y=y)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".npy":
        np.save(path, np.column_stack([X, y]))
    elif path.suffix == ".npz":
        np.savez(path, X=X, y=y, note=np.array(["no", "target"]), objects=np.array([None]))
    else:
        frame.to_csv(path, index=False)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("t.parquet", ["--target", "y"]),
        ("t.npy", ["--target", "5"]),
        ("t.npz", []),
        ("t.npz", ["--target", "y"]),
        ("T.CSV", ["--target", "y"]),
    ],
)
def test_formats_agree(record, tmp_path, name, target):
    def read(name, target):
        write_as(tmp_path / name)
        found = record(tmp_path / name, *target, "--components", 2)
        assert found["table"]["columns"] == list("01234")
        assert found["table"]["target"] == (target[-1] if target else "y")
        return found["results"][0]

    found, expected = read(name, target), read("t.csv", ["--target", "y"])
    for model in ("PCA", "autoencoder"):
        for figure in ("explained_variance", "log_likelihood"):
            assert found[model][figure] == pytest.approx(expected[model][figure])


def test_parquet_types(report, tmp_path):
    frame = pd.DataFrame(X).astype("float32")
    frame["when"] = pd.Timestamp("2020-01-01")
    frame["count"] = pd.array([None, *range(11)], dtype="Int64")
    frame["kind"] = pd.Categorical(["a"] * 12)
    frame["flag"] = pd.array([True] * 12, dtype="boolean")
    frame["gap"] = pd.Series([None, *[True, False] * 5, True], dtype=object)
    frame.set_axis([str(name) for name in frame.columns], axis=1).to_parquet(tmp_path / "t.parquet")
    out = report(tmp_path / "t.parquet", "--components", 2)
    assert "11 rows x 8 columns" in out
    assert "columns left out (not numbers): 'when', 'kind'" in out


def test_parquet_names_that_are_numbers(record, tmp_path):
    pd.DataFrame(X).to_parquet(tmp_path / "t.parquet")
    found = record(tmp_path / "t.parquet", "--components", 2, "--target", "4")
    assert found["table"]["columns"] == list("0123")


def test_only_2d_array_of_an_npz_and_a_named_target(report, tmp_path):
    np.savez(tmp_path / "t.npz", rows=X, side=np.where(y, "left", "right"))
    out = report(tmp_path / "t.npz", "--target", "side", "--components", 2)
    assert "12 rows x 5 columns" in out
    assert "target 'side' has 2 different values in 3 rows held out" in out


def test_array_x_of_an_npz_goes_first(report, tmp_path):
    np.savez(tmp_path / "t.npz", A=X[:, :3], X=X, Z=X[:, :2], side=y)
    out = report(tmp_path / "t.npz", "--components", 2)
    assert "12 rows x 5 columns\n" in out
    assert "target" not in out  # only an array y is one unasked


def test_arrays_of_another_length_are_no_targets(refuse, tmp_path):
    np.savez(tmp_path / "t.npz", X=X, y=y, note=np.array(["no", "target"]))
    line = refuse(tmp_path / "t.npz", "--target", "note")
    assert "--target must be one of 'y', '0', '1', '2', '3', '4' in t.npz, got 'note'" in line


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "float16"])
def test_arrays_of_any_real_numbers(report, tmp_path, dtype):
    np.save(tmp_path / "t.npy", X > 0 if dtype == "bool" else (5 * np.abs(X)).astype(dtype))
    assert "12 rows x 5 columns" in report(tmp_path / "t.npy", "--components", 2)


# What is refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("blank.csv", b"\n\n"),
        ("latin.csv", b"a,b\n\xff\xfe,2\n"),
        ("ragged.csv", b"a,b\n1,2\n1,2,3,4\n"),
        ("bad.parquet", b"PAR1 and no more"),
        ("bad.npy", b"nothing of NumPy's"),
        ("bad.npz", b"PK\x03\x04 and no more"),
    ],
)
def test_damaged_files(refuse, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    line = refuse(tmp_path / name)
    kind = name.split(".")[1].upper()
    assert f"{name} can't be read as {kind} (" in line
    assert f"check that it is a {kind} file" in line


def test_csv_without_rows(refuse, tmp_path):
    (tmp_path / "t.csv").write_bytes(b"a,b\n")
    line = refuse(tmp_path / "t.csv")
    assert "t.csv has column names but no rows" in line
    assert "add a line for each row" in line


def test_table_that_does_not_fit_into_memory(refuse, table, monkeypatch):
    def fail(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(pd, "read_csv", fail)
    line = refuse(table)
    assert "flower.csv does not fit into memory" in line
    assert "choose a smaller table" in line


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 2, 2)), "must be 2-d (rows x columns), got the shape (4, 2, 2)"),
        (np.zeros((9, 3), dtype=complex), "must hold real numbers, got the type complex128"),
        (np.array([["a", "b"]] * 9), "must hold real numbers, got the type <U1"),
        (np.array([[None, 1]] * 9), "can't be read as NPY"),
    ],
)
def test_bad_npy(refuse, tmp_path, array, message):
    np.save(tmp_path / "t.npy", array)
    assert message in refuse(tmp_path / "t.npy")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"a": np.zeros((9, 3)), "b": np.zeros((9, 2))},
            "must hold a 2-d array named X or a single 2-d array, got a (9, 3), b (9, 2)",
        ),
        ({"a": np.zeros(9)}, "must hold a 2-d array named X or a single 2-d array, got a (9,)"),
        ({"X": np.zeros(9), "b": np.zeros((9, 2))}, "must be 2-d (rows x columns), got the shape"),
        ({"X": np.array([[None]])}, "got none that can be read without pickle"),
    ],
)
def test_bad_npz(refuse, tmp_path, arrays, message):
    np.savez(tmp_path / "t.npz", **arrays)
    assert message in refuse(tmp_path / "t.npz")


def test_numpy_file_of_the_other_kind(refuse, tmp_path):
    np.savez(tmp_path / "a.npz", X=np.eye(9))
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    assert "a.npy holds several arrays; rename it to end in .npz" in refuse(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.eye(9))
    (tmp_path / "b.npy").rename(tmp_path / "b.npz")
    assert "b.npz holds a single array; rename it to end in .npy" in refuse(tmp_path / "b.npz")


def test_parquet_without_pyarrow(refuse, tmp_path, monkeypatch):
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    line = refuse(tmp_path / "t.parquet")
    assert "t.parquet needs pyarrow" in line
    assert "pip install pyarrow" in line

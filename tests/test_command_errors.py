"""`python -m skae`: what it refuses, each time with one line and status 2."""

import sys
import tempfile

import numpy as np
import pytest

from skae._command import main


@pytest.fixture
def table(tmp_path):
    """A table with nothing wrong."""
    X = np.random.default_rng(0).normal(size=(12, 6))
    np.savetxt(tmp_path / "t.csv", X, delimiter=",", header="a,b,c,d,e,f", comments="")
    return tmp_path / "t.csv"


@pytest.fixture
def refused(capsys):
    """Return a function that runs the command and returns the one line it ends with."""

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        out, errors = capsys.readouterr()
        assert (status, out) == (2, "")
        assert errors.count("\n") == 1
        assert errors.startswith("python -m skae: ")
        return errors

    return run


@pytest.mark.parametrize(
    ("arguments", "got", "expected"),
    [
        (["--rows", "0"], "--rows: '0'", "4 or more"),
        (["--rows", "3"], "--rows: '3'", "4 or more"),
        (["--components", "0"], "--components: '0'", "1 or more"),
        (["--components", "2", "x"], "--components: 'x'", "a whole number"),
        (["--components"], "--components", "at least one argument"),
        (["--components", "6", "7"], "--components 6 7", "at most 5"),
        (["--seed", "-1"], "--seed: '-1'", "from 0 to 4294967295"),
        (["--seed", "4294967296"], "--seed: '4294967296'", "from 0 to 4294967295"),
        (["--colour", "red"], "--colour red", "--help"),
        (["--target", "height"], "'height'", "one of 'a', 'b', 'c'"),
        (["--plot", "plot.gif"], "'.gif'", ".png, .svg, .pdf"),
        (["--plot", "plot"], "''", ".png, .svg, .pdf"),
        (["--plot", "no/such/plot.png"], "no/such/plot.png", "directory that exists"),
        (["--json", "no/such/out.json"], "no/such/out.json", "directory that exists"),
        (["--json", "t.csv/out.json"], "t.csv/out.json", "directory that exists"),
        (["--json", "."], "--json .", "a file to write"),
        (["--json", "t.csv"], "is the table", "another file"),
        (["--json", "x" * 300], "File name too long", "expected a file"),
    ],
)
def test_bad_arguments(refused, table, monkeypatch, arguments, got, expected):
    monkeypatch.chdir(table.parent)
    line = refused(table, *arguments)
    assert got in line
    assert expected in line


def test_directory_that_cannot_be_written_to(refused, table, tmp_path, monkeypatch):
    def refuse(**options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    line = refused(table, "--plot", tmp_path / "plot.png")
    assert "Permission denied" in line
    assert "expected a file in a directory that can be written to" in line


def test_outputs_are_checked_before_the_table(refused):
    assert "--json" in refused("missing.csv", "--json", "no/such/out.json")


BAD_TABLES = {
    "missing.csv": (None, "does not exist", ".csv, .parquet, .npy or .npz"),
    "t.xls": (b"a,b\n1,2\n", "'.xls'", ".csv, .parquet, .npy or .npz"),
    "table": (b"a,b\n1,2\n", "''", ".csv, .parquet, .npy or .npz"),
    "empty.csv": (b"", "is empty", "expected a table"),
    "blank.csv": (b"\n\n", "can't be read as CSV", "expected a table"),
    "header.csv": (b"a,b\n", "has no rows", "expected a line of names"),
    "text.csv": (b"a,b\nx,y\nz,w\n", "0 numeric columns beside 'a', 'b'", "expected 2 or more"),
    "single.csv": (b"a\n1\n2\n3\n4\n5\n", "1 numeric column", "expected 2 or more"),
    "row.csv": (b"a,b\n1,2\n", "1 row without", "expected 4 or more"),
    "gaps.csv": (b"a,b\n" + b"1,\n,2\n" * 9, "0 rows without", "expected 4 or more"),
    "same.csv": (b"a,b\n" + b"1,2\n" * 9, "the same value", "columns that vary"),
    "huge.csv": (b"a,b\n1,2\n3,1e200\n5,6\n7,8\n", "1e+200", "up to 1e+150"),
    "latin.csv": (b"a,b\n\xff\xfe,2\n", "can't be read as CSV", "expected a table"),
    "ragged.csv": (b"a,b\n1,2\n1,2,3,4\n", "can't be read as CSV", "expected a table"),
    "bad.parquet": (b"PAR1 and no more", "can't be read as PARQUET", "expected a table"),
    "bad.npy": (b"nothing of NumPy's", "can't be read as NPY", "expected a table"),
    "bad.npz": (b"PK\x03\x04 and no more", "can't be read as NPZ", "expected a table"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_bad_tables(refused, tmp_path, name):
    content, got, expected = BAD_TABLES[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    line = refused(tmp_path / name, "--components", 1)
    assert name in line
    assert got in line
    assert expected in line


def test_directory_as_table(refused, tmp_path):
    assert "is no file" in refused(tmp_path)


@pytest.mark.parametrize(
    ("array", "got"),
    [
        (np.zeros((4, 2, 2)), "the shape (4, 2, 2)"),
        (np.zeros((9, 3), dtype=complex), "the type complex128"),
        (np.array([["a", "b"]] * 9), "the type <U1"),
        (np.array([[None, 1]] * 9), "can't be read as NPY"),
    ],
)
def test_bad_npy(refused, tmp_path, array, got):
    np.save(tmp_path / "t.npy", array)
    assert got in refused(tmp_path / "t.npy")


@pytest.mark.parametrize(
    ("arrays", "got"),
    [
        ({"a": np.zeros((9, 3)), "b": np.zeros((9, 2))}, "the arrays a (9, 3), b (9, 2)"),
        ({"X": np.zeros(9), "b": np.zeros((9, 2))}, "X has the shape (9,)"),
        ({"X": np.array([[None]])}, "(none that can be read without pickle)"),
    ],
)
def test_bad_npz(refused, tmp_path, arrays, got):
    np.savez(tmp_path / "t.npz", **arrays)
    assert got in refused(tmp_path / "t.npz")


def test_numpy_file_of_the_other_kind(refused, tmp_path):
    np.savez(tmp_path / "a.npz", X=np.eye(9))
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    assert "expected one, or the suffix .npz" in refused(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.eye(9))
    (tmp_path / "b.npy").rename(tmp_path / "b.npz")
    assert "expected the suffix .npy" in refused(tmp_path / "b.npz")


def test_parquet_without_pyarrow(refused, tmp_path, monkeypatch):
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install pyarrow" in refused(tmp_path / "t.parquet")


def test_plot_without_matplotlib(refused, table, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    line = refused(table, "--plot", tmp_path / "plot.png")
    assert "pip install skae[plot]" in line

"""The kinds of files that the command reads."""

import gzip
import io
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


def test_table_that_does_not_fit_into_memory(refuse, table, monkeypatch):
    def fail(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(pd, "read_csv", fail)
    line = refuse(table)
    assert "flower.csv does not fit into memory" in line
    assert "choose a smaller table" in line


@pytest.mark.parametrize(
    ("name", "content"),
    [
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


# A pipe -------------------------------------------------------------------------------


@pytest.fixture
def pipe(monkeypatch):
    """Return a function that lets the command find this content in its pipe."""

    def pipe_it(content):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return pipe_it


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_text_from_a_pipe(report, pipe, pack):
    text = pd.DataFrame(X, columns=list("abcde")).to_csv(sep=";", decimal=",")
    pipe(pack(text.encode()))
    out = report("-", "--components", 2)
    assert "stdin: 12 rows x 5 columns\n" in out
    assert "separator taken: ';'\n" in out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no text came through the pipe"),
        (b"\x93NUMPY\0\0", "stdin holds NUL bytes"),
        (b"a,b\n1,2,3\n", "line 2 of stdin has 3 cells"),
    ],
)
def test_bad_text_from_a_pipe(refuse, pipe, content, message):
    pipe(content)
    assert message in refuse("-")


def test_terminal_is_no_pipe(refuse, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    assert "- stands for text from a pipe, but there is none; name a file" in refuse("-")

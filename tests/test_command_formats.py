"""`python -m skae`: the files it reads."""

import json

import numpy as np
import pandas as pd
import pytest

from skae._command import main

# So few rows that the autoencoder is PCA, and takes no time.
X = np.random.default_rng(0).normal(size=(12, 5))
y = np.arange(12) % 2


@pytest.fixture
def run(capsys):
    """Return a function that runs the command and returns what it prints."""

    def run_it(*arguments):
        assert main([str(argument) for argument in arguments]) == 0
        out, errors = capsys.readouterr()
        assert errors == ""
        return out

    return run_it


def test_first_line_of_numbers_is_pointed_out(run, tmp_path):
    np.savetxt(tmp_path / "bare.csv", X, delimiter=",")
    out = run(tmp_path / "bare.csv", "--components", 2)
    assert "the first line was taken for column names" in out


def test_row_numbers_of_pandas_are_left_out(run, tmp_path):
    pd.DataFrame(X, columns=list("abcde")).to_csv(tmp_path / "t.csv")
    out = run(tmp_path / "t.csv", "--components", 2)
    assert "12 rows x 5 columns" in out
    assert "columns left out (row numbers): 'Unnamed: 0'" in out


@pytest.mark.parametrize("header", [range(5), range(1, 6)])
def test_counted_columns_are_no_rows(run, tmp_path, header):
    pd.DataFrame(X, columns=header).to_csv(tmp_path / "t.csv", index=False)
    assert "first line" not in run(tmp_path / "t.csv", "--components", 2)


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
def test_formats_agree(run, tmp_path, name, target):
    def results(name, target):
        write_as(tmp_path / name)
        path = tmp_path / "out.json"
        run(tmp_path / name, *target, "--components", 2, "--json", path)
        found = json.loads(path.read_text())
        assert found["table"]["columns"] == list("01234")
        assert found["table"]["target"] == (target[-1] if target else "y")
        return found["results"][0]

    found, expected = results(name, target), results("t.csv", ["--target", "y"])
    for model in ("PCA", "autoencoder"):
        for figure in ("explained_variance", "log_likelihood"):
            assert found[model][figure] == pytest.approx(expected[model][figure])


def test_only_table_of_an_npz_and_a_named_target(run, tmp_path):
    np.savez(tmp_path / "t.npz", rows=X, side=np.where(y, "left", "right"))
    out = run(tmp_path / "t.npz", "--target", "side", "--components", 2)
    assert "12 rows x 5 columns" in out
    assert "target 'side' has 2 different values in 3 rows held out" in out


def test_columns_of_parquet_of_other_types(run, tmp_path):
    frame = pd.DataFrame(X).astype("float32")
    frame["when"] = pd.Timestamp("2020-01-01")
    frame["count"] = pd.array([None, *range(11)], dtype="Int64")
    frame["kind"] = pd.Categorical(["a"] * 12)
    frame["flag"] = pd.array([True] * 12, dtype="boolean")
    frame.set_axis([str(name) for name in frame.columns], axis=1).to_parquet(tmp_path / "t.parquet")
    out = run(tmp_path / "t.parquet", "--components", 2)
    assert "11 rows x 7 columns" in out
    assert "columns left out (not numbers): 'when', 'kind'" in out

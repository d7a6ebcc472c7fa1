"""Files that the user names, checked before the work."""

import os
import sys

import numpy as np
import pytest

from skae._command.arguments import CommandError
from skae._command.files import check_library


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("t.xlsx", "text also packed as .gz, .bz2, .xz or .zip, got "),
        ("t.gz", "text also packed as"),
        ("t.tar.gz", "text also packed as"),
        ("t.csv.zst", "text also packed as"),
        ("t.npy.gz", "of packed files only text is read, got "),
        ("t.parquet.zip", "of packed files only text is read, got "),
    ],
)
def test_names_that_are_refused(refuse, tmp_path, name, message):
    (tmp_path / name).write_bytes(b"a,b\n1,2\n")
    line = refuse(tmp_path / name)
    assert message in line
    assert name in line


def test_special_files_are_no_tables(refuse, tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    assert "pipe.csv is not a plain file" in refuse(tmp_path / "pipe.csv")
    assert "or - for text from a pipe" in refuse(tmp_path / "pipe.csv")
    assert "folder.csv is not a file but a directory" in refuse(tmp_path / "folder.csv")


@pytest.mark.parametrize("option", [["--sep", ";"], ["--decimal", ","], ["--encoding", "utf-8"]])
def test_options_of_text_are_refused_elsewhere(refuse, tmp_path, option):
    (tmp_path / "t.npy").write_bytes(b"x")
    for table in ([tmp_path / "t.npy"], []):
        assert "are for text files (.csv, .tsv or .txt" in refuse(*table, *option)


def test_options_of_text_are_for_either_table(refuse, table, tmp_path):
    np.save(tmp_path / "t.npy", np.eye(4))
    line = refuse(tmp_path / "t.npy", "--against", table, "--encoding", "utf-16")
    assert "flower.csv can't be read" in line


def test_one_pipe_for_two_tables(refuse):
    assert "- stands for text from a pipe, of which there is one" in refuse("-", "--against", "-")


def test_plot_with_a_broken_matplotlib(refuse, table, tmp_path, monkeypatch):
    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name == "matplotlib.backends.backend_svg":
                raise AttributeError("numpy has no attribute 'float'")

    monkeypatch.delitem(sys.modules, "matplotlib.backends.backend_svg", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    line = refuse(table, "--plot", tmp_path / "chart.svg")
    assert "--plot needs matplotlib, which does not load (numpy has no attribute 'float')" in line


def test_jinja2_is_missing(monkeypatch):
    needed = ("--report", "jinja2", '"skae[report]"', ("jinja2",))
    check_library(*needed)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(CommandError, match=r'pip install "skae\[report\]"'):
        check_library(*needed)

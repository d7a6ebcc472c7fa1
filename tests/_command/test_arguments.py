"""What the command takes and refuses before it reads a table."""

import os
import sys
import tempfile
from pathlib import Path

import pytest

import skae
from skae._command.main import main


@pytest.mark.parametrize(
    ("arguments", "wrong", "remedy"),
    [
        (["--rows", "0"], "got '0'", "--rows must be a whole number of at least 4"),
        (["--rows", "3"], "got '3'", "--rows must be a whole number of at least 4"),
        (["--rows", "9.5"], "got '9.5'", "--rows must be a whole number of at least 4"),
        (["--components", "0"], "got '0'", "--components must be whole numbers of at least 1, or"),
        (["--components", "2", "x"], "got 'x'", "or shares of the variance in (0, 1)"),
        (["--components", "1.5"], "got '1.5'", "or shares of the variance in (0, 1)"),
        (["--components"], "--components: expected at least one argument", "see --help"),
        (["--seed", "-1"], "got '-1'", "--seed must be a whole number from 0 to 4294967295"),
        (["--seed", "4294967296"], "got '4294967296'", "from 0 to 4294967295"),
        (["--colour", "red"], "--colour red", "see --help"),
        (["--comp", "2"], "--comp 2", "see --help"),
        (["--plot", "plot.gif"], "got plot.gif", "--plot must end in .png, .svg or .pdf"),
        (["--plot", "plot"], "got plot", "--plot must end in .png, .svg or .pdf"),
        (["--report", "page.pdf"], "got page.pdf", "--report must end in .html or .htm"),
        (["--report", "no/such/page.html"], "no/such is not a directory", "create it or choose"),
        (["--against", "missing.csv"], "missing.csv does not exist", "the table must be a .csv"),
        (["--against", "t.xls"], "t.xls does not exist", "the table must be a .csv"),
        (["--plot", "no/such/plot.png"], "no/such is not a directory", "create it or choose"),
        (["--json", "no/such/out.json"], "no/such is not a directory", "create it or choose"),
        (["--json", "flower.csv/o.json"], "flower.csv is not a directory", "choose another"),
        (["--json", "."], "got the directory .", "--json must be a plain file"),
        (["--json", "flower.csv"], "would overwrite the table", "choose another file"),
        (["--json", "x" * 300], "File name too long", "choose a file that you may write to"),
    ],
)
def test_bad_arguments(refuse, table, monkeypatch, arguments, wrong, remedy):
    monkeypatch.chdir(table.parent)
    line = refuse("flower.csv", *arguments)
    assert wrong in line
    assert remedy in line


@pytest.mark.parametrize(
    ("name", "content", "wrong", "remedy"),
    [
        ("missing.csv", None, "does not exist", ".csv, .tsv, .txt, .parquet, .npy or .npz file"),
        ("t.xls", b"a,b\n1,2\n", "got ", ".csv, .tsv, .txt, .parquet, .npy or .npz file"),
        ("table", b"a,b\n1,2\n", "got ", ".csv, .tsv, .txt, .parquet, .npy or .npz file"),
        ("empty.csv", b"", "is empty", "must have rows and columns"),
        ("x" * 300 + ".csv", None, "File name too long", "choose a file that you may read"),
    ],
)
def test_bad_table_files(refuse, tmp_path, name, content, wrong, remedy):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    line = refuse(tmp_path / name)
    assert name in line
    assert wrong in line
    assert remedy in line


def test_directory_as_table(refuse, tmp_path):
    assert f"{tmp_path} is not a file but a directory; the table must be a .csv" in refuse(tmp_path)


def test_special_files_are_not_replaced(refuse, table, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    line = refuse(table, "--json", tmp_path / "pipe")
    assert f"--json must be a plain file, got the special file {tmp_path / 'pipe'}" in line


def test_link_to_the_table(refuse, table, tmp_path):
    (tmp_path / "link.json").symlink_to(table)
    assert "would overwrite the table" in refuse(table, "--json", tmp_path / "link.json")


def test_directory_that_cannot_be_written_to(refuse, table, tmp_path, monkeypatch):
    def fail(**options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)  # root may write everywhere
    line = refuse(table, "--plot", tmp_path / "plot.png")
    assert "--plot" in line
    assert "Permission denied" in line
    assert "choose a file that you may write to" in line


def test_checks_leave_no_files(refuse, tmp_path):
    refuse(tmp_path / "missing.csv", "--json", tmp_path / "o.json", "--plot", tmp_path / "p.png")
    assert list(tmp_path.iterdir()) == []


def test_plot_without_matplotlib(refuse, table, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    line = refuse(table, "--plot", tmp_path / "plot.png")
    assert "--plot needs matplotlib" in line
    assert "pip install skae[plot]" in line


def test_matplotlib_is_needed_to_plot_only(report, table, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    report(table, "--components", 2)


def test_limits_are_accepted(record, table):
    found = record(table, "--rows", 4, "--components", 1, "--seed", 4294967295)
    assert found["table"]["rows"] == 4
    assert [result["n_components"] for result in found["results"]] == [1]
    assert found["seed"] == 4294967295


def test_dropped_columns(record, refuse, table):
    found = record(table, "--components", 1, "--drop", "a", "side", "--drop", "b", "a")
    assert found["table"]["columns"] == ["c", "d", "e", "sunny"]
    assert found["table"]["columns_left_out"] == {
        **dict.fromkeys(["a", "side", "b"], "by --drop"),
        "empty": "empty",
    }
    assert found["arguments"]["drop"] == ["a", "side", "b"]
    assert "got 'A'; there are 'a', 'b', " in refuse(table, "--drop", "A")


def test_defaults(record, table):
    arguments = record(table)["arguments"]
    assert Path(arguments.pop("json")).name == "record.json"
    assert arguments == {
        "table": str(table),
        "target": None,
        "drop": [],
        "keep": [],
        "text": [],
        "components": None,
        "separator": None,
        "decimal": None,
        "thousands": None,
        "encoding": None,
        "day_first": None,
        "rows": None,
        "seed": 0,
        "plot": None,
        "report": None,
        "against": None,
    }


@pytest.mark.parametrize(("option", "text"), [("--help", "--plot"), ("--version", "skae ")])
def test_help_and_version(capsys, option, text):
    with pytest.raises(SystemExit) as ended:
        main([option])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert text in out
    assert option == "--help" or out == f"skae {skae.__version__}\n"


# How text is written ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        ("--sep", "ab", "--sep must be one character such as ';', '|' or tab"),
        ("--sep", "", "got ''"),
        ("--sep", "7", "got '7'"),
        ("--sep", "x", "got 'x'"),
        ("--sep", '"', "got '\"'"),
        ("--sep", ".", "got '.'"),
        ("--sep", "\n", "got '\\n'"),
        ("--sep", "§", "got '§'"),
        ("--decimal", ";", "--decimal must be ',' or '.', got ';'"),
        ("--thousands", ";", "--thousands must be ',', '.', \"'\", '_' or space, got ';'"),
        ("--encoding", "latin-99", "an encoding that Python knows, such as utf-8"),
        ("--encoding", "hex", "got 'hex'"),
        ("--encoding", "utf-8\0", "got 'utf-8\\x00'"),
    ],
)
def test_bad_formats(refuse, table, option, text, message):
    assert message in refuse(table, option, text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--decimal", ",", "--thousands", ","], "--decimal and --thousands must differ, got ','"),
        (["--sep", "space", "--thousands", "space"], "--sep and --thousands must differ"),
    ],
)
def test_formats_that_contradict(refuse, table, options, message):
    assert message in refuse(table, *options)


@pytest.mark.parametrize(
    ("options", "separator"),
    [
        (["--sep", "tab"], "\t"),
        (["--sep", "\\t"], "\t"),
        (["--sep", "\t"], "\t"),
        (["--sep", ";"], ";"),
    ],
)
def test_formats(record, table, options, separator):
    content = table.read_text()
    table.write_text(content.replace(",", separator).replace(".", ","))
    found = record(table, *options, "--decimal", ",", "--encoding", "UTF8", "--components", 1)
    assert found["table"]["columns"] == ["a", "b", "c", "d", "e", "side", "sunny"]
    assert found["arguments"]["separator"] == separator
    assert found["arguments"]["encoding"] == "utf-8"
    assert not any(" taken" in note for note in found["notes"])

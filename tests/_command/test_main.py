"""How the command starts and ends."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pandas as pd
import pytest
import skorch

import skae
from skae._command import comparison
from skae._command.main import main


def run_module(*arguments, options=()):
    command = [sys.executable, *options, "-m", "skae", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_module_runs(table, tmp_path):
    path = tmp_path / "out.json"
    done = run_module(table, "--components", "2", "--json", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "with 2 components" in done.stdout
    assert json.loads(path.read_text())["table"]["rows"] == 12


def test_module_exits_with_the_status_and_names_itself():
    done = run_module("missing.csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("python -m skae: missing.csv does not exist")
    assert run_module("--help").stdout.startswith("usage: python -m skae [-h]")


def test_script_exits_with_the_status_and_names_itself(tmp_path):
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    entry = EntryPoint("skae", project["scripts"]["skae"], "console_scripts")
    assert entry.load() is main
    # This is what an installer writes.
    code = f"import sys; from {entry.module} import {entry.attr}; sys.exit({entry.attr}())"
    command = [sys.executable, "-c", code, str(tmp_path / "missing.csv")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"skae: {tmp_path / 'missing.csv'} does not exist")


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["--help"], "usage: "),
        (["--version"], f"skae {skae.__version__}"),
        (["--colour", "red"], "unrecognized arguments"),
        (["--rows", "x"], "got 'x'"),
        (["missing.csv"], "does not exist"),
        (["pyproject.toml"], ".csv, .tsv"),
        (["--json", "no/such/out.json"], "is not a directory"),
        (["--plot", "plot.gif"], "got plot.gif"),
    ],
)
def test_quick_answers_import_nothing_slow(arguments, answer):
    done = run_module(*arguments, options=["-X", "importtime"])
    assert answer in done.stdout + done.stderr
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "argparse" in imported
    assert not imported & {"torch", "sklearn", "scipy", "pandas", "numpy", "skorch", "matplotlib"}


def test_messages_of_several_lines_become_one(refuse, tmp_path):
    refuse(tmp_path / "two\nlines.csv")  # which asserts a single line


# Interrupts ---------------------------------------------------------------------------


@pytest.fixture
def python_handles_ctrl_c():
    """Give SIGINT Python's own handler: shells start background jobs with the signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press_ctrl_c(*arguments, **options):
    signal.raise_signal(signal.SIGINT)
    time.sleep(1)


def test_ctrl_c_in_a_fit(run, large_table, tmp_path, monkeypatch, python_handles_ctrl_c):
    # Within skorch's loop, which takes a KeyboardInterrupt for a wish to stop training.
    monkeypatch.setattr(skorch.NeuralNet, "run_single_epoch", press_ctrl_c)
    status, out, errors = run(large_table, "--components", 2, "--json", tmp_path / "out.json")
    assert (status, errors) == (130, "skae: interrupted\n")
    assert out.startswith("large.csv: 77 rows x 7 columns\n")
    assert "components" not in out
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert sorted(tmp_path.iterdir()) == [large_table]


def test_handler_of_the_caller_is_kept(run, large_table, monkeypatch):
    class Stop(BaseException):
        pass

    def handle(number, frame):
        raise Stop("the caller's")

    monkeypatch.setattr(skorch.NeuralNet, "run_single_epoch", press_ctrl_c)
    before = signal.signal(signal.SIGINT, handle)
    try:
        with pytest.raises(Stop, match="the caller's"):
            run(large_table, "--components", 2)
        assert signal.getsignal(signal.SIGINT) is handle
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads(table, capsys):
    statuses = []

    def work():
        statuses.append(main([str(table), "--components", "2"]))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert statuses == [0]
    assert "with 2 components" in capsys.readouterr().out


# Errors -------------------------------------------------------------------------------


def fail_with(error):
    def fail(*arguments, **options):
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ZeroDivisionError("x\ny" * 900), "ZeroDivisionError: x yx yx"),
        (KeyError(), "KeyError: KeyError; the command did not expect this error"),
        (MemoryError(), "there is not enough memory for the comparison; take fewer rows"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "there is not enough memory"),
    ],
)
def test_errors_that_nobody_expects(run, table, monkeypatch, error, message):
    monkeypatch.setattr(comparison, "fit_pca", fail_with(error))
    status, out, errors = run(table, "--components", 2)
    # What was read is printed before the fits.
    assert status == 2
    assert out.startswith("flower.csv: 12 rows x 7 columns\n")
    assert out.endswith("PCA has no log-likelihood of booleans and categories\n")
    assert errors.count("\n") == 1
    assert len(errors) <= 501
    assert errors.startswith(f"skae: {message}")
    assert ("please report it with what --traceback adds" in errors) == ("memory" not in message)


def test_traceback_on_demand(run, table, monkeypatch):
    monkeypatch.setattr(comparison, "fit_pca", fail_with(ZeroDivisionError("x")))
    errors = run(table, "--components", 2, "--traceback")[2]
    assert "Traceback (most recent call last)" in errors
    assert errors.splitlines()[-1].startswith("skae: ZeroDivisionError: x; the command did not")


def test_report_that_nobody_reads(run, table, tmp_path, monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    path = tmp_path / "out.json"
    with os.fdopen(writing, "w") as stream:  # whose end would raise what is not silenced
        monkeypatch.setattr(sys, "stdout", stream)
        status = main([str(table), "--components", "2", "--json", str(path)])
        stream.write("more")
    assert status == 141
    assert "verdict" in json.loads(path.read_text())


def test_report_on_a_full_disk(run, table, monkeypatch):
    class Full(io.StringIO):
        def flush(self):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    status, _, errors = run(table, "--components", 2)
    assert status == 2
    reason = "the report can't be printed (No space left on device)"
    assert errors == f"skae: {reason}; make room or print elsewhere\n"


def test_without_streams(table, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)  # as in a program without a console
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(sys, "stdin", None)
    assert main([str(table), "--components", "2"]) == 0
    assert main(["missing.csv"]) == 2
    assert main(["-"]) == 2


def test_directory_that_is_removed_meanwhile(run, table, tmp_path, monkeypatch):
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.setattr(comparison, "warm_up", place.rmdir)
    status, out, errors = run(table, "--components", 2, "--json", place / "out.json")
    assert status == 2
    assert "with 2 components" in out
    assert f"out.json can't be written: {place} is gone; choose another directory" in errors


def test_limits_are_checked_before_the_fits(refuse, table, monkeypatch):
    monkeypatch.setattr(comparison, "fit_pca", fail_with(AssertionError))
    monkeypatch.setattr(comparison, "warm_up", fail_with(AssertionError))
    for options in (["--target", "no"], ["--components", 40], ["--plot", "no/such.png"]):
        refuse(table, *options)


# Tables on which no models can be compared -----------------------------------------------


@pytest.mark.parametrize(
    ("cells", "moved", "reason"),
    [
        ({"a": range(40)}, {"a": range(100, 140)}, "at least 2 columns of numbers, labels or dat"),
        ({"a": list("xyxz") * 10}, {"a": list("yyyy") * 10}, "at least 2 columns of numbers, labe"),
        ({"a": [1] * 40, "b": [2] * 40}, {"a": [1] * 40, "b": [3] * 40}, "a column that varies"),
        (
            {"a": list("xy") * 20, "b": [f"id{n}" for n in range(40)]},
            {"a": list("xx") * 20, "b": [f"id{n}" for n in range(40)]},
            "two dimensions",
        ),
    ],
)
def test_a_second_table_is_judged_all_the_same(run, refuse, tmp_path, cells, moved, reason):
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    pd.DataFrame(cells).to_csv(first, index=False)
    pd.DataFrame(moved).to_csv(second, index=False)
    status, out, errors = run(first, "--against", second, "--json", tmp_path / "found.json")
    assert (status, errors) == (0, "")
    assert f"PCA and the autoencoder are not compared: a.csv must have {reason}" in out
    assert "b.csv differs from a.csv: " in out
    record = json.loads((tmp_path / "found.json").read_text())
    assert (record["results"], record["verdict"]) == ([], None)
    assert record["table"]["columns"] == list(cells)
    assert record["shift"]["sentences"][0] in out
    for options in ((), ("--against", second, "--report", tmp_path / "page.html")):
        line = refuse(first, *options)
        assert reason in line
        assert "compare it with a second one by --against, without --plot and --report" in line


def test_a_single_column_that_tables_share(report, table, tmp_path):
    shared = pd.read_csv(table).iloc[:, [0]]
    shared.to_csv(tmp_path / "b.csv", index=False)
    out = report(table, "--components", 1, "--against", tmp_path / "b.csv")
    assert "b.csv lacks: " in out
    assert "Compared: 11 rows with 4 rows of flower.csv that its model has not seen" in out

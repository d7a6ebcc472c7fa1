"""Runs of the command, in this process."""

import json

import pytest

from skae._command.main import main

from .tables import write_flower


@pytest.fixture
def table(tmp_path):
    """A table of twelve rows."""
    return write_flower(tmp_path / "flower.csv", 12)


@pytest.fixture
def large_table(tmp_path):
    """A table of seventy-seven rows."""
    return write_flower(tmp_path / "large.csv", 77)


@pytest.fixture
def run(capsys):
    """Return a function that runs the command and returns its status, stdout and stderr."""

    def run_it(*arguments):
        status = main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run_it


@pytest.fixture
def report(run):
    """Return a function that runs the command, which must succeed, and returns its report."""

    def report_it(*arguments):
        status, out, errors = run(*arguments)
        assert (status, errors) == (0, "")
        return out

    return report_it


@pytest.fixture
def record(report, tmp_path):
    """Return a function that runs the command and returns its JSON, which must be strict."""

    def record_it(*arguments):
        path = tmp_path / "record.json"
        report(*arguments, "--json", path)
        return json.loads(path.read_text(), parse_constant=pytest.fail)

    return record_it


@pytest.fixture
def results(record):
    """Return a function that runs the command and returns its figures, less the times."""

    def list_them(*arguments):
        found = record(*arguments)["results"]
        for pair in found:
            for model in ("PCA", "autoencoder"):
                assert pair[model].pop("fit_seconds") > 0
        return found

    return list_them


@pytest.fixture
def refuse(run):
    """Return a function that runs the command and returns the one line that refuses it."""

    def refuse_it(*arguments):
        status, out, errors = run(*arguments)
        assert (status, out) == (2, "")
        assert errors.count("\n") == 1
        assert errors.startswith("skae: ")
        return errors

    return refuse_it

"""The report, from the command line to the file."""

import io
import json
import os
import re
import sys
import warnings
from datetime import datetime

import numpy as np
import pytest

import skae
from skae._command import investigation, page, predicted_columns
from skae._command.main import main

from .tables import make_flower, make_people


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A report of two tables: what it found, its file, the record and what was printed."""
    place = tmp_path_factory.mktemp("report")
    people = make_people(160).rename(columns={"noise": "<script>alert(1)</script>"})
    people["kind"] = np.where(people["age"] < 50, "<b>young</b>", "old")
    people.loc[3, "age"] = np.nan
    people[:100].to_csv(place / "first.csv", index=False)
    people[100:].assign(age=people["age"] + 40).to_csv(place / "second.csv", index=False)
    (place / "report.html").write_text("old")
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predicted_columns, "_N_FOLDS", 2)
        patch.setattr(sys, "stdout", io.StringIO())
        write = page.write_page
        patch.setattr(page, "write_page", lambda *given: (found.append(given[0]), write(*given)))
        arguments = [place / "first.csv", "--against", place / "second.csv", "--target", "kind"]
        arguments += ["--components", 1, 2, "--seed", 5, "--report", place / "report.html"]
        arguments = list(map(str, [*arguments, "--json", place / "record.json"]))
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # such as that no threshold holds with so few rows
            assert main(arguments, prog="python -m skae") == 0
        out = sys.stdout.getvalue()
    record = json.loads((place / "record.json").read_text(), parse_constant=pytest.fail)
    return found[0], (place / "report.html").read_text(), record, out, arguments


def test_findings(made):
    found, _, record, out, arguments = made
    assert found.table == "first.csv"
    assert (found.n_rows, found.n_columns) == (100, 5)
    assert list(found.verdict) == record["verdict"]["sentences"]
    assert "\n".join(found.verdict) in out
    assert list(found.notes) == record["notes"]
    for size, pair in zip(found.sizes, record["results"], strict=True):
        assert size.n_components == pair["n_components"]
        assert size.pca_explained == pair["PCA"]["explained_variance"]
        assert size.autoencoder_explained == pair["autoencoder"]["explained_variance"]
        assert size.pca_log_likelihood == pair["PCA"]["log_likelihood"]
        assert size.autoencoder_log_likelihood == pair["autoencoder"]["log_likelihood"]
    assert len(found.p_values) == len(found.map.x) == 100
    assert found.map.p_values == found.p_values
    assert set(found.map.classes) == {"<b>young</b>", "old"}
    assert len(found.strangest) == 20
    names = [column.name for column in found.columns]
    assert names == ["age", "job", "works", "born", "<script>alert(1)</script>"]
    assert [column.n_missing for column in found.columns] == [1, 0, 0, 0, 0]
    provenance = dict(found.provenance)
    assert provenance["command"] == " ".join(["python -m skae", *arguments])
    assert provenance["seed"] == "5"
    assert provenance["skae"] == skae.__version__
    assert datetime.fromisoformat(provenance["date"]).tzinfo is not None


def test_second_table_is_recorded_and_printed(made):
    found, _, record, out, _ = made
    shift = found.shift
    assert shift.text.startswith("second.csv differs from first.csv")
    assert record["shift"]["text"] == shift.text
    assert record["shift"]["p_values"] == list(shift.p_values)
    assert record["shift"]["columns"][0]["name"] == shift.columns[0].name == "age"
    assert record["shift"]["strangest"][0]["reasons"][0]["column"] == "age"
    lines = out.splitlines()
    assert tuple(lines[-len(shift.sentences) :]) == shift.sentences
    assert "second.csv: 60 rows, judged by first.csv" in lines
    age = shift.columns[0]
    assert f"'age' ({age.distance:.2f}, p " in out
    assert f"{age.before} -> {age.after}" in out


def test_names_stay_text_in_the_file(made):
    html = made[1]
    assert "<script>alert" not in html
    assert "<b>young" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_second_table_alone(record, report, tmp_path):
    people = make_people(120)
    people[:80].to_csv(tmp_path / "a.csv", index=False)
    # One row has a usual value: rows are not judged by columns that have none in common.
    people.loc[81:, "noise"] += 9
    people[80:].to_csv(tmp_path / "b.csv", index=False)
    options = [tmp_path / "a.csv", "--components", 1, "--against", tmp_path / "b.csv"]
    lines = report(*options).splitlines()
    (first,) = (n for n, line in enumerate(lines) if line.startswith("b.csv differs from a.csv"))
    assert any(re.match(r"'noise' \(0\.9\d, p < 1e-6\): median ", line) for line in lines)
    assert any(re.match(r"row \d+ \(p 0\.\d+\): 'noise' is ", line) for line in lines)
    assert sum(line.startswith("row ") for line in lines) == 8
    assert record(*options)["shift"]["text"] == " ".join(lines[first:])
    assert "shift" not in record(*options[:3])


def test_second_table_through_a_pipe(report, tmp_path, monkeypatch):
    people = make_people(60)
    people.to_csv(tmp_path / "a.csv", index=False)
    stream = io.TextIOWrapper(io.BytesIO(people.to_csv(index=False).encode()))
    monkeypatch.setattr(sys, "stdin", stream)
    out = report(tmp_path / "a.csv", "--components", 1, "--against", "-")
    assert "stdin: 60 rows, judged by a.csv" in out
    assert out.count("\nrow ") == 3  # though none is called


def test_second_table_is_checked_before_the_fits(refuse, tmp_path, monkeypatch):
    make_people(20).to_csv(tmp_path / "a.csv", index=False)
    (tmp_path / "b.csv").write_text("x,y\n1,2\n3,4\n")
    monkeypatch.setattr("skae._command.comparison.warm_up", pytest.fail)
    line = refuse(tmp_path / "a.csv", "--against", tmp_path / "b.csv")
    assert "b.csv must have a column of a.csv" in line


def test_noise_is_the_standard_error_of_what_tells_figures_apart():
    rng = np.random.default_rng(0)
    common, own = 100 * rng.normal(size=400), rng.normal(size=(2, 400))
    found = investigation.measure_noise([common + own[0], common - own[0] + 5, common])
    assert found == pytest.approx(own[0].std(ddof=1) / 20)
    assert investigation.measure_noise([]) == investigation.measure_noise([common]) == 0


# Reports of odd tables ----------------------------------------------------------------


@pytest.fixture
def find(report, tmp_path, monkeypatch):
    """Return a function that runs the command with --report and returns what was found."""
    found = []
    monkeypatch.setattr(predicted_columns, "_N_FOLDS", 2)
    monkeypatch.setattr(page, "write_page", lambda findings, path: found.append(findings))

    def find_it(*arguments):
        report(*arguments, "--report", tmp_path / "report.html")
        return found[-1]

    return find_it


def test_two_columns(find, tmp_path):
    np.save(tmp_path / "t.npy", make_flower(30)[0][:, :2])
    found = find(tmp_path / "t.npy", "--components", 1)
    assert found.map.columns == ("0", "1")
    assert found.map.classes is None
    assert found.shift is None
    assert [column.kind for column in found.columns] == ["number", "number"]


def test_flower(find, table):
    found = find(table, "--components", 1)
    assert found.n_rows == len(found.p_values) == 12
    assert {column.kind for column in found.columns} == {"number", "category", "boolean"}


def test_digits(find, monkeypatch):
    monkeypatch.setattr(investigation, "list_columns", lambda *given: ())
    monkeypatch.setattr("skae._command.scored_rows.N_ANOMALOUS", 1)
    found = find("--rows", 40, "--components", 1)
    assert found.table == "digits"
    assert found.n_columns == 64 - sum("left out" in note for note in found.notes)
    assert set(found.map.classes) <= set("0123456789")


def test_rows_are_sampled(find, tmp_path, monkeypatch):
    monkeypatch.setattr(investigation, "_MOST_ROWS", 20)
    np.save(tmp_path / "t.npy", make_flower(50)[0])
    found = find(tmp_path / "t.npy", "--components", 1)
    assert (found.n_rows, found.map.n_rows) == (50, 50)
    assert len(found.p_values) == len(found.map.rows) == len(set(found.map.rows)) == 20
    assert {row.row for row in found.strangest} <= set(found.map.rows)
    assert "rows drawn by chance for p-values and the map: 20 of 50" in found.notes
    assert max(map(int, found.map.rows)) >= 20


def test_the_same_seed_finds_the_same(find, tmp_path):
    make_people(40).to_csv(tmp_path / "t.csv", index=False)
    first, second = (find(tmp_path / "t.csv", "--components", 1) for _ in range(2))
    assert first.provenance[1:-1] == second.provenance[1:-1]
    for name in ("map", "p_values", "strangest", "columns", "sizes"):
        assert getattr(first, name) == getattr(second, name)


# Files --------------------------------------------------------------------------------


def test_failure_to_write_leaves_the_old_page(run, table, tmp_path, monkeypatch):
    def fail(self, target):
        raise OSError(28, "No space left on device")

    path = tmp_path / "report.html"
    path.write_text("old")
    monkeypatch.setattr(predicted_columns, "_N_FOLDS", 2)
    monkeypatch.setattr(os, "replace", fail)
    status, _, errors = run(table, "--components", 1, "--report", path)
    assert status == 2
    assert f"{path} can't be written (No space left on device); make room" in errors
    assert path.read_text() == "old"
    assert sorted(tmp_path.iterdir()) == [table, path]


def test_report_without_the_template_library(refuse, table, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    line = refuse(table, "--report", tmp_path / "report.html")
    assert '--report needs jinja2, which is not installed: pip install "skae[report]"' in line

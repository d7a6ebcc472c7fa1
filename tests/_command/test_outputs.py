"""Files that the command writes."""

import os
import stat
import time
from pathlib import Path

import pytest

from skae._command.arguments import CommandError
from skae._command.outputs import write_atomically


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def write(path):
    write_atomically(path, lambda file: file.write(b"new"))


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o751])
def test_mode_is_kept(tmp_path, mode):
    path = tmp_path / "out.json"
    path.write_text("old")
    path.chmod(mode)
    write(path)
    assert path.read_bytes() == b"new"
    assert mode_of(path) == mode


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_new_files_have_the_mode_of_new_files(tmp_path, mask):
    before = os.umask(mask)
    try:
        write(tmp_path / "out.json")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "out.json") == 0o666 & ~mask


def test_drafts_of_killed_runs_are_swept(tmp_path):
    old, young = (tmp_path / f".skae-{letter * 32}.tmp" for letter in "ab")
    others = [tmp_path / name for name in (".skae-notes.tmp", f"skae-{'a' * 32}.tmp", "x.tmp")]
    link, folder = (tmp_path / f".skae-{letter * 32}.tmp" for letter in "cd")
    for path in (old, young, *others):
        path.touch()
    link.symlink_to(others[0])
    folder.mkdir()
    hours_ago = time.time() - 2 * 3600
    for path in (old, *others, folder):
        os.utime(path, (hours_ago, hours_ago))
    os.utime(link, (hours_ago, hours_ago), follow_symlinks=False)
    write(tmp_path / "out.json")
    left = {young, *others, link, folder, tmp_path / "out.json"}
    assert set(tmp_path.iterdir()) == left


def test_directory_that_is_gone(tmp_path):
    with pytest.raises(CommandError, match="is gone; choose another directory"):
        write(tmp_path / "gone" / "out.json")


def test_full_disk(tmp_path):
    def fail(file):
        file.write(b"part")
        raise OSError(28, "No space left on device")

    with pytest.raises(CommandError, match=r"can't be written \(No space left on device\); make"):
        write_atomically(tmp_path / "out.json", fail)
    assert list(tmp_path.iterdir()) == []


# What is refused before the work ------------------------------------------------------


@pytest.fixture
def place(table, monkeypatch):
    """A directory with a table, a chart, and other names of both; the current one."""
    place = table.parent
    (place / "chart.svg").touch()
    (place / "folder").mkdir()
    (place / "page.html").hardlink_to(place / "chart.svg")
    (place / "page.svg").hardlink_to(place / "chart.svg")
    (place / "link.json").symlink_to("chart.svg")
    (place / "hard.json").hardlink_to(place / "chart.svg")
    (place / "table.json").hardlink_to(table)
    monkeypatch.chdir(place)
    return place


@pytest.mark.parametrize(
    "json",
    ["chart.svg", "folder/../chart.svg", "link.json", "hard.json", "CHART.SVG", "absolute"],
)
def test_one_file_for_both_outputs(refuse, place, json):
    json = Path.cwd() / "chart.svg" if json == "absolute" else json
    line = refuse("flower.csv", "--json", json, "--plot", "chart.svg")
    assert f"--json {json} and --plot chart.svg are the same file; choose another" in line


def test_new_file_for_both_outputs(refuse, place):
    line = refuse("flower.csv", "--json", "New.svg", "--plot", "folder/../new.svg")
    assert "are the same file" in line


@pytest.mark.parametrize(("option", "other"), [("--json", "--report"), ("--report", "--plot")])
def test_one_file_for_the_page_and_another(refuse, place, option, other):
    line = refuse("flower.csv", option, _NAMES[option], other, _NAMES[other])
    assert "are the same file" in line
    assert option in line
    assert other in line


# What each option takes that is the same file.
_NAMES = {"--json": "chart.svg", "--report": "page.html", "--plot": "page.svg"}


def test_other_name_of_the_table(refuse, place):
    assert "would overwrite the table" in refuse("flower.csv", "--json", "table.json")


@pytest.mark.parametrize("option", ["--json", "--report"])
def test_tables_are_not_overwritten(refuse, place, option):
    (place / "other.csv").write_text("a,b\n1,2\n")
    (place / "link.html").symlink_to("other.csv")
    line = refuse("flower.csv", "--against", "other.csv", option, "link.html")
    assert f"{option} link.html would overwrite the table; choose another file" in line


def test_write_protected_file(refuse, place, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "chart.svg")  # not for root
    line = refuse("flower.csv", "--plot", "chart.svg")
    assert "--plot chart.svg is write-protected; choose a file that you may write to" in line


def test_links_in_a_circle(refuse, place):
    (place / "a.json").symlink_to("b.json")
    (place / "b.json").symlink_to("a.json")
    assert "a.json" in refuse("flower.csv", "--json", "a.json")

"""Files are the old or the new one, with the mode that they had."""

import os
import stat

import pytest

from skae._training.files import replace_file


def replace(path, write=lambda file: file.write(b"new")):
    replace_file(path, path.with_name("draft"), write)


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o751])
def test_the_mode_is_kept(tmp_path, mode):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(mode)
    replace(path)
    assert path.read_bytes() == b"new"
    assert mode_of(path) == mode
    assert list(tmp_path.iterdir()) == [path]


def test_a_draft_is_no_more_open_than_the_file(tmp_path):
    path, seen = tmp_path / "file", []
    path.touch(mode=0o600)
    replace(path, lambda file: seen.append(mode_of(tmp_path / "draft")))
    assert seen == [0o600]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_new_file_has_the_mode_of_new_files(tmp_path, mask):
    before = os.umask(mask)
    try:
        replace(tmp_path / "file")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "file") == 0o666 & ~mask


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["write", "fsync", "replace"])
def test_a_file_that_can_not_be_written_is_as_it_was(tmp_path, monkeypatch, where, error):
    def fail(*args):
        raise error("not now")

    path = tmp_path / "file"
    path.write_text("old")
    if where != "write":
        monkeypatch.setattr(os, where, fail)
    with pytest.raises(error, match="not now"):
        replace(path, fail if where == "write" else lambda file: file.write(b"new"))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]

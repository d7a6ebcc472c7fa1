"""The present step on a terminal."""

import io
import sys

from skae._command.steps import clear_step, show_parts, show_step


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self):
        return True


def make_terminal(monkeypatch):
    """Return a terminal of 20 columns; in the test, as pytest replaces streams after fixtures."""
    found = Terminal()
    monkeypatch.setattr(sys, "stderr", found)
    monkeypatch.setenv("COLUMNS", "20")
    return found


def test_steps_replace_each_other(monkeypatch):
    terminal = make_terminal(monkeypatch)
    show_step("reading a very long table")
    show_step("done")
    clear_step()
    lines = ["reading a very long", f"{'done':<19}", " " * 19]
    assert [line for line in terminal.getvalue().split("\r") if line] == lines


def test_parts_are_counted(monkeypatch):
    terminal = make_terminal(monkeypatch)
    assert list(show_parts("fit", "ab", 2)) == ["a", "b"]
    shown = [line.strip() for line in terminal.getvalue().split("\r") if line]
    assert shown == ["fit, part 1 of 2", "fit, part 2 of 2"]


def test_nothing_is_shown_elsewhere(capsys, monkeypatch):
    show_step("reading")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys, "stderr", None)
    show_step("reading")
    assert list(show_parts("fit", "ab", 2)) == ["a", "b"]

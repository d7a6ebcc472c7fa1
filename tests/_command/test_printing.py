"""What reaches the terminal."""

import numpy as np
import pandas as pd
import pytest

from skae._command.printing import list_names, make_printable, quote, shorten

from .tables import make_flower

HOSTILE = "\x1b[31mred\x07\u202ea\u2028\udcff\x9b"


@pytest.mark.parametrize("function", [make_printable, quote, shorten])
def test_control_characters_are_escaped(function):
    text = function(HOSTILE)
    assert text.isprintable()
    assert "\\x1b[31mred\\x07\\u202ea\\u2028\\udcff\\x9b" in text


def test_letters_of_any_language_are_kept():
    assert make_printable("Größe 大きさ µ €") == "Größe 大きさ µ €"


@pytest.mark.parametrize("length", [499, 500, 501, 10_000])
@pytest.mark.parametrize("letter", ["x", "\x00"])
def test_lines_are_cut_in_their_middle(length, letter):
    text = make_printable(f"start{letter * (length - 8)}end")
    assert len(text) <= 500
    assert text.startswith("start")
    assert text.endswith("end")
    assert ("…" in text) == (len(letter.encode("unicode_escape")) * (length - 8) + 8 > 500)


def test_long_names_are_cut():
    assert quote("x" * 60) == f"'{'x' * 60}'"
    assert quote("x" * 61) == f"'{'x' * 59}…'"
    assert list_names(["a"] * 9) == ", ".join(["'a'"] * 8) + " and 1 more"


@pytest.mark.parametrize("is_refused", [False, True])
def test_hostile_names_and_cells(run, tmp_path, is_refused):
    X, side = make_flower()
    names = [HOSTILE[:-2], "b" * 5000, "c\nd", "$x", "_e"]
    frame = (
        pd.DataFrame(X, columns=names)
        .astype(str)
        .assign(**{f"\x1bt{n}": HOSTILE[:-2] for n in range(9)})
    )
    frame.iloc[3, 1] = "\x1b]0;owned\x07" + "y" * 5000
    frame.iloc[4, 2] = "\x9b"
    frame["\x1bside"] = np.where(side == "left", "\x1b[2J", "\u202eright")
    path = tmp_path / "\x1b[31mt\u202e.csv"
    frame.to_csv(path, index=False)
    options = ["--target", "no" * 900 if is_refused else "\x1bside", "--components", "2"]
    status, out, errors = run(path, *options)
    assert status == (2 if is_refused else 0)
    for line in (out + errors).split("\n"):
        assert line.isprintable()
        assert len(line) <= 500

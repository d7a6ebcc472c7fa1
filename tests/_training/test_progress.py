"""What a fit shows: plain lines, or a bar in a terminal or a notebook."""

import re
import sys
import types

import pytest

from skae import AutoencoderTransformer


def fit(X, **parameters):
    defaults = {"hidden_layer_sizes": (8,), "max_epochs": 4, "random_state": 0}
    return AutoencoderTransformer(2, **{**defaults, **parameters}).fit(X)


def shown_epochs(text):
    return [int(number) for number in re.findall(r"^training: epoch (\d+)/", text, re.M)]


def test_verbose_prints_plain_lines_without_a_terminal(curve, capsys):
    fit(curve, verbose=1)
    shown = capsys.readouterr()
    *lines, kept = shown.out.splitlines()
    assert len(lines) == 4
    assert kept.startswith("kept the initialization: training did not leave it in 4 epochs")
    pattern = r"training: epoch \d/4, train_loss [\d.e-]+, valid_loss [\d.e-]+, (\d+\.\d) s"
    times = [float(re.fullmatch(pattern, line)[1]) for line in lines]
    assert max(times) < 60
    assert not shown.err


@pytest.mark.parametrize(
    ("n_epochs", "expected"),
    [(3, [1, 2, 3]), (20, list(range(2, 21, 2))), (25, [*range(2, 25, 2), 25])],
)
def test_some_ten_lines_and_the_last_epoch(curve, capsys, n_epochs, expected):
    fit(curve[:100], verbose=1, max_epochs=n_epochs, early_stopping=False)
    assert shown_epochs(capsys.readouterr().out) == expected


@pytest.mark.parametrize("place", ["terminal", "notebook"])
def test_verbose_draws_a_bar_in_a_terminal_and_in_a_notebook(curve, capsys, monkeypatch, place):
    if place == "terminal":
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    else:
        monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    fit(curve, verbose=1)
    shown = capsys.readouterr()
    assert not shown.out
    assert "training: 100%" in shown.err
    assert "4/4" in shown.err
    assert "valid_loss" in shown.err
    *_, kept, end = shown.err.split("\n")  # the bar is closed
    assert kept.startswith("kept the initialization: ")
    assert not end


@pytest.mark.parametrize("n_rows", [100, 600])
def test_the_last_line_says_which_epoch_is_kept(curve, capsys, n_rows):
    ours = fit(curve[:n_rows], verbose=1, init="random", lr=0.05)
    *_, kept = capsys.readouterr().out.splitlines()
    assert kept.startswith(f"kept epoch {ours.n_iter_} of 4: it gains {ours.gain_:.3g} over ")


def test_too_few_rows_to_select_an_epoch_are_named(curve, capsys):
    fit(curve[:9], verbose=1)
    line = "kept the initialization: fewer than 10 rows can't select an epoch\n"
    assert capsys.readouterr().out == line


def test_silent_by_default(curve, capsys):
    fit(curve)
    assert capsys.readouterr() == ("", "")

"""What the command prints, records and draws."""

import io
import json
import os
import re
import sys
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.mathtext import MathTextParser
from sklearn.model_selection import train_test_split

import skae
from skae._command.main import main

from .tables import make_flower

FIGURES = {
    "explained_variance",
    "log_likelihood",
    "kmeans_agreement",
    "neighbour_accuracy",
    "fit_seconds",
    "n_epochs",
}


# Plain text ---------------------------------------------------------------------------


def test_report(report, large_table):
    lines = report(large_table, "--target", "side", "--components", 2, 3, 64).splitlines()
    assert lines[0] == "large.csv: 77 rows x 6 columns, target 'side' of 2 classes"
    assert lines[1] == "57 rows to train on, 20 held out for the figures below"
    assert lines[2].startswith(f"seed 0, skae {skae.__version__}, torch ")
    assert "components left out (at most 5 with 6 columns and 57 rows to train on): 64" in lines
    (first,) = (n for n, line in enumerate(lines) if line.startswith("Use "))
    kinds, heading, *rows, blank = lines[first - 7 : first]
    assert lines[first - 8] == ""
    assert kinds.split() == ["explained", "log-likelihood,", "k-means", "5-neighbour", "fit,"]
    headings = "components model variance nats a row agreement accuracy seconds"
    assert " ".join(heading.split()) == headings
    starts = [["2", "PCA"], ["autoencoder"], ["3", "PCA"], ["autoencoder"]]
    assert [row.split()[:-5] for row in rows] == starts
    assert len({len(line) for line in (kinds, heading, *rows)}) == 1  # aligned right
    assert heading.index("model") == rows[0].index("PCA") == rows[1].index("autoencoder")
    assert blank == ""
    assert lines[first].startswith("Use the autoencoder with 2 components")
    assert lines[first + 1].startswith("On the 20 rows held out of training, PCA with 2 components")


def test_printed_figures_are_the_recorded_ones(report, large_table, tmp_path):
    path = tmp_path / "out.json"
    out = report(large_table, "--target", "side", "--components", 2, "--json", path)
    (found,) = json.loads(path.read_text())["results"]
    lines = [line.split() for line in out.splitlines()]
    for name in ("PCA", "autoencoder"):
        (line,) = (line for line in lines if line[-6:-5] == [name])
        figures = found[name]
        assert line[-5:] == [
            f"{figures['explained_variance']:.3f}",
            "-" if name == "PCA" else f"{figures['log_likelihood']:.2f}",
            f"{figures['kmeans_agreement']:.3f}",
            f"{figures['neighbour_accuracy']:.3f}",
            f"{figures['fit_seconds']:.3f}",
        ]


def test_scores_without_a_target_have_no_column(report, table):
    out = report(table, "--components", 2)
    assert "components model variance nats a row seconds" in " ".join(out.split())


def test_letters_that_the_terminal_lacks(tmp_path, monkeypatch):
    X, _ = make_flower()
    frame = pd.DataFrame(X).assign(Größe="groß")
    frame.to_csv(tmp_path / "t.csv", index=False)
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    assert main([str(tmp_path / "t.csv"), "--components", "2"]) == 0
    out.flush()
    assert rb"'Gr\xf6\xdfe'" in out.buffer.getvalue()


# JSON ---------------------------------------------------------------------------------


def test_record(record, large_table):
    found = record(large_table, "--target", "side", "--components", 64, 2, 2, "--rows", 60)
    assert found["table"] == {
        "name": "large.csv",
        "rows": 60,
        "columns": ["a", "b", "c", "d", "e", "sunny"],
        "kinds": {**dict.fromkeys("abcde", "numbers"), "sunny": "booleans"},
        "missing_cells": found["table"]["missing_cells"],
        "columns_left_out": {"empty": "empty"},
        "rows_left_out": 0,
        "train_rows": 45,
        "test_rows": 15,
        "target": "side",
        "classes": 2,
    }
    assert 0 < found["table"]["missing_cells"] <= 3
    assert found["arguments"]["components"] == [2, 64]
    assert found["arguments"]["table"] == str(large_table)
    assert found["arguments"]["rows"] == 60
    assert found["seed"] == 0
    assert set(found["versions"]) == {"skae", "torch", "scikit-learn", "numpy", "python"}
    assert found["versions"]["skae"] == skae.__version__
    assert any("components left out" in note for note in found["notes"])
    assert [result["n_components"] for result in found["results"]] == [2]
    assert set(found["results"][0]["PCA"]) == set(found["results"][0]["autoencoder"]) == FIGURES
    assert found["verdict"]["n_components"] == 2
    assert found["verdict"]["unexplained_ratio"] == found["results"][0]["unexplained_ratio"]


# Charts -------------------------------------------------------------------------------


def texts_of(svg):
    """Return the texts that an SVG file draws; matplotlib writes each as a comment."""
    return [text.strip() for text in re.findall(r"<!--(.*?)-->", svg.read_text())]


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".PDF", b"%PDF")]
)
def test_plot(report, table, tmp_path, suffix, start):
    path = tmp_path / f"plot{suffix}"
    report(table, "--target", "e", "--components", 3, "--plot", path)
    content = path.read_bytes()
    assert content.startswith(start)
    assert len(content) > 5000
    assert sorted(tmp_path.iterdir()) == [table, path]


def test_plot_shows_what_was_compared(report, table, tmp_path):
    path = tmp_path / "plot.svg"
    report(table, "--target", "side", "--components", 3, 4, "--seed", 3, "--plot", path)
    texts = texts_of(path)
    assert "flower.csv: 3 rows held out of 12" in texts
    for title in ("Explained variance", "PCA, 2 components", "Autoencoder, 2 components"):
        assert title in texts
    assert texts[:3] == ["3", "4", "components"]  # the ticks are what was compared
    assert texts.count("PCA") == texts.count("Autoencoder") == 1  # the legend of the lines
    assert {"side", "left", "right"} <= set(texts)


def heights_of(svg, colour):
    """Return the heights of the points of a line of two points, from the top."""
    line = rf'<path d="M \S+ (\S+)\s+L \S+ (\S+)\s+"[^>]*fill: none; [^>]*stroke: {colour}'
    (heights,) = re.findall(line, svg.read_text())
    return np.array(heights, dtype=float)


def test_plot_shows_each_model(record, tmp_path):
    np.save(tmp_path / "t.npy", make_flower(200)[0])
    path = tmp_path / "plot.svg"
    found = record(tmp_path / "t.npy", "--components", 1, 2, "--plot", path)["results"]
    pca, autoencoder = (
        [pair[name]["explained_variance"] for pair in found] for name in ("PCA", "autoencoder")
    )
    pca_heights, heights = heights_of(path, "#0072b2"), heights_of(path, "#d55e00")
    scale = (pca[1] - pca[0]) / (pca_heights[1] - pca_heights[0])
    np.testing.assert_allclose(pca[0] + scale * (heights - pca_heights[0]), autoencoder, atol=1e-3)


def test_plot_shows_the_held_out_rows(report, tmp_path):
    train, _ = train_test_split(np.arange(12), test_size=0.25, random_state=0)
    y = np.where(np.isin(np.arange(12), train), "known", "new")
    np.savez(tmp_path / "t.npz", X=make_flower()[0], y=y)
    report(tmp_path / "t.npz", "--components", 2, "--plot", tmp_path / "plot.svg")
    texts = texts_of(tmp_path / "plot.svg")
    assert "new" in texts
    assert "known" not in texts


def test_plot_without_a_target(report, tmp_path):
    np.save(tmp_path / "t.npy", make_flower()[0])
    report(tmp_path / "t.npy", "--components", 2, "--plot", tmp_path / "plot.svg")
    texts = texts_of(tmp_path / "plot.svg")
    assert "Autoencoder, 2 components" in texts
    assert "label" not in texts


def test_map_of_two_components_is_not_in_the_results(results, table, tmp_path):
    plotted = results(table, "--components", 3, "--plot", tmp_path / "plot.png")
    assert plotted == results(table, "--components", 3)


def test_plot_of_two_columns(report, tmp_path):
    np.save(tmp_path / "t.npy", make_flower()[0][:, :2])
    report(tmp_path / "t.npy", "--components", 1, "--plot", tmp_path / "plot.svg")
    assert "PCA, 2 components" in texts_of(tmp_path / "plot.svg")


def test_names_are_text_in_charts(report, tmp_path, monkeypatch):
    monkeypatch.setattr(MathTextParser, "parse", pytest.fail)
    X, _ = make_flower(40)
    labels = np.array(["$x^2$", "_left", "a\x1b\x00$", "$"] * 10, dtype=object)
    frame = pd.DataFrame(X, columns=list("abcde")).assign(**{"$y_1$ \x1b": labels})
    frame.to_parquet(tmp_path / "t$_a$.parquet")
    options = ["--target", "$y_1$ \x1b", "--components", 2, "--plot", tmp_path / "plot.svg"]
    report(tmp_path / "t$_a$.parquet", *options)
    texts = texts_of(tmp_path / "plot.svg")
    assert "t$_a$.parquet: 10 rows held out of 40" in texts
    assert {"$y_1$ \\x1b", "$x^2$", "_left", "a\\x1b\\x00$", "$"} <= set(texts)
    ElementTree.parse(tmp_path / "plot.svg")


def test_letters_that_the_font_lacks(report, tmp_path):
    X, side = make_flower()
    frame = pd.DataFrame(X).assign(**{"大きさ": np.where(side == "left", "左", "右")})
    frame.to_csv(tmp_path / "表.csv", index=False)
    options = ["--target", "大きさ", "--components", 2, "--plot", tmp_path / "plot.png"]
    report(tmp_path / "表.csv", *options)  # matplotlib would warn


# Files --------------------------------------------------------------------------------


def test_failure_to_write_leaves_the_old_file(run, table, tmp_path, monkeypatch):
    def fail(self, target):
        raise OSError(28, "No space left on device")

    path = tmp_path / "out.json"
    path.write_text("old")
    monkeypatch.setattr(os, "replace", fail)
    status, out, errors = run(table, "--components", 2, "--json", path)
    assert status == 2
    assert f"{path} can't be written (No space left on device); make room" in errors
    assert "with 2 components" in out
    assert path.read_text() == "old"
    assert sorted(tmp_path.iterdir()) == [table, path]


def test_link_to_a_file_stays_one(report, table, tmp_path):
    (tmp_path / "real.json").write_text("old")
    link = tmp_path / "link.json"
    link.symlink_to("real.json")
    report(table, "--components", 2, "--json", link)
    assert link.is_symlink()
    assert "verdict" in json.loads((tmp_path / "real.json").read_text())

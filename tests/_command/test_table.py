"""The columns, rows and target that the command selects."""

import numpy as np
import pandas as pd
import pytest

from .tables import make_flower


def test_columns_that_are_not_numbers_are_named(report, table):
    lines = report(table, "--components", 2).splitlines()
    assert "flower.csv: 12 rows x 6 columns" in lines
    assert "columns left out (not numbers): 'side'" in lines
    assert "columns left out (empty): 'empty'" in lines
    assert "rows left out (a missing or infinite value): 3" in lines


def test_many_names_are_cut(report, tmp_path):
    X, _ = make_flower()
    frame = pd.DataFrame(X).join(pd.DataFrame({f"t{n}": ["word"] * len(X) for n in range(11)}))
    frame.to_csv(tmp_path / "wide.csv", index=False)
    assert "'t6', 't7' and 3 more\n" in report(tmp_path / "wide.csv", "--components", 2)
    frame.iloc[:, :-3].to_csv(tmp_path / "wide.csv", index=False)
    assert "'t6', 't7'\n" in report(tmp_path / "wide.csv", "--components", 2)


def test_what_is_left_out_changes_nothing_else(results, tmp_path):
    X, side = make_flower(40)
    frame = pd.DataFrame(X, columns=list("abcde")).assign(side=side)
    frame.to_csv(tmp_path / "clean.csv", index=False)
    gaps = pd.DataFrame({"a": [None, np.inf, 1.0], "b": [1.0, 2.0, None], "side": ["left"] * 3})
    dirty = pd.concat([gaps, frame], ignore_index=True).assign(empty=None, note="text")
    dirty.to_csv(tmp_path / "dirty.csv", index=False)
    options = ["--components", 2, "--target", "side"]
    assert results(tmp_path / "dirty.csv", *options) == results(tmp_path / "clean.csv", *options)


def test_target_is_no_column_and_changes_nothing_else(record, tmp_path):
    X, side = make_flower(40)
    frame = pd.DataFrame(X, columns=list("abcde"))
    frame.to_csv(tmp_path / "plain.csv", index=False)
    frame.assign(side=(side == "left") * 1).to_csv(tmp_path / "labelled.csv", index=False)
    plain = record(tmp_path / "plain.csv", "--components", 2)
    labelled = record(tmp_path / "labelled.csv", "--components", 2, "--target", "side")
    assert labelled["table"]["columns"] == plain["table"]["columns"]
    for name in ("PCA", "autoencoder"):
        for figure in ("explained_variance", "log_likelihood"):
            assert labelled["results"][0][name][figure] == plain["results"][0][name][figure]


def test_infinite_targets_are_missing(report, tmp_path):
    X, side = make_flower(40)
    y = np.where(side == "left", 1.0, 0.0)
    y[:10] = [np.inf, np.nan] * 5
    np.savez(tmp_path / "t.npz", X=X, y=y)
    out = report(tmp_path / "t.npz", "--components", 2)
    assert "40 rows x 5 columns, target 'y' of 2 classes" in out
    assert "rows without a value of target 'y', left out of its scores: 10" in out


@pytest.mark.parametrize(
    ("n_rows", "n_selected", "note"),
    [
        (11, 11, "rows sampled: 11 of 12"),
        (12, 12, None),
        (13, 12, "rows sampled: none, for --rows 13 is more than there are"),
    ],
)
def test_sampled_rows(report, table, n_rows, n_selected, note):
    lines = report(table, "--components", 2, "--rows", n_rows).splitlines()
    assert f"flower.csv: {n_selected} rows x 6 columns" in lines
    assert [line for line in lines if line.startswith("rows sampled")] == [note] * bool(note)


def test_seed_chooses_the_sample(record, tmp_path):
    X, side = make_flower(200)
    frame = pd.DataFrame(X).assign(side=np.where(np.arange(200) % 2, side, None))
    frame.to_csv(tmp_path / "t.csv", index=False)
    counts = set()
    for seed in range(4):
        options = ["--rows", 20, "--seed", seed, "--components", 1, "--target", "side"]
        (note,) = (n for n in record(tmp_path / "t.csv", *options)["notes"] if "'side'" in n)
        counts.add(note)  # how many of the sampled rows have no target
    assert len(counts) > 1


def test_sampled_rows_keep_their_target(results, tmp_path):
    # Two far clusters: each row's neighbours have its class, unless targets are mixed up.
    y = np.random.default_rng(0).integers(0, 2, 400)
    X = np.random.default_rng(1).normal(size=(400, 3)) + 50 * y[:, np.newaxis]
    np.savez(tmp_path / "t.npz", X=X, y=y)
    (found,) = results(tmp_path / "t.npz", "--components", 1, "--rows", 60)
    assert found["PCA"]["neighbour_accuracy"] == 1
    assert found["PCA"]["kmeans_agreement"] == pytest.approx(1)


def test_smallest_table(report, tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,9\n5,6\n7,8\n")
    out = report(tmp_path / "t.csv", "--components", 1)
    assert "t.csv: 4 rows x 2 columns" in out
    assert "3 rows to train on, 1 held out" in out


BAD_TABLES = {
    "text.csv": (
        "a,b\nx,y\nz,w\n",
        "at least 2 numeric columns, got 0 (left out: 'a', 'b')",
        "write categories as numbers",
    ),
    "single.csv": ("a\n1\n2\n3\n4\n5\n", "at least 2 numeric columns, got 1;", "another table"),
    "row.csv": (
        "a,b\n1,2\n1,2\n1,2\n",
        "at least 4 rows without missing or infinite values, got 3 of 3",
        "fill the gaps or drop columns",
    ),
    "gaps.csv": ("a,b\n" + "1,\n,2\n" * 9, "got 0 of 18", "fill the gaps or drop columns"),
    "huge.csv": ("a,b\n1,2\n3,-1e200\n5,6\n7,8\n", "at most 1e+150 in size, got 1e+200", "rescale"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_bad_tables(refuse, tmp_path, name):
    content, wrong, remedy = BAD_TABLES[name]
    (tmp_path / name).write_text(content)
    line = refuse(tmp_path / name, "--components", 1)
    assert name in line
    assert wrong in line
    assert remedy in line


def test_unknown_target(refuse, table, tmp_path):
    line = refuse(table, "--target", "height")
    names = "'a', 'b', 'c', 'd', 'e', 'side', 'sunny', 'empty'"
    assert f"--target must be one of {names} in flower.csv, got 'height'" in line
    X, side = make_flower()
    np.savez(tmp_path / "t.npz", X=X, side=side)
    line = refuse(tmp_path / "t.npz", "--target", "height")
    assert "must be one of 'side', '0', '1', '2', '3', '4' in t.npz" in line

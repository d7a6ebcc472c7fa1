"""The columns, rows and target that the command selects."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from skae._command.arguments import CommandError
from skae._command.source import Source
from skae._command.table import select_table

from .tables import make_flower

# Numbers of customers.
NUMBERS = np.random.default_rng(0).permutation(1000)[:20].astype(float)


def test_what_columns_were_taken_for(report, table):
    lines = report(table, "--components", 2).splitlines()
    assert "flower.csv: 12 rows x 7 columns" in lines
    assert "columns of numbers: 'a', 'b', 'c', 'd', 'e'" in lines
    assert "columns of booleans: 'sunny'" in lines
    assert "columns of categories: 'side' (2 levels)" in lines
    assert "columns left out (empty): 'empty'" in lines
    assert "missing cells: 3 of 84, in 3 rows" in lines
    assert "infinite values that count as missing cells: 1" in lines


def test_many_names_are_cut(report, tmp_path):
    X, _ = make_flower()
    frame = pd.DataFrame(X).join(pd.DataFrame({f"t{n}": ["word"] * len(X) for n in range(11)}))
    frame.to_csv(tmp_path / "wide.csv", index=False)
    out = report(tmp_path / "wide.csv", "--components", 2)
    assert "'t6' (1 level), 't7' (1 level) and 3 more\n" in out
    frame.iloc[:, :-3].to_csv(tmp_path / "wide.csv", index=False)
    assert "'t7' (1 level)\n" in report(tmp_path / "wide.csv", "--components", 2)


def test_what_is_left_out_changes_nothing_else(results, tmp_path):
    X, side = make_flower(40)
    frame = pd.DataFrame(X, columns=list("abcde")).assign(side=side)
    frame.to_csv(tmp_path / "clean.csv", index=False)
    gaps = pd.DataFrame({"a": [None, np.inf], "b": [-np.inf, None], "side": ["left"] * 2})
    dirty = pd.concat([gaps, frame], ignore_index=True).assign(empty=None)
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
    assert f"flower.csv: {n_selected} rows x 7 columns" in lines
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
    "nothing.csv": (
        "a,b\n" + ",inf\n" * 5,
        "must have columns of numbers, labels or dates, got none; columns left out",
        "another table",
    ),
    "empty.csv": (
        "a,b,c\n" + "1,inf,\n" * 5,
        "columns of numbers, labels or dates, got 1; columns left out (empty): 'b', 'c';",
        "another table",
    ),
    "single.csv": ("a\n1\n2\n3\n4\n5\n", "labels or dates, got 1;", "another table"),
    "row.csv": ("a,b\n1,2\n1,2\n,\n1,2\n", "at least 4 rows with a value, got 3 of 4", "add rows"),
    "gaps.csv": ("a,b\n" + "1,\n,2\n" * 9, "must have a column that varies", "another table"),
    "names.csv": (
        "a,b\n" + "".join(f"x{n},y{n}\n" for n in range(60)),
        "2 columns of a single value, or of identifiers, in all 45 training rows",
        "another table",
    ),
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


# Columns that are not numbers ---------------------------------------------------------


def make_mixed(n_rows, seed=0):
    """Return a frame with a column of each kind, and gaps."""
    rng = np.random.default_rng(seed)
    X, side = make_flower(n_rows)
    frame = pd.DataFrame({"a": X[:, 0], "count": rng.integers(0, 9, n_rows), "side": side})
    frame["town"] = [f"t{n}" for n in rng.integers(0, 100, n_rows)]
    frame["name"] = [f"person {n}" for n in range(n_rows)]
    frame["flag"] = pd.array(rng.uniform(size=n_rows) > 0.5, dtype="boolean")
    frame["day"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 99, n_rows), "D")
    frame["wait"] = pd.to_timedelta(rng.integers(0, 99, n_rows), "s")
    frame.loc[:3, "flag"] = None
    frame.loc[2:6, "side"] = None
    return frame


def test_each_kind_is_named(record, tmp_path):
    frame = make_mixed(120)
    frame["late"] = None
    frame["late"] = frame["late"].astype("Float64")
    _, test = train_test_split(np.arange(120), test_size=0.25, random_state=0)
    frame.loc[test[0], "late"] = 1.0
    frame.to_parquet(tmp_path / "t.parquet")
    found = record(tmp_path / "t.parquet", "--components", 1)
    assert found["table"]["kinds"] == {
        "a": "numbers",
        "count": "numbers",
        "side": "categories",
        "town": "categories",
        "name": "identifiers",
        "flag": "booleans",
        "day": "dates",
        "wait": "durations",
        "late": "empty",
    }
    assert found["table"]["columns"] == list(frame)
    assert found["table"]["missing_cells"] == 4 + 5 + 119
    (towns,) = (note for note in found["notes"] if "'town'" in note)
    n_towns = frame["town"].drop(test).nunique()
    pooled = f"'town' ({n_towns} levels, the {n_towns - 49} rarest pooled)"
    assert towns == f"columns of categories: 'side' (2 levels), {pooled}"
    assert "columns of identifiers, pooled: 'name' (90 levels)" in found["notes"]
    assert "columns without a value in the rows to train on: 'late'" in found["notes"]
    assert "PCA has no log-likelihood of booleans and categories" in found["notes"]


def test_columns_that_models_cannot_take(report, tmp_path):
    X, _ = make_flower()
    frame = pd.DataFrame(X, columns=list("abcde"))
    frame["parts"] = [[1, 2]] * 12
    frame.to_parquet(tmp_path / "t.parquet")
    out = report(tmp_path / "t.parquet", "--components", 2)
    assert "12 rows x 5 columns" in out
    assert "columns left out (neither numbers, labels nor dates): 'parts'\n" in out


def test_prose_is_left_out(tmp_path):
    words = [f"{n} " + "a long tale of a table " * 3 for n in range(1200)]
    frame = pd.DataFrame({"a": np.arange(1200), "b": np.arange(1200) % 7, "tale": words})
    table = select_table(Source("t", frame), None, None, 0)
    assert (table.columns, table.columns_left_out) == (["a", "b"], {"tale": "prose"})


def test_table_of_labels_alone(record, tmp_path):
    rng = np.random.default_rng(0)
    hidden = rng.integers(0, 3, 60)
    labels = {name: np.array(list("xyz"))[(hidden + shift) % 3] for shift, name in enumerate("ab")}
    pd.DataFrame(labels).to_csv(tmp_path / "t.csv", index=False)
    found = record(tmp_path / "t.csv", "--components", 2)
    # Six indicators of one hidden class: two dimensions hold them all.
    assert found["results"][0]["PCA"]["explained_variance"] == pytest.approx(1)
    assert found["results"][0]["PCA"]["log_likelihood"] is None


def test_blank_rows_are_counted(report, tmp_path):
    X, _ = make_flower()
    frame = pd.DataFrame(X, columns=list("abcde")).assign(f="x")
    frame.loc[[2, 5]] = None
    frame.to_csv(tmp_path / "t.csv", index=False)
    out = report(tmp_path / "t.csv", "--components", 2)
    assert "10 rows x 6 columns" in out
    assert "rows left out (no value in any column): 2\n" in out


@pytest.mark.parametrize(
    ("columns", "counters"),
    [
        ({"id": range(1, 21), "day": np.arange(20) + 0.5, "a": range(0, 40, 2)}, "'id', 'day'"),
        ({"back": range(20, 0, -1), "gap": [*range(19), 30], "none": [np.nan, *range(19)]}, None),
        ({"name": [f"{n}" for n in range(20)], "yes": [True] * 20, "a": [1, 2] * 10}, None),
        ({"a": range(9), "b": range(9)}, None),
        ({"ID": NUMBERS, "customerId": NUMBERS, "row_key": NUMBERS, "x": NUMBERS}, 3),
        ({"idx": NUMBERS, "User ID": NUMBERS, "UUID2": NUMBERS}, 3),
        ({"humid": NUMBERS, "paid": NUMBERS, "monkey": NUMBERS, "aid": NUMBERS}, None),
        ({"id": NUMBERS % 7, "key": NUMBERS + 0.5, "index": NUMBERS * np.nan, "a": 1.0}, None),
        ({"id": [*NUMBERS[:19], NUMBERS[0]]}, 1),
        ({"id": [np.nan, *NUMBERS[1:]]}, 1),
    ],
)
def test_columns_that_name_the_rows(columns, counters):
    notes = select_table(Source("t", pd.DataFrame(columns)), None, None, 0).notes
    found = [note for note in notes if note.startswith("numbers that may only name rows")]
    if isinstance(counters, int):
        counters = ", ".join(map(repr, [*columns][:counters]))
    assert [note.split("): ")[1] for note in found] == ([counters] if counters else [])


def test_columns_of_a_single_value_are_named(report, tmp_path):
    frame = pd.DataFrame({"a": NUMBERS, "b": NUMBERS % 3, "site": "x", "unit": 1.5, "gap": 2.0})
    frame.loc[3, "gap"] = None
    frame["void"] = None
    frame.to_csv(tmp_path / "t.csv", index=False)
    lines = report(tmp_path / "t.csv", "--components", 1).splitlines()
    heading = "columns of a single value, which tell nothing of the others"
    assert f"{heading}: 'site', 'unit', 'gap'" in lines
    assert "columns left out (empty): 'void'" in lines


def test_columns_without_a_value_in_a_sample_are_named():
    frame = pd.DataFrame({"a": NUMBERS, "b": [1.0, 2.0] + [None] * 18})
    notes = select_table(Source("t", frame), None, 5, 4).notes
    assert "columns without a value in the rows sampled: 'b'" in notes


def test_dropped_columns():
    frame = pd.DataFrame({"id": NUMBERS, "a": 1.0, "b": list("xy") * 10, "y": NUMBERS})
    source = Source("t", frame, left_out={"Unnamed: 0": "row numbers"})
    table = select_table(source, "y", None, 0, ("id", "b", "Unnamed: 0"))
    assert table.columns == ["a"]
    assert table.columns_left_out == dict.fromkeys(["id", "b", "Unnamed: 0"], "by --drop")
    assert table.notes == [
        "columns left out (by --drop): 'Unnamed: 0', 'id', 'b'",
        "columns of a single value, which tell nothing of the others: 'a'",
    ]
    for name in ("c", "y"):
        with pytest.raises(CommandError, match=f"and not its target, got '{name}'; there are 'id"):
            select_table(source, "y", None, 0, ("a", name))
    with pytest.raises(CommandError, match="must have columns of numbers, labels or dates, got no"):
        select_table(source, "y", None, 0, ("id", "a", "b"))

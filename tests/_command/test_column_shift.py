"""How single columns of two tables differ."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency, fisher_exact, ks_2samp, kstest

from skae._command.column_shift import compare_columns, correct_p_values, find_apart
from skae._command.encoding import Encoding

from .tables import make_people


def compare(before, after):
    found = compare_columns(before, after, Encoding.fit(before))
    return {column.name: column for column in found}


def test_every_kind_that_moved():
    before, after = make_people(150), make_people(150, seed=1)
    after["age"] += 20
    after["job"] = "student"
    after["works"] = ~after["works"] | (np.arange(150) < 90)
    after["born"] += pd.Timedelta(days=9_000)
    found = compare(before, after)
    assert {name for name, column in found.items() if column.p_value < 0.001} == {
        "age",
        "job",
        "works",
        "born",
    }
    assert found["noise"].p_value > 0.05
    assert [name for name, column in found.items() if not column.is_ordered] == ["job", "works"]
    age = found["age"]
    assert age.distance == pytest.approx(ks_2samp(before["age"], after["age"]).statistic)
    assert age.p_value == pytest.approx(ks_2samp(before["age"], after["age"]).pvalue)
    assert age.before.startswith("median ")
    assert found["born"].after.startswith("median 19")
    jobs = pd.crosstab(np.repeat([0, 1], 150), [*before["job"], *after["job"]])
    assert found["job"].p_value == pytest.approx(chi2_contingency(jobs).pvalue)
    assert found["job"].distance == pytest.approx((before["job"] != "student").mean())
    assert found["job"].after == "'student' 100%, 'worker' 0%, 'retired' 0%"


def test_times_of_day_and_durations():
    ticks = pd.Series(pd.date_range("2020-01-01", periods=100, freq="7min"))
    before = pd.DataFrame({"time": ticks.dt.time, "took": ticks - ticks[0], "x": 1.0})
    after = before.assign(took=before["took"] * 3)
    found = compare(before, after)
    assert found["time"].p_value == 1
    assert found["took"].p_value < 1e-6
    assert found["x"].p_value == 1


@pytest.mark.parametrize("name", ["age", "job", "works", "born"])
def test_missing_cells_are_a_change(name):
    before, after = make_people(150), make_people(150, seed=1)
    is_missing = np.random.default_rng(2).random(150) < 0.3
    after[name] = after[name].where(~is_missing, None)
    column = compare(before, after)[name]
    assert column.p_value < 1e-6
    assert column.distance > 0.25
    assert "missing 0%" in column.before
    assert f"missing {100 * is_missing.mean():.0f}%" in column.after


def test_numbers_and_their_missing_cells_are_two_tests():
    rng = np.random.default_rng(0)
    before = pd.DataFrame({"x": rng.normal(size=80), "y": 0.0})
    after = pd.DataFrame({"x": rng.normal(0.4, 1, size=80), "y": 0.0})
    before.loc[:9, "x"] = after.loc[:9, "x"] = np.nan
    test = ks_2samp(before["x"].dropna(), after["x"].dropna())
    column = compare(before, after)["x"]
    assert column.p_value == pytest.approx(2 * test.pvalue)
    assert column.distance == pytest.approx(test.statistic)


def test_columns_without_cells_in_one_table():
    before = make_people(50)
    column = compare(before, before.assign(age=np.nan))["age"]
    assert column.p_value < 1e-6
    assert column.distance == 1
    assert column.after == "no value, missing 100%"
    both = before.assign(age=np.nan, noise=0.0)
    found = compare_columns(both, both, Encoding.fit(before))
    assert [column.p_value for column in found if column.name == "age"] == [1.0]


@pytest.mark.filterwarnings("ignore:X has a label for nearly every row")
def test_identifiers_are_left_out():
    before = make_people(50).assign(name=[f"person {number}" for number in range(50)])
    assert "name" not in compare(before, before)


@pytest.mark.parametrize("cell", ["new", None])
def test_a_single_cell_is_no_change(cell):
    """In a small table one cell is a large share, of which a large one has nothing."""
    before = make_people(2000)
    after = make_people(12, seed=1)
    changed = [{"job": cell}, {"age": 1e9 if cell else None}, {"works": cell and True}]
    for change in changed:
        (name,) = change
        own = after.astype({name: object})
        own.loc[7, name] = change[name]
        assert compare(before, own)[name].p_value > 0.05 / 6
    one = compare(before, make_people(1).assign(age=1e9, noise=-1e9, job=cell))
    assert all(column.p_value > 0.05 for column in one.values())
    labels = pd.DataFrame({"l": ["a"] * 2000, "x": 0.0})
    for n_cells in (1, 2):
        own = pd.DataFrame({"l": ["a"] * (12 - n_cells) + [cell] * n_cells, "x": 0.0})
        p_value = compare(labels, own)["l"].p_value
        assert p_value == 1 if n_cells == 1 else p_value < 0.001


def test_rare_labels():
    before = pd.DataFrame({"l": ["a"] * 30 + ["b"] * 20, "x": 0.0})
    after = pd.DataFrame({"l": ["a"] * 8 + ["c"] * 3, "x": 0.0})
    # All are too rare but one: what is left is a table of two rows, of which Fisher's is exact.
    expected = fisher_exact([[30, 8], [20, 3]]).pvalue
    assert compare(before, after)["l"].p_value == pytest.approx(expected)
    assert compare(before, after)["l"].distance == pytest.approx(
        (0.4 + abs(0.6 - 8 / 11) + 3 / 11) / 2
    )


def test_many_rare_labels():
    rng = np.random.default_rng(0)
    shares = [np.full(60, 1 / 60), 1 / np.arange(1, 61) ** 1.5]
    rates = []
    for share in shares:
        p_values = []
        for _ in range(40):
            labels = rng.choice(60, 160, p=share / share.sum()).astype(str).astype(object)
            rows = pd.DataFrame({"l": labels, "x": 0.0})
            p_values.append(compare(rows[:80], rows[80:])["l"].p_value)
        rates.append(np.mean(np.array(p_values) <= 0.05))
    assert max(rates) < 0.3


def test_rare_labels_of_which_none_is_shared():
    labels = np.repeat([f"{number:02}" for number in range(40)], 4).astype(object)
    rows = pd.DataFrame({"l": labels, "x": 0.0})
    assert compare(rows[:80], rows[80:])["l"].p_value < 1e-6


def test_a_new_label_of_a_single_row():
    before = pd.DataFrame({"l": ["a"] * 20 + ["b"], "x": 0.0})
    # The most frequent label against the others.
    column = compare(before, pd.DataFrame({"l": ["c"], "x": 0.0}))["l"]
    assert column.p_value == pytest.approx(2 / 22)


@pytest.mark.parametrize("written", [int, float])
def test_booleans_as_numbers(written):
    before = make_people(80)
    before["works"] = before["works"].astype(object)
    before.loc[3, "works"] = None
    numbers = before["works"].map({True: written(1), False: written(0)})
    column = compare(before, before.assign(works=numbers))["works"]
    assert (column.p_value, column.distance) == (1, 0)
    assert column.before == column.after
    assert "True" in column.after


@pytest.mark.parametrize("n_rows", [10, 5_000])
def test_numbers_of_a_single_row(n_rows):
    """One value tells nothing of a distribution, however strange it is; two may."""
    rows = pd.DataFrame({"x": np.arange(float(n_rows)), "y": 0.0})
    column = compare(rows, rows[-1:] + 1)["x"]
    assert (column.p_value, column.distance) == (1.0, 1.0)
    # Two values beyond all others have one of two extreme pairs of ranks.
    column = compare(rows, pd.concat([rows[-1:] + 1] * 2))["x"]
    assert column.p_value == pytest.approx(4 / ((n_rows + 1) * (n_rows + 2)))


def test_p_values_of_tables_alike_are_uniform():
    rng = np.random.default_rng(0)
    found = {"label": [], "number": []}
    for _ in range(200):
        rows = pd.DataFrame(
            {"number": rng.normal(size=130), "label": rng.choice(list("abcdefgh"), 130)}
        )
        for name, column in compare(rows[:80], rows[80:]).items():
            found[name].append(column.p_value)
    for p_values in found.values():
        assert kstest(p_values, "uniform").pvalue > 0.01


def test_corrected_p_values():
    # Holm (1979), by hand.
    found = correct_p_values(np.array([0.01, 0.04, 0.03, 0.005]))
    np.testing.assert_allclose(found, [0.03, 0.06, 0.06, 0.02])
    assert correct_p_values(np.array([0.9, 0.8])).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("before", "after", "is_apart"),
    [
        (range(20), range(20, 40), True),
        (range(20, 40), range(20), True),
        (range(20), range(19, 39), False),
        (["x"] * 20, ["y"] * 20, True),
        (["x"] * 20, [*["y"] * 19, "x"], False),
        (range(20), [99], False),  # a strange row, and no other period
        (range(20), [np.nan] * 20, False),
        (np.ones(20), np.ones(20), False),
    ],
)
def test_columns_apart(before, after, is_apart):
    frames = [
        pd.DataFrame({"a": pd.Series(list(cells)), "b": np.arange(len(cells))})
        for cells in (before, after)
    ]
    found = find_apart(compare_columns(*frames, Encoding.fit(frames[0])))
    assert found == (("a",) if is_apart else ())

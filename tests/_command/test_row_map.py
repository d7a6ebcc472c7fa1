"""The map of the rows."""

import numpy as np
import pandas as pd
import pytest

from skae._command import row_map
from skae._command.encoding import Encoding
from skae._command.models import fit_autoencoder
from skae._command.row_map import draw_map
from skae._command.scored_rows import ScoredRows
from skae._command.table import Table, Target


def make_table(n_rows=60, target=None):
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(n_rows, 2))
    frame = pd.DataFrame(rng.normal(size=(n_rows, 6)), columns=[f"noise {n}" for n in range(6)])
    for n in range(6):
        frame[f"told {n}"] = codes @ rng.normal(size=2) + 0.1 * rng.normal(size=n_rows)
    frame["name"] = [f"<b>{number}</b>" for number in range(n_rows)]
    frame.loc[1, "told 1"] = np.nan
    return Table("t.csv", frame, target, {}, 0, [])


def draw(table, rows=None, strangest=(0,)):
    rows = np.arange(len(table.frame)) if rows is None else rows
    found = ScoredRows(np.linspace(0.01, 1, len(rows)), np.array(strangest), ())
    return draw_map(table, rows, found, Encoding.fit(table.frame), seed=0)


@pytest.mark.filterwarnings("ignore:X has a label for nearly every row")
def test_map():
    table = make_table(target=Target("y", np.array(["a", None, "<i>"] * 20, dtype=object)))
    found = draw(table)
    model = fit_autoencoder(table.frame, 2, 0)
    np.testing.assert_array_equal(np.transpose([found.x, found.y]), model.encode(table.frame))
    assert found.kind == ("autoencoder" if model.n_epochs else "PCA")
    assert found.rows == tuple(map(str, range(60)))
    assert found.classes[:3] == ("a", "", "<i>")
    assert found.n_rows == len(found.p_values) == 60
    # Those that two codes tell, in the table's order, one more, and what names the rows.
    name, *others = found.columns
    assert name == "name"
    assert len(others) == 7
    assert {f"told {n}" for n in range(6)} < set(others)
    assert others == [column for column in table.columns if column in others]
    cell = dict(zip(found.columns, found.cells[1], strict=True))
    assert cell["name"] == "<b>1</b>"
    assert cell["told 1"] == "missing"
    assert cell["told 0"] == f"{table.frame.loc[1, 'told 0']:.6g}"


@pytest.mark.filterwarnings("ignore:X has a label for nearly every row")
def test_rows_drawn_of_many(monkeypatch):
    monkeypatch.setattr(row_map, "_MOST_DRAWN", 12)
    monkeypatch.setattr(row_map, "fit_autoencoder", lambda frame, size, seed: _Model(len(frame)))
    table = make_table(target=Target("y", np.arange(60.0)))
    rows = np.arange(5, 55)
    found = draw(table, rows, strangest=(49, 3))
    drawn = [int(row) for row in found.rows]
    assert len(drawn) == len(set(drawn)) == len(found.x) == 12
    assert {54, 8} <= set(drawn) <= set(range(5, 55))
    assert drawn == sorted(drawn)
    assert found.n_rows == 60
    expected = np.linspace(0.01, 1, 50)[np.array(drawn) - 5]
    np.testing.assert_array_equal(found.p_values, expected)
    assert found.classes == found.rows


class _Model:
    n_epochs = 0

    def __init__(self, n_rows):
        assert n_rows == 60

    def encode(self, frame):
        return np.zeros((len(frame), 2))

    def measure_errors(self, frame):
        return np.ones(frame.shape)


def test_two_columns():
    frame = pd.DataFrame({"a": np.arange(9.0), "b": np.arange(9.0) ** 2})
    found = draw(Table("t.csv", frame, None, {}, 0, []))
    assert found.columns == ("a", "b")
    assert found.cells[3] == ("3", "9")
    assert found.classes is None
    assert np.isfinite([found.x, found.y]).all()

"""Tables that look like something else."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from skae import AutoencoderTransformer
from skae._data import tables, validation
from skae._data.cells import list_names
from skae.inspection.tables import read_frame

SMALL = {"hidden_layer_sizes": (), "max_epochs": 1, "early_stopping": False, "random_state": 0}
X = np.random.default_rng(0).normal(size=(30, 3))

# What the code looks for in tables that are no frames of pandas.
NAMES = ["collect", "column_names", "to_pandas", "get_columns", "toarray", "schema", "to_pylist"]


class Row:
    def __init__(self, cells):
        self.cells = cells

    def __array__(self, dtype=None, copy=None):
        return np.array(self.cells, dtype=dtype)


TABLES = {
    "columns named as methods": pd.DataFrame(X, columns=NAMES[:3]),
    "other columns named as methods": pd.DataFrame(X, columns=NAMES[3:6]),
    "rows that are arrays to NumPy alone": [Row(cells) for cells in X],
    "series of arrays of one width": pl.Series("a", X.tolist(), dtype=pl.Array(pl.Float64, 3)),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_tables_that_look_like_something_else(table):
    ours = AutoencoderTransformer(2, **SMALL).fit(table)
    expected = AutoencoderTransformer(2, **SMALL).fit(X)
    assert_array_equal(ours.transform(table), expected.transform(X))


@pytest.mark.parametrize("name", NAMES)
def test_columns_are_no_methods(name):
    frame = pd.DataFrame({name: [1.0, 2.0], "b": [3.0, 4.0]})
    assert list_names(frame) == [name, "b"]
    assert read_frame(frame) is frame


def test_labels_of_rows_are_no_methods():
    series = pd.Series([1.0, 2.0], index=["to_pylist", "b"])
    assert tables._list_column(series) == [1.0, 2.0]


def test_rows_of_a_list_are_looked_at_once(monkeypatch):
    checked = []
    for module in (tables, validation):
        monkeypatch.setattr(module, "check_has_columns", checked.append)
    ours = AutoencoderTransformer(2, **SMALL).fit(X.tolist())
    assert len(checked) == 1
    ours.transform(X.tolist())
    assert len(checked) == 2

"""Errors of all public methods: of kinds that users expect, and with what they need to know."""

import array as arrays
import inspect
import pickle
import re
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import dask
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from skae import (
    AEAnomalyDetector,
    AEImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae._data.sparse_rows import SparseRows

LINEAR = {"hidden_layer_sizes": (), "random_state": 0}
ESTIMATORS = [
    AutoencoderTransformer(2, **LINEAR),
    DenoisingAutoencoder(2, n_draws=2, **LINEAR),
    VAETransformer(2, n_draws=2, prior="mixture", max_epochs=1, early_stopping=False, **LINEAR),
    AEAnomalyDetector(VAETransformer(2, **LINEAR), random_state=0),
    AEImputer(random_state=0),
]
EXPECTED = (ValueError, TypeError, NotFittedError, OSError, MemoryError)
ROWS = np.random.default_rng(0).normal(size=(30, 3))
GAPS = np.where(np.arange(90).reshape(30, 3) % 7 == 0, np.nan, ROWS)


pytestmark = pytest.mark.usefixtures("short_attention")


def name_of(value):
    return value if isinstance(value, str) else type(value).__name__


def catch(function, *args):
    """Return the error that a call raises, which must be of the kinds that are expected."""
    try:
        function(*args)
    except EXPECTED as error:
        return error


def public_methods(estimator):
    return [
        name
        for name, value in inspect.getmembers(type(estimator), inspect.isfunction)
        if not name.startswith("_")
    ]


def show(fitted, X):
    """What a fitted estimator says of rows."""
    return fitted.score_samples(X) if hasattr(fitted, "score_samples") else fitted.transform(X)


def methods_of_tables(estimator):
    """All methods that take a table first."""
    return [
        name
        for name in public_methods(estimator)
        if [*inspect.signature(getattr(estimator, name)).parameters][:1] == ["X"]
    ]


def test_methods_of_tables_are_found():
    assert {"fit", "partial_fit", "inverse_transform"} <= set(methods_of_tables(ESTIMATORS[0]))
    assert {"fit_predict", "explain", "p_values"} <= set(methods_of_tables(ESTIMATORS[3]))


@pytest.fixture(scope="module")
def fitted():
    return {name_of(one): clone(one).fit(ROWS) for one in ESTIMATORS}


# Tables ------------------------------------------------------------------------------------


def frame(values):
    return pd.DataFrame({"a": ROWS[:, 0], "b": values, "c": ROWS[:, 2]})


def array(value):
    X = ROWS.astype(object)
    X[4, 1] = value
    return X


def date_of(zone):
    return datetime(2020, 1, 1, tzinfo=zone)


def column(value):
    """A column of numbers with one other cell."""
    values = ROWS[:, 1].astype(object)
    values[4] = value
    return frame(values)


NAMED = r"got {}( beside \S+)? in column '?{}'? and row {}: .*{}"
CELLS = {
    "text": (column("x"), NAMED.format("'x'", "b", 4, "into numbers, with pandas.to_numeric")),
    "text in an array": (array("x"), NAMED.format("'x'", 1, 4, "into numbers")),
    "bytes": (column(b"x"), NAMED.format("b'x'", "b", 4, "the column")),
    "infinity": (column(-np.inf).astype(float), NAMED.format("-inf", "b", 4, "such cells")),
    "infinity in an array": (array(np.inf).astype(float), NAMED.format("inf", 1, 4, "such cells")),
    "infinite object": (column(np.inf), NAMED.format("inf", "b", 4, "such cells")),
    "infinity beside NaN": (
        np.where(ROWS > 1, np.nan, array(np.inf).astype(float)),
        r"got (inf|nan) in column .* and row \d+: .*such cells",
    ),
    "list": (column([1, 2]), NAMED.format(r"\[1, 2\]", "b", 4, "split its parts into columns")),
    "lists": (
        frame([[1, 2]] * 30),
        NAMED.format(r"\[1, 2\]", "b", 0, "split its parts into columns"),
    ),
    "dictionary": (column({"a": 1}), NAMED.format("{'a': 1}", "b", 4, "split its parts")),
    "object": (column(nn.ReLU), NAMED.format("<class .*>", "b", 4, "column")),
    "complex": (frame(ROWS[:, 1] + 1j), NAMED.format(r"\(.*j\)", "b", 0, "parts .*columns")),
    "large integer": (column(10**400), NAMED.format("10*\\.\\.\\.", "b", 4, "scale the column")),
    "long double": (
        array(np.longdouble("1e4000")).astype(np.longdouble),
        r"column 1 and row 4: .*scale the column",
    ),
    "interval": (
        frame(pd.interval_range(0, 30)),
        NAMED.format("Interval\\(0, 1.*", "b", 0, "column"),
    ),
    "date cell": (column(date(2020, 1, 1)), NAMED.format(".*", "b", 4, "turn the column into")),
    "duration cell": (column(timedelta(1)), NAMED.format(".*", "b", 4, "turn the column into")),
    "polars lists": (
        pl.DataFrame({"a": ROWS[:, 0], "b": [[1.0]] * 30, "c": ROWS[:, 2]}),
        NAMED.format(r"\[1.0\]", "b", 0, "split its parts"),
    ),
    "polars structs": (
        pl.DataFrame({"a": ROWS[:, 0], "b": [{"u": 1}] * 30, "c": ROWS[:, 2]}),
        NAMED.format("{'u': 1}", "b", 0, "split its parts"),
    ),
    "arrow lists": (
        pa.table({"a": ROWS[:, 0], "b": [[1.0]] * 30, "c": ROWS[:, 2]}),
        NAMED.format(r"\[1.0\]", "b", 0, "split its parts"),
    ),
    "arrow bytes": (
        pa.table({"a": ROWS[:, 0], "b": [b"x"] * 30, "c": ROWS[:, 2]}),
        NAMED.format("b'x'", "b", 0, "the column"),
    ),
}


class Query:
    """As a frame of Spark, which has no rows in this process."""

    def collect(self): ...

    def toPandas(self): ...


NO_TABLES = {
    "fields": (np.zeros(30, dtype=[("a", float), ("b", float)]), "structured_to_unstructured"),
    "Series": (pd.Series(ROWS[:, 0]), "2-dimensional container"),
    "flat": (ROWS[:, 0], "Expected 2D array, got 1D"),
    "scalar array": (np.array(1.0), "Expected 2D array, got scalar"),
    "number": (1.0, "Expected 2D array, got scalar"),
    "ragged": ([[1.0, 2.0, 3.0], [1.0]], "rows of equal length, got 1 cells in row 1 and 3 in row"),
    "word": ("abc", "must be a table, .* got str: pass rows and columns"),
    "nothing": (None, "must be a table, .* got NoneType: pass"),
    "set": ({1.0, 2.0}, "must be a table, .* got set: pass"),
    "mapping": ({"a": [1.0]}, "must be a table, .* got dict: pass .*pandas.DataFrame"),
    "object": (object(), "must be a table, .* got object: pass"),
    "no columns": (pd.DataFrame(), r"0 feature\(s\)"),
    "no rows": (np.ones((0, 3)), r"0 sample\(s\)"),
    "iterator": (iter(ROWS), "got .*iterator, which gives it piece by piece: .*np.vstack.*partial"),
    "generator": ((row for row in ROWS), "got generator, which gives it piece by piece"),
    "loader": (DataLoader(torch.ones(3, 3)), "got DataLoader, which gives it piece by piece"),
    "data set": (TensorDataset(torch.ones(3, 3)), "got TensorDataset, which gives it piece by"),
    "tensor without values": (torch.empty(30, 3, device="meta"), "on the meta device"),
    "complex tensor": (torch.ones(30, 3).cfloat().conj(), "Complex data not supported: X must"),
    "empty list": ([], r"0 sample\(s\) .*must have rows, got an empty list"),
    "list of dictionaries": ([{"a": 1.0}] * 3, r"as row 0: pass pandas.DataFrame\(list\(X\)\)"),
    "list of words": (["a", "b"], r"got 'a' of type str as row 0: pass \[X\] for a single row"),
    "a word among rows": ([[1.0, 2.0, 3.0], "abc"], "got 'abc' of type str as row 1"),
    "list of numbers": ([1.0, 2.0, 3.0], r"got numbers in list: pass \[\[cell\] for .*or \[X\]"),
    "list of NumPy's numbers": (list(np.arange(3.0)), r"got numbers in list: pass \[\[cell\] for"),
    "range": (range(9), r"got numbers in range: pass \[\[cell\] for cell in X\]"),
    "array of Python": (
        arrays.array("d", [1, 2]),
        r"got numbers in array: pass \[\[cell\] for cell",
    ),
    "list of frames": (
        [pd.DataFrame(ROWS)],
        r"got list with DataFrame as row 0: .*pandas.concat\(X\), or of sequences .*to_numpy\(\)",
    ),
    "Series of lists": (
        pd.Series(ROWS.tolist()),
        r"got Series, whose cells are rows, .* of type list: pass X.to_list\(\)",
    ),
    "Series of dictionaries": (
        pd.Series([{"a": 1.0}] * 3),
        r"cells are rows, .* pass pandas.DataFrame\(X.to_list\(\)\)",
    ),
    "array of arrays": (pd.Series(list(ROWS)).to_numpy(), r"cells are rows, .* X.tolist\(\)"),
    "pyarrow lists": (pa.array(ROWS.tolist()), r"cells are rows, .* pass X.to_pylist\(\)"),
    "query": (pl.LazyFrame({"a": [1.0]}), r"got LazyFrame, which is a query: pass X.collect\(\)"),
    "query of Spark": (Query(), r"got Query, which is a query: pass X.toPandas\(\)"),
    "delayed": (dask.delayed(ROWS), r"which is not computed: pass X.compute\(\)"),
    "list of delayed": ([dask.delayed(ROWS)], r"X\[0\] must be a table, .* not computed"),
    "sparse tensor": (torch.ones(30, 3).to_sparse(), r"a sparse one: pass X.to_dense\(\)"),
}
IGNORE_NAMES = "ignore:X (does not have valid|has) feature names:UserWarning"


def check_refused(ours, X, message, methods):
    before = ours.__dict__.copy()
    for method in methods:
        error = catch(getattr(ours, method), X)
        assert isinstance(error, ValueError | TypeError), method
        assert re.search(message, str(error), re.DOTALL), (method, error)
        assert ours.__dict__ == before


@pytest.mark.filterwarnings(IGNORE_NAMES)
@pytest.mark.parametrize(("X", "message"), NO_TABLES.values(), ids=NO_TABLES)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
def test_what_is_no_table(estimator, X, message, fitted):
    check_refused(fitted[name_of(estimator)], X, message, methods_of_tables(estimator))


@pytest.fixture(scope="module")
def fitted_on_a_frame():
    X = frame(list("uv") * 15)
    return [clone(one).fit(X) for one in (ESTIMATORS[0], ESTIMATORS[4])]


@pytest.mark.filterwarnings(IGNORE_NAMES)
@pytest.mark.parametrize(("X", "message"), NO_TABLES.values(), ids=NO_TABLES)
def test_what_is_no_table_after_a_frame(X, message, fitted_on_a_frame):
    for ours in fitted_on_a_frame:
        check_refused(ours, X, message, methods_of_tables(ours))


@pytest.mark.filterwarnings(IGNORE_NAMES)
def test_lists_after_a_frame(fitted_on_a_frame):
    X = frame(list("uv") * 15)
    ours, imputer = fitted_on_a_frame
    rows = X.to_numpy().tolist()
    assert_frame_equal(ours.reconstruct(rows), ours.reconstruct(X))
    assert_array_equal(ours.transform(rows), ours.transform(X))
    assert_array_equal(imputer.transform(rows), X.to_numpy())


@pytest.mark.filterwarnings(IGNORE_NAMES)
@pytest.mark.parametrize(("X", "message"), CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
def test_cells_of_no_kind(estimator, X, message, fitted):
    check_refused(fitted[name_of(estimator)], X, message, methods_of_tables(estimator))


NEW_TABLES = {
    "all missing": (np.full((30, 3), np.nan), "must have an observed cell, got missing ones only"),
    "all None": (pd.DataFrame({"a": [None] * 9}), "must have an observed cell"),
    "prose": (
        pd.DataFrame({"a": np.arange(1200.0), "b": [f"{i:<60}" for i in range(1200)]}),
        r"1200 different texts of 60 characters.* in column 'b': encode it with skrub.TextEncoder",
    ),
    "zones": (
        column(None).assign(b=[date_of(None), *[date_of(UTC)] * 29]),
        "got both in column 'b': give all cells a time zone, or none",
    ),
    "labels of no kind": (
        frame(pd.Categorical([(1, 2), (3, 4)] * 15)),
        r"got \(1, 2\) in column 'b': turn the labels into text",
    ),
    "columns of one name": (
        pd.DataFrame(ROWS, columns=["a", "b", "a"]),
        "columns of different names, got 'a' more than once: rename or drop",
    ),
}


@pytest.mark.parametrize(("X", "message"), NEW_TABLES.values(), ids=NEW_TABLES)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
def test_tables_that_nothing_can_be_learnt_of(estimator, X, message, fitted):
    check_refused(fitted[name_of(estimator)], X, message, ["fit"])


CHOICES = {
    "range": ([3], "got 3, where X has 3 columns"),
    "mask": ([True], "got a mask of 1 columns where X has 3"),
    "name": (["z"], "got 'z', where X has columns 'a', 'b', 'c'"),
    "kind": (3.5, "'categorical_features' parameter of .* Got 3.5"),
    "word": ("all", "'categorical_features' parameter of .* Got 'all'"),
    "none": (None, "numbers in the columns that categorical_features doesn't name, got 'u' in col"),
    "dates": ([1, 2], "column 'c' has dates without a time zone: turn them into text"),
}


@pytest.mark.parametrize(("choice", "message"), CHOICES.values(), ids=CHOICES)
@pytest.mark.parametrize("estimator", ESTIMATORS[:3], ids=name_of)
def test_wrong_choices_of_columns(estimator, choice, message):
    X = frame(list("uv") * 15).assign(c=pd.date_range("2020", periods=30))
    ours = clone(estimator).set_params(categorical_features=choice)
    check_refused(ours, X, message, ["fit", "fit_transform", "partial_fit"])


# Real tables -------------------------------------------------------------------------------


def hide(values):
    """The same cells, of which one is missing."""
    return pd.Series(values).where(np.arange(len(values)) != 4)


LABELS = list("uv") * 15
DAYS = pd.date_range("2020", periods=30)
REAL = {
    "text": frame(LABELS),
    "text with gaps": frame(hide(LABELS)),
    "strings": frame(pd.array(LABELS, dtype="string")),
    "categories": frame(pd.Categorical(LABELS)),
    "categories with gaps": frame(hide(pd.Categorical(LABELS))),
    "categories of numbers": frame(pd.Categorical([3, 1] * 15)),
    "categories of intervals": frame(pd.cut(ROWS[:, 1], 3)),
    "booleans": frame(ROWS[:, 1] > 0),
    "nullable booleans": frame(hide(pd.array(ROWS[:, 1] > 0, dtype="boolean"))),
    "None": column(None),
    "pandas.NA": column(pd.NA),
    "decimals": frame([Decimal(repr(x)) for x in ROWS[:, 1].tolist()]),
    "dates": frame(DAYS),
    "dates with gaps": frame(hide(DAYS)),
    "zoned dates": frame(DAYS.tz_localize("Europe/Rome")),
    "durations": frame(pd.to_timedelta(range(30), unit="h")),
    "periods": frame(pd.period_range("2020", periods=30)),
    "date cells": frame(DAYS.date),
    "time cells": frame(pd.date_range("2020", periods=30, freq="7h").time),
    "arrow text": frame(pd.array(LABELS, dtype=pd.ArrowDtype(pa.string()))),
    "polars": pl.DataFrame({"a": ROWS[:, 0], "b": LABELS, "c": DAYS, "d": [None, True] * 15}),
    "pyarrow": pa.table({"a": ROWS[:, 0], "b": LABELS, "c": DAYS, "d": [None, True] * 15}),
    "objects": np.column_stack([ROWS[:, 0].astype(object), np.array(LABELS, dtype=object)]),
    "dates alone": np.arange(60).reshape(30, 2).astype("M8[D]"),
    "durations alone": np.arange(60).reshape(30, 2).astype("m8[s]"),
}
NUMBERS = {
    "NaN": array(np.nan).astype(float),
    "float32": array(np.nan).astype(np.float32),
    "None in an array": array(None),
    "pandas.NA in an array": array(pd.NA),
    "list with None": array(None).tolist(),
    "nullable": frame(hide(pd.array(range(30), dtype="Int64"))),
    "arrow": frame(hide(pd.array(ROWS[:, 1], dtype="double[pyarrow]"))),
    "sparse": sparse.csc_array(array(np.nan).astype(float)),
    "mask": np.ma.array(ROWS, mask=ROWS > 1),
    "mask of objects": np.ma.array(ROWS.astype(object), mask=ROWS > 1),
    "polars": pl.DataFrame({"a": [1.0, None, 3.0] * 10, "b": [1, 2, None] * 10}),
    "pyarrow": pa.table({"a": [1.0, None, 3.0] * 10, "b": [1, 2, None] * 10}),
}
ROWS_BACK = ["impute", "reconstruct", "denoise"]
IMPUTER = ESTIMATORS[4]


def list_types(X):
    if isinstance(X, pa.Table):
        return [str(one) for one in X.schema.types]
    return [str(one) for one in (X.dtypes if hasattr(X, "dtypes") else [X.dtype])]


def require_like(result, X):
    """What comes out has the form, the names and the types of what went in."""
    assert type(result) is type(X)
    assert result.shape == X.shape
    assert list_types(result) == list_types(X)
    if hasattr(X, "columns") and not isinstance(X, pa.Table):
        assert list(result.columns) == list(X.columns)
    if hasattr(X, "index"):
        assert result.index.equals(X.index)


@pytest.mark.parametrize("case", REAL)
@pytest.mark.parametrize("estimator", ESTIMATORS[:3], ids=name_of)
def test_real_tables_come_out_as_they_went_in(estimator, case):
    X = REAL[case]
    if isinstance(X, pd.DataFrame):
        X = X.set_index(pd.Index(range(100, 130)))
    ours = clone(estimator)
    for method in sorted({*methods_of_tables(ours)} - {"inverse_transform"}, key="fit".__ne__):
        result = getattr(ours, method)(X)
        if method in ROWS_BACK:
            require_like(result, X)
        elif isinstance(result, np.ndarray):
            assert len(result) == 30
            assert np.isfinite(result).all()
    require_like(
        ours.inverse_transform(pd.DataFrame(ours.transform(X), getattr(X, "index", None))), X
    )


@pytest.mark.parametrize("case", REAL)
def test_filled_tables_have_the_form_of_those_with_gaps(case):
    X = REAL[case]
    if isinstance(X, pd.DataFrame):
        X = X.set_index(pd.Index(range(100, 130)))
    imputer = clone(IMPUTER).fit(X)
    for result in (imputer.transform(X), imputer.fit_transform(X), imputer.impute(X)):
        require_like(result, X)


@pytest.mark.parametrize("case", NUMBERS)
def test_filled_numbers_are_arrays(case):
    X = NUMBERS[case]
    imputer = clone(IMPUTER).fit(X)
    filled = imputer.transform(X)
    assert isinstance(filled, np.ndarray)
    assert filled.dtype == (np.float32 if case == "float32" else np.float64)
    assert np.isfinite(filled).all()
    if isinstance(X, pd.DataFrame | pl.DataFrame | pa.Table):
        require_like(imputer.impute(X), X)


@pytest.mark.parametrize("case", NUMBERS)
@pytest.mark.parametrize("estimator", ESTIMATORS[:3], ids=name_of)
def test_numbers_with_gaps_come_out_as_numbers(estimator, case):
    X = NUMBERS[case]
    ours = clone(estimator)
    for method in sorted({*methods_of_tables(ours)} - {"inverse_transform"}, key="fit".__ne__):
        result = getattr(ours, method)(X)
        if method in ROWS_BACK and not (method == "impute" and hasattr(X, "columns")):
            assert isinstance(result, np.ndarray)
            assert result.dtype == (np.float32 if case == "float32" else np.float64)
            assert np.isfinite(result).all()
    back = ours.inverse_transform(ours.transform(X))
    assert isinstance(back, np.ndarray)
    assert np.isfinite(back).all()


KNOWN = pd.DataFrame(
    {
        "number": hide(ROWS[:, 0]),
        "label": hide(LABELS),
        "is_new": ROWS[:, 1] > 0,
        "day": DAYS,
        "zoned": DAYS.tz_localize("UTC"),
        "span": pd.to_timedelta(range(30), unit="D"),
    }
)
CHANGED = {
    "numbers to text": ("number", LABELS, "numbers .*text, such as 'u' in row 0: .*to_numeric"),
    "numbers to categories": ("number", pd.Categorical(LABELS), "numbers .*categories, such as"),
    "numbers to dates": ("number", DAYS, "numbers .*dates without a time zone: .*days since"),
    "a number to text": ("number", [1.0, "x"] * 15, "got 'x' beside 1.0 .* and row 1: .*numbers"),
    "a number to a list": ("number", [[1, 2]] * 30, r"got \[1, 2\].* and row 0: split its parts"),
    "infinity": ("number", [1.0, np.inf] * 15, "got inf in column 'number' and row 1: set such"),
    "labels to numbers": ("label", ROWS[:, 0], r"labels such as 'v' .*numbers, such as .* row 0: "),
    "labels to other numbers": ("label", [7] * 30, r"got numbers, such as 7 in row 0: .*astype"),
    "labels to booleans": ("label", ROWS[:, 0] > 0, "labels such as 'v' .*got booleans"),
    "labels to dates": ("label", DAYS, "categories .*got dates .*astype"),
    "booleans to numbers": ("is_new", ROWS[:, 0], "booleans .*got .* in row 0: pass True"),
    "booleans to text": ("is_new", LABELS, "booleans .*text, such as 'u' in row 0: "),
    "dates to numbers": ("day", ROWS[:, 0], "dates without a time zone .*numbers.*to_datetime"),
    "dates to text": ("day", LABELS, "dates without .*text, such as 'u' in row 0: .*to_datetime"),
    "dates to zoned ones": ("day", DAYS.tz_localize("UTC"), "dates without .*with dt.tz_localize"),
    "zoned dates to others": ("zoned", DAYS, "dates with a time zone .*with dt.tz_localize"),
    "durations to numbers": ("span", ROWS[:, 0], "durations .*numbers.*to_timedelta"),
}


@pytest.fixture(scope="module")
def fitted_on_all_kinds():
    return {name_of(one): clone(one).fit(KNOWN) for one in ESTIMATORS}


@pytest.mark.parametrize(("name", "values", "message"), CHANGED.values(), ids=CHANGED)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
def test_columns_of_another_kind_than_in_fitting(
    estimator, name, values, message, fitted_on_all_kinds
):
    """A method that is fitted anew takes them."""
    ours = fitted_on_all_kinds[name_of(estimator)]
    anew = {"fit", "fit_transform", "fit_predict", "inverse_transform"}
    methods = [method for method in methods_of_tables(ours) if method not in anew]
    message = rf"(?=.*column '{name}')(?=.*{message})"
    check_refused(ours, KNOWN.assign(**{name: values}), message, methods)


OTHER_COLUMNS = {
    "order": (KNOWN[KNOWN.columns[::-1]], "must be in the same order"),
    "one less": (KNOWN.drop(columns="label"), "yet now missing:\n- label"),
    "one more": (KNOWN.assign(z=1.0), "unseen at fit time:\n- z"),
    "another name": (KNOWN.rename(columns={"label": "z"}), "unseen at fit time:\n- z"),
    "one name": (
        KNOWN.rename(columns={"label": "number"}),
        "different names, got 'number' more than once: rename or drop",
    ),
    "array of fewer": (KNOWN.to_numpy()[:, :3], "X has 3 features, but .* is expecting 6"),
    "no rows": (KNOWN[:0], r"Found array with 0 sample\(s\)"),
}


@pytest.mark.filterwarnings(IGNORE_NAMES)
@pytest.mark.parametrize(("X", "message"), OTHER_COLUMNS.values(), ids=OTHER_COLUMNS)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
def test_other_columns_than_in_fitting(estimator, X, message, fitted_on_all_kinds):
    ours = fitted_on_all_kinds[name_of(estimator)]
    methods = {"transform", "partial_fit", "impute", "score_samples", "explain"}
    check_refused(ours, X, message, methods & {*public_methods(ours)})


@pytest.mark.parametrize("method", ["transform", "impute", "reconstruct", "partial_fit"])
@pytest.mark.parametrize("estimator", ESTIMATORS[:3], ids=name_of)
def test_numbers_in_other_columns_are_refused_where_all_were_numbers(estimator, method):
    ours = clone(estimator).fit(frame(ROWS[:, 1]))
    for values, found in (
        (LABELS, "text"),
        (pd.Categorical(LABELS), "categories"),
        (DAYS, "dates"),
    ):
        message = f"X must have numbers in column 'b', as in fitting, got {found}"
        check_refused(ours, frame(values), message, [method])
    for values in (pd.array([0, 1, pd.NA] * 10, "Int64"), ROWS[:, 1] > 0, [Decimal(1)] * 30):
        getattr(clone(estimator).fit(frame(ROWS[:, 1])), method)(frame(values))


@pytest.mark.parametrize("library", ["pandas", "polars", "array"])
@pytest.mark.parametrize("estimator", ESTIMATORS[:3], ids=name_of)
def test_a_column_without_a_cell_is_kept(estimator, library):
    X = pd.DataFrame({"a": ROWS[:, 0], "none": np.full(30, np.nan), "b": ROWS[:, 1]})
    X = {"pandas": X, "polars": pl.from_pandas(X, nan_to_null=True), "array": X.to_numpy()}[library]
    with pytest.warns(UserWarning, match=r"no observed cell in column ('none'|1): nothing is"):
        ours = clone(estimator).fit(X)
    for result in (ours.reconstruct(X), ours.impute(X), ours.inverse_transform(ours.transform(X))):
        assert type(result) is type(X)
        values = pd.DataFrame(np.asarray(result), dtype=float).isna()
        assert values.sum().tolist() == [0, 30, 0]


@pytest.mark.parametrize("estimator", ESTIMATORS[:3], ids=name_of)
def test_identifiers_are_pooled_with_one_warning(estimator):
    X = frame([f"id{i}" for i in range(30)]).assign(d=[f"no{i}" for i in range(30)])
    with pytest.warns(UserWarning, match="for nearly every row in columns 'b', 'd': .*pooled") as w:
        ours = clone(estimator).fit(X)
    assert len(w) == 1
    assert list(ours.impute(X)["b"]) == list(X["b"])
    assert ours.reconstruct(X)["b"].isna().all()


@pytest.mark.filterwarnings(IGNORE_NAMES)
def test_codes_with_gaps_are_refused(fitted_on_all_kinds):
    for ours in [*fitted_on_all_kinds.values()][:3]:
        codes = ours.transform(KNOWN)
        codes[2, 1] = np.nan
        with pytest.raises(
            ValueError, match="finite numbers only, got nan in column 1 and row 2: fill"
        ):
            ours.inverse_transform(codes)


@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform", "score_samples", "elbo"])
def test_cells_that_are_no_probabilities(method):
    probabilities = pd.DataFrame(np.abs(np.tanh(ROWS)), columns=["a", "b", "c"])
    ours = VAETransformer(2, likelihood="bernoulli", **SMALL).fit(probabilities)
    odd = probabilities.copy()
    odd.loc[4, "b"] = 1.5
    message = r"got 1\.5 in column 'b' and row 4: scale the column, or use likelihood=\"gaussian\""
    check_refused(ours, odd, message, [method])


def test_cells_beside_labels_that_are_no_probabilities():
    odd = frame(ROWS[:, 1]).assign(a=LABELS, b=[0.0, 1.5] * 15)[["a", "b"]]
    with pytest.raises(ValueError, match=r"got 1\.5 in column 'b' and row 1"):
        VAETransformer(2, likelihood="bernoulli", **SMALL).fit(odd)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (("d", None), r"got a missing cell in column 'd' and row 4: fill such cells"),
        (("d", "w"), r"a label that X does not have in column 'd' and row 4: correct such labels"),
        (("b", np.nan), r"got a missing cell in column 'b' and row 4: fill such cells"),
    ],
)
def test_cells_of_clean_rows(value, message):
    noisy = frame(ROWS[:, 1]).assign(d=LABELS)
    name, cell = value
    clean = noisy.copy()
    clean.loc[4, name] = cell
    with pytest.raises(ValueError, match=message):
        clone(ESTIMATORS[1]).fit(noisy, clean)


def test_clean_rows_have_the_columns_of_noisy_ones_in_their_order():
    noisy = frame(ROWS[:, 1])
    ours = clone(ESTIMATORS[1])
    for clean in (noisy[["b", "a", "c"]], pl.from_pandas(noisy[["b", "a", "c"]])):
        with pytest.raises(ValueError, match=r"got 'b' where X has 'a': pass y\[X.columns\]"):
            ours.fit(noisy, clean)
    for clean in (noisy, noisy.add_suffix("_clean"), noisy.set_axis([0, 1, 2], axis=1)):
        np.testing.assert_array_equal(
            ours.fit(noisy, clean).transform(noisy), ours.fit(noisy, ROWS).transform(noisy)
        )
    labelled = noisy.assign(d=LABELS)  # encoded by name
    expected = ours.fit(labelled, labelled).transform(labelled)
    shuffled = labelled[["d", "c", "b", "a"]]
    np.testing.assert_array_equal(ours.fit(labelled, shuffled).transform(labelled), expected)


def test_an_estimator_without_gaps_is_not_told_to_make_some():
    detector = AEAnomalyDetector(GaussianMixture(), random_state=0).fit(ROWS)
    for method in (detector.fit, detector.predict, detector.explain):
        with pytest.raises(ValueError, match=r"numbers only, got inf .*row 4: fill such cells, or"):
            method(array(np.inf).astype(float))


SPARSE = ["bsr", "coo", "csc", "csr", "dia", "dok", "lil"]
THIN = np.where(np.abs(ROWS) > 0.5, ROWS, 0.0)
USABLE = {
    **{name: getattr(sparse.csr_matrix(THIN), f"to{name}")() for name in SPARSE},
    "sparse array": sparse.csr_array(THIN),
    "sparse frame": pd.DataFrame.sparse.from_spmatrix(sparse.csr_matrix(THIN)),
    "decimals": pd.DataFrame({i: [Decimal(x) for x in c] for i, c in enumerate(THIN.T.tolist())}),
    "objects": THIN.astype(object),
    "tensor": torch.from_numpy(THIN).requires_grad_(),
    "no mask": np.ma.array(THIN),
    "list": THIN.tolist(),
}


@pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names:UserWarning")
@pytest.mark.filterwarnings("ignore:no row can be found at false_discovery_rate:UserWarning")
@pytest.mark.parametrize("kind", USABLE)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
def test_other_forms_of_a_table_give_the_same_to_the_last_bit(estimator, kind, fitted):
    for method in sorted({*methods_of_tables(estimator)} - {"inverse_transform"}):
        results = []
        for X in (THIN, USABLE[kind]):
            ours = clone(estimator) if "fit" in method else fitted[name_of(estimator)]
            result = getattr(ours, method)(X)
            results.append(show(result, THIN) if result is ours else result)
        np.testing.assert_array_equal(*map(np.asarray, results), err_msg=method)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.int8, torch.bool])
def test_tensors_of_other_types(estimator, dtype):
    X = torch.from_numpy(THIN).to(dtype)
    a, b = (show(clone(estimator).fit(rows), GAPS) for rows in (X, X.double().numpy()))
    np.testing.assert_array_equal(a, b)


def test_sparse_rows_are_never_dense_as_a_whole(monkeypatch):
    rng = np.random.default_rng(0)
    X = sparse.csr_array(rng.normal(size=(600, 40)) * (rng.random((600, 40)) < 0.1))
    expected = AutoencoderTransformer(2, **LINEAR).fit(X.toarray()).transform(X.toarray())
    monkeypatch.setattr("skae._data.stores.LOADED_UP_TO", 1000)
    monkeypatch.setattr("skae._data.blocks._BLOCK_CELLS", 4000)
    read, lengths = SparseRows.__getitem__, []
    monkeypatch.setattr(
        SparseRows,
        "__getitem__",
        lambda self, rows: lengths.append(rows.stop - rows.start) or read(self, rows),
    )
    got = AutoencoderTransformer(2, **LINEAR).fit(X).transform(X)
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert max(lengths) == 100


def test_sparse_rows_too_wide_for_memory_are_refused():
    wide = sparse.csr_array((30, 10**12))
    with pytest.raises(MemoryError, match=r"GiB of memory.*TruncatedSVD"):
        AutoencoderTransformer(2, **LINEAR).fit(wide)


# Parameters --------------------------------------------------------------------------------

VALUES = [
    None,
    "x",
    b"x",
    np.str_("auto"),
    -1,
    0,
    1.5,
    float("nan"),
    float("inf"),
    True,
    [],
    np.float32(0.25),
    10**30,
    10**400,
    1e300,
    1e-300,
    np.ones(3),
    np.array(2),
    object(),
    (10**12,),
    ("a",),
    {},
    1j,
]


@pytest.mark.parametrize(
    ("estimator", "parameter"),
    [
        pytest.param(estimator, name, id=f"{name_of(estimator)}-{name}")
        for estimator in ESTIMATORS
        for name in estimator.get_params(deep=False)
    ],
)
def test_parameters_work_or_say_what_they_must_be(estimator, parameter, monkeypatch, capsys):
    monkeypatch.setattr(nn.Module, "compile", lambda module: None)  # it takes long
    ours, n_refused = clone(estimator), 0
    if parameter == "max_epochs" and isinstance(ours, VAETransformer):
        ours.set_params(prior="standard")  # a closed form: it would train for ever otherwise
    for value in VALUES:
        error = catch(clone(ours).set_params(**{parameter: value}).fit, ROWS)
        if error is not None:
            n_refused += 1
            assert parameter in str(error) or "memory" in str(error), (value, error)
    assert n_refused >= len(VALUES) // 3  # each has values that it can't take


SMALL = {"hidden_layer_sizes": (3,), "max_epochs": 1, "early_stopping": False, "random_state": 0}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", torch.optim.Adam, torch.optim.LBFGS])
@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.parametrize("estimator", ESTIMATORS[:3], ids=name_of)
def test_a_network_that_is_kept_can_be_used(estimator, init, optimizer):
    """Whatever the learning rate: an error otherwise, and the estimator is as it was."""
    n_errors = 0
    for lr in (1e3, 1e10, 1e30):
        ours = clone(estimator).set_params(
            **{**SMALL, "init": init, "optimizer": optimizer, "lr": lr}
        )
        error = catch(ours.fit, ROWS)
        if error is not None:
            n_errors += 1
            assert "lr" in str(error)
            assert not hasattr(ours, "module_")
        else:
            assert np.isfinite(ours.score_samples(ROWS)).all()
            assert np.isfinite(ours.reconstruct(ROWS)).all()
    assert n_errors > 0 or optimizer is torch.optim.LBFGS  # which takes a step only if it can


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("estimator", ESTIMATORS[:3], ids=name_of)
def test_a_block_that_diverges_leaves_the_stream_as_it_was(estimator):
    ours = clone(estimator).set_params(**{**SMALL, "optimizer": "sgd"}).partial_fit(ROWS)
    error, n_blocks = None, 0
    while error is None and n_blocks < 5:
        expected, n_blocks = ours.reconstruct(ROWS), n_blocks + 1
        assert np.isfinite(expected).all()
        ours.net_.lr = 1e30
        error = catch(ours.partial_fit, ROWS)
    assert "lr" in str(error)
    np.testing.assert_array_equal(ours.reconstruct(ROWS), expected)


def parameters_of_methods():
    """All further parameters of our methods: those that scikit-learn adds are its own."""
    shared = {"self", "X", "y", "sample_weight"}
    return [
        pytest.param(estimator, method, name, id=f"{name_of(estimator)}.{method}-{name}")
        for estimator in ESTIMATORS
        for method in public_methods(estimator)
        if getattr(type(estimator), method).__module__.startswith("skae")
        for name in inspect.signature(getattr(type(estimator), method)).parameters
        if name not in shared
    ]


def test_there_are_parameters_of_methods():
    assert len(parameters_of_methods()) >= 10


@pytest.mark.parametrize(
    "value", ["x", -1, object(), float("nan"), 10**400, np.ones(3), []], ids=name_of
)
@pytest.mark.parametrize(("estimator", "method", "parameter"), parameters_of_methods())
def test_parameters_of_methods_say_what_they_must_be(estimator, method, parameter, value, fitted):
    ours = fitted[name_of(estimator)]
    function = getattr(ours, method)
    takes_table = "X" in inspect.signature(function).parameters
    table = ours.transform(ROWS) if method == "inverse_transform" else ROWS
    with pytest.raises((ValueError, TypeError, MemoryError), match=parameter):
        function(*[table] * takes_table, **{parameter: value})


# Weights -----------------------------------------------------------------------------------

WEIGHT = np.random.default_rng(1).uniform(0.5, 1.5, size=len(ROWS))


@pytest.mark.parametrize("factor", [1e-320, 1e-300, 1e-30, 0.3, 1e30, 1e300, 1e308])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
def test_only_ratios_of_weights_count(estimator, factor):
    # As they are in float64, which has few digits for the least of these factors.
    weight = WEIGHT * factor
    same = weight / weight.max()
    a, b = (show(clone(estimator).fit(ROWS, sample_weight=w), GAPS) for w in (weight, same))
    np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize("estimator", ESTIMATORS[:3], ids=name_of)
def test_training_with_weights_of_any_size(estimator):
    weight = np.where(np.arange(30) % 2, 1.0, 1e-25)
    for factor in (1e-300, 1e300):
        ours = clone(estimator).set_params(**SMALL, batch_size=2)
        assert np.isfinite(ours.fit(ROWS, sample_weight=weight * factor).score_samples(ROWS)).all()


@pytest.mark.parametrize("estimator", ESTIMATORS[:3], ids=name_of)
def test_a_weight_that_is_nothing_beside_others_counts_as_zero(estimator):
    weight = np.where(np.arange(30) < 20, 1e300, 1e-300)
    a = clone(estimator).fit(ROWS, sample_weight=weight)
    b = clone(estimator).fit(ROWS[:20])
    np.testing.assert_array_equal(a.transform(ROWS), b.transform(ROWS))
    single = np.eye(30)[3] * 1e-310
    assert np.isfinite(clone(estimator).fit(ROWS, sample_weight=single).transform(ROWS)).all()


WEIGHTS = {
    "negative": (-np.ones(30), "finite and not negative, got -1.0 for row 0"),
    "NaN": (np.full(30, np.nan), "finite and not negative, got nan for row 0"),
    "infinite": (np.full(30, np.inf), "finite and not negative, got inf for row 0"),
    "zeros": (np.zeros(30), "positive for one row at least"),
    "short": (np.ones(29), r"a value for each row, shape \(30,\)"),
    "deep": (np.ones((30, 1)), r"a value for each row, shape \(30,\)"),
    "frame": (pd.DataFrame({"w": np.ones(30)}), r"a value for each row, shape \(30,\)"),
    "words": (["a"] * 30, "a number for each row, got 'a' for row 0: give each row the number of"),
    "a word": (pd.Series([1.0, "a"] * 15), "a number for each row, got 'a' for row 1: give each"),
    "word": ("a", "a number for each row"),
    "missing": (pd.Series([pd.NA] * 30), "a number for each row"),
    "mapping": ({"a": 1.0}, r"a number for each row, got {'a': 1.0} \("),
    "delayed": (dask.delayed(np.ones(30)), r"a number for each row, got Delayed.* \("),
    "sparse": (sparse.csr_array(np.ones((30, 1))), "a number for each row"),
    "large integer": ([10**400] * 30, "a number for each row"),
    "complex": (np.ones(30) + 1j, "a number for each row"),
    "ragged": ([[1.0], [1.0, 2.0]], "a number for each row"),
    "dates": (np.ones(30).astype("M8[D]"), "a number for each row"),
    "tensor without values": (torch.empty(30, device="meta"), "on the meta device"),
}


@pytest.mark.parametrize(("weight", "message"), WEIGHTS.values(), ids=WEIGHTS)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
def test_unusable_weights(estimator, weight, message):
    for method in {"fit", "partial_fit"} & {*public_methods(estimator)}:
        with pytest.raises((ValueError, TypeError), match=message):
            getattr(clone(estimator), method)(ROWS, sample_weight=weight)


def test_weights_as_a_tensor_or_a_series():
    expected = AutoencoderTransformer(2, **LINEAR).fit(ROWS, sample_weight=WEIGHT).transform(ROWS)
    for weight in (torch.from_numpy(WEIGHT).requires_grad_(), pd.Series(WEIGHT), WEIGHT.tolist()):
        ours = AutoencoderTransformer(2, **LINEAR).fit(ROWS, sample_weight=weight)
        np.testing.assert_array_equal(ours.transform(ROWS), expected)


# Pairs -------------------------------------------------------------------------------------

PAIRS = {
    "shape": (ROWS[:, :2], r"of the same shape \(30, 3\), or None; got shape \(30, 2\)"),
    "rows": (ROWS[:20], "got shape"),
    "deep": (ROWS[None], "got shape"),
    "ragged": ([[1.0, 2.0], [1.0]] * 15, "rows of the same length"),
    "NaN": (
        array(np.nan).astype(float),
        "y must have finite numbers only, got nan in column 1 and",
    ),
    "text": (column("x"), "y must have finite numbers only, got 'x' in column 'b' and row 4"),
    "dates": (frame(pd.date_range("2020", periods=30)), "y must have numbers only, and column 'b'"),
    "mask": (np.ma.array(ROWS, mask=ROWS > 1), "y must have no masked cells"),
    "iterator": (iter(ROWS), "y must be a table"),
    "word": ("clean", "y must be a table"),
    "delayed": (dask.delayed(ROWS), "y must be a table, .* which is not computed"),
    "sparse tensor": (torch.ones(30, 3).to_sparse(), "y must be a dense tensor"),
}


@pytest.mark.parametrize(("y", "message"), PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("method", ["fit", "partial_fit", "fit_transform"])
def test_unusable_pairs(method, y, message):
    with pytest.raises((ValueError, TypeError), match=message):
        getattr(DenoisingAutoencoder(2, **LINEAR), method)(ROWS, y)


def test_sparse_pairs():
    a, b = (
        DenoisingAutoencoder(2, **LINEAR).fit(ROWS, y).transform(ROWS)
        for y in (THIN, sparse.coo_array(THIN))
    )
    np.testing.assert_array_equal(a, b)


# Torch -------------------------------------------------------------------------------------


class OwnNetwork(nn.Module):
    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.layer = nn.Linear(n_inputs, n_outputs)

    def forward(self, rows):
        return self.layer(rows) + torch.ones(self.layer.out_features)


def make_own(role, n_inputs, n_outputs):
    return OwnNetwork(n_inputs, n_outputs)


@contextmanager
def default_dtype(dtype):
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


# What a user may have set, globally or around the call.
MODES = {
    "device": lambda: torch.device("meta"),
    "float64": lambda: default_dtype(torch.float64),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "inference": torch.inference_mode,
    "no gradients": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
}


def describe_torch():
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_inference_mode_enabled(),
        torch.is_grad_enabled(),
        torch.is_autocast_enabled("cpu"),
    )


def use(estimator):
    """Fit an estimator, score with it, store it and train it further."""
    ours = clone(estimator).fit(ROWS)
    results = ours.reconstruct(ROWS), ours.transform(ROWS), ours.score_samples(ROWS)
    stored = pickle.loads(pickle.dumps(ours))
    return *results, stored.transform(ROWS), stored.partial_fit(ROWS).transform(ROWS)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("architecture", ["mlp", make_own])
@pytest.mark.parametrize("estimator", ESTIMATORS[:3], ids=name_of)
def test_torchs_modes_change_nothing(estimator, architecture, mode):
    ours = clone(estimator).set_params(**SMALL, architecture=architecture)
    expected = use(ours)
    with MODES[mode]():
        found = describe_torch()
        got = use(ours)
        assert describe_torch() == found
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("device", ["x", "cuda:x", "cuda:99", "meta", "", "cpu:-7", "hpu", "ipu"])
@pytest.mark.parametrize("estimator", ESTIMATORS[:3], ids=name_of)
def test_devices_that_are_not_here(estimator, device):
    with pytest.raises(ValueError, match='device must be "auto", "cpu" or an accelerator'):
        clone(estimator).set_params(device=device).fit(ROWS)


@pytest.mark.parametrize("estimator", ESTIMATORS[:3], ids=name_of)
def test_other_callbacks_and_optimizers_are_refused(estimator):
    for callbacks in ([True], [print], ["x"], [nn.Linear], [("name", 3)]):
        with pytest.raises(TypeError, match="callbacks must be instances of skorch"):
            clone(estimator).set_params(callbacks=callbacks).fit(ROWS)
    with pytest.raises(TypeError, match=r"optimizer must return a torch\.optim\.Optimizer, got N"):
        clone(estimator).set_params(**SMALL, optimizer=lambda groups, lr: None).fit(ROWS)


def test_a_network_without_weights():
    ours = AutoencoderTransformer(
        3, architecture=lambda role, n_inputs, n_outputs: nn.Identity(), init="random"
    )
    with pytest.raises(ValueError, match=r'must have weights to train, got none: .*init="pca"'):
        ours.fit(ROWS)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
def test_columns_of_one_name_are_refused(estimator):
    frame = pd.DataFrame(ROWS).rename(columns=lambda column: "a" if column < 2 else str(column))
    # Other frames refuse such columns themselves.
    table = pa.table([column for _, column in frame.items()], names=list(frame))
    for X in (frame, table):
        with pytest.raises(ValueError, match="columns of different names, got 'a' more than once"):
            clone(estimator).fit(X)


def test_lists_of_tensors_are_rows_and_nested_targets_are_refused():
    rows = [torch.tensor(row, requires_grad=True) for row in ROWS]
    ours = AutoencoderTransformer(2, **SMALL)
    np.testing.assert_array_equal(clone(ours).fit(rows).mean_, clone(ours).fit(ROWS).mean_)
    nested = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.jagged)
    with pytest.raises(TypeError, match="y must be a dense tensor, got a nested one"):
        DenoisingAutoencoder(2, **SMALL).fit(ROWS, nested)

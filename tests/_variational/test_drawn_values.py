"""Samples of tables of numbers: whole numbers, decimals and ends, as those of the rows."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import ks_2samp, norm

from skae import VAETransformer

LINEAR = {"hidden_layer_sizes": (), "random_state": 0}


def draw_table(n_rows, seed=0):
    """Return two groups: a size, a count, an amount that is often zero, a positive time, a mark."""
    rng = np.random.default_rng(seed)
    group = rng.integers(2, size=n_rows)
    return pd.DataFrame(
        {
            "size": group + 0.3 * rng.normal(size=n_rows),
            "count": rng.poisson(1 + 3 * group),
            "paid": np.maximum(rng.normal(size=n_rows) + group - 0.5, 0.0),
            "time": rng.exponential(1 + group) + 1e-3,
            "mark": np.clip(rng.normal(4 + group, 1, n_rows), 1, 6).round(1),
        }
    )


@pytest.fixture(scope="module")
def table():
    return draw_table(900)


@pytest.fixture(scope="module")
def fitted(table):
    return VAETransformer(2, **LINEAR).fit(table)


def check_rows(drawn, table):
    """Assert that rows could be rows of the table."""
    for name in ("count", "paid", "time"):
        assert drawn[name].min() >= 0
    assert (drawn["count"] % 1 == 0).all()
    assert drawn["mark"].between(0, 6).all()
    assert np.array_equal(drawn["mark"].round(1), drawn["mark"])
    assert drawn["size"].min() < table["size"].min()  # of many more rows
    for name, end in (("paid", 0.0), ("mark", 6.0)):  # one Gaussian noise has a part of the peaks
        share = (table[name] == end).mean()
        assert 0.3 * share < (drawn[name] == end).mean() < 1.3 * share


def test_numbers_are_drawn_as_rows_have_them(table, fitted):
    drawn = fitted.sample(20_000, random_state=0)
    assert drawn.dtype == np.float64
    check_rows(pd.DataFrame(drawn, columns=table.columns), table)
    np.testing.assert_array_equal(drawn, fitted.sample(20_000, random_state=0))
    assert not np.array_equal(drawn[:9], fitted.sample(9))
    spread, most = table.std().to_numpy(), np.array([0.03, 0.1, 0.25, 0.35, 0.1])
    assert (np.abs(drawn.mean(0) - table.mean().to_numpy()) < most * spread).all()
    assert (np.abs(drawn.std(0) - spread) < most * spread).all()
    np.testing.assert_allclose(np.corrcoef(drawn.T), table.corr(), atol=0.1)


def test_a_column_of_labels_beside_them_changes_no_promise(table):
    labelled = table.assign(label=np.where(table["count"] > 2, "many", "few"))
    drawn = VAETransformer(2, **LINEAR).fit(labelled).sample(4000, random_state=0)
    assert (drawn.dtypes == labelled.dtypes).all()
    assert (drawn["count"] % 1 == 0).all()
    for name in ("count", "paid", "time"):
        assert drawn[name].min() >= 0
    assert drawn["mark"].between(0, 6).all()
    assert np.array_equal(drawn["mark"].round(1), drawn["mark"])


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_arrays_stores_and_blocks_have_the_same_ends(table, dtype, tmp_path):
    X = np.floor(table.to_numpy()).astype(dtype)
    stored = np.memmap(tmp_path / "rows", dtype=dtype, mode="w+", shape=X.shape)
    stored[:] = X
    ours = VAETransformer(2, **LINEAR)
    for model in (
        ours.fit(X),
        VAETransformer(2, **LINEAR).fit(stored),
        VAETransformer(2, **LINEAR).partial_fit(X[:500]).partial_fit(X[500:]),
    ):
        drawn = model.sample(2000, random_state=0)
        assert np.array_equal(drawn, drawn.round())
        assert drawn[:, 1:].min() == 0
        assert drawn[:, 4].max() <= 6
    other = pickle.loads(pickle.dumps(ours))
    np.testing.assert_array_equal(other.sample(50, 0), ours.sample(50, 0))


def test_expected_rows_are_within_the_ends_and_not_rounded(fitted):
    expected = fitted.sample(2000, random_state=0, noise=False)
    assert expected[:, 1:].min() >= 0
    assert (expected[:, 1] % 1 > 0).any()


def test_normal_columns_have_no_ends():
    """Their draws are those of the density, far beyond the rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 3))
    ours = VAETransformer(3, prior="standard", **LINEAR).fit(X)
    drawn = ours.sample(20_000, random_state=0)
    assert (drawn.min(axis=0) < X.min(axis=0)).all()
    assert (drawn.max(axis=0) > X.max(axis=0)).all()
    expected = norm(X.mean(axis=0), X.std(axis=0)).rvs((20_000, 3), random_state=0)
    for one, other in zip(drawn.T, expected.T, strict=True):
        assert ks_2samp(one, other).statistic < 0.025


def test_a_constant_column_is_drawn_as_such():
    X = np.random.default_rng(0).normal(size=(100, 3))
    X[:, 1] = 1 / 3
    drawn = VAETransformer(2, noise_per_column=False, **LINEAR).fit(X).sample(100, random_state=0)
    assert (drawn[:, 1] == 1 / 3).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_images_keep_to_the_values_of_their_pixels(dtype):
    rng = np.random.default_rng(0)
    X = np.clip(rng.normal(8, 6, size=(300, 4, 4)).round(), 0, 16).astype(dtype)
    drawn = VAETransformer(2, **LINEAR).fit(X).sample(500, random_state=0)
    assert drawn.shape == (500, 4, 4)
    assert drawn.min() == 0
    assert drawn.max() == 16
    assert np.array_equal(drawn, drawn.round())


@pytest.mark.parametrize(("library", "kind"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
def test_set_output_names_the_columns(table, fitted, library, kind):
    model = pickle.loads(pickle.dumps(fitted)).set_output(transform=library)
    drawn = model.sample(20, random_state=0)
    assert isinstance(drawn, kind)
    assert list(drawn.columns) == list(table.columns)
    np.testing.assert_array_equal(drawn.to_numpy(), fitted.sample(20, random_state=0))
    nameless = VAETransformer(2, **LINEAR).fit(table.to_numpy()).set_output(transform=library)
    assert list(nameless.sample(2).columns) == [f"x{index}" for index in range(5)]


def test_drawn_cells_are_values_of_their_columns(table):
    rng = np.random.default_rng(1)
    gaps = table.mask(rng.random(table.shape) < 0.2)
    model = VAETransformer(2, **LINEAR).fit(gaps)
    for drawn in model.impute(gaps, n_draws=3, random_state=0):
        assert not drawn.isna().any(axis=None)
        for name in ("count", "paid", "time"):
            assert drawn[name].min() >= 0
        assert (drawn["count"] % 1 == 0).all()
        assert np.array_equal(drawn["mark"].round(1), drawn["mark"])
    old = pickle.loads(pickle.dumps(model))
    object.__setattr__(old._fitted.known_density, "ranges", None)  # as of an earlier version
    assert old.sample(2000, random_state=0).min() < 0


def test_a_model_of_an_earlier_version_keeps_its_ends(fitted):
    """Of which the ranges were those of scaled columns, without decimals."""
    state = fitted._state
    ranges, forward = state.density.ranges, state.scaling.forward
    low, high = (forward(end[None], np.float64)[0] for end in (ranges.low, ranges.high))
    old = replace(ranges, low=low, high=high, decimals=None)
    model = pickle.loads(pickle.dumps(fitted))
    model._fitted = replace(state, known_density=replace(state.density, ranges=old))
    drawn = pickle.loads(pickle.dumps(model)).sample(2000, random_state=0)
    assert drawn[:, 1:4].min() == 0
    assert drawn[:, 4].max() == pytest.approx(6)
    assert (drawn[:, 1] % 1 > 0).any()

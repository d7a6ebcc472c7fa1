"""Missing cells filled, with limits, by all three transformers."""

import pickle

import numpy as np
import pandas as pd
import pytest

from skae import AutoencoderTransformer, DenoisingAutoencoder, VAETransformer
from tests._attention.tables import compare_with_neighbours, hide_in_copies

SMALL = {"hidden_layer_sizes": (), "random_state": 0}
TRANSFORMERS = [
    AutoencoderTransformer(2, **SMALL),
    DenoisingAutoencoder(None, n_draws=2, stacking=False, **SMALL),
    VAETransformer(2, prior="standard", max_epochs=2, **SMALL),
]


def draw_table(n_rows=150, seed=0):
    """A number that all others follow: one by a curve, labels and a date by steps."""
    x = np.random.default_rng(seed).uniform(-1, 1, n_rows)
    return pd.DataFrame(
        {
            "x": x,
            "curve": np.square(x),
            "side": np.where(x > 0, "right", "left"),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(np.rint(100 * x), unit="D"),
        }
    )


def hide(table, share=0.15, seed=1):
    return table.mask(np.random.default_rng(seed).random(table.shape) < share)


@pytest.fixture(scope="module")
def table():
    return draw_table()


@pytest.fixture(scope="module")
def fitted(table):
    return AutoencoderTransformer(2, **SMALL).fit(hide(table))


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=lambda one: type(one).__name__)
def test_cells_that_others_determine_are_recovered(transformer, table):
    gaps = hide(table)
    filled = transformer.fit(gaps).impute(gaps)
    pd.testing.assert_series_equal(filled.dtypes, table.dtypes)
    assert (filled == gaps)[gaps.notna()].to_numpy()[gaps.notna()].all()
    assert filled.notna().all(axis=None)
    missing = gaps.isna()
    # The line through the curve is flat: linear regression explains nothing of it.
    off = (filled["curve"] - table["curve"])[missing["curve"]]
    assert off.std() < 0.6 * table["curve"].std()
    assert (filled["side"] == table["side"])[missing["side"]].mean() > 0.9


def test_repeated_rows_are_filled_from_their_copies():
    X, gaps = hide_in_copies()
    filled = AutoencoderTransformer(2, **SMALL).fit(gaps).impute(gaps)
    assert compare_with_neighbours(filled, X, gaps) < 1.2


def test_without_gaps_in_fit_cells_get_their_conditional_means():
    rng = np.random.default_rng(0)
    covariance = np.array([[1.0, 0.8, 0.3], [0.8, 2.0, 0.5], [0.3, 0.5, 1.5]])
    X = rng.multivariate_normal([1.0, 0.0, -2.0], covariance, 2000)
    model = AutoencoderTransformer(2, **SMALL).fit(X)
    rows = X[:50].copy()
    rows[:, 2] = np.nan
    mean, found = X.mean(axis=0), np.cov(X.T)
    slope = np.linalg.solve(found[:2, :2], found[:2, 2])
    expected = mean[2] + (X[:50, :2] - mean[:2]) @ slope
    np.testing.assert_allclose(model.impute(rows)[:, 2], expected, atol=0.01)
    with pytest.raises(ValueError, match="interval requires a table with missing cells in fit"):
        model.impute(rows, interval=0.9)


def test_limits_hold_as_often_as_asked(fitted, table):
    fresh = draw_table(400, seed=2)
    gaps = hide(fresh, seed=3)
    filled, low, high = fitted.impute(gaps, interval=0.8)
    missing = gaps["x"].isna()
    inside = (low["x"] <= fresh["x"]) & (fresh["x"] <= high["x"])
    assert 0.6 < inside[missing].mean() < 0.99
    assert low["x"][~missing].isna().all()
    assert low["side"].isna().all()
    shown = low["day"].notna()
    assert (low["day"] <= filled["day"])[shown].all()
    assert (shown == gaps["day"].isna()).all()


def test_limits_of_numbers_have_the_form_of_the_table(table):
    numbers = hide(table[["x", "curve"]])
    model = AutoencoderTransformer(1, **SMALL).fit(numbers)
    for found in model.impute(numbers, interval=0.8):
        assert list(found.columns) == ["x", "curve"]
    _, low, high = model.impute(numbers, interval=0.9999)  # more than so few cells can tell
    assert low.isna().all(axis=None)
    assert high.isna().all(axis=None)


def test_equal_rows_are_fitted(table):
    for transformer in TRANSFORMERS:
        one = pd.concat([table.iloc[[0]]] * 20, ignore_index=True)
        model = transformer.fit(one)
        assert np.isfinite(model.score_samples(table)).all()


def test_draws_of_bits_are_bits():
    bits = (np.random.default_rng(0).random((60, 4)) > 0.5).astype(float)
    gaps = np.where(np.random.default_rng(1).random(bits.shape) < 0.1, np.nan, bits)
    model = VAETransformer(1, likelihood="bernoulli", max_epochs=2, random_state=0).fit(gaps)
    assert set(np.unique(model.impute(gaps, n_draws=2, random_state=0))) == {0.0, 1.0}


def test_a_stored_transformer_fills_alike(fitted, table):
    gaps = hide(table)
    again = pickle.loads(pickle.dumps(fitted))
    pd.testing.assert_frame_equal(again.impute(gaps), fitted.impute(gaps))


def test_a_stream_learns_from_its_sample(table):
    gaps = hide(table)
    model = AutoencoderTransformer(2, **SMALL)
    for part in (gaps.iloc[:75], gaps.iloc[75:]):
        model.partial_fit(part)
    filled = model.impute(gaps)
    missing = gaps["side"].isna()
    assert (filled["side"] == table["side"])[missing].mean() > 0.9


@pytest.mark.parametrize("interval", [0, 1, -0.1, "wide", np.nan])
def test_an_interval_is_a_probability(fitted, table, interval):
    with pytest.raises(ValueError, match="interval"):
        fitted.impute(table, interval=interval)


def test_draws_differ_where_cells_are_missing(table):
    gaps = hide(table)
    model = VAETransformer(2, prior="standard", max_epochs=2, **SMALL).fit(gaps)
    draws = model.impute(gaps, n_draws=3, random_state=0)
    again = model.impute(gaps, n_draws=3, random_state=0)
    for draw, same in zip(draws, again, strict=True):
        pd.testing.assert_frame_equal(draw, same)
        pd.testing.assert_series_equal(draw.dtypes, table.dtypes)
        assert (draw == gaps).to_numpy()[gaps.notna()].all()
    missing = gaps["x"].isna()
    assert (draws[0]["x"] != draws[1]["x"])[missing].all()
    assert draws[0]["curve"].min() >= 0  # no row is below
    with pytest.raises(ValueError, match="either n_draws or interval"):
        model.impute(gaps, n_draws=2, interval=0.9)
    with pytest.raises(ValueError, match="n_draws"):
        model.impute(gaps, n_draws=0)

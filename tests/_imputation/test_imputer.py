"""The imputer: what it fills, how sure it is, and what it is in a pipeline."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import skops.io
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.impute import KNNImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AEImputer, AutoencoderTransformer
from tests._attention.tables import compare_with_neighbours, hide_in_copies


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch):
    monkeypatch.setattr("skae._attention.training._N_STEPS", (60, 60))


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


TABLE = draw_table()
GAPS = hide(TABLE)


@pytest.fixture(scope="module")
def fitted():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skae._attention.training._N_STEPS", (60, 60))
        return AEImputer(random_state=0).fit(GAPS)


def test_cells_that_others_determine_are_recovered(fitted):
    filled = fitted.transform(GAPS)
    pd.testing.assert_series_equal(filled.dtypes, TABLE.dtypes)
    known, missing = GAPS.notna(), GAPS.isna()
    assert (filled == GAPS).to_numpy()[known].all()
    assert filled.notna().all(axis=None)
    # The line through the curve is flat: linear regression explains nothing of it.
    off = (filled["curve"] - TABLE["curve"])[missing["curve"]]
    assert off.std() < 0.6 * TABLE["curve"].std()
    assert (filled["side"] == TABLE["side"])[missing["side"]].mean() > 0.9
    # So says the estimator, too.
    errors = dict(zip(GAPS.columns, fitted.relative_errors_, strict=True))
    assert errors["curve"] < 0.6 < errors["day"] <= 1.0


def test_complete_tables_are_learnt_from():
    new = hide(draw_table(100, seed=2), seed=3)
    filled = AEImputer(random_state=0).fit(TABLE).transform(new)
    missing = new["curve"].isna()
    off = (filled["curve"] - draw_table(100, seed=2)["curve"])[missing]
    assert off.std() < 0.6 * TABLE["curve"].std()


def test_normal_rows_are_filled_with_their_conditional_means():
    rng = np.random.default_rng(0)
    covariance = np.array([[1.0, 0.8, 0.3], [0.8, 2.0, 0.5], [0.3, 0.5, 1.5]])
    X = rng.multivariate_normal([1.0, 0.0, -2.0], covariance, 2000)
    rows = X[:50].copy()
    rows[:, 2] = np.nan
    imputer = AEImputer(random_state=0).fit(X)
    mean, found = X.mean(axis=0), np.cov(X.T)
    slope = np.linalg.solve(found[:2, :2], found[:2, 2])
    expected = mean[2] + (X[:50, :2] - mean[:2]) @ slope
    # Of a standard deviation of 1.2 given the others.
    assert np.sqrt(np.square(imputer.transform(rows)[:, 2] - expected).mean()) < 0.06
    np.testing.assert_allclose(imputer.relative_errors_, 1.0, atol=0.01)


def test_limits_hold_as_often_as_asked(fitted):
    fresh = draw_table(400, seed=2)
    gaps = hide(fresh, seed=3)
    filled, low, high = fitted.impute(gaps, interval=0.8)
    pd.testing.assert_frame_equal(filled, fitted.transform(gaps))
    missing = gaps["x"].isna()
    inside = (low["x"] <= fresh["x"]) & (fresh["x"] <= high["x"])
    assert 0.6 < inside[missing].mean() < 0.99
    assert low["x"][~missing].isna().all()
    assert low["side"].isna().all()


@pytest.mark.parametrize("interval", [0, 1, -0.1, "wide", np.nan])
def test_an_interval_is_a_probability(fitted, interval):
    with pytest.raises(ValueError, match="interval"):
        fitted.impute(GAPS, interval=interval)


def test_numbers_of_a_frame_are_an_array_unless_a_frame_is_asked_for():
    numbers = GAPS[["x", "curve"]]
    imputer = AEImputer(random_state=0)
    assert isinstance(imputer.fit_transform(numbers), np.ndarray)
    assert isinstance(imputer.impute(numbers), pd.DataFrame)
    framed = imputer.set_output(transform="polars").transform(numbers)
    assert isinstance(framed, pl.DataFrame)
    assert framed.columns == ["x", "curve"]
    assert list(imputer.get_feature_names_out()) == ["x", "curve"]


@pytest.mark.parametrize("convert", [pl.from_pandas, pa.Table.from_pandas, pd.DataFrame])
def test_other_tables_keep_their_types_in_frames_of_pandas(convert):
    gaps = GAPS.assign(day=GAPS["day"].dt.tz_localize("Europe/Paris"))
    imputer = AEImputer(random_state=0).set_output(transform="pandas")
    filled = imputer.fit_transform(convert(gaps))
    assert isinstance(filled, pd.DataFrame)
    assert filled["x"].dtype == float
    assert filled["day"].dt.tz is not None
    known = gaps["day"].notna()
    assert (filled["day"] == gaps["day"])[known].all()


def test_a_column_without_cells_stays_missing():
    with pytest.warns(UserWarning, match="empty"):
        imputer = AEImputer(random_state=0).fit(GAPS.assign(empty=np.nan))
    filled = imputer.transform(GAPS.assign(empty=np.nan))
    assert filled["empty"].isna().all()
    assert filled.drop(columns="empty").notna().all(axis=None)
    assert np.isnan(imputer.relative_errors_).tolist() == [False] * 4 + [True]


def test_labels_that_identify_rows_stay_missing():
    names = pd.Series([f"row {row}" for row in range(len(GAPS))]).mask(GAPS["x"].isna())
    with pytest.warns(UserWarning, match="missing cells, and missing ones are not imputed"):
        imputer = AEImputer(random_state=0).fit(GAPS.assign(name=names))
    filled = imputer.transform(GAPS.assign(name=names))
    pd.testing.assert_series_equal(filled["name"], names, check_names=False)
    assert np.isnan(imputer.relative_errors_).tolist() == [False] * 4 + [True]


def test_columns_hold_what_their_parameter_says():
    codes = GAPS.assign(side=GAPS["side"].map({"left": 3, "right": 8}))
    filled = AEImputer(categorical_features=["side"], random_state=0).fit_transform(codes)
    assert set(filled["side"]) == {3, 8}


def test_the_seed_determines_the_cells():
    one, same, other = (AEImputer(random_state=seed).fit_transform(GAPS) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(one, same)
    assert not one.equals(other)
    generator = np.random.default_rng(0)
    first, second = (AEImputer(random_state=generator).fit_transform(GAPS) for _ in range(2))
    assert not first.equals(second)


def test_repeated_rows_are_filled_from_their_copies(monkeypatch):
    monkeypatch.setattr("skae._attention.training._N_STEPS", (200, 200))
    X, gaps = hide_in_copies()
    filled = AEImputer(random_state=0).fit_transform(gaps)
    assert compare_with_neighbours(filled, X, gaps) < 1.2


@pytest.mark.parametrize(
    "estimator",
    [AEImputer(random_state=0), AutoencoderTransformer(1, hidden_layer_sizes=(), random_state=0)],
    ids=lambda one: type(one).__name__,
)
def test_numbers_are_filled_with_what_the_column_may_hold(estimator):
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, 200)
    X = np.column_stack([x, 3 - 2 * x + 0.1 * rng.normal(size=200), np.full(200, 20231105.0)])
    X[rng.random(X.shape) < 0.1] = np.nan
    far = np.array([[50.0, np.nan, np.nan], [-50.0, np.nan, np.nan]])
    below, above = estimator.fit(X).impute(far)
    low, high = np.nanmin(X[:, 1]), np.nanmax(X[:, 1])
    assert 0 < below[1] == pytest.approx(low - (high - low) / 10)
    assert above[1] == pytest.approx(high + (high - low) / 10)
    assert below[2] == above[2] == 20231105
    X[:, 1] -= 0.99 * low
    below, _ = estimator.fit(X).impute(far)
    assert below[1] == 0  # all values were above


@pytest.mark.parametrize("weight", [2, 0])
def test_a_weight_counts_rows(weight):
    weights = np.where(np.arange(len(GAPS)) < 50, weight, 1)
    copies = GAPS.loc[np.repeat(np.arange(len(GAPS)), weights)]
    one = AEImputer(random_state=0).fit(GAPS, sample_weight=weights)
    two = AEImputer(random_state=0).fit(copies)
    pd.testing.assert_frame_equal(one.transform(GAPS), two.transform(GAPS))


@pytest.mark.parametrize("table", [GAPS, GAPS[["x", "curve"]].to_numpy()], ids=["mixed", "numbers"])
def test_a_stored_imputer_fills_alike(table):
    imputer = AEImputer(random_state=0).fit(table)
    expected = imputer.transform(table)
    stored = skops.io.dumps(imputer)
    types = skops.io.get_untrusted_types(data=stored)
    assert types == ["skae._imputation.imputer.AEImputer"]
    for again in (pickle.loads(pickle.dumps(imputer)), skops.io.loads(stored, trusted=types)):
        np.testing.assert_array_equal(np.asarray(again.transform(table)), np.asarray(expected))
        np.testing.assert_array_equal(again.relative_errors_, imputer.relative_errors_)


def test_a_damaged_imputer_is_refused(fitted):
    state = fitted.__getstate__()
    state["_fitted"]["attention"]["gains"] = state["_fitted"]["attention"]["gains"] + 1
    with pytest.raises(ValueError, match="digest differs"):
        AEImputer().__setstate__(state)


def test_a_fit_that_fails_leaves_the_imputer_as_it_was():
    imputer = AEImputer(random_state=0).fit(GAPS)
    before = imputer.transform(GAPS)
    with pytest.raises(ValueError, match="inf in column 'x'"):
        imputer.fit(GAPS.assign(x=np.inf))
    pd.testing.assert_frame_equal(imputer.transform(GAPS), before)
    with pytest.raises(NotFittedError):
        clone(imputer).transform(GAPS)


def test_a_step_before_a_classifier():
    X, y = GAPS[["x", "curve"]], TABLE["side"]
    own, other = AEImputer(random_state=0), KNNImputer()
    pipeline = make_pipeline(StandardScaler(), own, RandomForestClassifier(10, random_state=0))
    search = GridSearchCV(pipeline, {"aeimputer": [own, other]}, cv=2)
    assert search.fit(X, y).best_score_ > 0.9


def test_a_table_that_is_read_block_by_block(tmp_path, monkeypatch):
    X = GAPS[["x", "curve"]].to_numpy()
    expected = AEImputer(random_state=0).fit(X).transform(X)
    path = tmp_path / "rows.npy"
    np.save(path, X)
    monkeypatch.setattr("skae._data.stores.LOADED_UP_TO", 1000)
    stored = np.load(path, mmap_mode="r")
    imputer = AEImputer(random_state=0).fit(stored)
    filled = imputer.transform(stored)
    assert np.isfinite(filled).all()
    # Rows of stores keep their order and their copies, so other cells are hidden in training.
    assert np.abs(filled - expected)[np.isnan(X)].mean() < 0.2


def test_it_fills_as_a_transformer_fitted_to_gaps_does():
    model = AutoencoderTransformer(2, hidden_layer_sizes=(), random_state=0).fit(GAPS)
    own, other = model.impute(GAPS), AEImputer(random_state=0).fit_transform(GAPS)
    missing = GAPS["side"].isna()
    assert (own["side"] == other["side"])[missing].mean() > 0.9
    assert np.corrcoef(own["curve"], other["curve"])[0, 1] > 0.9


@pytest.mark.parametrize("shape", [(4, 1), (1, 4), (2, 2)])
@pytest.mark.parametrize("as_list", [False, True])
def test_rows_with_a_shape_are_refused(shape, as_list):
    X = np.random.default_rng(0).normal(size=(30, 4))
    imputer = AEImputer(random_state=0).fit(X)
    given = X.reshape(30, *shape)
    given = given.tolist() if as_list else given
    for method in ("fit", "transform", "fit_transform", "impute"):
        with pytest.raises(ValueError, match=r"got rows of the shape .*: reshape X, or use impute"):
            getattr(imputer, method)(given)

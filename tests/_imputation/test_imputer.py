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
from skae._base.imputation import clip_fills
from skae._data import ColumnRanges, Scaling, TrainingTable
from skae._imputation.fitted import FittedImputer
from skae.modules.cells import CellLayout
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


LINEAR = AutoencoderTransformer(1, hidden_layer_sizes=(), max_epochs=1, random_state=0)

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


def draw_differences(seed=0):
    """Two numbers that are nearly the same, one that follows their difference, and a constant."""
    rng = np.random.default_rng(seed)
    x, difference = rng.uniform(0, 1, 200), 0.1 * rng.normal(size=200)
    X = np.column_stack([x, x + difference, 3 + 10 * difference, np.full(200, 20231105.0)])
    X[rng.random(X.shape) < 0.05] = np.nan
    return X


@pytest.mark.parametrize("estimator", [AEImputer(random_state=0), LINEAR], ids=["own", "other"])
def test_numbers_are_filled_with_what_the_column_may_hold(estimator):
    X = draw_differences()
    X[:, 2] += 1 - np.nanmin(X[:, 2])
    unusual = np.array([[0.9, 0.1, np.nan, np.nan], [0.1, 0.9, np.nan, np.nan]])
    (below, above), low, high = estimator.fit(X).impute(unusual, interval=0.9)
    least, largest = np.nanmin(X[:, 2]), np.nanmax(X[:, 2])
    assert 0 < below[2] == pytest.approx(least - (largest - least) / 10)
    assert above[2] == pytest.approx(largest + (largest - least) / 10)
    assert below[3] == above[3] == 20231105
    # What they would have been is within the limits.
    assert low[0, 2] < -1 < below[2] < high[0, 2]
    assert low[1, 2] < above[2] < 9 < high[1, 2]
    X[:, 2] -= 0.99 * least
    below, _ = estimator.fit(X).impute(unusual)
    assert below[2] == 0  # all values were above


@pytest.mark.parametrize("estimator", [AEImputer(random_state=0), LINEAR], ids=["own", "other"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_trends_go_on_where_a_row_is_outside_of_the_training_rows(estimator, dtype):
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 10, 300)
    X = np.column_stack([x, 2 * x + 1e-3 * rng.normal(size=300), 1 - x]).astype(dtype)
    X[0, 2] = np.nan
    far = np.array([[100, np.nan, np.nan], [np.nan, -40, np.nan]], dtype)
    filled, low, high = estimator.fit(X).impute(far, interval=0.9)
    np.testing.assert_allclose(filled, [[100, 200, -99], [-20, -40, 21]], rtol=0.2)
    for row, column in ((0, 1), (0, 2), (1, 0), (1, 2)):
        middle = (low[row, column] + high[row, column]) / 2
        assert middle == pytest.approx(filled[row, column], rel=1e-5)


def test_a_row_at_an_end_is_within_it():
    """Of which an end of rows in less precision may fall short."""
    X = np.tile([1234.567890123, 0.1, -5.0], (40, 1))
    X[20:] = 1e9 / 3, 0.7, np.nan
    scaling = Scaling(np.zeros(3), np.ones(3))
    ranges = ColumnRanges.from_table(TrainingTable(X.astype(np.float32)))
    ends = ranges.find_ends(CellLayout.from_numbers(3))
    values = np.where(np.isnan(X), 7.0, X)
    np.testing.assert_array_equal(clip_fills(X, values, ends, scaling)[20:, 2], -5.0)


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


def find_ends(estimator):
    """Return between which values an estimator fills numbers."""
    is_imputer = isinstance(estimator, AEImputer)
    return (estimator._fitted if is_imputer else estimator._state.imputation).ends


def test_an_imputer_stored_without_ranges_takes_those_of_its_rows(fitted):
    """So were those of earlier versions."""
    state = fitted._fitted.get_state()
    del state["ranges"]
    old, gaps = FittedImputer.from_state(state), hide(draw_table(60, seed=5), seed=6)
    table = old.columns.encode(gaps).values
    np.testing.assert_array_equal(old.expect(table), fitted._fitted.expect(table))
    for one, other in zip(old.ends, fitted._fitted.ends, strict=True):
        np.testing.assert_allclose(one, other)


def test_ends_are_those_of_all_rows(monkeypatch):
    """A sample of them is remembered, which may lack the largest."""
    monkeypatch.setattr("skae._imputation.fitted.REMEMBERED_ROWS", 100)
    monkeypatch.setattr("skae._base.imputation.REMEMBERED_ROWS", 100)
    x = np.exp(1.5 * np.random.default_rng(0).normal(size=1001))
    X = np.column_stack([x, x])
    X[501] = 400.0  # not one of the hundred
    X[0, 0] = np.nan
    gap = np.array([[390.0, np.nan]])
    for estimator in (AEImputer(random_state=0), LINEAR):
        assert 300 < estimator.fit(X).impute(gap)[0, 1] < 440
        assert find_ends(estimator)[1][1] == pytest.approx(440, rel=1e-3)


@pytest.mark.parametrize("weight", [None, 2])
def test_a_value_that_many_rows_share_may_be_one_of_few_distinct_rows(weight):
    X = np.tile([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0]], (200, 1))
    X[0] = np.nan, 1.0
    weight = None if weight is None else np.full(len(X), weight)
    for fit in (AEImputer(random_state=0).fit, LINEAR.fit, clone(LINEAR).partial_fit):
        np.testing.assert_allclose(find_ends(fit(X, sample_weight=weight)), [[0, 0], [1, 1]])


@pytest.mark.parametrize("origin", [pd.Timestamp("2020-01-01"), pd.Timedelta(hours=100)])
def test_times_go_beyond_the_earliest_which_is_coded_as_zero(origin):
    steps = np.arange(200.0)
    table = pd.DataFrame({"t": origin + pd.to_timedelta(steps, "h"), "n": steps, "v": steps - 100})
    table.loc[0, "n"] = np.nan
    gap = table[:1].assign(v=-110.0)
    gap.loc[0, "t"] = pd.NaT
    for estimator in (AEImputer(random_state=0), LINEAR):
        filled = estimator.fit(table).impute(gap)["t"][0]
        assert abs(filled - (origin - pd.Timedelta(hours=10))) < pd.Timedelta(hours=4)
        np.testing.assert_allclose(find_ends(estimator)[0], [-19.9, 0, -119.9], atol=1e-9)


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

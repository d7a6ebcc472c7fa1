"""The detector on tables of categories, dates and missing cells."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import IsolationForest
from sklearn.mixture import GaussianMixture
from sklearn.utils import get_tags

from skae import (
    AEAnomalyDetector,
    AEImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)

LINEAR = DenoisingAutoencoder(None, hidden_layer_sizes=(), noise_level=(0.1, 5.0), n_draws=2)
SMALL = {"hidden_layer_sizes": (8,), "max_epochs": 2}
KINDS = {"job": str, "town": str, "member": bool | np.bool_, "since": pd.Timestamp}
METHODS = ("decision_function", "predict", "p_values", "discoveries")


def draw(n_rows, seed, missing=0.0):
    """People whose job, membership and date follow from two hidden numbers."""
    rng = np.random.default_rng(seed)
    age, size = rng.normal(size=(2, n_rows))
    job = np.array(["retired", "student", "worker"])[(age < -0.5) + 2 * (np.abs(age) <= 0.5)]
    frame = pd.DataFrame(
        {
            "age": (45 + 15 * age + 2 * rng.normal(size=n_rows)).round(),
            "weight": 70 + 10 * size + 2 * rng.normal(size=n_rows),
            "height": 170 + 8 * size + 3 * rng.normal(size=n_rows),
            "job": pd.Categorical(job),
            "town": rng.choice(["Rome", "Bari", "Como"], n_rows, p=[0.6, 0.3, 0.1]),
            "member": pd.array(age + 0.5 * rng.normal(size=n_rows) > 0, dtype="boolean"),
            "since": pd.Timestamp("2020-01-01")
            + pd.to_timedelta((300 * (rng.normal(size=n_rows) - age)).round(), unit="D"),
        }
    )
    return hide(frame, missing, rng)


def hide(frame, share, rng):
    hidden = rng.uniform(size=frame.shape) < share
    return frame.mask(pd.DataFrame(hidden, frame.index, frame.columns)) if share else frame


@pytest.fixture(scope="module")
def fitted():
    return AEAnomalyDetector(LINEAR, alpha=0.05, random_state=0).fit(draw(800, 0, missing=0.1))


@pytest.fixture(scope="module")
def complete():
    return AEAnomalyDetector(LINEAR, alpha=0.05, random_state=0).fit(draw(800, 0))


# Tables in ---------------------------------------------------------------------------------


def test_frames_of_all_libraries_and_arrays_have_the_same_scores():
    pl = pytest.importorskip("polars", reason="its frames need polars")
    pa = pytest.importorskip("pyarrow", reason="its tables need pyarrow")
    frame = draw(120, 0, missing=0.1)
    plain = frame.drop(columns="since").astype(object).where(frame.notna(), None)
    found = []
    for table in (frame, pl.from_pandas(frame), pa.Table.from_pandas(frame)):
        detector = AEAnomalyDetector(LINEAR, random_state=0).fit(table)
        found.append([getattr(detector, method)(table[:20]) for method in METHODS])
        reasons = detector.explain(table[:1])
        assert list(reasons.loc[0].index) == list(frame.columns)
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            np.testing.assert_array_equal(one, other)
    array = AEAnomalyDetector(LINEAR, random_state=0).fit(plain.to_numpy())
    same = AEAnomalyDetector(LINEAR, random_state=0).fit(plain)
    np.testing.assert_array_equal(
        array.score_samples(plain.to_numpy()[:20]), same.score_samples(plain[:20])
    )
    assert list(array.explain(plain.to_numpy()[:1]).loc[0].index) == list(range(6))


@pytest.mark.parametrize(
    "estimator",
    [
        None,
        AutoencoderTransformer(2, **SMALL),
        VAETransformer(2, **SMALL),
        DenoisingAutoencoder(2, noise="masking", **SMALL),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_every_estimator_of_skae_takes_them(estimator):
    frame = draw(150, 0, missing=0.2)
    detector = AEAnomalyDetector(estimator, random_state=0).fit(frame)
    fresh = draw(20, 1, missing=0.5)
    fresh.iloc[0] = pd.NA
    scores = detector.score_samples(fresh)
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(detector.score_samples(fresh[3:4]), scores[3], rtol=1e-6)
    again = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(again.score_samples(fresh), scores)
    assert detector.n_features_in_ == 7
    assert list(detector.feature_names_in_) == list(frame.columns)
    for model in (detector, detector.estimator_, AEImputer()):
        tags = get_tags(model).input_tags
        assert tags.allow_nan
        assert tags.string
        assert tags.categorical


def test_its_estimator_says_what_columns_hold():
    X = np.column_stack([np.arange(60) % 3, np.random.default_rng(0).normal(size=60)])
    estimator = clone(LINEAR).set_params(categorical_features=[0], max_categories=2)
    detector = AEAnomalyDetector(estimator, random_state=0).fit(X)
    assert detector.estimator_.mean_.shape == (3,)
    names = pd.DataFrame(X, columns=["k", "x"])
    named = clone(detector).set_params(estimator__categorical_features=["k"]).fit(names)
    np.testing.assert_array_equal(named.score_samples(names), detector.score_samples(X))
    # The estimator knows the table's columns too.
    assert list(named.estimator_.feature_names_in_) == ["k", "x"]
    assert list(named.estimator_.reconstruct(names).columns) == ["k", "x"]


def test_a_column_of_which_training_sees_no_cell():
    X = np.random.default_rng(0).normal(size=(100, 3))
    for seed in range(3):
        X[:, 1] = np.nan
        X[seed, 1] = 1.0  # in the calibration rows of some seed
        detector = AEAnomalyDetector(LINEAR, calibration_fraction=0.5, random_state=seed).fit(X)
        assert np.isfinite(detector.score_samples(X)).all()
        assert np.isnan(detector.explain(X[5:6])["expected"].loc[5 - 5, 1])


def test_a_column_that_is_missing_altogether_is_no_reason():
    frame = draw(100, 0).assign(nothing=np.nan)
    with pytest.warns(UserWarning, match="no observed cell in column 'nothing'"):
        detector = AEAnomalyDetector(LINEAR, random_state=0).fit(frame)
    reasons = detector.explain(frame.iloc[:2])
    assert reasons["contribution"].loc[:, "nothing"].eq(0).all()
    assert reasons["expected"].loc[:, "nothing"].isna().all()


def test_a_number_of_columns_or_types_that_were_not_fitted(fitted):
    frame = draw(10, 1)
    with pytest.raises(ValueError, match="feature names"):
        fitted.score_samples(frame.drop(columns="age"))
    with pytest.raises(TypeError, match="numbers in column 'age', as in fitting, got text"):
        fitted.score_samples(frame.assign(age="old"))
    with pytest.raises(ValueError, match=r"got inf.* in column 'weight'"):
        fitted.explain(frame.assign(weight=np.inf))


def test_weights_count_as_copies():
    frame = draw(200, 0, missing=0.1)
    weight = np.random.default_rng(0).integers(0, 3, size=200)
    detector = AEAnomalyDetector(LINEAR, random_state=0)
    weighted = clone(detector).fit(frame, sample_weight=weight)
    copies = clone(detector).fit(frame.loc[frame.index.repeat(weight)])
    np.testing.assert_array_equal(weighted.score_samples(frame), copies.score_samples(frame))


def test_a_checkpoint_knows_the_columns(tmp_path):
    frame = draw(120, 0, missing=0.1)
    plain = AEAnomalyDetector(DenoisingAutoencoder(2, **SMALL), random_state=0)
    kept = clone(plain).set_params(checkpoint=tmp_path / "fit").fit(frame)
    np.testing.assert_array_equal(
        kept.score_samples(frame), clone(plain).fit(frame).score_samples(frame)
    )
    assert not list(tmp_path.iterdir())


# Other estimators --------------------------------------------------------------------------


class Kept(BaseEstimator):
    """An estimator that takes missing cells, and keeps what it is given."""

    def fit(self, X, y=None):
        self.X_ = X
        return self

    def score_samples(self, X):
        return -np.nansum(np.abs(X), axis=1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def test_other_estimators_take_the_missing_cells_that_they_say_they_take():
    X = np.random.default_rng(0).normal(size=(100, 2))
    X[::7, 1] = np.nan
    X[:3] = np.nan
    for estimator in (Kept(), IsolationForest(random_state=0)):
        detector = AEAnomalyDetector(estimator, random_state=0).fit(X)
        assert get_tags(detector).input_tags.allow_nan
        np.testing.assert_array_equal(
            detector.score_samples(X), detector.estimator_.score_samples(X)
        )
        assert not detector.explain(X[:3])["contribution"].any()
    assert not get_tags(AEAnomalyDetector(GaussianMixture())).input_tags.allow_nan


def test_missing_cells_that_an_estimator_does_not_take_are_named():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["x", "y"])
    gap = frame.copy()
    gap.loc[4, "y"] = np.nan
    with pytest.raises(ValueError, match="got nan in column 'y' and row 4: fill such cells"):
        AEAnomalyDetector(GaussianMixture()).fit(gap)
    detector = AEAnomalyDetector(GaussianMixture(), random_state=0).fit(frame)
    with pytest.raises(ValueError, match="got nan in column 'y' and row 4: fill such cells"):
        detector.predict(gap)


# Missing cells -----------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [LINEAR, AutoencoderTransformer(2, hidden_layer_sizes=())])
@pytest.mark.parametrize("known", [0.0, 0.3])
def test_few_observed_cells_are_no_anomaly_and_hide_none(estimator, known):
    """False alarms and found anomalies among rows with many and with few observed cells."""
    alarms, found = {"many": [], "few": []}, []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        detector = AEAnomalyDetector(
            estimator, alpha=0.1, calibration_fraction=0.4, random_state=seed
        ).fit(draw(1200, seed, missing=known))
        clean = draw(1000, seed + 100)
        odd = clean.assign(weight=clean["weight"] + rng.choice([-60, 60], 1000))
        for share in (0.0, 0.2, 0.5, 0.8):
            hidden = hide(clean, share, rng)
            n_observed = hidden.notna().sum(axis=1).to_numpy()
            is_outlier = detector.predict(hidden) == -1
            for name, own in (
                ("few", (n_observed > 0) & (n_observed <= 3)),
                ("many", n_observed > 3),
            ):
                alarms[name].append((is_outlier[own].sum(), own.sum()))
        odd = hide(odd, 0.5, rng)
        found.append((detector.predict(odd) == -1)[odd["weight"].notna()].mean())
    for counts in alarms.values():
        n_outliers, n_rows = np.sum(counts, axis=0)
        assert 0.05 < n_outliers / n_rows < 0.15
    assert np.mean(found) > 0.9


def test_rows_that_are_fuller_than_those_of_fit_are_no_anomaly():
    fresh, rates = draw(500, 9), []
    for seed in range(2):
        detector = AEAnomalyDetector(
            LINEAR, alpha=0.1, calibration_fraction=0.4, random_state=seed
        ).fit(draw(800, seed, missing=0.6))
        rates.append((detector.predict(fresh) == -1).mean())
        scores = detector.score_samples(fresh)
        np.testing.assert_allclose(detector.score_samples(fresh[7:8]), scores[7], rtol=1e-6)
        assert (detector.predict(fresh.assign(weight=300.0, height=20.0)) == -1).mean() > 0.9
    assert np.mean(rates) < 0.25


def test_complete_rows_of_a_complete_table_have_the_scores_that_they_had(complete):
    X = np.random.default_rng(0).normal(size=(300, 4))
    detector = AEAnomalyDetector(LINEAR, random_state=0).fit(X)
    before = detector.score_samples(X)
    score, denoiser = detector._anomaly_score, detector.estimator_
    np.testing.assert_array_equal(before, -score.measure(denoiser, X))
    gaps = X.copy()
    gaps[::2, 1] = np.nan
    found = detector.score_samples(gaps)
    np.testing.assert_allclose(found[1::2], before[1::2], rtol=1e-9)
    assert (found[::2] != before[::2]).all()
    np.testing.assert_array_equal(detector.score_samples(X), before)


def test_a_row_without_an_observed_cell_is_typical(complete, fitted):
    frame = draw(5, 0).iloc[:1]
    frame = frame.mask(pd.DataFrame(True, frame.index, frame.columns))
    for detector in (complete, fitted):
        assert detector.predict(frame) == 1
        assert 0.3 < detector.p_values(frame) < 0.7
        assert not detector.explain(frame)["contribution"].any()


def test_of_mixed_rows_the_errors_at_low_noise_count_most(complete):
    score, denoiser = complete._anomaly_score, complete.estimator_
    rows = denoiser._state.columns.encode(draw(30, 1)).values
    errors = denoiser.denoising_errors(draw(30, 1))[:, :6]
    distances = score.neighbours.measure((rows - denoiser.mean_) / denoiser.scale_)
    expected = 4 * score.by_error.measure(errors) + 2 * score.by_distance.measure(distances)
    np.testing.assert_allclose(complete.score_samples(draw(30, 1)), -expected / 6)


# Labels ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fitted", "complete"])
def test_a_label_that_training_has_not_seen_is_an_anomaly(name, request):
    detector = request.getfixturevalue(name)
    rows = draw(200, 3)
    odd = rows.assign(town="Oslo")
    assert (detector.predict(odd) == -1).mean() > 0.9
    assert (detector.predict(rows.assign(town=None)) == -1).mean() < 0.15
    reasons = detector.explain(odd.iloc[:5])
    for label, own in reasons.groupby(level="row"):
        assert own["contribution"].idxmax() == (label, "town")
    assert set(reasons["value"].loc[:, "town"]) == {"Oslo"}
    assert set(reasons["expected"].loc[:, "town"]) <= {"Rome", "Bari", "Como"}


def test_the_guarantee_holds_for_labels_that_few_rows_have():
    """Calibration rows have such labels as often as fresh ones do."""
    rates = []
    estimator = clone(LINEAR).set_params(n_draws=1, max_categories=None)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        labels = np.where(rng.uniform(size=600) < 0.1, rng.integers(9, 2000, 600), 0)
        frame = pd.DataFrame({"x": rng.normal(size=600), "k": labels.astype(str)})
        detector = AEAnomalyDetector(
            estimator, alpha=0.05, calibration_fraction=0.5, random_state=seed
        ).fit(frame[:300])
        rates.append((detector.predict(frame[300:]) == -1).mean())
    assert np.mean(rates) < 0.05 + 3 * np.std(rates) / np.sqrt(len(rates))


def test_calibration_rows_are_scored_as_fresh_ones():
    """Some of their labels are in no training row: to the detector they are new."""
    rng = np.random.default_rng(0)
    labels = np.where(rng.uniform(size=200) < 0.2, np.arange(200), 0).astype(str)
    frame = pd.DataFrame({"x": rng.normal(size=200), "k": labels})
    estimator = clone(LINEAR).set_params(max_categories=None)
    detector = AEAnomalyDetector(estimator, calibration_fraction=0.3, random_state=0).fit(frame)
    scores = detector.score_samples(frame)
    is_new = scores == detector.score_samples(frame.assign(k="new"))
    assert is_new.sum() > 5
    assert not is_new[labels == "0"].any()
    assert np.isin(scores[is_new], detector.calibration_scores_).all()


RARE_TABLES = [(240, 0.0), (240, 0.15), (800, 0.1)]


@pytest.fixture(scope="module", params=RARE_TABLES, ids=str)
def rare(request):
    """A table in which each of three columns has a label of four rows, and two detectors of it."""
    n_rows, missing = request.param
    rng = np.random.default_rng(4)
    hidden = rng.normal(size=(n_rows, 2))
    frame = pd.DataFrame(hidden @ rng.normal(size=(2, 3)), columns=list("xyz"))
    frame += 0.5 * rng.normal(size=frame.shape)
    for name in "klm":
        noisy = hidden @ rng.normal(size=(2, 3)) + rng.gumbel(size=(n_rows, 3))
        frame[name] = np.array(["u", "v", "w"], dtype=object)[noisy.argmax(axis=1)]
        frame.loc[rng.permutation(n_rows)[:4], name] = "rare"
    usual = frame[(frame[["k", "l", "m"]] != "rare").all(axis=1)].iloc[:60]
    table = hide(frame, missing, rng)
    detectors = [AEAnomalyDetector(random_state=seed).fit(table) for seed in range(2)]
    return table, usual, detectors


def test_scores_are_surprisals(rare):
    """The rarest of so many rows has the logarithm of their number."""
    table, usual, detectors = rare
    least = -2 * np.log(len(table))
    odd = usual.assign(k="rare")
    for detector in detectors:
        assert detector.score_samples(table).min() > least
        for rows in (odd, odd.assign(x=np.nan), odd.assign(l=None)):
            assert detector.score_samples(rows).min() > least
        assert detector.score_samples(usual.assign(x=1e9)).min() > 4 * least


def test_a_seen_label_is_not_stranger_than_an_unseen_one(rare):
    _, usual, detectors = rare
    for detector in detectors:
        for rows in (usual, usual.assign(x=np.nan)):
            for name in "klm":
                seen = detector.score_samples(rows.assign(**{name: "rare"}))
                unseen = detector.score_samples(rows.assign(**{name: "new"}))
                assert (seen > unseen).all()


def test_scores_of_rare_labels_change_little_with_the_seed(rare):
    _, usual, detectors = rare
    odd = usual.assign(k="rare")
    for rows in (odd, odd.assign(x=np.nan)):
        scores = [detector.score_samples(rows) for detector in detectors]
        assert np.abs(scores[0] - scores[1]).max() < 4


def test_hiding_a_cell_makes_no_usual_row_an_outlier(rare):
    table, usual, detectors = rare
    for detector in detectors:
        typical = usual[detector.score_samples(usual) > np.median(detector.score_samples(table))]
        for name in table:
            assert (detector.predict(typical.assign(**{name: None})) == 1).all()


# Explanations ------------------------------------------------------------------------------


def test_reasons_are_the_table_s_own_values(complete):
    frame = draw(40, 5).iloc[[3, 4]].rename(index={3: "a", 4: "b"})
    odd = frame.assign(job=["student", "retired"], age=[85.0, 15.0], member=[True, False])
    odd.loc["b", ["since", "height"]] = pd.NaT, np.nan
    reasons = complete.explain(odd)
    assert list(reasons.index.names) == ["row", "column"]
    assert list(reasons.loc["a"].index) == list(frame.columns)
    for label in ("a", "b"):
        for column in frame.columns:
            line = reasons.loc[(label, column)]
            value = odd.loc[label, column]
            if pd.isna(value):
                assert pd.isna(line["value"])
                assert pd.isna(line["expected"])
                assert line["contribution"] == 0
            else:
                assert line["value"] == value
                assert isinstance(line["expected"], KINDS.get(column, float))
                assert not pd.isna(line["expected"])
    assert set(reasons["expected"].loc[:, "job"]) <= {"retired", "student", "worker"}
    first = reasons.loc["a"]["contribution"].idxmax()
    assert first in ("job", "age")


def test_contributions_of_original_columns_add_up(fitted):
    frame = draw(400, 6, missing=0.2)
    odd = frame.iloc[fitted.score_samples(frame).argsort()[:5]]
    reasons = fitted.explain(odd)
    assert (reasons["contribution"] > 0).any()
    for label, own in reasons.groupby(level="row"):
        row = odd.loc[[label]].astype(object)
        for (_, column), line in own[own["contribution"] > 0].iterrows():
            row[column] = [line["expected"]]
        row = row.astype(odd.dtypes)
        gained = fitted.score_samples(row) - fitted.score_samples(odd.loc[[label]])
        assert own["contribution"].sum() == pytest.approx(gained[0], rel=1e-6, abs=1e-9)


def test_a_planted_cell_is_the_first_reason(complete):
    frame, rng = draw(300, 8), np.random.default_rng(0)
    hits = []
    for column in ("age", "weight", "job"):
        odd = frame.assign(**{column: frame[column].to_numpy()[rng.permutation(300)]})
        odd = odd[complete.predict(odd) == -1].head(12)
        for label, own in complete.explain(odd).groupby(level="row"):
            if odd.loc[label, column] != frame.loc[label, column]:
                hits.append(own["contribution"].idxmax() == (label, column))
    assert len(hits) > 15
    assert np.mean(hits) > 0.7


def test_an_infrequent_label_that_is_not_changed_is_expected_itself():
    rng = np.random.default_rng(0)
    labels = rng.choice(list("uvwxyz"), 200, p=[0.4, 0.3, 0.1, 0.1, 0.05, 0.05])
    frame = pd.DataFrame({"x": rng.normal(size=200), "k": labels})
    estimator = clone(LINEAR).set_params(max_categories=3)
    detector = AEAnomalyDetector(estimator, alpha=0.3, random_state=0).fit(frame)
    usual = frame[frame["x"].abs() < 1]
    reasons = detector.explain(usual)
    same = reasons[reasons["contribution"] == 0].loc[(slice(None), "k"), :]
    assert {"w", "y"} <= set(same.loc[same["expected"] == same["value"], "value"])
    # All infrequent labels are one to the model, which has no preference among them.
    among = same[same["value"].isin(["y", "z"]) & ~same["expected"].isin(["u", "v"])]
    assert len(among) > 0
    assert (among["expected"] == among["value"]).all()


def test_columns_of_one_type_keep_it():
    flags = pd.DataFrame(np.random.default_rng(0).uniform(size=(80, 3)) < 0.3, columns=list("abc"))
    reasons = AEAnomalyDetector(LINEAR, random_state=0).fit(flags).explain(flags[:2])
    assert reasons["value"].dtype == reasons["expected"].dtype == bool


def test_a_single_column_with_gaps():
    X = np.random.default_rng(0).normal(size=(40, 1))
    X[::5] = np.nan
    detector = AEAnomalyDetector(LINEAR, calibration_fraction=0.3, random_state=0).fit(X)
    assert np.isfinite(detector.score_samples(X)).all()
    assert detector.predict([[50.0]]).tolist() == [-1]


def test_a_single_row_is_refused():
    row = pd.DataFrame({"number": [1.0], "label": ["a"]})
    with pytest.raises(ValueError, match="X must have at least 2 rows"):
        AEAnomalyDetector(random_state=0).fit(row)

"""AEAnomalyDetector: scores, thresholds and their guarantees, explanations."""

import math
import pickle
import re
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from skae import (
    AEAnomalyDetector,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae._detection.detector import make_default_estimator


def ring(n_rows, seed):
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, size=n_rows)
    on_it = np.column_stack([np.cos(angle), np.sin(angle)])
    return on_it + 0.05 * rng.normal(size=on_it.shape)


@pytest.fixture(scope="module")
def fitted():
    return AEAnomalyDetector(random_state=0).fit(ring(1000, 0))


# Scores ------------------------------------------------------------------------------------


def test_finds_anomalies_inside_a_ring(fitted):
    inside = 0.3 * ring(200, 2)
    X = np.vstack([ring(200, 1), inside])
    scores = fitted.score_samples(X)
    assert roc_auc_score(np.repeat([1, 0], 200), scores) > 0.98
    assert (fitted.predict(inside) == -1).mean() > 0.95


def test_learns_from_contaminated_rows():
    rng = np.random.default_rng(0)
    X = np.vstack([ring(900, 1), rng.uniform(-1.5, 1.5, size=(60, 2))])
    is_clean = np.repeat([1, 0], [900, 60])
    detector = AEAnomalyDetector(random_state=0).fit(X)
    assert roc_auc_score(is_clean, detector.score_samples(X)) > 0.85


@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_a_number_that_few_rows_have_is_some_times_as_strange_as_the_strangest(missing):
    """Four ones of 240 rows, where all others are 0; an absurd number is stranger."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(240, 4)), np.arange(240) < 4])
    X[rng.random(X.shape) < missing] = np.nan
    odd = X[100:130].copy()
    odd[:, 0], odd[:, 4] = 1.0, 1.0
    for seed in range(2):
        detector = AEAnomalyDetector(random_state=seed).fit(X)
        strangest = detector.score_samples(X[4:]).min()
        ones = np.append(detector.score_samples(X[:4]), detector.score_samples(odd))
        assert 4 * strangest < ones.min() < strangest
        absurd = detector.score_samples(odd * [1e9, 1, 1, 1, 1])
        assert 12 * strangest < absurd.min()
        assert absurd.max() < ones.min()


def factors(n_rows, seed):
    """Four factors, thirty columns."""
    loadings = np.random.default_rng(0).normal(size=(4, 30))
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_rows, 4)) @ loadings + rng.normal(size=(n_rows, 30))


def test_errors_find_anomalies_of_linear_rows_that_distances_miss():
    rng = np.random.default_rng(1)
    X, clean = factors(800, 1), factors(600, 2)
    swapped = np.where(rng.random(clean.shape) < 0.25, rng.permuted(clean, axis=0), clean)
    rows, is_clean = np.vstack([clean, swapped]), np.repeat([1, 0], 600)
    detector, linear = AEAnomalyDetector(random_state=0).fit(X), PCA(4).fit(X)
    score, views = detector._anomaly_score, detector._anomaly_score.view(detector.estimator_, rows)
    found = roc_auc_score(is_clean, detector.score_samples(rows))
    assert found > roc_auc_score(is_clean, -replace(score, weight=1.0).combine(*views)) + 0.025
    assert found > roc_auc_score(is_clean, linear.score_samples(rows)) - 0.025


@pytest.mark.parametrize(
    ("X", "parameters"),
    [
        (ring(400, 0), {}),  # not linear
        (factors(200, 1), {}),  # few rows for their columns
        (factors(500, 1), {"gap": 2}),
        (factors(500, 1), {"estimator": make_default_estimator(400)}),
    ],
)
def test_errors_count_as_much_as_a_distance_elsewhere(X, parameters):
    detector = AEAnomalyDetector(random_state=0, **parameters).fit(X)
    assert detector._anomaly_score.weight == 1


def test_the_labels_are_those_of_the_rows_of_fit_predict():
    X, weight = ring(100, 1), np.repeat([1.0, 2.0], 50)
    detector = AEAnomalyDetector(KernelDensity(), contamination=0.1, random_state=0)
    labels = detector.fit_predict(X, sample_weight=weight)
    np.testing.assert_array_equal(detector.labels_, labels)
    np.testing.assert_array_equal(detector.predict(X), labels)
    assert set(labels) == {-1, 1}
    with pytest.raises(ValueError, match="got nan"):
        detector.fit(np.full((100, 2), np.nan))
    np.testing.assert_array_equal(detector.labels_, labels)  # of the fit that succeeded
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(detector)).labels_, labels)
    assert not hasattr(detector.fit(X), "labels_")


def test_decision_and_prediction_follow_the_score(fitted):
    X = np.vstack([ring(50, 3), 2 * ring(50, 4)])
    decision = fitted.decision_function(X)
    np.testing.assert_allclose(decision, fitted.score_samples(X) - fitted.offset_)
    np.testing.assert_array_equal(fitted.predict(X), np.where(decision >= 0, 1, -1))
    refitted = clone(fitted).fit(X)
    np.testing.assert_array_equal(clone(fitted).fit_predict(X), refitted.predict(X))
    assert set(refitted.predict(X)) == {-1, 1}


def test_scores_do_not_depend_on_the_batch(fitted):
    X = ring(300, 5)
    alone = [fitted.score_samples(row[None])[0] for row in X[:20]]
    # Equal with MKL; other libraries may round products of few rows otherwise.
    np.testing.assert_allclose(alone, fitted.score_samples(X)[:20], rtol=1e-12)


@pytest.mark.parametrize("size", [1e4, 1e12, 1e300])
def test_extreme_values_score_low_and_finite(fitted, size):
    far = np.array([[size, 0.0], [0.0, -size], [size, size]])
    scores = fitted.score_samples(far)
    assert np.isfinite(scores).all()
    assert (scores < fitted.score_samples([[3.0, 3.0]])).all()
    assert (fitted.predict(far) == -1).all()


def test_extreme_values_in_float32(fitted):
    far = np.array([[1e30, 0.0], [1e38, 1e38]], dtype=np.float32)
    assert np.isfinite(fitted.score_samples(far)).all()
    assert (fitted.predict(far) == -1).all()


@pytest.mark.parametrize("estimator", [None, AutoencoderTransformer(2, max_epochs=5)])
def test_a_changed_cell_of_a_constant_column_is_an_anomaly(estimator):
    X = np.column_stack([ring(400, 0), np.full(400, 7.0)])
    detector = AEAnomalyDetector(estimator, random_state=0).fit(X)
    row = X[:1].copy()
    assert detector.predict(row) == 1
    row[0, 2] = 7.5
    assert detector.predict(row) == -1
    assert detector.explain(row)["contribution"].idxmax() == (0, 2)


# Thresholds --------------------------------------------------------------------------------


def test_too_few_rows_for_alpha_are_a_warning():
    X = np.random.default_rng(0).normal(size=(15, 2))
    said = (
        r"alpha=0.01 will not hold: with the 3 rows that calibrate, up to 25% of clean rows are "
        r"outliers. Fit to 495 rows or more, choose an alpha of 0.25 or more, or set contamination"
    )
    with pytest.warns(UserWarning, match=said) as caught:
        detector = AEAnomalyDetector(GaussianMixture()).fit(X)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match=said):
        detector.set_threshold(alpha=0.01)
    with pytest.warns(UserWarning, match="the 5 rows .* up to 17% .* Fit to 297 rows .* of 0.17 "):
        AEAnomalyDetector(GaussianMixture(), calibration_fraction=1 / 3).fit(X)


@pytest.mark.parametrize(
    ("n_rows", "parameters"),
    [(93, {}), (15, {"alpha": 0.25}), (15, {"contamination": 0.1})],
)
def test_enough_rows_for_alpha_are_no_warning(n_rows, parameters):
    X = np.random.default_rng(0).normal(size=(n_rows, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector = AEAnomalyDetector(GaussianMixture(), **parameters).fit(X)
        detector.set_threshold(contamination=0.2).set_threshold(alpha=parameters.get("alpha", 0.3))


def test_a_weight_counts_as_rows_that_calibrate():
    X = np.random.default_rng(0).normal(size=(30, 2))
    detector = AEAnomalyDetector(AutoencoderTransformer(1, max_epochs=1), random_state=0)
    with pytest.warns(UserWarning, match="up to 14%"):
        detector.fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector.fit(X, sample_weight=np.full(30, 10.0))


def test_a_warning_of_few_rows_that_is_an_error_leaves_the_detector_as_it_was():
    X = np.random.default_rng(0).normal(size=(100, 2))
    detector = AEAnomalyDetector(GaussianMixture(random_state=0), random_state=0).fit(X)
    before = detector.score_samples(X), detector.offset_
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="will not hold"):
            detector.fit(X[:15])
        with pytest.raises(UserWarning, match="will not hold"):
            detector.fit(X[:30])
    np.testing.assert_array_equal(detector.score_samples(X), before[0])
    assert detector.offset_ == before[1]


@pytest.mark.parametrize("contamination", [0.05, 0.2, 0.5])
def test_contamination_is_the_share_of_outliers(contamination):
    X = ring(300, 0)
    linear = AutoencoderTransformer(1, hidden_layer_sizes=())
    detector = AEAnomalyDetector(linear, contamination=contamination, random_state=0)
    assert (detector.fit_predict(X) == -1).sum() == round(300 * contamination)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "threshold", [{"alpha": 0.2}, {"alpha": 0.003}, {"contamination": 0.1}, {"contamination": 0.5}]
)
def test_a_moved_threshold_is_that_of_a_fit_with_it(threshold, weighted):
    X = ring(300, 0)
    weight = np.random.default_rng(0).uniform(1, 5, size=300) if weighted else None
    parameters = {"calibration_fraction": 0.3, "random_state": 0}
    linear = AutoencoderTransformer(1, hidden_layer_sizes=())
    expected = AEAnomalyDetector(linear, **parameters, **threshold).fit(X, sample_weight=weight)
    for start in ({"contamination": 0.3}, {} if "alpha" in threshold else threshold):
        detector = AEAnomalyDetector(linear, **parameters, **start).fit(X, sample_weight=weight)
        detector.set_threshold(alpha=0.05)
        moved = pickle.loads(pickle.dumps(detector)).set_threshold(**threshold)
        assert moved.offset_ == expected.offset_ != detector.offset_
        np.testing.assert_array_equal(moved.predict(X), expected.predict(X))
        assert repr(moved) == repr(detector)
    is_outlier = expected.predict(X) == -1
    if threshold == {"alpha": 0.2}:
        np.testing.assert_array_equal(is_outlier, expected.p_values(X) <= 0.2)
    elif "contamination" in threshold:
        counts = np.ones(300) if weight is None else weight
        share = counts[is_outlier].sum() / counts.sum()
        nearly = 1.01 * counts.max() / counts.sum()
        assert share == pytest.approx(threshold["contamination"], abs=nearly)


def test_a_share_moved_to_after_a_fit_by_alpha_is_that_of_the_calibration_rows():
    detector = AEAnomalyDetector(GaussianMixture(), calibration_fraction=0.4, random_state=0)
    detector.fit(ring(500, 0)).set_threshold(contamination=0.25)
    assert (detector.calibration_scores_ < detector.offset_).sum() == 50


@pytest.mark.parametrize(
    ("threshold", "message"),
    [
        ({}, "alpha or contamination"),
        ({"alpha": 0.1, "contamination": 0.1}, "alpha or contamination"),
        ({"alpha": 0.0}, "'alpha' parameter of set_threshold"),
        ({"alpha": 1.0}, "'alpha' parameter of set_threshold"),
        ({"contamination": 0.6}, "'contamination' parameter of set_threshold"),
        ({"alpha": "auto"}, "Got 'auto'"),
        ({"contamination": float("nan")}, "Got nan"),
        ({"alpha": float("nan")}, "Got nan"),
    ],
)
def test_a_threshold_that_is_refused_stays(fitted, threshold, message):
    before = fitted.offset_
    with pytest.raises(ValueError, match=message):
        fitted.set_threshold(**threshold)
    assert fitted.offset_ == before
    with pytest.raises(NotFittedError):
        AEAnomalyDetector().set_threshold(alpha=0.1)


@pytest.mark.parametrize("alpha", [0.01, 0.1])
def test_false_alarm_rate_is_at_most_alpha(alpha):
    """Over tables and calibrations, and for a wrong density: the rows are not Gaussian."""
    alarms, p_small = [], []
    for seed in range(150):
        X = np.random.default_rng(seed).exponential(size=(700, 2)) ** 2
        detector = AEAnomalyDetector(GaussianMixture(), alpha=alpha, random_state=seed)
        detector.fit(X[:500])
        alarms.append((detector.predict(X[500:]) == -1).mean())
        p_small.append((detector.p_values(X[500:]) <= 0.2).mean())
    for rates, promised in ((alarms, alpha), (p_small, 0.2)):
        error = np.std(rates) / np.sqrt(len(rates))
        assert np.mean(rates) < promised + 3 * error
        assert np.mean(rates) > 0.7 * promised  # the bound is tight


def test_the_guarantee_holds_for_a_seed_that_stays_the_same():
    """Rows are sorted, so a split by the seed alone would take the same ranks from each table."""
    rates = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        detector = AEAnomalyDetector(GaussianMixture(random_state=0), random_state=1)
        detector.fit(rng.normal(size=(110, 1)))
        rates.append((detector.predict(rng.normal(size=(200, 1))) == -1).mean())
    n_calibration = len(detector.calibration_scores_)
    assert np.mean(rates) < 1 / (n_calibration + 1) + 3 * np.std(rates) / 10


@pytest.mark.parametrize("scores", ["x", None, np.zeros((60, 2)), ["a"] * 60])
def test_scores_that_are_no_number_for_each_row_are_refused(scores):
    class Odd(BaseEstimator):
        def fit(self, X, y=None):
            return self

        def score_samples(self, X):
            return scores

    with pytest.raises(ValueError, match="score_samples of Odd must give a number for each row"):
        AEAnomalyDetector(Odd()).fit(ring(60, 0))


def test_default_false_alarms_on_fresh_rows(fitted):
    rates = [(fitted.predict(ring(1000, seed)) == -1).mean() for seed in range(10, 15)]
    assert len(fitted.calibration_scores_) == 100
    assert np.mean(rates) < 0.04  # alpha is 0.01, its spread over calibrations 0.01


def test_too_few_rows_for_alpha_give_the_lowest_calibration_score():
    X = ring(60, 0)
    detector = AEAnomalyDetector(GaussianMixture(), random_state=0).fit(X)
    assert len(detector.calibration_scores_) == 12
    # Just below it: the row itself is no outlier, whatever rows it is scored with.
    assert 0 < detector.calibration_scores_[0] - detector.offset_ < 1e-4
    assert detector.p_values([[9.0, 9.0]]) == pytest.approx(1 / 13)


def test_discoveries_are_rarely_false():
    proportions, found = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        clean, odd = rng.normal(size=(1000, 3)), rng.normal(size=(20, 3)) + 6
        detector = AEAnomalyDetector(
            GaussianMixture(), calibration_fraction=0.5, random_state=seed
        ).fit(clean[:800])
        is_found = detector.discoveries(np.vstack([clean[800:], odd]), false_discovery_rate=0.2)
        proportions.append(is_found[:200].sum() / max(is_found.sum(), 1))
        found.append(is_found[200:].mean())
    assert np.mean(found) > 0.9
    assert np.mean(proportions) < 0.2 + 3 * np.std(proportions) / np.sqrt(len(proportions))


def test_discoveries_warn_where_none_can_be_found():
    rng = np.random.default_rng(0)
    detector = AEAnomalyDetector(GaussianMixture(), random_state=0).fit(rng.normal(size=(300, 3)))
    odd = rng.normal(size=(300, 3))
    odd[:30] += 9
    message = "60 calibration rows, the smallest possible p-value is 0.016, and 50 of the 300 rows"
    with pytest.warns(UserWarning, match=message):
        assert not detector.discoveries(odd).any()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert detector.discoveries(odd[:60])[:30].all()
        assert not detector.discoveries(odd[30:]).any()
    with pytest.warns(UserWarning, match="no row can be found at false_discovery_rate=0.01"):
        assert not detector.discoveries(odd[:60], false_discovery_rate=0.01).any()


# Explanations ------------------------------------------------------------------------------


def plant_fault(X, kind, column, rng):
    row = X[rng.integers(len(X))].copy()
    if kind == "shuffled":
        row[column] = X[rng.integers(len(X)), column]
    elif kind == "stuck":
        row[column] = X[:, column].max() + X[:, column].std()
    else:
        row[column] *= 10
    return row


@pytest.mark.parametrize(
    ("load", "n_columns"), [(load_wine, 8), (load_breast_cancer, 4), (load_diabetes, 8)]
)
def test_a_planted_fault_has_the_largest_contribution(load, n_columns):
    X = load().data
    detector = AEAnomalyDetector(alpha=0.05, random_state=0).fit(X)
    rng = np.random.default_rng(0)
    hits = []
    for kind in ("shuffled", "stuck", "unit"):
        for column in rng.permutation(X.shape[1])[:n_columns]:
            row = plant_fault(X, kind, column, rng)[None]
            if detector.predict(row) == -1:
                hits.append(detector.explain(row)["contribution"].idxmax() == (0, column))
    assert len(hits) >= 5
    assert np.mean(hits) >= 0.95


def test_contributions_add_up_to_the_gain_of_the_counterfactual():
    wine = load_wine(as_frame=True).data
    detector = AEAnomalyDetector(random_state=0).fit(wine)
    odd = wine.iloc[[3, 90]].assign(ash=24.0, hue=[5.0, 0.1])
    reasons = detector.explain(odd)
    for label, own in reasons.groupby(level="row"):
        changed = own["expected"].where(own["contribution"] > 0, own["value"])
        changed = changed.droplevel("row").to_frame().T[wine.columns]
        gained = detector.score_samples(changed) - detector.score_samples(odd.loc[[label]])
        assert own["contribution"].sum() == pytest.approx(gained[0], rel=1e-9)
        assert detector.score_samples(changed)[0] >= np.quantile(detector.calibration_scores_, 0.25)


def test_explanations_are_a_frame_of_the_rows_and_columns():
    frame = pd.DataFrame(ring(200, 0), columns=["x", "y"], index=range(100, 300))
    detector = AEAnomalyDetector(GaussianMixture(), random_state=0).fit(frame)
    reasons = detector.explain(frame.iloc[[5, 6]])
    assert list(reasons.index) == [(105, "x"), (105, "y"), (106, "x"), (106, "y")]
    assert list(reasons.columns) == ["value", "expected", "contribution"]
    np.testing.assert_array_equal(reasons["value"], frame.iloc[[5, 6]].to_numpy().ravel())
    assert list(detector.fit(frame.to_numpy()).explain([[0.0, 9.0]]).index) == [(0, 0), (0, 1)]


def make_sales():
    rng = np.random.default_rng(0)
    price = rng.uniform(1, 9, size=90)
    return pd.DataFrame({"price": price, "tax": 0.2 * price, "kind": ["a", "b", "c"] * 30})


@pytest.mark.parametrize("output", ["default", "pandas"])
def test_explanations_behind_a_pipeline_name_the_columns_that_the_steps_made(output):
    sales = make_sales()
    columns = make_column_transformer(
        (StandardScaler(), ["price", "tax"]), (OneHotEncoder(sparse_output=False), ["kind"])
    )
    steps = [columns, AEAnomalyDetector(GaussianMixture(), random_state=0)]
    pipeline = make_pipeline(*steps).set_output(transform=output).fit(sales)
    before, detector = pipeline[:-1], pipeline[-1]
    odd = before.transform(sales.iloc[[7]].assign(tax=40.0))
    names = before.get_feature_names_out()
    reasons = detector.explain(odd, feature_names=names)
    assert list(reasons.index.get_level_values("column")) == list(names)
    assert reasons["contribution"].idxmax()[1] == "standardscaler__tax"
    if output == "pandas":
        pd.testing.assert_frame_equal(detector.explain(odd), reasons)


def test_names_may_be_others_than_those_of_a_frame_with_labels():
    sales = make_sales()
    own = AutoencoderTransformer(1, hidden_layer_sizes=())
    detector = AEAnomalyDetector(own, random_state=0).fit(sales)
    reasons = detector.explain(sales[:1], feature_names=["Preis", "Steuer", "Art"])
    assert list(reasons.index) == [(0, "Preis"), (0, "Steuer"), (0, "Art")]
    assert list(reasons["value"]) == list(detector.explain(sales[:1])["value"])
    with pytest.raises(ValueError, match=r"a name for each of the 3 columns, got .* shape \(2,\)"):
        detector.explain(sales[:1], feature_names=["a", "b"])
    with pytest.raises(ValueError, match="'feature_names' parameter of explain"):
        detector.explain(sales[:1], feature_names="abc")


# Estimators --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "estimator",
    [
        AutoencoderTransformer(1, max_epochs=5),
        VAETransformer(1, max_epochs=5),
        DenoisingAutoencoder(1, noise="swap", max_epochs=5),
        GaussianMixture(2),
        KernelDensity(bandwidth=0.1),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_other_estimators_keep_their_own_score(estimator):
    X = ring(300, 0)
    detector = AEAnomalyDetector(estimator, random_state=0).fit(X)
    np.testing.assert_array_equal(detector.score_samples(X), detector.estimator_.score_samples(X))
    assert not hasattr(estimator, "n_features_in_")
    assert (detector.predict([[5.0, 5.0]]) == -1).all()


@pytest.mark.parametrize("n_rows", [50, 300, 5000, 100_000])
def test_the_default_is_the_documented_denoiser(n_rows):
    text = " ".join(AEAnomalyDetector.__doc__.split())
    (call,) = re.findall(r"`(DenoisingAutoencoder\(hidden[^`]*\))`", text)
    documented = eval(call, {"DenoisingAutoencoder": DenoisingAutoencoder})
    rule = r"(\d+) optimizer steps times the root of the number of rows, and at most ([\d,]+) steps"
    ((factor, most),) = re.findall(rule, text)
    n_steps = min(int(factor) * math.sqrt(n_rows), int(most.replace(",", "")))
    n_batches = math.ceil(n_rows / documented.batch_size)
    documented.set_params(max_epochs=math.ceil(n_steps / n_batches))
    assert make_default_estimator(n_rows).get_params() == documented.get_params()


def test_without_an_estimator_the_default_is_fitted():
    detector = AEAnomalyDetector(random_state=0).fit(ring(300, 0))
    n_calibration = len(detector.calibration_scores_)
    default = make_default_estimator(300).set_params(random_state=detector.estimator_.random_state)
    assert detector.estimator_.get_params() == default.get_params()
    assert n_calibration == 60


def test_the_seed_sets_that_of_the_estimator():
    X = ring(200, 0)
    estimator = VAETransformer(1, max_epochs=3)
    first, second = (AEAnomalyDetector(estimator, random_state=3).fit(X) for _ in range(2))
    np.testing.assert_array_equal(first.score_samples(X), second.score_samples(X))
    assert estimator.random_state is None
    own = AEAnomalyDetector(estimator.set_params(random_state=5), random_state=3).fit(X)
    assert own.estimator_.random_state == 5


def test_sample_weight_needs_an_estimator_that_takes_it():
    X = ring(100, 0)
    with pytest.raises(ValueError, match="GaussianMixture takes no weights"):
        AEAnomalyDetector(GaussianMixture()).fit(X, sample_weight=np.ones(100))


def test_contamination_is_a_share_of_the_weight():
    X = ring(300, 0)
    weight = np.ones(300)
    weight[:20] = 5.0
    linear = AutoencoderTransformer(1, hidden_layer_sizes=())
    detector = AEAnomalyDetector(linear, contamination=0.25, random_state=0)
    outlier = detector.fit(X, sample_weight=weight).predict(X) == -1
    assert weight[outlier].sum() / weight.sum() == pytest.approx(0.25, abs=5 / weight.sum())


def test_weights_that_are_no_counts_weigh_the_calibration_rows():
    X = ring(300, 0)
    weight = 0.25 + np.random.default_rng(1).uniform(size=300)
    linear = AutoencoderTransformer(1, hidden_layer_sizes=())
    detector = AEAnomalyDetector(linear, alpha=0.2, calibration_fraction=0.3, random_state=0)
    scores = detector.fit(X, sample_weight=weight).score_samples(X)
    known = detector.calibration_scores_
    order = scores.argsort()
    indices = order[np.searchsorted(scores[order], known - 1e-9)]
    np.testing.assert_allclose(scores[indices], known)
    counts = weight[indices] / weight.mean()
    as_low = np.array([counts[known <= score + 1e-4].sum() for score in scores])
    expected = (1 + as_low) / (1 + counts.sum())
    np.testing.assert_allclose(detector.p_values(X), expected)
    is_outlier = detector.predict(X) == -1
    assert is_outlier.any()
    assert (detector.p_values(X)[is_outlier] <= 0.2).all()
    assert (detector.p_values(X)[~is_outlier] > 0.2 - 1e-9).all()


@pytest.mark.parametrize("contamination", [0.1, 0.3])
def test_contamination_with_weights_that_are_no_counts(contamination):
    X = ring(300, 0)
    weight = 0.25 + np.random.default_rng(1).uniform(size=300)
    linear = AutoencoderTransformer(1, hidden_layer_sizes=())
    detector = AEAnomalyDetector(linear, contamination=contamination, random_state=0)
    is_outlier = detector.fit(X, sample_weight=weight).predict(X) == -1
    share = weight[is_outlier].sum() / weight.sum()
    assert share == pytest.approx(contamination, abs=weight.max() / weight.sum())
    known = detector.calibration_scores_
    assert (np.diff(known) >= 0).all()
    distances = np.abs(detector.score_samples(X)[:, None] - known).min(axis=0)
    np.testing.assert_allclose(distances, 0, atol=1e-9)


def test_the_estimator_is_fitted_with_the_weights_of_the_training_rows():
    X = np.random.default_rng(0).normal(size=(4000, 2))
    weight = np.where(X[:, 0] > 0, 1.0, 0.123)
    linear = AutoencoderTransformer(1, hidden_layer_sizes=())
    detector = AEAnomalyDetector(linear, random_state=0).fit(X, sample_weight=weight)
    expected = np.average(X, axis=0, weights=weight)
    assert expected[0] > 0.5
    np.testing.assert_allclose(detector.estimator_.mean_, expected, atol=0.03)


def test_reference_rows_of_a_large_table_keep_their_weights():
    """Rows at the left weigh little, and are rare among the 2,000 reference rows."""
    X = np.random.default_rng(0).normal(size=(6000, 2))
    X[:, 0] += np.where(np.arange(6000) % 2, 4.0, -4.0)
    weight = np.where(X[:, 0] > 0, 1.0, 0.0123)
    denoiser = DenoisingAutoencoder(None, hidden_layer_sizes=(), noise_level=(0.1, 5.0), n_draws=1)
    detector = AEAnomalyDetector(denoiser, random_state=0).fit(X, sample_weight=weight)
    scores = detector.score_samples(X)
    assert scores[X[:, 0] < 0].mean() < scores[X[:, 0] > 0].mean() - 1


def test_rows_of_little_weight_are_rare_for_the_default():
    """A group of rows is typical by its number, and rare by its weight."""
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(size=(300, 2)), rng.normal(size=(100, 2)) * 0.3 + 4])
    weight = np.repeat([1.0, 0.013], [300, 100])
    detector = AEAnomalyDetector(
        DenoisingAutoencoder(None, hidden_layer_sizes=(), noise_level=(0.1, 5.0), n_draws=2),
        random_state=0,
    )
    weighted = clone(detector).fit(X, sample_weight=weight).score_samples(X)
    plain = clone(detector).fit(X).score_samples(X)
    assert weighted[300:].mean() < plain[300:].mean() - 0.5


# In scikit-learn ---------------------------------------------------------------------------


def test_in_a_pipeline_and_a_search():
    rng = np.random.default_rng(0)
    X = np.vstack([ring(300, 0), rng.uniform(-1.5, 1.5, size=(40, 2))])
    order = rng.permutation(340)
    X, y = X[order], np.repeat([1, -1], [300, 40])[order]
    denoiser = DenoisingAutoencoder(None, early_stopping=False, trim_fraction=0.1)
    pipeline = make_pipeline(MinMaxScaler(), AEAnomalyDetector(denoiser))
    pipeline.set_params(
        aeanomalydetector__estimator__max_epochs=200,
        aeanomalydetector__estimator__random_state=0,
        aeanomalydetector__random_state=0,
    )
    search = GridSearchCV(
        pipeline,
        {"aeanomalydetector__estimator__hidden_layer_sizes": [(), (64, 64)]},
        scoring="roc_auc",
        cv=2,
    ).fit(X, y)
    assert search.best_params_["aeanomalydetector__estimator__hidden_layer_sizes"] == (64, 64)
    assert search.best_score_ > 0.7


def test_names_and_order_of_columns_are_checked():
    frame = pd.DataFrame(ring(60, 0), columns=["x", "y"])
    detector = AEAnomalyDetector(GaussianMixture()).fit(frame)
    assert list(detector.feature_names_in_) == ["x", "y"]
    with pytest.raises(ValueError, match="feature names"):
        detector.score_samples(frame[["y", "x"]])


# Bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"contamination": 0.6}, "contamination"),
        ({"contamination": "some"}, "contamination"),
        ({"alpha": 0.0}, "alpha"),
        ({"alpha": 1.0}, "alpha"),
        ({"calibration_fraction": 1.0}, "calibration_fraction"),
        ({"estimator": MinMaxScaler()}, "estimator"),
        ({"estimator": "denoiser"}, "estimator"),
    ],
)
def test_parameters_out_of_bounds(parameters, message):
    with pytest.raises(ValueError, match=message):
        AEAnomalyDetector(**parameters).fit(ring(20, 0))


@pytest.mark.parametrize("rate", [0.0, 1.0, 1.5])
def test_false_discovery_rate_must_be_a_share(fitted, rate):
    message = rf"'false_discovery_rate' parameter .* in the range \(0.0, 1.0\). Got {rate}"
    with pytest.raises(ValueError, match=message):
        fitted.discoveries(ring(5, 0), false_discovery_rate=rate)


def test_denoising_errors_need_a_range_of_gaussian_noise():
    swapped = DenoisingAutoencoder(None, noise="swap", max_epochs=1).fit(ring(50, 0))
    with pytest.raises(ValueError, match=r"noise_level=\(low, high\).*got noise='swap'"):
        swapped.denoising_errors(ring(5, 0))


@pytest.mark.parametrize("X", [[[1.0, 2.0]], np.empty((0, 2)), [[np.nan], [np.nan]]])
def test_tables_that_cannot_be_fitted(X):
    with pytest.raises(ValueError, match=r"sample|observed cell"):
        AEAnomalyDetector().fit(X)


def test_copies_of_one_row():
    detector = AEAnomalyDetector(random_state=0).fit(np.ones((20, 3)))
    np.testing.assert_array_equal(detector.predict([[1, 1, 1], [1, 2, 1]]), [1, -1])


def test_fewer_than_two_rows_of_positive_weight():
    with pytest.raises(ValueError, match="two rows of positive weight at least, got 1"):
        AEAnomalyDetector().fit(ring(3, 0), sample_weight=[0, 1, 0])


def test_false_alarms_on_rows_that_repeat():
    """One row in twenty is the same far row: its copies train, calibrate and are tested."""
    alarms = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(1000, 2))
        X[rng.uniform(size=1000) < 0.05] = 6.0
        detector = AEAnomalyDetector(
            AutoencoderTransformer(1, hidden_layer_sizes=()), random_state=seed
        ).fit(X[:500])
        alarms.append((detector.predict(X[500:]) == -1).mean())
    assert np.mean(alarms) < 0.01 + 3 * np.std(alarms) / np.sqrt(len(alarms))


def test_columns_whose_squares_would_overflow_are_refused_by_name():
    frame = pd.DataFrame(ring(60, 0) * [1, 1e155], columns=["x", "y"])
    for estimator in (None, AutoencoderTransformer(1)):
        with pytest.raises(ValueError, match=r"up to 1e\+150, got .* in column 'y'"):
            AEAnomalyDetector(estimator).fit(frame)


class Vague(BaseEstimator):
    """An estimator that has no score for some rows."""

    def fit(self, X, y=None):
        return self

    def score_samples(self, X):
        return np.where(X[:, 0] > 5, np.nan, -np.abs(X[:, 0]))


def test_a_score_that_is_no_number_is_no_verdict():
    X = np.random.default_rng(0).normal(size=(100, 2))
    detector = AEAnomalyDetector(Vague(), random_state=0).fit(X)
    assert set(detector.predict(X)) <= {-1, 1}
    odd = np.array([[0.0, 0.0], [9.0, 0.0]])
    for method in (detector.predict, detector.p_values, detector.decision_function):
        with pytest.raises(ValueError, match="NaN for 1 of 2 rows, the first of which is row 1"):
            method(odd)
    with pytest.raises(ValueError, match="score_samples of Vague must give numbers, got NaN"):
        AEAnomalyDetector(Vague(), random_state=0).fit(np.tile(odd, (50, 1)))


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("activation", "swish"), ("tol", -1), ("early_stopping", 3), ("n_components", -2)],
)
@pytest.mark.parametrize("checkpoint", [None, "fit.ckpt"])
def test_parameters_of_the_estimator_are_validated(parameter, value, checkpoint, tmp_path):
    inner = DenoisingAutoencoder(2, hidden_layer_sizes=(3,), max_epochs=1)
    ours = AEAnomalyDetector(inner.set_params(**{parameter: value}))
    ours.set_params(checkpoint=None if checkpoint is None else tmp_path / checkpoint)
    with pytest.raises(ValueError, match=f"The '{parameter}' parameter of DenoisingAutoencoder"):
        ours.fit(ring(30, 0))


# Rows in the order of time ----------------------------------------------------------------


def make_windows(n_times, seed):
    """Windows of a series in which neighbouring time steps are alike."""
    noise = np.random.default_rng(seed).normal(size=n_times + 20)
    series = np.convolve(noise, 0.9 ** np.arange(20))[20:n_times]
    return np.lib.stride_tricks.sliding_window_view(series, 30)


def test_calibration_rows_with_neighbours_that_train_promise_too_much():
    """The nearest row is the window of one time step before, as it is of no fresh window."""
    rates = []
    for gap in (None, 30):
        detector = AEAnomalyDetector(KernelDensity(bandwidth=0.5), alpha=0.05, gap=gap)
        detector.set_params(random_state=0).fit(make_windows(2000, 0))
        rates.append((detector.predict(make_windows(2000, 1)[::5]) == -1).mean())
    assert rates[0] > 0.15
    assert rates[1] < 0.1


def test_the_last_rows_calibrate_behind_the_gap():
    X = np.random.default_rng(0).normal(size=(300, 2)).cumsum(axis=0)
    detector = AEAnomalyDetector(KernelDensity(), gap=40, random_state=0).fit(X)
    np.testing.assert_array_equal(np.asarray(detector.estimator_.tree_.data), X[:200])
    last = detector.score_samples(X[240:])
    np.testing.assert_allclose(detector.calibration_scores_, np.sort(last))


def test_an_estimator_holds_rows_out_in_time_too():
    inner = AutoencoderTransformer(2, hidden_layer_sizes=(), max_epochs=1)
    given = {None: 7, 3: 3}
    for own, expected in given.items():
        detector = AEAnomalyDetector(clone(inner).set_params(gap=own), gap=7, random_state=0)
        assert detector.fit(ring(50, 0)).estimator_.gap == expected
        assert detector.estimator.gap is own
    assert AEAnomalyDetector(gap=7).fit(ring(50, 0)).estimator_.gap == 7


def test_weights_of_rows_in_time_are_not_written_out():
    X, weight = ring(100, 0), np.repeat([1.0, 2.0, 0.0, 1.0], 25)
    detector = AEAnomalyDetector(GaussianMixture(), gap=5, random_state=0)
    with pytest.raises(ValueError, match="fit of GaussianMixture takes no weights"):
        detector.fit(X, sample_weight=weight)
    detector.set_params(estimator=KernelDensity()).fit(X, sample_weight=weight)
    np.testing.assert_array_equal(
        np.asarray(detector.estimator_.tree_.data), X[[*range(50), *range(75, 80)]]
    )


def test_a_gap_that_leaves_nothing_to_train_on():
    detector = AEAnomalyDetector(gap=80, random_state=0)
    with pytest.raises(ValueError, match="gap must leave rows to train on, got gap=80 and 100"):
        detector.fit(ring(100, 0))


def test_a_gap_of_the_estimator_alone_is_refused():
    X = np.random.default_rng(0).normal(size=(60, 3))
    inner = DenoisingAutoencoder(2, hidden_layer_sizes=(), gap=5)
    with pytest.raises(ValueError, match=r"gap=5 of the estimator .* set gap of the detector"):
        AEAnomalyDetector(inner).fit(X)
    AEAnomalyDetector(inner, gap=5, alpha=0.2, random_state=0).fit(X)

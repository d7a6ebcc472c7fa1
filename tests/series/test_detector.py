"""Anomalies of a series, by time step."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AEAnomalyDetector, AutoencoderTransformer
from skae.series import SeriesAnomalyDetector, Windows
from skae.series import detector as detector_file
from skae.series import windows as windows_file

LINEAR = AutoencoderTransformer(2, hidden_layer_sizes=())
DETECTOR = SeriesAnomalyDetector(LINEAR, length=20, random_state=0)


def make_sine(n_times, seed=0):
    noise = np.random.default_rng(seed).normal(size=n_times)
    return np.sin(np.arange(n_times) / 5) + 0.05 * noise


@pytest.fixture(scope="module")
def fitted():
    return clone(DETECTOR).fit(make_sine(1000))


@pytest.mark.parametrize("step", [1, 4])
def test_a_planted_anomaly_is_found_where_it_is(step):
    detector = clone(DETECTOR).set_params(step=step).fit(make_sine(1500))
    series = make_sine(400, seed=1)
    series[200:215] *= -1
    scores = detector.score_samples(series)
    assert scores.shape == (400,)
    assert 195 <= scores.argmin() < 220
    found = np.flatnonzero(detector.predict(series) == -1)
    assert {*range(202, 213)} <= set(found)
    assert (np.abs(found - 207) >= 40).sum() < 0.05 * 400


def test_the_score_of_a_step_is_the_mean_of_its_windows(fitted):
    series = make_sine(60, seed=1)
    each = fitted.detector_.score_samples(Windows(20).fit_transform(series))
    scores = fitted.score_samples(series)
    for time in (0, 1, 25, 40, 59):
        windows = each[max(0, time - 19) : time + 1]
        np.testing.assert_allclose(scores[time], windows.mean())


def test_last_windows_that_calibrate_overlap_none_that_trains():
    detector = clone(DETECTOR).set_params(calibration_fraction=0.1).fit(make_sine(1000))
    assert detector.detector_.gap == 20
    n_calibration = len(detector.detector_.calibration_scores_)
    assert n_calibration == 98
    # Scores of the steps of the last windows, by these windows alone.
    last = make_sine(1000)[-(n_calibration + 19) :]
    np.testing.assert_allclose(detector.calibration_scores_, np.sort(detector.score_samples(last)))
    assert (detector.calibration_scores_ < detector.offset_).mean() <= 0.01


class Nearest(BaseEstimator):
    """Score windows of a series 0, 1, 2, ... by how near a time step is that has trained."""

    def fit(self, X):
        self.known_ = np.unique(X)
        return self

    def score_samples(self, X):
        return -np.abs(X[:, :, None] - self.known_).min(axis=(1, 2))


@pytest.mark.parametrize("step", [1, 3])
def test_all_windows_calibrate_and_overlap_none_that_trains(step):
    detector = SeriesAnomalyDetector(Nearest(), length=10, step=step, alpha=0.2)
    detector.fit(np.arange(200.0))
    n_windows = 191 if step == 1 else 65
    of_windows = detector.detector_.calibration_scores_
    assert len(of_windows) == n_windows
    assert of_windows[-1] < 0  # no window has a time step that trained
    assert of_windows[-1] >= -10  # the gap is no larger than it must be
    assert len(detector.calibration_scores_) == 200
    # All windows have trained in the end.
    np.testing.assert_array_equal(detector.score_samples(np.arange(200.0)), np.zeros(200))


@pytest.mark.parametrize("phi", [0.0, 0.9])
def test_false_alarms_are_near_alpha_on_short_stationary_series(phi):
    rates = []
    for seed in range(8):
        noise = np.random.default_rng(seed).normal(size=3000)
        series = lfilter([1], [1, -phi], noise)
        detector = SeriesAnomalyDetector(KernelDensity(bandwidth=0.5), length=8, alpha=0.05)
        rates.append((detector.fit(series[:600]).predict(series[1000:]) == -1).mean())
    assert 0.025 < np.mean(rates) < 0.09
    assert max(rates) < 0.2


def test_the_share_of_steps_that_are_anomalies():
    series = make_sine(600)
    detector = clone(DETECTOR).set_params(contamination=0.1).fit(series)
    assert (detector.predict(series) == -1).sum() == 60
    known = clone(DETECTOR).fit(series).calibration_scores_
    np.testing.assert_array_equal(detector.calibration_scores_, known)
    np.testing.assert_array_equal(detector.fit_predict(series), detector.predict(series))


def test_steps_of_frames_and_lists_are_those_of_arrays(fitted):
    series = make_sine(60, seed=1)
    expected = fitted.decision_function(series)
    frame = pd.DataFrame({"x": series}, index=pd.date_range("2024", periods=60, freq="h"))
    named = clone(DETECTOR).fit(pd.DataFrame({"x": make_sine(1000)}))
    np.testing.assert_allclose(named.decision_function(frame), expected)
    parts = fitted.decision_function([series, series[:30]])
    np.testing.assert_allclose(parts[0], expected)
    np.testing.assert_allclose(parts[1], fitted.decision_function(series[:30]))
    labels = fitted.predict([series, series[:30]])
    np.testing.assert_array_equal(labels[0], np.where(expected >= 0, 1, -1))


def test_recordings_are_fitted_apart():
    recordings = [make_sine(300, seed=seed) for seed in range(3)]
    detector = clone(DETECTOR).fit(recordings)
    assert detector.windows_.lengths_ == [300, 300, 300]
    assert len(detector.calibration_scores_) == 900
    detector.set_params(calibration_fraction=0.1).fit(recordings)
    assert 84 + 19 <= len(detector.calibration_scores_) <= 84 + 2 * 19


def test_other_estimators_and_pipelines():
    series = make_sine(500)
    forest = clone(DETECTOR).set_params(estimator=IsolationForest(random_state=0)).fit(series)
    assert forest.score_samples(series).shape == (500,)
    pipeline = make_pipeline(StandardScaler(), clone(DETECTOR)).fit(series[:, None])
    assert pipeline.predict(series[:, None]).shape == (500,)
    rows = AEAnomalyDetector(LINEAR, calibration_fraction=0.2, gap=20, random_state=0)
    windows = make_pipeline(Windows(20), rows)
    each = windows.fit(series).score_samples(series)
    steps = windows[0].spread(each)
    own = clone(DETECTOR).set_params(calibration_fraction=0.2)
    np.testing.assert_allclose(steps, own.fit(series).score_samples(series))


def test_a_pickle_scores_alike(fitted):
    series = make_sine(60, seed=1)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(series), fitted.predict(series))
    np.testing.assert_allclose(again.score_samples(series), fitted.score_samples(series))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (make_sine(19), "n_samples = 19 with length=20"),
        (make_sine(40), "windows to train on .* got 40 time steps with length=20: fit to a longer"),
        (np.full((400, 1), np.inf), "infinity"),
    ],
)
def test_faults_leave_the_detector_as_it_was(fitted, X, message):
    detector = pickle.loads(pickle.dumps(fitted))
    before = dict(vars(detector))
    with pytest.raises(ValueError, match=message):
        detector.fit(X)
    assert vars(detector) == before


@pytest.mark.parametrize("n_times", [80, 100, 118, 119, 160])
@pytest.mark.parametrize("early_stopping", [True, False])
def test_a_short_series_is_fitted(n_times, early_stopping):
    """The last windows calibrate where blocks in the middle would leave too few to train on."""
    estimator = AutoencoderTransformer(2, max_epochs=1, early_stopping=early_stopping)
    detector = SeriesAnomalyDetector(estimator, length=20, random_state=0, contamination=0.1)
    assert np.isfinite(detector.fit(make_sine(n_times)).score_samples(make_sine(40))).all()
    is_whole = len(detector.calibration_scores_) == n_times
    assert is_whole == (n_times >= 119)


def fit_recording_warnings(n_times, **parameters):
    detector = clone(DETECTOR).set_params(**parameters)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        detector.fit(make_sine(n_times))
    return found


@pytest.mark.parametrize(
    ("n_times", "parameters", "texts"),
    [
        (379, {}, ["of 18 windows", "up to 5% of usual"]),
        (150, {}, ["the 150 time steps", "of 7 windows", "up to 12%", "choose a smaller"]),
        (
            1000,
            {"calibration_fraction": 0.1},
            [
                "the 117 time steps",
                "of 5 windows",
                "up to 17%",
                'calibration_fraction="auto"',
            ],
        ),
    ],
)
def test_a_few_windows_apart_say_that_alpha_will_not_hold(n_times, parameters, texts):
    (warning,) = fit_recording_warnings(n_times, **parameters)
    assert "alpha=0.01 will not hold" in str(warning.message)
    assert all(text in str(warning.message) for text in texts)
    assert warning.filename == __file__


@pytest.mark.parametrize(
    ("n_times", "parameters"),
    [(400, {}), (150, {"alpha": 0.2}), (600, {"calibration_fraction": 0.1, "contamination": 0.1})],
)
def test_nothing_warns_where_the_threshold_holds(n_times, parameters):
    assert fit_recording_warnings(n_times, **parameters) == []


def test_a_threshold_that_moves_warns_as_that_of_the_fit():
    detector = clone(DETECTOR).set_params(contamination=0.1).fit(make_sine(150))
    with pytest.warns(UserWarning, match="alpha=0.02 will not hold: .* an alpha of 0.13 or") as got:
        detector.set_threshold(alpha=0.02)
    assert got[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector.set_threshold(alpha=0.2).set_threshold(contamination=0.2)


def test_the_threshold_moves_without_another_fit():
    series = make_sine(1000)
    same_rows = clone(DETECTOR)
    moved = clone(same_rows).fit(series).set_threshold(alpha=0.2)
    again = same_rows.set_params(alpha=0.2).fit(series)
    assert moved.offset_ == again.offset_
    assert moved.alpha == 0.01
    labelled = clone(DETECTOR).set_params(contamination=0.1).fit(series)
    labelled.set_threshold(contamination=0.2)
    assert (labelled.predict(series) == -1).sum() == 200
    # Time steps were not scored by the fit, so that the share is of those that calibrate.
    moved.set_threshold(contamination=0.25)
    known = moved.calibration_scores_
    assert (known < moved.offset_).mean() == pytest.approx(0.25, abs=1 / len(known))


@pytest.mark.parametrize("given", [{}, {"alpha": 0.1, "contamination": 0.1}, {"alpha": 1.5}])
def test_a_threshold_must_be_one_of_two(fitted, given):
    with pytest.raises(ValueError, match="set_threshold"):
        pickle.loads(pickle.dumps(fitted)).set_threshold(**given)


def test_labels_are_those_of_the_fit():
    series = make_sine(400)
    detector = clone(DETECTOR).set_params(alpha=0.2)
    labels = detector.fit_predict(series)
    np.testing.assert_array_equal(detector.labels_, labels)
    np.testing.assert_array_equal(labels, detector.predict(series))
    assert not hasattr(detector.fit(series), "labels_")


def test_a_fit_reads_a_series_once(monkeypatch):
    read, counted = detector_file.read_recordings, []
    for file in (detector_file, windows_file):
        monkeypatch.setattr(
            file, "read_recordings", lambda *a, **k: counted.append(1) or read(*a, **k)
        )
    with monkeypatch.context() as patch:
        patch.setattr(AEAnomalyDetector, "_read", None)  # nor are its windows read again to score
        detector = clone(DETECTOR).fit(make_sine(400))
    detector.score_samples(make_sine(40))
    assert len(counted) == 2

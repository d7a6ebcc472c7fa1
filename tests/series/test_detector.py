"""Anomalies of a series, by time step."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AEAnomalyDetector, AutoencoderTransformer
from skae.series import SeriesAnomalyDetector, Windows
from skae.series import detector as detector_file
from skae.series import windows as windows_file

# Most of these series are short, and of no interest here is how many alarms they raise.
pytestmark = pytest.mark.filterwarnings("ignore:alpha=.* will not hold:UserWarning")

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
    detector = clone(DETECTOR).set_params(step=step).fit(make_sine(4000))
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


def test_calibration_windows_overlap_none_that_trains(fitted):
    assert fitted.detector_.gap == 20
    n_calibration = len(fitted.detector_.calibration_scores_)
    assert n_calibration == 99
    # Scores of the steps of the last windows, by these windows alone.
    last = make_sine(1000)[-(n_calibration + 19) :]
    np.testing.assert_allclose(fitted.calibration_scores_, np.sort(fitted.score_samples(last)))
    assert (fitted.calibration_scores_ < fitted.offset_).mean() <= 0.01


def test_the_share_of_steps_that_are_anomalies():
    series = make_sine(600)
    detector = clone(DETECTOR).set_params(contamination=0.1).fit(series)
    assert (detector.predict(series) == -1).sum() == 60
    last = series[-(len(detector.detector_.calibration_scores_) + 19) :]
    known = np.sort(detector.score_samples(last))
    np.testing.assert_allclose(detector.calibration_scores_, known)
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
    assert 99 + 19 <= len(detector.calibration_scores_) <= 99 + 2 * 19


def test_other_estimators_and_pipelines():
    series = make_sine(500)
    forest = clone(DETECTOR).set_params(estimator=IsolationForest(random_state=0)).fit(series)
    assert forest.score_samples(series).shape == (500,)
    pipeline = make_pipeline(StandardScaler(), clone(DETECTOR)).fit(series[:, None])
    assert pipeline.predict(series[:, None]).shape == (500,)
    windows = make_pipeline(Windows(20), AEAnomalyDetector(LINEAR, gap=20, random_state=0))
    each = windows.fit(series).score_samples(series)
    steps = windows[0].spread(each)
    np.testing.assert_allclose(steps, clone(DETECTOR).fit(series).score_samples(series))


def test_a_pickle_scores_alike(fitted):
    series = make_sine(60, seed=1)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(series), fitted.predict(series))
    np.testing.assert_allclose(again.score_samples(series), fitted.score_samples(series))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (make_sine(19), "n_samples = 19 with length=20"),
        (make_sine(40), "gap must leave rows to train on, got gap=20 and 21 rows"),
        (np.full((400, 1), np.inf), "infinity"),
    ],
)
def test_faults_leave_the_detector_as_it_was(fitted, X, message):
    detector = pickle.loads(pickle.dumps(fitted))
    before = dict(vars(detector))
    with pytest.raises(ValueError, match=message):
        detector.fit(X)
    assert vars(detector) == before


def fit_recording_warnings(n_times, **parameters):
    detector = clone(DETECTOR).set_params(**parameters)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        detector.fit(make_sine(n_times))
    return found


def test_a_few_windows_apart_say_that_alpha_will_not_hold():
    (warning,) = fit_recording_warnings(1000)
    # 99 windows of 20 have 118 time steps.
    assert "alpha=0.01 will not hold: the 99 calibration windows" in str(warning.message)
    assert "of 5 that do not overlap, so expect some 17%" in str(warning.message)
    assert warning.filename == __file__


@pytest.mark.parametrize(
    ("n_times", "parameters"),
    [(1000, {"calibration_fraction": 0.3}), (1000, {"alpha": 0.2}), (600, {"contamination": 0.1})],
)
def test_nothing_warns_where_the_threshold_holds(n_times, parameters):
    assert fit_recording_warnings(n_times, **parameters) == []


def test_the_threshold_moves_without_another_fit():
    series = make_sine(1000)
    same_rows = clone(DETECTOR).set_params(calibration_fraction=0.1)
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
    detector = clone(DETECTOR).fit(make_sine(400))
    detector.score_samples(make_sine(40))
    assert len(counted) == 2

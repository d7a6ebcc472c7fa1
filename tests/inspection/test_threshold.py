"""The calibration of a detector, drawn."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from sklearn.mixture import GaussianMixture

from skae import AEAnomalyDetector
from skae.inspection import ThresholdDisplay
from skae.series import SeriesAnomalyDetector

from .displays import legend_of


@pytest.fixture(scope="module")
def detector():
    X = np.random.default_rng(0).normal(size=(300, 2))
    return AEAnomalyDetector(GaussianMixture(), alpha=0.1, random_state=0).fit(X)


def test_bars_and_line_are_those_of_the_detector(detector):
    display = ThresholdDisplay.from_estimator(detector)
    n_rows = len(detector.calibration_scores_)
    assert sum(bar.get_height() for bar in display.bars_) == n_rows
    np.testing.assert_array_equal(display.line_.get_xdata(), [detector.offset_] * 2)
    assert legend_of(display.ax_) == ["threshold", f"{n_rows} calibration rows"]
    assert display.scatter_ == []


def test_rows_are_marked_with_their_p_values(detector):
    X = pd.DataFrame([[0.0, 0.0], [3.0, 0.0]], index=["usual", "odd"])
    display = ThresholdDisplay.from_estimator(detector, X)
    out, inside = display.scatter_
    scores = detector.score_samples(X.to_numpy())
    assert out.get_xdata() == pytest.approx([scores[1]])
    assert inside.get_xdata() == pytest.approx([scores[0]])
    assert out.get_marker() != inside.get_marker()
    p_usual, p_odd = detector.p_values(X.to_numpy())
    assert [text.get_text() for text in display.ax_.texts] == [
        f"usual: p = {p_usual:.2g}",
        f"odd: p = {p_odd:.2g}",
    ]
    assert {"1 outlier", "1 inlier"} < set(legend_of(display.ax_))


def test_a_detector_without_p_values():
    series = np.sin(np.arange(400.0))[:, None]
    detector = SeriesAnomalyDetector(
        GaussianMixture(random_state=0), length=4, calibration_fraction=0.3
    ).fit(series)
    display = ThresholdDisplay.from_estimator(detector, series[:6])
    assert display.p_values is None
    assert len(display.scores) == 6


def make_display(scores, **options):
    return ThresholdDisplay.from_predictions(np.linspace(0, 1, 50), 0.1, scores, **options)


def test_far_rows_leave_the_histogram_in_view():
    display = make_display([-900.0, 0.05, 0.5])
    far, out, inside = display.scatter_
    assert far.get_xdata() == [-2]
    assert far.get_marker() == "<"
    assert out.get_xdata() == [0.05]
    assert inside.get_xdata() == [0.5]
    assert [text.get_text() for text in display.ax_.texts] == [
        "row 0, score -900",
        "row 1",
        "row 2",
    ]
    low, high = display.ax_.get_xlim()
    assert -3 < low < -2
    assert 1 < high < 1.5


def test_the_shade_ends_at_the_threshold():
    display = make_display([0.5])
    (shade,) = [patch for patch in display.ax_.patches if patch.get_zorder() == 0]
    box = shade.get_window_extent().transformed(display.ax_.transData.inverted())
    assert (box.x0, box.x1) == pytest.approx((display.ax_.get_xlim()[0], 0.1))


def test_many_rows_are_counted_not_named():
    display = make_display(np.linspace(0, 1, 30))
    assert len(display.ax_.texts) == 0
    assert {"27 inliers", "3 outliers"} <= set(legend_of(display.ax_))


def test_names_are_text_and_do_not_overlap():
    display = make_display(np.full(8, 0.3), names=[f"${n}$" for n in range(8)])
    display.figure_.draw_without_rendering()
    assert not any(text.get_parse_math() for text in display.ax_.texts)
    boxes = sorted((text.get_window_extent() for text in display.ax_.texts), key=lambda b: b.y0)
    assert all(low.y1 <= high.y0 + 1 for low, high in pairwise(boxes))
    top = max(box.y1 for box in boxes)
    assert top <= display.ax_.get_window_extent().y1


def test_equal_scores():
    display = ThresholdDisplay(calibration_scores=np.ones(5), threshold=1.0).plot()
    assert [bar.get_height() for bar in display.bars_] == [5]

"""Why rows are anomalies, as bars."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

from skae import AEAnomalyDetector
from skae.inspection import ReasonsDisplay


def make_reasons(contributions, index=("first", "second")):
    contributions = np.asarray(contributions, dtype=float)
    names = [f"column {place}" for place in range(contributions.shape[1])]
    return pd.DataFrame(
        {"value": 5.0, "expected": 2.0, "contribution": contributions.ravel()},
        index=pd.MultiIndex.from_product([index, names], names=["row", "column"]),
    )


def names_of(display):
    return [label.get_text() for label in display.ax_.get_yticklabels()]


def texts_of(display):
    return [text.get_text() for text in display.ax_.texts]


def test_bars_are_shares_largest_first():
    display = ReasonsDisplay.from_predictions(make_reasons([[1, 3, 0], [0, 0, 2]]))
    assert names_of(display) == ["column 1", "column 0", "column 2"]
    np.testing.assert_allclose([bar.get_width() for bar in display.bars_], [0.75, 0.25, 1])
    assert texts_of(display) == [
        "row first: 4.0 nats",
        "5, expected 2",
        "5, expected 2",
        "row second: 2.0 nats",
        "5, expected 2",
    ]


def test_few_reasons_of_many():
    reasons = make_reasons([[1, 3, 4, 2, 0.5]], index=["only"])
    display = ReasonsDisplay.from_predictions(reasons, n_reasons=2)
    assert names_of(display) == ["column 2", "column 1"]


def test_a_row_that_no_cell_explains():
    display = ReasonsDisplay.from_predictions(make_reasons([[0, 0], [1, 0]]))
    assert texts_of(display)[0] == "row first: no change of a cell gains anything"
    assert names_of(display) == ["column 0"]


def test_cells_that_contribute_next_to_nothing_are_left_out():
    display = ReasonsDisplay.from_predictions(make_reasons([[1, 100, 2]], index=["only"]))
    assert names_of(display) == ["column 1", "column 2"]


def test_rows_that_share_a_label():
    display = ReasonsDisplay.from_predictions(make_reasons([[1, 0], [0, 2]], index=["x", "y"]))
    twice = make_reasons([[1, 0], [0, 2]], index=["x", "y"])
    twice.index = pd.MultiIndex.from_tuples([("x", name) for _, name in twice.index])
    assert names_of(ReasonsDisplay.from_predictions(twice)) == names_of(display)


def test_twelve_rows_at_most():
    reasons = make_reasons(np.ones((20, 2)), index=range(20))
    display = ReasonsDisplay.from_predictions(reasons)
    assert len(display.bars_) == 24


def test_dates_are_short():
    reasons = make_reasons([[1.0]], index=["only"])
    reasons["value"] = pd.Timestamp("2020-01-31")
    reasons["expected"] = pd.Timestamp("2020-01-31 12:30")
    texts = texts_of(ReasonsDisplay.from_predictions(reasons))
    assert texts[1] == "2020-01-31, expected 2020-01-31 12..."


def test_names_and_values_are_text():
    reasons = make_reasons([[1.0]], index=["$"]).rename({"column 0": "$x$"}, level=1)
    reasons["value"], reasons["expected"] = "$a$", "b" * 30
    display = ReasonsDisplay.from_predictions(reasons)
    assert texts_of(display)[1] == f"$a$, expected {'b' * 13}..."
    texts = [*display.ax_.texts, *display.ax_.get_yticklabels()]
    assert not any(text.get_parse_math() for text in texts)
    display.figure_.draw_without_rendering()


def test_bars_and_texts_do_not_overlap():
    display = ReasonsDisplay.from_predictions(make_reasons(np.ones((6, 4)), index=range(6)))
    display.figure_.draw_without_rendering()
    boxes = sorted((text.get_window_extent() for text in display.ax_.texts), key=lambda b: b.y0)
    assert all(low.y1 <= high.y0 for low, high in pairwise(boxes))


def test_from_estimator(wine):
    detector = AEAnomalyDetector(NormalScore(), random_state=0).fit(wine)
    odd = wine[:2].copy()
    odd[0, 2] = 24.3
    display = ReasonsDisplay.from_estimator(detector, odd, n_reasons=1)
    pd.testing.assert_frame_equal(display.reasons, detector.explain(odd))
    assert names_of(display)[0] == "2"
    assert texts_of(display)[1].startswith("24.3, expected")


def test_frames_of_other_columns():
    with pytest.raises(ValueError, match=r"got the columns \('a',\): pass what explain returns"):
        ReasonsDisplay(reasons=pd.DataFrame({"a": [1]})).plot()


class NormalScore(BaseEstimator):
    """Independent normal columns: a score whose reasons are quick to find."""

    def fit(self, X, y=None):
        self.mean_, self.scale_ = X.mean(axis=0), X.std(axis=0)
        return self

    def score_samples(self, X):
        return -0.5 * np.square((X - self.mean_) / self.scale_).sum(axis=1)

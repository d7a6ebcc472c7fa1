"""Displays say which estimators they take."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture

from skae import AEAnomalyDetector
from skae.inspection import LatentDisplay, ReasonsDisplay, ThresholdDisplay

X = np.random.default_rng(0).normal(size=(40, 3))
OTHERS = [
    (
        LatentDisplay,
        GaussianMixture(random_state=0),
        "a transformer, which has transform, got GaussianMixture",
    ),
    (ReasonsDisplay, PCA(), "a detector of skae, which has explain, got PCA"),
    (ThresholdDisplay, PCA(), "a detector of skae, which has calibration_scores_, got PCA"),
]


@pytest.mark.parametrize(("display", "estimator", "message"), OTHERS)
def test_other_estimators_are_refused(display, estimator, message):
    with pytest.raises(TypeError, match=message):
        display.from_estimator(estimator.fit(X), X)


@pytest.mark.parametrize("display", [ReasonsDisplay, ThresholdDisplay])
def test_estimators_are_fitted(display):
    with pytest.raises(NotFittedError):
        display.from_estimator(AEAnomalyDetector(), X)

"""`random_state` takes generators wherever there is such a parameter."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

from skae import AEAnomalyDetector, AutoencoderTransformer, DenoisingAutoencoder, VAETransformer

ROWS = np.random.default_rng(0).normal(size=(60, 3))
SMALL = {"hidden_layer_sizes": (4,), "max_epochs": 1, "early_stopping": False}
ESTIMATORS = [
    AutoencoderTransformer(2, **SMALL),
    DenoisingAutoencoder(2, n_draws=2, **SMALL),
    VAETransformer(2, n_draws=2, **SMALL),
    AEAnomalyDetector(DenoisingAutoencoder(2, n_draws=2, **SMALL)),
]
MAKERS = [np.random.RandomState, np.random.default_rng]


def name_of(value):
    return type(value).__name__ if hasattr(value, "fit") else value.__name__


def fit_with(estimator, random_state):
    return clone(estimator).set_params(random_state=random_state).fit(ROWS).score_samples(ROWS)


@pytest.mark.parametrize("make", MAKERS, ids=name_of)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
def test_a_generator_is_advanced_by_each_fit(estimator, make):
    generator = make(0)
    first, second = (fit_with(estimator, generator) for _ in range(2))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(fit_with(estimator, make(0)), first)


@pytest.mark.parametrize("copy", [clone, lambda ours: pickle.loads(pickle.dumps(ours))])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
def test_a_copy_has_a_generator_of_its_own(estimator, copy):
    ours = clone(estimator).set_params(random_state=np.random.default_rng(0))
    copied = copy(ours)
    np.testing.assert_array_equal(
        copied.fit(ROWS).score_samples(ROWS), ours.fit(ROWS).score_samples(ROWS)
    )


@pytest.mark.parametrize("make", MAKERS, ids=name_of)
@pytest.mark.parametrize("draw", ["sample", "impute"])
def test_draws_advance_a_generator(draw, make):
    gaps = np.where(np.eye(60, 3, dtype=bool), np.nan, ROWS)
    ours = VAETransformer(1, hidden_layer_sizes=(), random_state=0).fit(gaps)

    def draw_with(generator):
        if draw == "sample":
            return ours.sample(3, random_state=generator)
        return ours.impute(gaps, n_draws=1, random_state=generator)[0]

    generator = make(0)
    first, second = draw_with(generator), draw_with(generator)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(draw_with(make(0)), first)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
def test_other_values_are_refused(estimator):
    with pytest.raises(ValueError, match=r"'random_state' parameter .*Generator.* Got 'x' instead"):
        fit_with(estimator, "x")

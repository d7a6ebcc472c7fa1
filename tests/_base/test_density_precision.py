"""Scores whose networks compute in float32."""

import numpy as np
import pytest

from skae import AutoencoderTransformer, DenoisingAutoencoder, VAETransformer
from skae._base.estimator import apply_exactly

SETTINGS = {
    "hidden_layer_sizes": (16,),
    "max_epochs": 5,
    "early_stopping": False,
    "random_state": 0,
}
ESTIMATORS = [
    AutoencoderTransformer(2, **SETTINGS),
    AutoencoderTransformer(2, prior="gaussian", **SETTINGS),
    VAETransformer(2, **SETTINGS),
    DenoisingAutoencoder(None, stacking=False, **SETTINGS),
    DenoisingAutoencoder(2, stacking=False, **SETTINGS),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda each: repr(each)[:24])
def test_rounding_of_networks_changes_scores_by_less_than_a_thousandth(estimator, curve):
    fitted = estimator.fit(curve[:300])
    state = fitted._state
    assert state.density.tolerates_single(state.trained.module)
    X = curve[300:] * np.linspace(1, 3, len(curve) - 300)[:, None]
    exact = apply_exactly(state, X, state.density.log_density) - state.scaling.log_determinant
    found = fitted.score_samples(X)
    np.testing.assert_allclose(found, exact, atol=1e-3)
    assert not np.array_equal(found, exact)
    alone = [fitted.score_samples(X[index : index + 1])[0] for index in (0, 150, 299)]
    np.testing.assert_allclose(alone, found[[0, 150, 299]], rtol=0, atol=1e-7)


def test_little_noise_takes_networks_in_double_precision(curve):
    sheet = np.column_stack([curve[:, 0], curve[:, 0] ** 2])
    fitted = VAETransformer(1, **SETTINGS).fit(sheet)
    module = fitted._state.trained.module
    assert fitted._state.density.tolerates_single(module)
    module.likelihood.log_excess.data.fill_(-20.0)
    assert not fitted._state.density.tolerates_single(module)

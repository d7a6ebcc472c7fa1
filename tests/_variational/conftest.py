"""Tables and a fitted model that the tests of the variational autoencoder share."""

import pytest

from skae import VAETransformer


@pytest.fixture(scope="module")
def binary(digits):
    return (digits > 7).astype(float)


@pytest.fixture(scope="module")
def trained(curve):
    ours = VAETransformer(2, prior="standard", noise_per_column=False, random_state=0)
    return ours.fit(curve[:500])

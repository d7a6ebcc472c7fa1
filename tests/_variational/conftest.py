"""Tables and a fitted model that the tests of the variational autoencoder share."""

import pytest

from skae import VAETransformer


@pytest.fixture(scope="module")
def binary(digits):
    return (digits > 7).astype(float)


@pytest.fixture(scope="module")
def trained(curve):
    return VAETransformer(2, random_state=0).fit(curve[:500])

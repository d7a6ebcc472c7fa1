"""Tables that the tests of the denoiser share."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal


@pytest.fixture(scope="module")
def normal():
    """Normal rows to fit, normal rows to test, and their distribution."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(5, 5))
    truth = multivariate_normal(rng.normal(size=5), root @ root.T + 0.1 * np.eye(5))
    return truth.rvs(3000, random_state=0), truth.rvs(1000, random_state=1), truth

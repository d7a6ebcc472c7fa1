"""Tables that the tests share."""

import os

# Processes that run beside each other wait for each other's threads. Before torch is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_wine


@pytest.fixture(scope="session")
def digits():
    return load_digits().data


@pytest.fixture(scope="session")
def wine():
    return load_wine().data


@pytest.fixture(scope="session")
def curve():
    """Rows near a curved sheet: two hidden numbers, six columns, a little noise."""
    rng = np.random.default_rng(0)
    hidden = rng.uniform(-1, 1, size=(600, 2))
    columns = [hidden, hidden**2, np.sin(3 * hidden)]
    return np.hstack(columns) + 0.05 * rng.normal(size=(600, 6))


@pytest.fixture
def short_attention(monkeypatch):
    """Attention that takes few steps to train, for tests that are not about what it learns."""
    monkeypatch.setattr("skae._attention.training._N_STEPS", (2, 2))


@pytest.fixture(autouse=True)
def _leaves_global_state_alone(request):
    """Whatever a test does with skae, the process's states stay as they were."""
    if request.module.__name__.endswith("test_common"):  # those checks draw from them
        yield
        return
    np.random.seed(1)  # noqa: NPY002 - the global state is what is watched
    found_numpy = np.random.get_state()[1].copy()  # noqa: NPY002
    found_torch = torch.get_rng_state()
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    yield
    np.testing.assert_array_equal(np.random.get_state()[1], found_numpy)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), found_torch)
    assert torch.get_num_threads() == threads
    assert torch.get_default_dtype() == dtype

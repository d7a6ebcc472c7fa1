"""Densities that are fitted when they are first asked for."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
import torch

import skae._autoencoder.density as laplace
from skae import AutoencoderTransformer, DenoisingAutoencoder
from skae._base import Deferred


def test_it_is_fitted_once_whoever_asks():
    begun, n_calls = Event(), []

    def fit():
        n_calls.append(1)
        begun.wait(10)
        return object()

    deferred = Deferred(fit)
    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(deferred.get) for _ in range(4)]
        begun.set()
        assert len({id(one.result()) for one in found}) == len(n_calls) == 1


def test_a_failure_is_not_remembered():
    results = iter([torch.linalg.LinAlgError("singular"), "density"])

    def fit():
        result = next(results)
        if isinstance(result, Exception):
            raise result
        return result

    deferred = Deferred(fit)
    with pytest.raises(ValueError, match=r"too large to compute with.*\(singular\)"):
        deferred.get()
    assert deferred.get() == "density"


@pytest.fixture
def counted(monkeypatch):
    calls = []
    for name in ("decoder_jacobian", "decode_with_jacobian", "push_tangents"):

        def count(*args, original=getattr(laplace, name)):  # noqa: B008 - of this turn of the loop
            found = original(*args)
            if found is not None:
                calls.append(1)
            return found

        monkeypatch.setattr(laplace, name, count)
    return calls


MODELS = [
    AutoencoderTransformer(2, hidden_layer_sizes=(4,), max_epochs=2, random_state=0),
    DenoisingAutoencoder(2, hidden_layer_sizes=(4,), noise_level=0.3, max_epochs=2, random_state=0),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_a_fit_takes_no_jacobians(model, counted):
    X = np.random.default_rng(0).normal(size=(60, 5))
    model.fit(X).reconstruct(X)
    assert not counted
    scores = model.score_samples(X)
    first = len(counted)
    assert first > 1
    assert np.array_equal(model.score_samples(X), scores)
    assert len(counted) == first + 1  # of the rows; the density is there


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_a_stored_estimator_has_its_density(model, counted):
    X = np.random.default_rng(0).normal(size=(60, 5))
    again = pickle.loads(pickle.dumps(model.fit(X)))
    fitted = len(counted)
    assert fitted > 0
    assert np.array_equal(again.score_samples(X), model.score_samples(X))
    assert len(counted) == fitted + 2

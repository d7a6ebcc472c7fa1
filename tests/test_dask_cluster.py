"""Searches, scores and fits on a cluster of two processes, which the `dask` extra installs."""

import logging
import os
from unittest import mock

import joblib
import numpy as np
import pytest
import skorch
import torch.distributed as dist
from sklearn.model_selection import GridSearchCV

from skae import AutoencoderTransformer
from skae._data import stores
from skae._processes import heartbeat
from skae.distributed import run_on_workers, workers

distributed = pytest.importorskip(
    "distributed", reason="dask is not installed: pip install 'skae[dask]' runs these tests too"
)
da = pytest.importorskip("dask.array")

QUICK = {"hidden_layer_sizes": (4,), "max_epochs": 1, "random_state": 0}


@pytest.fixture(scope="module")
def client():
    """Two processes of one thread each, at free ports."""
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL
    )
    with cluster, distributed.Client(cluster) as client:
        yield client


@pytest.mark.usefixtures("client")
def test_a_search_on_workers_is_the_serial_one(wine):
    search = GridSearchCV(AutoencoderTransformer(**QUICK), {"n_components": [1, 2]}, cv=2)
    expected = search.fit(wine).cv_results_["mean_test_score"]
    codes = search.transform(wine)
    with joblib.parallel_config("dask"):
        found = search.fit(wine).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(search.transform(wine), codes)


def test_workers_score_blocks(client, wine):
    model = AutoencoderTransformer(2, **QUICK).fit(wine)
    blocks = da.from_array(wine, chunks=(60, 5))
    scores = model.score_samples(blocks).persist()
    distributed.wait(scores)
    assert len(client.who_has(scores)) == 3
    np.testing.assert_allclose(scores.compute(), model.score_samples(wine))
    assert model.score(blocks) == pytest.approx(model.score(wine))


def test_workers_share_a_fit(client, curve):
    def train():
        return AutoencoderTransformer(2, **QUICK).fit(curve), dist.get_rank(), dist.get_world_size()

    model, *rank_and_size = run_on_workers(client, train)
    assert rank_and_size == [0, 2]
    expected = AutoencoderTransformer(2, **QUICK).fit(curve)
    np.testing.assert_allclose(model.mean_, expected.mean_)


def test_workers_share_a_fit_of_blocks(client, curve):
    blocks = da.from_array(curve, chunks=(100, 6)).persist()

    def train():
        with mock.patch.object(stores, "LOADED_UP_TO", 4000):
            return AutoencoderTransformer(2, **QUICK).fit(blocks)

    model = run_on_workers(client, train)
    assert model.transform(curve).shape == (len(curve), 2)


def test_an_error_in_a_worker_is_raised(client, curve):
    def train():
        if dist.get_rank() == 1:
            raise OSError("full")
        return AutoencoderTransformer(2, **QUICK).fit(curve)

    with pytest.raises(OSError, match="full"):
        run_on_workers(client, train)


def test_a_fit_of_no_workers_is_refused(client):
    with pytest.raises(ValueError, match="must be addresses of the client's workers"):
        run_on_workers(client, print, workers=["tcp://127.0.0.1:1"])
    with pytest.raises(ValueError, match="must be addresses of the client's workers"):
        run_on_workers(client, print, workers=[])
    with pytest.raises(ValueError, match="timeout must be a positive number"):
        run_on_workers(client, print, timeout=-1)
    with pytest.raises(ValueError, match="processes of their own"):
        run_on_workers(client, print, workers=[*client.nthreads(), *client.nthreads()])


def test_a_worker_that_dies_ends_the_fit_with_its_address(client, curve):
    addresses = sorted(client.nthreads())

    def train():
        die = skorch.callbacks.EpochScoring(
            lambda *_: os._exit(1) if dist.get_rank() == 1 else 0.0, name="none"
        )
        with mock.patch.object(heartbeat, "_SECONDS_WITHOUT_BEAT", 0.1):
            return AutoencoderTransformer(2, callbacks=[die], **QUICK).fit(curve)

    with pytest.raises(ConnectionError, match=f"because {addresses[1]} ended: look at its log"):
        run_on_workers(client, train)
    client.wait_for_workers(2, timeout=60)
    assert run_on_workers(client, dist.get_world_size) == 2


class Fatal:
    """A function that ends the process with an id as it arrives there."""

    def __init__(self, process):
        self.process = process

    def __reduce__(self):
        return die, (self.process,)

    def __call__(self):
        return dist.get_world_size()


def die(process):
    if os.getpid() == process:
        os._exit(1)
    return Fatal(process)


def test_the_others_do_not_wait_for_a_worker_that_is_lost_before_it_joins(client, monkeypatch):
    monkeypatch.setattr(workers, "_SECONDS_TO_JOIN", 1.0)
    processes = client.run(os.getpid)
    with pytest.raises(ConnectionError, match="ended: look at its log"):
        run_on_workers(client, Fatal(processes[max(processes)]))
    client.wait_for_workers(2, timeout=60)
    monkeypatch.undo()
    assert run_on_workers(client, dist.get_world_size) == 2


@pytest.mark.usefixtures("client")
def test_a_fit_reads_blocks_from_workers(curve, monkeypatch):
    monkeypatch.setattr(stores, "LOADED_UP_TO", 4000)
    blocks = da.from_array(curve, chunks=(100, 6)).persist()
    model = AutoencoderTransformer(2, **QUICK).fit(blocks)
    expected = AutoencoderTransformer(2, **QUICK).fit(curve)
    np.testing.assert_allclose(model.transform(curve), expected.transform(curve), atol=1e-5)

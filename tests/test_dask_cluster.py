"""Searches, scores and fits on a cluster of two processes, which the `dask` extra installs."""

import logging

import joblib
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from skae import AutoencoderTransformer
from skae._data import stores

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


@pytest.mark.usefixtures("client")
def test_a_fit_reads_blocks_from_workers(curve, monkeypatch):
    monkeypatch.setattr(stores, "LOADED_UP_TO", 4000)
    blocks = da.from_array(curve, chunks=(100, 6)).persist()
    model = AutoencoderTransformer(2, **QUICK).fit(blocks)
    expected = AutoencoderTransformer(2, **QUICK).fit(curve)
    np.testing.assert_allclose(model.transform(curve), expected.transform(curve), atol=1e-5)

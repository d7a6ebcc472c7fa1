"""Arrays that must not be written to: tables, and those of stored estimators."""

import inspect
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

from skae import (
    AEAnomalyDetector,
    AEImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)

SMALL = {"hidden_layer_sizes": (3,), "max_epochs": 1, "early_stopping": False, "random_state": 0}
ESTIMATORS = {
    "autoencoder": AutoencoderTransformer(2, **SMALL),
    "denoiser": DenoisingAutoencoder(2, n_draws=2, **SMALL),
    "range": DenoisingAutoencoder(None, noise_level=(0.1, 5.0), **SMALL),
    "variational": VAETransformer(2, n_draws=2, **SMALL),
    "detector": AEAnomalyDetector(random_state=0),
    "imputer": AEImputer(random_state=0),
}
X = np.random.default_rng(0).normal(size=(40, 3))
GAPS = np.where(np.arange(X.size).reshape(X.shape) % 7 == 0, np.nan, X)

pytestmark = [
    pytest.mark.usefixtures("short_attention"),
    pytest.mark.filterwarnings("ignore:no row can be found at false_discovery_rate:UserWarning"),
]


def freeze(values):
    values = np.array(values)
    values.flags.writeable = False
    return values


def freeze_frame(values, **others):
    return pd.DataFrame(freeze(values), columns=list("abc"), copy=False).assign(**others)


TABLES = {
    "numbers": freeze(X),
    "gaps": freeze(GAPS),
    "objects": freeze(np.column_stack([X.astype(object), np.where(X[:, :1] > 0, "u", "v")])),
    "frame with labels": freeze_frame(GAPS, d=pd.Categorical(np.where(X[:, 0] > 0, "u", "v"))),
}


def apply_all(estimator, table):
    """Call all methods that take a table, and decode the codes."""
    for name, method in inspect.getmembers(estimator, inspect.ismethod):
        if name.startswith("_") or [*inspect.signature(method).parameters][:1] != ["X"]:
            continue
        if name not in ("fit", "fit_transform", "fit_predict", "partial_fit", "inverse_transform"):
            method(table)
    if hasattr(estimator, "inverse_transform"):
        estimator.inverse_transform(freeze(estimator.transform(table)))


@pytest.fixture
def strict():
    """Make torch warn of each array; warnings are errors."""
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(False)


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
def test_read_only_tables(estimator, table):
    ours = clone(estimator).fit(table)
    apply_all(ours, table)
    if hasattr(ours, "partial_fit"):
        ours.partial_fit(table, sample_weight=freeze(np.ones(len(table))))


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("table", ["numbers", "frame with labels"])
@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
def test_estimators_in_shared_memory(estimator, table):
    table, parts = TABLES[table], []
    stored = pickle.dumps(clone(estimator).fit(table), protocol=5, buffer_callback=parts.append)
    ours = pickle.loads(stored, buffers=[bytes(part) for part in parts])  # bytes are read-only
    apply_all(ours, table)
    if hasattr(ours, "partial_fit"):
        ours.set_params(warm_start=True).fit(table).partial_fit(table)

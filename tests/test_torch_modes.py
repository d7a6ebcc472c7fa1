"""What a user may have set in torch: it changes no result, and stays as it was."""

import inspect
import pickle
from contextlib import ExitStack, contextmanager

import numpy as np
import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal
from sklearn.base import clone

from skae import (
    AEAnomalyDetector,
    AEImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae._base.draws import draw_normal
from skae._denoising.density import draw_common_noise
from skae.series import SeriesAnomalyDetector

SMALL = {"hidden_layer_sizes": (4,), "init": "random", "max_epochs": 2, "random_state": 0}
DENOISER = DenoisingAutoencoder(None, n_draws=2, **SMALL)
ESTIMATORS = [
    AutoencoderTransformer(2, **SMALL),
    DenoisingAutoencoder(2, n_draws=2, **SMALL),
    VAETransformer(2, n_draws=2, **SMALL),
    AEAnomalyDetector(DENOISER, random_state=0),
    AEImputer(random_state=0),
    SeriesAnomalyDetector(DENOISER, length=4, random_state=0),
]

ROWS = np.random.default_rng(0).normal(size=(40, 3))
ROWS[:, 2] += ROWS[:, 0]
GAPS = np.where(np.arange(120).reshape(40, 3) % 11 == 0, np.nan, ROWS)
FRAME = pd.DataFrame(GAPS, columns=["a", "b", "c"]).assign(d=list("xyxxzxyx") * 5)
TABLES = {"complete": ROWS, "frame": FRAME}

# Of scikit-learn, and about parameters alone.
WITHOUT_ROWS = {"get_feature_names_out", "get_metadata_routing", "get_params", "set_callbacks"}
WITHOUT_ROWS |= {"set_output", "set_params"}

pytestmark = pytest.mark.usefixtures("short_attention")


@contextmanager
def default_dtype(dtype):
    found = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(found)


@contextmanager
def default_device():
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def deterministic_algorithms():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextmanager
def together(*modes):
    with ExitStack() as stack:
        for mode in modes:
            stack.enter_context(mode)
        yield


MODES = {
    "device": lambda: torch.device("meta"),
    "default device": default_device,
    "float64": lambda: default_dtype(torch.float64),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "inference": torch.inference_mode,
    "no gradients": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "deterministic": deterministic_algorithms,
}

# A fit under each mode by itself would take minutes.
MANY_MODES = {
    f"{names[0]} and others": [MODES[name] for name in names]
    for names in (
        ("device", "float64", "no gradients", "deterministic"),
        ("inference", "bfloat16", "autocast"),
    )
}


def describe_torch():
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_inference_mode_enabled(),
        torch.is_grad_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_num_threads(),
        torch.get_rng_state().tolist(),
    )


def list_methods(estimator):
    names = [name for name, _ in inspect.getmembers(type(estimator), callable)]
    public = {name for name in names if not name.startswith("_") and not name.endswith("_request")}
    return sorted(public - WITHOUT_ROWS)


def call(estimator, name, table):
    """Return what a method gives; a fit gives what the estimator then says of rows."""
    method = getattr(estimator, name)
    if name in ("fit", "partial_fit", "set_threshold"):
        method(**{"alpha": 0.1} if name == "set_threshold" else {"X": table})
        return describe(estimator, table)
    if name == "inverse_transform":
        return method(ROWS[:5, :2])
    if name == "sample":
        return method(5, random_state=0)
    if name in ("transform", "impute") and isinstance(estimator, VAETransformer):
        return method(table.iloc[:9] if isinstance(table, pd.DataFrame) else table[:9])
    return method(table)


def describe(estimator, table):
    if hasattr(estimator, "score_samples"):
        return estimator.score_samples(table)
    return estimator.transform(table)


def use(estimator, table):
    """Return what all public methods of an estimator give, before and after it is stored."""
    results = {}
    for name in list_methods(estimator):
        if name.startswith(("fit_", "partial_fit")):
            results[name] = call(clone(estimator), name, table)
    fitted = clone(estimator).fit(table)
    # Before anything is asked for: what a score needs is fitted as it is stored.
    stored = pickle.loads(pickle.dumps(fitted))
    for name in list_methods(estimator):
        if name.startswith(("fit", "set_threshold", "partial_fit")):
            continue
        results[name] = call(fitted, name, table)
        results[f"{name} of the stored one"] = call(stored, name, table)
    for name in {"partial_fit", "set_threshold"} & set(list_methods(estimator)):
        results[f"{name} of the stored one"] = call(stored, name, table)
    return results


def assert_equal(found, expected):
    if isinstance(expected, pd.DataFrame):
        assert_frame_equal(found, expected, check_exact=True)
    elif isinstance(expected, tuple):
        for one, other in zip(found, expected, strict=True):
            assert_equal(one, other)
    else:
        np.testing.assert_array_equal(found, expected)


@pytest.fixture(scope="module")
def known():
    """What estimators give without any mode, by estimator and table."""
    return {}


CASES = [
    (number, kind)
    for number, estimator in enumerate(ESTIMATORS)
    for kind in TABLES
    if kind == "complete" or not isinstance(estimator, SeriesAnomalyDetector)
]


@pytest.mark.filterwarnings("ignore::UserWarning")  # that there are few rows
@pytest.mark.parametrize("modes", MANY_MODES.values(), ids=MANY_MODES)
@pytest.mark.parametrize(
    ("number", "kind"), CASES, ids=[f"{type(ESTIMATORS[n]).__name__}-{k}" for n, k in CASES]
)
def test_torchs_modes_change_nothing(number, kind, modes, known):
    estimator, table = ESTIMATORS[number], TABLES[kind]
    if (number, kind) not in known:
        known[number, kind] = use(estimator, table)
    draw_normal.cache_clear()
    draw_common_noise.cache_clear()
    with together(*(mode() for mode in modes)):
        before = describe_torch()
        found = use(estimator, table)
        assert describe_torch() == before
    assert set(found) == set(known[number, kind])
    for name, expected in known[number, kind].items():
        assert_equal(found[name], expected)


@pytest.mark.parametrize("mode", MODES)
def test_what_is_drawn_once_serves_all_callers(mode):
    draws = [(draw_normal, (6, 3)), (draw_common_noise, (4, 3, 5))]
    for draw, sizes in draws:
        draw.cache_clear()
        with MODES[mode]():
            kept = draw(*sizes)
        expected = draw.__wrapped__(*sizes)
        assert (kept.dtype, kept.device.type) == (torch.float64, "cpu")
        assert torch.equal(kept, expected)
        assert not kept.is_inference()

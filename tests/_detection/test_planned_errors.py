"""Errors with what all rows share computed once, beside those that are computed one by one."""

import copy
import gc
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from skae import AEAnomalyDetector, DenoisingAutoencoder
from skae._denoising.density import ErrorPlan, measure_errors
from skae._detection import planned_errors
from skae._detection.planned_errors import PlannedErrors, measure_planned_errors

PLANS = [ErrorPlan((2, 6, 10), 1), ErrorPlan((0, 1, 2), 3), ErrorPlan((0, 5), 0)]


def draw_rows(n_rows, seed=0):
    rng = np.random.default_rng(seed)
    code = rng.normal(size=(n_rows, 2))
    cells = np.hstack([code, np.square(code), np.sin(2 * code)])
    return cells + 0.1 * rng.normal(size=cells.shape)


def fit(**settings):
    settings = {"hidden_layer_sizes": (24, 16), "max_epochs": 5, "stacking": False, **settings}
    estimator = DenoisingAutoencoder(early_stopping=False, random_state=0, **settings)
    return estimator.fit(draw_rows(300))


def read_module(denoiser):
    return denoiser._state.trained.in_mixed_precision()


@pytest.fixture(scope="module")
def module():
    denoiser = fit(activation="gelu")
    with torch.no_grad():
        denoiser.module_.path.gate.copy_(torch.linspace(-20, 20, 6))
    return read_module(denoiser)


@pytest.fixture(scope="module")
def rows():
    return torch.from_numpy(draw_rows(400, seed=1))


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("n_draws", [2, 8, 100])
@pytest.mark.parametrize("is_masked", [False, True])
def test_errors_are_those_of_one_by_one(module, rows, plan, n_draws, is_masked):
    mask = None
    if is_masked:
        generator = torch.Generator().manual_seed(0)
        mask = torch.rand(rows.shape, generator=generator) < 0.8
        mask[:3] = True
    found = PlannedErrors.from_module(module, n_draws, plan).measure(rows, mask)
    expected = measure_errors(module, rows, n_draws, mask, plan)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    # The network counts.
    closed = copy.deepcopy(module)
    closed.path.gate.zero_()
    without = measure_errors(closed, rows, n_draws, mask, plan)
    assert (without - expected).abs().mean() > 1e-3


@pytest.mark.parametrize("is_masked", [False, True])
@pytest.mark.parametrize("n_draws", [2, 8])
def test_a_row_has_the_same_bits_alone_and_among_others(module, rows, n_draws, is_masked):
    planned = PlannedErrors.from_module(module, n_draws, PLANS[0])
    whole = planned.measure(rows)
    for own in (slice(0, 1), slice(7, 8), slice(3, 300), slice(399, 400)):
        mask = torch.ones(rows[own].shape, dtype=torch.bool) if is_masked else None
        if is_masked and own.stop - own.start > 1:
            mask[0, 0] = False
            assert torch.equal(planned.measure(rows[own], mask)[1:], whole[own][1:])
        else:
            assert torch.equal(planned.measure(rows[own], mask), whole[own])


def test_rows_far_out_have_finite_errors(module, rows):
    planned = PlannedErrors.from_module(module, 2, PLANS[0])
    assert torch.isfinite(planned.measure(1e50 * rows[:3])).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"n_components": 2},
        {"hidden_layer_sizes": ()},
        {"init": "random"},
        {"architecture": lambda role, n, m: nn.Sequential(nn.Linear(n, 8), nn.Linear(8, m))},
    ],
)
def test_other_modules_are_measured_one_by_one(rows, settings):
    module = read_module(fit(**settings))
    assert PlannedErrors.from_module(module, 2, PLANS[0]) is None
    found = measure_planned_errors(module, rows, 2, None, PLANS[0])
    assert torch.equal(found, measure_errors(module, rows, 2, None, PLANS[0]))


def test_so_are_wide_rows(module, rows, monkeypatch):
    monkeypatch.setattr(planned_errors, "_MOST_COLUMNS", 5)
    assert PlannedErrors.from_module(module, 2, PLANS[0]) is None


def test_what_rows_share_follows_the_weights_and_is_not_stored():
    detector = AEAnomalyDetector(fit(), random_state=0).fit(draw_rows(300))
    n_known, stored = len(planned_errors._known), pickle.dumps(detector)
    rows = draw_rows(20, seed=2)
    before = detector.score_samples(rows)
    assert pickle.dumps(detector) == stored
    detector.estimator_.module_.path.gate.mul_(3.0)
    assert np.abs(detector.score_samples(rows) - before).max() > 1e-3
    del detector
    gc.collect()
    assert len(planned_errors._known) < n_known

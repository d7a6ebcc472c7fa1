"""Densities of rows with booleans and categories, against exact denoisers and frequencies."""

import contextlib
import itertools
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier, BrokenBarrierError

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

from skae import DenoisingAutoencoder
from skae._data import Batch, Rows
from skae._denoising import mixed_density
from skae._denoising.incomplete import CellCodes
from skae._denoising.mixed_density import (
    MixedErrorDensity,
    Reference,
    calibrate_mixed,
    mixed_log_density,
)
from skae._training import TrainedModule
from skae.modules import Denoiser, NoiseLevels, WienerFilter
from skae.modules.cells import CellLayout

LEVELS = list(itertools.product(range(2), range(3), range(4)))
WIDTH = 0.3


class ExactDenoiser(Denoiser):
    """The posterior mean of rows at some points, with a normal last column around each."""

    linear_weights = None
    networks = ()

    def __init__(self, points, mass, has_number):
        super().__init__()
        self.register_buffer("points", torch.from_numpy(points))
        self.register_buffer("log_mass", torch.from_numpy(mass).log())
        spread = np.zeros(points.shape[1])
        spread[-1] = WIDTH**2 if has_number else 0.0
        self.register_buffer("spread", torch.from_numpy(spread))
        self.is_gaussian = True
        self.levels = NoiseLevels(noise_conditional=True)
        self.levels.low.fill_(0.02)
        self.levels.high.fill_(3.0)
        mean = mass @ points
        covariance = ((points - mean).T * mass) @ (points - mean) + np.diag(spread)
        values, vectors = np.linalg.eigh(covariance)
        self.filter = WienerFilter(len(mean), len(mean))
        self.filter.mean.copy_(torch.from_numpy(mean))
        self.filter.axes.copy_(torch.from_numpy(vectors.T.copy()))
        self.filter.variances.copy_(torch.from_numpy(values).clamp_min(1e-6))

    def encode(self, input, level=None):
        square = self.levels.expand(input, level).to(self.points).square()
        rows = input.to(self.points)
        wide = self.spread + square
        off = rows[:, None] - self.points
        joint = self.log_mass - 0.5 * (off.square() / wide[:, None]).sum(2)
        kept = self.spread / wide
        means = self.points + kept[:, None] * off
        return torch.einsum("nk,nkj->nj", joint.softmax(1), means).to(input)

    def decode(self, code):
        return code

    def posterior_mean(self, noisy, level):
        return self.encode(noisy, level)

    def loss_weight(self, level):
        return level


@dataclass
class Case:
    """Rows of a 2 x 3 x 4 table, maybe with a number, and their exact denoiser."""

    mass: np.ndarray
    points: np.ndarray
    module: Denoiser
    reference: Reference
    rows: Rows
    has_number: bool

    @property
    def trained(self):
        return TrainedModule(self.module)

    def score(self, rows, calibration, n_draws=8):
        exact = self.trained.in_precision(torch.float64)
        with torch.no_grad():
            found = mixed_log_density(
                exact, self.reference, torch.from_numpy(rows), calibration, n_draws
            )
        return found.numpy()


def make_case(mass, has_number=False, seed=0):
    raw = np.zeros((24, 8 + has_number))
    for row, (a, b, c) in zip(raw, LEVELS, strict=True):
        row[[0, 1 + b, 4 + c]] = a, 1, 1
        if has_number:
            row[8] = a - 0.5 + 0.4 * b
    numbers = (8,) if has_number else ()
    layout = CellLayout(numbers=numbers, booleans=(0,), categories=((1, 4), (4, 8)))
    mean = mass @ raw
    scale = np.sqrt(mass @ np.square(raw - mean))
    for first, end in layout.categories:
        scale[first:end] = np.sqrt(np.square(scale[first:end]).sum())
    scale[8:] = 1.0
    points = (raw - mean) / scale
    rng = np.random.default_rng(seed)
    table = points[rng.choice(24, 2000, p=mass)]
    if has_number:
        table[:, 8] += WIDTH * rng.normal(size=2000)
    codes = CellCodes.from_scaling(layout, mean, scale)
    batch = Batch(torch.from_numpy(table).float())
    reference = Reference.fit(codes, codes.read(batch), np.ones(2000))
    module = ExactDenoiser(points, mass, has_number)
    return Case(mass, points, module, reference, Rows(batch), has_number)


@pytest.fixture(scope="module")
def dependent():
    return make_case(np.random.default_rng(3).dirichlet(np.full(24, 0.4)))


def calibrate_on(case, n_rows=256):
    return calibrate_mixed(case.trained, case.reference, case.rows.take(np.arange(n_rows)), 8)


def test_few_levels_and_draws_hide_no_share(dependent):
    few = dependent.rows.take(np.arange(256))
    draws, levels = mixed_density._ROUGH_DRAWS, mixed_density._ROUGH_LEVELS
    rough = calibrate_mixed(dependent.trained, dependent.reference, few, draws, levels)
    assert rough.number_gains.shape == rough.level_gains.shape == (levels,)
    found = dependent.score(dependent.points, rough, draws)
    found += mixed_density._ROUGH_NATS / 3
    assert mixed_density.may_have_share(found, np.log(dependent.mass), dependent.mass)


def test_masses_sum_to_one(dependent):
    calibration = calibrate_on(dependent, 1024)
    found = dependent.score(dependent.points, calibration)
    assert np.exp(found).sum() == pytest.approx(1, abs=0.02)
    assert dependent.mass @ (np.log(dependent.mass) - found) == pytest.approx(0, abs=0.03)
    assert calibration.level_gains.max() > 0.9


def test_independent_levels_have_their_frequencies():
    parts = [[0.8, 0.2], [0.6, 0.3, 0.1], [0.1, 0.2, 0.3, 0.4]]
    mass = np.array(
        [np.prod([part[k] for part, k in zip(parts, own, strict=True)]) for own in LEVELS]
    )
    case = make_case(mass)
    found = case.score(case.points, calibrate_on(case))
    assert mass @ np.abs(found - np.log(mass)) < 0.02 * 3
    assert np.exp(found).sum() == pytest.approx(1, abs=0.005)


def test_a_number_has_a_density_and_levels_a_mass():
    case = make_case(np.random.default_rng(3).dirichlet(np.ones(24)), has_number=True)
    calibration = calibrate_on(case)
    rows = case.rows.table.astype(np.float64)[1000:1200]
    near = np.abs(rows[:, None, :8] - case.points[:, :8]).sum(axis=2).argmin(axis=1)
    off = (rows[:, 8] - case.points[near, 8]) / WIDTH
    true = np.log(case.mass[near]) - 0.5 * off**2 - np.log(WIDTH * np.sqrt(2 * np.pi))
    found = case.score(rows, calibration)
    assert (found - true).mean() == pytest.approx(0, abs=0.03)
    assert np.corrcoef(found, true)[0, 1] > 0.97
    independent = case.reference.log_density(torch.from_numpy(rows)).numpy()
    assert true.mean() > independent.mean() + 0.5
    assert (calibration.number_gains > 0.9).mean() > 0.5


def test_above_the_range_the_denoiser_is_its_filter():
    """So a range that ends early, in a table whose columns depend on each other, costs little."""
    mass = np.full(24, 1e-3)
    mass[[LEVELS.index((0, 0, 0)), LEVELS.index((1, 1, 1)), LEVELS.index((1, 2, 2))]] = [4, 2, 1]
    case = make_case(mass / mass.sum())
    case.module.levels.high.fill_(1.2)
    found = case.score(case.points, calibrate_on(case, 1024))
    likely = case.mass > 0.1
    np.testing.assert_allclose(found[likely], np.log(case.mass[likely]), atol=0.1)


def test_the_reference_knows_its_posterior_mean(dependent):
    """By Bayes' rule over all combinations of independent levels."""
    reference, level = dependent.reference, 0.6
    log_mass = reference.log_density(torch.from_numpy(dependent.points))
    exact = ExactDenoiser(dependent.points, log_mass.exp().numpy(), False)
    noisy = torch.from_numpy(dependent.points[::3] + 0.2)
    expected = exact.encode(noisy, torch.full((8, 1), level, dtype=torch.float64))
    torch.testing.assert_close(reference.posterior_mean(noisy, level), expected, atol=1e-7, rtol=0)


def test_the_reference_knows_the_density_of_noisy_rows(dependent):
    reference, level = dependent.reference, 0.8
    rows = torch.from_numpy(dependent.points[::5])
    noise = torch.randn(3, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    log_mass = reference.log_density(torch.from_numpy(dependent.points))
    expected = torch.zeros(len(rows), dtype=torch.float64)
    for drawn in noise:
        noisy = rows + level * drawn
        kernel = torch.cdist(noisy, torch.from_numpy(dependent.points)).square() / (2 * level**2)
        own = (log_mass - kernel).logsumexp(1) - 4 * np.log(2 * np.pi * level**2)
        order = reference.level_indices
        expected += (own - reference.levels.log_density(noisy[:, order], level)) / 3
    found = reference.measure_excess(rows, level, noise)
    torch.testing.assert_close(found, expected)


def test_projected_levels_are_probabilities(dependent):
    rows = torch.randn(50, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    codes = dependent.reference.codes
    back = dependent.reference.project(rows).numpy()
    shares = (back - codes.off) / (codes.on - codes.off)
    assert shares.min() >= 0
    assert shares.max() <= 1 + 1e-12
    np.testing.assert_allclose(shares[:, 1:4].sum(axis=1), 1, atol=1e-9)
    points = torch.from_numpy(dependent.points)
    torch.testing.assert_close(dependent.reference.project(points), points)


# Estimators ----------------------------------------------------------------------------------


QUICK = {"hidden_layer_sizes": (16,), "max_epochs": 5, "random_state": 0}


def draw_frame(n_rows, seed=0):
    rng = np.random.default_rng(seed)
    own = rng.random(n_rows) < 0.4
    frame = pd.DataFrame(
        {
            "job": pd.Categorical.from_codes(
                np.where(rng.random(n_rows) < 0.8, own, 2).astype(int), ["a", "b", "c"]
            ),
            "size": np.where(own, 5.0, 1.0) + rng.normal(size=n_rows),
            "member": np.where(rng.random(n_rows) < 0.9, own, ~own),
            "age": rng.normal(40.0, 10.0, size=n_rows),
        }
    )
    return frame


def hide(frame, share, seed=0):
    hidden = np.random.default_rng(seed).random(frame.shape) < share
    return frame.astype({"member": "boolean"}).mask(hidden)


def grid():
    rows = [(*own,) for own in itertools.product("xy", "pqr", "ijkl")]
    return pd.DataFrame(rows, columns=list("abc")).astype("category")


def draw_levels(n_rows, mass):
    chosen = np.random.default_rng(0).choice(24, n_rows, p=mass)
    return grid().iloc[chosen].reset_index(drop=True)


@pytest.mark.parametrize("n_components", [None, 2])
def test_fitted_masses_sum_to_one(n_components):
    mass = np.random.default_rng(3).dirichlet(np.full(24, 0.5))
    ours = DenoisingAutoencoder(n_components, **QUICK).fit(draw_levels(2000, mass))
    found = ours.score_samples(grid())
    assert np.exp(found).sum() == pytest.approx(1, abs=0.02)
    assert mass @ (np.log(mass) - found) < 0.05


@pytest.mark.parametrize("stacking", [False, True])
def test_fitted_masses_of_independent_columns(stacking):
    parts = [[0.8, 0.2], [0.6, 0.3, 0.1], [0.1, 0.2, 0.3, 0.4]]
    mass = np.array(
        [np.prod([part[k] for part, k in zip(parts, own, strict=True)]) for own in LEVELS]
    )
    frame = draw_levels(2000, mass)
    ours = DenoisingAutoencoder(None, stacking=stacking, **QUICK).fit(frame)
    found = ours.score_samples(grid())
    expected = sum(
        np.log(frame[name].value_counts(normalize=True).reindex(grid()[name]).to_numpy())
        for name in "abc"
    )
    assert np.exp(expected) @ np.abs(found - expected) < 0.02 * 3


CASES = {
    "rows": {"n_components": None},
    "code": {"n_components": 2},
    "alone": {"n_components": 2, "stacking": False},
    "masking": {"n_components": None, "noise": "masking"},
    "one level": {"n_components": None, "noise_level": 0.5, "stacking": False},
}


@pytest.mark.parametrize("parameters", CASES.values(), ids=CASES)
def test_frames_with_missing_cells(parameters):
    frame, others = hide(draw_frame(150), 0.15), hide(draw_frame(100, seed=1), 0.15)
    ours = DenoisingAutoencoder(**{**QUICK, **parameters}).fit(frame)
    found = ours.score_samples(others)
    assert np.isfinite(found).all()
    assert ours.score_samples(others.mask(np.ones(others.shape, dtype=bool))) == pytest.approx(
        0, abs=1e-9
    )
    again = pickle.loads(pickle.dumps(ours))
    np.testing.assert_allclose(again.score_samples(others), found, atol=1e-9)
    one_by_one = [ours.score_samples(others.iloc[[n]])[0] for n in range(12)]
    np.testing.assert_allclose(one_by_one, found[:12], atol=1e-7)


@pytest.mark.parametrize("n_components", [None, 2])
def test_it_is_above_independent_columns(n_components):
    frame, others = draw_frame(600), draw_frame(500, seed=1)
    found = DenoisingAutoencoder(n_components, **QUICK).fit(frame).score_samples(others)
    expected = np.zeros(500)
    for name in ("size", "age"):
        mean, spread = frame[name].mean(), frame[name].std()
        expected -= 0.5 * ((others[name] - mean) / spread) ** 2 + np.log(
            spread * np.sqrt(2 * np.pi)
        )
    for name in ("job", "member"):
        share = frame[name].value_counts(normalize=True)
        expected += np.log(others[name].map(share).astype(float))
    assert found.mean() > expected.mean() + 0.7


def test_units_scale_the_density_of_numbers_alone():
    frame = draw_frame(100)
    other = frame.assign(age=frame["age"] * 1000.0)
    first, second = (
        DenoisingAutoencoder(2, **QUICK).fit(own).score_samples(own) for own in (frame, other)
    )
    np.testing.assert_allclose(first - second, np.log(1000.0), atol=1e-4)


def test_a_density_of_mixed_rows_is_of_that_class():
    density = DenoisingAutoencoder(2, **QUICK).fit(draw_frame(100))._state.density
    assert isinstance(density, MixedErrorDensity)
    numeric = DenoisingAutoencoder(2, **QUICK).fit(draw_frame(100)[["size", "age"]])
    assert not isinstance(numeric._state.density, MixedErrorDensity)


@pytest.mark.parametrize("case", ["rows", "code", "alone", "masking"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_codes_do_not_fit_the_density(case, method, monkeypatch):
    """It is fitted for the first score or for the pickle, whichever comes first, and once."""
    fits = []
    for name in ("calibrate_mixed", "fit_class_stack"):

        def count(*args, name=name, original=getattr(mixed_density, name)):  # noqa: B008 - of this turn
            fits.append(name)
            return original(*args)

        monkeypatch.setattr(mixed_density, name, count)
    frame = hide(draw_frame(150), 0.1)
    ours = DenoisingAutoencoder(**{**QUICK, **CASES[case]})
    for _ in range(2):
        getattr(ours, method)(frame)
    ours.inverse_transform(ours.transform(frame))
    ours.denoise(frame)
    assert not fits
    again = pickle.loads(pickle.dumps(ours))
    stored = len(fits)
    assert stored > 0
    np.testing.assert_array_equal(again.score_samples(frame), ours.score_samples(frame))
    assert len(fits) == stored


@pytest.mark.parametrize("n_models", [1, 2])
def test_threads_fit_a_density_each(n_models, monkeypatch):
    """One of an estimator, whoever asks; those of two estimators don't wait for each other."""
    both, fits, met = Barrier(2), [], []

    def meet(*args, original=mixed_density.calibrate_mixed):
        fits.append(args)
        with contextlib.suppress(BrokenBarrierError):
            both.wait(10 if n_models == 2 else 0.5)
            met.append(args)
        return original(*args)

    monkeypatch.setattr(mixed_density, "calibrate_mixed", meet)
    frame, ours = draw_frame(100), DenoisingAutoencoder(None, stacking=False, **QUICK)
    models = [clone(ours).fit(frame) for _ in range(n_models)]
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(models[n % n_models].score_samples, frame) for n in range(2)]
        first, second = (one.result() for one in asked)
    np.testing.assert_array_equal(first, second)
    assert len(fits) == n_models
    assert len(met) == 2 * (n_models - 1)

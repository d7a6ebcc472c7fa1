"""Densities of denoisers, against closed forms, quadrature and other estimators."""

import math
import pickle
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from torch import Tensor

from skae import DenoisingAutoencoder
from skae._data import Batch, Rows
from skae._denoising.density import (
    N_ERROR_LEVELS,
    N_LEVELS,
    Calibration,
    ErrorPlan,
    calibrate,
    denoiser_log_density,
    draw_common_noise,
    measure_errors,
    resolve_draws,
)
from skae._training import TrainedModule
from skae.modules import Denoiser, NoiseLevels, RowDenoiser, WienerFilter
from skae.modules.cells import CellLayout

WIDTH = 0.2


class MixtureDenoiser(Denoiser):
    """The best denoiser of a mixture of equal round Gaussians, in closed form."""

    def __init__(self, centres: Tensor) -> None:
        super().__init__()
        n_features = centres.shape[1]
        self.register_buffer("centres", centres)
        self.is_gaussian = True
        self.levels = NoiseLevels(noise_conditional=True)
        self.levels.low.fill_(0.01)
        self.levels.high.fill_(5.0)
        self.filter = WienerFilter(n_features, n_features)
        covariance = torch.cov(centres.T, correction=0) + WIDTH**2 * torch.eye(n_features)
        values, vectors = torch.linalg.eigh(covariance)
        self.filter.mean.copy_(centres.mean(0))
        self.filter.axes.copy_(vectors.T)
        self.filter.variances.copy_(values)

    linear_weights = None
    networks = ()

    def encode(self, input, level=None):
        level = self.levels.expand(input, level)
        spread = WIDTH**2 + level.square()
        shares = torch.softmax(-self.distances(input) / (2 * spread), dim=1)
        centre = shares @ self.centres
        return centre + WIDTH**2 / spread * (input - centre)

    def decode(self, code):
        return code

    def posterior_mean(self, noisy, level):
        return self.encode(noisy, level)

    def loss_weight(self, level):
        return level

    def distances(self, rows):
        return (rows[:, None, :] - self.centres).square().sum(2)

    def log_density(self, rows):
        n_centres, n_features = self.centres.shape
        constant = math.log(n_centres) + n_features / 2 * math.log(2 * math.pi * WIDTH**2)
        return torch.logsumexp(-self.distances(rows) / (2 * WIDTH**2), dim=1) - constant


@dataclass
class Case:
    trained: TrainedModule
    module: MixtureDenoiser
    rows: Tensor
    others: Rows


@pytest.fixture(scope="module", params=[2, 6])
def mixture(request):
    generator = torch.Generator().manual_seed(request.param)
    centres = torch.randn(5, request.param, generator=generator)

    def draw(n_rows):
        which = torch.randint(5, (n_rows,), generator=generator)
        noise = torch.randn(n_rows, request.param, generator=generator)
        return centres[which] + WIDTH * noise

    trained = TrainedModule(MixtureDenoiser(centres))
    module = trained.in_precision(torch.float64)
    return Case(trained, module, draw(1000).double(), Rows(Batch(draw(1000))))


def test_the_posterior_mean_gives_the_density(mixture):
    calibration = calibrate(mixture.trained, mixture.others, 0.0, n_draws=8)
    assert np.median(calibration.gains) > 0.95
    with torch.no_grad():
        found = denoiser_log_density(mixture.module, mixture.rows, calibration, 8)
        true = mixture.module.log_density(mixture.rows)
    assert (found - true).mean().abs() < 0.03 * mixture.rows.shape[1]
    assert np.corrcoef(found, true)[0, 1] > 0.98
    gaussian = mixture.module.filter.log_density(mixture.rows)
    assert found.mean() > gaussian.mean() + 0.5


def test_the_filter_gives_the_gaussian_density(mixture):
    module = mixture.module
    none = Calibration(np.ones(N_LEVELS), 0.0)

    class Same(MixtureDenoiser):
        def posterior_mean(self, noisy, level):
            return self.filter(noisy, level)

    same = Same(mixture.module.centres.float()).double()
    found = denoiser_log_density(same, mixture.rows, none, 4)
    torch.testing.assert_close(found, module.filter.log_density(mixture.rows), atol=1e-5, rtol=0)
    distribution = torch.distributions.MultivariateNormal(
        same.filter.mean, same.filter.axes.T @ torch.diag(same.filter.variances) @ same.filter.axes
    )
    torch.testing.assert_close(found, distribution.log_prob(mixture.rows), atol=1e-4, rtol=1e-4)


def test_a_wrong_denoiser_has_no_gain(mixture):
    class Wrong(MixtureDenoiser):
        def posterior_mean(self, noisy, level):
            filtered = self.filter(noisy, level)
            return filtered - (self.encode(noisy, level) - filtered)

    wrong = TrainedModule(Wrong(mixture.module.centres.float()))
    calibration = calibrate(wrong, mixture.others, 0.0, n_draws=4)
    assert (calibration.gains < 0.05).mean() > 0.9


def test_common_noise_is_antithetic_and_of_unit_covariance():
    noise = draw_common_noise(8, 3)
    assert noise.shape == (N_LEVELS, 8, 3)
    for n_features in (1, 2, 4):  # more sizes than are cached
        draw_common_noise(8, n_features)
    again = draw_common_noise(8, 3)
    assert again is not noise
    assert torch.equal(again, noise)
    assert torch.equal(noise[:, 4:], -noise[:, :4])
    torch.testing.assert_close(noise.mean(1), torch.zeros(N_LEVELS, 3).double())
    moments = noise.mT @ noise / 8
    torch.testing.assert_close(moments, torch.eye(3).double().expand(N_LEVELS, 3, 3))


def test_tables_of_few_columns_or_of_categories_take_more_draws():
    few, many = CellLayout.from_numbers(4), CellLayout.from_numbers(5)
    assert [resolve_draws("auto", layout) for layout in (few, many)] == [8, 2]
    assert resolve_draws("auto", CellLayout((0, 1, 2, 3, 4), (5,), ())) == 8
    assert resolve_draws(3, many) == 3


def test_fewer_draws_than_columns_have_the_expected_length():
    noise = draw_common_noise(4, 30)
    lengths = noise.square().sum(2)
    torch.testing.assert_close(lengths, torch.full_like(lengths, 30))


def test_errors_agree_with_many_independent_draws(mixture):
    """Antithetic draws common to all rows, against four thousand independent ones a row."""
    module, rows = mixture.module, mixture.rows[:40]
    found = measure_errors(module, rows, 64)
    generator = torch.Generator().manual_seed(0)
    levels = module.levels.grid(N_ERROR_LEVELS)
    assert found.shape == (len(rows), N_ERROR_LEVELS)
    for number in (0, 4, 8, 11):
        level = float(levels[number])
        noise = torch.randn(4000, *rows.shape, generator=generator, dtype=rows.dtype)
        noisy = rows + level * noise
        column = torch.full_like(noisy[0, :, :1], level)
        errors = torch.stack(
            [(module.denoise(part, column) - rows).square().sum(1) for part in noisy]
        )
        spread = errors.std(0) / 8  # of a mean over 64 draws
        assert ((found[:, number] - errors.mean(0)).abs() < 4 * spread + 1e-9).all()


def test_errors_of_some_levels_are_those_of_all(mixture):
    module, rows = mixture.module, mixture.rows
    whole = measure_errors(module, rows, 8)[:, [2, 6, 10]]
    torch.testing.assert_close(
        measure_errors(module, rows, 8, plan=ErrorPlan((2, 6, 10), 3)), whole
    )
    # Others than the first have half of the draws.
    found = measure_errors(module, rows, 8, plan=ErrorPlan((2, 6, 10), 1))
    torch.testing.assert_close(found[:, 0], whole[:, 0])
    torch.testing.assert_close(found.mean(0), whole.mean(0), rtol=0.1, atol=0)
    assert not torch.allclose(found[:, 1:], whole[:, 1:])


def test_errors_of_observed_cells_add_up(mixture):
    module, rows = mixture.module, mixture.rows[:20]
    first = torch.zeros_like(rows, dtype=torch.bool)
    first[:, 0] = True
    whole = measure_errors(module, rows, 8)
    torch.testing.assert_close(measure_errors(module, rows, 8, first | True), whole)
    parts = [measure_errors(module, rows, 8, mask) for mask in (first, ~first)]
    torch.testing.assert_close(parts[0] + parts[1], whole)
    # Which cells are observed differs from row to row.
    mixed = first.clone()
    mixed[10:] = True
    found = measure_errors(module, rows, 8, mixed)
    torch.testing.assert_close(found, torch.cat([parts[0][:10], whole[10:]]))


def test_errors_of_the_filter_are_exact(mixture):
    """The difference between the denoiser and its filter, which is drawn, is zero."""

    class Linear(MixtureDenoiser):
        def encode(self, input, level=None):
            return self.filter(input, self.levels.expand(input, level))

    module = Linear(mixture.module.centres).double()
    rows = mixture.rows[:10]
    found = measure_errors(module, rows, 2)
    for number, level in enumerate(module.levels.grid(N_ERROR_LEVELS)):
        gain = module.filter.variances / (module.filter.variances + level**2)
        scores = (rows - module.filter.mean) @ module.filter.axes.T
        expected = ((1 - gain) ** 2 * scores**2 + gain**2 * level**2).sum(1)
        torch.testing.assert_close(found[:, number], expected)
        mean = module.filter.expected_error(level.reshape(1, 1)).item()
        whole = (((1 - gain) ** 2 * module.filter.variances) + gain**2 * level**2).sum()
        assert mean == pytest.approx(float(whole))


# Of fitted estimators ----------------------------------------------------------------------

SMALL = DenoisingAutoencoder(2, hidden_layer_sizes=(8,), max_epochs=4, random_state=0)


# A network for densities that have to be exact.
PRECISE = DenoisingAutoencoder(
    None,
    hidden_layer_sizes=(128, 128, 128),
    activation="relu",
    noise_level=(0.003, 2.0),
    lr=0.012,
    stacking=False,
    early_stopping=False,
    random_state=0,
)


KERNEL_WIDTHS = np.geomspace(0.02, 0.2, 8)


class Mixture:
    """Round Gaussians of one width around centres."""

    def __init__(self, centres, width):
        self.centres = centres
        self.width = width

    def draw(self, n_rows, seed):
        rng = np.random.default_rng(seed)
        which = rng.integers(len(self.centres), size=n_rows)
        return self.centres[which] + self.width * rng.normal(size=(n_rows, 2))

    def log_density(self, X):
        squares = np.square(X[:, None, :] - self.centres).sum(axis=2) / self.width**2
        scale = len(self.centres) * 2 * np.pi * self.width**2
        return logsumexp(-0.5 * squares, axis=1) - np.log(scale)


def ring():
    angle = 2 * np.pi * np.arange(8) / 8
    return Mixture(np.column_stack([np.cos(angle), np.sin(angle)]), 0.1)


def moons(width):
    angle = np.linspace(0, np.pi, 200)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    return Mixture(np.vstack([upper, [1, 0.5] - upper]), width)


@pytest.mark.parametrize("n_components", [None, 2])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize(
    ("parameters", "tolerance"),
    [
        ({"hidden_layer_sizes": ()}, 0.02),
        ({"hidden_layer_sizes": (), "trim_fraction": 0.1}, 0.02),
        ({"hidden_layer_sizes": (32, 32), "early_stopping": False, "max_epochs": 40}, 0.05),
    ],
)
def test_score_of_normal_rows_is_their_density(
    normal, n_components, standardize, parameters, tolerance
):
    train, test, truth = normal
    ours = DenoisingAutoencoder(
        n_components, standardize=standardize, random_state=0, **parameters
    ).fit(train)
    difference = (ours.score_samples(test) - truth.logpdf(test)) / 5
    assert abs(difference.mean()) < tolerance
    assert np.corrcoef(ours.score_samples(test), truth.logpdf(test))[0, 1] > 0.99


@pytest.mark.parametrize(
    ("truth", "max_epochs"),
    [(ring(), 40), (moons(0.1), 40), (moons(0.05), 160)],
    ids=["ring", "moons", "thin moons"],
)
def test_score_of_mixtures_is_their_density(truth, max_epochs):
    train, test = truth.draw(4000, 0), truth.draw(2000, 1)
    ours = clone(PRECISE).set_params(max_epochs=max_epochs).fit(train)
    scores = ours.score_samples(test)
    assert abs((scores - truth.log_density(test)).mean()) < 0.1
    assert scores.mean() > GaussianMixture(4, random_state=0).fit(train).score(test)
    if max_epochs > 40:  # 40 epochs come near the density, but not nearest
        kernels = [KernelDensity(bandwidth=width).fit(train) for width in KERNEL_WIDTHS]
        assert scores.mean() > max(each.score_samples(test).mean() for each in kernels)
        assert scores.mean() > GaussianMixture(10, random_state=0).fit(train).score(test)
    again = ours.score_samples(test[:50])
    np.testing.assert_array_equal(ours.score_samples(test[:50]), again)
    np.testing.assert_allclose(again, scores[:50], rtol=1e-9)
    sides = [
        np.linspace(low - 0.5, high + 0.5, 75) for low, high in zip(*extent(train), strict=True)
    ]
    grid = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 2)
    cell = np.prod([side[1] - side[0] for side in sides])
    assert np.exp(ours.score_samples(grid)).sum() * cell == pytest.approx(1, abs=0.05)


def extent(X):
    return X.min(axis=0), X.max(axis=0)


def test_density_with_a_small_code_is_no_worse_than_the_gaussian(normal):
    train, test, _ = normal
    coded = DenoisingAutoencoder(
        1, hidden_layer_sizes=(32,), random_state=0, max_epochs=15, early_stopping=False
    ).fit(train)
    linear = DenoisingAutoencoder(None, hidden_layer_sizes=(), random_state=0).fit(train)
    assert coded.score(test) > linear.score(test) - 0.05 * 5


def test_trimming_gives_the_density_of_the_clean_rows(normal):
    train, test, truth = normal
    spoiled = train.copy()
    spoiled[:150] += 30
    scores = [
        DenoisingAutoencoder(None, hidden_layer_sizes=(), trim_fraction=share)
        .fit(spoiled)
        .score(test)
        for share in (0.0, 0.1)
    ]
    assert scores[1] > scores[0] + 1
    assert abs(scores[1] - truth.logpdf(test).mean()) < 0.02 * 5


def test_noise_variance_belongs_to_scores_by_codes(wine):
    for noise_level in ("auto", (0.1, 0.5)):
        ours = clone(SMALL).set_params(noise="swap", noise_level=noise_level).fit(wine)
        assert ours.noise_variance_ > 0
        assert np.isfinite(ours.score(wine))
    assert not hasattr(clone(SMALL).fit(wine), "noise_variance_")


@pytest.mark.parametrize("value", [1e6, 1e12, -1e12])
def test_extreme_values_score_low_and_finite(wine, value):
    far = wine[:3].copy()
    far[:, 2] = value
    ours = clone(SMALL).set_params(n_components=None, max_epochs=20).fit(wine)
    assert np.isfinite(ours.score_samples(far)).all()
    assert ours.score_samples(far).max() < ours.score_samples(wine).min()


def test_more_draws_approach_the_score_of_many_draws(curve):
    ours = clone(SMALL).set_params(
        n_components=None, max_epochs=30, early_stopping=False, stacking=False
    )
    found = {n: clone(ours).set_params(n_draws=n).fit(curve).score_samples(curve) for n in (2, 64)}
    ours.set_params(n_draws=16).fit(curve)
    nearer = ours.score_samples(curve)
    assert np.abs(nearer - found[64]).mean() < np.abs(found[2] - found[64]).mean()


def test_the_offset_corrects_noise_that_is_common_to_all_rows(mixture):
    """The mean over rows of a score by few draws is then near that by many."""
    rows = mixture.others.batch.input.double()
    many = calibrate(mixture.trained, mixture.others, 0.0, 64)
    few = calibrate(mixture.trained, mixture.others, 0.0, 2)
    with torch.no_grad():
        expected = denoiser_log_density(mixture.module, rows, many, 64).mean()
        found = denoiser_log_density(mixture.module, rows, few, 2).mean()
    assert abs(found - expected) < max(0.3 * abs(few.offset), 0.02)


def test_gains_leave_out_far_rows_and_rows_of_no_weight(mixture):
    """Far rows, for which the filter is better than this denoiser, would lower the gains."""
    rows = mixture.others.batch.input
    far = torch.cat([rows, rows[:50] + 20])
    weight = (torch.arange(len(far)) < len(rows)).float()

    def gains(rows, weight=None, trim_fraction=0.0):
        calibration = calibrate(mixture.trained, Rows(Batch(rows, weight=weight)), trim_fraction, 4)
        assert calibration.gains.min() >= 0
        assert calibration.gains.max() <= 1
        return calibration.gains[:20]  # at higher levels the denoiser is nearly the filter

    clean = gains(rows)
    assert np.abs(gains(far) - clean).max() > 0.1
    np.testing.assert_allclose(gains(far, trim_fraction=50 / 1050), clean, atol=0.03)
    np.testing.assert_allclose(gains(far, weight), clean, atol=0.03)


@pytest.mark.parametrize("n_components", [None, 2])
def test_score_of_weighted_normal_rows_is_the_density_of_weighted_moments(normal, n_components):
    train, test, _ = normal
    weight = np.where(train[:, 0] > train[:, 0].mean(), 1.0, 0.123)
    ours = DenoisingAutoencoder(n_components, hidden_layer_sizes=()).fit(
        train, sample_weight=weight
    )
    gaussian = multivariate_normal(
        np.average(train, axis=0, weights=weight), np.cov(train.T, aweights=weight)
    )
    difference = (ours.score_samples(test) - gaussian.logpdf(test)) / 5
    assert np.abs(difference).mean() < 0.02


def test_a_stored_density_gives_the_same_scores(curve):
    for parameters in ({"n_components": None}, {"noise_level": 0.3}, {}):
        ours = clone(SMALL).set_params(**parameters).fit(curve)
        again = pickle.loads(pickle.dumps(ours))
        np.testing.assert_array_equal(again.score_samples(curve), ours.score_samples(curve))


def test_what_a_code_loses_is_part_of_the_density():
    """Two clusters along the code, and Gaussian columns that the code leaves out."""
    rng = np.random.default_rng(0)
    sides, spread = rng.choice([-3.0, 3.0], size=3000), [0.3, 1.0, 1.5]
    X = rng.normal(size=(3000, 3)) * spread
    X[:, 0] += sides
    ours = DenoisingAutoencoder(
        1, hidden_layer_sizes=(32, 32), standardize=False, max_epochs=40, early_stopping=False
    )
    scores = ours.set_params(random_state=0).fit(X[:2000]).score_samples(X[2000:])
    densities = [multivariate_normal([side, 0, 0], np.square(spread)) for side in (-3, 3)]
    expected = np.log(0.5 * sum(each.pdf(X[2000:]) for each in densities))
    # Without it, the score is that of the rows' Gaussian, 1.6 nats less.
    assert scores.mean() > expected.mean() - 0.6


def test_a_denoiser_that_is_its_filter_is_not_calibrated(wine, monkeypatch):
    ours = DenoisingAutoencoder(None, hidden_layer_sizes=(8,), max_epochs=1, random_state=0)
    ours.set_params(stacking=False).fit(wine)
    assert ours.n_iter_ == 0
    assert ours.module_.is_filter
    for name in ("posterior_mean", "find_steps"):  # which would be called
        monkeypatch.setattr(RowDenoiser, name, None)
    rows = torch.from_numpy((wine - ours.mean_) / ours.scale_)
    expected = ours.module_.filter.double().log_density(rows) - np.log(ours.scale_).sum()
    np.testing.assert_allclose(ours.score_samples(wine), expected, atol=1e-5)
    with torch.no_grad():
        ours.module_.path.gate[3] = 0.1
    assert not ours.module_.is_filter


def test_networks_are_not_asked_for_the_score_of_no_rows():
    class Strict(torch.nn.Linear):
        def forward(self, input):
            assert len(input)
            return super().forward(input)

    X = np.random.default_rng(0).normal(size=(40, 3))
    model = DenoisingAutoencoder(
        None,
        architecture=lambda role, n_inputs, n_outputs: Strict(n_inputs, n_outputs),
        max_epochs=1,
        early_stopping=False,
        n_draws=1,
        random_state=0,
    ).fit(X)
    few = X[:4].copy()
    few[1:, 0] = np.nan
    some = model.score_samples(few)
    assert np.allclose(model.score_samples(few[1:]), some[1:])

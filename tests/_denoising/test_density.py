"""The density that a denoiser knows, with denoisers that are known."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from skae._data import Batch, Rows
from skae._denoising.density import (
    N_ERROR_LEVELS,
    N_LEVELS,
    Calibration,
    calibrate,
    denoiser_log_density,
    draw_common_noise,
    measure_errors,
)
from skae._training import TrainedModule
from skae.modules import Denoiser, NoiseLevels, WienerFilter

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


def test_the_best_denoiser_gives_the_density(mixture):
    calibration = calibrate(mixture.trained, mixture.others, 0.0, n_draws=8)
    assert np.median(calibration.gains) > 0.95
    with torch.no_grad():
        found = denoiser_log_density(mixture.module, mixture.rows, calibration, 8)
        true = mixture.module.log_density(mixture.rows)
    assert (found - true).mean().abs() < 0.03 * mixture.rows.shape[1]
    assert np.corrcoef(found, true)[0, 1] > 0.98
    gaussian = mixture.module.filter.log_density(mixture.rows)
    assert found.mean() > gaussian.mean() + 0.5


def test_a_denoiser_that_is_the_filter_gives_the_gaussian(mixture):
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


def test_a_denoiser_that_is_wrong_is_not_trusted(mixture):
    class Wrong(MixtureDenoiser):
        def posterior_mean(self, noisy, level):
            filtered = self.filter(noisy, level)
            return filtered - (self.encode(noisy, level) - filtered)

    wrong = TrainedModule(Wrong(mixture.module.centres.float()))
    calibration = calibrate(wrong, mixture.others, 0.0, n_draws=4)
    assert (calibration.gains < 0.05).mean() > 0.9


def test_noise_is_common_antithetic_and_of_unit_covariance():
    noise = draw_common_noise(8, 3)
    assert noise.shape == (N_LEVELS, 8, 3)
    assert noise is draw_common_noise(8, 3) or torch.equal(noise, draw_common_noise(8, 3))
    torch.testing.assert_close(noise.mean(1), torch.zeros(N_LEVELS, 3).double())
    moments = noise.mT @ noise / 8
    torch.testing.assert_close(moments, torch.eye(3).double().expand(N_LEVELS, 3, 3))


def test_with_fewer_draws_than_columns_noise_has_the_length_of_the_normals():
    noise = draw_common_noise(4, 30)
    lengths = noise.square().sum(2)
    torch.testing.assert_close(lengths, torch.full_like(lengths, 30))


def test_errors_by_level_are_those_of_many_draws(mixture):
    """Antithetic draws, common to all rows, against four thousand of each row's own."""
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


def test_a_filters_errors_by_level_are_exact(mixture):
    """Without a nonlinear part there is nothing left to draw."""

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

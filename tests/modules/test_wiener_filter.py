"""The best linear denoiser, against the conditional mean and density of normal rows."""

import pytest
import torch
from torch.distributions import MultivariateNormal

from skae.modules import WienerFilter


def test_the_filter_is_the_conditional_mean():
    generator = torch.Generator().manual_seed(0)
    filter = WienerFilter(3, 3).double()
    basis = torch.linalg.qr(torch.randn(3, 3, generator=generator).double())[0]
    filter.axes.copy_(basis)
    filter.variances.copy_(torch.tensor([4.0, 1.0, 0.25]))
    filter.mean.copy_(torch.tensor([1.0, -2.0, 3.0]))
    covariance = basis.T @ torch.diag(filter.variances) @ basis
    root = basis.T @ torch.diag(filter.variances.sqrt())
    rows = torch.randn(200_000, 3, generator=generator).double() @ root.T + filter.mean
    level = torch.full((len(rows), 1), 0.7).double()
    noisy = rows + 0.7 * torch.randn(200_000, 3, generator=generator).double()
    gain = covariance @ torch.linalg.inv(covariance + 0.49 * torch.eye(3).double())
    estimate = filter(noisy, level)
    torch.testing.assert_close(estimate, filter.mean + (noisy - filter.mean) @ gain.T)
    error = (estimate - rows).square().sum(1).mean().item()
    assert error == pytest.approx(filter.expected_error(level[:1]).item(), rel=0.02)


def test_residuals_are_what_the_filter_takes_away():
    filter = WienerFilter(4, 2).double()
    filter.variances.copy_(torch.tensor([2.0, 1.0]))
    filter.remainder.fill_(0.1)
    filter.mean.fill_(3.0)
    rows = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)).double()
    levels = torch.tensor([0.5, 2.0]).double()
    expected = [rows - filter(rows, level.expand(5, 1)) for level in levels]
    found = filter.residuals(rows, levels.view(2, 1, 1))
    torch.testing.assert_close(found, torch.stack(expected))


def test_a_filter_of_few_axes_has_one_variance_across_them():
    filter = WienerFilter(4, 2).double()
    filter.variances.copy_(torch.tensor([2.0, 1.0]))
    filter.remainder.fill_(0.1)
    full = WienerFilter(4, 4).double()
    full.variances.copy_(torch.tensor([2.0, 1.0, 0.1, 0.1]))
    rows = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)).double()
    level = torch.full((50, 1), 0.5).double()
    torch.testing.assert_close(filter(rows, level), full(rows, level))
    torch.testing.assert_close(filter.log_density(rows, 0.5), full.log_density(rows, 0.5))
    torch.testing.assert_close(filter.expected_error(level), full.expected_error(level))
    torch.testing.assert_close(filter.error(rows, level), full.error(rows, level))
    kept = filter.expected_error(level, 1)
    torch.testing.assert_close(kept, full.expected_error(level, 1))
    # The first axis is kept, and the variances 1, 0.1 and 0.1 are lost.
    torch.testing.assert_close(kept, torch.full((50, 1), 2 * 0.25 / 2.25 + 1.2).double())


@pytest.fixture
def filter():
    filter = WienerFilter(4, 2).double()
    basis = torch.linalg.qr(torch.randn(4, 2, generator=torch.Generator().manual_seed(1)))[0]
    filter.axes.copy_(basis.T)
    filter.variances.copy_(torch.tensor([2.0, 0.7]))
    filter.remainder.fill_(0.3)
    filter.mean.copy_(torch.tensor([1.0, 0.0, -1.0, 5.0]))
    return filter


def covariance_of(filter):
    across = torch.eye(4).double() - filter.axes.T @ filter.axes
    return filter.axes.T @ torch.diag(filter.variances) @ filter.axes + filter.remainder * across


@pytest.mark.parametrize("level", [0.0, 0.5, 2.0])
def test_the_density_is_that_of_noisy_normal_rows(level, filter):
    rows = torch.randn(30, 4, generator=torch.Generator().manual_seed(0)).double() + filter.mean
    covariance = covariance_of(filter) + level**2 * torch.eye(4).double()
    expected = MultivariateNormal(filter.mean, covariance).log_prob(rows)
    torch.testing.assert_close(
        filter.log_density(rows, level), expected, atol=1e-5, rtol=1e-5
    )  # the basis has the precision of float32


def test_errors_are_those_of_many_draws(filter):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(6, 4, generator=generator).double() + filter.mean
    level = torch.tensor([[0.1], [0.3], [0.5], [1.0], [2.0], [5.0]]).double()
    noise = torch.randn(20_000, 6, 4, generator=generator).double()
    errors = sum(
        (filter(rows + level * part, level) - rows).square().sum(1) for part in noise[:4000]
    )
    torch.testing.assert_close(errors / 4000, filter.error(rows, level), rtol=0.08, atol=0)


def test_errors_of_cells_are_those_of_many_draws_and_add_up(filter):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(3, 4, generator=generator).double() + filter.mean
    level = torch.tensor([[0.3], [1.0], [3.0]]).double()
    noise = torch.randn(8000, 3, 4, generator=generator).double()
    errors = torch.stack([(filter(rows + level * part, level) - rows).square() for part in noise])
    found = filter.cell_errors(rows, level)
    torch.testing.assert_close(errors.mean(0), found, rtol=0.08, atol=0)
    torch.testing.assert_close(found.sum(1), filter.error(rows, level), rtol=1e-5, atol=1e-5)


def test_the_expected_error_is_the_mean_error_of_the_rows(filter):
    root = torch.linalg.cholesky(covariance_of(filter))
    normal = torch.randn(100_000, 4, generator=torch.Generator().manual_seed(0)).double()
    rows = normal @ root.T + filter.mean
    for scale in (0.2, 1.0, 3.0):
        level = torch.full((len(rows), 1), scale).double()
        mean = filter.error(rows, level).mean()
        torch.testing.assert_close(mean, filter.expected_error(level[:1])[0, 0], rtol=0.02, atol=0)


def test_the_likeliest_level_is_the_one_of_the_noise():
    filter = WienerFilter(400, 1)
    filter.remainder.fill_(0.01)
    levels = torch.tensor([[0.1], [0.5], [2.0]])
    noise = torch.randn(3, 400, generator=torch.Generator().manual_seed(0))
    assert torch.equal(filter.find_likeliest_level(noise * levels, levels[:, 0]), levels)


def test_a_filter_takes_as_many_axes_as_a_stored_one_has(filter):
    other = WienerFilter(4, 4).double()
    other.load_state_dict(filter.state_dict())
    assert other.axes.shape == (2, 4)
    assert other.n_left == 2
    rows = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(other.log_density(rows, 0.5), filter.log_density(rows, 0.5))


def test_a_filter_takes_no_axes_of_other_columns(filter):
    with pytest.raises(RuntimeError, match="size mismatch for axes"):
        WienerFilter(5, 4).double().load_state_dict(filter.state_dict())

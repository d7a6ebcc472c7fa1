"""Distributions of cells, against torch's."""

import pytest
import torch
from torch.distributions import Bernoulli, Normal

from skae.modules.likelihoods import BernoulliLikelihood, GaussianLikelihood


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def rows():
    return torch.randn(2, 9, 4, generator=generator())


@pytest.mark.parametrize("variance", [[0.3], [0.1, 0.5, 1.0, 4.0]], ids=["shared", "by column"])
def test_gaussian_cells(variance, rows):
    output, input = rows
    variance = torch.tensor(variance)
    likelihood = GaussianLikelihood(len(variance), 1e-6)
    likelihood.set_variance(variance)
    torch.testing.assert_close(likelihood.variance, variance)
    expected = Normal(output, variance.sqrt()).log_prob(input).sum(1)
    torch.testing.assert_close(likelihood.log_density(output, input), expected)
    several = likelihood.log_density(output[:, None], input[:, None])
    torch.testing.assert_close(several, expected[:, None])
    assert likelihood.mean(output) is output
    drawn = likelihood.draw(torch.zeros(20_000, 4), generator())
    torch.testing.assert_close(drawn.var(0), variance.expand(4), rtol=0.05, atol=0)
    assert torch.equal(drawn, likelihood.draw(torch.zeros(20_000, 4), generator()))


@pytest.mark.parametrize("variance", [[0.3], [0.1, 0.5, 1.0, 4.0]], ids=["shared", "by column"])
def test_only_observed_gaussian_cells_count(variance, rows):
    output, input = rows
    likelihood = GaussianLikelihood(len(variance), 1e-6)
    likelihood.set_variance(torch.tensor(variance))
    mask = torch.rand(9, 4, generator=generator(1)) < 0.5
    cells = Normal(output, torch.tensor(variance).sqrt()).log_prob(input)
    torch.testing.assert_close(likelihood.log_cells(output, input), cells)
    expected = (cells * mask).sum(1)
    other = torch.where(mask, input, 1000.0)
    torch.testing.assert_close(likelihood.log_density(output, other, mask), expected)
    several = likelihood.log_density(output[:, None], other[:, None], mask[:, None])
    torch.testing.assert_close(several, expected[:, None])


def test_the_variance_has_a_lower_bound():
    likelihood = GaussianLikelihood(3, 0.01)
    likelihood.set_variance(torch.tensor([0.0, 0.01, 2.0]))
    assert likelihood.variance.tolist() == pytest.approx([0.0101, 0.0101, 2.0])
    torch.nn.init.constant_(likelihood.log_excess, -1e9)
    torch.testing.assert_close(likelihood.variance, torch.full((3,), 0.01))


@pytest.fixture
def bernoulli():
    likelihood = BernoulliLikelihood(4)
    likelihood.set_scaling(torch.tensor([0.1, 0.5, 0.9, 0.0]), torch.tensor([0.3, 0.5, 0.2, 1.0]))
    return likelihood


def test_bernoulli_cells(bernoulli, rows):
    output, _ = rows
    cells = torch.bernoulli(torch.full((9, 4), 0.5), generator=generator())
    scaled = (cells - bernoulli.shift) / bernoulli.scale
    expected = Bernoulli(logits=output).log_prob(cells).sum(1)
    torch.testing.assert_close(bernoulli.log_density(output, scaled), expected)
    torch.testing.assert_close(bernoulli.probabilities(scaled), cells)
    torch.testing.assert_close(bernoulli.probabilities(bernoulli.mean(output)), output.sigmoid())


def test_only_observed_bernoulli_cells_count(bernoulli, rows):
    output, _ = rows
    mask = torch.rand(9, 4, generator=generator(1)) < 0.5
    cells = torch.bernoulli(torch.full((9, 4), 0.5), generator=generator())
    each = Bernoulli(logits=output).log_prob(cells)
    scaled = bernoulli.scale_rows(cells)
    torch.testing.assert_close(bernoulli.log_cells(output, scaled), each)
    torch.testing.assert_close(bernoulli.log_density(output, scaled, mask), (each * mask).sum(1))


def test_probabilities_have_the_expected_log_mass(bernoulli, rows):
    output, _ = rows
    shares = torch.rand(9, 4, generator=generator())
    expected = Bernoulli(logits=output)
    zeros, ones = (expected.log_prob(torch.full((9, 4), value)) for value in (0.0, 1.0))
    found = bernoulli.log_density(output, bernoulli.scale_rows(shares))
    torch.testing.assert_close(found, (shares * ones + (1 - shares) * zeros).sum(1))
    beyond = bernoulli.scale_rows(torch.full((9, 4), 1.3))
    torch.testing.assert_close(bernoulli.log_density(output, beyond), ones.sum(1))


def test_drawn_bernoulli_cells_are_zero_or_one(bernoulli):
    shares = torch.tensor([0.1, 0.4, 0.7, 1.0]).expand(20_000, 4)
    for draw in (
        lambda: bernoulli.draw(shares.logit(eps=1e-9), generator()),
        lambda: bernoulli.binarize(bernoulli.scale_rows(shares), generator()),
    ):
        cells = bernoulli.probabilities(draw())
        assert ((cells < 1e-6) | (cells > 1 - 1e-6)).all()
        torch.testing.assert_close(cells.mean(0), shares[0], atol=0.02, rtol=0)
        assert torch.equal(draw(), draw())

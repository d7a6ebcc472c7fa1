"""Distributions of rows of numbers, booleans and categories, against torch's."""

import itertools

import pytest
import torch
from torch.distributions import Bernoulli, Categorical, Normal

from skae.modules.cells import CellLayout
from skae.modules.likelihoods import Bounds, CategoricalLikelihood
from skae.modules.mixed_likelihood import MixedLikelihood, make_likelihood

LAYOUT = CellLayout(numbers=(3, 8), booleans=(0, 7), categories=((1, 3), (4, 7), (9, 13)))
FIRST = [0, 1, 3, 4, 7, 8, 9]  # first encoded column of each column


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def draw_rows(n_rows, layout=LAYOUT):
    """Rows before scaling."""
    rows = torch.randn(n_rows, layout.n_encoded, generator=generator())
    for index in layout.booleans:
        rows[:, index] = (rows[:, index] > 0).float()
    for first, end in layout.categories:
        level = rows[:, first:end].argmax(dim=1)
        rows[:, first:end] = torch.nn.functional.one_hot(level, end - first).float()
    return rows


@pytest.fixture(params=[True, False], ids=["by column", "shared"])
def mixed(request):
    likelihood = MixedLikelihood(LAYOUT, request.param, 1e-6)
    noise = [0.1, 2.0] if request.param else [0.5]
    likelihood.numbers.set_variance(torch.tensor(noise))
    shift = torch.rand(13, generator=generator(1))
    likelihood.set_scaling(shift, 0.2 + shift)
    return likelihood, shift, 0.2 + shift


def expected_cells(likelihood, output, rows, scaled):
    """The log-density of each cell, by torch."""
    cells = {}
    variance = likelihood.numbers.variance.expand(2)
    for index, each in zip(LAYOUT.numbers, variance, strict=True):
        cells[index] = Normal(output[..., index], each.sqrt()).log_prob(scaled[..., index])
    for index in LAYOUT.booleans:
        cells[index] = Bernoulli(logits=output[..., index]).log_prob(rows[..., index])
    for first, end in LAYOUT.categories:
        level = rows[..., first:end].argmax(dim=-1)
        cells[first] = Categorical(logits=output[..., first:end]).log_prob(level)
    return torch.stack([cells[index] for index in FIRST], dim=-1)


def test_cells_of_each_kind(mixed):
    likelihood, shift, scale = mixed
    rows, output = draw_rows(9), 3 * torch.randn(9, 13, generator=generator(2))
    scaled = (rows - shift) / scale
    expected = expected_cells(likelihood, output, rows, scaled)
    torch.testing.assert_close(likelihood.log_cells(output, scaled), expected)
    torch.testing.assert_close(likelihood.log_density(output, scaled), expected.sum(1))
    several = torch.stack([output, output + 1, 2 * output], dim=1)
    found = likelihood.log_density(several, scaled[:, None])
    for draw in range(3):
        alone = expected_cells(likelihood, several[:, draw], rows, scaled)
        torch.testing.assert_close(found[:, draw], alone.sum(1))


def test_only_observed_cells_count(mixed):
    likelihood, shift, scale = mixed
    rows, output = draw_rows(9), 3 * torch.randn(9, 13, generator=generator(2))
    scaled = (rows - shift) / scale
    observed = torch.rand(9, 7, generator=generator(3)) < 0.5
    observed[0] = False
    widths = torch.tensor([1, 2, 1, 3, 1, 1, 4])
    mask = observed.repeat_interleave(widths, dim=1)
    cells = expected_cells(likelihood, output, rows, scaled)
    expected = torch.where(observed, cells, 0.0).sum(1)
    other = torch.where(mask, scaled, 17.0)
    torch.testing.assert_close(likelihood.log_density(output, other, mask), expected)
    several = output[:, None].expand(9, 5, 13)
    found = likelihood.log_density(several, other[:, None], mask[:, None])
    torch.testing.assert_close(found, expected[:, None].expand(9, 5))
    assert found[0].eq(0).all()


def test_gradients_of_missing_cells_are_zero(mixed):
    likelihood, shift, scale = mixed
    output = torch.randn(4, 13, generator=generator()).requires_grad_()
    mask = torch.ones(4, 13, dtype=torch.bool)
    mask[1, 4:7] = mask[2, 3] = mask[3, 0] = False
    scaled = (draw_rows(4) - shift) / scale
    likelihood.log_density(output, scaled, mask).sum().backward()
    assert torch.equal(output.grad == 0, ~mask)


def test_expected_rows_are_probabilities(mixed):
    likelihood, shift, scale = mixed
    output = torch.randn(9, 13, generator=generator())
    rows = likelihood.mean(output) * scale + shift
    for index in LAYOUT.booleans:
        torch.testing.assert_close(rows[:, index], output[:, index].sigmoid())
    for first, end in LAYOUT.categories:
        torch.testing.assert_close(rows[:, first:end], output[:, first:end].softmax(1))
    numbers = list(LAYOUT.numbers)
    torch.testing.assert_close(likelihood.mean(output)[:, numbers], output[:, numbers])


def test_drawn_rows_have_one_level_a_category(mixed):
    likelihood, shift, scale = mixed
    output = 2 * torch.randn(13, generator=generator())
    drawn = likelihood.draw(output.expand(20_000, 13), generator()) * scale + shift
    expected = likelihood.mean(output) * scale + shift
    torch.testing.assert_close(drawn.mean(0), expected, atol=0.03, rtol=0)
    discrete = drawn[:, ~torch.from_numpy(LAYOUT.is_number)]
    assert torch.minimum(discrete.abs(), (discrete - 1).abs()).max() < 1e-6
    for first, end in LAYOUT.categories:
        torch.testing.assert_close(drawn[:, first:end].sum(1), torch.ones(20_000))
    again = likelihood.draw(output.expand(20_000, 13), generator()) * scale + shift
    assert torch.equal(drawn, again)


def test_masses_of_all_combinations_sum_to_one():
    layout = CellLayout(booleans=(0,), categories=((1, 4), (4, 8)))
    likelihood = MixedLikelihood(layout, True, 1e-6)
    output = 3 * torch.randn(8, generator=generator())
    levels = (torch.tensor([[0.0], [1.0]]), torch.eye(3), torch.eye(4))
    rows = torch.stack([torch.cat(parts) for parts in itertools.product(*levels)])
    masses = likelihood.log_density(output.expand_as(rows), rows).exp()
    assert float(masses.detach().sum()) == pytest.approx(1)


@pytest.mark.parametrize(
    "layout",
    [
        CellLayout((0, 1, 2)),
        CellLayout((), (0, 1)),
        CellLayout((), (), ((0, 3),)),
    ],
    ids=["numbers", "booleans", "categories"],
)
def test_rows_of_one_kind(layout):
    likelihood = MixedLikelihood(layout, True, 1e-6)
    rows = draw_rows(5, layout)
    output = torch.randn(rows.shape, generator=generator(4))
    found = likelihood.log_density(output, rows)
    torch.testing.assert_close(found, likelihood.log_cells(output, rows).sum(1))
    assert likelihood.draw(output, generator()).shape == likelihood.mean(output).shape == rows.shape


def test_levels_far_from_each_other_stay_finite():
    likelihood = CategoricalLikelihood([3])
    output = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    found = likelihood.log_density(output, torch.eye(3))
    torch.testing.assert_close(found, torch.tensor([0.0, -2e4, -1e4]))
    found.sum().backward()
    assert output.grad.isfinite().all()
    assert torch.equal(likelihood.draw(output, generator()), torch.eye(3)[:1])


def test_whitened_derivatives_give_fishers_information(mixed):
    """The expected negative Hessian of the log-density, which has no residual in the mean."""
    likelihood, *_ = mixed
    jacobian = torch.randn(1, 13, 2, generator=generator())
    output = torch.randn(13, generator=generator(1))
    n_rows = 40_000
    rows = likelihood.draw(output.expand(n_rows, 13), generator())

    def mean_log_density(code):
        moved = (output + jacobian[0] @ code).expand(n_rows, 13)
        return likelihood.log_density(moved, rows).mean()

    hessian = torch.autograd.functional.hessian(mean_log_density, torch.zeros(2))
    root = likelihood.whiten(jacobian, output.unsqueeze(0))[0].detach()
    torch.testing.assert_close(root.T @ root, -hessian, rtol=1e-3, atol=1e-3)
    seen = torch.zeros(13, dtype=torch.bool)
    seen[4:7] = True  # information of a category alone

    def mean_of_category(code):
        moved = (output + jacobian[0] @ code).expand(n_rows, 13)
        return likelihood.log_density(moved, rows, seen.expand(n_rows, 13)).mean()

    hessian = torch.autograd.functional.hessian(mean_of_category, torch.zeros(2))
    torch.testing.assert_close(root[4:7].T @ root[4:7], -hessian, rtol=1e-3, atol=1e-3)


def test_numbers_are_drawn_within_bounds(mixed):
    likelihood = mixed[0].requires_grad_(False)
    low, high = torch.full((13,), -torch.inf), torch.full((13,), torch.inf)
    low[3], high[8] = 0.1, -0.5
    drawn = likelihood.draw(torch.zeros(5000, 13), generator(), Bounds(low, high))
    assert drawn[:, 3].min() >= 0.1
    assert drawn[:, 8].max() <= -0.5
    free = likelihood.draw(torch.zeros(5000, 13), generator())
    kept = free[:, 8][free[:, 8] <= -0.5]
    assert float(drawn[:, 8].mean()) == pytest.approx(float(kept.mean()), abs=0.05)
    far = likelihood.draw(torch.full((50, 13), -1e4), generator(), Bounds(low, high))
    torch.testing.assert_close(far[:, 3], torch.full((50,), 0.1))


@pytest.mark.parametrize("name", ["gaussian", "bernoulli"])
def test_the_likelihood_of_a_layout(name):
    numbers = CellLayout((0, 1))
    assert not isinstance(make_likelihood(name, numbers, True, 1e-6), MixedLikelihood)
    mixed = make_likelihood(name, LAYOUT, True, 1e-6)
    assert isinstance(mixed, MixedLikelihood)
    rows, output = draw_rows(6).clamp(0, 1), torch.randn(6, 13, generator=generator(5))
    cells = mixed.log_cells(output, rows)
    assert (cells[:, [0, 1, 3, 4, 6]] <= 0).all()  # columns 2 and 5 hold numbers
    if name == "bernoulli":
        expected = -torch.nn.functional.binary_cross_entropy_with_logits(
            output[:, 3], rows[:, 3], reduction="none"
        )
        torch.testing.assert_close(cells[:, 2], expected)
        assert mixed.numbers is None


def test_booleans_alone_are_drawn_from_probabilities():
    likelihood = MixedLikelihood(LAYOUT, True, 1e-6)
    rows = torch.full((2000, LAYOUT.n_encoded), 0.3)
    drawn = likelihood.binarize(rows, generator())
    others = [index for index in range(LAYOUT.n_encoded) if index not in LAYOUT.booleans]
    assert torch.equal(drawn[:, others], rows[:, others])
    own = drawn[:, list(LAYOUT.booleans)]
    assert set(own.unique().tolist()) == {0.0, 1.0}
    assert 0.25 < own.mean() < 0.35
    numbers = MixedLikelihood(CellLayout(numbers=(0,), categories=((1, 3),)), True, 1e-6)
    assert numbers.binarize(rows, generator()) is rows

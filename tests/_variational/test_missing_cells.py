"""Rows with missing cells: their density, and what is drawn for them, against scipy's Gaussian."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from skae import VAETransformer
from skae._data import Batch
from skae._variational.density import draw_normal, importance_bound, weigh_codes_given_observed
from skae._variational.missing_cells import draw_missing
from skae._variational.proposal import find_proposal
from skae.modules import MLPArchitecture, make_variational
from skae.modules.cells import CellLayout


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def gaussian():
    """Rows of a factor model, the share of a third of whose cells is missing at random."""
    rng = np.random.default_rng(0)
    loadings, noise = rng.normal(size=(2, 6)), np.geomspace(0.3, 1, 6)
    X = rng.normal(size=(3000, 2)) @ loadings + noise * rng.normal(size=(3000, 6)) + 3
    covariance = loadings.T @ loadings + np.diag(noise**2)
    observed = rng.random(X.shape) > 0.33
    observed[0] = True
    return np.where(observed, X, np.nan), X, covariance


@pytest.fixture(scope="module")
def fitted(gaussian):
    """Factor analysis, in closed form."""
    ours = VAETransformer(2, hidden_layer_sizes=(), prior="standard", random_state=0)
    return ours.fit(gaussian[0][:2000])


def prepare(model, X):
    """Completed rows in float64, and which cells are observed."""
    scaled = model._state.prepare(X, np.float64).to_batch()
    return model.module_.double(), scaled


def marginal(row, covariance, mean=3.0):
    seen = ~np.isnan(row)
    if not seen.any():
        return 0.0
    centre = np.full(seen.sum(), mean)
    return multivariate_normal(centre, covariance[np.ix_(seen, seen)]).logpdf(row[seen])


@pytest.mark.parametrize("prior", ["standard", "mixture"])
def test_the_density_of_observed_cells_is_their_marginal(gaussian, prior):
    incomplete, _, covariance = gaussian
    ours = VAETransformer(2, hidden_layer_sizes=(), prior=prior, max_epochs=2, random_state=0)
    test = incomplete[2000:]
    found = ours.fit(incomplete[:2000]).score_samples(test)
    truth = np.array([marginal(row, covariance) for row in test])
    cells = (~np.isnan(test)).sum()
    assert abs((found - truth).sum()) / cells < 0.01
    if prior == "standard":  # a mixture of several Gaussians has more to estimate
        assert np.abs(found - truth).sum() / cells < 0.02
    bound = ours.elbo(test).bound
    assert bound.mean() < found.mean() + 1e-6
    assert (truth - bound).sum() / cells < 0.3  # the encoder's Gaussian is too narrow


def test_noise_of_a_column_is_that_of_its_observed_cells(gaussian, fitted):
    complete = VAETransformer(2, hidden_layer_sizes=(), prior="standard").fit(gaussian[1][:2000])
    np.testing.assert_allclose(fitted.noise_variance_, complete.noise_variance_, rtol=0.2)


def test_missing_cells_have_their_conditional_distribution(gaussian, fitted):
    incomplete, _, covariance = gaussian
    X = incomplete[2000:2020]
    module, batch = prepare(fitted, X)
    with torch.no_grad():
        drawn = draw_missing(module, batch, 2000, generator()).numpy()
    drawn = drawn * fitted.scale_ + fitted.mean_
    for row, several in zip(X, drawn, strict=True):
        seen = ~np.isnan(row)
        np.testing.assert_allclose(several[:, seen], np.tile(row[seen], (2000, 1)), rtol=1e-9)
        own = covariance[np.ix_(~seen, seen)] @ np.linalg.inv(covariance[np.ix_(seen, seen)])
        centre = 3 + own @ (row[seen] - 3)
        spread = covariance[np.ix_(~seen, ~seen)] - own @ covariance[np.ix_(seen, ~seen)]
        np.testing.assert_allclose(several[:, ~seen].mean(axis=0), centre, atol=0.3)
        variance = several[:, ~seen].var(axis=0)
        np.testing.assert_allclose(variance, spread.diagonal(), rtol=0.3)


def test_draws_are_reproducible_and_differ(gaussian, fitted):
    module, batch = prepare(fitted, gaussian[0][2000:2010])
    with torch.no_grad():
        found = [draw_missing(module, batch, 3, generator(seed)) for seed in (0, 0, 1)]
    assert torch.equal(found[0], found[1])
    is_missing = ~batch.mask.unsqueeze(1).expand(-1, 3, -1)
    assert (found[0] != found[2])[is_missing].all()
    assert (found[0][:, 0] != found[0][:, 1])[is_missing[:, 0]].all()


def test_complete_rows_are_left_as_they_are(fitted):
    rows = torch.randn(4, 6, generator=generator(), dtype=torch.float64)
    module = fitted.module_.double()
    several = draw_missing(module, Batch(rows), 3, generator())
    assert torch.equal(several, rows.unsqueeze(1).expand(-1, 3, -1))


# Nonlinear models ----------------------------------------------------------------------------

LAYOUT = CellLayout(numbers=(0, 4), booleans=(5,), categories=((1, 4),))


def make_module(prior="mixture", n_components=2):
    """A network with random weights, whose cells depend on the code."""
    module = make_variational(
        6,
        n_components,
        partial(MLPArchitecture((8,), "silu"), generator=generator()),
        prior=prior,
        n_prior_components=3,
        noise_per_column=True,
        layout=LAYOUT,
        generator=generator(),
    ).double()
    with torch.no_grad():
        module.decoder.linear.linear_layers[0].weight.mul_(3)
        module.likelihood.numbers.set_variance(torch.tensor([0.1, 0.5]))
    return module.eval()


def draw_mixed_rows(module, n_rows):
    """Rows of the model, and which of their cells are observed."""
    with torch.no_grad():
        output = module.decoder(module.mixture().draw(n_rows, generator(1)))
        rows = module.likelihood.draw(output, generator(1))
    observed = torch.rand(n_rows, 4, generator=generator(2)) < 0.6
    mask = observed[:, [0, 1, 1, 1, 2, 3]]
    mask[0], mask[1] = False, True
    return rows, mask


def integrate(module, rows, mask):
    """Log-densities by quadrature over codes of one unit."""
    grid = torch.linspace(-12, 12, 8001, dtype=torch.float64)[:, None]
    log_prior = module.mixture().log_density(grid)
    output = module.decoder(grid)
    each = [
        module.likelihood.log_density(output, row, seen.expand(len(grid), -1))
        for row, seen in zip(rows, mask, strict=True)
    ]
    return (torch.stack(each) + log_prior).logsumexp(1) + torch.log(grid[1, 0] - grid[0, 0])


@pytest.mark.parametrize("prior", ["standard", "mixture", "vamp"])
def test_the_bound_is_tight_for_incomplete_rows(prior):
    module = make_module(prior, 1)
    rows, mask = draw_mixed_rows(module, 60)
    incomplete = ~mask.all(1)
    with torch.no_grad():
        expected = integrate(module, rows, mask)
        found = importance_bound(module, rows, 100, mask)
    assert float(found[0]) == 0.0
    assert (found - expected)[incomplete].abs().mean() < 0.02
    assert (found - expected)[incomplete].abs().max() < 0.1


@pytest.mark.parametrize("n_components", [2, 8])
def test_few_draws_are_nearly_as_good_as_many(n_components):
    module = make_module(n_components=n_components)
    rows, mask = draw_mixed_rows(module, 60)
    with torch.no_grad():
        few, many = (
            weigh_codes_given_observed(module, rows, mask, draw_normal(n_draws, n_components))[1]
            for n_draws in (100, 10_000)
        )
    gap = (many.logsumexp(1) - np.log(10_000)) - (few.logsumexp(1) - np.log(100))
    assert gap[1:].abs().mean() < 0.03


def test_rows_are_scored_alone():
    module = make_module()
    rows, mask = draw_mixed_rows(module, 30)
    with torch.no_grad():
        together = importance_bound(module, rows, 50, mask)
        for part in (slice(0, 1), slice(1, 2), slice(2, 9)):
            alone = importance_bound(module, rows[part], 50, mask[part])
            torch.testing.assert_close(alone, together[part])
        complete = importance_bound(module, rows[1:2], 50)
    torch.testing.assert_close(complete, together[1:2])


def test_missing_cells_have_no_influence():
    module = make_module()
    rows, mask = draw_mixed_rows(module, 30)
    other = torch.where(mask, rows, 0.3)
    with torch.no_grad():
        first, second = (importance_bound(module, each, 2000, mask) for each in (rows, other))
    # Through the encoder, from whose mean the mode is searched, and not otherwise.
    torch.testing.assert_close(first, second, atol=0.05, rtol=0)


def test_a_proposal_is_the_posterior_of_a_linear_gaussian_model(gaussian, fitted):
    module, batch = prepare(fitted, gaussian[0][2000:2010])
    with torch.no_grad():
        proposal = find_proposal(module, batch.input, batch.mask)
    loadings = module.linear_layers[1].weight.detach()
    precise = batch.mask / module.likelihood.variance.detach()
    assert proposal.mean.shape == (10, 1, 2)
    for row, own, mean, root in zip(
        batch.input, precise, proposal.mean[:, 0], proposal.root[:, 0], strict=True
    ):
        precision = torch.eye(2) + (loadings * own[:, None]).T @ loadings
        centred = own * (row - module.linear_layers[1].bias.detach())
        torch.testing.assert_close(mean, torch.linalg.solve(precision, loadings.T @ centred))
        torch.testing.assert_close(root @ root.T, precision)


def test_draws_of_mixed_rows_are_values(gaussian):
    module = make_module()
    rows, mask = draw_mixed_rows(module, 30)
    with torch.no_grad():
        drawn = draw_missing(module, Batch(rows, mask=mask), 4, generator())
    cells = drawn[:, :, [1, 2, 3, 5]]
    assert ((cells == 0) | (cells == 1)).all()
    assert (drawn[:, :, 1:4].sum(2) == 1).all()

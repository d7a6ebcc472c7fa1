"""The variational module, in plain torch."""

from functools import partial

import pytest
import torch
from torch.distributions import Normal

from skae.modules import MLP, MLPArchitecture, VariationalAutoencoder, make_variational
from skae.modules.layers import make_linear


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def assemble(sizes=(6,), **parameters):
    architecture = partial(MLPArchitecture(sizes), generator=generator())
    return make_variational(5, 2, architecture, generator=generator(), **parameters)


@pytest.fixture
def rows():
    return torch.randn(8, 5, generator=generator())


def test_the_linear_path_gives_means_of_rows_and_shared_variances(rows):
    module = assemble()
    log_variance = torch.tensor([-3.0, 0.5])
    module.set_linear_variance(log_variance)
    mean, found = module.posterior(rows)
    encoder, decoder = module.linear_layers
    torch.testing.assert_close(mean, encoder(rows))
    torch.testing.assert_close(found, log_variance.expand(8, 2), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(module.encode(rows), mean)
    torch.testing.assert_close(module(rows), decoder(mean))


def test_variances_stay_in_bounds(rows):
    module = assemble()
    module.set_linear_variance(torch.tensor([-1e3, 1e3]))
    _, log_variance = module.posterior(rows)
    assert log_variance.min() >= -26
    assert log_variance.max() <= 6


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_several_draws_are_scored_each(likelihood, rows):
    module = assemble(likelihood=likelihood)
    codes = torch.randn(8, 3, 2, generator=generator())
    found = module.log_likelihood(rows, codes)
    expected = [module.log_likelihood(rows, codes[:, draw]) for draw in range(3)]
    torch.testing.assert_close(found, torch.stack(expected, dim=1))


@pytest.mark.parametrize("prior", ["standard", "mixture", "vamp"])
def test_the_divergence_is_the_mean_log_ratio_of_draws(prior, rows):
    module = assemble(prior=prior, n_prior_components=4)
    mean, log_variance = module.posterior(rows)
    noise = torch.randn(8, 20_000, 2, generator=generator())
    scale = (0.5 * log_variance).exp()
    codes = mean[:, None] + scale[:, None] * noise
    log_posterior = Normal(mean[:, None], scale[:, None]).log_prob(codes).sum(2)
    expected = (log_posterior - module.mixture().log_density(codes)).mean(1)
    found = module.divergence(mean, log_variance, codes)
    torch.testing.assert_close(found, expected, atol=0.05, rtol=0)
    single = module.divergence(mean, log_variance, codes[:, 0])
    assert single.shape == (8,)
    # The standard prior's divergence is exact, whatever the draws are.
    assert torch.equal(found, single) is (prior == "standard")


def test_probabilities_are_decoded(rows):
    module = assemble(likelihood="bernoulli")
    code = module.encode(rows)
    torch.testing.assert_close(module.decode(code), module.decoder(code).sigmoid())


def test_linear_paths_and_the_prior_do_not_decay():
    module = assemble(prior="mixture")
    nonlinear = [*module.encoder.nonlinear.layers, *module.decoder.nonlinear.layers]
    found = {id(weight) for weight in module.decaying_weights()}
    assert found == {id(layer.weight) for layer in nonlinear}


def test_parameters_reach_the_parts():
    assert assemble().likelihood.variance.shape == (1,)
    module = assemble((), noise_per_column=True, smallest_variance=0.5, prior="vamp")
    assert module.likelihood.variance.shape == (5,)
    assert module.likelihood.smallest_variance == 0.5
    assert module.prior.n_mixed == 17
    assert assemble(prior="mixture", n_prior_components=3).prior.n_mixed == 3
    assert module.encoder.nonlinear is module.decoder.nonlinear is None  # affine paths add nothing
    for one, same in zip(assemble().parameters(), assemble().parameters(), strict=True):
        assert torch.equal(one, same)


def test_a_linear_path_has_two_halves():
    module = assemble()
    assert module.has_linear_path
    assert not assemble(linear_path=False).has_linear_path
    mixed = VariationalAutoencoder(
        module.encoder, make_linear(2, 5, generator()), module.prior, module.likelihood
    )
    assert not mixed.has_linear_path


def test_compiling_reaches_both_networks():
    compiled = []

    class Recorder(MLP):
        def compile(self, **kwargs):
            compiled.append((self, kwargs))

    def architecture(role, n_inputs, n_outputs):
        return Recorder(n_inputs, n_outputs, (6,), generator=generator())

    module = make_variational(5, 2, architecture, linear_path=False, generator=generator())
    module.compile(dynamic=True)
    assert compiled == [(half, {"dynamic": True}) for half in (module.encoder, module.decoder)]

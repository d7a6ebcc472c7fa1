"""VAETransformer: theory is the oracle."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import ks_2samp
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.metrics import adjusted_rand_score
from torch import nn

from skae import AutoencoderTransformer, VAETransformer
from skae._data import Batch
from skae._linear import fit_probabilistic_pca
from skae._variational.density import draw_normal, evidence_bound
from skae._variational.objective import VariationalObjective
from skae.modules import MLPArchitecture, make_variational


def linear(n_components, **parameters):
    return VAETransformer(n_components, hidden_layer_sizes=(), **parameters)


def rotation(rng, size):
    return np.linalg.qr(rng.normal(size=(size, size)))[0]


@pytest.fixture(scope="module")
def binary(digits):
    return (digits > 7).astype(float)


@pytest.fixture(scope="module")
def trained(curve):
    return VAETransformer(2, random_state=0).fit(curve[:500])


# Linear is probabilistic PCA --------------------------------------------------------------


@pytest.mark.parametrize("n_components", [1, 3, 10])
def test_linear_is_probabilistic_pca(digits, n_components):
    ours = linear(n_components, standardize=False).fit(digits)
    expected = PCA(n_components).fit(digits).score_samples(digits)
    difference = ours.score_samples(digits) - expected
    assert np.abs(difference).mean() / digits.shape[1] < 1e-3
    assert ours.n_iter_ == 0
    assert ours.active_units_.all()


def test_linear_posterior_is_the_true_one(wine):
    """Tipping and Bishop (1999), section 3: mean M^-1 W'(x - mu), covariance s2 M^-1."""
    ours = linear(3).fit(wine)
    loadings = ours.module_.linear_layers[1].weight.detach().double().numpy()
    noise = ours.noise_variance_
    rows = (wine - ours.mean_) / ours.scale_
    inner = np.linalg.inv(loadings.T @ loadings + noise * np.eye(3))
    mean, scale = ours.posterior(wine)
    np.testing.assert_allclose(mean, rows @ loadings @ inner, atol=1e-5)
    np.testing.assert_allclose(scale**2, np.tile(noise * inner.diagonal(), (178, 1)), rtol=1e-4)
    np.testing.assert_array_equal(mean, ours.transform(wine))


def test_whole_linear_code_scores_as_the_fitted_gaussian(wine):
    expected = PCA().fit(wine).score_samples(wine)
    for n_components in (13, 20):
        ours = linear(n_components).fit(wine)
        assert np.abs(ours.score_samples(wine) - expected).mean() / wine.shape[1] < 0.02


def test_the_bound_reaches_the_true_log_likelihood():
    rng = np.random.default_rng(0)
    loadings, noise = rng.normal(size=(2, 10)), 0.3
    X = rng.normal(size=(3000, 2)) @ loadings + noise * rng.normal(size=(3000, 10)) + 5
    covariance = loadings.T @ loadings + noise**2 * np.eye(10)
    test, centred = X[2000:], X[2000:] - 5
    squares = np.einsum("ij,jk,ik->i", centred, np.linalg.inv(covariance), centred)
    truth = -0.5 * (squares + np.linalg.slogdet(2 * np.pi * covariance)[1])
    for parameters in [{}, {"init": "random", "max_epochs": 150}]:
        # Columns that are scaled apart would not share a noise any more.
        ours = VAETransformer(2, standardize=False, random_state=0, **parameters).fit(X[:2000])
        assert abs(ours.score(test) - truth.mean()) / 10 < 0.05
        assert abs(ours.elbo(test).bound.mean() - truth.mean()) / 10 < 0.05


@pytest.mark.parametrize("prior", ["standard", "mixture", "vamp"])
def test_training_starts_at_probabilistic_pca(digits, prior):
    start = VAETransformer(
        5, prior=prior, lr=1e-30, max_epochs=1, early_stopping=False, random_state=0
    ).fit(digits)
    expected = linear(5).fit(digits)
    np.testing.assert_allclose(start.reconstruct(digits), expected.reconstruct(digits), atol=1e-3)
    gain = start.score(digits) - expected.score(digits)
    assert abs(gain) < 1e-3 if prior == "standard" else gain > -np.log(2)


@pytest.mark.parametrize("noise_per_column", [False, True])
@pytest.mark.parametrize("beta", [0.25, 1.0, 3.0])
def test_linear_start_is_the_optimum_for_any_beta(beta, noise_per_column):
    """The gradient of the loss vanishes there, and further noises are no better."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 8)) * np.geomspace(2, 0.3, 8) @ rotation(rng, 8)
    ours = linear(3, beta=beta, noise_per_column=noise_per_column, standardize=False).fit(X)
    module = ours.module_.train()
    rows = torch.from_numpy((X - ours.mean_) / ours.scale_).float()
    log_likelihood, divergence = evidence_bound(module, rows, 512).T
    (beta * divergence - log_likelihood).mean().backward()
    for name, weight in module.named_parameters():
        assert weight.grad.abs().max() < 0.01 * X.shape[1], name


def test_more_beta_closes_components():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 8)) * np.geomspace(2, 0.3, 8)
    active = [
        (fit_probabilistic_pca(X, None, 5, beta, 0.0, rng).loadings ** 2).sum(0) > 0
        for beta in (0.0, 1.0, 2.0, 50.0)
    ]
    assert [int(a.sum()) for a in active] == [5, 5, 2, 0]


# Densities --------------------------------------------------------------------------------


def marginal(model, X):
    """Log-density by quadrature over a code of one number."""
    grid = torch.linspace(-9, 9, 20001, dtype=torch.float64)
    module = copy.deepcopy(model.module_).double()
    with torch.no_grad():
        log_prior = module.mixture().log_density(grid[:, None])
        output = module.decoder(grid[:, None])
        rows = torch.from_numpy((X - model.mean_) / model.scale_)
        joint = torch.stack([module.likelihood.log_density(output, row) for row in rows])
        value = (joint + log_prior).logsumexp(1) + torch.log(grid[1] - grid[0])
    units = np.log(model.scale_).sum() if model.likelihood == "gaussian" else 0.0
    return value.numpy() - units


@pytest.mark.parametrize(
    "parameters",
    [{}, {"prior": "mixture"}, {"prior": "vamp"}, {"noise_per_column": True}],
    ids=str,
)
def test_scores_are_below_the_density_and_near_it(curve, parameters):
    ours = VAETransformer(1, max_epochs=60, random_state=0, **parameters).fit(curve[:500])
    test = curve[500:]
    density, score, bound = marginal(ours, test), ours.score_samples(test), ours.elbo(test).bound
    assert bound.mean() <= score.mean() + 1e-6
    assert score.mean() < density.mean() + 0.005
    assert density.mean() - score.mean() < 0.05
    more = clone(ours).set_params(n_draws=2000).fit(curve[:500]).score_samples(test)
    assert abs(density.mean() - more.mean()) < abs(density.mean() - score.mean()) + 1e-3


def test_bernoulli_scores_are_log_masses(binary):
    X = binary[:600, 16:48]
    ours = VAETransformer(1, likelihood="bernoulli", max_epochs=20, random_state=0).fit(X)
    expected = marginal(ours, X[:100])
    np.testing.assert_allclose(ours.score_samples(X[:100]), expected, atol=0.1)
    assert ours.score_samples(X).max() < 0


def test_parts_of_the_bound(trained, curve):
    test = curve[500:]
    bound, log_likelihood, divergence = trained.elbo(test)
    np.testing.assert_allclose(bound, log_likelihood - divergence)
    assert divergence.min() >= 0
    mean, scale = trained.posterior(test)
    expected = 0.5 * (mean**2 + scale**2 - 1 - 2 * np.log(scale)).sum(1)
    np.testing.assert_allclose(divergence, expected)
    assert bound.mean() < trained.score(test)


def test_a_better_density_than_pca(trained, curve):
    train, test = curve[:500], curve[500:]
    assert trained.score(test) > PCA(2).fit(train).score(test) + 0.5
    assert trained.validation_scores_ is not None


def test_density_follows_a_change_of_units(wine):
    units = 10.0 ** np.arange(-6, 7)
    ours = VAETransformer(3, max_epochs=10, random_state=0).fit(wine)
    scaled = clone(ours).fit(wine * units)
    expected = ours.score_samples(wine) - np.log(units).sum()
    np.testing.assert_allclose(scaled.score_samples(wine * units), expected, atol=0.01)
    elbo = scaled.elbo(wine * units)
    expected = ours.elbo(wine).log_likelihood - np.log(units).sum()
    np.testing.assert_allclose(elbo.log_likelihood, expected, atol=0.02)
    sample = scaled.sample(50, random_state=3) / units
    np.testing.assert_allclose(sample, ours.sample(50, random_state=3), rtol=1e-2, atol=1e-3)


def test_two_calls_agree_and_rows_are_apart(trained, curve):
    for method in (trained.score_samples, lambda X: trained.elbo(X).bound):
        np.testing.assert_array_equal(method(curve), method(curve))
        np.testing.assert_allclose(method(curve[7:9]), method(curve)[7:9], rtol=1e-9)


def test_draws_are_standard_normal():
    draws = draw_normal(1000, 5).numpy()
    np.testing.assert_allclose(draws.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(np.cov(draws.T), np.eye(5), atol=0.05)
    assert draw_normal(7, 3).shape == (7, 3)
    assert draw_normal(3, 30_000).shape == (3, 30_000)


# Samples ------------------------------------------------------------------------------------


def test_samples_have_mean_and_covariance():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 6)) @ rng.normal(size=(6, 6)) + np.arange(6)
    for ours in (linear(5, standardize=False).fit(X), VAETransformer(5, random_state=0).fit(X)):
        sample = ours.sample(20_000, random_state=0)
        spread = X.std(0)
        np.testing.assert_allclose(sample.mean(0) / spread, X.mean(0) / spread, atol=0.05)
        np.testing.assert_allclose(
            np.cov(sample.T) / np.outer(spread, spread), np.corrcoef(X.T), atol=0.06
        )


def test_samples_have_the_columns_quantiles(wine, curve):
    for X, most in ((wine, 0.12), (curve, 0.08)):
        ours = VAETransformer(4, random_state=0).fit(X)
        sample = ours.sample(4000, random_state=0)
        distances = [ks_2samp(a, b).statistic for a, b in zip(sample.T, X.T, strict=True)]
        assert np.mean(distances) < most


def test_sampling(trained):
    np.testing.assert_array_equal(trained.sample(9, 0), trained.sample(9, 0))
    assert not np.array_equal(trained.sample(9), trained.sample(9))
    assert trained.sample().shape == (1, 6)
    smooth = trained.sample(2000, random_state=0, noise=False)
    noisy = trained.sample(2000, random_state=0)
    expected = trained.scale_ * np.sqrt(trained.noise_variance_)
    np.testing.assert_allclose((noisy - smooth).std(0), expected, rtol=0.1)
    with pytest.raises(ValueError, match="n_samples == 0, must be >= 1"):
        trained.sample(0)


# Codes ----------------------------------------------------------------------------------------


def test_no_unit_collapses_on_the_defaults(digits):
    ours = VAETransformer(8, random_state=0).fit(digits)
    assert ours.active_units_.sum() == 8
    assert ours.n_iter_ > 0


def test_units_without_use_stay_as_the_prior():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 1)) @ rng.normal(size=(1, 6)) + 0.1 * rng.normal(size=(400, 6))
    ours = VAETransformer(3, init="random", max_epochs=100, random_state=0).fit(X)
    assert ours.active_units_.sum() == 1
    _, scale = ours.posterior(X)
    np.testing.assert_allclose(scale[:, ~ours.active_units_], 1, atol=0.15)


def test_without_beta_it_reconstructs_as_an_autoencoder(digits):
    train, test = digits[:1400], digits[1400:]
    theirs = AutoencoderTransformer(8, random_state=0).fit(train)
    ours = VAETransformer(8, beta=0.0, random_state=0).fit(train)
    ratio = ours.reconstruction_error(test).mean() / theirs.reconstruction_error(test).mean()
    assert 0.9 < ratio < 1.1
    linear_ours = linear(4, beta=0.0).fit(digits).reconstruct(digits)
    theirs = AutoencoderTransformer(4, hidden_layer_sizes=()).fit(digits)
    np.testing.assert_allclose(linear_ours, theirs.reconstruct(digits), atol=1e-3)


def test_beta_makes_codes_tell_less(curve):
    told = [
        VAETransformer(2, beta=beta, max_epochs=100, random_state=0)
        .fit(curve)
        .elbo(curve)
        .divergence.mean()
        for beta in (0.3, 1.0, 5.0)
    ]
    assert told[0] > 1.2 * told[1] > 1.5 * told[2]


# Priors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("prior", ["mixture", "vamp"])
def test_priors_find_clusters(prior):
    X, label = make_blobs(500, 8, centers=3, cluster_std=1.0, random_state=3)
    ours = VAETransformer(2, prior=prior, n_prior_components=3, random_state=0).fit(X)
    share = ours.predict_component_proba(X)
    np.testing.assert_allclose(share.sum(1), 1)
    np.testing.assert_array_equal(share.argmax(1), ours.predict_component(X))
    single = clone(ours).set_params(prior="standard").fit(X)
    assert ours.score(X) > single.score(X) - 0.05
    if prior == "mixture":
        assert share.shape == (500, 3)
        assert adjusted_rand_score(label, ours.predict_component(X)) > 0.98
        assert not hasattr(single, "predict_component")
        with pytest.raises(AttributeError, match="predict_component"):
            single.predict_component(X)
    else:
        assert share.shape == (500, 4)


def test_vamp_prior_is_the_mean_posterior_of_its_rows(trained, curve):
    ours = clone(trained).set_params(prior="vamp", n_prior_components=4, max_epochs=5).fit(curve)
    pseudo = ours.module_.prior.pseudo_rows.detach()
    with torch.no_grad():
        mean, log_variance = ours.module_.posterior(pseudo)
        mixture = ours.module_.mixture()
    torch.testing.assert_close(mixture.mean[1:], mean)
    torch.testing.assert_close(mixture.log_variance[1:], log_variance)
    assert mixture.log_weight.exp().sum().item() == pytest.approx(1)


def test_priors_of_more_components_than_rows():
    X = np.random.default_rng(0).normal(size=(4, 3))
    for prior in ("mixture", "vamp"):
        ours = VAETransformer(2, prior=prior, random_state=0).fit(X)
        assert np.isfinite(ours.score_samples(X)).all()
        assert np.isfinite(ours.sample(20, random_state=0)).all()


# Likelihoods ------------------------------------------------------------------------------------


def test_noise_per_column_is_factor_analysis():
    rng = np.random.default_rng(0)
    noise = np.geomspace(0.1, 2, 8)
    X = rng.normal(size=(2000, 2)) @ rng.normal(size=(2, 8)) + noise * rng.normal(size=(2000, 8))
    theirs = FactorAnalysis(2, tol=1e-5).fit(X[:1500])
    ours = linear(2, noise_per_column=True, random_state=0).fit(X[:1500])
    assert ours.n_iter_ == 0
    np.testing.assert_allclose(
        ours.score_samples(X[1500:]), theirs.score_samples(X[1500:]), atol=0.05
    )
    assert ours.score(X[1500:]) > linear(2).fit(X[:1500]).score(X[1500:]) + 0.5
    np.testing.assert_allclose(
        ours.noise_variance_ * ours.scale_**2, theirs.noise_variance_, rtol=0.02
    )


def test_bernoulli_learns_binary_tables(binary):
    train, test = binary[:1400], binary[1400:]
    ours = VAETransformer(8, likelihood="bernoulli", random_state=0).fit(train)
    share = (train.sum(0) + 0.5) / (len(train) + 1)
    alone = (test * np.log(share) + (1 - test) * np.log(1 - share)).sum(1).mean()
    assert ours.score(test) > alone + 6
    assert ours.active_units_.sum() >= 6
    sample = ours.sample(500, random_state=0)
    assert set(np.unique(sample)) == {0.0, 1.0}
    np.testing.assert_allclose(sample.mean(0), train.mean(0), atol=0.12)
    chance = ours.inverse_transform(ours.transform(test))
    assert chance.min() > -1e-9
    assert chance.max() < 1 + 1e-9
    ours.score(chance)  # what comes out may go in
    assert ((chance > 0.5) == test).mean() > 0.88
    with pytest.raises(AttributeError, match="noise_variance_"):
        ours.noise_variance_  # noqa: B018 - the property is what is tested


@pytest.mark.parametrize("standardize", [True, False])
def test_bernoulli_starts_above_independent_columns(binary, standardize):
    start = VAETransformer(
        8, likelihood="bernoulli", standardize=standardize, lr=1e-30, max_epochs=1
    ).fit(binary)
    share = (binary.sum(0) + 0.5) / (len(binary) + 1)
    alone = (binary * np.log(share) + (1 - binary) * np.log(1 - share)).sum(1).mean()
    assert start.elbo(binary).bound.mean() > alone + 3


def test_bernoulli_refuses_values_beyond_its_range(binary, digits):
    ours = VAETransformer(2, likelihood="bernoulli", max_epochs=1)
    message = r"values in \[0, 1\] .*got values from 0 to 16"
    with pytest.raises(ValueError, match=message):
        ours.fit(digits)
    assert not hasattr(ours, "module_")
    ours.fit(binary)
    for method in (ours.score, ours.score_samples, ours.elbo, ours.transform):
        with pytest.raises(ValueError, match=message):
            method(digits)
    with pytest.raises(ValueError, match=r"values from -1 to 1"):
        ours.fit(binary - 1.0 * (binary == 0))


def test_bernoulli_takes_probabilities(digits):
    X = digits[:600] / 16
    ours = VAETransformer(4, likelihood="bernoulli", max_epochs=150, random_state=0).fit(X)
    assert ours.reconstruction_error(X).mean() < 0.6
    assert np.isfinite(ours.score_samples(X)).all()


def test_binarizing_draws_cells_anew(digits):
    """Trained on probabilities, it scores 0/1 draws of other rows better than one draw does."""
    X = digits / 16
    rng = np.random.default_rng(0)
    drawn = (rng.uniform(size=X.shape) < X).astype(float)
    plain = VAETransformer(
        8, likelihood="bernoulli", max_epochs=150, early_stopping=False, random_state=0
    )
    anew = clone(plain).set_params(binarize=True).fit(X[:500])
    assert anew.score(drawn[1000:]) > plain.fit(drawn[:500]).score(drawn[1000:]) + 0.5
    short = clone(anew).set_params(max_epochs=2)
    again = clone(short).fit(X).transform(X)
    np.testing.assert_array_equal(short.fit(X).transform(X), again)


# No NaN -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [{}, {"noise_per_column": True, "prior": "mixture"}, {"init": "random"}, {"prior": "vamp"}],
    ids=str,
)
def test_constant_columns_and_far_outliers(wine, parameters):
    X = np.hstack([wine, np.full((len(wine), 1), -0.1), np.zeros((len(wine), 1))])
    X[3] = 1e6
    ours = VAETransformer(3, max_epochs=30, random_state=0, **parameters).fit(X)
    far = np.vstack([X, np.full((1, 15), 1e6), np.full((1, 15), -1e30)])
    for values in (
        *ours.posterior(far),
        ours.reconstruct(far),
        ours.score_samples(far),
        *ours.elbo(far),
        ours.sample(100, random_state=0),
    ):
        assert np.isfinite(values).all()
    assert np.isfinite(ours.loss_curve_).all()
    assert ours.score_samples(far)[-1] < ours.score_samples(X).min()


@pytest.mark.parametrize("hidden", [(), (4,)])
@pytest.mark.parametrize("n_rows", [1, 2, 5, 40])
def test_few_rows_and_many_components(n_rows, hidden):
    X = np.random.default_rng(0).normal(size=(n_rows, 4))
    for n_components in (1, 4, 9):
        ours = VAETransformer(
            n_components, hidden_layer_sizes=hidden, max_epochs=3, random_state=0
        ).fit(X)
        assert np.isfinite(ours.score_samples(X)).all()
        assert np.isfinite(ours.reconstruct(X)).all()
        assert ours.posterior(X)[1].shape == (n_rows, n_components)


# Every parameter acts ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        {"beta": 2.0},
        {"kl_warmup": 0.5},
        {"noise_per_column": True},
        {"prior": "mixture"},
        {"prior": "vamp"},
        {"init": "random"},
        {"standardize": False},
        {"activation": "tanh"},
        {"dropout": 0.3},
        {"weight_decay": 30.0},
        {"trim_fraction": 0.2},
        {"lr": 0.05},
        {"batch_size": 50},
        {"optimizer": "sgd"},
        {"random_state": 1},
    ],
    ids=str,
)
def test_every_parameter_acts(curve, parameters):
    plain = VAETransformer(2, max_epochs=8, early_stopping=False, random_state=0)
    other = clone(plain).set_params(**parameters)
    assert other.fit(curve).score(curve) != plain.fit(curve).score(curve)


def test_number_of_prior_components_and_draws(curve):
    ours = VAETransformer(2, prior="mixture", n_prior_components=4, max_epochs=3, random_state=0)
    assert ours.fit(curve).predict_component_proba(curve).shape == (600, 4)
    assert clone(ours).set_params(n_draws=3).fit(curve).score(curve) != ours.score(curve)


def test_warm_up_raises_the_divergence_slowly(curve, trained):
    batch = Batch(torch.from_numpy((curve - trained.mean_) / trained.scale_).float())
    module = copy.deepcopy(trained.module_)

    def losses(beta, kl_warmup=0.0, done=1.0, is_training=True):
        generator = torch.Generator().manual_seed(0)
        objective = VariationalObjective(beta, kl_warmup, True, generator)
        objective.advance(done)
        return objective.row_losses(module.train(is_training), batch).detach()

    for done, beta in ((0.1, 0.4), (0.25, 1.0), (0.5, 2.0), (1.0, 2.0)):
        torch.testing.assert_close(losses(2.0, 0.5, done), losses(beta))
    held_out = losses(2.0, 0.5, 0.1, is_training=False)
    torch.testing.assert_close(held_out, losses(2.0, is_training=False))
    assert not torch.allclose(losses(0.4), losses(2.0))


def test_weight_decay_leaves_the_prior_alone():
    X = make_blobs(600, 4, centers=3, random_state=3)[0]
    ours = VAETransformer(
        2, prior="mixture", weight_decay=1e6, max_epochs=20, early_stopping=False, random_state=0
    ).fit(X)
    assert ours.module_.encoder.nonlinear.layers[0].weight.abs().max() < 1e-3
    assert ours.module_.prior.mean.abs().max() > 0.1


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"beta": -1.0}, "beta.*Got -1.0"),
        ({"kl_warmup": 1.5}, "kl_warmup.*Got 1.5"),
        ({"likelihood": "poisson"}, "likelihood.*Got 'poisson'"),
        ({"prior": "normal"}, "prior.*Got 'normal'"),
        ({"n_prior_components": 0}, "n_prior_components.*Got 0"),
        ({"n_draws": 0}, "n_draws.*Got 0"),
        ({"binarize": True}, 'binarize=True requires likelihood="bernoulli", got .*gaussian'),
        (
            {"noise_per_column": True, "likelihood": "bernoulli"},
            'noise_per_column=True requires likelihood="gaussian", got .*bernoulli',
        ),
        ({"architecture": lambda role, n, m: nn.Linear(n, 2)}, r"\(2, 4\), got shape \(2, 2\)"),
    ],
)
def test_parameters_out_of_bounds(wine, parameters, message):
    with pytest.raises(ValueError, match=message):
        VAETransformer(**parameters).fit(wine / 1e4)


# Fits are reproduced, go on, take weights -----------------------------------------------------


@pytest.mark.parametrize("prior", ["standard", "mixture", "vamp"])
def test_same_seed_same_fit(curve, prior):
    ours = VAETransformer(2, prior=prior, max_epochs=5, random_state=0)
    a, b = clone(ours).fit(curve), clone(ours).fit(curve)
    np.testing.assert_array_equal(a.transform(curve), b.transform(curve))
    np.testing.assert_array_equal(a.score_samples(curve), b.score_samples(curve))


@pytest.mark.parametrize(
    "parameters", [{"prior": "mixture"}, {"prior": "vamp"}, {"trim_fraction": 0.2}], ids=str
)
def test_a_weight_of_two_is_two_rows(curve, parameters):
    X = curve[:300]
    weight = np.random.default_rng(0).integers(0, 3, size=300)
    ours = VAETransformer(2, max_epochs=4, random_state=0, **parameters)
    weighted = clone(ours).fit(X, sample_weight=weight)
    repeated = clone(ours).fit(X.repeat(weight, axis=0))
    np.testing.assert_array_equal(weighted.transform(X), repeated.transform(X))
    np.testing.assert_array_equal(weighted.score_samples(X), repeated.score_samples(X))
    np.testing.assert_array_equal(weighted.sample(5, 0), repeated.sample(5, 0))
    np.testing.assert_array_equal(weighted.active_units_, repeated.active_units_)


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_partial_fit_learns_a_stream(curve, binary, likelihood):
    X = curve if likelihood == "gaussian" else binary[:600]
    train, test = X[:450], X[500:]
    stream = VAETransformer(2, likelihood=likelihood, kl_warmup=0.5, batch_size=32, random_state=0)
    for number in range(60):
        stream.partial_fit(np.array_split(train, 3)[number % 3])
        if number == 0:
            first = stream.score(test)
    assert stream.n_iter_ == 60
    assert stream.score(test) > first + 0.5
    with pytest.raises(ValueError, match="another prior"):
        stream.set_params(prior="mixture").partial_fit(train)


def test_warm_start_goes_on(curve):
    ours = VAETransformer(2, warm_start=True, early_stopping=False, max_epochs=20, random_state=0)
    first = ours.fit(curve).loss_curve_
    assert ours.fit(curve).loss_curve_[0] < first[0]


def test_nothing_works_before_a_fit(curve):
    ours = VAETransformer(prior="mixture")
    for method in (ours.posterior, ours.elbo, ours.predict_component, ours.score, ours.sample):
        with pytest.raises(NotFittedError):
            method(*([] if method == ours.sample else [curve]))
    for name in ("active_units_", "components_", "noise_variance_"):
        assert not hasattr(ours, name)


def test_frames(curve):
    frame = pd.DataFrame(curve, columns=list("abcdef"))
    ours = VAETransformer(2, max_epochs=3, random_state=0).set_output(transform="pandas")
    codes = ours.fit(frame).transform(frame)
    assert list(codes.columns) == ["vaetransformer0", "vaetransformer1"]
    array = VAETransformer(2, max_epochs=3, random_state=0).fit(curve)
    np.testing.assert_array_equal(array.transform(curve), codes.to_numpy())
    np.testing.assert_array_equal(array.score_samples(curve), ours.score_samples(frame))


def test_nets_can_be_copied(trained, curve):
    """The objective's generator can't, and a copy does without it."""
    criterion = copy.deepcopy(trained.net_.criterion_)
    assert criterion.generator is None
    assert criterion.beta == 1.0


@pytest.mark.parametrize("init", ["pca", "random"])
def test_a_users_modules_train(curve, init):
    def architecture(role, n_inputs, n_outputs):
        return nn.Sequential(
            nn.Linear(n_inputs, 20), nn.Dropout(0.1), nn.Tanh(), nn.Linear(20, n_outputs)
        )

    ours = VAETransformer(2, architecture=architecture, init=init, random_state=0).fit(curve)
    assert ours.validation_scores_[ours.n_iter_] < ours.validation_scores_[0]
    assert np.isfinite(ours.score_samples(curve)).all()


def test_compiling_reaches_both_networks(monkeypatch):
    module = make_variational(
        4, 2, MLPArchitecture((3,), generator=torch.Generator()), generator=torch.Generator()
    )
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(self))
    module.compile()
    assert compiled == [module.encoder, module.decoder]

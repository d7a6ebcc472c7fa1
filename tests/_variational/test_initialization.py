"""A variational autoencoder is initialized at the best linear model."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.datasets import make_blobs, make_moons
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from torch import nn

from skae import VAETransformer
from skae._linear import fit_factor_analysis, fit_probabilistic_pca
from skae._variational import estimator
from skae._variational.density import evidence_bound
from skae._variational.initialization import _FREE_NOISE

UNTRAINED = {"lr": 1e-30, "max_epochs": 1, "early_stopping": False, "random_state": 0}


def linear(n_components, **parameters):
    """Probabilistic PCA, or factor analysis if the parameters say so."""
    plain = {"prior": "standard", "noise_per_column": False, **parameters}
    return VAETransformer(n_components, hidden_layer_sizes=(), **plain)


def rotation(rng, size):
    return np.linalg.qr(rng.normal(size=(size, size)))[0]


@pytest.mark.parametrize("n_components", [1, 3, 10])
def test_linear_is_probabilistic_pca(digits, n_components):
    ours = linear(n_components, standardize=False).fit(digits)
    expected = PCA(n_components).fit(digits).score_samples(digits)
    difference = ours.score_samples(digits) - expected
    assert np.abs(difference).mean() / digits.shape[1] < 1e-3
    assert ours.n_iter_ == 0
    assert ours.active_units_.all()


def test_linear_posterior_is_that_of_probabilistic_pca(wine):
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


def test_a_full_linear_code_scores_as_the_fitted_gaussian(wine):
    expected = PCA().fit(wine).score_samples(wine)
    for n_components in (13, 20):
        ours = linear(n_components).fit(wine)
        assert np.abs(ours.score_samples(wine) - expected).mean() / wine.shape[1] < 0.02


@pytest.mark.parametrize("prior", ["standard", "mixture", "vamp"])
def test_training_is_initialized_at_probabilistic_pca(digits, prior):
    initial = VAETransformer(5, prior=prior, noise_per_column=False, **UNTRAINED).fit(digits)
    expected = linear(5).fit(digits)
    np.testing.assert_allclose(initial.reconstruct(digits), expected.reconstruct(digits), atol=1e-3)
    gain = initial.score(digits) - expected.score(digits)
    assert abs(gain) < 1e-3 if prior == "standard" else gain > -np.log(2)


@pytest.mark.parametrize("noise_per_column", [False, True])
@pytest.mark.parametrize("beta", [0.25, 1.0, 3.0])
def test_linear_initialization_is_the_optimum_for_any_beta(beta, noise_per_column):
    """The gradient of the loss vanishes there."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 8)) * np.geomspace(2, 0.3, 8) @ rotation(rng, 8)
    ours = linear(3, beta=beta, noise_per_column=noise_per_column, standardize=False).fit(X)
    module = ours.module_.train()
    rows = torch.from_numpy((X - ours.mean_) / ours.scale_).float()
    log_likelihood, divergence = evidence_bound(module, rows, 512).T
    (beta * divergence - log_likelihood).mean().backward()
    for name, weight in module.named_parameters():
        assert weight.grad.abs().max() < 0.01 * X.shape[1], name


def test_a_larger_beta_closes_components():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 8)) * np.geomspace(2, 0.3, 8)
    active = [
        (fit_probabilistic_pca(X, None, 5, beta, 0.0, rng).loadings ** 2).sum(0) > 0
        for beta in (0.0, 1.0, 2.0, 50.0)
    ]
    assert [int(a.sum()) for a in active] == [5, 5, 2, 0]


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


@pytest.mark.parametrize("n_copies", [1, 3])
@pytest.mark.parametrize(("prior", "n_prior_rows"), [("mixture", 0.25), ("standard", 0.0)])
def test_a_quarter_row_without_correlations_counts_with_a_mixture(n_copies, prior, n_prior_rows):
    """Among the rows and their copies."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(12, 2)) @ rng.normal(size=(2, 5)) + 0.1 * rng.normal(size=(12, 5))
    ours = VAETransformer(2, prior=prior, **UNTRAINED).fit(X.repeat(n_copies, axis=0))
    rows = (X - ours.mean_) / ours.scale_
    free_noise = _FREE_NOISE if prior == "mixture" else 1.0
    initial = fit_probabilistic_pca(rows, None, 2, 1.0, 0.0, rng, free_noise)
    noises = [
        fit_factor_analysis(initial, rows, None, 1.0, 0.0, share / len(X)).noise
        for share in (n_prior_rows / n_copies, 0.25 - n_prior_rows)
    ]
    np.testing.assert_allclose(ours.noise_variance_, noises[0], rtol=1e-3, atol=1e-6)
    assert np.abs(noises[0] / noises[1] - 1).max() > 0.05


@pytest.mark.parametrize("standardize", [True, False])
def test_bernoulli_is_initialized_above_independent_columns(binary, standardize):
    initial = VAETransformer(
        8, likelihood="bernoulli", standardize=standardize, lr=1e-30, max_epochs=1
    ).fit(binary)
    share = (binary.sum(0) + 0.5) / (len(binary) + 1)
    alone = (binary * np.log(share) + (1 - binary) * np.log(1 - share)).sum(1).mean()
    assert initial.elbo(binary).bound.mean() > alone + 3


def test_more_prior_components_than_rows():
    X = np.random.default_rng(0).normal(size=(4, 3))
    for prior in ("mixture", "vamp"):
        ours = VAETransformer(2, prior=prior, random_state=0).fit(X)
        assert np.isfinite(ours.score_samples(X)).all()
        assert np.isfinite(ours.sample(20, random_state=0)).all()


# With weights and outliers -------------------------------------------------------------------


@pytest.fixture(scope="module")
def latent():
    """Rows of a factor model whose noise differs by column, and weights that are no counts."""
    rng = np.random.default_rng(0)
    noise = np.geomspace(0.2, 1, 6)
    X = rng.normal(size=(2000, 2)) @ rng.normal(size=(2, 6)) + noise * rng.normal(size=(2000, 6))
    weight = np.where(X[:, 0] > 0, 1.0, 0.123)
    return X + 3, weight


def resample(X, weight):
    """Rows drawn in proportion to their weights, systematically."""
    steps = (np.arange(40_000) + 0.5) / 40_000 * weight.sum()
    return X[np.searchsorted(weight.cumsum(), steps)]


@pytest.mark.parametrize("noise_per_column", [False, True])
def test_weights_count_in_the_linear_model(latent, noise_per_column):
    X, weight = latent
    ours = linear(2, noise_per_column=noise_per_column, standardize=False)
    scores = ours.fit(X, sample_weight=weight).score_samples(X)
    theirs = (FactorAnalysis(2, tol=1e-6) if noise_per_column else PCA(2)).fit(resample(X, weight))
    np.testing.assert_allclose(scores, theirs.score_samples(X), atol=0.1)
    assert np.abs(scores - theirs.fit(X).score_samples(X)).max() > 0.5


@pytest.mark.parametrize("noise_per_column", [False, True])
def test_trimming_leaves_far_rows_out_of_the_linear_model(latent, noise_per_column):
    X, _ = latent
    scattered = 50 * np.random.default_rng(1).normal(size=(50, 6))
    far = np.vstack([X, scattered])
    ours = linear(2, noise_per_column=noise_per_column, standardize=False, trim_fraction=0.05)
    theirs = (FactorAnalysis(2) if noise_per_column else PCA(2)).fit(X)
    assert ours.fit(far).score(X) > theirs.score(X) - 0.3


def test_a_mixture_prior_is_initialized_at_the_codes():
    X, labels = make_blobs(600, 6, centers=3, cluster_std=0.5, random_state=3)
    parameters = {"lr": 1e-30, "max_epochs": 1, "early_stopping": False, "random_state": 0}
    plain = VAETransformer(2, prior="standard", **parameters).fit(X)
    ours = VAETransformer(2, prior="mixture", n_prior_components=3, **parameters).fit(X)
    assert ours.score(X) > plain.score(X) + 0.5
    assert adjusted_rand_score(labels, ours.predict_component(X)) > 0.98
    sample = ours.sample(20_000, random_state=0)
    for component in range(3):  # compared within components: the clusters' means are far apart
        drawn = sample[ours.predict_component(sample) == component]
        known = X[ours.predict_component(X) == component]
        np.testing.assert_allclose(drawn.mean(axis=0), known.mean(axis=0), atol=0.4)
        assert drawn.std() / known.std() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("noise_per_column", [False, True])
def test_a_code_as_wide_as_the_rows_is_initialized_at_their_mixture(noise_per_column):
    """All of the density is the prior's, not the noise's."""
    X = make_moons(1500, noise=0.1, random_state=0)[0]
    train, test = X[:1000], X[1000:]
    expected = GaussianMixture(8, random_state=0).fit(train).score(test)
    ours = VAETransformer(
        2, prior="mixture", n_prior_components=8, noise_per_column=noise_per_column, **UNTRAINED
    ).fit(train)
    assert ours.score(test) > expected - 0.05
    assert ours.active_units_.all()


@pytest.mark.parametrize("n_components", [13, 15])
def test_one_gaussian_as_wide_as_the_rows_is_the_fitted_gaussian(wine, n_components):
    expected = PCA().fit(wine).score_samples(wine)
    ours = VAETransformer(n_components, prior="mixture", n_prior_components=1, **UNTRAINED)
    found = ours.fit(wine).score_samples(wine)
    assert np.abs(found - expected).mean() / wine.shape[1] < 0.02


def test_clusters_on_a_plane_are_initialized_near_their_density():
    rng = np.random.default_rng(0)
    plane = np.linalg.qr(rng.normal(size=(5, 2)))[0]
    centres = np.array([[-6.0, 0.0], [6.0, 3.0], [0.0, -6.0]]) @ plane.T
    shapes = [np.array([[2.0, 0.0], [1.5, 0.3]]), np.diag([0.5, 1.0]), np.eye(2)]
    covariances = [plane @ s @ s.T @ plane.T + 0.04 * np.eye(5) for s in shapes]
    kind = rng.integers(3, size=2000)
    X = np.stack([rng.multivariate_normal(centres[m], covariances[m]) for m in kind])
    true = np.mean([multivariate_normal(centres[m], covariances[m]).pdf(X) for m in range(3)], 0)
    ours = VAETransformer(2, prior="mixture", standardize=False, **UNTRAINED).fit(X)
    assert abs(ours.score(X) - np.log(true).mean()) < 0.05
    # One width of the posterior for all clusters costs a little.
    assert abs(ours.elbo(X).bound.mean() - np.log(true).mean()) < 0.15
    drawn = ours.sample(20_000, random_state=0)
    nearest = np.linalg.norm(drawn[:, None] - centres, axis=2).argmin(axis=1)
    for m in range(3):
        np.testing.assert_allclose(np.cov(drawn[nearest == m].T), covariances[m], atol=0.4)


def test_pseudo_rows_are_initialized_at_rows_of_all_clusters():
    X, labels = make_blobs(600, 6, centers=3, cluster_std=0.5, random_state=3)
    ours = VAETransformer(2, prior="vamp", n_prior_components=3, lr=1e-30, max_epochs=1)
    ours.set_params(early_stopping=False, random_state=0).fit(X)
    pseudo = ours.module_.prior.pseudo_rows.detach().numpy() * ours.scale_ + ours.mean_
    distances = np.linalg.norm(X - pseudo[:, None], axis=2)
    np.testing.assert_allclose(distances.min(axis=1), 0, atol=1e-4)
    assert set(labels[distances.argmin(axis=1)]) == {0, 1, 2}


def test_weights_count_in_the_mixture_prior():
    X, labels = make_blobs(600, 6, centers=2, cluster_std=0.5, random_state=3)
    weight = np.where(labels == 1, 1.0, 0.123)
    ours = VAETransformer(
        2, prior="mixture", n_prior_components=2, lr=1e-30, max_epochs=1, early_stopping=False
    ).fit(X, sample_weight=weight)
    shares = np.bincount(ours.predict_component(ours.sample(20_000, random_state=0))) / 20_000
    np.testing.assert_allclose(shares.min(), 0.123 / 1.123, atol=0.02)


@pytest.mark.parametrize("how", ["fit", "partial_fit", "weights", "shares"])
@pytest.mark.parametrize(("n_rows", "n_copies"), [(50, 1), (500, 1), (50, 20)])
def test_a_column_of_zeros_may_yet_have_a_one(binary, n_rows, n_copies, how):
    """Its probability is that of half a row among the rows and one, copies included."""
    X = np.unique(binary[:n_rows], axis=0)
    X[:, 0] = 0
    X = np.unique(X, axis=0)
    total = n_copies * len(X)
    ours = VAETransformer(1, likelihood="bernoulli", lr=1e-30, max_epochs=1, early_stopping=False)
    if how == "weights":
        ours.fit(X, sample_weight=np.full(len(X), n_copies))
    elif how == "shares":  # less than a row each: a row is one at least
        ours.fit(X, sample_weight=np.full(len(X), 1e-9))
        total = len(X)
    else:
        getattr(ours, how)(X.repeat(n_copies, axis=0))
    chance = ours.sample(100, random_state=0, noise=False)[:, 0]
    np.testing.assert_allclose(chance, 0.5 / (total + 1), rtol=0.05)


def test_a_weight_of_three_is_three_rows_of_zeros_and_ones(binary):
    X = binary[:60]
    weight = np.random.default_rng(0).integers(1, 8, size=60)
    ours = VAETransformer(2, likelihood="bernoulli", max_epochs=2, random_state=0)
    weighted = ours.fit(X, sample_weight=weight).score_samples(X)
    np.testing.assert_array_equal(weighted, ours.fit(X.repeat(weight, axis=0)).score_samples(X))


@pytest.mark.parametrize("early_stopping", [False, True])
def test_copies_of_few_rows_leave_probabilities_as_they_are(early_stopping):
    """200 rows of which few differ: a column of zeros is zero in all of the 200."""
    X = np.repeat(np.eye(8)[:4], 50, axis=0)
    ours = VAETransformer(
        1, likelihood="bernoulli", early_stopping=early_stopping, lr=1e-30, max_epochs=1
    )
    chance = ours.fit(X).sample(100, random_state=0, noise=False)[:, 7]
    np.testing.assert_allclose(chance, 0.5 / 201, rtol=0.05)


@pytest.mark.parametrize(
    ("parameters", "is_closed_form"),
    [
        ({}, True),
        ({"noise_per_column": False}, True),
        ({"likelihood": "bernoulli"}, False),
        ({"prior": "mixture"}, False),
        ({"hidden_layer_sizes": (4,)}, False),
    ],
    ids=str,
)
def test_linear_gaussian_models_are_not_trained(binary, parameters, is_closed_form):
    ours = VAETransformer(
        2, hidden_layer_sizes=(), prior="standard", max_epochs=2, early_stopping=False
    )
    assert ours.set_params(**parameters).fit(binary[:100]).n_iter_ == (0 if is_closed_form else 2)


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_networks_behind_closed_gates_are_not_computed(monkeypatch, binary, likelihood):
    n_calls = 0

    class Counted(nn.Sequential):
        def forward(self, input):
            nonlocal n_calls
            n_calls += 1
            return super().forward(input)

    def make_network(role, n_inputs, n_outputs):
        return Counted(nn.Linear(n_inputs, 4), nn.Tanh(), nn.Linear(4, n_outputs))

    calls_of_parts = []

    def count_calls_of(function):
        def counted(*args):
            before = n_calls
            result = function(*args)
            calls_of_parts.append(n_calls - before)
            return result

        return counted

    for name in ("initialize_variational", "fit_floor"):
        monkeypatch.setattr(estimator, name, count_calls_of(getattr(estimator, name)))
    parameters = {"likelihood": likelihood, "max_epochs": 1, "random_state": 0}
    VAETransformer(2, architecture=make_network, **parameters).fit(binary)
    assert n_calls > 0
    assert len(calls_of_parts) > 0
    assert set(calls_of_parts) == {0}

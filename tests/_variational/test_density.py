"""Bounds on the log-density, against quadrature and closed forms."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA

from skae import VAETransformer
from skae._data import Batch, Rows
from skae._training import TrainedModule
from skae._variational.density import draw_normal, measure_codes
from tests._variational.unmapped import forget_margins


def marginal(model, X):
    """Return log-densities by quadrature over a code of one column."""
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


def test_the_bound_reaches_the_true_log_likelihood():
    rng = np.random.default_rng(0)
    loadings, noise = rng.normal(size=(2, 10)), 0.3
    X = rng.normal(size=(3000, 2)) @ loadings + noise * rng.normal(size=(3000, 10)) + 5
    covariance = loadings.T @ loadings + noise**2 * np.eye(10)
    test, centred = X[2000:], X[2000:] - 5
    squares = np.einsum("ij,jk,ik->i", centred, np.linalg.inv(covariance), centred)
    truth = -0.5 * (squares + np.linalg.slogdet(2 * np.pi * covariance)[1])
    plain = {"prior": "standard", "noise_per_column": False}
    for parameters in [{}, plain, {**plain, "init": "random", "max_epochs": 150}]:
        # Standardized columns would not share a noise variance any more.
        ours = VAETransformer(2, standardize=False, random_state=0, **parameters).fit(X[:2000])
        assert abs(ours.score(test) - truth.mean()) / 10 < 0.05
        assert abs(ours.elbo(test).bound.mean() - truth.mean()) / 10 < 0.05


@pytest.mark.parametrize(
    "parameters",
    [{}, {"prior": "standard"}, {"prior": "vamp"}, {"noise_per_column": False}],
    ids=str,
)
def test_scores_are_tight_lower_bounds_of_the_density(curve, parameters):
    ours = VAETransformer(1, max_epochs=60, random_state=0, **parameters).fit(curve[:500])
    test = curve[500:]
    density, score, bound = marginal(ours, test), ours.score_samples(test), ours.elbo(test).bound
    # Where the linear model is kept, its background of one row is all that the score differs by.
    assert bound.mean() + np.log1p(-1 / 500) <= score.mean() + 1e-6
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
    elbo = ours.elbo(X)
    assert elbo.log_likelihood.max() < 0
    assert ours.score(X) - 3 < elbo.bound.mean() < ours.score(X)


@pytest.mark.parametrize("prior", ["standard", "mixture"])
def test_parts_of_the_bound(trained, curve, prior):
    test = curve[500:]
    ours = clone(trained).set_params(prior=prior).fit(curve[:500])
    bound, log_likelihood, divergence = ours.elbo(test)
    np.testing.assert_allclose(bound, log_likelihood - divergence)
    assert bound.mean() < ours.score(test)
    if prior == "standard":  # a closed form
        assert divergence.min() >= 0
        mean, scale = ours.posterior(test)
        expected = 0.5 * (mean**2 + scale**2 - 1 - 2 * np.log(scale)).sum(1)
        np.testing.assert_allclose(divergence, expected)


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
    # Drawn numbers have two decimals at most in one of the units, and may have more in the other.
    expected = ours.sample(50, random_state=3)
    np.testing.assert_allclose(sample, expected, rtol=1e-2, atol=1e-3 + 0.005)


def test_scores_are_reproducible_and_of_each_row_alone(trained, curve):
    for method in (trained.score_samples, lambda X: trained.elbo(X).bound):
        np.testing.assert_array_equal(method(curve), method(curve))
        np.testing.assert_allclose(method(curve[7:9]), method(curve)[7:9], rtol=1e-9)


def test_draws_are_standard_normal():
    draws = draw_normal(1000, 5).numpy()
    np.testing.assert_allclose(draws.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(np.cov(draws.T), np.eye(5), atol=0.05)
    assert draw_normal(7, 3).shape == (7, 3)
    assert draw_normal(3, 30_000).shape == (3, 30_000)


def test_draws_do_not_depend_on_what_was_drawn_before():
    for shape in ((10, 3), (4, 25_000)):
        first = draw_normal(*shape).clone()
        for n_draws in range(1, 10):  # more than are cached
            draw_normal(n_draws, 1)
        assert torch.equal(draw_normal(*shape), first)


def test_draws_come_with_their_mirror_images():
    draws = draw_normal(6, 2)
    torch.testing.assert_close(draws[1::2], -draws[::2])
    assert torch.equal(draw_normal(5, 2), draws[:5])


def test_moments_of_codes_count_weights(trained, curve):
    weight = np.where(curve[:, 0] > 0, 1.0, 0.123)
    X = torch.from_numpy((curve - trained.mean_) / trained.scale_).float()
    rows = Rows(Batch(X, weight=torch.from_numpy(weight).float()))
    found = measure_codes(rows, TrainedModule(trained.module_))
    codes = trained.transform(curve)
    np.testing.assert_allclose(found.mean, np.average(codes, axis=0, weights=weight), atol=1e-4)
    expected = np.cov(codes.T, aweights=weight, bias=True)
    np.testing.assert_allclose(found.covariance, expected, atol=1e-4)
    np.testing.assert_array_equal(trained.active_units_, expected.diagonal() > 0.01)


@pytest.mark.parametrize(("n_rows", "n_copies"), [(300, 1), (600, 1), (300, 2)])
def test_the_linear_model_of_all_rows_is_a_part_of_the_density(n_rows, n_copies):
    """Also where some rows are held out: a row scores not much lower than there."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 6, size=(n_rows, 1))
    X = np.hstack([np.sin(angle), np.cos(angle), angle]) + 0.05 * rng.normal(size=(n_rows, 3))
    X = X.repeat(n_copies, axis=0)
    ours = VAETransformer(2, prior="standard", max_epochs=20, random_state=0)
    linear = clone(ours).set_params(lr=1e-30, max_epochs=1, early_stopping=False).fit(X)
    assert ours.fit(X).n_iter_ > 0
    floor = ours.module_.floor
    assert float(floor.share) == pytest.approx(10 / len(X))
    np.testing.assert_allclose(floor.variance, linear.noise_variance_, rtol=1e-3)
    far = 10 * X
    least = linear.score_samples(far) + np.log(10 / len(X))
    assert (ours.score_samples(far) > least - 1e-3 * np.abs(least)).all()
    assert (ours.elbo(far).bound < least - 100).any()


def test_a_row_far_from_all_clusters_scores_no_worse_than_under_one_gaussian():
    """Of the same loadings and noise: half of the linear model's share is of all codes."""
    X, _ = make_blobs(300, 4, centers=3, cluster_std=0.3, random_state=3)
    ours = VAETransformer(2, max_epochs=1, random_state=0).fit(X)
    assert len(ours.module_.mixture().mean) > 1
    single = clone(ours).set_params(prior="standard").fit(X)
    spread = X.mean(axis=0) + 3 * (X - X.mean(axis=0))
    least = single.score_samples(spread) + np.log(0.5 * 10 / 300)
    assert (ours.score_samples(spread) > least - 0.05 * np.abs(least)).all()


@pytest.mark.parametrize("beside", ["numbers", "labels"])
def test_a_row_off_a_function_of_the_others_costs_tens_of_nats(beside):
    """The noise of such a column is next to nothing, and one row could outweigh all others."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    X[:, 2] = X[:, 0] - X[:, 1]
    table = pd.DataFrame(X, columns=["gross", "tax", "net"])
    if beside == "labels":
        table["kind"] = rng.choice(["a", "b"], size=400)
    ours = VAETransformer(2, max_epochs=3, random_state=0).fit(table)
    off = table.iloc[:20].assign(net=table["net"].iloc[:20] + 3)
    assert (ours.elbo(off).bound < -200).all()
    assert (ours.score_samples(off) > -40).all()


def test_samples_have_the_linear_models_share(curve):
    # The table's margins would undo what is moved.
    ours = forget_margins(VAETransformer(2, max_epochs=2, random_state=0).fit(curve))
    before = ours.sample(1000, random_state=0)
    with torch.no_grad():
        ours.module_.floor.centre += 1000
        ours.module_.floor.share.fill_(0.3)
    ours = pickle.loads(pickle.dumps(ours))
    moved = ours.sample(1000, random_state=0).mean(axis=1) > before.max() + 1
    assert 0.25 < moved.mean() < 0.35


def test_the_linear_model_has_a_share_of_all_rows_of_a_stream():
    rng = np.random.default_rng(0)
    stream = VAETransformer(2, random_state=0, max_epochs=1)
    for n_rows in (40, 400, 560):
        stream.partial_fit(rng.normal(size=(n_rows, 3)))
    assert float(stream.module_.floor.share) == pytest.approx(10 / 1000)
    halves = VAETransformer(2, random_state=0, max_epochs=1)
    for _ in range(2):
        X = rng.normal(size=(300, 3))
        halves.partial_fit(X, sample_weight=np.where(X[:, 0] > 0, 0.5, 1.5))
    assert float(halves.module_.floor.share) == pytest.approx(10 / 600, rel=0.1)


@pytest.mark.parametrize("early_stopping", [True, False])
def test_a_warm_start_has_the_linear_model_of_its_own_rows(early_stopping):
    rng = np.random.default_rng(0)
    few, many = rng.normal(size=(60, 3)), rng.normal(size=(700, 3)) + np.array([0.5, 0, 0])
    ours = VAETransformer(
        2, warm_start=True, early_stopping=early_stopping, max_epochs=3, random_state=0
    )
    ours.fit(few).fit(many)
    floor = ours.module_.floor
    assert float(floor.share) == pytest.approx(10 / 700)
    centre = floor.components.log_weight.exp() @ floor.decode(floor.components.mean)
    expected = (many.mean(axis=0) - ours.mean_) / ours.scale_
    np.testing.assert_allclose(centre.detach(), expected, atol=0.05)

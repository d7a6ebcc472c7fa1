"""VAETransformer: samples, codes, priors, and the contract of scikit-learn."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import ks_2samp
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.metrics import adjusted_rand_score
from torch import nn

from skae import AutoencoderTransformer, VAETransformer
from tests._variational.unmapped import forget_margins


def linear(n_components, **parameters):
    """Probabilistic PCA, or factor analysis if the parameters say so."""
    plain = {"prior": "standard", "noise_per_column": False, **parameters}
    return VAETransformer(n_components, hidden_layer_sizes=(), **plain)


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


def test_samples_have_the_quantiles_of_the_columns(wine, curve):
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
    noisy = forget_margins(trained).sample(2000, random_state=0)
    expected = trained.scale_ * np.sqrt(trained.noise_variance_)
    np.testing.assert_allclose((noisy - smooth).std(0), expected, rtol=0.1)
    with pytest.raises(ValueError, match="'n_samples' parameter of sample must be an int"):
        trained.sample(0)


def test_no_unit_collapses_on_the_defaults(digits):
    ours = VAETransformer(8, random_state=0).fit(digits)
    assert ours.active_units_.sum() == 8
    assert ours.n_iter_ > 0


def test_inactive_units_keep_the_prior():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 1)) @ rng.normal(size=(1, 6)) + 0.1 * rng.normal(size=(400, 6))
    # Under a mixture units may depend on each other.
    ours = VAETransformer(3, init="random", prior="standard", max_epochs=100, random_state=0)
    ours.fit(X)
    assert ours.active_units_.sum() == 1
    _, scale = ours.posterior(X)
    np.testing.assert_allclose(scale[:, ~ours.active_units_], 1, atol=0.15)


def test_without_beta_it_reconstructs_as_an_autoencoder(digits):
    train, test = digits[:1400], digits[1400:]
    theirs = AutoencoderTransformer(8, random_state=0).fit(train)
    # One noise for all columns: these count alike.
    ours = VAETransformer(8, beta=0.0, noise_per_column=False, random_state=0).fit(train)
    ratio = ours.reconstruction_error(test).mean() / theirs.reconstruction_error(test).mean()
    assert 0.9 < ratio < 1.1
    linear_ours = linear(4, beta=0.0).fit(digits).reconstruct(digits)
    theirs = AutoencoderTransformer(4, hidden_layer_sizes=()).fit(digits)
    np.testing.assert_allclose(linear_ours, theirs.reconstruct(digits), atol=1e-3)


def test_a_larger_beta_lowers_the_divergence(curve):
    divergences = [
        VAETransformer(2, beta=beta, max_epochs=100, random_state=0)
        .fit(curve)
        .elbo(curve)
        .divergence.mean()
        for beta in (0.3, 1.0, 5.0)
    ]
    assert divergences[0] > 1.2 * divergences[1] > 1.5 * divergences[2]


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


@pytest.mark.parametrize("init", ["pca", "random"])
def test_the_mixture_has_as_many_gaussians_as_the_linear_codes(init):
    """They stay as many: in the training, the linear model, a copy and a continued fit."""
    X = make_blobs(400, 6, centers=2, cluster_std=0.5, random_state=3)[0]
    ours = VAETransformer(2, init=init, max_epochs=3, warm_start=True, random_state=0)
    expected = 2 if init == "pca" else 16
    for fitted in (ours.fit(X), pickle.loads(pickle.dumps(ours)), ours.fit(X), ours.partial_fit(X)):
        assert fitted.predict_component_proba(X).shape == (400, expected)
        if init == "pca":
            assert len(fitted.module_.floor.components.mean) == expected + 1  # all codes
            weight = fitted.module_.mixture().log_weight.exp().detach()
            np.testing.assert_allclose(weight, 0.5, atol=0.05)
    again = pickle.loads(pickle.dumps(ours))
    np.testing.assert_array_equal(again.score_samples(X), ours.score_samples(X))


def test_vamp_prior_is_the_mean_posterior_of_its_rows(trained, curve):
    ours = clone(trained).set_params(prior="vamp", n_prior_components=4, max_epochs=5).fit(curve)
    pseudo = ours.module_.prior.pseudo_rows.detach()
    with torch.no_grad():
        mean, log_variance = ours.module_.posterior(pseudo)
        mixture = ours.module_.mixture()
    torch.testing.assert_close(mixture.mean[1:], mean)
    torch.testing.assert_close(mixture.log_variance[1:], log_variance)
    assert mixture.log_weight.exp().sum().item() == pytest.approx(1)


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
    assert chance.min() >= 0
    assert chance.max() <= 1
    ours.score(chance)  # probabilities are valid input
    assert ((chance > 0.5) == test).mean() > 0.88
    with pytest.raises(AttributeError, match="noise_variance_"):
        ours.noise_variance_  # noqa: B018 - the property is what is tested


def test_the_noise_has_no_effect_on_a_bernoulli_likelihood(binary):
    scores = [
        VAETransformer(2, likelihood="bernoulli", noise_per_column=each, max_epochs=1)
        .set_params(random_state=0)
        .fit(binary[:100])
        .score_samples(binary[:100])
        for each in (False, True)
    ]
    np.testing.assert_array_equal(*scores)


def test_bernoulli_refuses_values_outside_its_range(binary, digits):
    ours = VAETransformer(2, likelihood="bernoulli", max_epochs=1)
    message = r"values in \[0, 1\] .*got 2 in column 1 and row 13: scale the column"
    with pytest.raises(ValueError, match=message):
        ours.fit(digits)
    assert not hasattr(ours, "module_")
    ours.fit(binary)
    for method in (ours.score, ours.score_samples, ours.elbo, ours.transform):
        with pytest.raises(ValueError, match=message):
            method(digits)
    with pytest.raises(ValueError, match=r"got -1 in column 0 and row 0"):
        ours.fit(binary - 1.0 * (binary == 0))


def test_bernoulli_takes_probabilities(digits):
    X = digits[:600] / 16
    ours = VAETransformer(4, likelihood="bernoulli", max_epochs=150, random_state=0).fit(X)
    assert ours.reconstruction_error(X).mean() < 0.6
    assert np.isfinite(ours.score_samples(X)).all()


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"noise_per_column": False, "prior": "standard"},
        {"init": "random"},
        {"prior": "vamp"},
    ],
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


@pytest.mark.parametrize(
    "parameters",
    [
        {"beta": 2.0},
        {"kl_warmup": 0.5},
        {"noise_per_column": False},
        {"prior": "standard"},
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
def test_every_parameter_has_an_effect(curve, parameters):
    plain = VAETransformer(2, max_epochs=8, early_stopping=False, random_state=0)
    other = clone(plain).set_params(**parameters)
    assert other.fit(curve).score(curve) != plain.fit(curve).score(curve)


def test_number_of_prior_components_and_draws(curve):
    ours = VAETransformer(2, n_prior_components=4, max_epochs=3, random_state=0)
    assert ours.fit(curve).predict_component_proba(curve).shape == (600, 4)
    assert clone(ours).set_params(n_draws=3).fit(curve).score(curve) != ours.score(curve)


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
        ({"architecture": lambda role, n, m: nn.Linear(n, 2)}, r"\(2, 4\), got .* shape \(2, 2\)"),
    ],
)
def test_parameters_out_of_bounds(wine, parameters, message):
    with pytest.raises(ValueError, match=message):
        VAETransformer(**parameters).fit(wine / 1e4)


@pytest.mark.parametrize("prior", ["standard", "mixture", "vamp"])
def test_same_seed_same_fit(curve, prior):
    ours = VAETransformer(2, prior=prior, max_epochs=5, random_state=0)
    a, b = clone(ours).fit(curve), clone(ours).fit(curve)
    np.testing.assert_array_equal(a.transform(curve), b.transform(curve))
    np.testing.assert_array_equal(a.score_samples(curve), b.score_samples(curve))


@pytest.mark.parametrize(
    "parameters", [{"prior": "standard"}, {"prior": "vamp"}, {"trim_fraction": 0.2}], ids=str
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
def test_partial_fit_learns_from_a_stream(curve, binary, likelihood):
    # A column of the binary rows may vary for the first time in the second block.
    X = curve if likelihood == "gaussian" else binary[:600, binary[:150].any(axis=0)]
    train, test = X[:450], X[500:]
    stream = VAETransformer(2, likelihood=likelihood, kl_warmup=0.5, batch_size=32, random_state=0)
    for number in range(60):
        stream.partial_fit(np.array_split(train, 3)[number % 3])
        if number == 0:
            first = stream.score(test)
    assert stream.n_iter_ == 60
    assert stream.score(test) > first + 0.5
    with pytest.raises(ValueError, match="another prior"):
        stream.set_params(prior="vamp").partial_fit(train)


def test_warm_start_continues_training(curve):
    ours = VAETransformer(2, warm_start=True, early_stopping=False, max_epochs=20, random_state=0)
    first = ours.fit(curve).loss_curve_
    assert ours.fit(curve).loss_curve_[0] < first[0]


def test_methods_need_a_fit(curve):
    ours = VAETransformer(prior="mixture")
    for method in (ours.posterior, ours.elbo, ours.predict_component, ours.score, ours.sample):
        with pytest.raises(NotFittedError):
            method(*([] if method == ours.sample else [curve]))
    for name in ("active_units_", "components_", "noise_variance_"):
        assert not hasattr(ours, name)


def test_data_frames_give_the_same_as_arrays(curve):
    frame = pd.DataFrame(curve, columns=list("abcdef"))
    ours = VAETransformer(2, max_epochs=3, random_state=0).set_output(transform="pandas")
    codes = ours.fit(frame).transform(frame)
    assert list(codes.columns) == ["vaetransformer0", "vaetransformer1"]
    array = VAETransformer(2, max_epochs=3, random_state=0).fit(curve)
    np.testing.assert_array_equal(array.transform(curve), codes.to_numpy())
    np.testing.assert_array_equal(array.score_samples(curve), ours.score_samples(frame))


@pytest.mark.parametrize("init", ["pca", "random"])
def test_custom_architectures_train(curve, init):
    def architecture(role, n_inputs, n_outputs):
        return nn.Sequential(
            nn.Linear(n_inputs, 20), nn.Dropout(0.1), nn.Tanh(), nn.Linear(20, n_outputs)
        )

    ours = VAETransformer(2, architecture=architecture, init=init, random_state=0).fit(curve)
    assert ours.validation_scores_[ours.n_iter_] < ours.validation_scores_[0]
    assert np.isfinite(ours.score_samples(curve)).all()


def test_compile_compiles_both_networks(curve, monkeypatch):
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(self))
    ours = VAETransformer(2, hidden_layer_sizes=(4,), max_epochs=1, early_stopping=False)
    module = ours.set_params(compile=True).fit(curve).module_
    assert compiled == [module.encoder, module.decoder]


@pytest.mark.parametrize("how", ["fit", "partial_fit", "stored"])
def test_bernoulli_rows_are_probabilities(binary, how):
    """A probability that rounds to 0 or 1 is no less and no more."""
    ours = VAETransformer(2, likelihood="bernoulli", max_epochs=1, random_state=0)
    getattr(ours, "partial_fit" if how == "partial_fit" else "fit")(binary)
    if how == "stored":
        ours = pickle.loads(pickle.dumps(ours))
    for rows in (ours.inverse_transform(1e6 * ours.transform(binary)), ours.reconstruct(binary)):
        assert rows.min() >= 0
        assert rows.max() <= 1


@pytest.mark.parametrize("standardize", [False, True])
def test_probabilities_that_float32_cannot_hold(standardize):
    X = np.random.default_rng(0).uniform(size=(20, 3)) * [1e-150, 1e-150, 1e-160]
    ours = VAETransformer(
        2, likelihood="bernoulli", standardize=standardize, hidden_layer_sizes=(3,), max_epochs=1
    )
    for train in (ours.fit, ours.partial_fit):
        with pytest.raises(ValueError, match=r"probabilities that float32 holds .* in column"):
            train(X)
    X[:, :2] *= 1e150
    if standardize:
        X[:, 2] = 1e-150  # a constant column has no scale of its own
    ours.fit(X)
    assert np.isfinite(ours.sample(5, random_state=0)).all()
    assert np.isfinite(ours.reconstruct(X)).all()

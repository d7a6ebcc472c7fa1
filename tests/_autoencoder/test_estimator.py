"""AutoencoderTransformer: theory is the oracle."""

import copy

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from torch import nn

from skae import AutoencoderTransformer
from skae._autoencoder.penalties import contractive_penalty


def linear(n_components, **parameters):
    return AutoencoderTransformer(n_components, hidden_layer_sizes=(), **parameters)


def unexplained(model, X):
    rebuilt = model.inverse_transform(model.transform(X))
    return np.square(X - rebuilt).sum() / np.square(X - X.mean(0)).sum()


# Linear is PCA --------------------------------------------------------------------------


@pytest.mark.parametrize("n_components", [1, 3, 10])
def test_linear_is_pca(digits, n_components):
    ours = linear(n_components, standardize=False).fit(digits)
    pca = PCA(n_components).fit(digits)
    angles = subspace_angles(ours.components_.T, pca.components_.T)
    assert np.rad2deg(angles).max() < 0.1
    np.testing.assert_allclose(
        ours.reconstruct(digits), pca.inverse_transform(pca.transform(digits)), atol=1e-3
    )
    difference = ours.score_samples(digits) - pca.score_samples(digits)
    assert np.abs(difference).mean() / digits.shape[1] < 0.02
    assert spearmanr(ours.score_samples(digits), pca.score_samples(digits)).statistic > 0.999


def test_linear_on_standardized_columns_is_pca_of_scaled_columns(wine):
    scaler = StandardScaler().fit(wine)
    pca = PCA(4).fit(scaler.transform(wine))
    ours = linear(4).fit(wine)
    expected = pca.score_samples(scaler.transform(wine)) - np.log(scaler.scale_).sum()
    np.testing.assert_allclose(ours.score_samples(wine), expected, atol=0.02 * wine.shape[1])
    np.testing.assert_allclose(
        np.abs(ours.transform(wine)),
        np.abs(pca.transform(scaler.transform(wine))),
        atol=1e-4,
    )


def test_full_linear_code_scores_as_the_fitted_gaussian(wine):
    ours = linear(wine.shape[1]).fit(wine)
    expected = PCA().fit(wine).score_samples(wine)
    assert np.abs(ours.score_samples(wine) - expected).mean() / wine.shape[1] < 0.02


def test_plain_linear_network_learns_the_principal_subspace():
    """Baldi and Hornik (1989): the only minima of a linear autoencoder are PCA's subspace."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 8)) * [4, 3, 2, 1, 0.5, 0.5, 0.5, 0.5] @ _rotation(rng, 8)
    ours = linear(
        3,
        init="random",
        standardize=False,
        early_stopping=False,
        max_epochs=600,
        lr=0.02,
        random_state=0,
    ).fit(X)
    with torch.no_grad():
        decoder = ours.module_.decoder.layers[0].weight.numpy()
    angles = subspace_angles(decoder, PCA(3).fit(X).components_.T)
    assert np.rad2deg(angles).max() < 1
    assert unexplained(ours, X) == pytest.approx(unexplained(PCA(3).fit(X), X), rel=1e-3)


def _rotation(rng, size):
    return np.linalg.qr(rng.normal(size=(size, size)))[0]


def test_training_starts_at_pca(digits):
    """Every network, tied or not, is initialized at PCA."""
    pca = PCA(5).fit(StandardScaler().fit_transform(digits))
    for parameters in [{}, {"tied_weights": True}, {"architecture": one_hidden_layer}]:
        initial = AutoencoderTransformer(5, lr=1e-30, max_epochs=1, early_stopping=False)
        initial.set_params(**parameters).fit(digits)
        angles = subspace_angles(initial.components_.T, pca.components_.T)
        assert np.rad2deg(angles).max() < 0.1
        expected = linear(5).fit(digits).reconstruct(digits)
        np.testing.assert_allclose(initial.reconstruct(digits), expected, atol=1e-3)


# Better than PCA where there is more to find, never worse ---------------------------------


def test_curved_sheet_is_unrolled(curve):
    train, test = curve[:450], curve[450:]
    ours = AutoencoderTransformer(2, standardize=False, random_state=0).fit(train)
    assert unexplained(ours, test) < 0.5 * unexplained(PCA(2).fit(train), test)


@pytest.mark.parametrize("seed", range(4))
def test_pca_is_kept_where_it_is_the_truth(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(60, 8)) * np.geomspace(1, 0.1, 8) @ _rotation(rng, 8)
    ours = AutoencoderTransformer(2, standardize=False, random_state=seed).fit(X)
    test = rng.normal(size=(500, 8)) @ np.linalg.cholesky(np.cov(X.T)).T
    assert unexplained(ours, test) < unexplained(PCA(2).fit(X), test) * 1.02


def test_held_out_loss_is_never_above_the_initial_one(digits):
    ours = AutoencoderTransformer(8, random_state=0).fit(digits)
    assert ours.validation_scores_[ours.n_iter_] < ours.validation_scores_[0]


def test_score_picks_the_number_of_components():
    from sklearn.model_selection import GridSearchCV

    rng = np.random.default_rng(1)
    X = rng.normal(size=(500, 3)) * [3, 2, 1.5] @ _rotation(rng, 10)[:3]
    X = X + 0.3 * rng.normal(size=X.shape)
    grid = {"n_components": [1, 2, 3, 4, 6]}
    ours = GridSearchCV(linear(2, standardize=False), grid, cv=3).fit(X)
    theirs = GridSearchCV(PCA(), grid, cv=3).fit(X)
    assert ours.best_params_ == theirs.best_params_ == {"n_components": 3}
    np.testing.assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], atol=0.1
    )


def test_a_better_density_than_pca(curve):
    train, test = curve[:450], curve[450:]
    ours = AutoencoderTransformer(2, random_state=0).fit(train)
    assert ours.score(test) > PCA(2).fit(train).score(test) + 0.5


def test_density_follows_a_change_of_units(wine):
    units = 10.0 ** np.arange(-5, 8)  # whose logarithms do not cancel
    ours = AutoencoderTransformer(3, max_epochs=10, random_state=0).fit(wine)
    scaled = clone(ours).fit(wine * units)
    np.testing.assert_allclose(
        scaled.reconstruct(wine * units) / units, ours.reconstruct(wine), rtol=1e-3
    )
    np.testing.assert_allclose(
        scaled.score_samples(wine * units),
        ours.score_samples(wine) - np.log(units).sum(),
        atol=0.01,
    )


# Codes of any size -------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [(), (8,)])
@pytest.mark.parametrize("shape", [(50, 4), (6, 20), (200, 12)])
def test_overcomplete_codes_reconstruct_all(shape, hidden):
    X = np.random.default_rng(0).normal(size=shape)
    ours = AutoencoderTransformer(30, hidden_layer_sizes=hidden, random_state=0).fit(X)
    assert ours.transform(X).shape == (shape[0], 30)
    assert ours.reconstruction_error(X).max() < 1e-6
    assert np.isfinite(ours.score_samples(X)).all()


# Penalties ---------------------------------------------------------------------------------


def jacobian_norm(model, X):
    rows = torch.from_numpy((X - model.mean_) / model.scale_).requires_grad_()
    module = copy.deepcopy(model.module_).double()
    return contractive_penalty(module.encode(rows), rows).mean().item()


def test_contractive_penalty_flattens_the_encoder(digits):
    X = digits[:800]
    norms = [
        jacobian_norm(
            AutoencoderTransformer(
                8, penalty=penalty, alpha=alpha, max_epochs=30, lr=0.01, random_state=0
            ).fit(X),
            X,
        )
        for penalty, alpha in [(None, 0.0), ("contractive", 0.1), ("contractive", 1.0)]
    ]
    assert norms[1] < 0.5 * norms[0]
    assert norms[2] < 0.5 * norms[1]


def test_l1_penalty_makes_codes_rare(digits):
    def share_near_zero(model):
        code = model.transform(digits)
        return (np.abs(code) < 0.03 * np.abs(code).max(axis=0)).mean()

    dense = AutoencoderTransformer(64, random_state=0).fit(digits)
    sparse = AutoencoderTransformer(64, penalty="l1", alpha=1.0, random_state=0).fit(digits)
    assert share_near_zero(sparse) > 0.4 > 0.25 > share_near_zero(dense)
    assert sparse.reconstruction_error(digits).mean() < 0.05


def test_kl_penalty_brings_mean_activity_to_the_target(digits):
    sparse = AutoencoderTransformer(64, penalty="kl", alpha=3.0, random_state=0).fit(digits)
    code = sparse.transform(digits)
    assert code.min() >= 0
    assert code.max() <= 1
    assert abs(code.mean() - 0.05) < 0.02
    assert (code < 0.05).mean() > 0.5
    assert sparse.reconstruction_error(digits).mean() < 0.05


# Parameters do what they say ------------------------------------------------------------


def test_tied_decoder_is_the_encoder_transposed(digits):
    ours = AutoencoderTransformer(
        4, hidden_layer_sizes=(16,), tied_weights=True, max_epochs=3, random_state=0
    ).fit(digits)
    encoder, decoder = ours.module_.nonlinear_paths
    assert decoder.layers[0].weight is encoder.layers[1].weight
    assert decoder.layers[1].weight is encoder.layers[0].weight
    free = clone(ours).set_params(tied_weights=False).fit(digits)
    assert len(list(ours.module_.parameters())) < len(list(free.module_.parameters()))


def test_layerwise_pretraining_gives_a_better_initialization(digits):
    """Logistic units, four layers: hard from random weights (Hinton and Salakhutdinov 2006)."""
    plain = AutoencoderTransformer(
        6,
        hidden_layer_sizes=(64, 32, 16),
        activation="logistic",
        init="random",
        early_stopping=False,
        max_epochs=40,
        lr=0.01,
        random_state=0,
    ).fit(digits)
    pretrained = clone(plain).set_params(pretrain="layerwise").fit(digits)
    assert pretrained.loss_curve_[0] < plain.loss_curve_[0]
    assert pretrained.loss_curve_[-1] < 0.8 * plain.loss_curve_[-1]


def test_dropout_acts_in_training_only(digits):
    plain = AutoencoderTransformer(4, max_epochs=3, early_stopping=False, random_state=0)
    dropped = clone(plain).set_params(dropout=0.5).fit(digits)
    assert dropped.loss_curve_ != plain.fit(digits).loss_curve_
    np.testing.assert_array_equal(dropped.transform(digits), dropped.transform(digits))


def test_trimmed_training_ignores_planted_outliers():
    rng = np.random.default_rng(0)
    clean = rng.normal(size=(400, 3)) @ rng.normal(size=(3, 10)) + 0.1 * rng.normal(size=(400, 10))
    spoilt = np.vstack([clean, 100 * rng.normal(size=(20, 10))])
    for hidden in [(), (16,)]:
        robust = AutoencoderTransformer(
            3, hidden_layer_sizes=hidden, trim_fraction=0.1, standardize=False, random_state=0
        ).fit(spoilt)
        trusting = clone(robust).set_params(trim_fraction=0.0).fit(spoilt)
        assert unexplained(robust, clean) < 0.05
        assert unexplained(trusting, clean) > 5 * unexplained(robust, clean)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", torch.optim.RMSprop])
def test_optimizers(curve, optimizer):
    lr = 0.3 if optimizer == "sgd" else 0.01
    ours = AutoencoderTransformer(
        2, optimizer=optimizer, lr=lr, max_epochs=60, early_stopping=False, random_state=0
    ).fit(curve)
    assert ours.loss_curve_[-1] < 0.8 * ours.loss_curve_[0]
    expected = (
        optimizer
        if callable(optimizer)
        else getattr(torch.optim, {"adamw": "AdamW", "sgd": "SGD"}[optimizer])
    )
    assert isinstance(ours.net_.optimizer_, expected)


def test_weight_decay_draws_towards_pca(curve):
    """The nonlinear paths shrink, the linear ones don't."""
    fits = [
        AutoencoderTransformer(
            2, weight_decay=decay, early_stopping=False, max_epochs=40, random_state=0
        ).fit(curve)
        for decay in (0.0, 30.0)
    ]
    sizes = [sum(w.norm().item() for w in f.module_.nonlinear_paths[0].parameters()) for f in fits]
    assert sizes[1] < 0.5 * sizes[0]
    straight = np.linalg.norm(fits[1].components_)
    assert straight == pytest.approx(np.sqrt(2), rel=0.3)


def test_batch_size_and_epochs(curve):
    ours = AutoencoderTransformer(2, batch_size=100, max_epochs=4, early_stopping=False).fit(curve)
    assert ours.n_iter_ == len(ours.loss_curve_) == 4
    assert ours.net_.batch_size == 100


def test_validation_fraction_holds_rows_out(curve):
    seen = []

    class Watch(Callback):
        def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
            seen.append((len(dataset_train), len(dataset_valid)))

    AutoencoderTransformer(2, validation_fraction=0.25, max_epochs=1, callbacks=[Watch()]).fit(
        curve
    )
    assert seen == [(450, 150)]


def test_patience_ends_training(curve):
    ours = AutoencoderTransformer(
        2, n_iter_no_change=2, tol=0.5, max_epochs=200, random_state=0
    ).fit(curve)
    assert len(ours.loss_curve_) < 200


# skorch's callbacks -------------------------------------------------------------------------


def test_callbacks_are_skorchs(curve):
    epochs = []

    class Count(Callback):
        def on_epoch_end(self, net, **kwargs):
            epochs.append(net.history[-1]["train_loss"])

    ours = AutoencoderTransformer(2, max_epochs=3, callbacks=[Count()]).fit(curve)
    assert epochs == ours.loss_curve_


# Architectures -----------------------------------------------------------------------------


def one_hidden_layer(role, n_inputs, n_outputs):
    return nn.Sequential(
        nn.Linear(n_inputs, 20), nn.Dropout(0.1), nn.Tanh(), nn.Linear(20, n_outputs)
    )


def small_image_network(role, n_inputs, n_outputs):
    if role == "encoder":
        return nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)),
            nn.Conv2d(1, 4, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(64, n_outputs),
        )
    return nn.Sequential(
        nn.Linear(n_inputs, 64),
        nn.SiLU(),
        nn.Unflatten(1, (4, 4, 4)),
        nn.ConvTranspose2d(4, 1, 4, stride=2, padding=1),
        nn.Flatten(),
    )


@pytest.mark.parametrize("factory", [one_hidden_layer, small_image_network])
@pytest.mark.parametrize("init", ["pca", "random"])
def test_a_users_modules_train(digits, factory, init):
    ours = AutoencoderTransformer(
        4, architecture=factory, init=init, max_epochs=15, random_state=0
    ).fit(digits)
    assert ours.validation_scores_[ours.n_iter_] < ours.validation_scores_[0]
    assert np.isfinite(ours.score_samples(digits[:20])).all()
    again = clone(ours).fit(digits)
    np.testing.assert_array_equal(ours.transform(digits), again.transform(digits))
    copied = copy.deepcopy(ours)
    np.testing.assert_array_equal(ours.transform(digits), copied.transform(digits))


# Errors name the parameter and its value --------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_components": 0}, "n_components.*Got 0"),
        ({"hidden_layer_sizes": (8, -1)}, r"positive integers.*got \(8, -1\)"),
        ({"activation": "swish"}, "activation.*Got 'swish'"),
        ({"init": "PCA"}, "init.*Got 'PCA'"),
        ({"penalty": "l2"}, "penalty.*Got 'l2'"),
        ({"trim_fraction": 0.6}, "trim_fraction.*Got 0.6"),
        ({"device": "gpu"}, "device must be.*got 'gpu'"),
        ({"architecture": one_hidden_layer, "tied_weights": True}, 'tied_weights=True.*"mlp"'),
        ({"architecture": one_hidden_layer, "pretrain": "layerwise"}, 'pretrain=.*"mlp"'),
        ({"architecture": lambda role, n, m: nn.Linear(n, 7)}, r"\(2, 2\), got .* shape \(2, 7\)"),
        ({"architecture": lambda role, n, m: nn.Linear(5, 5)}, r"shape \(n, 13\).*failed with"),
    ],
)
def test_parameters_out_of_bounds(wine, parameters, message):
    with pytest.raises(ValueError, match=message):
        AutoencoderTransformer(**parameters).fit(wine)


def test_an_architecture_that_makes_no_module(wine):
    with pytest.raises(TypeError, match=r"must return a torch.nn.Module, got int"):
        AutoencoderTransformer(architecture=lambda role, n, m: 3).fit(wine)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(3), r"shape \(178,\); got .* == \(3,\)"),
        (np.full(178, -1.0), "finite and not negative, got -1.0 for row 0"),
        (np.full(178, np.nan), "finite and not negative, got nan for row 0"),
        (np.zeros(178), "positive for one row at least"),
    ],
)
def test_bad_weights(wine, weight, message):
    with pytest.raises(ValueError, match=message):
        AutoencoderTransformer().fit(wine, sample_weight=weight)


def test_bad_rows(wine):
    ours = linear(2)
    with pytest.raises(NotFittedError):
        ours.transform(wine)
    with pytest.raises(NotFittedError):
        ours.net_  # noqa: B018 - the property is what is tested
    ours.fit(wine)
    with pytest.raises(ValueError, match="13 features"):
        ours.transform(wine[:, :5])
    with pytest.raises(ValueError, match=r"codes of 2 columns.*X has 5 columns"):
        ours.inverse_transform(wine[:, :5])
    with pytest.raises(AttributeError, match='init="random" has none'):
        clone(ours).set_params(init="random").fit(wine).components_  # noqa: B018


# Units of errors ----------------------------------------------------------------------------


def test_reconstruction_error_by_row_and_by_cell(wine):
    ours = linear(3).fit(wine)
    cells = ours.reconstruction_error(wine, per_cell=True)
    assert cells.shape == wine.shape
    rows = ours.reconstruction_error(wine)
    np.testing.assert_allclose(cells.mean(axis=1), rows)
    share = PCA(3).fit(StandardScaler().fit_transform(wine)).explained_variance_ratio_.sum()
    assert rows.mean() == pytest.approx(1 - share, rel=1e-4)
    raw = linear(3, standardize=False).fit(wine)
    np.testing.assert_allclose(
        raw.reconstruction_error(wine, per_cell=True),
        np.square(wine - raw.reconstruct(wine)),
        rtol=1e-6,
        atol=1e-9,
    )


# Warm starts and streams --------------------------------------------------------------------


def test_a_warm_start_continues_with_the_last_network(curve):
    ours = AutoencoderTransformer(
        2, warm_start=True, early_stopping=False, max_epochs=5, random_state=0
    )
    first = ours.fit(curve).loss_curve_
    assert ours.fit(curve).loss_curve_[0] < first[0]
    with pytest.raises(ValueError, match="another hidden_layer_sizes"):
        ours.set_params(hidden_layer_sizes=(3,)).fit(curve)
    with pytest.raises(ValueError, match="6 features"):
        ours.fit(curve[:, :4])


def test_partial_fit_learns_a_stream(curve):
    train, test = curve[:450], curve[450:]
    stream = AutoencoderTransformer(2, batch_size=32, random_state=0)
    for _ in range(30):
        for block in np.array_split(train, 3):
            stream.partial_fit(block)
    assert stream.n_iter_ == len(stream.loss_curve_) == 90
    assert stream.validation_scores_ is None
    assert unexplained(stream, test) < 0.5 * unexplained(PCA(2).fit(train), test)
    assert stream.score(test) > PCA(2).fit(train).score(test)


def test_partial_fit_continues_after_fit(curve):
    ours = AutoencoderTransformer(2, max_epochs=5, random_state=0).fit(curve)
    before, done = ours.reconstruction_error(curve).mean(), ours.n_iter_
    for _ in range(10):
        ours.partial_fit(curve)
    assert ours.n_iter_ == done + 10
    assert ours.reconstruction_error(curve).mean() < before


# Weights ----------------------------------------------------------------------------------


@pytest.mark.parametrize("trim_fraction", [0.0, 0.2])
def test_a_weight_of_two_is_two_rows(curve, trim_fraction):
    X = curve[:300]
    weight = np.random.default_rng(0).integers(0, 3, size=300)
    ours = AutoencoderTransformer(2, max_epochs=5, trim_fraction=trim_fraction, random_state=0)
    weighted = clone(ours).fit(X, sample_weight=weight)
    repeated = clone(ours).fit(X.repeat(weight, axis=0))
    np.testing.assert_array_equal(weighted.transform(X), repeated.transform(X))
    np.testing.assert_array_equal(weighted.score_samples(X), repeated.score_samples(X))


def test_weighted_linear_is_pca_of_repeated_rows(curve):
    weight = np.random.default_rng(0).integers(0, 9, size=len(curve)) * (curve[:, 0] > 0.2)
    ours = linear(2, standardize=False).fit(curve, sample_weight=weight)
    pca = PCA(2).fit(curve.repeat(weight, axis=0))
    expected = pca.inverse_transform(pca.transform(curve))
    np.testing.assert_allclose(ours.reconstruct(curve), expected, atol=1e-5)


def test_sparse_codes_begin_at_the_weighted_target(curve):
    weight = np.random.default_rng(0).integers(0, 9, size=len(curve)) * (curve[:, 0] > 0.2)
    initial = AutoencoderTransformer(
        2, penalty="kl", lr=1e-30, max_epochs=1, early_stopping=False, random_state=0
    ).fit(curve, sample_weight=weight)
    codes = initial.transform(curve)
    inputs = np.log(codes / (1 - codes))
    np.testing.assert_allclose(
        np.average(inputs, axis=0, weights=weight), np.log(0.05 / 0.95), atol=1e-4
    )
    np.testing.assert_allclose(np.cov(inputs.T, aweights=weight, ddof=0), np.eye(2), atol=1e-4)


def test_weights_are_relative(curve):
    weight = np.random.default_rng(0).uniform(size=len(curve))
    ours = AutoencoderTransformer(2, max_epochs=3, random_state=0)
    a = clone(ours).fit(curve, sample_weight=weight).transform(curve)
    b = clone(ours).fit(curve, sample_weight=weight * 1e300).transform(curve)
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)

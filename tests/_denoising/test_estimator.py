"""DenoisingAutoencoder: denoising, codes, and the contract of scikit-learn."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from skae import DenoisingAutoencoder

from .corruption import corrupt

SMALL = DenoisingAutoencoder(2, hidden_layer_sizes=(8,), max_epochs=4, random_state=0)


KINDS_OF_NOISE = ["gaussian", "masking", "salt_and_pepper", "swap"]


@pytest.mark.parametrize("noise", KINDS_OF_NOISE)
def test_training_removes_more_noise_than_the_linear_denoiser(curve, noise):
    parameters = {"noise": noise, "noise_level": 0.3, "random_state": 0}
    deep = DenoisingAutoencoder(None, **parameters).fit(curve)
    linear = DenoisingAutoencoder(None, hidden_layer_sizes=(), **parameters).fit(curve)
    scale = curve.std(axis=0)
    rng = np.random.default_rng(1)
    if noise == "gaussian":
        noisy = curve + 0.3 * scale * rng.normal(size=curve.shape)
    else:
        noisy = corrupt(curve, noise, 0.3, rng)
    errors = [np.square((ours.denoise(noisy) - curve) / scale).mean() for ours in (deep, linear)]
    assert deep.n_iter_ > 0
    assert errors[0] < 0.9 * errors[1]


def test_noise_conditional_networks_denoise_by_level(curve):
    ours = DenoisingAutoencoder(None, random_state=0).fit(curve)
    low, high = ours.noise_levels_
    assert (low, high) == pytest.approx((0.02, 3.0))
    scale = curve.std(axis=0)
    rng = np.random.default_rng(1)
    little = curve + 0.03 * scale * rng.normal(size=curve.shape)
    much = curve + 1.0 * scale * rng.normal(size=curve.shape)

    def error(noisy, level):
        return np.square((ours.denoise(noisy, level) - curve) / scale).mean()

    assert error(little, 0.03) < error(little, 1.0)
    assert error(much, 1.0) < error(much, 0.03)
    assert error(much, None) < error(much, 0.03)  # None finds the level
    assert error(little, None) < error(little, 1.0)


def test_levels_are_in_the_units_of_the_table_without_standardizing(curve):
    ours = clone(SMALL).set_params(noise_level=(0.1, 0.4), standardize=False).fit(curve * 10)
    assert ours.noise_levels_ == pytest.approx((0.1, 0.4), rel=1e-5)
    assert float(ours.module_.levels.low) == pytest.approx(0.1 / ours.scale_[0], rel=1e-5)
    swap = clone(SMALL).set_params(noise="swap", noise_level=0.3, standardize=False)
    assert swap.fit(curve * 10).noise_levels_ == pytest.approx((0.3, 0.3))  # a share has no units


def test_custom_noise_is_given_rows_in_the_units_of_the_table(wine):
    seen = []

    def noise(X, generator):
        seen.append(X.mean(dim=0))
        return X + torch.empty_like(X).normal_(generator=generator)

    ours = clone(SMALL).set_params(noise=noise, random_state=0)
    first = ours.fit(wine).transform(wine)
    torch.testing.assert_close(
        seen[-1], torch.from_numpy(wine.mean(axis=0)).float(), rtol=0.2, atol=0.2
    )
    np.testing.assert_array_equal(clone(ours).fit(wine).transform(wine), first)


def test_training_on_pairs_beats_their_regression(curve):
    rng = np.random.default_rng(0)
    noisy = curve + np.sin(5 * curve[:, ::-1]) * 0.2 + 0.05 * rng.normal(size=curve.shape)
    deep = DenoisingAutoencoder(None, random_state=0).fit(noisy, curve)
    linear = DenoisingAutoencoder(None, hidden_layer_sizes=()).fit(noisy, curve)
    assert (
        np.square(deep.denoise(noisy) - curve).mean()
        < 0.7 * np.square(linear.denoise(noisy) - curve).mean()
    )
    assert deep.noise_levels_ == (0, 0)
    assert np.isfinite(deep.score(noisy))


def test_decoded_codes_are_the_reconstruction(wine):
    ours = clone(SMALL).fit(wine)
    codes = ours.transform(wine)
    assert codes.shape == (178, 2)
    np.testing.assert_allclose(ours.inverse_transform(codes), ours.reconstruct(wine))
    assert ours.components_.shape == (2, 13)


def test_without_a_bottleneck_the_code_is_the_denoised_row(wine):
    ours = clone(SMALL).set_params(n_components=None).fit(wine)
    assert ours.n_components_ == 13
    low, _ = ours.noise_levels_
    np.testing.assert_allclose(ours.reconstruct(wine), ours.denoise(wine, low), rtol=1e-6)
    assert list(ours.get_feature_names_out())[-1] == "denoisingautoencoder12"


@pytest.mark.parametrize(
    "parameters",
    [
        {"penalty": "l1", "alpha": 5.0},
        {"penalty": "kl", "alpha": 5.0},
        {"penalty": "contractive", "alpha": 1.0},
        {"tied_weights": True},
        {"tied_weights": True, "noise": "swap"},
        {"pretrain": "layerwise"},
        {"pretrain": "layerwise", "tied_weights": True},
        {"dropout": 0.5},
        {"init": "random"},
        {"trim_fraction": 0.2},
        {"noise": "masking"},
        {"noise_level": 0.5},
        {"noise_level": (0.1, 1.0)},
        {"weight_decay": 10.0},
        {"activation": "tanh"},
    ],
)
def test_every_parameter_has_an_effect(curve, parameters):
    base = clone(SMALL).set_params(early_stopping=False, max_epochs=10)
    codes = [
        clone(base).set_params(**changed).fit(curve).transform(curve)
        for changed in ({}, parameters)
    ]
    assert np.isfinite(codes[1]).all()
    assert not np.allclose(codes[0], codes[1], rtol=1e-3)


def test_alpha_is_the_strength_of_the_penalty(curve):
    ours = clone(SMALL).set_params(penalty="l1", early_stopping=False, max_epochs=30)
    sizes = [
        np.abs(clone(ours).set_params(alpha=alpha).fit(curve).transform(curve)).mean()
        for alpha in (0.01, 0.1, 1.0)
    ]
    assert sizes[0] > sizes[1] > sizes[2]


def test_custom_architecture_is_given_the_level(curve):
    asked = []

    def architecture(role, n_inputs, n_outputs):
        asked.append((role, n_inputs, n_outputs))
        return torch.nn.Sequential(torch.nn.Linear(n_inputs, 7), torch.nn.Linear(7, n_outputs))

    clone(SMALL).set_params(architecture=architecture, early_stopping=False).fit(curve)
    clone(SMALL).set_params(
        architecture=architecture, n_components=None, noise_level=0.2, early_stopping=False
    ).fit(curve)
    assert asked == [("encoder", 7, 2), ("decoder", 2, 6), ("denoiser", 6, 6)]


@pytest.mark.parametrize("noise", KINDS_OF_NOISE)
def test_same_seed_same_fit(curve, noise):
    ours = clone(SMALL).set_params(noise=noise, early_stopping=False)
    a, b = (clone(ours).fit(curve).transform(curve) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, clone(ours).set_params(random_state=1).fit(curve).transform(curve))


@pytest.mark.parametrize("n_components", [2, None])
def test_a_weight_of_two_is_a_row_twice(wine, n_components):
    ours = clone(SMALL).set_params(n_components=n_components, early_stopping=False)
    weight = np.where(np.arange(178) < 60, 2.0, 1.0)
    weighted = clone(ours).fit(wine, sample_weight=weight)
    repeated = clone(ours).fit(np.vstack([wine, wine[:60]]))
    np.testing.assert_array_equal(weighted.score_samples(wine), repeated.score_samples(wine))


@pytest.mark.parametrize(
    "parameters", [{}, {"n_components": None}, {"noise": "swap"}, {"noise_level": 0.3}]
)
def test_pickles_and_copies_agree_and_go_on(wine, parameters):
    ours = clone(SMALL).set_params(**parameters).fit(wine)
    for again in (pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours)):
        np.testing.assert_array_equal(again.score_samples(wine), ours.score_samples(wine))
        np.testing.assert_array_equal(again.denoise(wine), ours.denoise(wine))
        assert np.isfinite(again.partial_fit(wine).score(wine))


def test_partial_fit_learns_more_than_the_linear_denoiser(curve):
    ours = DenoisingAutoencoder(None, hidden_layer_sizes=(64, 64), random_state=0, lr=0.01)
    for _ in range(15):
        for block in np.array_split(curve, 2):
            ours.partial_fit(block)
    linear = DenoisingAutoencoder(None, hidden_layer_sizes=()).fit(curve)
    assert ours.score(curve) > linear.score(curve) + 0.2
    assert ours.n_iter_ == 30


def test_the_density_of_a_stream_counts_each_row_once(curve):
    """It is of the sample of all rows so far, under the weights of the last block."""
    ours = clone(SMALL).set_params(n_components=2, noise="masking")
    for block in np.array_split(curve, 3):
        ours.partial_fit(block)
    assert ours._state.density.moments.codes.total == len(curve)


def test_partial_fit_on_pairs_needs_pairs(curve):
    ours = clone(SMALL).partial_fit(curve, curve).partial_fit(curve, curve)
    with pytest.raises(ValueError, match=r"another .*is_paired"):
        ours.partial_fit(curve)


def test_warm_start_continues_training(curve):
    ours = clone(SMALL).set_params(warm_start=True, early_stopping=False)
    first = ours.fit(curve).transform(curve)
    assert not np.array_equal(ours.fit(curve).transform(curve), first)


def test_data_frames_give_the_same_as_arrays(wine):
    frame = pd.DataFrame(wine).add_prefix("column ")
    ours = clone(SMALL).set_output(transform="pandas").fit(frame)
    assert list(ours.transform(frame).columns) == ["denoisingautoencoder0", "denoisingautoencoder1"]
    np.testing.assert_allclose(ours.denoise(frame), clone(SMALL).fit(wine).denoise(wine))


def test_in_pipelines_and_searches(digits):
    X, y = digits[:600], load_digits().target[:600]
    ours = DenoisingAutoencoder(
        8, hidden_layer_sizes=(32,), max_epochs=5, early_stopping=False, random_state=0
    )
    classifier = make_pipeline(clone(ours), LogisticRegression(max_iter=1000))
    assert cross_val_score(classifier, X, y, cv=3).mean() > 0.75  # labels are not clean rows
    assert (
        make_pipeline(clone(ours), KMeans(10, n_init=1, random_state=0)).fit_predict(X).max() == 9
    )
    search = GridSearchCV(ours, {"noise": ["gaussian", "swap"], "n_components": [2, 8]}, cv=2)
    assert np.isfinite(search.fit(X).cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"noise_level": (2.0, 1.0)}, r"one positive number or .*got \(2.0, 1.0\)"),
        ({"noise_level": (0.1, 0.2, 0.3)}, r"positive number or .*got \(0.1, 0.2, 0.3\)"),
        ({"noise_level": ("a", "b")}, r"positive number or .*got \('a', 'b'\)"),
        ({"noise_level": (0.1, np.nan)}, r"finite; got \(0.1, nan\)"),
        ({"noise_level": (0.1, np.inf)}, r"finite; got \(0.1, inf\)"),
        ({"noise_level": 1.5, "noise": "swap"}, "shares of the cells of at most 1; got 1.5"),
        (
            {"noise_level": 0.5, "noise": lambda X, generator: X},
            'must be "auto" for a callable noise.*got 0.5',
        ),
        ({"noise": lambda X, generator: X[:1]}, r"same shape as its input, .*got shape \(1, 13\)"),
        ({"noise": lambda X, generator: X.numpy()}, "same shape as its input, .*got ndarray"),
        ({"n_components": None, "penalty": "l1"}, "penalty='l1' requires a code"),
        ({"n_components": None, "tied_weights": True}, "tied_weights=True requires a code"),
        (
            {"tied_weights": True, "architecture": lambda role, n, m: torch.nn.Linear(n, m)},
            'tied_weights=True requires architecture="mlp"',
        ),
        ({"n_components": 0}, "The 'n_components' parameter"),
        ({"noise": "pink"}, "The 'noise' parameter"),
    ],
)
def test_bad_parameters(wine, parameters, message):
    with pytest.raises(ValueError, match=message):
        clone(SMALL).set_params(**parameters).fit(wine)


@pytest.mark.parametrize("shape", [(178, 12), (177, 13), (177,), (178, 1)])
def test_clean_rows_must_have_the_shape_of_the_noisy_ones(wine, shape):
    with pytest.raises(
        ValueError, match=r"y must be the clean rows behind X, of the same shape .*got shape \(17\d"
    ):
        clone(SMALL).fit(wine, np.zeros(shape))


def test_clean_rows_must_be_complete(wine):
    clean = wine.copy()
    clean[3, 4] = np.nan
    with pytest.raises(ValueError, match="y contains NaN"):
        clone(SMALL).fit(wine, clean)


def test_levels_must_be_in_the_range_of_training(wine):
    with pytest.raises(ValueError, match=r"trained on, 0.02 to 3; got 5.0"):
        clone(SMALL).fit(wine).denoise(wine, 5.0)
    with pytest.raises(ValueError, match=r"noise_level must be None, got 0.3: .* not conditioned"):
        clone(SMALL).fit(wine + 1.0, wine).denoise(wine, 0.3)  # pairs have no level


@pytest.mark.parametrize("noise", KINDS_OF_NOISE)
@pytest.mark.parametrize("standardize", [True, False])
def test_the_one_level_of_training_may_be_named(wine, noise, standardize):
    settings = {"noise": noise, "noise_level": 0.3, "standardize": standardize}
    model = clone(SMALL).set_params(**settings).fit(wine)
    assert np.array_equal(model.denoise(wine, noise_level=0.3), model.denoise(wine))
    for wrong in (0.2, 0.4):
        message = rf"None or 0.3, the level .* trained for, got {wrong}"
        with pytest.raises(ValueError, match=message):
            model.denoise(wine, wrong)


@pytest.mark.parametrize("n_components", [2, None])
@pytest.mark.parametrize("init", ["pca", "random"])
def test_compile_compiles_the_nonlinear_paths(curve, n_components, init, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compiled.append(module))
    ours = clone(SMALL).set_params(
        n_components=n_components, init=init, compile=True, early_stopping=False
    )
    ours.fit(curve)
    assert compiled == ours.module_.networks
    assert len(compiled) == (1 if n_components is None else 2)


@pytest.mark.parametrize("noise", ["gaussian", "swap"])
def test_training_with_the_l1_penalty_keeps_the_scale_of_the_decoder(curve, noise):
    """Otherwise codes could shrink, and the decoder grow, without a change of the rows."""
    ours = clone(SMALL).set_params(penalty="l1", noise=noise, early_stopping=False)
    ours.set_params(hidden_layer_sizes=())
    lengths = []
    for training in ({"lr": 1e-30, "max_epochs": 1}, {"lr": 0.05, "max_epochs": 20}):
        ours.set_params(**training).fit(curve)
        zero, *axes = ours.inverse_transform(np.vstack([np.zeros(2), np.eye(2)])) / ours.scale_
        lengths.append(np.linalg.norm(np.array(axes) - zero, axis=1))
    np.testing.assert_allclose(lengths[1], lengths[0], rtol=1e-3)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", torch.optim.LBFGS, torch.optim.Adam])
def test_a_stream_without_weights(optimizer):
    X = np.random.default_rng(0).normal(size=(40, 3))
    ours = DenoisingAutoencoder(None, hidden_layer_sizes=(), optimizer=optimizer)
    ours.partial_fit(X).partial_fit(X)
    assert not list(ours.module_.parameters())
    assert np.isfinite(ours.score_samples(X)).all()

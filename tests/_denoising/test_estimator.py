"""DenoisingAutoencoder: Wiener's filter, the density of a denoiser, noises and pairs."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline

from skae import AutoencoderTransformer, DenoisingAutoencoder
from skae._data import Batch

SMALL = DenoisingAutoencoder(2, hidden_layer_sizes=(8,), max_epochs=4, random_state=0)
NOISES = ["gaussian", "masking", "salt_and_pepper", "swap"]


@pytest.fixture(scope="module")
def normal():
    """Normal rows, others, and their distribution."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(5, 5))
    truth = multivariate_normal(rng.normal(size=5), root @ root.T + 0.1 * np.eye(5))
    return truth.rvs(3000, random_state=0), truth.rvs(1000, random_state=1), truth


# The density -------------------------------------------------------------------------------


@pytest.mark.parametrize("n_components", [None, 2])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize(
    ("parameters", "tolerance"),
    [
        ({"hidden_layer_sizes": ()}, 0.02),
        ({"hidden_layer_sizes": (), "trim_fraction": 0.1}, 0.02),
        ({"hidden_layer_sizes": (32, 32), "early_stopping": False, "max_epochs": 40}, 0.05),
    ],
)
def test_on_normal_rows_the_score_is_their_density(
    normal, n_components, standardize, parameters, tolerance
):
    train, test, truth = normal
    ours = DenoisingAutoencoder(
        n_components, standardize=standardize, random_state=0, **parameters
    ).fit(train)
    difference = (ours.score_samples(test) - truth.logpdf(test)) / 5
    assert abs(difference.mean()) < tolerance
    assert np.corrcoef(ours.score_samples(test), truth.logpdf(test))[0, 1] > 0.99


# A network for densities that have to be exact, and rows enough to learn them from.
PRECISE = DenoisingAutoencoder(
    None,
    hidden_layer_sizes=(128, 128, 128),
    activation="relu",
    noise_level=(0.003, 2.0),
    lr=0.012,
    early_stopping=False,
    random_state=0,
)


WIDTHS = np.geomspace(0.02, 0.2, 8)  # of kernels


class Mixture:
    """Round Gaussians of one width around centres."""

    def __init__(self, centres, width):
        self.centres = centres
        self.width = width

    def draw(self, n_rows, seed):
        rng = np.random.default_rng(seed)
        which = rng.integers(len(self.centres), size=n_rows)
        return self.centres[which] + self.width * rng.normal(size=(n_rows, 2))

    def log_density(self, X):
        squares = np.square(X[:, None, :] - self.centres).sum(axis=2) / self.width**2
        scale = len(self.centres) * 2 * np.pi * self.width**2
        return logsumexp(-0.5 * squares, axis=1) - np.log(scale)


def ring():
    angle = 2 * np.pi * np.arange(8) / 8
    return Mixture(np.column_stack([np.cos(angle), np.sin(angle)]), 0.1)


def moons(width):
    angle = np.linspace(0, np.pi, 200)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    return Mixture(np.vstack([upper, [1, 0.5] - upper]), width)


@pytest.mark.parametrize(
    ("truth", "max_epochs"),
    [(ring(), 40), (moons(0.1), 40), (moons(0.05), 160)],
    ids=["ring", "moons", "thin moons"],
)
def test_on_rows_of_two_columns_the_score_is_their_density(truth, max_epochs):
    train, test = truth.draw(4000, 0), truth.draw(2000, 1)
    ours = clone(PRECISE).set_params(max_epochs=max_epochs).fit(train)
    scores = ours.score_samples(test)
    assert abs((scores - truth.log_density(test)).mean()) < 0.1
    assert scores.mean() > GaussianMixture(4, random_state=0).fit(train).score(test)
    if max_epochs > 40:  # which is enough to be near, and not to be best
        kernels = [KernelDensity(bandwidth=width).fit(train) for width in WIDTHS]
        assert scores.mean() > max(each.score_samples(test).mean() for each in kernels)
        assert scores.mean() > GaussianMixture(10, random_state=0).fit(train).score(test)
    again = ours.score_samples(test[:50])
    np.testing.assert_array_equal(ours.score_samples(test[:50]), again)
    np.testing.assert_allclose(again, scores[:50], rtol=1e-9)
    sides = [
        np.linspace(low - 0.5, high + 0.5, 75) for low, high in zip(*extent(train), strict=True)
    ]
    grid = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 2)
    cell = np.prod([side[1] - side[0] for side in sides])
    assert np.exp(ours.score_samples(grid)).sum() * cell == pytest.approx(1, abs=0.05)


def extent(X):
    return X.min(axis=0), X.max(axis=0)


def test_a_code_does_not_spoil_the_density(normal):
    train, test, _ = normal
    coded = DenoisingAutoencoder(
        1, hidden_layer_sizes=(32,), random_state=0, max_epochs=15, early_stopping=False
    ).fit(train)
    linear = DenoisingAutoencoder(None, hidden_layer_sizes=(), random_state=0).fit(train)
    assert coded.score(test) > linear.score(test) - 0.05 * 5


def test_trimmed_it_is_the_density_of_the_clean_rows(normal):
    train, test, truth = normal
    spoiled = train.copy()
    spoiled[:150] += 30
    scores = [
        DenoisingAutoencoder(None, hidden_layer_sizes=(), trim_fraction=share)
        .fit(spoiled)
        .score(test)
        for share in (0.0, 0.1)
    ]
    assert scores[1] > scores[0] + 1
    assert abs(scores[1] - truth.logpdf(test).mean()) < 0.02 * 5


def test_scores_of_other_noises_are_by_codes(wine):
    ours = clone(SMALL).set_params(noise="swap").fit(wine)
    assert ours.noise_variance_ > 0
    assert np.isfinite(ours.score(wine))
    assert not hasattr(clone(SMALL).fit(wine), "noise_variance_")


@pytest.mark.parametrize("value", [1e6, 1e12, -1e12])
def test_extreme_values_score_low_and_finite(wine, value):
    far = wine[:3].copy()
    far[:, 2] = value
    ours = clone(SMALL).set_params(n_components=None, max_epochs=20).fit(wine)
    assert np.isfinite(ours.score_samples(far)).all()
    assert ours.score_samples(far).max() < ours.score_samples(wine).min()


def replaced(X, noise, rng):
    """Return what a noise puts in the place of cells."""
    if noise == "masking":
        return X.mean(axis=0)
    if noise == "swap":
        return rng.permuted(X, axis=0)
    return np.where(rng.uniform(size=X.shape) < 0.5, X.max(axis=0), X.min(axis=0))


# The linear path ---------------------------------------------------------------------------


@pytest.mark.parametrize("n_components", [None, 5, 12])
def test_the_linear_path_is_the_wiener_filter(normal, n_components):
    train, test, _ = normal
    ours = DenoisingAutoencoder(
        n_components, hidden_layer_sizes=(), standardize=False, noise_level=(0.05, 2.0)
    ).fit(train)
    mean, covariance = train.mean(axis=0), np.cov(train.T, bias=True)
    gain = covariance @ np.linalg.inv(covariance + 0.5**2 * np.eye(5))
    expected = mean + (test - mean) @ gain.T
    np.testing.assert_allclose(ours.denoise(test, 0.5), expected, atol=1e-4)
    assert ours.n_iter_ == 0


def test_of_one_level_the_linear_path_is_that_levels_filter(normal):
    train, test, _ = normal
    ours = DenoisingAutoencoder(
        None, hidden_layer_sizes=(), standardize=False, noise_level=0.5
    ).fit(train)
    mean, covariance = train.mean(axis=0), np.cov(train.T, bias=True)
    gain = covariance @ np.linalg.inv(covariance + 0.5**2 * np.eye(5))
    np.testing.assert_allclose(ours.denoise(test), mean + (test - mean) @ gain.T, atol=1e-4)


def test_pairs_start_at_their_regression(normal):
    clean = normal[0]
    rng = np.random.default_rng(0)
    noisy = clean @ np.diag([1, 2, 0.5, 1, 1]) + 0.3 * rng.normal(size=clean.shape) + 1.0
    ours = DenoisingAutoencoder(None, hidden_layer_sizes=()).fit(noisy, clean)
    design = np.column_stack([noisy, np.ones(len(noisy))])
    expected = design @ np.linalg.lstsq(design, clean, rcond=None)[0]
    np.testing.assert_allclose(ours.denoise(noisy), expected, atol=0.01)


@pytest.mark.parametrize("noise", NOISES[1:])
def test_other_noises_start_at_a_regression_that_undoes_them(digits, noise):
    X = digits[:, digits.std(axis=0) > 1.0]  # the others are left to chance: a few rows have ink
    scale = X.std(axis=0)
    linear = DenoisingAutoencoder(
        None, noise=noise, noise_level=0.4, hidden_layer_sizes=(), random_state=0
    )
    plain = AutoencoderTransformer(X.shape[1], hidden_layer_sizes=()).fit(X)
    rng = np.random.default_rng(0)
    noisy = np.where(rng.uniform(size=X.shape) < 0.4, replaced(X, noise, rng), X)
    error = np.square((linear.fit(X).denoise(noisy) - X) / scale).mean()
    assert error < 0.8 * np.square((plain.reconstruct(noisy) - X) / scale).mean()


# Noises ------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", NOISES)
def test_training_undoes_noise_better_than_the_linear_path(curve, noise):
    parameters = {"noise": noise, "noise_level": 0.3, "random_state": 0}
    deep = DenoisingAutoencoder(None, **parameters).fit(curve)
    linear = DenoisingAutoencoder(None, hidden_layer_sizes=(), **parameters).fit(curve)
    scale = curve.std(axis=0)
    rng = np.random.default_rng(1)
    if noise == "gaussian":
        noisy = curve + 0.3 * scale * rng.normal(size=curve.shape)
    else:
        noisy = np.where(rng.uniform(size=curve.shape) < 0.3, replaced(curve, noise, rng), curve)
    errors = [np.square((ours.denoise(noisy) - curve) / scale).mean() for ours in (deep, linear)]
    assert deep.n_iter_ > 0
    assert errors[0] < 0.9 * errors[1]


def test_told_networks_denoise_by_level(curve):
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
    assert error(much, None) < error(much, 0.03)  # by itself it finds the level
    assert error(little, None) < error(little, 1.0)


def test_levels_are_in_the_units_of_the_table_without_standardizing(curve):
    ours = clone(SMALL).set_params(noise_level=(0.1, 0.4), standardize=False).fit(curve * 10)
    assert ours.noise_levels_ == pytest.approx((0.1, 0.4), rel=1e-5)
    assert float(ours.module_.levels.low) == pytest.approx(0.1 / ours.scale_[0], rel=1e-5)
    ours.denoise(curve, 0.25)


def test_a_noise_of_ones_own_sees_rows_in_the_units_of_the_table(wine):
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


def test_pairs_are_learned(curve):
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


# Codes -------------------------------------------------------------------------------------


def test_code_and_decoding(wine):
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
def test_every_parameter_acts(curve, parameters):
    base = clone(SMALL).set_params(early_stopping=False, max_epochs=10)
    codes = [
        clone(base).set_params(**changed).fit(curve).transform(curve)
        for changed in ({}, parameters)
    ]
    assert np.isfinite(codes[1]).all()
    assert not np.allclose(codes[0], codes[1], rtol=1e-3)


def test_more_draws_are_nearer_to_many(curve):
    ours = clone(SMALL).set_params(n_components=None, max_epochs=30, early_stopping=False)
    found = {n: clone(ours).set_params(n_draws=n).fit(curve).score_samples(curve) for n in (2, 64)}
    assert np.abs(found[2] - found[64]).mean() > 0
    ours.set_params(n_draws=16).fit(curve)
    nearer = ours.score_samples(curve)
    assert np.abs(nearer - found[64]).mean() < np.abs(found[2] - found[64]).mean()


def test_an_architecture_of_ones_own_is_told_the_level(curve):
    asked = []

    def architecture(role, n_inputs, n_outputs):
        asked.append((role, n_inputs, n_outputs))
        return torch.nn.Sequential(torch.nn.Linear(n_inputs, 7), torch.nn.Linear(7, n_outputs))

    clone(SMALL).set_params(architecture=architecture, early_stopping=False).fit(curve)
    clone(SMALL).set_params(
        architecture=architecture, n_components=None, noise_level=0.2, early_stopping=False
    ).fit(curve)
    assert asked == [("encoder", 7, 2), ("decoder", 2, 6), ("denoiser", 6, 6)]


# The contract ------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", NOISES)
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
def test_stored_and_read_again(wine, parameters):
    ours = clone(SMALL).set_params(**parameters).fit(wine)
    for again in (pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours)):
        np.testing.assert_array_equal(again.score_samples(wine), ours.score_samples(wine))
        np.testing.assert_array_equal(again.denoise(wine), ours.denoise(wine))
        assert np.isfinite(again.partial_fit(wine).score(wine))


def test_blocks_of_rows(curve):
    ours = DenoisingAutoencoder(None, hidden_layer_sizes=(64, 64), random_state=0, lr=0.01)
    for _ in range(15):
        for block in np.array_split(curve, 2):
            ours.partial_fit(block)
    linear = DenoisingAutoencoder(None, hidden_layer_sizes=()).fit(curve)
    assert ours.score(curve) > linear.score(curve) + 0.2
    assert ours.n_iter_ == 30


def test_blocks_of_pairs_stay_pairs(curve):
    ours = clone(SMALL).partial_fit(curve, curve).partial_fit(curve, curve)
    with pytest.raises(ValueError, match=r"another .*is_paired"):
        ours.partial_fit(curve)


def test_warm_start_goes_on(curve):
    ours = clone(SMALL).set_params(warm_start=True, early_stopping=False)
    first = ours.fit(curve).transform(curve)
    assert not np.array_equal(ours.fit(curve).transform(curve), first)


def test_frames(wine):
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
        ({"n_components": 0}, "The 'n_components' parameter"),
        ({"noise": "pink"}, "The 'noise' parameter"),
    ],
)
def test_bad_parameters(wine, parameters, message):
    with pytest.raises(ValueError, match=message):
        clone(SMALL).set_params(**parameters).fit(wine)


@pytest.mark.parametrize("shape", [(178, 12), (177, 13), (177,), (178, 1)])
def test_clean_rows_of_the_wrong_shape(wine, shape):
    with pytest.raises(
        ValueError, match=r"y must be the clean rows behind X, of the same shape .*got shape \(17\d"
    ):
        clone(SMALL).fit(wine, np.zeros(shape))


def test_clean_rows_with_missing_values(wine):
    clean = wine.copy()
    clean[3, 4] = np.nan
    with pytest.raises(ValueError, match="y contains NaN"):
        clone(SMALL).fit(wine, clean)


def test_levels_that_the_network_does_not_know(wine):
    conditional, other = clone(SMALL).fit(wine), clone(SMALL).set_params(noise_level=0.3).fit(wine)
    with pytest.raises(ValueError, match=r"trained on, 0.02 to 3; got 5.0"):
        conditional.denoise(wine, 5.0)
    with pytest.raises(ValueError, match=r"noise_level must be None, got 0.3"):
        other.denoise(wine, 0.3)


@pytest.mark.parametrize("n_components", [2, None])
@pytest.mark.parametrize("init", ["pca", "random"])
def test_compiling_is_of_the_networks_that_training_passes_through(
    curve, n_components, init, monkeypatch
):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compiled.append(module))
    ours = clone(SMALL).set_params(
        n_components=n_components, init=init, compile=True, early_stopping=False
    )
    ours.fit(curve)
    assert compiled == ours.module_.networks
    assert len(compiled) == (1 if n_components is None else 2)


def test_the_net_can_be_copied(curve):
    net = clone(SMALL).fit(curve).net_
    again = copy.deepcopy(net)
    assert again.criterion_.generator is None
    assert pickle.loads(pickle.dumps(net)).criterion_.corruption == net.criterion_.corruption


def test_rows_are_trimmed_by_errors_relative_to_their_level():
    """A loss alone is large at low levels; far rows have large errors at every level."""
    rng = np.random.default_rng(0)
    rows = np.vstack([rng.normal(size=(180, 2)), rng.normal(size=(20, 2)) + 8])
    ours = DenoisingAutoencoder(None, hidden_layer_sizes=(), trim_fraction=0.1).fit(rows)
    objective = ours.net_.criterion
    objective.generator = torch.Generator().manual_seed(0)
    scaled = torch.from_numpy((rows - ours.mean_) / ours.scale_).float()
    is_far = np.arange(200) >= 180
    found = {"loss": [], "relative": []}
    for _ in range(50):
        losses, relative = objective._losses(ours.module_, Batch(scaled), objective.generator)
        for name, values in (("loss", losses), ("relative", relative)):
            found[name].append(is_far[values.detach().numpy().argsort()[-20:]].mean())
    assert np.mean(found["relative"]) > 0.5
    assert np.mean(found["relative"]) > np.mean(found["loss"]) + 0.03

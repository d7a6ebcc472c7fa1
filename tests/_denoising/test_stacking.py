"""The denoiser's density and mixtures, weighted by held-out rows."""

import gc
import pickle
import weakref

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.decomposition import FactorAnalysis
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

import skae._denoising.density as density_module
from skae import DenoisingAutoencoder
from skae._data import Rows
from skae._denoising.stacking import fit_stack, gather_evidence
from skae._linear import Mixture

QUICK = DenoisingAutoencoder(None, hidden_layer_sizes=(32,), max_epochs=20, random_state=0)
# Enough to leave the filter on a ring of 800 rows.
TRAINED = clone(QUICK).set_params(hidden_layer_sizes=(64, 64), max_epochs=100)


def get_stack(estimator):
    estimator.score_samples(np.zeros((1, estimator.n_features_in_)))
    return estimator._fitted.density.score_model.stack


def draw_ring(n_rows, seed, noise=0.1):
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, size=n_rows)
    ring = np.column_stack([np.cos(angle), np.sin(angle)])
    return ring + noise * rng.normal(size=ring.shape)


def test_the_score_is_the_weighted_mean_of_two_densities():
    X = draw_ring(800, 0)
    stacked = clone(TRAINED).fit(X)
    alone = clone(stacked).set_params(stacking=False).fit(X)
    stack, scale = get_stack(stacked), np.log(stacked.scale_).sum()
    assert 0 < stack.share < 1
    rows = torch.from_numpy((X - stacked.mean_) / stacked.scale_)
    with torch.no_grad():
        mixture = stack.log_density(stacked.module_.filter.double(), rows).numpy() - scale
    expected = np.log(
        stack.share * np.exp(alone.score_samples(X)) + (1 - stack.share) * np.exp(mixture)
    )
    np.testing.assert_allclose(stacked.score_samples(X), expected, atol=1e-5)


def test_the_mixture_is_one_of_rows():
    """Its Gaussians, mapped back to rows, have the same log-density by scipy's formula."""
    X = load_iris().data
    ours = clone(QUICK).fit(X)
    stack, filter = get_stack(ours), ours.module_.filter
    axes, variances = filter.axes.double().numpy(), filter.variances.double().numpy()
    root = axes.T * np.sqrt(variances)
    mean = filter.mean.double().numpy() + stack.mixture.mean @ root.T
    covariance = root @ stack.mixture.covariance @ root.T
    in_rows = Mixture(stack.mixture.weight, mean, covariance)
    rows = (X - ours.mean_) / ours.scale_
    expected = in_rows.log_density(rows)
    with torch.no_grad():
        found = stack.log_density(filter.double(), torch.from_numpy(rows))
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("load", [load_wine, load_diabetes])
def test_it_is_better_than_a_mixture_on_few_rows(load):
    X = StandardScaler().fit_transform(load().data)
    X = np.random.default_rng(0).permutation(X)
    train, test = X[: 3 * len(X) // 4], X[3 * len(X) // 4 :]
    mixtures = [
        GaussianMixture(size, reg_covar=0.01, random_state=0).fit(train) for size in (1, 2, 4, 8)
    ]
    chosen = min(mixtures, key=lambda mixture: mixture.bic(train))
    stacked = clone(QUICK).fit(train)
    assert stacked.score(test) > chosen.score(test)
    assert stacked.score(test) > clone(QUICK).set_params(stacking=False).fit(train).score(test)


def test_a_network_that_is_kept_at_the_filter_is_not_asked(monkeypatch):
    X = load_wine().data
    ours = clone(QUICK).set_params(max_epochs=1).fit(X)
    assert ours.n_iter_ == 0
    assert get_stack(ours).share == 0

    def refuse(*arguments):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(density_module, "denoiser_log_density", refuse)
    assert np.isfinite(ours.score_samples(X)).all()


def test_held_out_rows_are_not_what_mixtures_are_weighed_by_and_fitted_to(monkeypatch):
    """Mixtures that had seen the held-out rows would get too large a weight."""
    given = []
    fit_stack = density_module.fit_stack

    def record(trained, score, evidence, trim_fraction):
        given.append(evidence)
        return fit_stack(trained, score, evidence, trim_fraction)

    monkeypatch.setattr(density_module, "fit_stack", record)
    X = draw_ring(800, 0)
    ours = clone(TRAINED).fit(X)
    ours.score_samples(X[:1])
    fitted, unseen = (part.table for part in (given[0].rows, given[0].unseen))
    assert (len(fitted), len(unseen)) == (720, 80)
    assert not {row.tobytes() for row in fitted} & {row.tobytes() for row in unseen}


def test_training_rows_do_not_flatter_a_network_with_folds():
    """Its share is set by the improvement on rows that the folds held out."""
    X = draw_ring(300, 0)
    ours = clone(TRAINED).set_params(max_epochs=400).fit(X)
    assert ours.n_iter_ > 0
    trusting = clone(ours).set_params(early_stopping=False, max_epochs=ours.n_iter_).fit(X)
    assert get_stack(ours).share < get_stack(trusting).share


def test_linear_denoisers_and_other_noise_have_no_mixture():
    X = draw_ring(600, 0)
    linear = clone(QUICK).set_params(hidden_layer_sizes=()).fit(X)
    assert get_stack(linear) is None
    masking = clone(QUICK).set_params(noise="masking").fit(X)
    same = clone(masking).set_params(stacking=False).fit(X)
    np.testing.assert_array_equal(masking.score_samples(X), same.score_samples(X))


def test_denoising_does_not_depend_on_it():
    X = draw_ring(600, 0)
    with_it, without = (clone(QUICK).set_params(stacking=s).fit(X) for s in (True, False))
    np.testing.assert_array_equal(with_it.denoise(X), without.denoise(X))
    np.testing.assert_array_equal(with_it.denoising_errors(X), without.denoising_errors(X))


def test_streams_and_wide_tables():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 60)) * np.where(np.arange(120)[:, None] % 2, 0.3, 1.0)
    ours = clone(QUICK).fit(X)  # more columns than axes that mixtures have
    assert get_stack(ours).mixture.mean.shape[1] == 32
    alone = clone(QUICK).set_params(stacking=False).fit(X)
    assert ours.score(X) > alone.score(X)
    stream = clone(QUICK)
    for block in np.array_split(draw_ring(600, 0), 3):
        stream.partial_fit(block)
    assert np.isfinite(stream.score_samples(X[:5, :2])).all()
    again = pickle.loads(pickle.dumps(stream))
    np.testing.assert_array_equal(again.score_samples(X[:, :2]), stream.score_samples(X[:, :2]))


@pytest.mark.parametrize("n_rows", [60, 150])
def test_few_rows_with_factors_are_scored_as_factor_analysis_does(n_rows):
    """It is told the number of factors; the covariance is known here."""
    rng = np.random.default_rng(0)
    loadings, noise = rng.normal(size=(3, 30)), rng.uniform(0.2, 2.0, size=30)

    def draw(n_rows):
        cells = np.sqrt(noise) * rng.normal(size=(n_rows, 30))
        return rng.normal(size=(n_rows, 3)) @ loadings + cells

    X, others = draw(n_rows), draw(1000)
    ours, theirs = clone(QUICK).fit(X), FactorAnalysis(3).fit(X)
    truth = multivariate_normal(np.zeros(30), loadings.T @ loadings + np.diag(noise))
    lost = truth.logpdf(others).mean() - theirs.score(others)
    assert truth.logpdf(others).mean() - ours.score(others) < 1.1 * lost


def test_few_rows_have_no_mixture():
    X = draw_ring(9, 0)
    assert get_stack(clone(QUICK).fit(X)) is None
    assert get_stack(clone(QUICK).fit(draw_ring(10, 0))) is not None


def draw_sheared(n_rows):
    """Rows spread evenly over a parallelogram, and their log-density."""
    square = np.random.default_rng(0).uniform(-1, 1, size=(n_rows, 2))
    return (square @ [[1.0, 0.9], [0.0, 0.1]]).astype(np.float32), -np.log(4 * 0.1)


def fit_truth(n_rows, improvement, error=0.0):
    """Return the share of the truth, less an error in nats; `improvement` takes its gain."""
    X, truth = draw_sheared(n_rows)
    trained = clone(QUICK).set_params(standardize=False, max_epochs=1).fit(X)._fitted.trained
    rows = Rows.from_arrays(X, None, torch.device("cpu"))
    with torch.no_grad():
        gain = truth - float(trained.module.filter.log_density(rows.batch.input).mean())
    evidence = gather_evidence(rows, None, improvement(gain))
    return fit_stack(trained, lambda table: np.full(len(table), truth - error), evidence, 0.0).share


@pytest.mark.parametrize("n_rows", [300, 1000])
def test_the_truth_gets_most(n_rows):
    assert 0.8 < fit_truth(n_rows, lambda gain: None) < 1
    assert fit_truth(n_rows, lambda gain: None, error=3.0) < 0.1


def test_what_folds_say_of_the_gain_decides():
    assert 0.7 < fit_truth(300, lambda gain: gain) < 1
    assert fit_truth(300, lambda gain: 0.05 * gain) < 0.3
    assert fit_truth(300, lambda gain: 100 * gain) == fit_truth(300, lambda gain: gain)


def test_the_sample_tells_whether_rows_are_many(monkeypatch):
    """The whole table may be on a device, and is copied then."""
    sizes, table = [], Rows.table
    monkeypatch.setattr(
        Rows, "table", property(lambda rows: sizes.append(len(rows)) or table.fget(rows))
    )
    many = np.random.default_rng(0).normal(size=(6_000, 3)).astype(np.float32)
    for X, is_short in ((many, False), (np.repeat(many[:20], 300, axis=0), True)):
        rows = Rows.from_arrays(X, None, torch.device("cpu"))
        assert gather_evidence(rows, None, None).is_short == is_short
    assert sizes == [5_000, 5_000, 6_000]


def test_trimmed_rows_have_no_say():
    X = np.vstack([draw_ring(400, 0), np.random.default_rng(0).normal(8, 0.1, size=(20, 2))])
    ours = clone(QUICK).set_params(max_epochs=1)
    trimmed = clone(ours).set_params(trim_fraction=0.1).fit(X)
    assert trimmed.score(X[400:]) < ours.fit(X).score(X[400:]) - 5


def test_rows_are_kept_until_the_first_score_only():
    ours = clone(QUICK).set_params(max_epochs=1).fit(load_wine().data)
    evidence = weakref.ref(ours._fitted.density._model._fit.args[2])
    assert evidence() is not None
    ours.score_samples(load_wine().data)
    gc.collect()
    assert evidence() is None

"""A fitted estimator stored and loaded, by every pickler."""

import copy
import io
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import SimpleNamespace

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import (
    AEAnomalyDetector,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae._base import persistence
from skae._base.seal import open_sealed, seal
from skae._environment import RandomStreams
from skae._training import leave_untrained


def through_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


def through_skops(model):
    stored = skops.io.dumps(model)
    untrusted = skops.io.get_untrusted_types(data=stored)
    assert all(name.startswith("skae.") for name in untrusted)
    if not isinstance(model, AEAnomalyDetector):  # which contains another estimator
        assert untrusted == [f"{type(model).__module__}.{type(model).__name__}"]
    return skops.io.loads(stored, trusted=untrusted)


WAYS = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "joblib": through_joblib,
    "cloudpickle": lambda model: cloudpickle.loads(cloudpickle.dumps(model)),
    "skops": through_skops,
    "deepcopy": copy.deepcopy,
}


@pytest.fixture(scope="module")
def fitted(wine):
    return AutoencoderTransformer(3, max_epochs=5, dropout=0.1, random_state=0).fit(wine)


MODELS = [
    AutoencoderTransformer(3),
    AutoencoderTransformer(3, tied_weights=True),
    AutoencoderTransformer(3, penalty="l1"),
    AutoencoderTransformer(3, penalty="kl"),
    AutoencoderTransformer(3, init="random"),
    DenoisingAutoencoder(3),
    DenoisingAutoencoder(None, n_draws=2),
    DenoisingAutoencoder(3, noise="swap", noise_level=(0.1, 0.5)),
    VAETransformer(3),
    VAETransformer(3, prior="mixture", noise_per_column=True),
    VAETransformer(3, prior="vamp"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_a_loaded_estimator_is_the_same(wine, way, model):
    model = clone(model).set_params(hidden_layer_sizes=(8,), max_epochs=5, random_state=0)
    model.fit(wine)
    back = WAYS[way](model)
    np.testing.assert_array_equal(back.transform(wine), model.transform(wine))
    np.testing.assert_array_equal(back.score_samples(wine), model.score_samples(wine))
    assert back.n_iter_ == model.n_iter_
    assert back.loss_curve_ == model.loss_curve_
    assert back.validation_scores_ == model.validation_scores_
    assert (back.gain_, back.gain_error_) == (model.gain_, model.gain_error_)
    assert repr(back.get_params()) == repr(model.get_params())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("estimator", [None, VAETransformer(2, max_epochs=2)], ids=repr)
def test_a_loaded_detector_is_the_same(wine, way, estimator):
    detector = AEAnomalyDetector(estimator, random_state=0).fit(wine)
    back = WAYS[way](detector)
    np.testing.assert_array_equal(back.score_samples(wine), detector.score_samples(wine))
    np.testing.assert_array_equal(back.p_values(wine), detector.p_values(wine))
    pd.testing.assert_frame_equal(back.explain(wine[:1]), detector.explain(wine[:1]))


def test_a_loaded_denoiser_of_a_wide_table_has_the_axes_that_its_rows_determine():
    X = np.random.default_rng(0).normal(size=(40, 1100)).astype(np.float32)
    model = DenoisingAutoencoder(2, hidden_layer_sizes=(4,), random_state=0).partial_fit(X[:12])
    assert model.module_.filter.axes.shape == (11, 1100)
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.denoise(X), model.denoise(X))
    for one in (model, loaded):  # the next block determines more axes of what the code loses
        assert len(one.partial_fit(X[12:]).module_.residual_filter.axes) > 11
        assert np.isfinite(one.denoise(X)).all()


@pytest.mark.parametrize("way", WAYS)
def test_training_continues_after_loading(wine, fitted, way):
    back = WAYS[way](fitted)
    before = back.reconstruction_error(wine).mean()
    for _ in range(20):
        back.partial_fit(wine)
    assert back.reconstruction_error(wine).mean() < before
    warm = WAYS[way](fitted).set_params(warm_start=True, early_stopping=False).fit(wine)
    assert warm.reconstruction_error(wine).mean() < before


def test_refit_after_loading_is_a_fit(wine, fitted):
    back = WAYS["pickle"](fitted)
    np.testing.assert_array_equal(back.fit(wine).transform(wine), fitted.transform(wine))


def test_state_is_parameters_and_arrays(wine, fitted):
    fitted.score_samples(wine)  # which makes the float64 copy

    def plain(value):
        if isinstance(value, dict):
            return all(plain(v) for v in value.values())
        if isinstance(value, list | tuple):
            return all(plain(v) for v in value)
        return value is None or isinstance(
            value, str | int | float | bool | np.ndarray | np.generic
        )

    assert plain(fitted.__getstate__())


def test_a_state_does_not_change_when_training_continues(wine):
    ours = AutoencoderTransformer(2, optimizer=torch.optim.Adam, random_state=0).partial_fit(wine)
    state = ours.__getstate__()["_fitted"]
    before = copy.deepcopy(state["weights"])
    ours.partial_fit(wine)
    for name, value in state["weights"].items():
        np.testing.assert_array_equal(value, before[name])


def test_state_is_small(wine):
    """Neither rows nor optimizer: little more than the weights."""
    rows = np.vstack([wine] * 60)
    model = AutoencoderTransformer(3, max_epochs=2, random_state=0).fit(rows)
    n_weights = sum(p.numel() for p in model.module_.parameters())
    assert len(pickle.dumps(model)) < 4 * n_weights + 20_000


def test_an_estimator_that_was_fitted_on_a_missing_device_runs_on_the_cpu(wine, fitted):
    """The device of the machine that fitted need not be here."""
    back = pickle.loads(pickle.dumps(copy.deepcopy(fitted).set_params(device="cuda:7")))
    np.testing.assert_array_equal(back.transform(wine), fitted.transform(wine))
    assert next(back.module_.parameters()).device == torch.device("cpu")


def test_a_loaded_estimator_is_on_its_device(fitted, monkeypatch):
    # Every machine has that device, but it computes nothing, so that it isn't for users.
    stored = pickle.dumps(copy.deepcopy(fitted).set_params(device="meta"))
    monkeypatch.setattr(persistence, "resolve_device", torch.device)
    back = pickle.loads(stored)
    assert {weight.device.type for weight in back.module_.parameters()} == {"meta"}


def test_unfitted_estimators_and_clones_have_no_module(fitted):
    for way in WAYS.values():
        assert not hasattr(way(AutoencoderTransformer(3)), "module_")
    assert not hasattr(clone(fitted), "module_")


def test_net_of_a_loaded_estimator(wine, fitted):
    back = WAYS["pickle"](fitted)
    assert back.net_.module_ is back.module_
    assert back.net_ is back.net_


@pytest.mark.parametrize("begin", ["fit", "partial_fit"])
def test_net_of_a_loaded_estimator_trains_as_before(begin, curve):
    ours = AutoencoderTransformer(2, max_epochs=1, random_state=0)
    net = getattr(ours, begin)(curve).net_
    back = WAYS["pickle"](ours)
    assert (back.net_.batch_size, back.net_.lr) == (net.batch_size, net.lr)
    assert WAYS["pickle"](back).net_.lr == net.lr  # also if it was stored without its net


@pytest.mark.parametrize("is_shared", [True, False])
def test_a_loaded_net_has_the_batches_of_its_fit_whoever_asks_for_it(is_shared, curve, monkeypatch):
    """Processes that share a fit have longer batches, also of this table for once."""

    def set_group(is_there):
        group = SimpleNamespace(is_first=True) if is_there else None
        monkeypatch.setattr("skae._base.estimator.find_group", lambda: group)

    monkeypatch.setattr("skae._data.batches._SHARED_STEPS", 1)
    ours = AutoencoderTransformer(2, hidden_layer_sizes=(), random_state=0).fit(curve)
    set_group(is_shared)
    config = ours._make_config(ours._state.blueprint, ours._state.scaling, RandomStreams(0))
    net = leave_untrained(config, ours.module_, len(curve)).net
    assert net.batch_size == (600 if is_shared else 256)
    ours._fitted = replace(ours._state, net=net)
    set_group(not is_shared)
    back = WAYS["pickle"](WAYS["pickle"](ours))
    assert (back.net_.batch_size, back.net_.lr) == (net.batch_size, net.lr)


def test_asking_for_a_loaded_net_leaves_the_fit_as_it_is(curve):
    """Another thread may fit meanwhile, or a stream go on."""
    back = WAYS["pickle"](AutoencoderTransformer(2, max_epochs=1, random_state=0).fit(curve))
    before = back._fitted
    assert back.net_ is back.net_
    assert back._fitted is before
    twin = WAYS["pickle"](back).partial_fit(curve)
    np.testing.assert_array_equal(back.partial_fit(curve).transform(curve), twin.transform(curve))


def test_threads_get_one_loaded_net(curve):
    back = WAYS["pickle"](AutoencoderTransformer(2, max_epochs=1, random_state=0).fit(curve))
    with ThreadPoolExecutor(8) as pool:
        assert len({id(net) for net in pool.map(lambda _: back.net_, range(16))}) == 1


# What is loaded is what was stored ------------------------------------------------------------


def make_detector(wine):
    return AEAnomalyDetector(
        DenoisingAutoencoder(None, hidden_layer_sizes=(4,), max_epochs=1, noise_level=(0.1, 5.0)),
        random_state=0,
    ).fit(wine)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("asked", [False, True], ids=["before", "after rows with gaps"])
def test_a_detector_of_a_table_with_labels_is_the_same(way, asked):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=80), "k": rng.choice(list("uvw"), 80)})
    denoiser = DenoisingAutoencoder(None, hidden_layer_sizes=(), noise_level=(0.1, 5.0), n_draws=2)
    detector = AEAnomalyDetector(denoiser, random_state=0).fit(frame)
    gaps = frame.mask(rng.uniform(size=frame.shape) < 0.3)
    gaps.loc[3, "k"] = "new"
    if asked:
        detector.score_samples(gaps)
    back = WAYS[way](detector)
    np.testing.assert_array_equal(back.score_samples(gaps), detector.score_samples(gaps))
    pd.testing.assert_frame_equal(back.explain(gaps[2:5]), detector.explain(gaps[2:5]))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "estimator",
    [
        GaussianMixture(2, random_state=0),
        make_pipeline(StandardScaler(), PCA(2)),
        IsolationForest(n_estimators=5, random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_detector_with_another_estimator_is_the_same(wine, way, estimator):
    detector = AEAnomalyDetector(estimator, random_state=0).fit(wine)
    if way == "skops":
        stored = skops.io.dumps(detector)
        back = skops.io.loads(stored, trusted=skops.io.get_untrusted_types(data=stored))
    else:
        back = WAYS[way](detector)
    np.testing.assert_array_equal(back.score_samples(wine), detector.score_samples(wine))


def test_the_arrays_of_another_estimator_are_sealed(wine):
    detector = AEAnomalyDetector(GaussianMixture(2, random_state=0), random_state=0).fit(wine)
    state = copy.deepcopy(detector.__getstate__())
    state["estimator_"].means_[0, 0] += 1e-9
    with pytest.raises(ValueError, match="is not what was stored"):
        AEAnomalyDetector().__setstate__(state)


def test_a_state_that_lost_its_fit_is_refused(wine, fitted):
    for model, name in ((fitted, "_fitted"), (make_detector(wine), "estimator_")):
        state = model.__getstate__()
        del state[name]
        with pytest.raises(ValueError, match="is not what was stored"):
            type(model)().__setstate__(state)


def use(model, rows):
    outputs = [model.score_samples(rows)]
    outputs.append(model.predict(rows) if hasattr(model, "predict") else model.reconstruct(rows))
    return [output.tobytes() for output in outputs]


@pytest.mark.parametrize("kind", ["transformer", "detector"])
def test_a_file_with_a_flipped_bit_is_refused_or_gives_the_same_results(wine, fitted, kind):
    model = fitted if kind == "transformer" else make_detector(wine)
    stored = pickle.dumps(model)
    expected = use(model, wine[:9])
    rng = np.random.default_rng(0)
    n_refused = 0
    for _ in range(120):
        damaged = bytearray(stored)
        position = int(rng.integers(len(stored)))
        damaged[position] ^= 1 << int(rng.integers(8))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                back = pickle.loads(bytes(damaged))
        except Exception:
            n_refused += 1
        else:
            assert use(back, wine[:9]) == expected, position
    assert n_refused > 60


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda state: state["weights"].popitem(), "stored weights must be those of the network"),
        (lambda state: next(iter(state["weights"].values())).fill(np.nan), "must be finite, and"),
        (lambda state: state["scaling"][1].fill(0), "stored scales must be positive, got 0"),
        (lambda state: state["scaling"][0].fill(np.inf), "means and scales must be finite"),
        (lambda state: state.update(scaling=(np.zeros(2), np.ones(2))), "must have the shape"),
    ],
)
def test_a_state_that_no_fit_has_is_refused(fitted, spoil, message):
    """As one that was written by hand, and sealed."""
    state = copy.deepcopy(fitted.__getstate__())
    spoil(state["_fitted"])
    del state["_skae"]
    with pytest.raises(ValueError, match=message):
        AutoencoderTransformer().__setstate__(seal(state))


def test_another_version_warns_and_another_format_is_refused(wine, fitted, monkeypatch):
    for model in (fitted, make_detector(wine)):
        monkeypatch.setattr("skae._base.seal.VERSION", "0.0.9")
        older = pickle.dumps(model)
        monkeypatch.setattr("skae._base.seal.FORMAT", 99)
        newer = pickle.dumps(model)
        monkeypatch.undo()
        with pytest.warns(InconsistentVersionWarning, match=r"from version 0\.0\.9 of skae"):
            back = pickle.loads(older)
        assert use(back, wine) == use(model, wine)
        with pytest.raises(ValueError, match=r"has format 99 of skae 0\.0\.9, and skae .* reads"):
            pickle.loads(newer)


@dataclass
class Earlier:
    known: float


@dataclass
class Later:
    known: float
    added: float | None = None


def test_a_part_that_an_earlier_version_stored_may_lack_fields(fitted):
    stored = seal({"part": Earlier(1.0)})
    part = Later(1.0)
    del vars(part)["added"]  # as if it were unpickled
    assert open_sealed(fitted, {**stored, "part": part})["part"].added is None
    with pytest.raises(ValueError, match="digest differs"):
        open_sealed(fitted, {**stored, "part": Later(1.0, 2.0)})


def test_the_share_of_components_is_stored_if_there_is_one(wine, fitted):
    """Detectors of earlier versions have a digest without one."""
    by_share = clone(fitted).set_params(n_components=0.5).fit(wine)
    assert by_share.__getstate__()["_fitted"]["share"] == 0.5
    assert "share" not in fitted.__getstate__()["_fitted"]


def test_a_state_without_a_seal_is_refused(fitted):
    state = fitted.__getstate__()
    del state["_skae"]
    with pytest.raises(ValueError, match="has no seal of skae"):
        AutoencoderTransformer().__setstate__(state)


class Sizes(list):
    """A list whose constructor takes its entries, as a user's own may."""

    def __init__(self, *sizes):
        super().__init__(sizes)


class Options(dict):
    pass


def test_parameters_are_loaded_as_the_objects_that_they_are():
    sizes = Sizes(8, 8)
    estimator = AutoencoderTransformer(
        2, hidden_layer_sizes=sizes, callbacks=[], max_epochs=1, random_state=0
    )
    estimator.fit(np.random.default_rng(0).normal(size=(30, 3)))
    estimator.notes_ = estimator.more_ = Options(a=1)
    stored = pickle.loads(pickle.dumps(estimator))
    assert type(stored.hidden_layer_sizes) is Sizes
    assert stored.hidden_layer_sizes == [8, 8]
    assert type(stored.notes_) is Options
    assert stored.notes_ is stored.more_
    estimator.set_params(callbacks=estimator.hidden_layer_sizes)
    stored = pickle.loads(pickle.dumps(estimator))
    assert stored.callbacks is stored.hidden_layer_sizes

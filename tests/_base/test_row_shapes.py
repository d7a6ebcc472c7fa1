"""Rows with shapes: what enters with one comes out with it."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skae import (
    AEAnomalyDetector,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae._data import stores
from skae.modules import (
    ConvolutionalArchitecture,
    RecurrentArchitecture,
    TemporalConvolutionArchitecture,
)

IMAGES = load_digits().images[:120]
SMALL = ConvolutionalArchitecture((3, 4), dense=())
SETTINGS = {"max_epochs": 1, "early_stopping": False, "random_state": 0}
KINDS = {
    "autoencoder": (AutoencoderTransformer, {}),
    "denoiser": (DenoisingAutoencoder, {"n_draws": 1, "stacking": False}),
    "row denoiser": (
        DenoisingAutoencoder,
        {"n_components": None, "n_draws": 1, "stacking": False},
    ),
    "variational": (VAETransformer, {"n_draws": 2}),
}


def make(kind="autoencoder", architecture=SMALL, **parameters):
    cls, own = KINDS[kind]
    return cls(**{"n_components": 3, **own, "architecture": architecture, **SETTINGS, **parameters})


class Store:
    """What h5py, zarr and dask have in common."""

    def __init__(self, values):
        self.values, self.shape = values, values.shape

    def __getitem__(self, rows):
        return self.values[rows]


def shape_rows(values, shape):
    return np.ascontiguousarray(values).reshape(len(values), *shape)


SHAPES = {
    "image": (SMALL, (8, 8)),
    "channels last": (SMALL, (8, 4, 2)),
    "channels first": (SMALL, (2, 8, 4)),
    "one channel": (SMALL, (1, 8, 8)),
    "sequence": (TemporalConvolutionArchitecture((3, 4), dense=()), (64,)),
    "features": (TemporalConvolutionArchitecture((3, 4), dense=()), (16, 4)),
    "recurrent": (RecurrentArchitecture(hidden_size=3), (16, 4)),
    "perceptron": ("mlp", (8, 8)),
    "own": (lambda role, n_inputs, n_outputs: torch.nn.Linear(n_inputs, n_outputs), (8, 8)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("architecture", "shape"), SHAPES.values(), ids=SHAPES)
def test_shaped_and_flat_rows_give_the_same_to_the_last_bit(kind, architecture, shape):
    flat = IMAGES.reshape(-1, 64)
    shaped = shape_rows(flat, shape)
    known = architecture
    if hasattr(architecture, "shape"):
        known = type(architecture)(**{**architecture.get_params(), "shape": shape})
    ours, theirs = make(kind, architecture).fit(shaped), make(kind, known).fit(flat)
    assert ours.n_features_in_ == 64
    rows = shaped[:4]
    for X in (rows, flat[:4]):
        assert np.array_equal(ours.transform(X), theirs.transform(flat[:4]))
        assert np.array_equal(ours.score_samples(X), theirs.score_samples(flat[:4]))
        rebuilt = ours.reconstruct(X)
        assert rebuilt.shape == X.shape
        assert np.array_equal(rebuilt.ravel(), theirs.reconstruct(flat[:4]).ravel())
    codes = ours.transform(rows)
    assert ours.inverse_transform(codes).shape == rows.shape
    assert theirs.inverse_transform(codes).shape == (4, 64)
    assert np.array_equal(
        ours.inverse_transform(codes).ravel(), theirs.inverse_transform(codes).ravel()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_methods_give_the_shape_that_they_are_given(kind):
    model = make(kind).fit(IMAGES)
    rows = IMAGES[:3].copy()
    assert model.reconstruction_error(rows).shape == (3,)
    per_cell = model.reconstruction_error(rows, per_cell=True)
    assert per_cell.shape == (3, 8, 8)
    assert np.allclose(per_cell.mean(axis=(1, 2)), model.reconstruction_error(rows))
    rows[0, 2, 3] = np.nan
    filled = model.impute(rows)
    assert np.array_equal(filled[1:], rows[1:])
    assert np.isfinite(filled[0, 2, 3])
    assert model.impute(rows[:, None]).shape == (3, 1, 8, 8)
    if isinstance(model, DenoisingAutoencoder):
        assert model.denoise(IMAGES[:3]).shape == (3, 8, 8)
    if isinstance(model, VAETransformer):
        assert model.sample(2, random_state=0).shape == (2, 8, 8)
        draws = model.impute(rows, n_draws=2, random_state=0)
        assert [draw.shape for draw in draws] == [(3, 8, 8)] * 2


def test_gaps_in_fit_and_intervals_have_a_shape():
    images = IMAGES.copy()
    images[np.random.default_rng(0).random(images.shape) < 0.05] = np.nan
    images[:, 0, 0] = np.nan  # a column without any value
    with pytest.warns(UserWarning, match="no observed cell in column 0"):
        model = make(architecture="mlp").fit(images)
    filled, low, high = model.impute(images, interval=0.9)
    assert filled.shape == low.shape == high.shape == images.shape
    is_shown = np.isfinite(low)
    assert is_shown.any()
    assert np.isnan(images[is_shown]).all()
    assert model.reconstruct(images).shape == images.shape


def test_pairs_have_shapes():
    noisy = IMAGES + np.random.default_rng(0).normal(size=IMAGES.shape)
    model = make("row denoiser").fit(noisy, IMAGES)
    flat = make("row denoiser").fit(noisy, IMAGES.reshape(-1, 64))
    assert np.array_equal(model.denoise(noisy[:3]), flat.denoise(noisy[:3]))
    stored = make("row denoiser").fit(Store(noisy), Store(IMAGES))
    assert np.array_equal(model.denoise(noisy[:3]), stored.denoise(noisy[:3]))
    with pytest.raises(ValueError, match=r"of the same shape \(8, 8\), got rows .* \(4, 16\)"):
        make("row denoiser").fit(noisy, IMAGES.reshape(-1, 4, 16))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_another_shape_are_refused(kind):
    model = make(kind).fit(IMAGES)
    message = r"rows of the shape \(8, 8\), as in fit, or flat ones of 64 .* shape \(4, 16\)"
    for method in (model.transform, model.reconstruct, model.score_samples, model.partial_fit):
        with pytest.raises(ValueError, match=message):
            method(IMAGES.reshape(-1, 4, 16))
    flat = make(kind, "mlp").fit(IMAGES.reshape(-1, 64))
    with pytest.raises(ValueError, match=r"shape \(64,\), as in fit, .* the shape \(8, 8\)"):
        flat.transform(IMAGES)


def test_the_shape_of_the_architecture_is_as_good_as_that_of_the_rows():
    known = ConvolutionalArchitecture((3, 4), dense=(), shape=(8, 8))
    model = make(architecture=known).fit(IMAGES.reshape(-1, 64))
    assert model.reconstruct(IMAGES[:3]).shape == (3, 8, 8)
    assert model.inverse_transform(model.transform(IMAGES[:3])).shape == (3, 64)
    with pytest.raises(ValueError, match=r"\(8, 8\), and a row of X has the shape \(4, 16\)"):
        make(architecture=known).fit(IMAGES.reshape(-1, 4, 16))


def test_flat_rows_of_unknown_shape_are_refused():
    with pytest.raises(ValueError, match="must know the shape of a row, and X has flat rows of 64"):
        make().fit(IMAGES.reshape(-1, 64))


@pytest.mark.parametrize("name", ["convolutional", "recurrent"])
def test_names_are_the_defaults(name):
    named = make(architecture=name)
    default = {"convolutional": ConvolutionalArchitecture, "recurrent": RecurrentArchitecture}[name]
    ours, theirs = named.fit(IMAGES), make(architecture=default()).fit(IMAGES)
    assert np.array_equal(ours.transform(IMAGES), theirs.transform(IMAGES))
    assert ours.architecture == name


@pytest.mark.parametrize("kind", KINDS)
def test_stored_estimators_know_the_shape(kind):
    skops = pytest.importorskip("skops.io")
    model = make(kind).fit(IMAGES)
    stored = skops.dumps(model)
    trusted = skops.get_untrusted_types(data=stored)
    assert all(name.startswith("skae.") for name in trusted)
    codes = model.transform(IMAGES[:3])
    for again in (pickle.loads(pickle.dumps(model)), skops.loads(stored, trusted=trusted)):
        assert again.architecture == SMALL
        assert np.array_equal(again.inverse_transform(codes), model.inverse_transform(codes))
        assert np.array_equal(again.score_samples(IMAGES[:3]), model.score_samples(IMAGES[:3]))
        with pytest.raises(ValueError, match=r"got rows of the shape \(4, 16\)"):
            again.transform(IMAGES.reshape(-1, 4, 16))


def test_an_equal_architecture_continues_a_fit():
    model = make(warm_start=True).fit(IMAGES)
    model.set_params(architecture=ConvolutionalArchitecture([3, 4], dense=[])).fit(IMAGES)
    model.partial_fit(IMAGES.reshape(-1, 64))
    assert model.inverse_transform(model.transform(IMAGES[:2])).shape == (2, 8, 8)
    model.set_params(architecture__channels=(3, 5))
    with pytest.raises(ValueError, match="the fitted network, which has another architecture"):
        model.fit(IMAGES)


def test_streams_have_a_shape():
    model = make()
    for block in np.array_split(IMAGES, 3):
        model.partial_fit(block)
    assert model.inverse_transform(model.transform(IMAGES[:2])).shape == (2, 8, 8)


@pytest.mark.parametrize("shape", [(8, 8), (8, 4, 2)])
def test_a_single_row_is_named(shape):
    rows = shape_rows(IMAGES, shape)
    detector = AEAnomalyDetector(PCA(2), random_state=0).fit(rows)
    for method in (make().fit(rows).transform, detector.predict):
        for row in (rows[0], torch.from_numpy(rows[0])):
            with pytest.raises(ValueError, match=r"as in fit, got a single one .* pass X\[None\]"):
                method(row)
        assert len(method(rows[:1])) == 1
    wide = make(architecture="mlp").fit(rows.reshape(-1, 1, 64))
    assert len(wide.transform(rows[:1].reshape(1, 64))) == 1


def test_names_of_architectures_have_parameters():
    grid = {"architecture__channels": [(2,), (2, 3)]}
    search = GridSearchCV(make(architecture="convolutional"), grid, cv=2).fit(IMAGES)
    assert isinstance(search.best_estimator_.architecture, ConvolutionalArchitecture)
    model = make().set_params(architecture="recurrent", architecture__hidden_size=5)
    assert model.architecture == RecurrentArchitecture(hidden_size=5)
    assert make(architecture="recurrent").set_params(lr=0.1).architecture == "recurrent"
    vae = make("variational", discriminator="convolutional")
    vae.set_params(discriminator__dense=(), architecture__dense=(3,))
    assert vae.discriminator == ConvolutionalArchitecture(dense=())
    assert vae.architecture == ConvolutionalArchitecture((3, 4), dense=(3,))
    detector = AEAnomalyDetector(make(architecture="convolutional"))
    detector.set_params(estimator__architecture__dense=())
    assert detector.estimator.architecture == ConvolutionalArchitecture(dense=())
    for name in ("mlp", "cnn", None):
        with pytest.raises(ValueError, match="architecture must be an architecture with parameter"):
            make(architecture=name).set_params(architecture__channels=(2,))
    with pytest.raises(ValueError, match="Invalid parameter 'widths' for"):
        (model := make(architecture="convolutional")).set_params(architecture__widths=(2,))
    assert model.architecture == "convolutional"
    with pytest.raises(ValueError, match="Invalid parameter 'discriminator'"):
        make().set_params(discriminator__dense=())


def test_a_search_reaches_the_parameters_of_an_architecture():
    grid = {"architecture__channels": [(2,), (2, 3)]}
    search = GridSearchCV(make(), grid, cv=2).fit(IMAGES)
    assert [p["architecture__channels"] for p in search.cv_results_["params"]] == [(2,), (2, 3)]
    assert "channels=" in repr(make(architecture=ConvolutionalArchitecture((2,))))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("normalization", [None, "batch"])
def test_training_starts_at_the_linear_model(kind, normalization):
    architecture = ConvolutionalArchitecture((3, 4), normalization=normalization)
    settings = {"early_stopping": True, "lr": 1e-6, "standardize": False}
    model = make(kind, architecture, **settings).fit(IMAGES)
    linear = make(kind, "mlp", hidden_layer_sizes=(), **settings).fit(IMAGES)
    assert model.n_iter_ == 0
    assert np.allclose(model.reconstruct(IMAGES), linear.reconstruct(IMAGES), atol=1e-4)
    if kind == "autoencoder":
        flat = IMAGES.reshape(-1, 64)
        pca = PCA(3).fit(flat)
        rebuilt = pca.inverse_transform(pca.transform(flat))
        assert np.allclose(model.reconstruct(flat), rebuilt, atol=1e-4)


@pytest.mark.parametrize("is_large", [False, True])
def test_stores_have_shapes(is_large, tmp_path, monkeypatch):
    if is_large:
        monkeypatch.setattr(stores, "LOADED_UP_TO", 1)
        monkeypatch.setattr(stores, "_LOADED_ROWS", 10)
    mapped = np.memmap(tmp_path / "images", dtype=float, mode="w+", shape=IMAGES.shape)
    mapped[:] = IMAGES
    models = [make().fit(store) for store in (mapped, Store(IMAGES))]
    rebuilt = [
        model.reconstruct(X) for model, X in zip(models, (mapped, Store(IMAGES)), strict=True)
    ]
    assert rebuilt[0].shape == IMAGES.shape
    assert np.array_equal(*rebuilt)
    assert np.allclose(models[0].reconstruct(IMAGES[:3]), rebuilt[0][:3])


@pytest.mark.parametrize(
    "estimator",
    [make("row denoiser"), PCA(2), make_pipeline(make()), make_pipeline(StandardScaler(), PCA(2))],
    ids=["own", "other", "pipeline of its own", "pipeline"],
)
def test_a_detector_takes_shapes(estimator):
    detector = AEAnomalyDetector(estimator, random_state=0).fit(IMAGES)
    assert detector.n_features_in_ == 64
    scores = detector.score_samples(IMAGES[:5])
    assert scores.shape == (5,)
    assert np.array_equal(scores, detector.score_samples(IMAGES[:5].reshape(5, 64)))
    again = pickle.loads(pickle.dumps(detector))
    for known in (detector, again):
        with pytest.raises(ValueError, match=r"shape \(8, 8\), as in fit, .* shape \(4, 16\)"):
            known.predict(IMAGES.reshape(-1, 4, 16))


def test_a_pipeline_gives_a_shape():
    scale = FunctionTransformer(lambda X: X / 16)
    model = make_pipeline(scale, make()).fit(IMAGES)
    assert model[-1].inverse_transform(model.transform(IMAGES[:2])).shape == (2, 8, 8)


def find_scales(model, rows=IMAGES):
    return model.fit(rows).scale_


@pytest.mark.parametrize("kind", KINDS)
def test_architectures_with_a_shape_have_one_scale_a_channel(kind):
    flat = IMAGES.reshape(-1, 64)
    spread, common = flat.std(axis=0), np.sqrt(flat.var(axis=0)[flat.std(axis=0) > 0].mean())
    each = np.where(spread > 0, spread, 1.0)
    assert np.allclose(find_scales(make(kind)), common)
    assert np.allclose(find_scales(make(kind, standardize="channel")), common)
    assert np.allclose(find_scales(make(kind, standardize="column")), each)
    assert np.allclose(find_scales(make(kind, "mlp")), each)
    with pytest.raises(ValueError, match='standardize="channel" requires an architecture with a s'):
        make(kind, "mlp", standardize="channel").fit(IMAGES)
    colours = np.stack([IMAGES, 10 * IMAGES], axis=3)
    scales = find_scales(make(kind), colours).reshape(8, 8, 2)
    assert np.allclose(scales, [common, 10 * common])
    scales = find_scales(make(kind), np.moveaxis(colours, 3, 1)).reshape(2, 64)
    assert np.allclose(scales.T, [common, 10 * common])


def test_errors_are_in_units_of_the_channels():
    model = make(n_components=2).fit(IMAGES)
    squares = np.square(model.reconstruct(IMAGES) - IMAGES) / model.scale_[0] ** 2
    assert np.allclose(model.reconstruction_error(IMAGES, per_cell=True), squares, atol=1e-5)


@pytest.mark.parametrize("standardize", [True, "column", False])
def test_a_stream_that_begins_again_keeps_its_kind_of_scales(standardize):
    model = make(standardize=standardize).partial_fit(IMAGES[:40])
    before = model.scale_
    with pytest.warns(UserWarning, match="the stream does not go on as it began"):
        model.set_params(standardize=True).partial_fit(100 * IMAGES[40:])
    assert model.scale_.max() > 5 * before.max()
    is_one = np.ptp(model.scale_) == 0
    assert is_one == (standardize != "column")
    assert model._state.scaling.is_by_channel == (standardize is True)
    again = pickle.loads(pickle.dumps(model))
    assert again._state.scaling.is_by_channel == (standardize is True)


@pytest.mark.parametrize("architecture", ["convolutional", ConvolutionalArchitecture(shape=(8, 7))])
def test_a_cell_without_a_value_is_named(architecture):
    X = np.random.default_rng(0).normal(size=(40, 8, 7))
    X[:, 1, 2] = np.nan
    ours = AutoencoderTransformer(2, architecture=architecture, max_epochs=1)
    message = r"cell 9 .* no observed cell"
    with pytest.warns(UserWarning, match="no observed"), pytest.raises(ValueError, match=message):
        ours.fit(X)
    with pytest.raises(ValueError, match="cell 0 of the flat rows holds no numbers"):
        ours.fit(np.where(X > 0, "a", "b"))

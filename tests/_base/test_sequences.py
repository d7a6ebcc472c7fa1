"""Sequences of unequal length: padding counts nothing, and comes out as it entered."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skae import (
    AEAnomalyDetector,
    AEImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae.modules import (
    ConvolutionalArchitecture,
    RecurrentArchitecture,
    TemporalConvolutionArchitecture,
)

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
ARCHITECTURES = {
    "mlp": "mlp",
    "recurrent": RecurrentArchitecture(hidden_size=3),
    "convolutional": TemporalConvolutionArchitecture((3,), dense=()),
}
METHODS = (
    "transform",
    "reconstruct",
    "denoise",
    "reconstruction_error",
    "denoising_errors",
    "score_samples",
    "posterior",
    "elbo",
    "predict_component_proba",
)


def make(kind="autoencoder", architecture="recurrent", **parameters):
    cls, own = KINDS[kind]
    known = ARCHITECTURES.get(architecture, architecture)
    return cls(**{"n_components": 2, **own, "architecture": known, **SETTINGS, **parameters})


def make_sines(n_rows=60, n_steps=12, n_features=1, seed=0):
    """Sines of random phases and durations, the first one of the longest."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(n_steps // 3, n_steps + 1, size=n_rows)
    lengths[0] = n_steps
    phases = rng.uniform(0, 2 * np.pi, size=(n_rows, n_features))
    speeds = rng.uniform(0.2, 0.6, size=(n_rows, 1))
    waves = [
        np.sin(speed * np.arange(length)[:, None] + phase)
        for speed, phase, length in zip(speeds, phases, lengths, strict=True)
    ]
    return waves if n_features > 1 else [wave[:, 0] for wave in waves]


def pad(rows, n_steps=12):
    out = np.full((len(rows), n_steps, *rows[0].shape[1:]), np.nan)
    for padded, row in zip(out, rows, strict=True):
        padded[: len(row)] = row
    return out


def are_equal(ours, theirs):
    return np.array_equal(np.asarray(ours), np.asarray(theirs), equal_nan=True)


SINES, PLANES = make_sines(), make_sines(n_features=2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_lists_give_what_the_same_rows_padded_by_hand_give(kind, architecture):
    rows = SINES if architecture == "mlp" else PLANES
    ours, theirs = make(kind, architecture).fit(rows), make(kind, architecture).fit(pad(rows))
    assert ours.n_features_in_ == pad(rows)[0].size
    few = rows[1:6]
    for name in METHODS:
        if not hasattr(ours, name) or (name == "denoising_errors" and kind == "denoiser"):
            continue
        of_list, of_array = getattr(ours, name)(few), getattr(ours, name)(pad(few))
        if isinstance(of_list, list):
            assert [row.shape for row in of_list] == [row.shape for row in few]
            of_list = pad(of_list)
        assert are_equal(of_list, of_array)
        if name not in ("reconstruct", "denoise") or architecture != "mlp":
            assert are_equal(of_array, getattr(theirs, name)(pad(few)))
    errors = ours.reconstruction_error(few, per_cell=True)
    assert [error.shape for error in errors] == [row.shape for row in few]
    assert np.isfinite(np.concatenate(errors)).all()
    codes = ours.transform(few)
    assert are_equal(ours.inverse_transform(codes), theirs.inverse_transform(codes))


@pytest.mark.parametrize("kind", KINDS)
def test_padding_of_all_rows_counts_nothing(kind):
    padded, longer = pad(PLANES), pad(PLANES, 15)
    ours, theirs = make(kind).fit(longer), make(kind).fit(padded)
    assert ours.n_features_in_ == 24
    assert ours.loss_curve_ == theirs.loss_curve_
    assert are_equal(ours.scale_, theirs.scale_)
    assert are_equal(ours.score_samples(longer[:5]), theirs.score_samples(padded[:5]))
    rebuilt = ours.reconstruct(longer[:5])
    assert rebuilt.shape == (5, 15, 2)
    assert are_equal(rebuilt[:, :12], theirs.reconstruct(padded[:5]))
    assert np.array_equal(np.isnan(rebuilt), np.isnan(longer[:5]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_is_the_same_beside_longer_and_shorter_ones(kind):
    model = make(kind).fit(SINES)
    alone, beside = [SINES[3]], [SINES[0], SINES[3], SINES[4]]
    assert len(SINES[0]) > len(SINES[3])
    assert np.allclose(model.transform(alone)[0], model.transform(beside)[1], atol=1e-12)
    assert np.allclose(model.score_samples(alone)[0], model.score_samples(beside)[1])
    assert np.allclose(model.reconstruct(alone)[0], model.reconstruct(beside)[1])


@pytest.mark.parametrize("kind", ["autoencoder", "variational"])
def test_missing_cells_within_a_sequence_are_filled_and_padding_is_not(kind):
    rows = [row.copy() for row in SINES]
    for index in range(0, 60, 3):
        rows[index][1] = np.nan
    model = make(kind).fit(rows)
    filled = model.impute(rows)
    for own, row in zip(filled, rows, strict=True):
        assert own.shape == row.shape
        assert np.isfinite(own).all()
        assert np.array_equal(own[~np.isnan(row)], row[~np.isnan(row)])
    if kind == "variational":
        draws = model.impute(rows[:4], n_draws=2, random_state=0)
        assert [[len(row) for row in draw] for draw in draws] == [[len(r) for r in rows[:4]]] * 2
        return
    filled, low, high = model.impute(pad(rows), interval=0.9)
    assert np.array_equal(np.isnan(filled), np.isnan(pad(filled_rows(rows))))
    is_shown = np.isfinite(low)
    assert (low[is_shown] < high[is_shown]).all()
    assert not is_shown[np.isnan(filled)].any()


def filled_rows(rows):
    return [np.nan_to_num(row) for row in rows]


@pytest.mark.parametrize("kind", KINDS)
def test_codes_are_decoded_to_given_lengths(kind):
    model = make(kind).fit(PLANES)
    codes = model.transform(PLANES[:3])
    whole = model.inverse_transform(codes)
    assert whole.shape == (3, 12, 2)
    assert np.isfinite(whole).all()
    some = model.inverse_transform(codes, lengths=[5, 12, 1])
    assert np.isnan(some).all(axis=2).sum(axis=1).tolist() == [7, 0, 11]
    assert np.array_equal(some[0, :5], whole[0, :5])
    with pytest.raises(ValueError, match=r"from 1 to 12, .* got 13 for row 0"):
        model.inverse_transform(codes, lengths=13)
    if kind == "variational":
        drawn = model.sample(3, random_state=0, lengths=[5, 12, 1])
        assert np.isnan(drawn).all(axis=2).sum(axis=1).tolist() == [7, 0, 11]
        assert np.array_equal(drawn[1], model.sample(3, random_state=0)[1])
        with pytest.raises(ValueError, match="for 3 rows"):
            model.sample(3, lengths=[1, 2])


@pytest.mark.parametrize("architecture", ["mlp", ConvolutionalArchitecture((3,), dense=())])
def test_other_rows_have_no_lengths(architecture):
    images = np.random.default_rng(0).normal(size=(30, 4, 4))
    model = make(architecture=architecture).fit(images)
    with pytest.raises(ValueError, match="lengths must be None, as rows were no sequences in fit"):
        model.inverse_transform(model.transform(images), lengths=2)
    with pytest.raises(ValueError, match=r"(inhomogeneous|rows of equal length|ragged)"):
        model.transform([images[0], images[1][:2]])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_longer_sequences_are_refused(architecture):
    model = make(architecture=architecture).fit(SINES)
    before = model.transform(SINES)
    longer = [*SINES[:2], np.ones(14)]
    message = "at most 12 steps, as many as the longest in fit, got 14 in row 2: cut it"
    for method in (model.transform, model.reconstruct, model.score_samples, model.partial_fit):
        for X in (longer, pad(longer, 14)):
            with pytest.raises(ValueError, match=message):
                method(X)
    assert are_equal(model.transform(SINES), before)


def test_searches_keep_a_longest_sequence_in_each_part_that_trains():
    longest = int(np.argmax([len(row) for row in SINES]))
    rows = [*(row[:8] for row in SINES[:longest]), SINES[longest], *(row[:8] for row in SINES)]
    splits = list(KFold(3).split(rows))
    with pytest.raises(ValueError, match="splits whose training parts all have it"):
        cross_val_score(make(), rows, cv=splits, error_score="raise")
    kept = [(np.union1d(train, longest), np.setdiff1d(test, longest)) for train, test in splits]
    search = GridSearchCV(make(), {"n_components": [1, 2]}, cv=kept, error_score="raise").fit(rows)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_shorter_arrays_are_other_shapes():
    model = make().fit(PLANES)
    with pytest.raises(ValueError, match=r"rows of the shape \(12, 2\), as in fit"):
        model.transform(pad(PLANES)[:, :5])
    flat = make().fit(SINES)
    with pytest.raises(ValueError, match=r"X has 5 features, but .* is expecting 12 features"):
        flat.transform(pad(SINES)[:, :5])


def test_the_shape_of_an_architecture_has_lengths_too():
    known = RecurrentArchitecture(hidden_size=3, shape=(12, 2))
    model = make(architecture=known).fit(pad(PLANES).reshape(60, 24))
    other = make().fit(PLANES)
    assert are_equal(model.transform(PLANES), other.transform(PLANES))
    rebuilt = model.reconstruct(pad(PLANES[:4]).reshape(4, 24))
    assert np.array_equal(np.isnan(rebuilt), np.isnan(pad(PLANES[:4]).reshape(4, 24)))
    with pytest.raises(ValueError, match=r"has shape=\(12, 2\), and a row of X has .* \(11, 2\)"):
        make(architecture=known).fit([row[:11] for row in PLANES])


def test_pairs_have_lengths():
    rng = np.random.default_rng(0)
    noisy = [row + 0.1 * rng.normal(size=row.shape) for row in PLANES]
    ours = make("row denoiser").fit(noisy, PLANES)
    theirs = make("row denoiser").fit(pad(noisy), pad(PLANES))
    longer = [np.concatenate([row, row]) for row in PLANES]
    assert are_equal(pad(ours.denoise(noisy)), theirs.denoise(pad(noisy)))
    given = make("row denoiser")._prepare(noisy, PLANES, None, None)  # to be expected, not zeros
    assert np.isnan(given.table.target).sum() == np.isnan(pad(PLANES)).sum()
    with pytest.raises(ValueError, match="y must have sequences as long as those of X"):
        make("row denoiser").fit(noisy, longer)
    with pytest.raises(ValueError, match="y contains NaN"):
        make("row denoiser").fit(noisy, [row[:2] for row in PLANES])
    labels = make("row denoiser").fit(PLANES, np.arange(60))
    assert are_equal(
        labels.score_samples(PLANES), make("row denoiser").fit(PLANES).score_samples(PLANES)
    )


def test_stored_estimators_and_streams_know_lengths():
    skops = pytest.importorskip("skops.io")
    model = make("variational").fit(SINES)
    stored = skops.dumps(model)
    trusted = skops.get_untrusted_types(data=stored)
    for again in (pickle.loads(pickle.dumps(model)), skops.loads(stored, trusted=trusted)):
        assert are_equal(again.transform(SINES), model.transform(SINES))
        assert [len(row) for row in again.reconstruct(SINES)] == [len(row) for row in SINES]
    for kind in ("mlp", "recurrent"):
        stream = make(architecture=kind)
        for rows in (SINES[:20], SINES[20:40], SINES[40:]):
            stream.partial_fit(rows)
        assert [len(row) for row in stream.reconstruct(SINES)] == [len(row) for row in SINES]
    warm = make(warm_start=True).fit(SINES)
    assert len(warm.fit(SINES[1:]).reconstruct(SINES)[0]) == 12


def test_weights_of_zero_are_rows_left_out():
    weight = np.ones(60)
    weight[0] = 0.0  # the longest
    rows = [SINES[0], *[row[:10] for row in SINES[1:]]]
    ours = make().fit(rows, sample_weight=weight)
    theirs = make().fit(rows[1:])
    assert ours.n_features_in_ == 10
    assert are_equal(ours.transform(rows[1:]), theirs.transform(rows[1:]))


def test_search_and_pipelines_take_lists():
    rows = [SINES[0], *SINES, SINES[0]]  # so that each fold has one of the longest
    scale = FunctionTransformer(lambda X: [2 * row for row in X])
    pipeline = make_pipeline(scale, make())
    rebuilt = pipeline.fit(rows)[-1].reconstruct(scale.transform(rows))
    assert [len(row) for row in rebuilt] == [len(row) for row in rows]
    folds = [(np.arange(1, 62), np.arange(20)), (np.arange(31), np.arange(31, 61))]
    grid = {"architecture__hidden_size": [2, 3]}
    search = GridSearchCV(make(), grid, cv=folds, error_score="raise").fit(rows)
    assert [len(row) for row in search.best_estimator_.reconstruct(rows)][:1] == [12]
    scores = cross_val_score(pipeline, rows, cv=folds, error_score="raise")
    assert np.isfinite(scores).all()
    assert np.isfinite(clone(search.best_estimator_).fit(rows).score(rows))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_detector_takes_lists(architecture):
    estimator = make("row denoiser", architecture)
    ours = AEAnomalyDetector(estimator, random_state=0).fit(SINES)
    assert ours.n_features_in_ == 12
    again = pickle.loads(pickle.dumps(ours))
    scores = ours.score_samples(SINES[:8])
    assert np.isfinite(scores).all()
    for known in (ours, again):
        assert are_equal(known.score_samples(pad(SINES[:8])), scores)
        with pytest.raises(ValueError, match="at most 12 steps"):
            known.predict([np.ones(13)])


def test_other_estimators_take_no_lists():
    with pytest.raises(ValueError, match="rows of equal length"):
        AEImputer().fit(SINES)
    with pytest.raises(ValueError, match="rows of equal length"):
        AEAnomalyDetector(PCA(2)).fit(SINES)
    with pytest.raises(ValueError, match="rows of equal length"):
        make(architecture="mlp").fit([row.tolist() for row in SINES])


def test_complete_sequences_give_what_arrays_give():
    rows = np.random.default_rng(0).normal(size=(40, 6, 2))
    ours, theirs = make().fit(list(rows)), make().fit(rows)
    assert are_equal(ours.transform(rows), theirs.transform(list(rows)))
    rebuilt = ours.reconstruct(list(rows))
    assert isinstance(rebuilt, list)
    assert are_equal(rebuilt, theirs.reconstruct(rows))


@pytest.mark.parametrize("architecture", ["mlp", "convolutional"])
def test_sines_of_all_durations_are_reconstructed(architecture):
    train, test = make_sines(400, 20, seed=1), make_sines(200, 20, seed=2)
    settings = {"max_epochs": 60, "batch_size": 64}
    known = {"mlp": "mlp", "convolutional": TemporalConvolutionArchitecture((8, 16))}[architecture]
    model = make(architecture=known, n_components=3, **settings).fit(train)
    X, Y = pad(train, 20), pad(test, 20)
    is_real = ~np.isnan(Y)
    mean = np.nanmean(X, axis=0)

    def measure(rows):
        return np.square(rows - Y)[is_real].mean()

    pca = PCA(3).fit(np.where(np.isnan(X), mean, X))
    linear = pca.inverse_transform(pca.transform(np.where(is_real, Y, mean)))
    ours = measure(pad(model.reconstruct(test), 20))
    assert ours < 0.05 * measure(mean)
    assert ours < 0.5 * measure(linear)

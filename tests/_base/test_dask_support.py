"""Methods on dask collections: lazy, block by block, in the form of the collection."""

import copy

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skae import (
    AEAnomalyDetector,
    AEImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)

dask = pytest.importorskip("dask", reason="dask is not installed: pip install 'skae[dask]'")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")

QUICK = {"hidden_layer_sizes": (4,), "max_epochs": 1, "random_state": 0}
LINEAR = {"hidden_layer_sizes": (), "prior": "gaussian", "random_state": 0}
FAMILIES = [AutoencoderTransformer, DenoisingAutoencoder, VAETransformer]
METHODS = (
    "transform",
    "reconstruct",
    "reconstruction_error",
    "impute",
    "score_samples",
    "denoise",
    "denoising_errors",
    "predict_component",
    "predict_component_proba",
    "decision_function",
    "predict",
    "p_values",
)


def make_frame(n_rows=60):
    """Return numbers, labels and dates, with gaps and an index of its own."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=n_rows)
    frame = pd.DataFrame(
        {
            "a": np.where(rng.random(n_rows) < 0.1, np.nan, a),
            "b": 2 * a + 0.1 * rng.normal(size=n_rows),
            "count": rng.integers(0, 9, n_rows),
            "side": pd.Categorical(np.where(a > 0, "left", "right")),
            "town": pd.Series(rng.choice(["Ulm", "Bonn"], n_rows)).mask(rng.random(n_rows) < 0.1),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 99, n_rows), "D"),
        }
    )
    return frame.set_index(2.5 * np.arange(n_rows))


@pytest.fixture(scope="module")
def fitted():
    """An estimator that is fitted on the frame, which takes a while."""
    return AutoencoderTransformer(2, **LINEAR).fit(make_frame())


def list_methods(model):
    return [name for name in METHODS if hasattr(model, name)]


@pytest.fixture
def never_computed():
    """Nothing is computed while a method is called."""

    def refuse(*args, **kwargs):
        raise AssertionError("dask was asked to compute")

    with dask.config.set(scheduler=refuse):
        yield


# Arrays -------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_of_arrays_become_what_the_whole_does(family, dtype, curve):
    X = curve[:100].astype(dtype)
    model = family(2, **QUICK).fit(X)
    # Columns are split too, and a block is empty.
    blocks = da.from_array(X, chunks=((40, 0, 60), (4, 2)))
    for name in list_methods(model):
        expected, found = getattr(model, name)(X), getattr(model, name)(blocks)
        assert found.chunks[0] == (40, 0, 60)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(found.compute(), expected, rtol=1e-6)
    assert model.score(blocks) == pytest.approx(model.score(X))
    codes = model.transform(blocks)
    np.testing.assert_allclose(
        model.inverse_transform(codes).compute(), model.reconstruct(X), rtol=1e-5, atol=1e-5
    )


@pytest.mark.usefixtures("never_computed")
def test_nothing_is_computed_before_it_is_asked_for(curve):
    model = AutoencoderTransformer(2, **QUICK).fit(curve)
    X = da.from_array(curve, chunks=(200, 6))
    frame = dd.from_dask_array(X)
    lazy = [getattr(model, name)(X) for name in list_methods(model)]
    assert all(isinstance(each, da.Array) for each in lazy)
    lazy = [getattr(model, name)(frame) for name in list_methods(model)]
    assert all(isinstance(each, dd.DataFrame | dd.Series) for each in lazy)


def test_rows_with_a_shape(curve):
    images = curve[:90].reshape(90, 2, 3)
    model = AutoencoderTransformer(2, **QUICK).fit(images)
    blocks = da.from_array(images, chunks=(50, 1, 2))
    codes = model.transform(blocks)
    assert codes.chunks == ((50, 40), (2,))
    assert model.score_samples(blocks).chunks == ((50, 40),)
    np.testing.assert_allclose(codes.compute(), model.transform(images))
    for found in (model.reconstruct(blocks), model.inverse_transform(codes)):
        assert found.shape == images.shape
        np.testing.assert_allclose(found.compute(), model.reconstruct(images), atol=1e-6)
    errors = model.reconstruction_error(blocks, per_cell=True)
    assert errors.compute().shape == errors.shape == images.shape


def test_unknown_numbers_of_rows_stay_unknown(curve):
    X = da.from_array(curve, chunks=(200, 6))
    model = AutoencoderTransformer(2, **QUICK).fit(curve)
    known = curve[:, 0] > 0
    codes = model.transform(X[X[:, 0] > 0])
    assert np.isnan(codes.shape[0])
    np.testing.assert_allclose(codes.compute(), model.transform(curve[known]))
    with pytest.raises(ValueError, match="a known number of columns, got a dask array of shape"):
        model.transform(X[:, X[0] > 0])


# Frames -------------------------------------------------------------------------------


@pytest.mark.parametrize("config", ["default", "pandas"])
@pytest.mark.parametrize("columns", [["a", "b", "count"], None])
def test_partitions_become_frames_and_series(columns, config, fitted):
    frame, model = make_frame(), copy.deepcopy(fitted)
    if columns is not None:
        frame = frame[columns]
        model = AutoencoderTransformer(2, **LINEAR).fit(frame)
    model.set_output(transform=config)
    parts = dd.from_pandas(frame, npartitions=3)
    frame = parts.compute()  # with Dask's own type of text
    for name in list_methods(model):
        expected, found = getattr(model, name)(frame), getattr(model, name)(parts)
        whole = found.compute()
        assert found.divisions == parts.divisions
        assert whole.index.equals(frame.index)
        if isinstance(whole, pd.Series):
            np.testing.assert_allclose(whole, expected, rtol=1e-6)
            continue
        pd.testing.assert_frame_equal(found._meta, whole.iloc[:0])
        names = model.get_feature_names_out() if name == "transform" else frame.columns
        assert list(whole.columns) == list(names)
        expected = pd.DataFrame(expected, frame.index, names)
        pd.testing.assert_frame_equal(whole, expected, rtol=1e-6)
    decoded = model.inverse_transform(model.transform(parts))
    pd.testing.assert_frame_equal(decoded._meta, model.reconstruct(parts)._meta)
    assert model.score(parts) == pytest.approx(model.score(frame))


def test_partitions_without_rows_become_nothing(fitted):
    parts = dd.from_pandas(make_frame(), npartitions=3)
    few = parts[parts.index.to_series() > 100]  # nothing is left of the first two
    lengths = [len(part) for part in dask.compute(*few.to_delayed())]
    assert lengths == [0, 0, 19]
    for name in ("transform", "reconstruct", "score_samples"):
        assert len(getattr(fitted, name)(few).compute()) == 19


def test_a_column_can_be_assigned(fitted):
    frame = make_frame()
    parts = dd.from_pandas(frame, npartitions=3)
    scored = parts.assign(score=fitted.score_samples(parts)).compute()
    np.testing.assert_allclose(scored["score"], fitted.score_samples(frame))


# Estimators ---------------------------------------------------------------------------


def test_detector_judges_blocks(curve):
    rows = curve[:200]
    detector = AEAnomalyDetector(AutoencoderTransformer(2, **QUICK), alpha=0.2, random_state=0)
    detector.fit(rows)
    odd = np.vstack([rows[:50], rows[:3] + 50])
    blocks = da.from_array(odd, chunks=(20, 6))
    for name in list_methods(detector):
        found = getattr(detector, name)(blocks).compute()
        np.testing.assert_allclose(found, getattr(detector, name)(odd), rtol=1e-6)
    found = detector.discoveries(blocks, false_discovery_rate=0.5)
    np.testing.assert_array_equal(found, detector.discoveries(odd, false_discovery_rate=0.5))
    reasons = detector.explain(blocks[50:])
    pd.testing.assert_frame_equal(reasons, detector.explain(odd[50:]))
    labels = detector.fit_predict(blocks)
    assert isinstance(labels, np.ndarray)
    np.testing.assert_array_equal(labels, clone(detector).fit_predict(odd))


def test_detector_explains_frames():
    frame = make_frame()[["b", "side"]]
    detector = AEAnomalyDetector(AutoencoderTransformer(1, **LINEAR), alpha=0.2, random_state=0)
    detector.fit(frame)
    few = frame[:2]
    reasons = detector.explain(dd.from_pandas(few, npartitions=1))
    assert reasons["value"].tolist() == few.to_numpy().ravel().tolist()


@pytest.mark.usefixtures("short_attention")
def test_imputer_fills_partitions():
    frame = make_frame()
    imputer = AEImputer(random_state=0).fit(frame)
    parts = dd.from_pandas(frame, npartitions=2)
    for name in ("transform", "impute"):
        found = getattr(imputer, name)(parts)
        whole = found.compute()
        pd.testing.assert_frame_equal(found._meta, whole.iloc[:0])
        assert whole["a"].notna().all()
        np.testing.assert_allclose(whole["a"], getattr(imputer, name)(frame)["a"])


def test_pipelines_stay_lazy(curve):
    model = make_pipeline(FunctionTransformer(), AutoencoderTransformer(2, **QUICK)).fit(curve)
    found = model.transform(da.from_array(curve, chunks=(200, 6)))
    np.testing.assert_allclose(found.compute(), model.transform(curve))


def test_a_later_fit_does_not_change_earlier_results(curve):
    model = AutoencoderTransformer(2, **QUICK).fit(curve)
    expected = model.transform(curve)
    codes = model.transform(da.from_array(curve, chunks=(200, 6)))
    model.set_params(random_state=1).fit(curve[::-1] * 2)
    np.testing.assert_allclose(codes.compute(), expected)


@pytest.mark.parametrize("output", ["default", "pandas"])
def test_codes_of_a_fit_stay_lazy(curve, output):
    model = AutoencoderTransformer(2, **QUICK).set_output(transform=output)
    found = model.fit_transform(da.from_array(curve, chunks=(200, 6)))
    assert isinstance(found, da.Array)
    np.testing.assert_allclose(
        found.compute(), model.set_output(transform="default").transform(curve)
    )
    assert isinstance(
        model.fit_transform(dd.from_pandas(make_frame(), npartitions=2)), dd.DataFrame
    )


# Errors -------------------------------------------------------------------------------


@pytest.mark.usefixtures("never_computed")
def test_errors_come_at_once(curve, fitted):
    X = da.from_array(curve, chunks=(200, 6))
    frame = dd.from_pandas(make_frame(), npartitions=2)
    for estimator in (AutoencoderTransformer(), AEAnomalyDetector(), AEImputer()):
        name = "predict" if hasattr(estimator, "predict") else "transform"
        with pytest.raises(NotFittedError):
            getattr(estimator, name)(X)
    model = AutoencoderTransformer(2, **QUICK).fit(curve)
    with pytest.raises(ValueError, match="expecting 6 features"):
        model.transform(X[:, :5])
    with pytest.raises(ValueError, match="feature names"):
        fitted.transform(frame[["a", "b"]])
    with pytest.raises(TypeError, match=r"impute with these parameters .* returns a tuple: pass a"):
        fitted.impute(frame, interval=0.9)
    with pytest.raises(TypeError, match=r"got a dask array, .* returns a DataFrame: pass dask"):
        fitted.inverse_transform(X[:, :2])
    with pytest.raises(ValueError, match="'interval' parameter of impute"):
        fitted.impute(frame, interval=2.0)


@pytest.mark.parametrize("method", ["transform", "reconstruct", "score_samples"])
def test_arrays_of_objects(method):
    X = make_frame()[["a", "side", "b"]].to_numpy(dtype=object)
    fitted = AutoencoderTransformer(2, hidden_layer_sizes=(), random_state=0).fit(X)
    lazy = getattr(fitted, method)(da.from_array(X, chunks=(25, 3)))
    expected = getattr(fitted, method)(X)
    assert lazy.dtype == expected.dtype
    pd.testing.assert_frame_equal(pd.DataFrame(lazy.compute()), pd.DataFrame(expected))

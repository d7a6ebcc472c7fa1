"""Pipelines around estimators of skae."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline, make_union
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    OneHotEncoder,
    PolynomialFeatures,
    PowerTransformer,
    StandardScaler,
)

from skae import (
    AEAnomalyDetector,
    AEImputer,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae.export import to_onnx

from .sessions import read_columns, require_onnx, run

require_onnx()
converters = pytest.importorskip("skae.export.converters", reason="it needs skl2onnx")

SMALL = {"hidden_layer_sizes": (8,), "max_epochs": 1, "early_stopping": False, "random_state": 0}
X, y = load_wine(return_X_y=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "steps",
    [
        (StandardScaler(), AutoencoderTransformer(3, **SMALL)),
        (DenoisingAutoencoder(None, **SMALL), VAETransformer(3, **SMALL)),
        (make_pipeline(make_union(StandardScaler(), AutoencoderTransformer(2, **SMALL))),),
    ],
    ids=["scaler", "two", "union"],
)
def test_a_classifier_of_codes(steps, dtype, tmp_path):
    pipeline = make_pipeline(*steps, LogisticRegression(max_iter=2000)).fit(X, y)
    found = run(pipeline, X, tmp_path, dtype)
    assert found.keys() == {"label", "probabilities"}
    np.testing.assert_array_equal(found["label"], pipeline.predict(X))
    np.testing.assert_allclose(found["probabilities"], pipeline.predict_proba(X), atol=1e-5)


def test_a_last_step_has_all_its_outputs(tmp_path):
    pipeline = make_pipeline(StandardScaler(), AutoencoderTransformer(3, **SMALL)).fit(X)
    found = run(pipeline, X, tmp_path)
    np.testing.assert_allclose(found["codes"], pipeline.transform(X), atol=1e-5)
    assert found["reconstruction"].shape == X.shape
    denoiser = DenoisingAutoencoder(None, hidden_layer_sizes=(), noise_level=(0.1, 5.0))
    detector = AEAnomalyDetector(denoiser, random_state=0, alpha=0.1)
    pipeline = make_pipeline(StandardScaler(), detector).fit(X)
    found = run(pipeline, X, tmp_path)
    np.testing.assert_allclose(found["score"], pipeline.score_samples(X), atol=1e-4)
    np.testing.assert_array_equal(found["label"], pipeline.predict(X))


def test_columns_of_a_frame(tmp_path):
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": np.where(X[:, 2] > 2.4, "hi", "lo")})
    feeds = {name: frame[[name]].to_numpy() for name in frame}
    columns = make_column_transformer(
        (StandardScaler(), ["a", "b"]), (OneHotEncoder(sparse_output=False), ["c"])
    )
    last = LogisticRegression()
    pipeline = make_pipeline(columns, AutoencoderTransformer(2, **SMALL), last).fit(frame, y)
    found = run(pipeline, feeds, tmp_path, X=frame)
    np.testing.assert_array_equal(found["label"], pipeline.predict(frame))
    # An estimator of skae knows the columns itself.
    pipeline = make_pipeline(AutoencoderTransformer(2, **SMALL), last).fit(frame, y)
    found = run(pipeline, feeds, tmp_path)
    np.testing.assert_array_equal(found["label"], pipeline.predict(frame))


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("name", ["label", "probabilities"])
def test_a_column_with_the_name_of_an_output_is_refused(name, is_first, tmp_path):
    frame = pd.DataFrame({name: X[:, 0], "c": np.where(X[:, 2] > 2.4, "hi", "lo")})
    columns = make_column_transformer(
        (StandardScaler(), [name]), (OneHotEncoder(sparse_output=False), ["c"])
    )
    first = [] if is_first else [columns]
    pipeline = make_pipeline(*first, AutoencoderTransformer(1, **SMALL), LogisticRegression())
    with pytest.raises(ValueError, match=f"got the column '{name}' beside.*rename the column"):
        to_onnx(pipeline.fit(frame, y), tmp_path / "model.onnx", frame)
    assert not list(tmp_path.iterdir())


def test_names_that_are_no_identifiers_are_kept(tmp_path):
    numbers = ["alcohol (%)", "malic.acid"]
    frame = pd.DataFrame(X[:, :2], columns=numbers)
    frame["a hue"] = np.where(X[:, 2] > 2.4, "hi", "lo")
    columns = make_column_transformer(
        (StandardScaler(), numbers), (OneHotEncoder(sparse_output=False), ["a hue"])
    )
    pipeline = make_pipeline(columns, AutoencoderTransformer(2, **SMALL)).fit(frame)
    feeds = {name: frame[[name]].to_numpy() for name in frame}
    found = run(pipeline, feeds, tmp_path, X=frame)
    np.testing.assert_allclose(found["codes"], pipeline.transform(frame), atol=1e-5)


def test_names_that_become_one_identifier_are_refused(tmp_path):
    frame = pd.DataFrame(X[:, :2], columns=["a b", "a_b"])
    columns = make_column_transformer((StandardScaler(), ["a b", "a_b"]))
    pipeline = make_pipeline(columns, AutoencoderTransformer(1, **SMALL)).fit(frame)
    with pytest.raises(ValueError, match="got 'a b' and 'a_b': rename one"):
        to_onnx(pipeline, tmp_path / "model.onnx", frame)
    assert not list(tmp_path.iterdir())


class Doubler(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return 2 * X


def test_a_step_that_skl2onnx_does_not_know(tmp_path):
    pipeline = make_pipeline(Doubler(), AutoencoderTransformer(2, **SMALL)).fit(X)
    with pytest.raises(ValueError, match=r"skl2onnx converts.*Doubler"):
        to_onnx(pipeline, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_step_in_the_middle_takes_one_table(tmp_path):
    frame = pd.DataFrame({"a": X[:, 0], "c": (X[:, 2] > 2.4).astype(float)})
    last = AutoencoderTransformer(2, categorical_features=["c"], **SMALL)
    pipeline = make_pipeline(FunctionTransformer(), last).fit(frame)
    with pytest.raises(ValueError, match="takes 2 inputs, got 1"):
        to_onnx(pipeline, tmp_path / "model.onnx")


GAPS = np.where(np.arange(X.size).reshape(X.shape) % 7 == 0, np.nan, X)
LAST = AutoencoderTransformer(2, **SMALL)
LETTERS = np.where(X[:, 2] > 2.4, "hi", "lo")
WHOLE = np.arange(len(X)) % 5


def mixed_frame():
    frame = pd.DataFrame({"a": X[:, 0], "b": GAPS[:, 1], "c": np.where(X[:, 2] > 2.4, "hi", "lo")})
    return frame.assign(day=pd.date_range("2020", periods=len(X)))


def mixed_pipeline(a="a", b="b", c="c"):
    columns = make_column_transformer(
        (SimpleImputer(), [a, b]), (OneHotEncoder(sparse_output=False), [c])
    )
    return make_pipeline(columns, LAST)


@pytest.mark.parametrize("strategy", ["mean", "median"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cells_that_an_imputer_fills(strategy, dtype, tmp_path):
    table = GAPS.astype(dtype)
    pipeline = make_pipeline(SimpleImputer(strategy=strategy), LAST).fit(table)
    found = run(pipeline, table, tmp_path, dtype)
    atol = 1e-4 if dtype == "float32" else 1e-6
    np.testing.assert_allclose(found["codes"], pipeline.transform(table), atol=atol)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "parameters",
    [
        {"strategy": "constant", "fill_value": 0},
        {"missing_values": -1.0},
        {"missing_values": -1, "strategy": "most_frequent"},
    ],
    ids=["whole fill", "float marker", "whole marker"],
)
def test_other_imputers(parameters, dtype, tmp_path):
    table = GAPS[:, :4].astype(dtype)
    if "missing_values" in parameters:
        table[np.isnan(table)] = -1
    pipeline = make_pipeline(SimpleImputer(**parameters), StandardScaler(), LAST).fit(table)
    found = run(pipeline, table, tmp_path, dtype)
    atol = 1e-4 if dtype == "float32" else 1e-6
    np.testing.assert_allclose(found["codes"], pipeline.transform(table), atol=atol)


@pytest.mark.filterwarnings("ignore:Skipping features without any observed values:UserWarning")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_imputer_that_drops_a_column_is_named(dtype, tmp_path):
    table = X[:, :3].copy()
    table[:, 1] = np.nan
    pipeline = make_pipeline(SimpleImputer(), LAST).fit(table)
    message = r"step 'simpleimputer' \(SimpleImputer\): .*column 1, .*keep_empty_features=True"
    with pytest.raises(ValueError, match=message):
        to_onnx(pipeline, tmp_path / "model.onnx", dtype=dtype)
    pipeline = make_pipeline(SimpleImputer(keep_empty_features=True), LAST).fit(table)
    found = run(pipeline, table.astype(dtype), tmp_path, dtype)
    np.testing.assert_allclose(found["codes"], pipeline.transform(table), atol=1e-4)


WHOLE_FRAME = pd.DataFrame({"i": WHOLE, "j": WHOLE // 2})


def test_large_whole_numbers_beside_single_precision(tmp_path):
    large = 2**25 + WHOLE  # float32 has every fourth of them
    frame = pd.DataFrame({"i": large, "x": X[:, 0].astype("float32")})
    pipeline = make_pipeline(SimpleImputer(), LAST).fit(frame)
    feeds = {name: frame[[name]].to_numpy("float64") for name in frame}
    found = run(pipeline, feeds, tmp_path, X=frame)
    np.testing.assert_allclose(found["codes"], pipeline.transform(frame), atol=1e-5)


def test_columns_of_large_numbers_keep_their_digits(tmp_path):
    frame = pd.DataFrame({"t": 2**25 + X[:, 0], "x": X[:, 1]})
    pipeline = make_pipeline(StandardScaler(), LAST).fit(frame)
    found = run(pipeline, read_columns(frame), tmp_path, X=frame)
    np.testing.assert_allclose(found["codes"], pipeline.transform(frame), atol=1e-5)


def test_a_classifier_of_columns_is_not_written_without_its_probabilities(tmp_path):
    frame = pd.DataFrame(X[:, :2], columns=["a", "b"])
    pipeline = make_pipeline(LogisticRegression(max_iter=2000)).fit(frame, y)
    with pytest.raises(ValueError, match="skl2onnx must convert all steps"):
        to_onnx(pipeline, tmp_path / "model.onnx", frame)


@pytest.mark.parametrize(
    "step", [SimpleImputer(), SimpleImputer(missing_values=0), Binarizer(threshold=1.5)]
)
def test_steps_of_whole_numbers(step, tmp_path):
    pipeline = make_pipeline(step, StandardScaler(), LAST).fit(WHOLE_FRAME)
    feeds = {name: WHOLE_FRAME[[name]].to_numpy().astype(float) for name in WHOLE_FRAME}
    found = run(pipeline, feeds, tmp_path, X=WHOLE_FRAME)
    np.testing.assert_allclose(found["codes"], pipeline.transform(WHOLE_FRAME), atol=1e-6)


def test_booleans_that_a_step_joins_with_numbers(tmp_path):
    frame = pd.DataFrame({"flag": WHOLE > 2, "x": X[:, 0], "s": LETTERS})
    columns = make_column_transformer(
        (StandardScaler(), ["flag", "x"]), (OneHotEncoder(sparse_output=False), ["s"])
    )
    pipeline = make_pipeline(columns, LAST).fit(frame)
    feeds = read_columns(frame.astype({"flag": float}))
    found = run(pipeline, feeds, tmp_path, X=frame)
    np.testing.assert_allclose(found["codes"], pipeline.transform(frame), atol=1e-5)


def test_a_missing_package_is_not_a_fault_of_a_step(monkeypatch, tmp_path):
    def fail(*arguments):
        raise ImportError("to_onnx requires onnxscript")

    monkeypatch.setattr(converters, "make_graph", fail)
    pipeline = make_pipeline(StandardScaler(), LAST).fit(X)
    message = r"step 'autoencodertransformer' \(AutoencoderTransformer\): to_onnx requires onnx"
    with pytest.raises(ImportError, match=message):
        to_onnx(pipeline, tmp_path / "model.onnx")


@pytest.mark.parametrize(
    "convert",
    [
        lambda frame: frame,
        lambda frame: frame.drop(columns="day"),
        lambda frame: frame.convert_dtypes(),
        lambda frame: frame.astype({"c": "category"}),
        lambda frame: frame[["day", "c", "b", "a"]],
        lambda frame: pl.from_pandas(frame),
    ],
    ids=["dates", "none", "nullable", "category", "order", "polars"],
)
def test_columns_of_all_types_and_some_that_no_step_uses(convert, tmp_path):
    frame = mixed_frame()
    fit_on = frame if "day" in convert(frame).columns else frame.drop(columns="day")
    pipeline = mixed_pipeline().fit(fit_on)
    feeds = {name: frame[[name]].to_numpy() for name in "abc"}
    found = run(pipeline, feeds, tmp_path, X=convert(frame))
    np.testing.assert_allclose(found["codes"], pipeline.transform(fit_on), atol=1e-5)


COLUMNS_OF_NUMBERS = {
    "int64, float64": {"i": WHOLE, "x": X[:, 0], "z": X[:, 1]},
    "int8, float64": {"i": WHOLE.astype("int8"), "x": X[:, 0]},
    "uint16, float32": {"i": WHOLE.astype("uint16"), "x": X[:, 0].astype("float32")},
    "Int64, float64": {"i": pd.array(WHOLE, dtype="Int64"), "x": X[:, 0]},
    "float32, float64": {"x": X[:, 0].astype("float32"), "z": X[:, 1]},
    "float32, int64, float64": {"x": X[:, 0].astype("float32"), "i": WHOLE, "z": X[:, 1]},
    "int64, int8": {"i": WHOLE, "j": (WHOLE // 2).astype("int8")},
}
FIRST_STEPS = {
    "scaler": lambda names: StandardScaler(),
    "imputer": lambda names: SimpleImputer(strategy="most_frequent"),
    "columns": lambda names: make_column_transformer(
        (StandardScaler(), names), (OneHotEncoder(sparse_output=False), ["s"])
    ),
    "one by one": lambda names: make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["s"]), *(("passthrough", [name]) for name in names)
    ),
}


def read_inputs(frame, path):
    """Return a frame's columns in the types of a graph's inputs."""
    import onnx

    names = {
        each.name: onnx.helper.tensor_dtype_to_np_dtype(each.type.tensor_type.elem_type)
        for each in onnx.load(path).graph.input
    }
    return {name: frame[[name]].to_numpy().astype(dtype) for name, dtype in names.items()}


@pytest.mark.parametrize("step", FIRST_STEPS.values(), ids=FIRST_STEPS)
@pytest.mark.parametrize("columns", COLUMNS_OF_NUMBERS.values(), ids=COLUMNS_OF_NUMBERS)
def test_columns_of_several_types_of_numbers(columns, step, tmp_path):
    frame, first = pd.DataFrame(columns), step(list(columns))
    if isinstance(first, ColumnTransformer):
        frame["s"] = LETTERS
    pipeline = make_pipeline(first, LAST).fit(frame)
    path = tmp_path / "other.onnx"
    to_onnx(pipeline, path, frame)
    found = run(pipeline, read_inputs(frame, path), tmp_path, X=frame)
    np.testing.assert_allclose(found["codes"], pipeline.transform(frame), atol=1e-5)


LARGE = 2**25 + np.random.default_rng(0).integers(0, 4, size=(len(X), 3))


@pytest.mark.parametrize(
    "first",
    [
        StandardScaler(),
        make_column_transformer((StandardScaler(), ["a", "b"]), remainder="passthrough"),
        PCA(2),
    ],
    ids=["scaler", "columns", "pca"],
)
def test_whole_numbers_keep_their_digits(first, tmp_path):
    frame = pd.DataFrame(LARGE, columns=list("abc"))
    pipeline = make_pipeline(first, LAST).fit(frame)
    path = tmp_path / "other.onnx"
    to_onnx(pipeline, path, frame)
    feeds = read_inputs(frame, path)
    assert {cells.dtype for cells in feeds.values()} == {np.dtype(np.float64)}
    found = run(pipeline, feeds, tmp_path, X=frame)
    np.testing.assert_allclose(found["codes"], pipeline.transform(frame), atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64", None])
def test_booleans_that_a_step_does_not_take_are_numbers(dtype, tmp_path):
    frame = pd.DataFrame({"b": X[:, 0] > 0, "c": X[:, 1] > 0})
    if dtype is not None:
        frame = frame.assign(a=X[:, 0].astype(dtype), b=X[:, 1] > 0)
    pipeline = make_pipeline(StandardScaler(), LAST).fit(frame)
    path = tmp_path / "other.onnx"
    to_onnx(pipeline, path, frame)
    feeds = read_inputs(frame, path)
    assert {cells.dtype for cells in feeds.values()} == {np.dtype(dtype or "float64")}
    found = run(pipeline, feeds, tmp_path, X=frame)
    np.testing.assert_allclose(found["codes"], pipeline.transform(frame), atol=1e-5)


REFUSED = {
    "types within a step": (
        (PolynomialFeatures(2), LAST),
        r"step 'polynomialfeatures' \(PolynomialFeatures\) is not in float64: .*float32",
    ),
    "float32 alone": (
        (PowerTransformer(), LAST),
        r"step 'powertransformer' \(PowerTransformer\) is not in float64: .*Pass dtype='float32'",
    ),
    "float32 alone, inputs": ((KNNImputer(), LAST), r"'knnimputer' .*Pass dtype='float32'"),
    "function": (
        (StandardScaler(), FunctionTransformer(np.log1p), LAST),
        r"step 'functiontransformer' \(FunctionTransformer\) is not .*Leave that step in Python",
    ),
    "imputer of skae": (
        (AEImputer(random_state=0), LAST),
        r"step 'aeimputer' \(AEImputer\) can't be written: .*take missing cells as they are",
    ),
    "no step": (("passthrough", LAST), "got 'passthrough' as step 'passthrough': leave it out"),
    "no step in a union": (
        (make_pipeline(FeatureUnion([("s", StandardScaler()), ("d", "drop")])), LAST),
        "got 'drop' as step 'd': leave it out",
    ),
    "own step": (
        (StandardScaler(), AEAnomalyDetector(AutoencoderTransformer(2, **SMALL), random_state=0)),
        r"step 'aeanomalydetector' \(AEAnomalyDetector\): ",
    ),
    "indicator": (
        (SimpleImputer(add_indicator=True), LAST),
        r"step 'simpleimputer' \(SimpleImputer\): add_indicator must be False",
    ),
}


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.usefixtures("short_attention")
@pytest.mark.parametrize(("steps", "message"), REFUSED.values(), ids=REFUSED)
def test_the_step_that_can_not_be_written_is_named(steps, message, tmp_path):
    pipeline = make_pipeline(*steps).fit(X)
    with pytest.raises(ValueError, match=message):
        to_onnx(pipeline, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_what_float64_has_not_float32_has(tmp_path):
    table = X[:, :3]
    pipeline = make_pipeline(PowerTransformer(), LAST).fit(table)
    found = run(pipeline, table, tmp_path, "float32")
    np.testing.assert_allclose(found["codes"], pipeline.transform(table), atol=1e-3)
    frame = pd.DataFrame(table, columns=list("abc"))
    pipeline.fit(frame)
    with pytest.raises(ValueError, match="Pass X with columns of float32"):
        to_onnx(pipeline, tmp_path / "other.onnx", frame)


def by_index():
    return Pipeline([("c", ColumnTransformer([("s", StandardScaler(), [0, 1])])), ("a", LAST)])


FRAMES = {
    "none": (mixed_pipeline(), None, r"X must be a row of the pipeline's table, .* pass X\[:1\]"),
    "absent": (mixed_pipeline(), mixed_frame().drop(columns="b"), "'b' is not there: pass a row"),
    "no value": (
        mixed_pipeline(),
        mixed_frame().assign(b=np.nan),
        "no value in column 'b': pass rows that have one",
    ),
    "by index": (by_index(), mixed_frame(), "got date in column 'day': drop it .* by their names"),
    "no name": (
        mixed_pipeline(a=""),
        mixed_frame().rename(columns={"a": ""}),
        "columns must have names, .* got '': rename",
    ),
    "used": (
        make_pipeline(make_column_transformer((OneHotEncoder(sparse_output=False), ["day"])), LAST),
        mixed_frame(),
        r"got another kind in one of the columns \['day'\]",
    ),
}


@pytest.mark.parametrize(("pipeline", "given", "message"), FRAMES.values(), ids=FRAMES)
def test_frames_that_do_not_show_the_inputs(pipeline, given, message, tmp_path):
    frame = mixed_frame() if given is None or "" not in given else given
    pipeline = pipeline.fit(frame)
    with pytest.raises(ValueError, match=message):
        to_onnx(pipeline, tmp_path / "model.onnx", given)
    assert not list(tmp_path.iterdir())


def test_inputs_of_pipelines_say_what_they_hold(tmp_path):
    import onnx

    frame = mixed_frame()[["a", "c", "day"]]
    first = AutoencoderTransformer(2, **{**SMALL, "standardize": False})
    path = tmp_path / "model.onnx"
    to_onnx(make_pipeline(first, StandardScaler()).fit(frame), path)
    notes = {each.name: each.doc_string for each in onnx.load(path).graph.input}
    assert notes["c"] == "text; an empty one is a missing cell"
    assert notes["day"].startswith("times in ")
    assert notes["a"] == ""

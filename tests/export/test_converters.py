"""Pipelines around estimators of skae."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.datasets import load_wine
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
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

from .sessions import require_onnx, run

require_onnx()

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


REFUSED = {
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

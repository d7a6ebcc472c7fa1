"""Pipelines around estimators of skae."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from skae import (
    AEAnomalyDetector,
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

"""Columns of all kinds as inputs and outputs of a graph."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from skae import AEAnomalyDetector, AutoencoderTransformer, DenoisingAutoencoder
from skae.export import to_onnx

from .sessions import open_gates, read_columns, require_onnx, run

require_onnx()

SMALL = {"hidden_layer_sizes": (8,), "max_epochs": 1, "early_stopping": False, "random_state": 0}


def draw(n_rows, seed, missing=0.1):
    rng = np.random.default_rng(seed)
    age, size = rng.normal(size=(2, n_rows))
    frame = pd.DataFrame(
        {
            "age": (45 + 15 * age).round(1),
            "job": pd.Categorical(np.where(age < -0.5, "student", "worker")),
            "town": rng.choice(["Rome", "Bari", "Como", "Lodi"], n_rows, p=[0.6, 0.3, 0.07, 0.03]),
            "member": pd.array(age > 0, dtype="boolean"),
            "grade": pd.Categorical((size > 0) + 2 * (age > 0)),
            "since": pd.Timestamp("2020-01-01")
            + pd.to_timedelta((300 * (size - age)).round(), unit="D"),
        }
    )
    hidden = rng.uniform(size=frame.shape) < missing
    return frame.mask(pd.DataFrame(hidden, frame.index, frame.columns))


def read_frame(frame):
    feeds = read_columns(frame.drop(columns="grade"))
    return feeds | {"grade": frame["grade"].astype(float).to_numpy()[:, None]}


def shuffle(frame):
    """Rows with labels that training has not seen."""
    frame = frame.astype({"job": object})
    frame.loc[frame.index[:3], "job"] = "pilot"
    frame.loc[frame.index[5:8], "town"] = "Pisa"
    return frame


@pytest.mark.parametrize("max_categories", [3, None])
@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_a_frame_comes_back(max_categories, missing, tmp_path):
    frame = draw(300, 0, missing)
    estimator = AutoencoderTransformer(3, max_categories=max_categories, **SMALL).fit(frame)
    open_gates(estimator)
    fresh = shuffle(draw(40, 1))
    found = run(estimator, read_frame(fresh), tmp_path)
    np.testing.assert_allclose(found["codes"], estimator.transform(fresh), atol=1e-5)
    back = estimator.reconstruct(fresh)
    age, since = found["reconstruction_age"][:, 0], found["reconstruction_since"][:, 0]
    np.testing.assert_allclose(age, back["age"], rtol=1e-6)
    np.testing.assert_array_equal(since, back["since"].to_numpy().astype("int64"))
    for name in ("job", "town", "member", "grade"):
        assert found[f"reconstruction_{name}"][:, 0].tolist() == back[name].tolist()


@pytest.mark.parametrize("library", ["objects", "arrow", "polars"])
def test_decimals_have_the_places_of_the_column(library, tmp_path):
    numbers = np.random.default_rng(0).normal(size=(60, 2)).round(2)
    texts = pd.DataFrame(numbers, columns=["price", "cost"]).map("{:.2f}".format)
    frame = texts.map(Decimal).assign(job=np.where(numbers[:, 0] < 0, "student", "worker"))
    if library == "arrow":
        pa = pytest.importorskip("pyarrow")
        frame = frame.astype(dict.fromkeys(["price", "cost"], pd.ArrowDtype(pa.decimal128(3, 2))))
    elif library == "polars":
        frame = pytest.importorskip("polars").from_pandas(frame)
    estimator = AutoencoderTransformer(2, **SMALL).fit(frame)
    open_gates(estimator)
    job = np.array(frame["job"], dtype=object)[:, None]
    # The last rows would come back with more digits than the type has.
    fresh = np.r_[numbers, [[60.0, 60.0]]]
    feeds = {name: fresh[:, [n]] for n, name in enumerate(["price", "cost"])}
    found = run(estimator, feeds | {"job": np.r_[job, job[:1]]}, tmp_path)
    back = estimator.reconstruct(frame)
    for name in ("price", "cost"):
        cells = found[f"reconstruction_{name}"][:, 0]
        np.testing.assert_allclose(cells[:-1], np.array(back[name], dtype=float), rtol=1e-12)
        if library == "arrow":
            assert cells[-1] == 9.99


@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_a_detector_scores_labels_that_it_has_not_seen(missing, tmp_path):
    denoiser = DenoisingAutoencoder(None, noise_level=(0.1, 5.0), n_draws=2, **SMALL)
    detector = AEAnomalyDetector(denoiser, alpha=0.1, random_state=0).fit(draw(300, 0, missing))
    fresh = shuffle(draw(60, 1))
    found = run(detector, read_frame(fresh), tmp_path)
    np.testing.assert_allclose(found["score"], detector.score_samples(fresh), rtol=0, atol=2e-4)
    np.testing.assert_array_equal(found["label"], detector.predict(fresh))
    np.testing.assert_array_equal(found["p_value"], detector.p_values(fresh))
    assert set(found["label"]) == {-1, 1}


def test_inputs_say_what_they_hold(tmp_path):
    import onnx

    estimator = AutoencoderTransformer(2, **SMALL).fit(draw(100, 0))
    run(estimator, read_frame(draw(5, 1)), tmp_path)
    inputs = {each.name: each.doc_string for each in onnx.load(tmp_path / "model.onnx").graph.input}
    assert list(inputs) == list(draw(1, 0))
    assert inputs["town"] == "text; an empty one is a missing cell"
    assert inputs["since"].startswith("times in ")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["", "b"], "'c' must have no empty label"),
        ([1, "b"], "'c' must have labels that are all text or all numbers, got 1"),
    ],
)
def test_labels_that_onnx_does_not_have_are_refused(labels, message, tmp_path):
    frame = pd.DataFrame({"a": np.arange(40.0), "c": pd.Categorical(labels * 20)})
    estimator = AutoencoderTransformer(1, **SMALL).fit(frame)
    with pytest.raises(ValueError, match=message):
        run(estimator, {}, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["codes", "reconstruction_job"])
def test_a_column_with_the_name_of_an_output_is_refused(name, tmp_path):
    frame = draw(60, 0).rename(columns={"age": name})
    estimator = AutoencoderTransformer(1, **SMALL).fit(frame)
    with pytest.raises(ValueError, match=f"got the column '{name}' beside.*rename the column"):
        run(estimator, {}, tmp_path)
    assert not list(tmp_path.iterdir())


def test_names_that_are_outputs_of_other_estimators_are_allowed(tmp_path):
    frame = draw(60, 0).drop(columns="grade").rename(columns={"age": "label", "job": "score"})
    estimator = AutoencoderTransformer(1, **SMALL).fit(frame)
    found = run(estimator, read_columns(frame), tmp_path)
    np.testing.assert_allclose(found["codes"], estimator.transform(frame), atol=1e-5)


@pytest.mark.parametrize("name", ["label", "score", "decision", "p_value"])
def test_a_column_with_the_name_of_a_detectors_output_is_refused(name, tmp_path):
    frame = draw(60, 0)[["age", "job"]].rename(columns={"age": name})
    denoiser = DenoisingAutoencoder(None, noise_level=(0.1, 5.0), n_draws=2, **SMALL)
    detector = AEAnomalyDetector(denoiser, alpha=0.1, random_state=0).fit(frame)
    with pytest.raises(ValueError, match=f"got the column '{name}' beside.*rename the column"):
        run(detector, {}, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_column_without_cells_and_one_that_identifies_rows(tmp_path):
    n_rows = 60
    frame = pd.DataFrame(
        {
            "a": np.random.default_rng(0).normal(size=n_rows),
            "b": np.random.default_rng(1).normal(size=n_rows),
            "empty": np.full(n_rows, np.nan),
            "name": [f"row {i}" for i in range(n_rows)],
        }
    )
    with pytest.warns(UserWarning, match="X has"):
        estimator = AutoencoderTransformer(1, **SMALL).fit(frame)
    frame.loc[3, "name"] = None
    found = run(estimator, read_columns(frame), tmp_path)
    np.testing.assert_allclose(found["codes"], estimator.transform(frame), atol=1e-5)
    assert found.keys() == {"codes", "reconstruction_a", "reconstruction_b"}


def test_whole_numbers_come_back_as_such(tmp_path):
    frame = draw(60, 0, missing=0.0)[["age", "job"]]
    rng = np.random.default_rng(0)
    frame["few"] = rng.integers(-1, 2, 60).astype(np.uint8)  # which holds no -1
    frame["visits"] = rng.integers(0, 9, 60)
    frame["maybe"] = pd.array(rng.integers(0, 9, 60), dtype="Int32")
    fitted = AutoencoderTransformer(2, standardize=False, **SMALL).fit(frame)
    found = run(fitted, read_columns(frame.astype({"few": float, "maybe": float})), tmp_path)
    expected = fitted.reconstruct(frame)
    for name in ("few", "visits", "maybe"):
        own = found[f"reconstruction_{name}"][:, 0]
        np.testing.assert_array_equal(own, expected[name].to_numpy(float))
    assert (found["reconstruction_age"] % 1 != 0).any()


def test_columns_without_a_name_are_refused(tmp_path):
    frame = draw(60, 0, missing=0.0)[["age", "job"]].rename(columns={"age": ""})
    fitted = AutoencoderTransformer(1, standardize=False, **SMALL).fit(frame)
    with pytest.raises(ValueError, match=r"columns must have names, .* got '': rename"):
        to_onnx(fitted, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())

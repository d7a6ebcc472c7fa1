"""Pipelines, searches, data frames, memory maps and processes."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from joblib import Parallel, delayed
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_mutual_info_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skae import AutoencoderTransformer, DenoisingAutoencoder, VAETransformer

QUICK = {"hidden_layer_sizes": (16,), "max_epochs": 10, "random_state": 0}


def test_clusters_of_codes(wine):
    target = load_wine().target
    steps = [AutoencoderTransformer(2, random_state=0), KMeans(3, n_init=10, random_state=0)]
    labels = make_pipeline(*steps).fit_predict(wine)
    assert adjusted_mutual_info_score(target, labels) > 0.8


def test_mixed_columns():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"a": rng.normal(size=80), "b": rng.normal(size=80), "kind": rng.choice(["x", "y"], 80)}
    )
    columns = ColumnTransformer(
        [
            ("numbers", AutoencoderTransformer(1, **QUICK), ["a", "b"]),
            ("kinds", OneHotEncoder(sparse_output=False), ["kind"]),
        ]
    ).set_output(transform="pandas")
    out = columns.fit_transform(frame)
    assert list(out.columns) == [
        "numbers__autoencodertransformer0",
        "kinds__kind_x",
        "kinds__kind_y",
    ]


FAMILIES = [AutoencoderTransformer, DenoisingAutoencoder, VAETransformer]


def make_mixed(n_rows=60):
    """Return a frame of numbers, labels, booleans and dates, with gaps."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "a": rng.normal(size=n_rows),
            "count": rng.integers(0, 9, n_rows),
            "side": rng.choice(["left", "right"], n_rows),
            "town": rng.choice(list("stuvw"), n_rows),
            "flag": rng.uniform(size=n_rows) > 0.5,
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 99, n_rows), "D"),
        }
    )
    frame["b"] = 2 * frame["a"] + frame["flag"]
    frame.loc[3:9, "a"] = None
    frame.loc[6:12, "side"] = None
    return frame


def convert(frame, library):
    """Return a pandas frame as one of another library."""
    if library == "pandas":
        return frame
    return pl.from_pandas(frame) if library == "polars" else pa.Table.from_pandas(frame)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
@pytest.mark.parametrize("wanted", ["pandas", "polars"])
def test_codes_are_frames_of_the_library_that_is_asked_for(family, library, wanted):
    X = convert(make_mixed(), library)
    model = family(2, **QUICK).set_output(transform=wanted).fit(X)
    codes = model.transform(X)
    assert isinstance(codes, pd.DataFrame if wanted == "pandas" else pl.DataFrame)
    assert list(codes.columns) == [f"{family.__name__.lower()}{index}" for index in range(2)]
    restored = model.inverse_transform(codes)
    assert type(restored) is type(X)
    names = [str(name) for name in getattr(X, "column_names", X.columns)]
    assert [str(name) for name in getattr(restored, "column_names", restored.columns)] == names


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_column_transformer_around(family, library):
    X = convert(make_mixed(), library)
    columns = ColumnTransformer(
        [
            ("mixed", family(2, **QUICK), ["a", "side", "flag", "day"]),
            ("towns", OneHotEncoder(sparse_output=False), ["town"]),
        ]
    ).set_output(transform=library)
    out = columns.fit_transform(X)
    assert type(out) is type(X)
    assert out.shape == (60, 7)
    assert list(out.columns)[:2] == [f"mixed__{family.__name__.lower()}{n}" for n in range(2)]
    alone = family(2, **QUICK).fit_transform(X[["a", "side", "flag", "day"]])
    np.testing.assert_allclose(out.to_numpy()[:, :2].astype(float), alone, rtol=1e-6)


def test_a_search_over_max_categories():
    frame, grid = make_mixed(), {"max_categories": [2, None]}
    search = GridSearchCV(AutoencoderTransformer(2, **QUICK), grid, cv=2).fit(frame)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert scores[0] != scores[1]
    assert search.transform(frame).shape == (60, 2)


def test_a_search_over_pca_and_autoencoders(digits):
    from sklearn.datasets import load_digits

    X, y = digits[:600], load_digits().target[:600]
    pipeline = Pipeline([("reduce", PCA()), ("classify", LogisticRegression(max_iter=2000))])
    ours = AutoencoderTransformer(**QUICK, standardize=False)
    grid = [
        {"reduce": [PCA()], "reduce__n_components": [2, 8]},
        {
            "reduce": [ours],
            "reduce__n_components": [2, 8],
            "reduce__hidden_layer_sizes": [(), (32,)],
        },
    ]
    search = GridSearchCV(pipeline, grid, cv=3, n_jobs=2).fit(X, y)
    table = pd.DataFrame(search.cv_results_)
    assert len(table) == 6
    assert search.best_params_["reduce__n_components"] == 8
    assert search.score(X, y) > 0.8
    linear = table[table.param_reduce__hidden_layer_sizes.map(lambda v: v == ())]
    pca = table[table.param_reduce__hidden_layer_sizes.isna()]
    np.testing.assert_allclose(
        linear.mean_test_score.to_numpy(), pca.mean_test_score.to_numpy(), atol=0.02
    )


def test_cross_validated_density_of_a_linear_autoencoder_is_that_of_pca(wine):
    ours = cross_val_score(
        AutoencoderTransformer(3, hidden_layer_sizes=(), standardize=False), wine
    )
    np.testing.assert_allclose(ours, cross_val_score(PCA(3), wine), rtol=0.01)


def test_frames_keep_names(wine):
    names = load_wine().feature_names
    for frame, kind in [
        (pd.DataFrame(wine, columns=names), "pandas"),
        (pl.DataFrame(wine, schema=names), "polars"),
    ]:
        ours = AutoencoderTransformer(2, **QUICK).set_output(transform=kind).fit(frame)
        out = ours.transform(frame)
        assert type(out) is type(frame)
        assert list(out.columns) == ["autoencodertransformer0", "autoencodertransformer1"]
        assert list(ours.feature_names_in_) == names
        assert list(ours.get_feature_names_out()) == list(out.columns)
        array = AutoencoderTransformer(2, **QUICK).fit(wine)
        np.testing.assert_array_equal(array.transform(wine), np.asarray(out))
    with pytest.raises(ValueError, match="feature names"):
        ours.transform(pl.DataFrame(wine, schema=names[::-1]))


def test_memory_layouts(wine, tmp_path):
    expected = AutoencoderTransformer(2, **QUICK).fit(wine).transform(wine)
    mapped = np.memmap(tmp_path / "rows", dtype=wine.dtype, mode="w+", shape=wine.shape)
    mapped[:] = wine
    mapped.flush()
    readonly = np.memmap(tmp_path / "rows", dtype=wine.dtype, mode="r", shape=wine.shape)
    for table in [readonly, np.asfortranarray(wine), wine[:, ::-1][:, ::-1], wine.tolist()]:
        ours = AutoencoderTransformer(2, **QUICK).fit(table)
        np.testing.assert_array_equal(ours.transform(table), expected)


def test_the_table_is_not_changed(wine):
    table = wine.copy()
    ours = AutoencoderTransformer(2, **QUICK).fit(table)
    ours.score_samples(table), ours.transform(table), ours.reconstruct(table)
    np.testing.assert_array_equal(table, wine)


def test_fits_in_two_processes(wine):
    def fit(seed):
        return AutoencoderTransformer(2, **{**QUICK, "random_state": seed}).fit(wine)

    alone = [fit(seed).transform(wine) for seed in range(3)]
    for one, other in zip(
        alone, Parallel(n_jobs=2)(delayed(fit)(s) for s in range(3)), strict=True
    ):
        np.testing.assert_array_equal(one, other.transform(wine))


def test_large_tables_pass_in_blocks():
    """All methods give the same for a table and for its parts."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 4)).astype(np.float32)
    ours = AutoencoderTransformer(2, hidden_layer_sizes=(8,), max_epochs=1, random_state=0).fit(X)
    for method in (ours.transform, ours.score_samples, ours.reconstruction_error):
        parts = np.concatenate([method(part) for part in np.array_split(X, 7)])
        np.testing.assert_allclose(method(X), parts, rtol=1e-4, atol=1e-5)

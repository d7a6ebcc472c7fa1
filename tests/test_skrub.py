"""Composition with skrub, which the `skrub` extra installs."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skae import (
    AEAnomalyDetector,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)

skrub = pytest.importorskip(
    "skrub", reason="skrub is not installed: pip install 'skae[skrub]' runs these tests too"
)

QUICK = {"hidden_layer_sizes": (8,), "max_epochs": 2, "random_state": 0}
FAMILIES = [AutoencoderTransformer, DenoisingAutoencoder, VAETransformer]


def make_people(n_rows=60):
    """Return a frame as it comes from a file: numbers, labels, dates as text, gaps."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 80, n_rows).astype(float),
            "side": rng.choice(["left", "right"], n_rows),
            "joined": [f"2020-0{m}-1{d}" for m, d in rng.integers(1, 9, (n_rows, 2))],
            "note": [f"note {n} of {k}" for n, k in enumerate(rng.integers(0, 9, n_rows))],
        }
    )
    frame["income"] = 3 * frame["age"] + rng.normal(size=n_rows)
    frame.loc[3::9, "age"] = None
    frame.loc[6::8, "side"] = None
    return frame


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_table_vectorizer_before(family, library):
    frame = make_people()
    X = frame if library == "pandas" else pl.from_pandas(frame)
    steps = [skrub.TableVectorizer(high_cardinality="drop"), family(2, **QUICK)]
    pipeline = make_pipeline(*steps).set_output(transform=library)
    codes = pipeline.fit_transform(X)
    assert type(codes).__module__.startswith(library)
    names = [f"{family.__name__.lower()}{index}" for index in range(2)]
    assert list(codes.columns) == names
    assert np.isfinite(codes.to_numpy()).all()
    assert np.isfinite(pipeline.score(X))


def test_what_the_vectorizer_gives_is_restored_in_its_types():
    frame = make_people()
    vectors = skrub.TableVectorizer(high_cardinality="drop").fit_transform(frame)
    filled = AutoencoderTransformer(2, **QUICK).fit(vectors).impute(vectors)
    assert list(filled.columns) == list(vectors.columns)
    known = vectors["age"].notna()
    pd.testing.assert_series_equal(filled["age"][known], vectors["age"][known])
    assert filled["age"].notna().all()


@pytest.mark.parametrize("family", FAMILIES)
def test_cleaner_before(family):
    # It reads dates and leaves labels, which the transformer encodes itself.
    frame = make_people().drop(columns="note")
    cleaned = skrub.Cleaner().fit_transform(frame)
    assert cleaned["joined"].dtype.kind == "M"
    model = family(2, **QUICK).fit(cleaned)
    restored = model.reconstruct(cleaned)
    assert restored.dtypes.to_dict() == cleaned.dtypes.to_dict()
    assert make_pipeline(skrub.Cleaner(), family(2, **QUICK)).fit_transform(frame).shape == (60, 2)


def test_tabular_pipeline_takes_the_detector():
    frame = make_people().drop(columns="note")  # skrub draws from the global state to encode it
    detector = AEAnomalyDetector(DenoisingAutoencoder(2, **QUICK), alpha=0.1)
    pipeline = skrub.tabular_pipeline(detector).fit(frame)
    found = pipeline.predict(frame)
    assert set(found) <= {-1, 1}
    assert pipeline.score_samples(frame).shape == (60,)


@pytest.mark.parametrize("family", [*FAMILIES, PCA])
def test_tabular_pipeline_asks_for_predictions_of_its_last_step(family):
    # So it takes no transformer, of whatever library: a pipeline of the vectorizer does.
    with pytest.raises(TypeError, match="predict"):
        skrub.tabular_pipeline(family(2))


def test_search_behind_a_vectorizer():
    frame = make_people().drop(columns="note")
    steps = [skrub.TableVectorizer(), AutoencoderTransformer(2, **QUICK)]
    grid = {"autoencodertransformer__n_components": [1, 2]}
    search = GridSearchCV(make_pipeline(*steps), grid, cv=2).fit(frame)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()

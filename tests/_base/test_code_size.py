"""`n_components` as a share of the variance."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from skae import AEAnomalyDetector, AutoencoderTransformer, DenoisingAutoencoder, VAETransformer

SMALL = {"hidden_layer_sizes": (4,), "max_epochs": 1, "early_stopping": False, "random_state": 0}
# Rows in a plane, and rows without structure.
PLANE = np.random.default_rng(0).normal(size=(60, 2)).repeat(3, axis=1)
CLOUD = np.random.default_rng(1).normal(size=(60, 6))
TRANSFORMERS = [
    AutoencoderTransformer(0.9, **SMALL),
    DenoisingAutoencoder(0.9, n_draws=2, **SMALL),
    VAETransformer(0.9, n_draws=2, **SMALL),
]


def name_of(estimator):
    return type(estimator).__name__


def count(X, share=0.9):
    return PCA(share).fit(StandardScaler().fit_transform(X)).n_components_


@pytest.mark.parametrize("estimator", TRANSFORMERS, ids=name_of)
def test_the_code_is_as_large_as_pca_needs_for_the_share(wine, estimator):
    ours = clone(estimator).fit(wine)
    assert ours.n_components_ == count(wine) == 8
    assert ours.transform(wine).shape == (len(wine), 8)
    assert len(ours.get_feature_names_out()) == 8
    assert ours.n_components == 0.9
    back = pickle.loads(pickle.dumps(ours))
    np.testing.assert_array_equal(back.transform(wine), ours.transform(wine))


@pytest.mark.parametrize("estimator", TRANSFORMERS, ids=name_of)
def test_a_share_and_its_number_are_the_same_fit(wine, estimator):
    ours = clone(estimator).fit(wine)
    other = clone(estimator).set_params(n_components=8).fit(wine)
    np.testing.assert_array_equal(ours.transform(wine), other.transform(wine))


def test_without_standardization_columns_count_by_their_variance(wine):
    ours = clone(TRANSFORMERS[0]).set_params(standardize=False).fit(wine)
    assert ours.n_components_ == PCA(0.9).fit(wine).n_components_ == 1


def test_copies_and_weights_count():
    X, weight = np.vstack([PLANE, CLOUD]), np.repeat([50, 1], 60)
    ours = clone(TRANSFORMERS[0])
    assert ours.fit(X, sample_weight=weight).n_components_ == 2
    assert ours.fit(X.repeat(weight, axis=0)).n_components_ == 2
    assert ours.fit(X).n_components_ == count(X) > 2


@pytest.mark.parametrize("estimator", TRANSFORMERS, ids=name_of)
def test_a_stream_has_the_size_of_its_first_block(estimator):
    ours = clone(estimator).partial_fit(PLANE)
    assert ours.n_components_ == 2
    assert ours.partial_fit(CLOUD).n_components_ == 2
    assert clone(estimator).partial_fit(CLOUD).n_components_ > 2


@pytest.mark.filterwarnings("ignore:the stream does not go on as it began")
def test_a_stream_that_begins_again_keeps_its_size():
    ours = clone(TRANSFORMERS[0]).partial_fit(PLANE)
    before = ours.scale_
    assert ours.partial_fit(100 * CLOUD).n_components_ == 2
    assert (ours.scale_ > 10 * before).all()


def test_a_warm_start_keeps_the_size():
    ours = clone(TRANSFORMERS[0]).set_params(warm_start=True).fit(PLANE)
    assert ours.fit(CLOUD).n_components_ == 2
    assert ours.set_params(warm_start=False).fit(CLOUD).n_components_ > 2


def test_a_warm_start_with_another_share_is_refused():
    ours = clone(TRANSFORMERS[0]).set_params(warm_start=True).fit(PLANE)
    for method in ("fit", "partial_fit"):
        for again in (ours, pickle.loads(pickle.dumps(ours))):
            again.set_params(n_components=0.5)
            with pytest.raises(ValueError, match=r"must be the share 0\.9, .* got the share 0\.5"):
                getattr(again, method)(PLANE)
            assert again.set_params(n_components=0.9).fit(CLOUD).n_components_ == 2
            assert again.set_params(n_components=2).fit(CLOUD).n_components_ == 2
            again.set_params(n_components=0.9)
            with pytest.raises(ValueError, match=r"n_components must be 2, .* the share 0\.9"):
                getattr(again, method)(CLOUD)
            again.set_params(warm_start=False).fit(PLANE).set_params(warm_start=True)


def test_pairs_have_the_size_of_their_clean_rows():
    rng = np.random.default_rng(0)
    clean = rng.normal(size=(80, 1)) * np.ones(6)
    noisy = clean + rng.normal(size=clean.shape)
    ours = clone(TRANSFORMERS[1])
    assert ours.fit(noisy, clean).n_components_ == 1
    assert ours.fit(noisy).n_components_ > 1


def test_the_share_is_of_the_encoded_columns():
    """A column of labels and one of numbers have one variance each, and are independent."""
    frame = pd.DataFrame({"job": list("ab") * 50, "age": np.repeat([1.0, -1.0], 50)})
    assert clone(TRANSFORMERS[0]).set_params(n_components=0.4).fit(frame).n_components_ == 1
    assert clone(TRANSFORMERS[0]).set_params(n_components=0.6).fit(frame).n_components_ == 2


def test_missing_cells_are_filled_first(wine):
    X = np.where(np.random.default_rng(0).uniform(size=wine.shape) < 0.05, np.nan, wine)
    assert abs(clone(TRANSFORMERS[0]).fit(X).n_components_ - count(wine)) <= 1


def test_a_detector_takes_it(wine):
    ours = AEAnomalyDetector(TRANSFORMERS[0], random_state=0).fit(wine)
    assert 1 < ours.estimator_.n_components_ < 13


def test_a_first_block_of_one_row_is_refused(wine):
    with pytest.raises(ValueError, match="first block of partial_fit must have at least"):
        clone(TRANSFORMERS[0]).partial_fit(wine[:1])

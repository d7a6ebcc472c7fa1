"""Streams, warm starts, weights and pairs of tables with labels, dates and missing cells."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from skae import AutoencoderTransformer, DenoisingAutoencoder, VAETransformer

SMALL = {"hidden_layer_sizes": (4,), "max_epochs": 1, "early_stopping": False, "random_state": 0}
TRANSFORMERS = [
    AutoencoderTransformer(2, **SMALL),
    DenoisingAutoencoder(2, n_draws=2, **SMALL),
    VAETransformer(2, n_draws=2, **SMALL),
]
each = pytest.mark.parametrize("estimator", TRANSFORMERS, ids=lambda one: type(one).__name__)


def make_frame(n_rows=40, seed=0, has_gaps=False):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "job": rng.choice(list("abcde"), n_rows),
            "income": rng.normal(size=n_rows),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 99, n_rows), "D"),
            "is_new": pd.array(rng.random(n_rows) < 0.5, dtype="boolean"),
        }
    )
    return frame.mask(rng.random(frame.shape) < 0.2) if has_gaps else frame


def check_outputs(ours, frame):
    for values in (ours.transform(frame), ours.score_samples(frame)):
        assert np.isfinite(values).all()
    filled = ours.impute(frame)
    pd.testing.assert_series_equal(filled.dtypes, frame.dtypes)
    assert not filled.isna().any().any()
    assert ours.reconstruct(frame)["job"].isin(list("abcde")).all()


# Streams -----------------------------------------------------------------------------------


@each
def test_later_blocks_may_have_gaps_and_new_labels(estimator):
    ours = clone(estimator).partial_fit(make_frame())
    gaps = make_frame(seed=1, has_gaps=True)
    ours.partial_fit(gaps)
    names = list(ours.feature_names_in_)
    ours.partial_fit(make_frame(seed=2).assign(job="new"))
    ours.partial_fit(make_frame(seed=3).assign(job=None, income=np.nan))
    assert ours.n_iter_ == 4
    assert list(ours.feature_names_in_) == names
    check_outputs(ours, gaps)


@each
def test_new_labels_are_infrequent_or_missing(estimator):
    new, none = (make_frame(9, seed=1).assign(job=job) for job in ("new", None))
    ours = clone(estimator).partial_fit(make_frame())
    np.testing.assert_array_equal(ours.transform(new), ours.transform(none))
    pooled = clone(estimator).set_params(max_categories=3).partial_fit(make_frame())
    assert (pooled.transform(new) != pooled.transform(none)).all()


@each
def test_a_stream_of_frames_is_stored(estimator):
    ours = clone(estimator).partial_fit(make_frame())
    loaded = pickle.loads(pickle.dumps(ours))
    for one in (ours, loaded):
        one.partial_fit(make_frame(seed=1, has_gaps=True))
        check_outputs(one, make_frame(seed=2, has_gaps=True))


@each
def test_a_level_that_is_rare_at_first_is_no_sign_of_a_wrong_scale(estimator):
    frame = make_frame(400)
    first = frame.assign(job=["rare"] * 2 + ["a"] * 199 + ["b"] * 199)
    later = frame.assign(job=["rare"] * 200 + ["a"] * 100 + ["b"] * 100)
    ours = clone(estimator).partial_fit(first)
    scale = ours.scale_
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours.partial_fit(later).partial_fit(later)
    np.testing.assert_array_equal(ours.scale_, scale)


@each
def test_warnings_name_the_tables_own_column(estimator):
    ours = clone(estimator).partial_fit(make_frame()[["job", "income"]])
    far = make_frame(seed=1)[["job", "income"]]
    with pytest.warns(UserWarning, match="column 'income' is .* of its scales out"):
        clone(estimator).fit(make_frame()[["job", "income"]]).partial_fit(far.assign(income=1e3))
    with pytest.warns(UserWarning, match="column 'income' varies"):
        ours.partial_fit(far.assign(income=1e3 * far["income"]))
    assert ours.scale_[-1] > 100


@each
def test_errors_name_the_tables_own_column(estimator):
    frame = make_frame()
    with pytest.raises(ValueError, match=r"deviations up to 1e\+150, got .* in column 'income'"):
        clone(estimator).fit(frame.assign(income=frame["income"] * 1e200))


@each
def test_a_block_without_a_cell_of_a_column_is_not_far_out(estimator):
    rows = np.random.default_rng(0).normal(1e3, 1, size=(40, 3))
    none = rows.copy()
    none[:, 1] = np.nan
    for ours in (clone(estimator).fit(rows), clone(estimator).partial_fit(rows)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            ours.partial_fit(none)
        assert np.isfinite(ours.score_samples(none)).all()


@each
def test_a_block_without_a_cell_changes_no_density_to_nothing(estimator):
    ours = clone(estimator).partial_fit(make_frame())
    ours.partial_fit(make_frame(3).mask(np.ones((3, 4), dtype=bool)))
    check_outputs(ours, make_frame(seed=1))


@each
def test_warm_starts_keep_the_columns_of_the_first_fit(estimator):
    ours = clone(estimator).set_params(warm_start=True).fit(make_frame())
    ours.fit(make_frame(seed=1, has_gaps=True))
    check_outputs(ours, make_frame(seed=2, has_gaps=True))
    with pytest.raises(TypeError, match="numbers in column 'income', as in fitting, got text"):
        ours.fit(make_frame().assign(income="much"))


# Weights -----------------------------------------------------------------------------------


@each
@pytest.mark.parametrize("has_numbers", [True, False])
def test_a_weight_of_two_is_a_row_twice(estimator, has_numbers):
    frame = make_frame(has_gaps=True)
    frame = frame if has_numbers else frame[["job", "is_new"]]
    counts = np.random.default_rng(3).integers(1, 4, len(frame))
    a = clone(estimator).fit(frame, sample_weight=counts)
    b = clone(estimator).fit(frame.loc[np.repeat(frame.index, counts)])
    np.testing.assert_array_equal(a.score_samples(frame), b.score_samples(frame))
    np.testing.assert_array_equal(a.transform(frame), b.transform(frame))


@each
def test_a_weight_of_zero_is_no_row(estimator):
    frame = make_frame(has_gaps=True)
    other = pd.DataFrame(
        {"job": ["new"] * 3, "day": pd.to_datetime(["1900-01-01 01:02"] * 3), "none": [1.0] * 3}
    )
    both = pd.concat([frame.assign(none=np.nan), other], ignore_index=True)
    both["is_new"] = both["is_new"].astype("boolean")
    weight = np.r_[np.ones(len(frame)), np.zeros(3)]
    with pytest.warns(UserWarning, match="no observed cell in column 'none'"):
        a = clone(estimator).fit(both, sample_weight=weight)
    with pytest.warns(UserWarning, match="no observed cell in column 'none'"):
        b = clone(estimator).fit(both[:-3])
    np.testing.assert_array_equal(a.transform(both[:-3]), b.transform(both[:-3]))


def test_a_column_of_numbers_whose_rows_have_no_weight_is_empty():
    X = np.column_stack([np.arange(20.0), np.where(np.arange(20) < 2, 1.0, np.nan)])
    weight = (np.arange(20) >= 2).astype(float)
    with pytest.warns(UserWarning, match="no observed cell in column 1"):
        ours = AutoencoderTransformer(1, **SMALL).fit(X, sample_weight=weight)
    assert np.isnan(ours.reconstruct(X)[:, 1]).all()


def test_weights_that_count_rows_tell_identifiers_apart_as_copies_do():
    frame = pd.DataFrame({"id": [f"id{i}" for i in range(30)], "n": np.arange(30.0)})
    counts = np.full(30, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        a = AutoencoderTransformer(1, **SMALL).fit(frame, sample_weight=counts)
        b = AutoencoderTransformer(1, **SMALL).fit(pd.concat([frame, frame]))
    np.testing.assert_array_equal(a.transform(frame), b.transform(frame))
    with pytest.warns(UserWarning, match="nearly every row in column 'id'"):
        AutoencoderTransformer(1, **SMALL).fit(frame, sample_weight=counts / 3)


# Pairs -------------------------------------------------------------------------------------

PAIRS = {
    "a gap": (
        make_frame().assign(income=[1.0, np.nan] * 20),
        "got a missing cell in column 'income' and row 1: fill such cells",
    ),
    "a new label": (
        make_frame().assign(job="new"),
        "label that X does not have in column .job. and row 0",
    ),
    "infinity": (make_frame().assign(income=[1.0, np.inf] * 20), "^y must have .* got inf in col"),
    "text": (make_frame().assign(income="x"), "^y must have numbers in column 'income'"),
    "encoded rows": (np.zeros((40, 8)), r"of the same shape \(40, 4\), or None; got .* \(40, 8\)"),
}


@pytest.mark.parametrize(("y", "message"), PAIRS.values(), ids=PAIRS)
def test_unusable_pairs(y, message):
    with pytest.raises((ValueError, TypeError), match=message):
        DenoisingAutoencoder(2, **SMALL).fit(make_frame(has_gaps=True), y)


def test_clean_rows_behind_rows_with_gaps():
    ours = DenoisingAutoencoder(2, **SMALL).fit(make_frame(has_gaps=True), make_frame())
    check_outputs(ours, make_frame(has_gaps=True))

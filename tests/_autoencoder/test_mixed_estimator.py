"""The score of frames with categories and missing cells, against what is known of it."""

import pickle
from itertools import product

import numpy as np
import pandas as pd
import pytest

from skae import AutoencoderTransformer
from tests._autoencoder.mixed_tables import draw_discrete, list_discrete

QUICK = dict(hidden_layer_sizes=(8,), max_epochs=2, random_state=0)


def make_frame(cells, names=("no yes", "a b c", "p q r s")):
    columns = {}
    for name, levels, column in zip("xyz", names, cells.T, strict=True):
        columns[name] = pd.Categorical.from_codes(column, levels.split())
    return pd.DataFrame(columns)


def draw_frame(n_rows, seed=0, share=0.0):
    """A skewed number, a normal one, a boolean and a category; a share of cells is missing."""
    rng = np.random.default_rng(seed)
    level = rng.integers(0, 3, n_rows)
    frame = pd.DataFrame(
        {
            "income": np.exp(rng.normal(size=n_rows) + level),
            "age": 40 + 10 * level + 5 * rng.normal(size=n_rows),
            "owner": pd.array(rng.random(n_rows) < (level + 1) / 4, dtype="boolean"),
            "job": pd.Categorical.from_codes(level, ["none", "some", "top"]),
        }
    )
    return frame.mask(rng.random(frame.shape) < share)


def score_alone(model, frame):
    """The sum of the log-densities of single cells."""
    total = 0.0
    for name in frame:
        total = total + model.score_samples(
            frame.mask(np.tile(frame.columns != name, (len(frame), 1)))
        )
    return total


@pytest.fixture(scope="module")
def gaps():
    return AutoencoderTransformer(2, **QUICK).fit(draw_frame(300, share=0.2))


def test_masses_of_all_rows_add_up_to_one():
    model = AutoencoderTransformer(2, **QUICK).fit(make_frame(draw_discrete(300)))
    masses = np.exp(model.score_samples(make_frame(list_discrete())))
    assert masses.sum() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("sizes", [(), (8,)], ids=["linear", "network"])
def test_independent_categories_have_their_frequencies(sizes):
    rng = np.random.default_rng(1)
    cells = np.column_stack(
        [rng.choice(n, 1500, p=np.arange(1, n + 1) / (n * (n + 1) / 2)) for n in (2, 3, 4)]
    )
    model = AutoencoderTransformer(2, hidden_layer_sizes=sizes, max_epochs=2, random_state=0)
    model.fit(make_frame(cells))
    rows = list_discrete()
    expected = sum(
        np.log(np.bincount(column) / 1500)[own] for column, own in zip(cells.T, rows.T, strict=True)
    )
    np.testing.assert_allclose(model.score_samples(make_frame(rows)), expected, atol=3 * 0.02)


def test_the_order_of_columns_and_the_names_of_levels_change_nothing():
    cells = draw_discrete(300)
    first = make_frame(cells).assign(number=np.random.default_rng(0).normal(size=300) + cells[:, 1])
    other = make_frame(cells, ("n1 n0", "v3 v2 v1", "w d c b")).assign(number=first["number"])
    other = other[["number", "z", "x", "y"]]
    scores = [
        AutoencoderTransformer(2, hidden_layer_sizes=(), random_state=0).fit(X).score_samples(X)
        for X in (first, other)
    ]
    np.testing.assert_allclose(*scores, atol=1e-3)


def test_units_of_numbers_change_the_score_by_their_logarithm():
    X = draw_frame(200)
    other = X.assign(income=1000 * X["income"])
    scores = [AutoencoderTransformer(2, **QUICK).fit(own).score_samples(own) for own in (X, other)]
    np.testing.assert_allclose(scores[1], scores[0] - np.log(1000), atol=0.05)


def test_only_observed_cells_count(gaps):
    X = draw_frame(100, seed=1)
    nothing = X.mask(np.ones(X.shape, dtype=bool))
    np.testing.assert_array_equal(gaps.score_samples(nothing), 0)
    known = gaps.score_samples(X[["income", "age"]].assign(owner=pd.NA, job=None).astype(X.dtypes))
    masses = []
    for owner, job in product((True, False), ("none", "some", "top")):
        filled = X.assign(owner=owner, job=job).astype(X.dtypes)
        masses.append(gaps.score_samples(filled))
    np.testing.assert_allclose(np.logaddexp.reduce(masses), known, atol=0.03)


def test_dependence_is_worth_more_than_columns_alone(gaps):
    test = draw_frame(300, seed=2, share=0.2)
    assert gaps.score(test) > score_alone(gaps, test).mean() + 0.2


def test_a_stored_estimator_scores_alike(gaps):
    X = draw_frame(20, seed=3, share=0.2)
    loaded = pickle.loads(pickle.dumps(gaps))
    np.testing.assert_array_equal(loaded.score_samples(X), gaps.score_samples(X))


def test_one_gaussian_has_one_class():
    X = draw_frame(200)
    one = AutoencoderTransformer(2, prior="gaussian", **QUICK).fit(X)
    many = AutoencoderTransformer(2, **QUICK).fit(X)
    np.testing.assert_array_equal(one.transform(X), many.transform(X))
    assert many.score(X) > one.score(X)
    assert one.score(X) > score_alone(one, X).mean()


def test_weights_count_as_copies():
    X, weight = draw_frame(120), np.random.default_rng(0).integers(1, 4, size=120)
    model = AutoencoderTransformer(2, **QUICK)
    by_weight = model.fit(X, sample_weight=weight).score_samples(X)
    copied = model.fit(X.loc[X.index.repeat(weight)]).score_samples(X)
    np.testing.assert_allclose(by_weight, copied, rtol=1e-10)


def test_a_stream_is_scored_by_a_sample_of_its_rows():
    model = AutoencoderTransformer(2, hidden_layer_sizes=(8,), random_state=0)
    X = draw_frame(400, share=0.1)
    model.partial_fit(X.iloc[:200])
    n_rows = model._fitted.density.mixed.n_rows
    model.partial_fit(X.iloc[200:])
    assert n_rows <= 200
    assert model._fitted.density.mixed.n_rows > 1.8 * n_rows  # copies are merged
    assert model.score(X) > score_alone(model, X).mean()


def test_a_block_after_a_fit_does_not_outweigh_it():
    model = AutoencoderTransformer(2, **QUICK).fit(draw_frame(300))
    fitted = model._fitted.density
    model.partial_fit(draw_frame(30, seed=1))
    assert model._fitted.density.mixed is fitted.mixed
    assert model._fitted.density.moments.codes.total == pytest.approx(330)

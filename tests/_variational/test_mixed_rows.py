"""Rows of numbers, booleans and categories: masses, the beginning, samples."""

import itertools
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

from skae import VAETransformer
from skae.modules.mixed_likelihood import MixedLikelihood
from tests._variational.unmapped import forget_margins

UNTRAINED = {"lr": 1e-30, "max_epochs": 1, "early_stopping": False, "random_state": 0}


def make_frame(n_rows, seed=0):
    """Return columns of all kinds that depend on two groups; a number is never below zero."""
    rng = np.random.default_rng(seed)
    group = rng.integers(2, size=n_rows)
    colours = np.array(["red", "green", "blue"])
    likely = np.array([[0.7, 0.2, 0.1], [0.05, 0.15, 0.8]])
    return pd.DataFrame(
        {
            "size": group + 0.3 * rng.normal(size=n_rows),
            "colour": pd.Categorical([rng.choice(colours, p=likely[g]) for g in group]),
            "paid": np.maximum(rng.normal(size=n_rows) + group - 0.5, 0.0),
            "is_old": rng.random(n_rows) < np.where(group, 0.9, 0.2),
            "town": pd.Categorical(rng.choice(list("abcd"), size=n_rows, p=[0.4, 0.3, 0.2, 0.1])),
        }
    )


@pytest.fixture(scope="module")
def frame():
    return make_frame(900)


@pytest.fixture(scope="module")
def fitted(frame):
    return VAETransformer(2, max_epochs=30, random_state=0).fit(frame[:600])


def score_alone(frame, test):
    """The mean log-density of rows whose columns are independent."""
    total = np.zeros(len(test))
    for name in frame:
        if frame[name].dtype == float:
            mean, spread = frame[name].mean(), frame[name].std(ddof=0)
            total += -0.5 * ((test[name] - mean) / spread) ** 2 - np.log(spread)
            total -= 0.5 * np.log(2 * np.pi)
        else:
            share = frame[name].astype(object).value_counts(normalize=True)
            total += np.log(test[name].astype(object).map(share).astype(float))
    return total.mean()


def test_masses_of_all_combinations_sum_to_one():
    rng = np.random.default_rng(0)
    labels = [list("xy"), list("abc"), list("pqrs")]
    first = rng.integers(2, size=400)
    second = np.where(rng.random(400) < 0.7, first, rng.integers(3, size=400))
    third = rng.choice(4, size=400, p=[0.5, 0.3, 0.15, 0.05])
    codes = np.column_stack([first, second, third])
    frame = pd.DataFrame(
        {str(i): pd.Categorical.from_codes(codes[:, i], own) for i, own in enumerate(labels)}
    )
    cells = itertools.product(*labels)
    every = pd.DataFrame(cells, columns=list("012")).astype("category")
    for parameters in (UNTRAINED, {**UNTRAINED, "lr": 0.01, "max_epochs": 40}):
        ours = VAETransformer(2, **parameters).fit(frame)
        assert np.exp(ours.score_samples(every)).sum() == pytest.approx(1, abs=0.02)


def test_independent_categories_have_their_log_frequencies():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "a": pd.Categorical(rng.choice(list("xyz"), size=2000, p=[0.6, 0.3, 0.1])),
            "b": rng.random(2000) < 0.1,
            "c": pd.Categorical(rng.choice(list("pqrst"), size=2000)),
        }
    )
    expected = sum(
        np.log(frame[name].astype(object).map(frame[name].value_counts(normalize=True)))
        for name in frame
    )
    for parameters in (UNTRAINED, {"max_epochs": 5, "random_state": 0}):
        found = VAETransformer(2, **parameters).fit(frame).score_samples(frame)
        assert abs(found.mean() - expected.mean()) / 3 < 0.02
        assert np.abs(found - expected).mean() / 3 < 0.05


@pytest.mark.parametrize("prior", ["standard", "mixture", "vamp"])
@pytest.mark.parametrize("noise_per_column", [True, False])
def test_training_begins_above_independent_columns(frame, prior, noise_per_column):
    initial = VAETransformer(2, prior=prior, noise_per_column=noise_per_column, **UNTRAINED)
    train, test = frame[:600], frame[600:]
    initial.fit(train)
    alone = score_alone(train, test)
    assert initial.elbo(test).bound.mean() > alone + (0.3 if prior != "vamp" else -1)
    assert initial.score(test) > alone + 0.3


def test_training_is_worth_it(frame, fitted):
    train, test = frame[:600], frame[600:]
    assert fitted.score(test) > score_alone(train, test) + 0.5
    assert fitted.validation_scores_ is not None


def test_only_observed_cells_count(frame, fitted):
    """The density of the missing cells, summed over what they can be, is one."""
    rows = frame[600:620]
    hidden = rows.assign(colour=pd.Categorical([None] * len(rows), categories=list(("red",))))
    each = [
        fitted.score_samples(rows.assign(colour=pd.Categorical([label] * len(rows))))
        for label in ("red", "green", "blue")
    ]
    total = np.logaddexp.reduce(each, axis=0)
    np.testing.assert_allclose(fitted.score_samples(hidden), total, atol=0.1)
    nothing = rows.copy().astype(object)
    nothing[:] = None
    np.testing.assert_allclose(fitted.score_samples(nothing), 0, atol=1e-6)


def test_order_of_columns_and_names_of_levels_change_nothing(frame):
    """Apart from chance: the networks' weights are drawn for columns in their order."""
    train, test = frame[:600], frame[600:]
    ours = VAETransformer(2, **UNTRAINED)
    expected = ours.fit(train).score_samples(test)
    names = {"red": "zzz", "green": "m", "blue": "a"}
    renamed = [part.assign(colour=part["colour"].map(names)) for part in (train, test)]
    found = clone(ours).fit(renamed[0]).score_samples(renamed[1])
    np.testing.assert_allclose(found, expected, atol=0.05)
    order = ["town", "paid", "is_old", "size", "colour"]
    found = clone(ours).fit(train[order]).score_samples(test[order])
    np.testing.assert_allclose(found.mean(), expected.mean(), atol=0.05)


def test_densities_follow_a_change_of_units(frame, fitted):
    units = {"size": 1000.0, "paid": 0.01}
    other = frame.assign(**{name: frame[name] * unit for name, unit in units.items()})
    again = clone(fitted).fit(other[:600])
    expected = fitted.score_samples(frame[600:]) - np.log(10)
    np.testing.assert_allclose(again.score_samples(other[600:]), expected, atol=0.05)
    missing = other[600:].assign(size=np.nan)
    expected = fitted.score_samples(frame[600:].assign(size=np.nan)) - np.log(0.01)
    np.testing.assert_allclose(again.score_samples(missing), expected, atol=0.05)


def test_samples_are_rows_of_the_table(frame, fitted):
    sample = fitted.sample(4000, random_state=0)
    assert list(sample.columns) == list(frame.columns)
    assert (sample.dtypes == frame.dtypes).all()
    assert set(sample["colour"]) == {"red", "green", "blue"}
    assert sample["paid"].min() == 0.0 or sample["paid"].min() > 0
    assert sample["size"].min() < 0
    for name in ("colour", "town", "is_old"):
        found, known = (part[name].value_counts(normalize=True) for part in (sample, frame))
        np.testing.assert_allclose(found.reindex(known.index), known, atol=0.06)
    assert sample["size"].mean() == pytest.approx(frame["size"].mean(), abs=0.1)
    blue = sample["colour"] == "blue"
    assert sample["size"][blue].mean() > sample["size"][~blue].mean() + 0.3
    again = fitted.sample(4000, random_state=0)
    assert sample.equals(again)
    expected = fitted.sample(50, random_state=0, noise=False)
    assert expected["paid"].min() >= 0


def test_dates_are_drawn_before_the_earliest():
    """Which stands as zero, but only numbers stay on their side of it."""
    first, n = pd.Timestamp("2020-01-01"), np.random.default_rng(0).uniform(0, 90, 300)
    frame = pd.DataFrame({"day": first + pd.to_timedelta(np.rint(n), unit="D"), "n": n})
    sample = VAETransformer(1, **UNTRAINED).fit(frame).sample(2000, random_state=0)
    assert first - pd.Timedelta(days=10) < sample["day"].min() < first
    assert sample["n"].min() >= 0


def test_a_stored_model_is_the_same(frame, fitted):
    other = pickle.loads(pickle.dumps(fitted))
    test = frame[600:650]
    np.testing.assert_array_equal(other.score_samples(test), fitted.score_samples(test))
    assert other.sample(20, random_state=1).equals(fitted.sample(20, random_state=1))


def test_the_floor_is_of_numbers_and_frequencies(frame, fitted):
    floor = fitted.module_.floor
    assert float(floor.share) == pytest.approx(10 / 600)
    far = frame[600:].assign(size=100.0)
    assert np.isfinite(fitted.score_samples(far)).all()
    largest = frame[:600]["size"].max()
    other = forget_margins(fitted)
    with torch.no_grad():
        other.module_.floor.numbers.share.fill_(0.5)
        other.module_.floor.numbers.centre += 1000
    other = pickle.loads(pickle.dumps(other))
    # Draws end a tenth of the range beyond it.
    moved = other.sample(2000, random_state=0)["size"] > largest
    assert 0.45 < moved.mean() < 0.55


def test_noise_is_of_numbers(frame, fitted):
    assert isinstance(fitted.module_.likelihood, MixedLikelihood)
    assert fitted.noise_variance_.shape == (2,)
    shared = VAETransformer(2, noise_per_column=False, **UNTRAINED).fit(frame[:200])
    assert isinstance(shared.noise_variance_, float)
    categories = VAETransformer(1, **UNTRAINED).fit(frame[["colour", "town"]])
    with pytest.raises(AttributeError, match="belongs to numbers"):
        _ = categories.noise_variance_


def test_shares_have_masses_too():
    rng = np.random.default_rng(0)
    frame = make_frame(300)[["colour", "is_old"]].assign(share=rng.random(300))
    ours = VAETransformer(2, likelihood="bernoulli", max_epochs=3, random_state=0).fit(frame)
    assert ours.score_samples(frame).max() < 0
    hidden = frame.assign(share=np.nan)
    assert (ours.score_samples(hidden) > ours.score_samples(frame) - 0.1).all()
    whole = ours.elbo(frame).bound
    assert (whole < 0).all()


def test_streams_of_frames(frame):
    stream = VAETransformer(2, random_state=0, max_epochs=1)
    for first in (0, 300, 600):
        stream.partial_fit(frame[first : first + 300])
    assert np.isfinite(stream.score_samples(frame)).all()
    assert stream.sample(500, random_state=0)["paid"].min() >= 0


def test_weights_count(frame):
    weight = np.where(frame["is_old"], 1.0, 0.125)
    ours = VAETransformer(2, **UNTRAINED).fit(frame, sample_weight=weight)
    share = weight[frame["is_old"]].sum() / weight.sum()
    found = ours.sample(4000, random_state=0)["is_old"].mean()
    assert found == pytest.approx(share, abs=0.04)


def test_few_rows_of_large_weights_begin_at_their_frequencies():
    """Logits are not fitted to one code of each, however many rows each stands for."""
    cells = itertools.product("xyz", "pqrst", [False, True])
    frame = pd.DataFrame(cells, columns=list("acb")).astype({"a": "category", "c": "category"})
    share = frame["a"].map({"x": 0.6, "y": 0.3, "z": 0.1}).astype(float) / 5
    share *= np.where(frame["b"], 0.1, 0.9)
    ours = VAETransformer(2, **UNTRAINED).fit(frame, sample_weight=2000 * share)
    found = share @ (ours.score_samples(frame) - np.log(share))
    assert found == pytest.approx(0, abs=0.05)


def test_shares_beside_categories_are_binarized(frame):
    shares = frame[["colour"]][:100].assign(share=np.linspace(0, 1, 100))
    model = VAETransformer(1, likelihood="bernoulli", binarize=True, max_epochs=2, random_state=0)
    assert np.isfinite(model.fit(shares).score_samples(shares)).all()

"""Scores of rows whose cells differ from what a column always was in training."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.stats import cauchy, norm

from skae import AutoencoderTransformer, DenoisingAutoencoder, VAETransformer

N_ROWS = 300
CLASSES = [AutoencoderTransformer, DenoisingAutoencoder, VAETransformer]
SEVEN = 7.0


def make_rows(seed=0):
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(N_ROWS, 4)) @ generator.normal(size=(4, 4))
    X[:, 2] = SEVEN
    return X


def make(cls, **parameters):
    ours = cls(2, hidden_layer_sizes=(8,), max_epochs=2, random_state=0)
    return ours.set_params(**parameters)


def cost(distance, n_rows=N_ROWS):
    """What a cell at a distance from the known value, in scales, costs."""

    def density(x):
        return (n_rows * norm.pdf(x, scale=1e-3) + cauchy.pdf(x, scale=10)) / (n_rows + 1)

    return np.log(density(distance) / density(0.0))


def change(X, value, column=2):
    changed = X.copy()
    changed[:, column] = value
    return changed


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("standardize", [True, False])
def test_an_unseen_value_costs_what_a_row_apart_does(cls, standardize):
    X = make_rows()
    ours = make(cls, standardize=standardize).fit(X)
    known = ours.score_samples(X)
    for value in (SEVEN, 7.0001, 7.01, 8.0, -1e6):
        found = ours.score_samples(change(X, value)) - known
        expected = cost(abs(value - SEVEN) / ours.scale_[2])
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)
    assert expected > -60


@pytest.mark.parametrize("cls", CLASSES)
def test_costs_of_columns_add_up_and_outlive_storage(cls):
    X = change(make_rows(), 0.0, column=0)
    ours = make(cls).fit(X)
    far = change(change(X, 3.0, column=0), 5.0)
    found = ours.score_samples(far) - ours.score_samples(X)
    np.testing.assert_allclose(found, cost(3.0) + cost(2.0), rtol=1e-6)
    loaded = pickle.loads(pickle.dumps(ours))
    np.testing.assert_array_equal(loaded.score_samples(far), ours.score_samples(far))


@pytest.mark.parametrize("cls", CLASSES)
def test_a_missing_cell_costs_nothing(cls):
    X = make_rows()
    X[::7, 1] = np.nan
    ours = make(cls).fit(X)
    gap, far = change(X, np.nan), change(X, 8.0)
    gap_and_far = np.where(np.arange(N_ROWS)[:, None] % 2, gap, far)
    found = ours.score_samples(gap_and_far)
    np.testing.assert_allclose(found[1::2], ours.score_samples(gap)[1::2])
    np.testing.assert_allclose(found[::2] - ours.score_samples(X)[::2], cost(1.0), rtol=1e-6)


@pytest.mark.parametrize("cls", CLASSES)
def test_numbers_beside_labels_cost_the_same(cls):
    X = make_rows()
    label = np.where(X[:, 0] > 0, "yes", "no")
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "seven": X[:, 2], "label": label})
    ours = make(cls).fit(frame)
    found = ours.score_samples(frame.assign(seven=9.0)) - ours.score_samples(frame)
    np.testing.assert_allclose(found, cost(2.0), rtol=1e-6)


@pytest.mark.parametrize("cls", CLASSES)
def test_a_column_that_varies_later_is_none_of_them(cls):
    X = make_rows()
    varied = change(X, SEVEN + np.random.default_rng(1).normal(size=N_ROWS))
    stream = make(cls).partial_fit(X)
    far = change(X, 8.0)
    found = stream.score_samples(far) - stream.score_samples(X)
    np.testing.assert_allclose(found, cost(1.0), rtol=1e-6)
    stream.partial_fit(X)
    found = stream.score_samples(far) - stream.score_samples(X)
    np.testing.assert_allclose(found, cost(1.0, 2 * N_ROWS), rtol=1e-6)
    stream.partial_fit(varied)
    assert np.ptp(stream.score_samples(far) - stream.score_samples(X)) > 1e-3

    again = make(cls, warm_start=True).fit(X)
    again.fit(X)
    found = again.score_samples(far) - again.score_samples(X)
    np.testing.assert_allclose(found, cost(1.0, 2 * N_ROWS), rtol=1e-6)
    for other in (varied, far):  # another constant is another value too
        moved = pickle.loads(pickle.dumps(again)).fit(other)
        assert moved._state.constants is None


@pytest.mark.parametrize("cls", CLASSES)
def test_a_stream_goes_on_after_a_fit(cls):
    X = make_rows()
    ours = make(cls).fit(X).partial_fit(X)
    far = change(X, 8.0)
    found = ours.score_samples(far) - ours.score_samples(X)
    np.testing.assert_allclose(found, cost(1.0, 2 * N_ROWS), rtol=1e-6)
    ours.partial_fit(far)
    assert ours._state.constants is None


def test_bounds_agree_with_scores_and_errors_see_the_cells():
    X = make_rows()
    far = change(X, 8.0)
    vae = make(VAETransformer).fit(X)
    known, found = vae.elbo(X), vae.elbo(far)
    np.testing.assert_allclose(found.bound - known.bound, cost(1.0), rtol=1e-6)
    np.testing.assert_array_equal(found.divergence, known.divergence)
    denoiser = make(DenoisingAutoencoder, n_components=None).fit(X)
    assert (denoiser.denoising_errors(far) > 1.01 * denoiser.denoising_errors(X)).mean() > 0.5


def test_masses_of_cells_that_are_zero_or_one_stay_masses():
    X = (make_rows() > 0).astype(float)
    ours = VAETransformer(2, likelihood="bernoulli", max_epochs=2, random_state=0).fit(X)
    cells = np.stack(np.meshgrid(*4 * [[0.0, 1.0]]), axis=-1).reshape(-1, 4)
    np.testing.assert_allclose(np.exp(ours.score_samples(cells)).sum(), 1.0, atol=0.05)
    assert ours._state.constants is None


@pytest.mark.parametrize("cls", CLASSES)
def test_tables_without_constant_columns_know_none(cls):
    ours = make(cls).fit(make_rows()[:, [0, 1, 3]])
    assert ours._state.constants is None
    assert "constants" not in ours.__getstate__()

"""The density of mixed rows, against masses and integrals that are known."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

from skae import AutoencoderTransformer
from skae._autoencoder.mixed_density import MixedDensity, MixedTask, fit_mixed_density
from skae._training import TrainingResult
from skae.modules.cells import CellLayout
from tests._autoencoder.mixed_tables import (
    DISCRETE,
    MIXED,
    draw_discrete,
    draw_mixed,
    encode_discrete,
    list_discrete,
    make_network,
    make_rows,
    scale_columns,
    to_double,
)


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


class Case:
    """A table, a network for it, and its density."""

    def __init__(self, X, layout, n_steps=150, held_out=None, is_mixture=True, error_ratio=1.0):
        self.scaling = scale_columns(X, layout)
        self.rows = make_rows(X, self.scaling)
        self.trained = make_network(self.rows, n_steps=n_steps)
        result = None
        if held_out is not None:
            unseen = make_rows(held_out, self.scaling)
            module = self.trained.module
            result = TrainingResult(module, None, 1, [], held_out=unseen, trained_on=self.rows)
        task = MixedTask.gather(
            self.rows, self.trained, layout, self.scaling, 0.0, result, is_mixture
        )
        self.density = fit_mixed_density(task, self.trained, error_ratio)

    def score(self, X, share=None, observed=None, density=None):
        """Return log-densities; `share` sets that of the codes."""
        density = self.density if density is None else density
        if share is not None:
            density = replace(density, share=share)
        batch = to_double(make_rows(X, self.scaling, observed))
        return density.log_density(self.trained.in_precision(torch.float64), batch).numpy()


@pytest.fixture(scope="module")
def discrete():
    return Case(encode_discrete(draw_discrete(600)), DISCRETE)


@pytest.fixture(scope="module")
def mixed():
    return Case(draw_mixed(600), MIXED)


@pytest.mark.parametrize("share", [None, 0.0, 0.999999])
def test_masses_of_all_rows_add_up_to_one(discrete, share):
    masses = np.exp(discrete.score(encode_discrete(list_discrete()), share))
    assert masses.sum() == pytest.approx(1, abs=0.02)
    if share is None:
        assert 0 < discrete.density.share < 1


def test_masses_add_up_to_one_for_a_network_that_knows_nothing():
    """The integral does not rely on codes that fit their rows."""
    case = Case(encode_discrete(draw_discrete(300)), DISCRETE, n_steps=0)
    masses = np.exp(case.score(encode_discrete(list_discrete()), 0.999999))
    assert masses.sum() == pytest.approx(1, abs=0.02)


def test_masses_are_near_the_true_ones(discrete):
    cells = draw_discrete(200_000, seed=5)
    index = np.ravel_multi_index(cells.T, (2, 3, 4))
    truth = np.bincount(index, minlength=24) / len(cells)
    for share in (None, 0.999999):
        ours = discrete.score(encode_discrete(list_discrete()), share)
        divergence = truth @ (np.log(truth) - ours)
        assert -0.01 < divergence < 0.06


@pytest.mark.parametrize("share", [0.0, 0.999999])
def test_a_missing_cell_is_summed_over(discrete, share):
    rows = encode_discrete(list_discrete())
    parts = np.exp(discrete.score(rows, share)).reshape(2, 3, 4).sum(axis=2)
    observed = np.ones(rows.shape, dtype=bool)
    observed[:, 4:] = False
    ours = np.exp(discrete.score(rows, share, observed)).reshape(2, 3, 4)
    np.testing.assert_allclose(ours, np.repeat(parts[:, :, None], 4, axis=2), rtol=0.03)


@pytest.mark.parametrize("share", [0.0, 0.999999])
def test_a_missing_number_is_integrated_over(mixed, share):
    grid = np.linspace(-4, 12, 1601)
    for row in draw_mixed(4, seed=3):
        rows = np.tile(row, (len(grid), 1))
        rows[:, 5] = grid
        total = np.exp(mixed.score(rows, share)).sum() * (grid[1] - grid[0])
        observed = np.ones((1, 6), dtype=bool)
        observed[:, 5] = False
        alone = np.exp(mixed.score(row[None], share, observed))[0]
        # Densities are of scaled numbers.
        assert total / mixed.scaling.scale[5] == pytest.approx(alone, rel=0.05)


def test_a_row_without_observed_cells_has_no_density(mixed):
    nothing = np.zeros((3, 6), dtype=bool)
    np.testing.assert_array_equal(mixed.score(draw_mixed(3), 0.5, nothing), 0)


def test_missing_cells_may_hold_anything(mixed):
    X, observed = draw_mixed(30), np.ones((30, 6), dtype=bool)
    observed[:, 1:4] = False
    observed[::2, 0] = False
    spoilt = X.copy()
    spoilt[~observed] = 0.7  # beside the code, from which the search begins
    found = mixed.score(spoilt, None, observed)
    np.testing.assert_allclose(found, mixed.score(X, None, observed), atol=0.1)


def test_independent_columns_have_their_frequencies():
    rng = np.random.default_rng(0)
    cells = np.column_stack(
        [rng.random(1000) < 0.3, rng.integers(0, 3, 1000), rng.integers(0, 4, 1000)]
    )
    X = encode_discrete(cells.astype(int))
    frequency = X.mean(axis=0)
    case = Case(X, DISCRETE, n_steps=0)
    rows = encode_discrete(list_discrete())
    expected = np.where(rows[:, 0] > 0, np.log(frequency[0]), np.log1p(-frequency[0]))
    expected = expected + rows[:, 1:] @ np.log(frequency[1:])
    np.testing.assert_allclose(case.score(rows), expected, atol=3 * 0.02)


def test_dependence_is_found(mixed):
    test = draw_mixed(1000, seed=2)
    alone = 0.0
    for own in ([0], [5], [4], [1, 2, 3]):
        observed = np.zeros((1000, 6), dtype=bool)
        observed[:, own] = True
        alone = alone + mixed.score(test, None, observed).mean()
    assert mixed.score(test).mean() > alone + 0.8
    assert mixed.score(test, 0.999999).mean() > alone + 0.6


def draw_scale(n_rows, seed=0):
    """Ten booleans that say on which side of ten bounds a hidden number lies, mostly."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(n_rows, 1))
    return (hidden + 0.3 * rng.normal(size=(n_rows, 10)) > np.linspace(-1.5, 1.5, 10)).astype(float)


def test_held_out_rows_say_what_the_network_is_worth():
    layout, X, others = CellLayout((), tuple(range(10))), draw_scale(300), draw_scale(200, seed=1)
    spoilt, trained = (Case(X, layout, n_steps=n, held_out=others) for n in (0, 150))
    assert spoilt.density.share < trained.density.share - 0.1
    assert trained.density.n_rows == 500
    test = draw_scale(1000, seed=2)
    scores = [case.score(test, 0.999999).mean() for case in (spoilt, trained)]
    assert scores[0] < scores[1]


def test_rows_of_larger_errors_make_the_network_less_certain():
    X = draw_mixed(200)
    sure, unsure = (Case(X, MIXED, error_ratio=ratio) for ratio in (1.0, 3.0))
    np.testing.assert_allclose(
        unsure.density.codes.steepness, sure.density.codes.steepness / np.sqrt(3)
    )
    np.testing.assert_allclose(unsure.density.codes.variance, 3 * sure.density.codes.variance)
    assert unsure.density.share < sure.density.share


def test_one_class_of_codes_stands_beside_independent_columns():
    case = Case(draw_mixed(200), MIXED, is_mixture=False)
    assert len(case.density.codes.mean) == 1
    assert len(case.density.latent) == 1
    assert len(case.density.latent[0].weight) == 4  # with the background
    assert np.isfinite(case.score(draw_mixed(50, seed=1))).all()


def test_a_row_alone_scores_as_in_a_batch(mixed):
    X = draw_mixed(8, seed=4)
    alone = [mixed.score(row[None])[0] for row in X]
    np.testing.assert_allclose(mixed.score(X), alone, rtol=1e-9)


def test_rows_unlike_all_others_have_finite_densities(mixed):
    X = draw_mixed(3)
    X[0, 0], X[1, 5], X[2, [0, 5]] = 1e4, -1e4, 1e9
    for share in (None, 0.999999):
        scores = mixed.score(X, share)
        assert np.isfinite(scores).all()
        assert (scores < mixed.score(draw_mixed(3)).min()).all()


def test_a_stored_density_scores_alike(mixed):
    X = draw_mixed(20, seed=1)
    state = pickle.loads(pickle.dumps(mixed.density.get_state()))
    loaded = MixedDensity.from_state(state)
    np.testing.assert_array_equal(mixed.score(X, density=loaded), mixed.score(X))


def test_trimmed_rows_have_no_part_in_it():
    X = draw_mixed(400)
    X[:20, 5] = 1000.0
    scaling = scale_columns(X[20:], MIXED)
    rows = make_rows(X, scaling)
    trained = make_network(make_rows(X[20:], scaling))
    task = MixedTask.gather(rows, trained, MIXED, scaling, 0.1)
    density = fit_mixed_density(task, trained, 1.0)
    assert density.n_rows == 360
    assert np.abs(density.margins.mean[1]).max() < 100


def test_codes_do_not_fit_the_density(monkeypatch):
    """Of frames as of arrays of numbers: fits, codes and reconstructions need none."""
    fits = []

    def count(*args):
        fits.append(args)
        return fit_mixed_density(*args)

    monkeypatch.setattr("skae._autoencoder.density.fit_mixed_density", count)
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"size": rng.normal(size=80), "kind": rng.choice(["a", "b"], 80)})
    with torch.enable_grad():
        model = AutoencoderTransformer(1, max_epochs=2, random_state=0).fit(X)
        stream = clone(model)
    model.reconstruct(X)
    model.inverse_transform(model.transform(X))
    for _ in range(2):
        with torch.enable_grad():
            stream.partial_fit(X)
        stream.transform(X)
    assert not fits
    scores = model.score_samples(X)
    assert len(fits) == 1
    other = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(other.score_samples(X), scores)
    assert len(fits) == 1
    assert np.isfinite(stream.score_samples(X)).all()
    assert len(fits) == 2

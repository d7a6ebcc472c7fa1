"""Outputs are finite for all tables."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.exceptions import ConvergenceWarning

from skae import AutoencoderTransformer, VAETransformer

sizes = st.tuples(st.integers(1, 30), st.integers(1, 6))
numbers = st.one_of(
    st.floats(-1e30, 1e30, allow_subnormal=False),
    st.sampled_from([0.0, 1.0, -1.0, 1e-30, 1e30, -1e30, 1e-300, 1e12]),
)
tables = st.one_of(
    sizes.flatmap(lambda size: arrays(np.float64, size, elements=numbers)),
    sizes.flatmap(
        lambda size: arrays(np.float32, size, elements=st.floats(-(2.0**99), 2.0**99, width=32))
    ),
    sizes.flatmap(lambda size: arrays(np.int64, size, elements=st.integers(-(10**15), 10**15))),
    sizes.flatmap(lambda size: arrays(np.bool_, size)),
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    X=tables,
    n_components=st.integers(1, 8),
    hidden=st.sampled_from([(), (4,)]),
    standardize=st.booleans(),
)
def test_outputs_are_finite(X, n_components, hidden, standardize):
    ours = AutoencoderTransformer(
        n_components,
        hidden_layer_sizes=hidden,
        standardize=standardize,
        max_epochs=3,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours.fit(X)
    for values in (
        ours.transform(X),
        ours.reconstruct(X),
        ours.reconstruction_error(X),
        ours.score_samples(X),
        ours.inverse_transform(ours.transform(X)),
    ):
        assert np.isfinite(values).all()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    X=tables,
    n_components=st.integers(1, 8),
    hidden=st.sampled_from([(), (4,)]),
    prior=st.sampled_from(["standard", "mixture", "vamp"]),
    noise_per_column=st.booleans(),
    standardize=st.booleans(),
)
def test_outputs_of_the_variational_autoencoder_are_finite(
    X, n_components, hidden, prior, noise_per_column, standardize
):
    ours = VAETransformer(
        n_components,
        hidden_layer_sizes=hidden,
        standardize=standardize,
        prior=prior,
        noise_per_column=noise_per_column,
        max_epochs=3,
        n_draws=8,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours.fit(X)
    for values in (
        *ours.posterior(X),
        ours.reconstruct(X),
        ours.score_samples(X),
        *ours.elbo(X),
        ours.sample(5, random_state=0),
    ):
        assert np.isfinite(values).all()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(value=numbers, dtype=st.sampled_from([np.float32, np.float64]))
def test_outputs_of_far_rows_are_finite(value, dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3)).astype(dtype)
    ours = AutoencoderTransformer(2, hidden_layer_sizes=(4,), max_epochs=3, random_state=0).fit(X)
    far = np.full((1, 3), value, dtype=dtype)
    assert np.isfinite(ours.transform(far)).all()
    assert np.isfinite(ours.reconstruct(far)).all()
    assert np.isfinite(ours.score_samples(far)).all()
    if abs(value) > 1e3:
        assert ours.score_samples(far)[0] < ours.score_samples(X).min()


@pytest.mark.parametrize("hidden", [(), (4,)])
@pytest.mark.parametrize(
    "table",
    [
        np.ones((1, 1)),
        np.ones((1, 5)),
        np.arange(10.0)[:, None],
        np.ones((30, 3)),
        np.repeat(np.arange(30.0)[:, None], 4, axis=1),
        np.hstack([np.ones((30, 1)), np.random.default_rng(0).normal(size=(30, 2))]),
        1e9 + np.random.default_rng(0).normal(size=(50, 3)),
    ],
    ids=["1x1", "1 row", "1 column", "constant", "copied columns", "constant column", "far from 0"],
)
def test_degenerate_tables(table, hidden):
    ours = AutoencoderTransformer(2, hidden_layer_sizes=hidden, max_epochs=5, random_state=0)
    code = ours.fit_transform(table)
    assert code.shape == (len(table), 2)
    assert np.isfinite(code).all()
    assert np.isfinite(ours.score_samples(table)).all()
    scale = max(table.std(), 1e-12)
    if np.linalg.matrix_rank(table - table.mean(0), tol=1e-6) <= 2:
        np.testing.assert_allclose(ours.reconstruct(table), table, atol=1e-3 * scale)

"""Networks begin at PCA, or at sparse codes."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression

from skae._autoencoder.initialization import initialize_at_pca, initialize_sparse_codes
from skae._autoencoder.penalties import TARGET_ACTIVITY
from skae._linear import PrincipalAxes
from skae.modules import MLPArchitecture, make_autoencoder

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(200, 6)) @ RNG.normal(size=(6, 6)) + RNG.normal(size=6)).astype(np.float32)
WEIGHT = RNG.integers(0, 4, size=200).astype(float)


def make_module(n_components=3, **parameters):
    generator = torch.Generator().manual_seed(0)
    architecture = partial(MLPArchitecture((8,)), generator=generator)
    return make_autoencoder(6, n_components, architecture, generator=generator, **parameters)


def principal_axes(n_components=3, weight=None):
    rows = X if weight is None else X.repeat(weight.astype(int), axis=0)
    pca = PCA(n_components).fit(rows.astype(np.float64))
    return PrincipalAxes(pca.mean_, pca.components_), pca


@pytest.mark.parametrize(
    "parameters",
    [{}, {"tied_weights": True}, {"fixed_code_scale": True}],
    ids=["free", "tied", "fixed scale"],
)
def test_a_network_begins_at_pca_to_the_float32_digit(parameters):
    module = make_module(**parameters)
    axes, pca = principal_axes()
    initialize_at_pca(module, axes)
    codes = pca.transform(X)
    digit = 8 * np.finfo(np.float32).eps * np.abs(X).max()
    with torch.no_grad():
        found = module.encode(torch.from_numpy(X))
        np.testing.assert_allclose(found, codes, rtol=0, atol=digit)
        np.testing.assert_allclose(
            module.decode(found), pca.inverse_transform(codes), rtol=0, atol=digit
        )


def test_columns_keep_the_lengths_of_pca():
    """A penalty needs a decoder that cannot stretch; PCA's columns have length one."""
    module = make_module(fixed_code_scale=True)
    initialize_at_pca(module, principal_axes()[0])
    layer = module.linear_layers[1]
    with torch.no_grad():
        layer.parametrizations.weight.original.mul_(3.0)
    np.testing.assert_allclose(layer.weight.detach().norm(dim=0), 1.0, rtol=1e-6)


def initialize_sparse(weight=None, n_components=3, X=X, axes=None, **parameters):
    module = make_module(n_components, code_activation="logistic", **parameters)
    axes = principal_axes(n_components, weight)[0] if axes is None else axes
    initialize_sparse_codes(module, axes, X, weight)
    with torch.no_grad():
        return module, module.encode(torch.from_numpy(X)).numpy().astype(np.float64)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["alike", "weighted"])
def test_sparse_codes_are_whitened_around_the_target_activity(weight):
    _, codes = initialize_sparse(weight)
    inputs = np.log(codes / (1 - codes))
    np.testing.assert_allclose(
        np.average(inputs, axis=0, weights=weight),
        np.log(TARGET_ACTIVITY / (1 - TARGET_ACTIVITY)),
        atol=1e-4,
    )
    np.testing.assert_allclose(np.cov(inputs.T, aweights=weight, ddof=0), np.eye(3), atol=1e-4)
    mean_activity = np.average(codes, axis=0, weights=weight)
    assert (np.abs(mean_activity - TARGET_ACTIVITY) < 0.04).all()


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["alike", "weighted"])
def test_the_decoder_of_sparse_codes_is_their_regression(weight):
    module, codes = initialize_sparse(weight)
    expected = LinearRegression().fit(codes, X, sample_weight=weight).predict(codes)
    with torch.no_grad():
        found = module.decode(torch.from_numpy(codes).float())
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_tied_weights_have_no_regression():
    module, codes = initialize_sparse(tied_weights=True)
    assert abs(codes.mean() - TARGET_ACTIVITY) < 0.04
    encoder, decoder = module.linear_layers
    assert decoder.weight is encoder.weight


def test_directions_without_variance_are_not_blown_up():
    flat = X.copy()
    flat[:, 5] = 2.0
    axes = PrincipalAxes(flat.mean(axis=0).astype(float), np.eye(6)[[0, 5]])
    module, codes = initialize_sparse(n_components=2, X=flat, axes=axes)
    np.testing.assert_allclose(codes[:, 1], TARGET_ACTIVITY, rtol=1e-4)
    assert module.linear_layers[0].weight.abs().max() < 10
    assert torch.isfinite(module(torch.from_numpy(flat))).all()

"""Bounds of the parameters that the transformers share."""

import numpy as np
import pytest
from sklearn.base import clone

from skae import AutoencoderTransformer, DenoisingAutoencoder, VAETransformer
from skae._base.parameters import check_layer_sizes, refuse_parameters

TRANSFORMERS = [AutoencoderTransformer, DenoisingAutoencoder, VAETransformer]


@pytest.mark.parametrize("transformer", TRANSFORMERS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_components", 0),
        ("n_components", 0.0),
        ("n_components", 1.0),
        ("n_components", np.nan),
        ("n_components", "many"),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("weight_decay", -1e-9),
        ("max_epochs", 0),
        ("lr", 0.0),
        ("lr", "fast"),
        ("batch_size", 0),
        ("validation_fraction", 0.0),
        ("validation_fraction", 1.0),
        ("gap", -1),
        ("gap", 0.5),
        ("n_iter_no_change", 0),
        ("tol", 1.0),
        ("tol", -1e-9),
        ("trim_fraction", 0.5),
        ("optimizer", "adam"),
    ],
)
def test_values_at_and_beyond_the_bounds_are_refused(wine, transformer, name, value):
    for train in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match=f"The '{name}' parameter of"):
            getattr(transformer(**{name: value}), train)(wine)


@pytest.mark.parametrize("transformer", TRANSFORMERS)
@pytest.mark.parametrize(("name", "value"), [("callbacks", 3), ("lr", -1.0), ("tol", 2)])
def test_values_that_are_set_within_a_stream_are_validated(wine, transformer, name, value):
    ours = transformer(hidden_layer_sizes=(3,), random_state=0).partial_fit(wine)
    before = ours.reconstruct(wine)
    with pytest.raises(ValueError, match=f"The '{name}' parameter of"):
        ours.set_params(**{name: value}).partial_fit(wine)
    np.testing.assert_array_equal(ours.reconstruct(wine), before)


def test_values_within_the_bounds_are_taken(wine):
    ours = AutoencoderTransformer(
        1, weight_decay=0, tol=0, max_epochs=1, batch_size=1, n_iter_no_change=1, alpha=0.0
    )
    assert clone(ours).fit(wine[:20]).n_components_ == 1


def test_layer_sizes_are_positive_integers():
    assert check_layer_sizes([np.int64(3), 4]) == (3, 4)
    assert all(type(size) is int for size in check_layer_sizes([np.int64(3)]))
    assert check_layer_sizes(()) == ()
    for sizes in [(0,), (3, -1), (2.0,)]:
        with pytest.raises(ValueError, match="hidden_layer_sizes must be positive integers"):
            check_layer_sizes(sizes)


def test_parameters_are_refused_only_if_they_are_set():
    ours = AutoencoderTransformer(tied_weights=True)
    refuse_parameters(ours, ["pretrain", "dropout"], "an MLP")
    with pytest.raises(ValueError, match=r"^tied_weights=True requires an MLP$"):
        refuse_parameters(ours, ["pretrain", "tied_weights"], "an MLP")

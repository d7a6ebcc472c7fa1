"""Which denoisers have a training step without autograd; its gradients are tested in _training."""

import pytest

from skae import DenoisingAutoencoder
from skae._denoising.fast_step import make_fast_step


@pytest.mark.parametrize(
    ("parameters", "is_fast"),
    [
        ({}, True),
        ({"n_components": 2}, False),
        ({"init": "random"}, False),  # without a linear path, nothing is added to the filter
        ({"noise_level": 0.3}, False),
        ({"noise": "swap", "noise_level": (0.1, 0.3)}, False),
        ({"dropout": 0.1}, False),
    ],
    ids=str,
)
def test_rows_with_a_range_of_gaussian_noise_have_a_fast_step(curve, parameters, is_fast):
    ours = DenoisingAutoencoder(None, hidden_layer_sizes=(4,), max_epochs=1)
    ours.set_params(**parameters).fit(curve)
    step = make_fast_step(ours.module_.train(), ours.net_.criterion_)
    assert (step is not None) == is_fast

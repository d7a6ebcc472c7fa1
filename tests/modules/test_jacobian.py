"""Jacobians against torch's."""

import pytest
import torch

from skae.modules import MLP
from skae.modules.jacobian import decoder_jacobian


@pytest.mark.parametrize(("n_components", "n_features"), [(2, 5), (5, 2)])
def test_jacobians_of_all_rows(n_components, n_features):
    generator = torch.Generator().manual_seed(0)
    decode = MLP(n_components, n_features, (7,), "silu", generator=generator).double()
    codes = torch.randn(6, n_components, dtype=torch.float64, generator=generator)
    with torch.no_grad():
        found = decoder_jacobian(decode, codes, n_features)
    for code, jacobian in zip(codes, found, strict=True):
        expected = torch.autograd.functional.jacobian(lambda one: decode(one[None])[0], code)
        torch.testing.assert_close(jacobian, expected)

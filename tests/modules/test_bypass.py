"""A linear path and a nonlinear one with a gate."""

import torch

from skae.modules import MLP, Bypass


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_bypass_starts_closed_and_opens():
    path = Bypass(MLP(4, 3, generator=generator()), MLP(4, 3, (8,), generator=generator(1)), 3)
    X = torch.randn(10, 4, generator=generator())
    torch.testing.assert_close(path(X), path.linear(X))
    path(X).square().sum().backward()
    assert path.gate.grad.abs().min() > 0
    with torch.no_grad():
        path.gate.fill_(2.0)
    torch.testing.assert_close(path(X), path.linear(X) + 2 * path.nonlinear(X))


def test_each_output_has_a_gate():
    path = Bypass(MLP(4, 3, generator=generator()), MLP(4, 3, (8,), generator=generator(1)), 3)
    gate = torch.tensor([0.0, 1.0, -2.0])
    with torch.no_grad():
        path.gate.copy_(gate)
    X = torch.randn(10, 4, generator=generator())
    torch.testing.assert_close(path(X), path.linear(X) + gate * path.nonlinear(X))
    unit = torch.rand(10, 1, generator=generator())
    expected = path.linear(X) + unit * gate * path.nonlinear(X)
    torch.testing.assert_close(path.add_nonlinear(path.linear(X), X, unit), expected)


def test_without_a_nonlinear_path_there_is_no_gate():
    path = Bypass(MLP(4, 3, generator=generator()), None, 3)
    X = torch.randn(10, 4, generator=generator())
    assert path.gate is None
    assert torch.equal(path(X), path.linear(X))
    assert torch.equal(path.add_nonlinear(X, X, torch.ones(10, 1)), X)

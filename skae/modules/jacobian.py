"""Derivatives of a decoder."""

from collections.abc import Callable

import torch
from torch import Tensor

Decoder = Callable[[Tensor], Tensor]


def decoder_jacobian(decode: Decoder, code: Tensor, n_features: int) -> Tensor:
    """Return the Jacobians `(n_rows, n_features, n_components)` of `decode` at `code`.

    One backward pass a component serves all rows together: `J'u` is linear in `u`, and its
    gradient with respect to `u` consists of the columns of `J`. (`torch.func.jacfwd` returns
    the same, but its first call takes seconds and warns of torch's own deprecations.) With
    more components than features, one pass a feature is cheaper.
    """
    return decode_with_jacobian(decode, code, n_features)[1]


def decode_with_jacobian(decode: Decoder, code: Tensor, n_features: int) -> tuple[Tensor, Tensor]:
    """Return what codes decode to, and what `decoder_jacobian` does."""
    with torch.enable_grad():
        code = code.detach().requires_grad_()
        rows = decode(code)
        if code.shape[1] > n_features:
            lines = [_gradient(column.sum(), code) for column in rows.unbind(1)]
            return rows.detach(), torch.stack(lines, dim=1)
        direction = torch.zeros_like(rows, requires_grad=True)
        (pulled,) = torch.autograd.grad(rows, code, direction, create_graph=True)
        columns = [_gradient(part.sum(), direction) for part in pulled.unbind(1)]
        return rows.detach(), torch.stack(columns, dim=2)


def _gradient(value: Tensor, of: Tensor) -> Tensor:
    return torch.autograd.grad(value, of, retain_graph=True)[0].detach()

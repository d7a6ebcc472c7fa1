"""Derivatives of a decoder."""

from collections.abc import Callable

import torch
from torch import Tensor

from .autoencoder import Autoencoder
from .bypass import Bypass
from .encoder_decoder import EncoderDecoder
from .layers import has_hooks
from .mlp import is_perceptron
from .single_precision import SinglePrecision

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


def push_tangents(module: EncoderDecoder, code: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return what `decode_with_jacobian` does, of a decoder that is a perceptron in float32.

    It sits beside a linear path. Derivatives are pushed forward through its few products, which
    takes a fraction of the time of backward passes. Of other decoders, and with more components
    than features, the result is None.
    """
    decoder = module.decoder if type(module) is Autoencoder else None
    if type(decoder) is not Bypass or has_hooks(module, decoder):
        return None
    network, gate = decoder.nonlinear, decoder.gate
    if not isinstance(network, SinglePrecision) or gate is None or code.shape[1] > len(gate):
        return None
    if not is_perceptron(decoder.linear) or len(decoder.linear.layers) > 1:
        return None
    found = network.find_tangents(code)
    if found is None:
        return None
    out, tangents = found
    basis = torch.eye(code.shape[1], dtype=code.dtype, device=code.device)
    slope = decoder.linear(basis) - decoder.linear(torch.zeros_like(basis[:1]))
    rows = torch.addcmul(decoder.linear(code), gate, out)
    return rows, torch.addcmul(slope, gate, tangents).mT


def _gradient(value: Tensor, of: Tensor) -> Tensor:
    return torch.autograd.grad(value, of, retain_graph=True)[0].detach()

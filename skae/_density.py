"""Log-densities of rows under fitted networks: functions of tensors."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Decoder = Callable[[Tensor], Tensor]

# A residual variance below this share of a column's variance is taken for it: a density
# needs some width, also where the reconstruction is perfect.
SMALLEST_VARIANCE = 1e-6

# Elements of a block's largest array (rows x columns x components).
_BLOCK_ELEMENTS = 2**22


@dataclass(frozen=True)
class CodeModel:
    """The Gaussian model `z ~ N(mean, factor factor')`, `x | z ~ N(g(z), variance I)`.

    Attributes
    ----------
    mean : Tensor of shape (n_components,)
        Mean of the codes.
    factor : Tensor of shape (n_components, n_components)
        A square root of the codes' covariance, which may be singular.
    variance : float
        Variance of a cell around its reconstruction.
    """

    mean: Tensor
    factor: Tensor
    variance: float


def block_length(n_features: int, n_components: int) -> int:
    """Return how many rows' Jacobians are held at a time."""
    return max(1, _BLOCK_ELEMENTS // max(1, n_features * n_components))


def decoder_jacobian(decode: Decoder, code: Tensor, n_features: int) -> Tensor:
    """Return the Jacobians `(n_rows, n_features, n_components)` of `decode` at `code`.

    One backward pass a component, for all rows together: `J'u` is linear in `u`, and its
    gradient with respect to `u` has the columns of `J`. (`torch.func.jacfwd` gives the
    same, but its first call takes seconds and warns of torch's own deprecations.) With
    more components than features, one pass a feature is less.
    """
    with torch.enable_grad():
        code = code.detach().requires_grad_()
        rows = decode(code)
        if code.shape[1] > n_features:
            lines = [_gradient(column.sum(), code) for column in rows.unbind(1)]
            return torch.stack(lines, dim=1)
        direction = torch.zeros_like(rows, requires_grad=True)
        (pulled,) = torch.autograd.grad(rows, code, direction, create_graph=True)
        columns = [_gradient(part.sum(), direction) for part in pulled.unbind(1)]
        return torch.stack(columns, dim=2)


def _gradient(value: Tensor, of: Tensor) -> Tensor:
    return torch.autograd.grad(value, of, retain_graph=True)[0].detach()


def prior_factor(covariance: Tensor, variance: float, gain: Tensor) -> Tensor:
    """Return a factor of the codes' covariance without the part that is noise.

    The code of a row, as the encoder gives it, is its true code plus noise of covariance
    `variance (J'J)^-1`, so that much is taken off (in the linear case this is what makes
    the model probabilistic PCA: Tipping and Bishop 1999, equation 7).

    Parameters
    ----------
    covariance : Tensor of shape (n_components, n_components)
        Covariance of the training rows' codes.
    variance : float
        Variance of a cell around its reconstruction.
    gain : Tensor of shape (n_components, n_components)
        Mean of `J'J` over rows, `J` the decoder's Jacobian.
    """
    noise = variance * torch.linalg.pinv(gain, hermitian=True)
    values, vectors = torch.linalg.eigh(covariance - noise)
    return vectors * values.clamp_min(0).sqrt()


def laplace_log_density(decode: Decoder, input: Tensor, code: Tensor, model: CodeModel) -> Tensor:
    """Return the log-density of each row of `input`, in nats.

    Laplace's approximation of `log int N(z; m, S) N(x; g(z), s2 I) dz` around `z = f(x)`,
    with the Gauss-Newton Hessian and one Newton step to the mode: the decoder is replaced
    by its tangent at the code, `g(z + d) = g(z) + J d`, and the integral is then exactly
    `log N(x; g(z) + J (m - z), J S J' + s2 I)`. For a linear decoder it is exact whether
    or not the code is the posterior's mode, so that a linear autoencoder's score is
    probabilistic PCA's (MacKay 2003, chapter 27; Tipping and Bishop 1999).

    Parameters
    ----------
    decode : callable
        Maps codes `(n_rows, n_components)` to rows `(n_rows, n_features)`.
    input : Tensor of shape (n_rows, n_features)
        The rows.
    code : Tensor of shape (n_rows, n_components)
        Their codes.
    model : CodeModel
        The codes' distribution and the cells' noise.
    """
    n_features = input.shape[1]
    jacobian = decoder_jacobian(decode, code, n_features)
    tangent = jacobian @ model.factor
    offset = input - decode(code) + (jacobian @ (code - model.mean).unsqueeze(2)).squeeze(2)
    precision = tangent.mT @ tangent / model.variance
    precision.diagonal(dim1=1, dim2=2).add_(1)
    cholesky = torch.linalg.cholesky(precision)
    mode = torch.cholesky_solve(tangent.mT @ offset.unsqueeze(2) / model.variance, cholesky)
    # A sum of squares, where the textbook's difference of two would cancel.
    unexplained = (offset.unsqueeze(2) - tangent @ mode).squeeze(2)
    squares = unexplained.square().sum(1) / model.variance + mode.squeeze(2).square().sum(1)
    log_determinant = 2 * cholesky.diagonal(dim1=1, dim2=2).log().sum(1)
    constant = n_features * math.log(2 * math.pi * model.variance)
    return -0.5 * (constant + log_determinant + squares)

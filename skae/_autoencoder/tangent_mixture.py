"""A Gaussian mixture of codes with noise, whose density the decoder's tangents give."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from .._data import block_length
from .._linear import SMALLEST_VARIANCE, CodesAndErrors, find_clusters
from ..modules.background import measure_background
from ..modules.jacobian import Decoder

# Numbers of Gaussians that are tried after one, in turn, as long as the criterion improves.
_N_MIXED = (2, 4, 8)

# Up to this many columns the noise may have a full covariance, which takes products of each row
# with a matrix of its own length; with more, there is one Gaussian with a variance for each column.
_FULL_UP_TO = 64

# Up to this many columns several Gaussians may have one: with more columns than that the fit would
# take too long, and a variance for each column is mostly as good.
_SEVERAL_UP_TO = 16

# Largest number of Gaussians times the size of the code: a score then takes little more time than
# its Jacobians.
_MOST_MIXED = 48

# Weight, in rows, of the moments of all rows within each Gaussian, and of its diagonal within a
# full covariance.
_PRIOR_ROWS = 1.0

# Penalty of a parameter, in nats: between AIC's 1 and AIC3's 1.5 (Bozdogan 1994).
_PENALTY = 1.25

# Up to so many lines of each row are added one by one: products of short matrices take longer.
_FEW_LINES = 4

# Cells of the largest array of rows that each have a whitening of their own.
_BLOCK_CELLS = 2**22


@dataclass(frozen=True)
class Tangents:
    """Rows, and the decoder's tangents at the codes of some of them.

    Attributes
    ----------
    codes : ndarray of shape (n_rows, n_components)
        Codes.
    errors : ndarray of shape (n_rows, n_features)
        Rows less their reconstructions.
    weight : ndarray of shape (n_rows,)
        How often each row counts.
    jacobians : ndarray of shape (n_tangents, n_features, n_components)
        The decoder's Jacobians.
    indices : ndarray of shape (n_tangents,)
        The rows that they belong to.
    rows : ndarray of shape (n_tangents, n_features)
        These rows.
    observed : ndarray of bool of shape (n_rows, n_features) or None
        Which cells were observed; None is all. The others are drawn given these.
    n_draws : int, default=1
        How often each row is there, with other draws.
    """

    codes: np.ndarray
    errors: np.ndarray
    weight: np.ndarray
    jacobians: np.ndarray
    indices: np.ndarray
    rows: np.ndarray
    observed: np.ndarray | None = None
    n_draws: int = 1

    @property
    def tangent_weight(self) -> np.ndarray:
        """How often each tangent counts; all alike if none of their rows does."""
        weight = self.weight[self.indices]
        return weight if weight.any() else np.ones(len(weight))

    def make_tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the rows that have tangents, their codes, errors and Jacobians."""
        codes, errors = self.codes[self.indices], self.errors[self.indices]
        rows, code, error, jacobian = map(
            torch.from_numpy, (self.rows, codes, errors, self.jacobians)
        )
        return rows, code, error, jacobian

    @property
    def mask(self) -> Tensor | None:
        """Which cells of the rows that have tangents were observed; None is all."""
        return None if self.observed is None else torch.from_numpy(self.observed[self.indices])


@dataclass(frozen=True)
class _Whitening:
    """What makes the noise's variance 1 in the observed cells, and the others 0.

    Attributes
    ----------
    factor : Tensor of shape (n_features,) or (n_features, n_features)
        A factor for each column, or a matrix; with a first axis of rows if they differ.
    log_scale : Tensor of shape () or (n_rows,)
        Logarithm of its determinant.
    is_full : bool
        Whether it is a matrix.
    """

    factor: Tensor
    log_scale: Tensor
    is_full: bool

    @classmethod
    def from_columns(cls, factor: Tensor, mask: Tensor | None) -> Self:
        """Return the whitening of a noise that is independent in each column."""
        if mask is None:
            return cls(factor, factor.log().sum(), False)
        return cls(factor * mask, (factor.log() * mask).sum(dim=1), False)

    @classmethod
    def from_matrix(cls, factor: Tensor, mask: Tensor | None) -> Self:
        """Return the whitening of a noise with a full covariance: of its observed block."""
        if mask is None:
            return cls(factor, factor.diagonal().log().sum(), True)
        patterns, which = torch.unique(mask, dim=0, return_inverse=True)
        root = torch.linalg.inv(factor)
        share = patterns.to(factor)
        # The missing columns get a noise of variance 1, apart from all others.
        block = (root @ root.mT) * share.unsqueeze(1) * share.unsqueeze(2)
        cholesky = torch.linalg.cholesky(block + torch.diag_embed(1 - share))
        identity = torch.eye(len(factor)).to(factor).expand_as(cholesky)
        whitening = torch.linalg.solve_triangular(cholesky, identity, upper=False)
        log_scale = -cholesky.diagonal(dim1=1, dim2=2).log().sum(dim=1)
        return cls((whitening * share.unsqueeze(1))[which], log_scale[which], True)

    def apply(self, rows: Tensor) -> Tensor:
        """Return whitened rows."""
        if not self.is_full:
            return rows * self.factor
        if self.factor.ndim == 2:
            return rows @ self.factor.mT
        return (self.factor @ rows.unsqueeze(2)).squeeze(2)

    def apply_to_lines(self, lines: Tensor) -> Tensor:
        """Return whitened Jacobians, transposed: (n_rows, n_components, n_features)."""
        if not self.is_full:
            return lines * self.factor.unsqueeze(-2)
        return lines @ self.factor.mT  # one product for all rows if they have one factor


@dataclass(frozen=True)
class TangentMixture:
    """`z ~ N(mean, factor factor')`, `x | z ~ N(g(z) + offset, noise)`, for each Gaussian.

    Attributes
    ----------
    log_weight : Tensor of shape (n_mixed + 1,)
        Logarithms of the Gaussians' weights, and of the background's.
    mean : Tensor of shape (n_mixed, n_components)
        Means of the codes.
    factor : Tensor of shape (n_mixed, n_components, n_components)
        Square roots of the codes' covariances, which may be singular.
    offset : Tensor of shape (n_mixed, n_features)
        Mean errors.
    whitening : Tensor of shape (n_mixed, n_features) or (n_mixed, n_features, n_features)
        What makes the noise's variance 1: a factor for each column, or the inverse of the
        covariance's lower Cholesky factor.
    """

    log_weight: Tensor
    mean: Tensor
    factor: Tensor
    offset: Tensor
    whitening: Tensor

    def log_density(
        self,
        rows: Tensor,
        code: Tensor,
        error: Tensor,
        jacobian: Tensor,
        decode: Decoder | None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Return the log-density of each row's observed cells, in nats.

        `log sum_k w_k N(x; g(z) + J (m_k - z) + c_k, J S_k J' + N_k)`: for each Gaussian what
        `laplace_log_density` computes for one. The last of the weights is the background's.

        A row that the decoder does not come near may lie on a tangent all the same. So the error
        on the tangent is replaced by that of the decoder, at the code that is the mode on the
        tangent of the likeliest Gaussian. For a linear decoder they are the same.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, n_features)
            The rows.
        code : Tensor of shape (n_rows, n_components)
            Their codes `z`.
        error : Tensor of shape (n_rows, n_features)
            The rows less their reconstructions `g(z)`.
        jacobian : Tensor of shape (n_rows, n_features, n_components)
            The decoder's Jacobians `J` at the codes.
        decode : callable or None
            The decoder; None takes the tangents for it.
        mask : Tensor of bool of shape (n_rows, n_features) or None, default=None
            Which cells are observed; None is all.
        """
        n_whitening = rows.shape[1] ** 2
        if mask is None or self.whitening.ndim == 2 or len(rows) * n_whitening <= _BLOCK_CELLS:
            return self._log_density(rows, code, error, jacobian, decode, mask)
        # Each row has a whitening of its own.
        length = block_length(n_whitening, _BLOCK_CELLS, most_rows=_BLOCK_CELLS)
        given = (rows, code, error, jacobian, mask)
        parts = zip(*(part.split(length) for part in given), strict=True)
        return torch.cat([self._log_density(r, z, e, j, decode, m) for r, z, e, j, m in parts])

    def _log_density(
        self,
        rows: Tensor,
        code: Tensor,
        error: Tensor,
        jacobian: Tensor,
        decode: Decoder | None,
        mask: Tensor | None,
    ) -> Tensor:
        lines = jacobian.mT.contiguous()
        make = _Whitening.from_columns if self.whitening.ndim == 2 else _Whitening.from_matrix
        noises = [make(part, mask) for part in self.whitening]
        n_observed = rows.shape[1] if mask is None else mask.sum(dim=1).to(rows)
        each = [
            self._score_gaussian(k, noise, code, error, lines, n_observed)
            for k, noise in enumerate(noises)
        ]
        parts = torch.stack([part.log_density for part in each], dim=1) + self.log_weight[:-1]
        total = parts.logsumexp(dim=1)
        if decode is not None:
            nearest = parts.argmax(dim=1)
            mode = _choose([part.mode for part in each], nearest)
            squares = _choose([part.squares for part in each], nearest)
            left = rows - decode(mode) - self.offset[nearest]
            left = _choose([noise.apply(left) for noise in noises], nearest)
            total = total + 0.5 * (squares - left.square().sum(dim=1))
        return torch.logaddexp(total, self.log_weight[-1] + measure_background(rows, mask))

    def _score_gaussian(
        self,
        k: int,
        noise: _Whitening,
        code: Tensor,
        error: Tensor,
        lines: Tensor,
        n_observed: Tensor | int,
    ) -> "_ScoredGaussian":
        """Return what one of the Gaussians says of rows, given the lines of `J'`."""
        factor = self.factor[k]
        offset = noise.apply(error - self.offset[k] + _combine(lines, code - self.mean[k]))
        lines = noise.apply_to_lines(lines)
        # With `T = J factor`, whitened: `T'T + I` and `T' offset`, without T.
        half = (lines @ lines.mT) @ factor
        precision = half.mT.contiguous() @ factor
        precision.diagonal(dim1=1, dim2=2).add_(1)
        cholesky = torch.linalg.cholesky(precision)
        along = torch.linalg.vecdot(lines, offset.unsqueeze(1)) @ factor
        mode = torch.cholesky_solve(along.unsqueeze(2), cholesky).squeeze(2)
        step = mode @ factor.mT
        squares = (offset - _combine(lines, step)).square().sum(1)
        log_determinant = cholesky.diagonal(dim1=1, dim2=2).log().sum(1)
        constant = noise.log_scale - 0.5 * n_observed * math.log(2 * math.pi)
        distance = squares + mode.square().sum(1)
        return _ScoredGaussian(
            constant - log_determinant - 0.5 * distance, self.mean[k] + step, squares
        )

    def to(self, device: torch.device) -> "TangentMixture":
        """Return the mixture on a device."""
        return TangentMixture(*(getattr(self, field.name).to(device) for field in fields(self)))

    def widen(self, factor: float) -> "TangentMixture":
        """Return the mixture with the noise's variances multiplied by a factor."""
        return replace(self, whitening=self.whitening / math.sqrt(factor))

    def get_state(self) -> dict[str, Any]:
        """Return arrays by name."""
        return {field.name: getattr(self, field.name).numpy() for field in fields(self)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the mixture of a stored state."""
        return cls(**{name: torch.from_numpy(value) for name, value in state.items()})


class _ScoredGaussian(NamedTuple):
    """Rows under a Gaussian: log-density, mode of the code, squared and whitened error there."""

    log_density: Tensor
    mode: Tensor
    squares: Tensor


def _combine(lines: Tensor, weight: Tensor) -> Tensor:
    """Return the sum of each row's lines (n_rows, n_lines, n_features) with weights."""
    if lines.shape[1] > _FEW_LINES:
        return (weight.unsqueeze(1) @ lines).squeeze(1)
    return (lines * weight.unsqueeze(2)).sum(dim=1)


def _choose(values: list[Tensor], index: Tensor) -> Tensor:
    """Return those of the values for all rows that an index for each row names."""
    if len(values) == 1:
        return values[0]
    return torch.stack(values, dim=1)[torch.arange(len(index), device=index.device), index]


def fit_tangent_mixture(tangents: Tangents) -> TangentMixture:
    """Return the mixture with the lowest criterion, one Gaussian among the candidates.

    Parameters
    ----------
    tangents : Tangents
        Training rows.
    """
    weight = tangents.tangent_weight
    found: list[tuple[float, TangentMixture]] = []
    for family in _list_families(tangents):
        last = np.inf
        for mixture, n_parameters in family:
            each = mixture.log_density(*tangents.make_tensors(), None, tangents.mask)
            nats = np.average(each.numpy(), weights=weight)
            loss = _PENALTY * n_parameters / tangents.weight.sum() - nats
            if not loss <= last:  # nor one that isn't a number
                break
            found.append((loss, mixture))
            last = loss
    return min(found, key=lambda pair: pair[0])[1]


def _list_families(tangents: Tangents) -> Iterator[Iterator[tuple[TangentMixture, int]]]:
    """Yield candidates by growing size, first with a variance for each column."""
    n_rows = np.count_nonzero(tangents.weight) // tangents.n_draws
    n_features = tangents.errors.shape[1]
    n_components = tangents.codes.shape[1]
    most = max(1, _MOST_MIXED // n_components) if n_features <= _FULL_UP_TO else 1
    most_apart = min(most, max(1, n_rows // max(n_components + 2, 5)))
    yield _grow(tangents, most_apart, full=False)
    if n_features <= min(n_rows, _FULL_UP_TO):
        most_full = most if n_features <= _SEVERAL_UP_TO else 1
        yield _grow(tangents, min(most_full, n_rows // n_features), full=True)


def _grow(tangents: Tangents, most: int, full: bool) -> Iterator[tuple[TangentMixture, int]]:
    """Yield mixtures of growing size, with the number of their parameters."""
    n_components, n_features = tangents.codes.shape[1], tangents.errors.shape[1]
    if full:
        n_each = n_features + n_features * (n_features + 1) // 2
    else:
        n_each = n_components + n_components * (n_components + 1) // 2 + 2 * n_features
    yield _assemble(tangents, np.ones((len(tangents.codes), 1)), full), n_each
    if most == 1:
        return
    rows = CodesAndErrors.from_arrays(tangents.codes, tangents.errors, tangents.weight, full)
    for n_mixed in [size for size in _N_MIXED if size <= most]:
        yield _assemble(tangents, find_clusters(rows, n_mixed), full), n_mixed * n_each


def _assemble(tangents: Tangents, share: np.ndarray, full: bool) -> TangentMixture:
    """Return the mixture of rows that belong to its Gaussians by these shares."""
    weights = (share * tangents.weight[:, None]).T
    near = weights[:, tangents.indices]
    flat = tangents.jacobians.reshape(len(tangents.indices), -1)
    total = near.sum(axis=1, keepdims=True)
    common = tangents.tangent_weight
    mean_jacobian = (common / common.sum()) @ flat
    # With few tangents of its own, a Gaussian takes those of all rows too.
    slopes = (near @ flat + _PRIOR_ROWS * mean_jacobian) / (total + _PRIOR_ROWS)
    slopes = slopes.reshape(-1, *tangents.jacobians.shape[1:])
    make = _make_full if full else _make_apart
    whole = _weigh_moments(tangents, tangents.weight, mean_jacobian.reshape(slopes.shape[1:]), None)
    measured = [
        _weigh_moments(tangents, weight, slope, whole)
        for weight, slope in zip(weights, slopes, strict=True)
    ]
    parts = [make(part) for part in measured]
    size = np.append(weights.sum(axis=1), 1.0).clip(min=np.finfo(np.float64).tiny)
    return TangentMixture(
        torch.from_numpy(np.log(size / size.sum())),
        torch.from_numpy(np.stack([part.mean for part in measured])),
        torch.from_numpy(np.stack([factor for factor, _ in parts])),
        torch.from_numpy(np.stack([part.offset for part in measured])),
        torch.from_numpy(np.stack([whitening for _, whitening in parts])),
    )


@dataclass(frozen=True)
class _Moments:
    """What a Gaussian is made from.

    Attributes
    ----------
    mean, codes : ndarray of shape (n_components,) and (n_components, n_components)
        Mean and covariance of the codes.
    offset, errors : ndarray of shape (n_features,)
        Means and variances of the errors.
    rows : ndarray of shape (n_features, n_features)
        Covariance of rows along a straight decoder.
    slope : ndarray of shape (n_features, n_components)
        The straight decoder.
    total : float
        Weight of the rows.
    """

    mean: np.ndarray
    codes: np.ndarray
    offset: np.ndarray
    errors: np.ndarray
    rows: np.ndarray
    slope: np.ndarray
    total: float


def _weigh_moments(
    tangents: Tangents, weight: np.ndarray, slope: np.ndarray, whole: _Moments | None
) -> _Moments:
    """Return weighted moments, to which those of all rows add a little."""
    own = float(weight.sum())
    share = weight / max(own, np.finfo(np.float64).tiny)
    mean = share @ tangents.codes
    offset, squares, seen = _measure_errors(tangents, weight)
    codes, errors = tangents.codes - mean, tangents.errors - offset
    n_features = len(offset)
    total = own if whole is None else own + _PRIOR_ROWS
    straight = codes @ slope.T + errors if n_features <= _FULL_UP_TO else errors[:, :0]
    found = ((codes.T * weight) @ codes, squares, (straight.T * weight) @ straight)
    if whole is not None:
        prior = (whole.codes, whole.errors, whole.rows)
        found = tuple(f + _PRIOR_ROWS * p for f, p in zip(found, prior, strict=True))
        seen = seen + _PRIOR_ROWS
    covariance, variance, rows = found[0] / total, found[1] / seen, found[2] / total
    return _Moments(mean, covariance, offset, variance, rows, slope, total)


def _measure_errors(
    tangents: Tangents, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray | float]:
    """Return the errors' means, sums of squares around them, and the weights of these sums.

    Those of cells that were not observed say nothing of the decoder.
    """
    if tangents.observed is None:
        own = float(weight.sum())
        offset = weight / max(own, np.finfo(np.float64).tiny) @ tangents.errors
        return offset, weight @ np.square(tangents.errors - offset), own
    each = weight[:, None] * tangents.observed
    seen = np.maximum(each.sum(axis=0), np.finfo(np.float64).tiny)
    offset = (each * tangents.errors).sum(axis=0) / seen
    return offset, (each * np.square(tangents.errors - offset)).sum(axis=0), seen


def _make_apart(moments: _Moments) -> tuple[np.ndarray, np.ndarray]:
    """Return the factor of the codes, and the whitening of a noise of each column."""
    noise = np.maximum(moments.errors * _count_freedom(moments.slope), SMALLEST_VARIANCE)
    seen = np.linalg.pinv(moments.slope.T @ (moments.slope / noise[:, None]), hermitian=True)
    return _find_root(moments.codes - seen), 1 / np.sqrt(noise)


def _make_full(moments: _Moments) -> tuple[np.ndarray, np.ndarray]:
    """Return the factor of the codes, and the whitening of a noise with a full covariance.

    For a linear decoder the covariance of the rows is that of the training rows.
    """
    slope, total = moments.slope, moments.total
    diagonal = np.diag(moments.rows.diagonal())
    covariance = (total * moments.rows + _PRIOR_ROWS * diagonal) / (total + _PRIOR_ROWS)
    covariance += SMALLEST_VARIANCE * np.eye(len(covariance))
    # The largest part that codes can have of the covariance, less the noise along the tangent.
    along = np.linalg.pinv(slope.T @ np.linalg.solve(covariance, slope), hermitian=True)
    noise = max(moments.errors.mean() * _count_freedom(slope), SMALLEST_VARIANCE)
    factor = _find_root(along - noise * np.linalg.pinv(slope.T @ slope, hermitian=True))
    tangent = slope @ factor
    values, vectors = np.linalg.eigh(covariance - tangent @ tangent.T)
    left = (vectors * np.maximum(values, SMALLEST_VARIANCE)) @ vectors.T
    return factor, np.linalg.inv(np.linalg.cholesky(left))


def _count_freedom(slope: np.ndarray) -> float:
    """Return the factor that corrects errors for the directions that codes take away."""
    n_features, n_components = slope.shape
    return n_features / (n_features - n_components) if n_features > n_components else 1.0


def _find_root(covariance: np.ndarray) -> np.ndarray:
    """Return a square root of the part of a symmetric matrix that is positive."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return vectors * np.sqrt(values.clip(min=0))

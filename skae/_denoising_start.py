"""Denoisers put where training begins: at the best linear denoiser."""

from typing import Any, cast

import numpy as np
import torch
from scipy import linalg
from torch import Tensor, nn

from ._building import start_at_pca, start_at_rare_codes
from ._corruption import Corruption
from ._covariance import Covariance, trimmed_covariance
from ._environment import RandomStreams
from ._pca import PrincipalAxes
from ._training import AnyRows, Rows, Training, pretrain_layerwise
from .modules import (
    MLP,
    Bypass,
    CodeDenoiser,
    Denoiser,
    RowDenoiser,
    TransposedMLP,
    WienerFilter,
    set_weight,
)

# Rows that a linear regression is made from, and the ridges that are tried, as shares of a
# scaled column's variance.
_REGRESSION_ROWS = 10_000
_RIDGES = np.logspace(-6, 1, 15)


def put_at_start(
    module: Denoiser, estimator: Any, rows: AnyRows, training: Training, streams: RandomStreams
) -> None:
    """Put a module where training begins, by the parameters of an estimator."""
    some = rows.some()
    table, weight = some.table, some.weight_array
    n_features = module.filter.n_features
    corruption = getattr(training.objective, "corruption", None)
    if corruption is not None:
        module.levels.low.fill_(corruption.low)
        module.levels.high.fill_(corruption.high)
    generator, share = streams.numpy_generator(), estimator.trim_fraction
    noisy, clean = table[:, :n_features], table[:, -n_features:]
    covariance = trimmed_covariance(clean, weight, share, generator)
    if module.is_gaussian:
        start_at_filter(module, covariance)
    else:
        if isinstance(module, RowDenoiser):  # for its score, which is of the rows given
            given = covariance
            if corruption is None:
                given = trimmed_covariance(noisy, weight, share, generator)
            set_filter(module.filter, given)
        if estimator.init == "pca" and not estimator.tied_weights:
            pairs = noisy, clean, covariance.weight
            if corruption is not None:
                pairs = _sampled_pairs(clean, covariance.weight, corruption, streams)
            start_at_regression(module, *pairs, generator)
    if isinstance(module, CodeDenoiser):
        _start_code(module, estimator, covariance, clean, weight)
        if estimator.pretrain is not None:
            _pretrain(module, some, training, streams)


def _start_code(
    module: CodeDenoiser,
    estimator: Any,
    covariance: Covariance,
    clean: np.ndarray,
    weight: np.ndarray | None,
) -> None:
    """Start codes at what their penalty asks for, or at axes where weights are tied."""
    if estimator.init != "pca":
        return
    axes, _ = _axes_for_code(covariance.axes, len(module.precisions))
    start = PrincipalAxes(covariance.mean, axes)
    if estimator.penalty == "kl":
        module.precisions.zero_()
        start_at_rare_codes(module.autoencoder, start, clean, weight)
    elif estimator.tied_weights and not module.is_gaussian:
        start_at_pca(module.autoencoder, start)


def _sampled_pairs(
    clean: np.ndarray, weight: np.ndarray, corruption: Corruption, streams: RandomStreams
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return noisy and clean rows for a regression, ten rows a column if there can be."""
    some = streams.numpy_generator().permutation(len(clean))[:_REGRESSION_ROWS]
    wanted = min(10 * clean.shape[1], _REGRESSION_ROWS)
    some = np.tile(some, max(1, wanted // len(some)))
    noisy, _ = corruption.draw(torch.from_numpy(clean[some]), streams.torch_generator())
    return noisy.numpy(), clean[some], weight[some]


def _pretrain(module: CodeDenoiser, rows: Rows, training: Training, streams: RandomStreams) -> None:
    encoder, decoder = module.to(training.device).autoencoder.nonlinear_paths
    if isinstance(encoder, MLP) and isinstance(decoder, MLP | TransposedMLP):
        own = Rows(rows.X[:, : module.filter.n_features].contiguous(), rows.weight)
        pretrain_layerwise(encoder, decoder, own, training, streams)


def set_filter(filter: WienerFilter, covariance: Covariance) -> None:
    """Make a filter that of a covariance."""
    with torch.no_grad():
        filter.mean.copy_(torch.from_numpy(covariance.mean))
        filter.axes.copy_(torch.from_numpy(covariance.axes))
        filter.variances.copy_(torch.from_numpy(covariance.variances))
        filter.remainder.fill_(covariance.remainder)


def start_at_filter(module: Denoiser, covariance: Covariance) -> None:
    """Make the linear path the Wiener filter, or what of it passes through the code."""
    set_filter(module.filter, covariance)
    if not (isinstance(module, CodeDenoiser) and module.autoencoder.has_linear_path):
        return
    axes, places = _axes_for_code(covariance.axes, len(module.precisions))
    start_at_pca(module.autoencoder, PrincipalAxes(covariance.mean, axes))
    module.precisions.copy_(torch.from_numpy(1 / covariance.variances[places]))


def start_at_regression(
    module: Denoiser,
    noisy: np.ndarray,
    clean: np.ndarray,
    weight: np.ndarray | None,
    generator: np.random.Generator,
) -> None:
    """Make the linear path the regression of clean rows on noisy ones.

    Through a code it is the one of that rank (Izenman 1975): the regression, projected on
    the leading principal axes of what it predicts.
    """
    some = generator.permutation(len(noisy))[:_REGRESSION_ROWS]
    noisy, clean = noisy[some].astype(np.float64), clean[some].astype(np.float64)
    weight = None if weight is None else weight[some]
    slope, offset = _ridge_regression(noisy, clean, weight)
    with torch.no_grad():
        if isinstance(module, RowDenoiser):
            straight = cast(MLP, cast(Bypass, module.path).linear).layers[0]
            _set_affine(cast(nn.Linear, straight), slope, offset)
        else:
            _set_reduced(cast(CodeDenoiser, module), slope, offset, noisy, weight)


def _ridge_regression(
    X: np.ndarray, Y: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return slope and offset, the ridge chosen by generalised cross-validation.

    From the covariances alone (Golub, Heath and Wahba 1979, equation 1.4): with as many
    targets as columns, `sklearn.linear_model.RidgeCV`, which goes through the rows for
    each ridge, took minutes on a thousand columns.
    """
    share = np.full(len(X), 1 / len(X)) if weight is None else weight / weight.sum()
    centre_in, centre_out = share @ X, share @ Y
    X, Y = X - centre_in, Y - centre_out
    values, vectors = linalg.eigh(X.T @ (X * share[:, None]))
    values = values.clip(min=0.0)
    along = vectors.T @ (X.T @ (Y * share[:, None]))
    total, squares = share @ np.square(Y).sum(axis=1), np.square(along).sum(axis=1)
    shrunk = 1 / (values + _RIDGES[:, None])
    errors = total - (2 * shrunk - values * np.square(shrunk)) @ squares
    freedom = 1 - (shrunk @ values + 1) / len(X)
    scores = np.where(freedom > 0, errors / np.square(freedom), np.inf)
    best = shrunk[int(np.argmin(scores))]
    slope = (vectors @ (along * best[:, None])).T
    return slope, centre_out - slope @ centre_in


def _set_reduced(
    module: CodeDenoiser,
    slope: np.ndarray,
    offset: np.ndarray,
    noisy: np.ndarray,
    weight: np.ndarray | None,
) -> None:
    encoder, decoder = module.autoencoder.linear_layers
    predicted = noisy @ slope.T + offset
    centre = np.average(predicted, axis=0, weights=weight)
    centred = predicted - centre
    share = 1.0 if weight is None else weight[:, None]
    _, vectors = np.linalg.eigh(centred.T @ (centred * share))
    axes, _ = _axes_for_code(vectors.T[::-1], len(module.precisions))
    _set_affine(encoder, axes @ slope, axes @ (offset - centre))
    _set_affine(cast(nn.Linear, decoder), axes.T, centre)


def _axes_for_code(axes: np.ndarray, n_components: int) -> tuple[np.ndarray, np.ndarray]:
    """Return axes for a code, and their numbers; a code that is wider has some repeatedly."""
    places = np.arange(n_components) % len(axes)
    return axes[places] / np.sqrt(np.bincount(places)[places])[:, None], places


def _set_affine(layer: nn.Linear, weight: np.ndarray, bias: np.ndarray) -> None:
    set_weight(layer, _float(weight))
    layer.bias.copy_(_float(bias))


def _float(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).float()

"""Denoisers initialized at the best linear denoiser."""

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from .._autoencoder.initialization import initialize_at_pca, initialize_sparse_codes
from .._data import Rows
from .._environment import RandomStreams
from .._linear import (
    REGRESSION_ROWS,
    AffineMap,
    Covariance,
    PrincipalAxes,
    fit_covariance,
    fit_ridge_regression,
    reduce_rank,
    repeat_axes,
    shrink_covariance,
)
from ..modules import (
    MLP,
    Bypass,
    CodeDenoiser,
    Denoiser,
    RowDenoiser,
    WienerFilter,
    set_weight,
)
from .blueprint import DenoiserBlueprint
from .noise import Corruption


@dataclass(frozen=True)
class TrainingPairs:
    """Noisy and clean rows for a regression.

    Attributes
    ----------
    noisy, clean : ndarray of shape (n_rows, n_features)
        The rows.
    weight : ndarray of shape (n_rows,)
        How often each pair counts.
    """

    noisy: np.ndarray
    clean: np.ndarray
    weight: np.ndarray


def initialize_denoiser(
    module: Denoiser,
    blueprint: DenoiserBlueprint,
    rows: Rows,
    corruption: Corruption | None,
    trim_fraction: float,
    streams: RandomStreams,
) -> None:
    """Initialize a module, which is on the CPU, from the rows that it is trained on.

    Parameters
    ----------
    module : Denoiser
        The module.
    blueprint : DenoiserBlueprint
        What it was built from.
    rows : Rows
        The rows, or a subsample of them.
    corruption : Corruption or None
        The noise; None if the rows are pairs.
    trim_fraction : float
        Share of the rows, those farthest out, that is left out.
    streams : RandomStreams
        Source of noise, and of approximate decompositions.
    """
    if corruption is not None:
        module.levels.low.fill_(corruption.low)
        module.levels.high.fill_(corruption.high)
    generator = streams.make_numpy_generator()
    noisy, clean, weight = rows.table, rows.target_table, rows.weight_array
    n_least = len(module.precisions) if isinstance(module, CodeDenoiser) else 1
    covariance = fit_covariance(clean, weight, trim_fraction, generator, n_least)
    covariance = shrink_covariance(covariance, clean, generator)
    if module.is_gaussian:
        initialize_at_filter(module, covariance)
    else:
        if isinstance(module, RowDenoiser):  # for its score, the density of the rows given
            given = covariance
            if corruption is None:
                given = fit_covariance(noisy, weight, trim_fraction, generator)
                given = shrink_covariance(given, noisy, generator)
            set_filter(module.filter, given)
        code = blueprint.code
        if blueprint.network.linear_path and (code is None or not code.tied_weights):
            pairs = TrainingPairs(noisy, clean, covariance.weight)
            if corruption is not None:
                pairs = _sample_pairs(clean, covariance.weight, corruption, streams)
            initialize_at_regression(module, pairs, generator)
    if isinstance(module, CodeDenoiser) and blueprint.network.linear_path:
        _initialize_code(module, blueprint, covariance, clean, weight)


def _initialize_code(
    module: CodeDenoiser,
    blueprint: DenoiserBlueprint,
    covariance: Covariance,
    clean: np.ndarray,
    weight: np.ndarray | None,
) -> None:
    """Initialize codes to what their penalty requires, or to axes where weights are tied."""
    code = blueprint.code
    if code is None:
        return
    components, _ = repeat_axes(covariance.axes, code.n_components)
    axes = PrincipalAxes(covariance.mean, components)
    if code.code_activation == "logistic":
        module.precisions.zero_()
        initialize_sparse_codes(module.autoencoder, axes, clean, weight)
    elif code.tied_weights and not module.is_gaussian:
        initialize_at_pca(module.autoencoder, axes)


def _sample_pairs(
    clean: np.ndarray, weight: np.ndarray, corruption: Corruption, streams: RandomStreams
) -> TrainingPairs:
    """Return noisy and clean rows, ten for each column if there are enough."""
    indices = streams.make_numpy_generator().permutation(len(clean))[:REGRESSION_ROWS]
    wanted = min(10 * clean.shape[1], REGRESSION_ROWS)
    indices = np.tile(indices, max(1, wanted // len(indices)))
    generator = streams.make_torch_generator()
    noisy, _ = corruption.draw(torch.from_numpy(clean[indices]), generator)
    return TrainingPairs(noisy.numpy(), clean[indices], weight[indices])


def set_filter(filter: WienerFilter, covariance: Covariance) -> None:
    """Set a filter to that of a covariance."""
    filter.resize(len(covariance.axes))
    with torch.no_grad():
        filter.mean.copy_(torch.from_numpy(covariance.mean))
        filter.axes.copy_(torch.from_numpy(covariance.axes))
        filter.variances.copy_(torch.from_numpy(covariance.variances))
        filter.remainder.fill_(covariance.remainder)


def initialize_at_filter(module: Denoiser, covariance: Covariance) -> None:
    """Set the linear path to the Wiener filter, or to the part that passes through the code."""
    set_filter(module.filter, covariance)
    if not (isinstance(module, CodeDenoiser) and module.autoencoder.has_linear_path):
        return
    axes, indices = repeat_axes(covariance.axes, len(module.precisions))
    initialize_at_pca(module.autoencoder, PrincipalAxes(covariance.mean, axes))
    module.precisions.copy_(torch.from_numpy(1 / covariance.variances[indices]))


def initialize_at_regression(
    module: Denoiser, pairs: TrainingPairs, generator: np.random.Generator
) -> None:
    """Set the linear path to the regression of clean rows on noisy ones, of a code's rank."""
    indices = generator.permutation(len(pairs.noisy))[:REGRESSION_ROWS]
    noisy = pairs.noisy[indices].astype(np.float64)
    clean = pairs.clean[indices].astype(np.float64)
    weight = pairs.weight[indices]
    regression = fit_ridge_regression(noisy, clean, weight)
    with torch.no_grad():
        if isinstance(module, RowDenoiser):
            linear = cast(MLP, cast(Bypass, module.path).linear)
            _set_affine(linear.linear_layers[0], regression)
        elif isinstance(module, CodeDenoiser):
            n_components = len(module.precisions)
            encoder, decoder = module.autoencoder.linear_layers
            to_code, to_rows = reduce_rank(regression, noisy, weight, n_components)
            _set_affine(encoder, to_code)
            _set_affine(cast(nn.Linear, decoder), to_rows)


def _set_affine(layer: nn.Linear, affine: AffineMap) -> None:
    set_weight(layer, _to_float(affine.slope))
    layer.bias.copy_(_to_float(affine.offset))


def _to_float(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).float()

"""The density that a denoiser knows: a function of tensors."""

import math
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from ._covariance import trimmed_covariance
from ._denoising_start import set_filter
from ._environment import limited_threads
from ._losses import trimmed_weight
from ._training import Rows, TrainedModule
from .modules import CodeDenoiser, Denoiser, EncoderDecoder

N_LEVELS = 32
# Levels at which rows' errors are told apart, see `errors_by_level`.
N_ERROR_LEVELS = 12
_SEED = 19480701
_BESIDE_ROWS = 20_000
_OWN_PAIRS = 4
# Rows to calibrate on for each draw of the score: it needn't be more precise than that.
_CALIBRATION_ROWS = 128
# Cells of a block's largest array (rows x draws x columns).
_BLOCK_CELLS = 2**19


def rows_per_block(n_features: int, n_draws: int) -> int:
    """Return how many rows are scored at a time."""
    return max(1, _BLOCK_CELLS // (n_draws * max(n_features, 128)))


@lru_cache(maxsize=2)
def common_noise(n_draws: int, n_features: int) -> Tensor:
    """Return normal noise `(N_LEVELS, n_draws, n_features)`, the same at each call.

    In antithetic pairs, and of unit covariance.
    """
    generator = torch.Generator().manual_seed(_SEED)
    shape = (N_LEVELS, -(-n_draws // 2), n_features)
    half = _of_unit_covariance(torch.randn(shape, generator=generator, dtype=torch.float64))
    return torch.cat([half, -half], dim=1)


def _of_unit_covariance(noise: Tensor) -> Tensor:
    """Return noise whose second moments over the draws are exactly those of the normal.

    As far as so few draws can have them: with fewer draws than columns they are made
    orthogonal and of the length that is expected. The leading term of an error in
    the noise is its second moment.
    """
    n_draws, n_features = noise.shape[1:]
    left, _, right = torch.linalg.svd(noise, full_matrices=False)
    return math.sqrt(max(n_draws, n_features)) * left @ right


def knows_density(module: EncoderDecoder) -> bool:
    """Whether a module was told Gaussian noise of many levels."""
    return isinstance(module, Denoiser) and module.levels.is_told and module.is_gaussian


def fit_beside(trained: TrainedModule, rows: Rows, trim_fraction: float) -> None:
    """Learn what a code leaves of rows, for guesses that use all there is of them.

    Parameters
    ----------
    trained : TrainedModule
        The denoiser; nothing is done if it has no bottleneck.
    rows : Rows
        Training rows; some of them if they are many.
    trim_fraction : float
        Share of the rows, those farthest out, that is left out.
    """
    module = trained.module
    if not isinstance(module, CodeDenoiser):
        return
    places = np.linspace(0, len(rows) - 1, min(len(rows), _BESIDE_ROWS)).astype(int)
    some = rows.take(places)
    residuals = trained.apply(lambda module, part: part - module(part), some.X.cpu().numpy())
    generator = np.random.default_rng(0)  # for wide tables' approximate axes
    covariance = trimmed_covariance(residuals, some.weight_array, trim_fraction, generator)
    set_filter(module.beside, covariance)


def denoiser_log_density(module: Denoiser, rows: Tensor, calibration: dict[str, Any]) -> Tensor:
    """Return the log-density of each row that a denoiser stands for, in nats.

    A denoiser `d(x, s)` of least squared error determines the density (Kong, Brekelmans
    and Ver Steeg 2023, equation 8), with `a = 1 / s^2` by
    `-log p(x) = n/2 log(2 pi e) - 1/2 int [n / (1 + a) - E|x - d(x + s e, s)|^2] da`.
    The same holds for the Wiener filter and its Gaussian density, so that the difference
    of the two densities is half the integral of the difference of the two errors; the
    noise, common to both, all but cancels from it. The denoiser was trained on a range of
    levels. Above it, it is taken to be the filter. Below it the best denoiser of a smooth
    density is `x + s^2 grad log p(x)`, by which errors are `n s^2` but for terms of
    `s^4`: what the two errors differ by falls with `s^4` from the lowest level on, and
    its integral is known.

    Parameters
    ----------
    module : Denoiser
        The denoiser, its filter and its range of levels.
    rows : Tensor of shape (n_rows, n_features)
        The rows.
    calibration : dict
        What `calibrated` gave.
    """
    noise = common_noise(calibration["n_draws"], rows.shape[1]).to(rows)
    result = module.filter.log_density(rows) + calibration["offset"]
    for number, (level, weight) in enumerate(_levels(module)):
        gain = float(calibration["gains"][number])
        if gain > 0:
            agreement, size = _compared(module, rows, level, noise[number])
            result = result - weight * (gain**2 * size - 2 * gain * agreement)
    return result


def errors_by_level(module: Denoiser, rows: Tensor, n_draws: int) -> Tensor:
    """Return the squared error (n_rows, N_ERROR_LEVELS) to be expected of each row.

    The filter's is known exactly; draws, common to all rows, are taken of what the
    denoiser's is more or less. Levels are in equal ratios over the range of training.

    Parameters
    ----------
    module : Denoiser
        The denoiser.
    rows : Tensor of shape (n_rows, n_features)
        The rows, without noise.
    n_draws : int
        Draws of noise at each level.
    """
    noise = common_noise(n_draws, rows.shape[1]).to(rows)
    errors = []
    for number, level in enumerate(module.levels.grid(N_ERROR_LEVELS).tolist()):
        column = torch.full_like(rows[:, :1], level)
        agreement, size = _compared(module, rows, level, noise[number])
        errors.append(module.filter.error(rows, column) + size - 2 * agreement)
    return torch.stack(errors, dim=1)


class Calibration:
    """What `calibrated` gives, found when it is first asked for.

    It takes up to a third of a small table's fit, and who denoises or looks for anomalies
    never asks.

    Parameters
    ----------
    find : callable
        Returns it.
    """

    def __init__(self, find: Callable[[], dict[str, Any]]) -> None:
        self._find = find

    @cached_property
    def values(self) -> dict[str, Any]:
        """What was found."""
        return self._find()


def calibration_rows(rows: Rows, n_draws: int) -> Rows:
    """Return some of the rows, as many as a calibration looks at."""
    n_rows = min(len(rows), _CALIBRATION_ROWS * n_draws)
    return rows.take(np.linspace(0, len(rows) - 1, n_rows).astype(int))


def calibrated(
    trained: TrainedModule, rows: Rows, trim_fraction: float, n_draws: int
) -> dict[str, Any]:
    """Return how far the denoiser is to be trusted, and what its few draws are off by.

    At each level the denoiser counts as `filter + gain (denoiser - filter)`, the gain,
    from 0 to 1, being the one of least error on `rows`, which should be rows that
    training has not seen. And noise that is common to all rows errs for all of them
    alike: by so much, its mean over rows, as noise of each row's own says.

    Parameters
    ----------
    trained : TrainedModule
        The denoiser.
    rows : Rows
        Rows to look at; some of them if they are many.
    trim_fraction : float
        Share of the rows, those least likely under the filter, that is left out.
    n_draws : int
        Draws of noise at each level.
    """
    module = cast(Denoiser, trained.module)
    some = calibration_rows(rows, n_draws)
    X = some.X.to(next(module.buffers()))
    with torch.no_grad(), limited_threads(1):
        weight = trimmed_weight(-module.filter.log_density(X), some.weight, trim_fraction)
        weight = weight.to(X) / weight.sum()
        common = common_noise(n_draws, X.shape[1]).to(X)
        generator = torch.Generator(X.device).manual_seed(_SEED)
        own: list[list[float]] = []
        few: list[list[float]] = []
        for (level, nats), noise in zip(_levels(module), common, strict=True):
            half = torch.empty(len(X), _OWN_PAIRS, X.shape[1], dtype=X.dtype, device=X.device)
            half.normal_(generator=generator)
            fresh = torch.cat([half, -half], dim=1)
            for means, drawn in ((own, fresh), (few, noise)):
                parts = _compared(module, X, level, drawn)
                means.append([nats * float(weight @ part) for part in parts])
    gains = _gains(np.array(own))
    agreement, size = (np.array(few) - np.array(own)).T
    offset = float((gains**2 * size - 2 * gains * agreement).sum())
    return {"n_draws": n_draws, "gains": gains, "offset": offset}


def _gains(means: np.ndarray) -> np.ndarray:
    """Return the gain of each level from its agreement and size, and its neighbours'.

    A gain is a ratio of two noisy means; those of neighbours are alike.
    """
    window = [1.0, 2.0, 3.0, 2.0, 1.0]
    agreement, size = (np.convolve(column, window, mode="same") for column in means.T)
    return np.divide(agreement, size, out=np.zeros(len(size)), where=size > 0).clip(0.0, 1.0)


def _levels(module: Denoiser) -> list[tuple[float, float]]:
    """Return levels, and what a squared error at each adds to minus a log-density."""
    nodes, weights = np.polynomial.legendre.leggauss(N_LEVELS)
    low, high = float(module.levels.low), float(module.levels.high)
    half_range = 0.5 * math.log(high / low)
    levels = math.sqrt(low * high) * np.exp(half_range * nodes)
    # 1/2 da = ds / s^3, and the nodes are those of log s.
    weights = half_range * weights / levels**2
    # The integral below the range, where the difference falls with s^4.
    weights[0] += low**2 / (2 * levels[0] ** 4)
    return list(zip(levels.tolist(), weights.tolist(), strict=True))


def _compared(module: Denoiser, rows: Tensor, level: float, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return how the denoiser's step off the filter agrees with the filter's error, and its size.

    Both are means over the draws: `(x - w) (d - w)` and `|d - w|^2`, for which
    `|x - d|^2 - |x - w|^2` is the second less twice the first. `noise` is
    (n_draws, n_features), or has rows in front.
    """
    noisy = (rows[:, None, :] + level * noise).flatten(0, 1)
    column = torch.full_like(noisy[:, :1], level)
    n_draws = len(noisy) // max(len(rows), 1)
    filtered = module.filter(noisy, column)
    step = module.best_guess(noisy, column) - filtered
    error = rows.repeat_interleave(n_draws, dim=0) - filtered
    shape = (len(rows), n_draws)
    agreement = (error * step).sum(1).reshape(shape).mean(1)
    return agreement, step.square().sum(1).reshape(shape).mean(1)

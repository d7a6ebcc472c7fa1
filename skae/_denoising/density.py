"""The density that a denoiser's errors determine (I-MMSE), and the Gaussian one of its filter."""

import math
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from .._base import SINGLE_VARIANCE, Deferred, Density
from .._data import Batch, Rows, block_length, subsample_indices, trim_weight
from .._environment import isolate_torch, limit_threads
from .._linear import SMALLEST_VARIANCE, Covariance, fit_covariance, has_few_rows
from .._training import TrainedModule
from ..modules import CodeDenoiser, Denoiser, WienerFilter
from ..modules.cells import CellLayout
from ..modules.single_precision import SinglePrecision
from .incomplete import CellCodes, make_gaussian_class, score_with_completion
from .initialization import set_filter
from .stacking import Evidence, Stack, fit_stack

#: Levels of the integral: half as many do for tables of more than a few columns.
N_LEVELS = 32
#: Levels at which rows' errors are reported, see `measure_errors`.
N_ERROR_LEVELS = 12
_LEVELS_AT_A_TIME = 2
_FEW_COLUMNS = 4
_SEED = 19480701
_RESIDUAL_ROWS = 20_000
_FRESH_PAIRS = 4
# Rows to calibrate on, for each draw of the score: it needs no more precision than that. Of wide
# tables, whose rows have more cells to average over, fewer do.
_CALIBRATION_ROWS = 128
_CALIBRATION_CELLS = 2**17
# Cells of a block's largest array (rows x draws x columns), of at least 128 columns: with shorter
# blocks calls take as long as what they compute.
_BLOCK_CELLS = 2**19


def resolve_draws(n_draws: int | str, layout: CellLayout) -> int:
    """Return how many draws of noise a score takes at each level.

    In few columns the draws of one pair have few directions; sums over many columns vary less.
    """
    if not isinstance(n_draws, str):
        return int(n_draws)
    return 2 if layout.is_numeric and layout.n_encoded > _FEW_COLUMNS else 8


def has_score_by_errors(module: Denoiser) -> bool:
    """Whether a module's errors determine a density: those over a range of Gaussian noise."""
    return module.levels.noise_conditional and module.is_gaussian


@dataclass(frozen=True)
class Calibration:
    """How far to trust a denoiser at each level, and the error of its few draws.

    Attributes
    ----------
    gains : ndarray of shape (n_levels,)
        At each level the denoiser counts as `filter + gain (denoiser - filter)`.
    offset : float
        Correction for noise that is common to all rows, in nats.
    """

    gains: np.ndarray
    offset: float


@dataclass(frozen=True)
class ScoreModel:
    """What a score needs besides the denoiser.

    Attributes
    ----------
    calibration : Calibration
        How far to trust the denoiser.
    stack : Stack or None
        The mixture that it is stacked with.
    """

    calibration: Calibration
    stack: Stack | None


class ErrorPlan(NamedTuple):
    """Where errors are measured.

    Attributes
    ----------
    levels : tuple of int
        Which of N_ERROR_LEVELS levels.
    n_whole : int
        How many of them, the first, have all draws; the others have half, without mirror images.
    """

    levels: tuple[int, ...]
    n_whole: int

    def count_evaluations(self, n_draws: int) -> int:
        """Return how many evaluations of the network a row takes."""
        return -(-n_draws // 2) * (len(self.levels) + self.n_whole)


#: All draws at all levels.
ALL = ErrorPlan(tuple(range(N_ERROR_LEVELS)), N_ERROR_LEVELS)


class ErrorDensity(Density[Denoiser]):
    """The density that a denoiser's errors over a range of Gaussian noise determine.

    Parameters
    ----------
    n_features : int
        Number of columns.
    n_draws : int
        Draws of noise at each level.
    model : Deferred of ScoreModel
        The score's model. Denoising and anomaly scores don't need it.
    """

    def __init__(self, n_features: int, n_draws: int, model: Deferred[ScoreModel]) -> None:
        self.n_features = n_features
        self.n_draws = n_draws
        self._model = model

    @classmethod
    def fit(
        cls,
        trained: TrainedModule[Denoiser],
        rows: Rows,
        unseen: Rows | None,
        evidence: Evidence | None,
        trim_fraction: float,
        n_draws: int,
    ) -> Self:
        """Return the density of a denoiser.

        Parameters
        ----------
        trained : TrainedModule
            The denoiser, whose residual filter is fitted.
        rows : Rows
            Training rows.
        unseen : Rows or None
            Rows that training has not seen, to calibrate on.
        evidence : Evidence or None
            What weighs the denoiser and mixtures; None is the denoiser alone.
        trim_fraction : float
            Share of the rows, those farthest out, that is left out.
        n_draws : int
            Draws of noise at each level.
        """
        fit_residual_filter(trained, rows, trim_fraction)
        sample = choose_calibration_rows(rows, unseen, n_draws)
        fit_model = partial(_fit_score_model, trained, sample, evidence, trim_fraction, n_draws)
        return cls(rows.n_features, n_draws, Deferred(fit_model))

    @property
    def score_model(self) -> ScoreModel:
        """What the score needs besides the denoiser."""
        return self._model.get()

    def log_density(self, module: Denoiser, batch: Batch) -> Tensor:
        """Return the log-density of each row's observed cells, in nats."""
        if batch.mask is None:
            return self._score(module, batch.input)
        is_complete = batch.mask.all(dim=1)
        result = batch.input.new_empty(len(batch.input))
        if is_complete.any():  # not all networks take none
            result[is_complete] = self._score(module, batch.input[is_complete])
        result[~is_complete] = self._score_incomplete(module, batch.select(~is_complete))
        return result

    def _score(self, module: Denoiser, rows: Tensor) -> Tensor:
        calibration, stack = self.score_model.calibration, self.score_model.stack
        if stack is None:
            return denoiser_log_density(module, rows, calibration, self.n_draws)
        mixture = stack.log_density(module.filter, rows)
        if stack.share == 0:
            return mixture
        own = denoiser_log_density(module, rows, calibration, self.n_draws)
        return stack.combine(mixture, own)

    def _score_incomplete(self, module: Denoiser, batch: Batch) -> Tensor:
        calibration, stack = self.score_model.calibration, self.score_model.stack
        codes = CellCodes.from_numbers(self.n_features)
        if stack is None:
            classes = make_gaussian_class(module.filter)
        else:
            classes = stack.make_classes(module.filter)
            if stack.share == 0:
                return codes.score(classes, batch)

        def score(rows: Tensor) -> Tensor:
            return denoiser_log_density(module, rows, calibration, self.n_draws)

        known, own = score_with_completion(codes, classes, batch, score)
        return own if stack is None else stack.combine(known, own)

    def block_length(self) -> int:
        """Return how many rows to score at a time."""
        return block_of_draws(self.n_features, _LEVELS_AT_A_TIME * self.n_draws)

    def tolerates_single(self, module: Denoiser) -> bool:
        """Whether networks in float32 change log-densities by no more than 1e-3 nats."""
        return float(module.levels.low) ** 2 >= SINGLE_VARIANCE

    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays; the model needs rows, which are not stored."""
        calibration, stack = asdict(self.score_model.calibration), self.score_model.stack
        state = {"n_features": self.n_features, "n_draws": self.n_draws, **calibration}
        return state if stack is None else state | stack.get_state()

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the density of a stored state."""
        stack = Stack.from_state(state) if "share" in state else None
        model = ScoreModel(Calibration(state["gains"], state["offset"]), stack)
        return cls(state["n_features"], state["n_draws"], Deferred.from_fitted(model))


@dataclass(frozen=True)
class FilterDensity(Density[Denoiser]):
    """The Gaussian density of rows, for a denoiser without a code and with no other density.

    Attributes
    ----------
    n_features : int
        Number of columns.
    """

    n_features: int

    def log_density(self, module: Denoiser, batch: Batch) -> Tensor:
        """Return the log-density of each row's observed cells, in nats."""
        if batch.mask is None:
            return module.filter.log_density(batch.input)
        is_complete = batch.mask.all(dim=1)
        result = module.filter.log_density(batch.input)
        codes, classes = CellCodes.from_numbers(self.n_features), make_gaussian_class(module.filter)
        result[~is_complete] = codes.score(classes, batch.select(~is_complete))
        return result

    def block_length(self) -> int:
        """Return how many rows to score at a time."""
        return block_of_draws(self.n_features, 1)

    def get_state(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def denoiser_log_density(
    module: Denoiser, rows: Tensor, calibration: Calibration, n_draws: int
) -> Tensor:
    """Return the log-density of each row that a denoiser determines, in nats.

    A denoiser `d(x, s)` of least squared error determines the density (Kong, Brekelmans
    and Ver Steeg 2023, equation 8), with `a = 1 / s^2`:
    `-log p(x) = n/2 log(2 pi e) - 1/2 int [n / (1 + a) - E|x - d(x + s e, s)|^2] da`.
    The same holds for the Wiener filter and its Gaussian density. So the difference of the
    two densities is half the integral of the difference of the two errors, from which the
    noise, common to both, all but cancels. Above the range of levels that the denoiser was
    trained on, it is taken to be the filter. Below it, the best denoiser of a smooth density
    is `x + s^2 grad log p(x)`, so that errors are `n s^2` up to terms of `s^4`: the
    difference of the two errors falls with `s^4`, and its integral is known.

    Parameters
    ----------
    module : Denoiser
        The denoiser, its filter and its range of levels.
    rows : Tensor of shape (n_rows, n_features)
        The rows.
    calibration : Calibration
        How far the denoiser is trusted.
    n_draws : int
        Draws of noise at each level.
    """
    n_levels = len(calibration.gains)
    noise = draw_common_noise(n_draws, rows.shape[1], n_levels).to(rows)
    result = module.filter.log_density(rows) + calibration.offset
    pairs = zip(*integration_levels(module, n_levels), strict=True)
    levels, weights = (rows.new_tensor(part) for part in pairs)
    gains = torch.from_numpy(calibration.gains).to(rows)
    for part in _split(np.flatnonzero(calibration.gains), len(rows) * n_draws):
        column = levels[part].view(-1, 1, 1)
        residuals = module.filter.residuals(rows, column)
        agreement, size = _compare_at_levels(module, rows, column, noise[part], residuals)
        gain = gains[part]
        result = result - (gain.square() * size - 2 * gain * agreement) @ weights[part]
    return result


def measure_errors(
    module: Denoiser, rows: Tensor, n_draws: int, mask: Tensor | None = None, plan: ErrorPlan = ALL
) -> Tensor:
    """Return the expected squared error (n_rows, n_levels) of each row.

    The filter's is known exactly; draws, common to all rows, estimate the difference between
    it and the denoiser's. Levels are in equal ratios over the range of training.

    Parameters
    ----------
    module : Denoiser
        The denoiser.
    rows : Tensor of shape (n_rows, n_features)
        The rows, without noise.
    n_draws : int
        Draws of noise at each level.
    mask : Tensor of shape (n_rows, n_features) or None, default=None
        The observed cells, which alone count; None counts all.
    plan : ErrorPlan, default=ALL
        The levels.
    """
    index, n_whole = list(plan.levels), plan.n_whole
    noise = draw_planned_noise(n_draws, rows.shape[1], plan).to(rows)
    levels = module.levels.grid(N_ERROR_LEVELS).to(rows)[index].view(-1, 1, 1)
    residuals = module.filter.residuals(rows, levels)
    spread = module.filter.cell_noise(levels)
    squares = residuals.square()
    errors = squares.sum(dim=2) + spread.sum(dim=2)
    if mask is not None:
        # A complete row's is as it is alone, to the last bit.
        errors = torch.where(mask.all(dim=1), errors, ((squares + spread) * mask).sum(dim=2))
    drawn = [*range(n_whole), *range(len(index))]
    agreement, size = _compare_at_levels(module, rows, levels[drawn], noise, residuals[drawn], mask)
    gain = size - 2 * agreement
    whole = 0.5 * (gain[:, :n_whole] + gain[:, n_whole : 2 * n_whole])
    return errors.T + torch.cat([whole, gain[:, 2 * n_whole :]], dim=1)


def _split(indices: np.ndarray, n_evaluations: int) -> list[np.ndarray]:
    """Return the indices of levels with so many evaluations each, a few at a time.

    Of few rows as many are taken as fill a product in float32.
    """
    length = max(_LEVELS_AT_A_TIME, SinglePrecision.length // max(n_evaluations, 1))
    return [indices[start : start + length] for start in range(0, len(indices), length)]


def fit_residual_filter(trained: TrainedModule[Denoiser], rows: Rows, trim_fraction: float) -> None:
    """Fit the filter of what a code loses; a denoiser without a bottleneck has none.

    Parameters
    ----------
    trained : TrainedModule
        The denoiser.
    rows : Rows
        Training rows.
    trim_fraction : float
        Share of the rows, those farthest out, that is left out.
    """
    module = trained.module
    if not isinstance(module, CodeDenoiser):
        return
    sample = _subsample(rows, _RESIDUAL_ROWS)
    residuals = trained.apply(lambda module, part: part - module(part), sample.table)
    generator = np.random.default_rng(0)  # for wide tables' approximate axes
    covariance = fit_covariance(residuals, sample.weight_array, trim_fraction, generator)
    if has_few_rows(sample.table):
        covariance = _read_residuals(module.filter, covariance, sample.table, residuals)
    set_filter(module.residual_filter, covariance)


def _read_residuals(
    filter: WienerFilter, covariance: Covariance, table: np.ndarray, residuals: np.ndarray
) -> Covariance:
    """Return the covariance of few rows' residuals, from a filter that is shrunk already.

    By how much a code reduces the rows' variance along each axis is surer than what it leaves.
    """
    mean, axes = filter.mean.double().cpu().numpy(), filter.axes.double().cpu().numpy()
    share = covariance.weight / covariance.weight.sum()
    squares = []
    for centred in (residuals - covariance.mean, table - mean):
        scores = centred @ axes.T
        along, whole = share @ np.square(scores), share @ np.square(centred).sum(axis=1)
        squares.append(np.append(along, max(whole - along.sum(), 0.0)))
    left, whole = squares
    # A code learns nothing of directions that no row shows.
    ratio = np.divide(left, whole, out=np.ones(len(whole)), where=whole > SMALLEST_VARIANCE)
    variances = filter.variances.double().cpu().numpy() * ratio[:-1]
    remainder = float(filter.remainder) * float(ratio[-1])
    return Covariance(
        covariance.mean,
        axes,
        np.maximum(variances, SMALLEST_VARIANCE),
        max(remainder, SMALLEST_VARIANCE),
        covariance.weight,
    )


def calibrate(
    trained: TrainedModule[Denoiser],
    rows: Rows,
    trim_fraction: float,
    n_draws: int,
    n_levels: int = N_LEVELS,
) -> Calibration:
    """Return how far to trust a denoiser, and the error of its few draws.

    The gain of each level, from 0 to 1, is the one of least error on `rows`, which should be
    rows that training has not seen. Noise that is common to all rows has the same error for
    all of them: the difference between its mean over rows and that of fresh noise.

    Parameters
    ----------
    trained : TrainedModule
        The denoiser.
    rows : Rows
        Rows to calibrate on.
    trim_fraction : float
        Share of the rows, those least likely under the filter, that is left out.
    n_draws : int
        Draws of noise at each level.
    n_levels : int, default=N_LEVELS
        Levels of the integral.
    """
    module = trained.module
    if module.is_filter:
        return Calibration(np.zeros(n_levels), 0.0)
    X = rows.batch.input.to(next(module.buffers()))
    with torch.no_grad(), limit_threads(1):
        weight = trim_weight(-module.filter.log_density(X), rows.batch.weight, trim_fraction)
        weight = weight.to(X) / weight.sum()
        common = draw_common_noise(n_draws, X.shape[1], n_levels).to(X)
        generator = torch.Generator(X.device).manual_seed(_SEED)
        fresh_means: list[list[float]] = []
        common_means: list[list[float]] = []
        levels = integration_levels(module, n_levels)
        for (level, nats), noise in zip(levels, common, strict=True):
            fresh = draw_fresh_noise(X, generator)
            for means, drawn in ((fresh_means, fresh), (common_means, noise)):
                parts = _compare(module, X, level, drawn)
                means.append([nats * float(weight @ part) for part in parts])
    gains = estimate_gains(np.array(fresh_means))
    agreement, size = (np.array(common_means) - np.array(fresh_means)).T
    offset = float((gains**2 * size - 2 * gains * agreement).sum())
    return Calibration(gains, offset)


def estimate_gains(means: np.ndarray) -> np.ndarray:
    """Return the gain of each level from its agreement and size, and its neighbours'.

    A gain is a ratio of two noisy means; those of neighbouring levels are similar.
    """
    window = [1.0, 2.0, 3.0, 2.0, 1.0] if len(means) >= N_LEVELS else [1.0, 2.0, 1.0]
    agreement, size = (np.convolve(column, window, mode="same") for column in means.T)
    return np.divide(agreement, size, out=np.zeros(len(size)), where=size > 0).clip(0.0, 1.0)


@lru_cache(maxsize=2)
@isolate_torch()  # what is kept serves all callers
def draw_common_noise(n_draws: int, n_features: int, n_levels: int = N_LEVELS) -> Tensor:
    """Return normal noise `(n_levels, n_draws, n_features)`, the same at each call.

    It comes in antithetic pairs, and has unit covariance.
    """
    generator = torch.Generator().manual_seed(_SEED)
    shape = (n_levels, -(-n_draws // 2), n_features)
    half = _whiten(torch.randn(shape, generator=generator, dtype=torch.float64))
    return torch.cat([half, -half], dim=1)


@lru_cache(maxsize=2)
@isolate_torch()
def draw_planned_noise(n_draws: int, n_features: int, plan: ErrorPlan) -> Tensor:
    """Return the common noise of a plan's levels, kept because a single row is scored often.

    The first levels have both halves of the draws, one after the other.
    """
    drawn, mirrored = draw_common_noise(n_draws, n_features)[list(plan.levels)].chunk(2, dim=1)
    return torch.cat([mirrored[: plan.n_whole], drawn])


def draw_fresh_noise(rows: Tensor, generator: torch.Generator) -> Tensor:
    """Return normal noise `(n_rows, n_draws, n_features)` in antithetic pairs."""
    shape = (len(rows), _FRESH_PAIRS, rows.shape[1])
    half = torch.empty(shape, dtype=rows.dtype, device=rows.device).normal_(generator=generator)
    return torch.cat([half, -half], dim=1)


def _whiten(noise: Tensor) -> Tensor:
    """Return noise whose second moments over the draws are exactly those of the normal.

    With fewer draws than columns that is impossible; the draws are then made orthogonal and
    of the expected length. The leading term of an error in the noise is its second moment.
    """
    n_draws, n_features = noise.shape[1:]
    left, _, right = torch.linalg.svd(noise, full_matrices=False)
    return math.sqrt(max(n_draws, n_features)) * left @ right


def integration_levels(module: Denoiser, n_levels: int = N_LEVELS) -> list[tuple[float, float]]:
    """Return levels, and the weights of their squared errors in minus a log-density."""
    nodes, weights = np.polynomial.legendre.leggauss(n_levels)
    low, high = float(module.levels.low), float(module.levels.high)
    half_range = 0.5 * math.log(high / low)
    levels = math.sqrt(low * high) * np.exp(half_range * nodes)
    # 1/2 da = ds / s^3, and the nodes are those of log s.
    weights = half_range * weights / levels**2
    # The integral below the range, where the difference falls with s^4.
    weights[0] += low**2 / (2 * levels[0] ** 4)
    return list(zip(levels.tolist(), weights.tolist(), strict=True))


def _compare_at_levels(
    module: Denoiser,
    rows: Tensor,
    levels: Tensor,
    noise: Tensor,
    residuals: Tensor,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return how steps off the filter agree with the errors of the filter, and their size.

    Both are means over the draws: `(x - w) (d - w)` and `|d - w|^2`, so that
    `|x - d|^2 - |x - w|^2` is the second less twice the first.

    Parameters
    ----------
    module : Denoiser
        The denoiser.
    rows : Tensor of shape (n_rows, n_features)
        The rows, without noise.
    levels : Tensor of shape (n_levels, 1, 1)
        The levels.
    noise : Tensor of shape (n_levels, n_draws, n_features)
        Draws that are common to all rows.
    residuals : Tensor of shape (n_levels, n_rows, n_features)
        By how much the rows differ from the filter's estimates of them without noise.
    mask : Tensor of bool of shape (n_rows, n_features) or None, default=None
        The observed cells, which alone count; None counts all.

    Returns
    -------
    agreement, size : Tensor of shape (n_rows, n_levels)
        Of each row at each level.
    """
    filter, n_draws = module.filter, noise.shape[1]
    noise = levels * noise
    # The filter is affine: its estimate of a noisy row is that of the row, moved by the noise's.
    moved = filter(filter.mean + noise, levels) - filter.mean
    errors = residuals.unsqueeze(2) - moved.unsqueeze(1)
    steps = module.find_steps(rows, noise, levels.squeeze(2), errors)
    if mask is not None:
        steps = steps * mask.unsqueeze(1)
    errors, steps = errors.flatten(2), steps.flatten(2)
    agreement, size = torch.linalg.vecdot(errors, steps), torch.linalg.vecdot(steps, steps)
    return agreement.T / n_draws, size.T / n_draws


def _compare(module: Denoiser, rows: Tensor, level: float, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return what `compare_at_levels` does, at one level and for draws of each row's own.

    `noise` is (n_draws, n_features), or has rows in front.
    """
    noisy = (rows[:, None, :] + level * noise).flatten(0, 1)
    column = torch.full_like(noisy[:, :1], level)
    n_draws = len(noisy) // max(len(rows), 1)
    filtered = module.filter(noisy, column)
    step = module.posterior_mean(noisy, column) - filtered
    error = rows.repeat_interleave(n_draws, dim=0) - filtered
    shape = (len(rows), n_draws)
    agreement = (error * step).sum(1).reshape(shape).mean(1)
    return agreement, step.square().sum(1).reshape(shape).mean(1)


def choose_calibration_rows(rows: Rows, unseen: Rows | None, n_draws: int) -> Rows:
    """Return the rows to calibrate on: some of those that training has not seen, if there are."""
    most = _count_calibration_rows(rows.n_features, n_draws)
    return _subsample(rows if unseen is None else unseen, most)


def _count_calibration_rows(n_features: int, n_draws: int) -> int:
    """Return how many rows to calibrate on."""
    return max(
        _CALIBRATION_ROWS, min(_CALIBRATION_ROWS * n_draws, _CALIBRATION_CELLS // n_features)
    )


def _subsample(rows: Rows, most: int) -> Rows:
    """Return up to so many rows that represent all."""
    return rows.take(subsample_indices(len(rows), most))


def block_of_draws(n_features: int, n_draws: int) -> int:
    """Return how many rows to score at a time."""
    cells = n_draws * max(n_features, 128)
    length = block_length(cells, _BLOCK_CELLS, most_rows=_BLOCK_CELLS)
    # Networks in float32 have products of that length: the last should be full.
    return max(length - length % SinglePrecision.length, min(length, SinglePrecision.length))


def _fit_score_model(
    trained: TrainedModule[Denoiser],
    rows: Rows,
    evidence: Evidence | None,
    trim_fraction: float,
    n_draws: int,
) -> ScoreModel:
    """Return how far to trust a denoiser, and the mixture that it is stacked with."""
    n_levels = N_LEVELS if rows.n_features <= _FEW_COLUMNS else N_LEVELS // 2
    calibration = calibrate(trained, rows, trim_fraction, n_draws, n_levels)
    if evidence is None:
        return ScoreModel(calibration, None)

    def score(table: np.ndarray) -> np.ndarray:
        return trained.apply(
            lambda module, part: denoiser_log_density(module, part, calibration, n_draws),
            table,
            block=block_of_draws(table.shape[1], n_draws),
        )

    known = score if calibration.gains.any() else None
    return ScoreModel(calibration, fit_stack(trained, known, evidence, trim_fraction))

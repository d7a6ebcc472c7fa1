"""The density of numbers and mass of booleans and categories that a denoiser's errors determine.

The identity behind a denoiser's density holds for any variable: with `K(a) = E log p(z | x) / p(z)`
of `z = x + s e` and `a = 1 / s^2`, `dK / da` is half the error of the posterior mean (Guo, Shamai
and Verdu 2005; Kong, Brekelmans and Ver Steeg 2023). At the lowest level noise is far smaller than
the distance between two levels of a column. These are told apart there, and `K` is minus the log
of their mass, less the same constant for numbers whatever the density. So the difference between
two log-densities is half the integral of the difference between their errors, as it is for numbers.
"""

import math
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from .._base import Deferred, Density
from .._data import Batch, Rows
from .._environment import limit_threads
from .._linear import LatentClasses, MixedCells, StackedClasses, may_have_share
from .._training import TrainedModule
from ..modules import Denoiser, WienerFilter
from .density import (
    N_LEVELS,
    block_of_draws,
    choose_calibration_rows,
    draw_common_noise,
    draw_fresh_noise,
    estimate_gains,
    fit_residual_filter,
    integration_levels,
)
from .incomplete import CellCodes, score_with_completion
from .stacking import ClassStack, Evidence, combine, fit_class_stack

_SEED = 19480702

# Levels and draws that tell whether a denoiser may have a share beside latent classes, and by how
# many nats a row's log-density may be higher with all of them.
_ROUGH_LEVELS, _ROUGH_DRAWS = 8, 2
_ROUGH_NATS = 6.0

# Shares of levels that sum to less are those of all rows.
_LEAST_TOTAL = 1e-6


@dataclass(frozen=True)
class Reference:
    """Rows whose numbers are normal and whose other cells are independent, with and without noise.

    Attributes
    ----------
    codes : CellCodes
        What encoded columns hold.
    classes : LatentClasses
        The one class, without a background.
    """

    codes: CellCodes
    classes: LatentClasses

    @classmethod
    def fit(cls, codes: CellCodes, cells: MixedCells, weight: np.ndarray) -> Self:
        """Return the reference of rows, each of which counts `weight` times."""
        return cls(codes, LatentClasses.fit_one(cells, weight))

    @cached_property
    def numbers(self) -> WienerFilter:
        """The Gaussian of the numbers."""
        return _make_filter(self.classes.mean[0], self.classes.covariance[0])

    @cached_property
    def levels(self) -> WienerFilter:
        """The Gaussian with the mean and covariance of the indicators."""
        off, gap = self._off.numpy(), self._gap.numpy()
        mass = self._log_mass.exp().numpy()
        same = self._block.numpy()[:, None] == self._block.numpy()
        covariance = (np.diag(mass) - np.outer(mass, mass) * same) * np.outer(gap, gap)
        return _make_filter(off + gap * mass, covariance)

    @cached_property
    def number_indices(self) -> Tensor:
        """Encoded columns that hold numbers."""
        return torch.tensor(self.codes.layout.numbers, dtype=torch.long)

    @cached_property
    def level_indices(self) -> Tensor:
        """Encoded columns that hold indicators: booleans first."""
        layout = self.codes.layout
        spans = [index for own in layout.categories for index in range(*own)]
        return torch.tensor([*layout.booleans, *spans], dtype=torch.long)

    @cached_property
    def is_level(self) -> Tensor:
        """Whether encoded columns hold numbers, and indicators: `(n_encoded, 2)` of 0 and 1."""
        kinds = torch.zeros(self.codes.layout.n_encoded, 2, dtype=torch.float64)
        kinds[self.number_indices, 0] = 1.0
        kinds[self.level_indices, 1] = 1.0
        return kinds

    @cached_property
    def _block(self) -> Tensor:
        """Which column of the table each indicator is of."""
        layout = self.codes.layout
        sizes = [1] * len(layout.booleans) + [end - first for first, end in layout.categories]
        return torch.repeat_interleave(
            torch.arange(len(sizes)), torch.tensor(sizes, dtype=torch.long)
        )

    @cached_property
    def _log_mass(self) -> Tensor:
        """Log of the mass of each indicator."""
        n_booleans = len(self.codes.layout.booleans)
        log_mass = torch.from_numpy(self.classes.log_mass[0])
        return torch.cat([log_mass[1 : 2 * n_booleans : 2], log_mass[2 * n_booleans :]])

    @cached_property
    def _log_unset(self) -> Tensor:
        """Log of the mass of a column's having no indicator set: booleans alone can."""
        layout = self.codes.layout
        n_booleans, n_categories = len(layout.booleans), len(layout.categories)
        log_mass = torch.from_numpy(self.classes.log_mass[0])
        never = torch.full((n_categories,), -math.inf, dtype=log_mass.dtype)
        return torch.cat([log_mass[: 2 * n_booleans : 2], never])

    @cached_property
    def _off(self) -> Tensor:
        return torch.from_numpy(self.codes.off)[self.level_indices]

    @cached_property
    def _gap(self) -> Tensor:
        return torch.from_numpy(self.codes.on)[self.level_indices] - self._off

    def log_density(self, rows: Tensor) -> Tensor:
        """Return the log of the density of numbers times the mass of other cells."""
        cells = self.codes.read(Batch(rows))
        return torch.from_numpy(self.classes.log_density(cells)).to(rows)

    def posterior_mean(self, noisy: Tensor, level: float) -> Tensor:
        """Return the mean of rows given noisy ones."""
        result = torch.empty_like(noisy)
        if len(self.number_indices):
            column = noisy.new_full((1, 1), level)
            numbers = noisy[:, self.number_indices]
            result[:, self.number_indices] = self.numbers.to(noisy)(numbers, column)
        shares = self._log_shares(noisy, level)[0].exp()
        result[:, self.level_indices] = self._off.to(noisy) + self._gap.to(noisy) * shares
        return result

    def project(self, rows: Tensor) -> Tensor:
        """Return rows whose indicators are clipped to probabilities that sum to at most one."""
        off, gap, block = (part.to(rows.device) for part in (self._off, self._gap, self._block))
        off, gap = off.to(rows), gap.to(rows)
        shares = ((rows[:, self.level_indices] - off) / gap).clamp(0, 1)
        n_booleans = len(self.codes.layout.booleans)
        total = shares @ self._is_of.to(rows)
        total[:, :n_booleans] = 1.0
        even = (total < _LEAST_TOTAL)[:, block]
        shares = torch.where(even, self._log_mass.to(rows).exp(), shares / total[:, block])
        result = rows.clone()
        result[:, self.level_indices] = off + gap * shares
        return result

    def measure_excess(self, rows: Tensor, level: float, noise: Tensor) -> Tensor:
        """Return by how much the log-density of noisy rows exceeds that of a Gaussian.

        The Gaussian has the mean and covariance of the indicators. It is the mean over draws of
        noise `(n_draws, n_encoded)`, or with rows in front.
        """
        noisy = (rows[:, None, :] + level * noise).flatten(0, 1)
        indicators = noisy[:, self.level_indices]
        by_block = self._log_shares(noisy, level)[1]
        distance = (indicators - self._off.to(noisy)).square().sum(1) / (2 * level**2)
        constant = 0.5 * indicators.shape[1] * math.log(2 * math.pi * level**2)
        own = by_block.sum(1) - distance - constant
        excess = own - self.levels.to(noisy).log_density(indicators, level)
        return excess.reshape(len(rows), -1).mean(1)

    def measure_information(self, rows: Tensor, level: float) -> Tensor:
        """Return what noisy rows say of each row, for Gaussian indicators."""
        result = measure_information(self.levels.to(rows), rows[:, self.level_indices], level)
        if len(self.number_indices):
            numbers = rows[:, self.number_indices]
            result = result + measure_information(self.numbers.to(rows), numbers, level)
        return result

    @cached_property
    def _spans(self) -> list[tuple[int, int]]:
        """Where the indicators of each category begin and end; booleans have one each, before."""
        first = len(self.codes.layout.booleans)
        sizes = np.cumsum([first, *(end - begin for begin, end in self.codes.layout.categories)])
        return [(int(begin), int(end)) for begin, end in pairwise(sizes)]

    @cached_property
    def _is_of(self) -> Tensor:
        """Whether each indicator is of each column of the table, as numbers."""
        return torch.nn.functional.one_hot(self._block).double()

    def _log_shares(self, noisy: Tensor, level: float) -> tuple[Tensor, Tensor]:
        """Return the log-probability of each indicator, and columns' log-normalizers.

        A normalizer is relative to the likelihood of no indicator's being set.
        """
        off, gap = self._off.to(noisy), self._gap.to(noisy)
        block, n_booleans = self._block.to(noisy.device), len(self.codes.layout.booleans)
        scale = gap / level**2
        joint = noisy[:, self.level_indices] * scale
        joint += self._log_mass.to(noisy) - (off + 0.5 * gap) * scale
        unset = self._log_unset.to(noisy)
        top = joint.new_empty(len(joint), len(unset))
        torch.maximum(joint[:, :n_booleans], unset[:n_booleans], out=top[:, :n_booleans])
        for number, (first, end) in enumerate(self._spans, n_booleans):
            torch.amax(joint[:, first:end], dim=1, out=top[:, number])
        total = (joint - top[:, block]).exp_() @ self._is_of.to(noisy)
        total[:, :n_booleans] += (unset[:n_booleans] - top[:, :n_booleans]).exp_()
        normalizer = total.log_().add_(top)
        return joint.sub_(normalizer[:, block]), normalizer


def measure_information(filter: WienerFilter, rows: Tensor, level: float) -> Tensor:
    """Return `E log p(z | x) / p(z)` of rows' noisy versions under a filter's Gaussian."""
    n_features, square = rows.shape[1], level**2
    kept = square / (filter.variances + square)
    trace = kept.sum() + filter.n_left * square / (filter.remainder + square)
    constant = 0.5 * n_features * math.log(2 * math.pi * math.e * square)
    return 0.5 * trace - constant - filter.log_density(rows, level)


def _make_filter(mean: np.ndarray, covariance: np.ndarray) -> WienerFilter:
    n_features = len(mean)
    filter = WienerFilter(n_features, n_features).double()
    values, vectors = np.linalg.eigh(covariance)
    filter.mean.copy_(torch.from_numpy(mean))
    filter.axes.copy_(torch.from_numpy(np.ascontiguousarray(vectors.T)))
    filter.variances.copy_(torch.from_numpy(values.clip(min=0)))
    return filter


@dataclass(frozen=True)
class MixedCalibration:
    """How far to trust a denoiser at each level, and the error of its few draws.

    Attributes
    ----------
    number_gains, level_gains : ndarray of shape (n_levels,)
        At each level the denoiser's numbers and indicators count as `reference + gain (denoiser -
        reference)`.
    offset : float
        Correction for noise that is common to all rows, in nats.
    """

    number_gains: np.ndarray
    level_gains: np.ndarray
    offset: float


def mixed_log_density(
    module: Denoiser,
    reference: Reference,
    rows: Tensor,
    calibration: MixedCalibration,
    n_draws: int,
) -> Tensor:
    """Return the log of the density of numbers times the mass of other cells of complete rows.

    Above the range of levels the denoiser is taken to be the filter, whose Gaussian says in closed
    form what noisy rows tell of a row at the highest level. Below it, indicators are known, and
    the difference of the numbers' errors falls with the fourth power of the level.

    Parameters
    ----------
    module : Denoiser
        The denoiser, its filter and its range of levels.
    reference : Reference
        What the denoiser is compared with.
    rows : Tensor of shape (n_rows, n_encoded)
        The rows.
    calibration : MixedCalibration
        How far the denoiser is trusted.
    n_draws : int
        Draws of noise at each level.
    """
    n_levels = len(calibration.number_gains)
    noise = draw_common_noise(n_draws, rows.shape[1], n_levels).to(rows)
    high = float(module.levels.high)
    result = reference.log_density(rows) + calibration.offset
    result = result - measure_information(module.filter, rows, high)
    result = result + reference.measure_information(rows, high)
    result = result - reference.measure_excess(rows, high, noise[-1])
    gains = zip(calibration.number_gains.tolist(), calibration.level_gains.tolist(), strict=True)
    levels = _list_levels(module, n_levels)
    for number, (level, weights, own) in enumerate(zip(*levels, gains, strict=True)):
        if any(own):
            parts = _compare(module, reference, rows, level, noise[number])
            for gain, weight, (agreement, size) in zip(own, weights, parts, strict=True):
                result = result - weight * (gain**2 * size - 2 * gain * agreement)
    return result


def calibrate_mixed(
    trained: TrainedModule[Denoiser],
    reference: Reference,
    rows: Rows,
    n_draws: int,
    n_levels: int = N_LEVELS,
) -> MixedCalibration:
    """Return how far to trust a denoiser, as `calibrate` does, on complete or completed rows.

    Parameters
    ----------
    trained : TrainedModule
        The denoiser.
    reference : Reference
        What it is compared with.
    rows : Rows
        Rows to calibrate on, which training should not have seen.
    n_draws : int
        Draws of noise at each level.
    n_levels : int, default=N_LEVELS
        Levels of the integral.
    """
    module = trained.in_precision(torch.float64)
    X = rows.batch.input.double().to(next(module.buffers()).device)
    known = rows.batch.weight
    with torch.no_grad(), limit_threads(1):
        weight = X.new_ones(len(X)) if known is None else known.to(X)
        weight = weight / weight.sum()
        common = draw_common_noise(n_draws, X.shape[1], n_levels).to(X)
        generator = torch.Generator(X.device).manual_seed(_SEED)
        high = float(module.levels.high)
        fresh = draw_fresh_noise(X, generator)
        offset = float(weight @ reference.measure_excess(X, high, common[-1]))
        offset -= float(weight @ reference.measure_excess(X, high, fresh))
        means: list[list[list[list[float]]]] = []
        for (level, nats), noise in zip(
            zip(*_list_levels(module, n_levels), strict=True), common, strict=True
        ):
            fresh = draw_fresh_noise(X, generator)
            means.append(
                [
                    [
                        [own * float(weight @ part) for part in parts]
                        for own, parts in zip(
                            nats, _compare(module, reference, X, level, drawn), strict=True
                        )
                    ]
                    for drawn in (fresh, noise)
                ]
            )
    # Levels, fresh and common, numbers and indicators, agreement and size.
    table = np.array(means)
    gains = np.stack([estimate_gains(table[:, 0, kind]) for kind in range(2)])
    agreement, size = np.moveaxis(table[:, 1] - table[:, 0], -1, 0)
    offset += float((gains.T**2 * size - 2 * gains.T * agreement).sum())
    return MixedCalibration(gains[0], gains[1], offset)


def _list_levels(
    module: Denoiser, n_levels: int = N_LEVELS
) -> tuple[list[float], list[tuple[float, float]]]:
    """Return levels, and the weights of their squared errors of numbers and of indicators."""
    pairs = integration_levels(module, n_levels)
    low, first = float(module.levels.low), pairs[0][0]
    below = low**2 / (2 * first**4)
    weights = [(weight, weight) for _, weight in pairs]
    weights[0] = (weights[0][0], weights[0][1] - below)
    return [level for level, _ in pairs], weights


def _compare(
    module: Denoiser, reference: Reference, rows: Tensor, level: float, noise: Tensor
) -> list[tuple[Tensor, Tensor]]:
    """Return the agreement and size, as `_compare` of densities, of numbers and of indicators."""
    noisy = (rows[:, None, :] + level * noise).flatten(0, 1)
    n_draws = len(noisy) // max(len(rows), 1)
    kinds = reference.is_level.to(noisy)

    def average(parts: Tensor) -> tuple[Tensor, Tensor]:
        both = (parts @ kinds).reshape(len(rows), n_draws, 2).mean(1)
        return both[:, 0], both[:, 1]

    base = reference.posterior_mean(noisy, level)
    column = torch.full_like(noisy[:, :1], level)
    step = reference.project(module.posterior_mean(noisy, column)).sub_(base)
    error = rows.repeat_interleave(n_draws, dim=0).sub_(base)
    agreement = average(error.mul_(step))
    size = average(step.square_())
    return list(zip(agreement, size, strict=True))


@dataclass(frozen=True)
class MixedModel:
    """What a score needs besides the denoiser and its reference.

    Attributes
    ----------
    calibration : MixedCalibration
        How far to trust the denoiser.
    stack : ClassStack or None
        The latent classes that it is stacked with.
    """

    calibration: MixedCalibration
    stack: ClassStack | None


class MixedErrorDensity(Density[Denoiser]):
    """The density that a denoiser's errors determine of rows with booleans or categories.

    Parameters
    ----------
    reference : Reference
        What the denoiser is compared with.
    n_draws : int
        Draws of noise at each level.
    model : Deferred of MixedModel
        The score's model.
    """

    def __init__(self, reference: Reference, n_draws: int, model: Deferred[MixedModel]) -> None:
        self.reference = reference
        self.n_draws = n_draws
        self._model = model

    @classmethod
    def fit(
        cls,
        trained: TrainedModule[Denoiser],
        codes: CellCodes,
        rows: Rows,
        unseen: Rows | None,
        evidence: Evidence | None,
        trim_fraction: float,
        n_draws: int,
    ) -> Self:
        """Return the density of a denoiser, as `ErrorDensity.fit` does.

        Parameters
        ----------
        trained : TrainedModule
            The denoiser, whose residual filter is fitted.
        codes : CellCodes
            What the encoded columns hold.
        rows, unseen, evidence, trim_fraction, n_draws
            As for `ErrorDensity.fit`.
        """
        fit_residual_filter(trained, rows, trim_fraction)
        reference = Reference.fit(codes, codes.read(rows.batch), rows.counts)
        sample = choose_calibration_rows(rows, unseen, n_draws)
        fit_model = partial(
            _fit_model, trained, reference, sample, evidence, trim_fraction, n_draws
        )
        return cls(reference, n_draws, Deferred(fit_model))

    @property
    def model(self) -> MixedModel:
        """What the score needs besides the denoiser and its reference."""
        return self._model.get()

    def log_density(self, module: Denoiser, batch: Batch) -> Tensor:
        """Return the log of the density of observed numbers times the mass of other cells."""
        calibration, stack = self.model.calibration, self.model.stack
        codes = self.reference.codes
        if stack is not None and stack.share == 0:
            return codes.score(stack.classes, batch)
        base = self.reference.classes if stack is None else stack.classes

        def score(rows: Tensor) -> Tensor:
            return mixed_log_density(module, self.reference, rows, calibration, self.n_draws)

        known, own = score_with_completion(codes, base, batch, score)
        return own if stack is None else combine(known, own, stack.share)

    def block_length(self) -> int:
        """Return how many rows to score at a time."""
        return block_of_draws(self.reference.codes.layout.n_encoded, self.n_draws)

    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays; the model needs rows, which are not stored."""
        stack = self.model.stack
        return {
            "codes": self.reference.codes.get_state(),
            "reference": self.reference.classes.get_state(),
            "n_draws": self.n_draws,
            "calibration": asdict(self.model.calibration),
            "class_stack": None if stack is None else stack.get_state(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the density of a stored state."""
        codes = CellCodes.from_state(state["codes"])
        reference = Reference(codes, LatentClasses(**state["reference"]))
        stack = state["class_stack"]
        model = MixedModel(
            MixedCalibration(**state["calibration"]),
            None if stack is None else ClassStack.from_state(stack),
        )
        return cls(reference, state["n_draws"], Deferred.from_fitted(model))


class ClassDensity(Density[Denoiser]):
    """Latent classes, for a denoiser without a code whose errors determine no density.

    Parameters
    ----------
    codes : CellCodes
        What the encoded columns hold.
    classes : Deferred of StackedClasses
        The classes.
    """

    def __init__(self, codes: CellCodes, classes: Deferred[StackedClasses]) -> None:
        self.codes = codes
        self._classes = classes

    @classmethod
    def fit(
        cls, codes: CellCodes, rows: Rows, evidence: Evidence | None, trim_fraction: float
    ) -> Self:
        """Return the classes of rows; a single one without evidence.

        Parameters
        ----------
        codes : CellCodes
            What the encoded columns hold.
        rows : Rows
            Training rows.
        evidence : Evidence or None
            Rows that weigh numbers of classes.
        trim_fraction : float
            Share of the rows, those least likely as independent cells, that is left out.
        """
        if evidence is None:
            reference = Reference.fit(codes, codes.read(rows.batch), rows.counts)
            one = StackedClasses(reference.classes, None, 0.0)
            return cls(codes, Deferred.from_fitted(one))
        return cls(codes, Deferred(partial(_fit_classes, codes, evidence, trim_fraction)))

    @property
    def classes(self) -> StackedClasses:
        """The classes."""
        return self._classes.get()

    def log_density(self, module: Denoiser, batch: Batch) -> Tensor:
        """Return the log of the density of observed numbers times the mass of other cells."""
        return self.codes.score(self.classes, batch)

    def block_length(self) -> int:
        """Return how many rows to score at a time."""
        return block_of_draws(self.codes.layout.n_encoded, 1)

    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays; the classes need rows, which are not stored."""
        return {"class_codes": self.codes.get_state(), "classes": self.classes.get_state()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the density of a stored state."""
        codes = CellCodes.from_state(state["class_codes"])
        return cls(codes, Deferred.from_fitted(StackedClasses.from_state(state["classes"])))


def _fit_classes(codes: CellCodes, evidence: Evidence, trim_fraction: float) -> StackedClasses:
    """Return the classes that held-out rows prefer, with no denoiser beside them."""
    return fit_class_stack(codes, None, evidence, trim_fraction).classes


def _fit_model(
    trained: TrainedModule[Denoiser],
    reference: Reference,
    rows: Rows,
    evidence: Evidence | None,
    trim_fraction: float,
    n_draws: int,
) -> MixedModel:
    """Return how far to trust a denoiser, and the classes that it is stacked with."""
    if evidence is None:
        return MixedModel(calibrate_mixed(trained, reference, rows, n_draws), None)
    codes = reference.codes
    # Sparse levels and draws are all that is needed of a denoiser without a share.
    calibration = calibrate_mixed(trained, reference, rows, _ROUGH_DRAWS, _ROUGH_LEVELS)

    def measure(rows: Rows, n_draws: int) -> np.ndarray:
        def own(module: Denoiser, batch: Batch) -> Tensor:
            def complete(part: Tensor) -> Tensor:
                return mixed_log_density(module, reference, part, calibration, n_draws)

            return score_with_completion(codes, reference.classes, batch, complete)[1]

        return trained.apply_to_rows(own, rows, block_of_draws(rows.n_features, n_draws))

    def score(unseen: Rows, known: np.ndarray, weight: np.ndarray) -> np.ndarray | None:
        nonlocal calibration
        if not may_have_share(measure(unseen, _ROUGH_DRAWS) + _ROUGH_NATS, known, weight):
            return None
        calibration = calibrate_mixed(trained, reference, rows, n_draws)
        return measure(unseen, n_draws)

    stack = fit_class_stack(codes, score, evidence, trim_fraction)
    return MixedModel(calibration, stack)

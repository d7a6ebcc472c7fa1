"""The anomaly score: how rare a row's denoising errors and neighbour distances are."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .._base.persistence import FittedState
from .._data import AnyTable, Batch, CompletedRows, row_blocks, weighted_quantile
from .._denoising import DenoisingAutoencoder
from .._denoising.density import N_ERROR_LEVELS, ErrorPlan, block_of_draws
from ..modules import Denoiser
from .hidden_cells import CountWeights
from .left_out import LeftOutErrors
from .neighbours import NeighbourDistances
from .planned_errors import measure_planned_errors

#: Returns how much the rounding of rows may change each of some values.
FindRounding = Callable[[np.ndarray], np.ndarray]

# Share of the reference rows, those with the largest errors, that are not usual: anomalies among
# the training rows lie near each other.
_UNUSUAL = 0.3

# Beyond this quantile of the known values their tail is taken to be exponential.
_TAIL = 0.98
_N_KNOTS = 64

# Tails of numbers stay exponential up to so many times the logarithm of the number of known values.
# Earlier, clear anomalies would be level with the strangest of usual rows: on tables with planted
# ones fewer would lie beyond a threshold.
_BEND = 2.0

# Knots of the tail of a power law, in nats beyond the bend.
_POWER_NATS = np.arange(0, 40.5, 0.5)

# What two copies of a row may differ by: float32's rounding of a column's values, and a share of
# its range. A column whose values float32 can't tell apart must not blur the others.
_SINGLE_ROUNDING = 2.0**-24
_SHARE_OF_RANGE = 1e-7
_MOST_ROUNDING = 1e-3

# The network's own rounding, in float64: all that there is in a table of zeros.
_LEAST_ROUNDING = 1e-12

# Values that differ by so many times their rounding are not the same, and in the tail so many
# roundings are worth a nat at least.
_MARGIN = 4
_LEAST_SCALE = 1e3

# Where errors are measured: as good as at all twelve levels on tables with labelled anomalies, in a
# sixth of the time. Without mirror images the lowest level would be noise.
_PLAN = ErrorPlan((2, 6, 10), 1)

# Of rows with categories or booleans the errors at the lower half of the noise levels count, and
# this much beside two distances of one each: higher noise hides which label a row has. Measured on
# tables of categories with labelled anomalies, and on mixed ones with planted cells.
_MIXED_PLAN, _MIXED_WEIGHT = ErrorPlan(tuple(range(6)), 6), 4.0

# If the network lowers the errors of its linear path by less than this share, which is also what
# training must gain elsewhere to leave the path, rows are linear. Then errors count this much
# beside two distances of one each: distances say little of rows that a linear model describes.
_LEAST_GAIN, _LINEAR_WEIGHT = 0.06, 8.0

# A few rows can have most of a table's errors: larger ones than this quantile count as it.
_LARGEST_COUNTED = 0.98

# Rows scored at a time: what is computed of them should stay in the cache.
_BLOCK_ROWS = 8192

# The increase beyond known values that are all alike that is worth a nat: a column's scale.
_UNIT = 1.0


@dataclass(frozen=True)
class TailSurprisal:
    """Minus the logarithm of the share of known values that are as large, in nats.

    Attributes
    ----------
    nats : ndarray of shape (n_knots,)
        The surprisal at each knot.
    knots : ndarray of shape (n_knots, n_columns)
        Values of each column, in increasing order.
    scale : ndarray of shape (n_columns,)
        The increase beyond the last knot that is worth a nat; in the tail of a power law, that
        halves the share.
    """

    nats: np.ndarray
    knots: np.ndarray
    scale: np.ndarray

    @classmethod
    def from_values(
        cls,
        values: np.ndarray,
        weight: np.ndarray | None = None,
        find_rounding: FindRounding | None = None,
        tail: float = _TAIL,
    ) -> "TailSurprisal":
        """Return the tails of known values (n_known, n_columns) with these weights.

        Many rows may share a value, up to its rounding. A copy of such a row must be as usual as
        they are, so a value counts as large as a known one up to a margin beyond it.

        Parameters
        ----------
        values : ndarray of shape (n_known, n_columns)
            The known values.
        weight : ndarray of shape (n_known,) or None
            How often each row counts.
        find_rounding : callable or None
            Returns how much the rounding of a row may change values, for an array of them; None
            is the rounding of float64.
        tail : float, default=0.98
            The quantile beyond which the tail is taken to be exponential.
        """
        find_rounding = find_rounding or _round_double
        nats = np.linspace(0, -math.log(1 - tail), _N_KNOTS)
        shares = np.append(1 - np.exp(-nats), 0.5)
        # A share that rounding puts just above that of a value is the value's.
        quantiles = weighted_quantile(values, shares * (1 - 1e-12), weight)
        knots, middle, last = quantiles[:-1], quantiles[-1], quantiles[-2]
        rounding = find_rounding(last)
        # The exponential tail through both: half of the rows lie beyond one, few beyond the other.
        scale = (last - middle) / math.log(0.5 / (1 - tail))
        is_tied = scale <= _MARGIN * rounding
        scale = np.where(is_tied, _mean_excess(values, last + _MARGIN * rounding, weight), scale)
        scale = np.maximum(scale, _LEAST_SCALE * rounding)
        knots = knots + _MARGIN * find_rounding(knots)
        gaps = rounding * np.arange(_N_KNOTS)[:, None]
        return cls(nats, np.maximum.accumulate(knots - gaps) + gaps, scale)

    @property
    def has_bend(self) -> bool:
        """Whether it is that of a power law far out; those that earlier versions stored are not."""
        return len(self.nats) > _N_KNOTS

    @classmethod
    def from_rows(
        cls,
        values: np.ndarray,
        weight: np.ndarray | None,
        find_rounding: FindRounding,
        is_mixed: bool = False,
        wider: "TailSurprisal | None" = None,
    ) -> "TailSurprisal":
        """Return the tails of known values of rows, which are those of power laws far out.

        An exponential tail would go on to hundreds of nats for one rare cell, whatever the rest of
        the row, where the known values can tell no more than the logarithm of their number.

        Parameters
        ----------
        values, weight, find_rounding
            As in `from_values`.
        is_mixed : bool, default=False
            Whether rows have labels. A wrong one is worth many times the error of most rows, which
            say nothing of the tail, so that the known values tell it, up to the largest, beyond
            which it is that of a power law.
        wider : TailSurprisal or None, default=None
            The tails of more rows, some of which have labels that these rows may lack. Beyond the
            largest value an increase is worth no more than there.
        """
        n_known = len(values) if weight is None else float(weight.sum())
        tail = max(_TAIL, 1 - 0.5 / n_known) if is_mixed else _TAIL
        own = cls.from_values(values, weight, find_rounding, tail)
        scale, growth = own.scale, math.exp(_POWER_NATS[-1])
        if wider is not None:
            scale = np.maximum(scale, wider.scale / growth)
        last = own.nats[-1]
        bend = last if is_mixed else max(last, _BEND * math.log(n_known))
        excess = bend - last + np.expm1(_POWER_NATS)
        knots = np.vstack([own.knots, own.knots[-1] + excess[:, None] * scale])
        return cls(np.append(own.nats, bend + _POWER_NATS), knots, scale * growth)

    def measure(self, values: np.ndarray) -> np.ndarray:
        """Return the surprisal of each row, in nats: its mean over the columns.

        Beyond the last knot it grows in proportion to the value, or with its logarithm if the tail
        is that of a power law.
        """
        total = np.zeros(len(values))
        for column, knots, scale in zip(values.T, self.knots.T, self.scale, strict=True):
            total += np.interp(column, knots, self.nats)
            beyond = np.maximum(column - knots[-1], 0) / scale
            total += np.log1p(beyond) if self.has_bend else beyond
        return total / values.shape[1]


@dataclass(frozen=True)
class AnomalyScore:
    """The mean tail surprisal of three views of a row: its errors, and two distances.

    Errors know how columns depend on each other, and forget a rare kind of row. The nearest
    row is the finest resolution, where anomalies among the training rows hide each other. The
    fifth of the usual rows is robust and coarse.

    Attributes
    ----------
    by_error : TailSurprisal
        Of the errors at each noise level, among the reference rows.
    neighbours : NeighbourDistances
        The reference rows.
    by_distance : TailSurprisal
        Of the reference rows' distances to each other.
    plan : ErrorPlan
        Where the errors are measured.
    weight : float
        How much the errors count; a distance counts once.
    left_out : LeftOutErrors or None
        What measures errors in place of the denoiser if rows are few for their columns. The score
        is the surprisal of these errors alone.
    """

    by_error: TailSurprisal
    neighbours: NeighbourDistances
    by_distance: TailSurprisal
    plan: ErrorPlan = _PLAN
    weight: float = 1.0
    left_out: LeftOutErrors | None = None

    @property
    def is_mixed(self) -> bool:
        """Whether rows have categories or booleans."""
        return self.plan == _MIXED_PLAN

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Earlier versions measured errors at all of the first levels.
        n_levels = state["by_error"].knots.shape[1]
        plan = ErrorPlan(tuple(range(n_levels)), n_levels)
        self.__dict__.update({"plan": plan, **state})

    @classmethod
    def fit(
        cls,
        denoiser: DenoisingAutoencoder,
        rows: np.ndarray,
        weight: np.ndarray | None,
        leaves_out: bool = False,
        asks_linear: bool = False,
    ) -> "AnomalyScore":
        """Return the score that has these training rows of a denoiser as reference.

        Parameters
        ----------
        denoiser : DenoisingAutoencoder
            The denoiser.
        rows : ndarray of shape (n_rows, n_encoded)
            The rows.
        weight : ndarray of shape (n_rows,) or None
            How often each counts.
        leaves_out : bool, default=False
            Whether errors are those of a linear model that has not seen the row.
        asks_linear : bool, default=False
            Whether errors count more if the network is little better than its linear path.
        """
        state = _find_state(denoiser)
        is_mixed = state.blueprint.network.layout is not None
        plan, share = (_MIXED_PLAN, _MIXED_WEIGHT) if is_mixed else (_PLAN, 1.0)
        prepared = state.prepare(rows, np.float64)
        scaled, observed = prepared
        left_out = None
        if leaves_out and not is_mixed:
            left_out = LeftOutErrors.from_rows(scaled, weight)
            errors = left_out.measure(scaled, np.ones(len(scaled), dtype=bool))
        else:
            errors = _measure_errors(state, prepared, plan)
        if asks_linear and not is_mixed:
            linear = _measure_linear_errors(state, prepared, plan)
            # At the highest level a linear estimate is as good as any, whatever the rows.
            share = _weigh_errors(errors[:, :-1], linear[:, :-1], weight)
        rounding = _measure_rounding(denoiser, rows)
        by_error = TailSurprisal.from_rows(errors, weight, _round_squares(rounding), is_mixed)
        nats = by_error.measure(errors)
        is_usual = nats <= score_at_share(nats, weight, 1 - _UNUSUAL)
        variance = None if observed is None else _measure_uncertainty(denoiser, scaled, observed)
        neighbours = NeighbourDistances.from_rows(scaled, is_usual, _MARGIN * rounding, variance)
        distances = neighbours.measure(scaled, observed)
        by_distance = TailSurprisal.from_rows(distances, weight, _round_evenly(rounding), is_mixed)
        return cls(by_error, neighbours, by_distance, plan, share, left_out)

    def measure(self, denoiser: DenoisingAutoencoder, rows: AnyTable) -> np.ndarray:
        """Return the score of each row; higher is more anomalous."""
        blocks = row_blocks(rows, _BLOCK_ROWS)
        return np.concatenate([self.combine(*self._view(denoiser, rows[b])) for b in blocks])

    def view(self, denoiser: DenoisingAutoencoder, rows: np.ndarray) -> "Views":
        """Return the three views of rows in memory."""
        parts = [self._view(denoiser, rows[block]) for block in row_blocks(rows, _BLOCK_ROWS)]
        return Views(*(np.concatenate(own) for own in zip(*parts, strict=True)))

    def _view(self, denoiser: DenoisingAutoencoder, rows: np.ndarray) -> "Views":
        state = _find_state(denoiser)
        prepared = state.prepare(rows, np.float64)
        distances, is_copy = self.neighbours.find(*prepared)
        if self.left_out is None:
            return Views(_measure_errors(state, prepared, self.plan), distances)
        return Views(self.left_out.measure(prepared.values, is_copy), distances)

    def combine(self, errors: np.ndarray, distances: np.ndarray) -> np.ndarray:
        """Return the scores of rows with these errors and distances."""
        if self.left_out is not None:
            return self.by_error.measure(errors)
        nats = self.weight * self.by_error.measure(errors)
        return (nats + 2 * self.by_distance.measure(distances)) / (self.weight + 2)


class Views(NamedTuple):
    """Three views of each row.

    Attributes
    ----------
    errors : ndarray of shape (n_rows, n_levels)
        Its errors at each noise level, or its one error of a linear model that has not seen it.
    distances : ndarray of shape (n_rows, 2)
        Its distances to the nearest reference row, and to the fifth of the usual ones.
    """

    errors: np.ndarray
    distances: np.ndarray


@dataclass(frozen=True)
class HiddenTails:
    """The tails of rows in which fewer and fewer columns are observed.

    Attributes
    ----------
    counts : ndarray of shape (n_groups,)
        Numbers of observed columns, decreasing.
    scores : list of AnomalyScore
        The scores that have rows with as many of them as reference.
    """

    counts: np.ndarray
    scores: list[AnomalyScore]

    @classmethod
    def from_views(
        cls, score: AnomalyScore, counts: list[int], views: list[Views]
    ) -> "HiddenTails":
        """Return the tails of groups of rows, of which each has as many observed columns."""
        rounding = score.neighbours.rounding / _MARGIN

        def fit_tails(
            values: np.ndarray, find_rounding: FindRounding, all_rows: TailSurprisal
        ) -> TailSurprisal:
            if not all_rows.has_bend:
                return TailSurprisal.from_values(values, None, find_rounding)
            wider = all_rows if score.is_mixed else None
            return TailSurprisal.from_rows(values, None, find_rounding, score.is_mixed, wider)

        scores = []
        for errors, distances in views:
            by_error = fit_tails(errors, _round_squares(rounding), score.by_error)
            by_distance = fit_tails(distances, _round_evenly(rounding), score.by_distance)
            scores.append(replace(score, by_error=by_error, by_distance=by_distance))
        return cls(np.array(counts), scores)

    def combine(self, views: Views, counts: np.ndarray) -> np.ndarray:
        """Return the scores of rows in which as many columns are observed."""
        nats = [score.combine(*views) for score in self.scores]
        return CountWeights.from_counts(counts, self.counts).combine(nats)


def is_known_by_heart(n_rows: int, n_features: int) -> bool:
    """Whether a network that is trained on so many rows knows them by heart.

    The error of a linear model that has not seen the row is the better score then, on embeddings of
    images and texts.
    """
    return n_rows < n_features


def _find_state(denoiser: DenoisingAutoencoder) -> FittedState[Any, Any, Any]:
    return denoiser._state


def _measure_errors(
    state: FittedState[Any, Any, Any], rows: CompletedRows, plan: ErrorPlan
) -> np.ndarray:
    n_draws = state.density.n_draws
    block = block_of_draws(rows.values.shape[1], plan.count_evaluations(n_draws))

    def measure(module: Denoiser, batch: Batch) -> Tensor:
        return measure_planned_errors(module, batch.input, n_draws, batch.mask, plan)

    return state.trained.apply_to_completed(measure, rows, block)


def _measure_linear_errors(
    state: FittedState[Any, Any, Any], rows: CompletedRows, plan: ErrorPlan
) -> np.ndarray:
    """Return what the errors of rows would be if the network were its linear path."""

    def measure(module: Denoiser, batch: Batch) -> Tensor:
        levels = module.levels.grid(N_ERROR_LEVELS).to(batch.input)[list(plan.levels)]
        cells = [module.filter.cell_errors(batch.input, level.view(1, 1)) for level in levels]
        if batch.mask is not None:
            cells = [own * batch.mask for own in cells]
        return torch.stack([own.sum(dim=1) for own in cells], dim=1)

    return state.trained.apply_to_completed(measure, rows, block_of_draws(rows.values.shape[1], 1))


def _weigh_errors(errors: np.ndarray, linear: np.ndarray, weight: np.ndarray | None) -> float:
    """Return how much errors count, given those of the linear path, each (n_rows, n_levels)."""
    largest = weighted_quantile(linear, _LARGEST_COUNTED, weight)
    own, path = (
        np.average(np.minimum(each, largest), axis=0, weights=weight) for each in (errors, linear)
    )
    return _LINEAR_WEIGHT if (own > (1 - _LEAST_GAIN) * path).all() else 1.0


def _measure_uncertainty(
    denoiser: DenoisingAutoencoder, scaled: np.ndarray, observed: np.ndarray
) -> np.ndarray:
    """Return the variance of each missing cell given the observed ones; 0 for those."""
    completion = _find_state(denoiser).completion
    if completion is not None:
        return completion.measure_uncertainty(np.where(observed, scaled, np.nan))
    share = np.maximum(observed.mean(axis=0), 1 / len(scaled))
    return np.where(observed, 0.0, np.square(scaled).mean(axis=0) / share)


def _round_squares(rounding: float) -> FindRounding:
    """Return how much a rounding of rows changes squares.

    `|e + r|^2 - |e|^2` is at most `2 |e| |r| + |r|^2`.
    """
    return lambda values: rounding * (2 * np.sqrt(np.abs(values)) + rounding)


def _round_evenly(rounding: float) -> FindRounding:
    """Return how much a rounding of rows changes distances."""
    return lambda values: np.full_like(values, rounding)


def _round_double(values: np.ndarray) -> np.ndarray:
    return 1e-12 * (1 + np.abs(values))


def _mean_excess(values: np.ndarray, limits: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return the mean of what is above each column's limit, less the limit."""
    excess = np.maximum(values - limits, 0)
    counts = np.ones(len(values)) if weight is None else weight
    n_above = counts @ (excess > 0)
    return np.divide(counts @ excess, n_above, out=np.full_like(limits, _UNIT), where=n_above > 0)


def score_at_share(scores: np.ndarray, weight: np.ndarray | None, share: float) -> float:
    """Return the score below which that share of the weight lies."""
    # Strictly below, so a little more than the share.
    return float(weighted_quantile(scores, min(share + 1e-9, 1.0), weight))


def _measure_rounding(denoiser: DenoisingAutoencoder, rows: np.ndarray) -> float:
    """Return by how much, in scaled columns, two copies of a row may differ."""
    # The maximum of each column's observed cells; NaN if there is none.
    largest = np.fmax.reduce(np.abs(rows), axis=0).astype(np.float64)
    least = np.fmin.reduce(rows, axis=0).astype(np.float64)
    ranges = np.fmax.reduce(rows, axis=0).astype(np.float64) - least
    each = (_SINGLE_ROUNDING * largest + _SHARE_OF_RANGE * ranges) / denoiser.scale_
    each = np.minimum(np.nan_to_num(each, nan=0.0), _MOST_ROUNDING)
    return max(float(np.linalg.norm(each)), _LEAST_ROUNDING)

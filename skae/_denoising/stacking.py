"""A denoiser's density stacked with Gaussian mixtures, with weights that held-out rows determine.

A network is the better density where the rows have fine structure, a mixture where they are few or
repeat. Held-out rows weigh both, so that neither is a floor that the other has to be fitted to.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from .._data import Rows, subsample_indices, trim_weight_array
from .._linear import (
    Codes,
    LatentClasses,
    MixedCells,
    Mixture,
    Split,
    StackedClasses,
    fit_mixture,
    has_few_rows,
    split_for_stacking,
    stack_classes,
    stack_mixtures,
)
from .._training import TrainedModule
from ..modules import Denoiser, WienerFilter
from .incomplete import CellCodes, make_gaussian_class

# With fewer rows no mixture can be told from another.
_FEWEST_ROWS = 10

# Rows that mixtures are fitted to, fewer of wide tables: they are kept until the first score.
_MIXTURE_ROWS = 5_000
_MIXTURE_CELLS = 2**21
_FEWEST_WIDE_ROWS = 1_000

# Rows of less weight, relative to the largest, do not count as rows.
_NO_WEIGHT = 1e-6

# Held-out rows that weigh them.
_HELD_OUT_ROWS = 1_000

# Leading axes that mixtures tell rows apart by; along the others rows have the filter's Gaussian.
_MOST_AXES = 32

#: Returns the log-density of each row of a table.
Score = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Evidence:
    """The rows that weigh densities.

    Attributes
    ----------
    rows : Rows
        Rows to fit mixtures to; those that the network was trained on, if any are held out.
    unseen : Rows or None
        Rows that the network has not seen.
    improvement : float or None
        By how many nats a row the network was better than the filter on rows that folds held
        out. None, without `unseen`, is not known: the rows that it was trained on weigh it.
    is_short : bool
        Whether the rows are few for their columns, so that the filter is wider than they are.
    """

    rows: Rows
    unseen: Rows | None
    improvement: float | None
    is_short: bool


@dataclass(frozen=True)
class Stack:
    """A Gaussian mixture along the filter's leading axes, and the denoiser's share of the density.

    Attributes
    ----------
    mixture : Mixture
        Of scores along the axes, divided by their standard deviations.
    share : float
        The denoiser's share of the density, in [0, 1).
    """

    mixture: Mixture
    share: float

    @cached_property
    def _tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Constants of the Gaussians, their whitening matrices side by side, and their means'."""
        whitening = np.linalg.inv(np.linalg.cholesky(self.mixture.covariance))
        diagonal = np.diagonal(whitening, axis1=1, axis2=2)
        size = self.mixture.mean.shape[1]
        constant = np.log(self.mixture.weight) + np.log(diagonal).sum(axis=1)
        constant -= 0.5 * size * math.log(2 * math.pi)
        origin = np.einsum("kij,kj->ki", whitening, self.mixture.mean)
        factor = np.ascontiguousarray(whitening.reshape(-1, size).T)
        return torch.from_numpy(constant), torch.from_numpy(factor), torch.from_numpy(origin)

    def log_density(self, filter: WienerFilter, rows: Tensor) -> Tensor:
        """Return the mixture's log-density of each row, in nats."""
        scores = score_rows(filter, rows, self.mixture.mean.shape[1])
        constant, factor, origin = (part.to(scores) for part in self._tensors)
        # One product for all Gaussians: the differences from their means would be many arrays.
        white = (scores @ factor).view(-1, *origin.shape).sub_(origin)
        joint = constant - 0.5 * white.square_().sum(dim=2)
        return joint.logsumexp(dim=1) + measure_remainder(filter, rows, scores)

    def combine(self, mixture: Tensor, denoiser: Tensor) -> Tensor:
        """Return the log-density of rows from the mixture's and the denoiser's."""
        return combine(mixture, denoiser, self.share)

    def make_classes(self, filter: WienerFilter) -> LatentClasses:
        """Return the mixture as one of rows, of which every marginal is known."""
        n_axes = self.mixture.mean.shape[1]
        whole = make_gaussian_class(filter)
        axes = filter.axes[:n_axes].double().cpu().numpy()
        variances = filter.variances[:n_axes].double().cpu().numpy()
        left = whole.covariance[0] - (axes.T * variances) @ axes
        root = axes * np.sqrt(variances)[:, None]
        return LatentClasses(
            self.mixture.weight,
            whole.mean + self.mixture.mean @ root,
            root.T @ self.mixture.covariance @ root + left,
            np.empty((len(self.mixture.weight), 0)),
        )

    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays."""
        return {
            "share": self.share,
            "mixture_weight": self.mixture.weight,
            "mixture_mean": self.mixture.mean,
            "mixture_covariance": self.mixture.covariance,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the stack of a stored state."""
        weight, mean, covariance = (
            state[f"mixture_{name}"] for name in ("weight", "mean", "covariance")
        )
        return cls(Mixture(weight, mean, covariance), state["share"])


@dataclass(frozen=True)
class ClassStack:
    """Latent classes, and the denoiser's share of the density.

    Attributes
    ----------
    classes : StackedClasses
        Of the cells of scaled rows.
    share : float
        The denoiser's share of the density, in [0, 1).
    """

    classes: StackedClasses
    share: float

    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays."""
        return {"share": self.share, "classes": self.classes.get_state()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the stack of a stored state."""
        return cls(StackedClasses.from_state(state["classes"]), state["share"])


def combine(known: Tensor, denoiser: Tensor, share: float) -> Tensor:
    """Return the log of the mean of two densities, of which the denoiser's has a share."""
    return torch.logaddexp(known + math.log1p(-share), denoiser + math.log(share))


def gather_evidence(rows: Rows, unseen: Rows | None, improvement: float | None) -> Evidence | None:
    """Return what weighs the densities, with as many rows as mixtures need; None of too few."""
    counting = np.flatnonzero(rows.counts > _NO_WEIGHT * rows.counts.max())
    if len(counting) < _FEWEST_ROWS:
        return None
    most = int(np.clip(_MIXTURE_CELLS // rows.n_features, _FEWEST_WIDE_ROWS, _MIXTURE_ROWS))
    sample = rows.take(counting[subsample_indices(len(counting), most)])
    if unseen is not None:
        unseen = unseen.take(subsample_indices(len(unseen), _HELD_OUT_ROWS))
    # The sample is often enough to know; the whole table may have to leave a device for it.
    is_short = has_few_rows(sample.table) and has_few_rows(rows.table)
    return Evidence(sample, unseen, improvement, is_short)


def fit_stack(
    trained: TrainedModule[Denoiser],
    score: Score | None,
    evidence: Evidence,
    trim_fraction: float,
) -> Stack:
    """Return the mixture, and the denoiser's share, that held-out rows prefer.

    Parameters
    ----------
    trained : TrainedModule
        The denoiser.
    score : callable or None
        Returns the log-densities of a table that the denoiser determines; None if these are the
        filter's.
    evidence : Evidence
        The rows.
    trim_fraction : float
        Share of the rows, those least likely under the filter, that is left out.
    """
    table, weight, splits = _split(evidence)
    measured = trained.apply(_measure, table, _to_double)
    n_axes = measured.shape[1] - 2
    scores, remainder, gaussian = measured[:, :n_axes], measured[:, -2], measured[:, -1]
    weight = trim_weight_array(-gaussian, weight, trim_fraction)
    if evidence.is_short:
        # The filter's axes follow the rows that it was fitted to, which spread more along the
        # leading ones, and less along others, than its variances and other rows do.
        fitted = slice(0, len(evidence.rows))
        spread = np.sqrt(np.average(np.square(scores[fitted]), axis=0, weights=weight[fitted]))
        scores[fitted] /= np.where(spread > 0, spread, 1.0)
        remainder = gaussian + 0.5 * (np.square(scores) + math.log(2 * math.pi)).sum(axis=1)
    rival, improvement = None, evidence.improvement
    if score is not None and improvement is None:
        rival = np.full(len(table), np.nan)
        held_out = np.concatenate([split.held_out for split in splits])
        rival[held_out] = score(table[held_out]) - remainder[held_out]
    elif score is not None and improvement is not None:
        gain = score(table) - gaussian
        known = float(np.average(gain, weights=weight))
        if known > 0:
            # Rows that were trained on flatter the network: their mean gain is known better.
            factor = min(max(improvement, 0.0) / known, 1.0)
            rival = _score_by_gaussian(scores, weight, splits) + factor * gain
    return Stack(*stack_mixtures(scores, weight, splits, rival, evidence.is_short))


def fit_class_stack(
    codes: CellCodes,
    score: Callable[[Rows, np.ndarray, np.ndarray], np.ndarray | None] | None,
    evidence: Evidence,
    trim_fraction: float,
) -> ClassStack:
    """Return the latent classes, and the denoiser's share, that held-out rows prefer.

    Parameters
    ----------
    codes : CellCodes
        What the encoded columns hold.
    score : callable or None
        Returns the log-densities of rows that the denoiser determines, given those of the classes
        and how often rows count; None if it can have no share. It is not asked of rows that the
        denoiser has seen: without others it has no share.
    evidence : Evidence
        The rows.
    trim_fraction : float
        Share of the rows, those least likely as one class, that is left out.
    """
    table, weight, splits = _split(evidence)
    observed = _stack_masks(evidence)
    cells = MixedCells.from_encoded(table, observed, codes.layout)
    if trim_fraction > 0:
        one = LatentClasses.fit_one(cells, weight)
        weight = trim_weight_array(-one.log_density(cells), weight, trim_fraction)
    rival, unseen = None, evidence.unseen
    if score is not None and unseen is not None:
        rival = partial(score, unseen)
    return ClassStack(*stack_classes(cells, weight, splits, rival))


def _stack_masks(evidence: Evidence) -> np.ndarray | None:
    """Return which cells of all rows are observed, None for all."""
    parts = [evidence.rows] if evidence.unseen is None else [evidence.rows, evidence.unseen]
    if all(part.observed is None for part in parts):
        return None
    return np.vstack(
        [
            np.ones((len(part), part.n_features), dtype=bool)
            if part.observed is None
            else part.observed
            for part in parts
        ]
    )


def _split(evidence: Evidence) -> tuple[np.ndarray, np.ndarray, list[Split]]:
    """Return all rows, their weights, and which of them are held out."""
    rows, unseen = evidence.rows, evidence.unseen
    if unseen is None:
        return rows.table, rows.counts, split_for_stacking(len(rows))
    n_rows = len(rows)
    split = Split(np.arange(n_rows), np.arange(n_rows, n_rows + len(unseen)))
    weight = np.concatenate([rows.counts, unseen.counts])
    return np.vstack([rows.table, unseen.table]), weight, [split]


def _measure(module: Denoiser, rows: Tensor) -> Tensor:
    """Return rows' scores, and their log-densities along other axes and along all."""
    n_axes = min(len(module.filter.axes), _MOST_AXES)
    scores = score_rows(module.filter, rows, n_axes)
    remainder = measure_remainder(module.filter, rows, scores)
    density = module.filter.log_density(rows)
    return torch.cat([scores, remainder[:, None], density[:, None]], dim=1)


def score_rows(filter: WienerFilter, rows: Tensor, n_axes: int) -> Tensor:
    """Return scores of unit variance along the filter's leading axes."""
    scores = (rows - filter.mean) @ filter.axes[:n_axes].T
    return scores * filter.variances[:n_axes].rsqrt()


def measure_remainder(filter: WienerFilter, rows: Tensor, scores: Tensor) -> Tensor:
    """Return what is to be added to a log-density of scores, for one of rows."""
    n_axes = scores.shape[1]
    normal = 0.5 * (scores.square().sum(dim=1) + n_axes * math.log(2 * math.pi))
    return filter.log_density(rows) + normal


def _score_by_gaussian(scores: np.ndarray, weight: np.ndarray, splits: list[Split]) -> np.ndarray:
    """Return the log-densities of held-out rows under the Gaussian of the others."""
    result = np.empty(len(scores))
    for split in splits:
        codes = Codes.from_points(scores[split.fitted], weight[split.fitted])
        mixture, _ = fit_mixture(codes, 1, True, np.random.default_rng(0))
        result[split.held_out] = mixture.log_density(scores[split.held_out])
    return result


def _to_double(rows: np.ndarray) -> np.ndarray:
    return rows.astype(np.float64)

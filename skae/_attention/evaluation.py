"""Answers to cells hidden from rows that training has not seen: how good they are."""

from dataclasses import dataclass

import numpy as np
import torch

from .._data import weighted_quantile
from .row_attention import RowAttention
from .search import look_up_missing
from .training import KnownRows

# Draws of the hidden cells of each row.
_N_DRAWS = 4

# Cells that are hidden to be filled: few where many are missing already, since an answer should be
# judged with as many missing cells as it will meet.
_MOST_HIDDEN = 0.2
_LEAST_HIDDEN = 0.1

# Held-out rows whose squared errors are beyond this quantile count less: a few could carry most of
# the sum.
_QUANTILE = 0.98

# Standard errors by which a share of the steps falls short of the best one. In tables of few rows
# that one is often too large.
_N_ERRORS = 2.0

# How far gains are expected to be from those of training: the factor that all columns share, and
# what is left of each column's own.
_SHARED_DEVIATION = 1.0
_OWN_DEVIATION = 0.25

# Beyond the neighbours' mean, or against what they say, is chance.
_LEAST_GAINS, _LARGEST_GAINS = (0.0, -0.5), (1.0, 1.5)


@dataclass(frozen=True)
class HiddenCells:
    """Answers to cells hidden from rows that training has not seen, for one cell of a row.

    Attributes
    ----------
    errors : ndarray of shape (n_answers, n_own)
        The truth less the linear answer.
    parts : ndarray of shape (n_answers, 2, n_own)
        The parts of the attention's step from the linear answer, see `look_up_missing`.
    weight : ndarray of shape (n_answers,)
        How often each counts.
    rows : ndarray of int of shape (n_answers,)
        Indices of their rows.
    """

    errors: np.ndarray
    parts: np.ndarray
    weight: np.ndarray
    rows: np.ndarray

    @classmethod
    def none(cls, own: slice) -> "HiddenCells":
        """Return no answers for a cell of these encoded columns."""
        width = own.stop - own.start
        empty = np.empty(0)
        return cls(np.empty((0, width)), np.empty((0, 2, width)), empty, empty.astype(int))

    @classmethod
    def join(cls, several: "list[HiddenCells]") -> "HiddenCells":
        """Return the answers of several."""
        return cls(
            np.concatenate([one.errors for one in several]),
            np.concatenate([one.parts for one in several]),
            np.concatenate([one.weight for one in several]),
            np.concatenate([one.rows for one in several]),
        )

    def take(self, index: np.ndarray) -> "HiddenCells":
        """Return some of the answers."""
        return HiddenCells(
            self.errors[index], self.parts[index], self.weight[index], self.rows[index]
        )

    def leave(self, gains: np.ndarray) -> np.ndarray:
        """Return the errors that are left after steps of those gains."""
        if not gains.any():  # parts that aren't finite are none
            return self.errors
        return self.errors - np.einsum("k,nkj->nj", gains, self.parts)

    def multiply(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the products (2, 2) of the parts with each other, and (2,) with the errors."""
        weighted = self.weight[:, None, None] * self.parts
        return (
            np.einsum("nkj,nlj->kl", weighted, self.parts),
            np.einsum("nkj,nj->k", weighted, self.errors),
        )


def fit_gains(answers: list[HiddenCells], trained: np.ndarray) -> np.ndarray:
    """Return the gains (n_cells, 2) of least squared error, near to those of training.

    Training has fewer rows to look up, and more hidden cells: all gains may be too small by a
    factor. Each column's own are drawn to what that leaves, the more the fewer its answers.
    """
    products = [cells.multiply() for cells in answers]
    square = sum(np.outer(own, own) * p for own, (p, _) in zip(trained, products, strict=True))
    way = sum(own * q for own, (_, q) in zip(trained, products, strict=True))
    noise = _measure_noise(answers, trained) / _SHARED_DEVIATION**2
    if not np.isfinite(square).all():
        return np.zeros_like(trained)
    factor = np.linalg.solve(square + noise * np.eye(2), way + noise)
    gains = trained * factor
    for index, (cells, (p, q)) in enumerate(zip(answers, products, strict=True)):
        penalty = _measure_noise([cells], gains[[index]]) / _OWN_DEVIATION**2 * np.eye(2)
        gains[index] += np.linalg.solve(p + penalty, q - p @ gains[index])
    return gains.clip(_LEAST_GAINS, _LARGEST_GAINS)


def _measure_noise(answers: list[HiddenCells], gains: np.ndarray) -> float:
    """Return the mean squared error that is left, in float64's range."""
    total = sum(
        float(cells.weight @ np.square(cells.leave(own)).sum(axis=1))
        for cells, own in zip(answers, gains, strict=True)
    )
    count = sum(float(cells.weight.sum()) for cells in answers)
    return max(total / max(count, 1e-12), 1e-12)


@dataclass(frozen=True)
class Assessment:
    """What held-out rows say of the attention.

    Attributes
    ----------
    gains : ndarray of shape (n_cells, 2)
        How far a step follows each of its parts: the less, the more the answers are in doubt.
    left : list of ndarray of shape (n_answers, n_own)
        For each cell of a row, the errors that are left, with gains fitted to other rows.
    shrinkage : ndarray of shape (n_cells,)
        Root mean square of these, as a share of that of the linear answers.
    """

    gains: np.ndarray
    left: list[np.ndarray]
    shrinkage: np.ndarray


def assess(answers: list[HiddenCells], trained: np.ndarray) -> Assessment:
    """Return gains of which the share is taken that held-out rows are sure of, and what they leave.

    Each half of the rows is assessed with gains that were fitted to the other one.
    """
    halves = [
        fit_gains([cells.take(cells.rows % 2 != half) for cells in answers], trained)
        for half in (0, 1)
    ]
    left = []
    for index, cells in enumerate(answers):
        is_odd = (cells.rows % 2 == 1)[:, None]
        even, odd = (cells.leave(gains[index]) for gains in halves)
        left.append(np.where(is_odd, odd, even))
    share = _measure_sure_share(left, answers)
    if share == 0:  # errors that are left may not be finite
        gains, left = np.zeros_like(trained), [cells.errors for cells in answers]
    else:
        gains = share * fit_gains(answers, trained)
        left = [
            share * errors + (1 - share) * cells.errors
            for errors, cells in zip(left, answers, strict=True)
        ]
    shrinkage = [
        _measure_size(errors, cells) / max(_measure_size(cells.errors, cells), 1e-12)
        for errors, cells in zip(left, answers, strict=True)
    ]
    return Assessment(gains, left, np.where(gains.any(axis=1), shrinkage, 1.0))


def _measure_size(errors: np.ndarray, cells: HiddenCells) -> float:
    return float(np.sqrt(cells.weight @ np.square(errors).sum(axis=1)))


def _measure_sure_share(left: list[np.ndarray], answers: list[HiddenCells]) -> float:
    """Return how much of the steps is taken at least, as far as the rows can tell.

    It is the share of least squared error less two standard errors, in [0, 1]. Cells of all columns
    count together, since those of one are few, and rows are independent.
    """
    rows = np.concatenate([cells.rows for cells in answers])
    counts = np.bincount(rows)
    known = counts > 0

    def average(values: list[np.ndarray]) -> np.ndarray:
        return np.bincount(rows, np.concatenate(values))[known] / counts[known]

    pairs = [
        (cells.errors, cells.errors - errors) for errors, cells in zip(left, answers, strict=True)
    ]
    before = average([np.square(errors).sum(axis=1) for errors, _ in pairs])
    way = average([(errors * step).sum(axis=1) for errors, step in pairs])
    square = average([np.square(step).sum(axis=1) for _, step in pairs])
    if not square.any() or not np.isfinite(square).all():
        return 0.0
    largest = np.maximum(before, before - 2 * way + square)
    weight = average([cells.weight for cells in answers])
    cap = max(float(weighted_quantile(largest, _QUANTILE, weight)), 1e-12)
    weight *= cap / np.maximum(largest, cap)
    total = weight @ square
    share = weight @ way / total
    error = np.sqrt(np.square(weight * (way - share * square)).sum()) / total
    return float(np.clip(min(share, 1.0) - _N_ERRORS * error, 0.0, 1.0))


def answer_hidden_cells(
    module: RowAttention,
    others: KnownRows,
    held_out: KnownRows,
    generator: np.random.Generator,
) -> list[HiddenCells]:
    """Return answers for each cell of held-out rows.

    Parameters
    ----------
    module : RowAttention
        The attention.
    others : KnownRows
        The rows that it was trained on, whose linear answer knows nothing of those held out.
    held_out : KnownRows
        Rows that it was not trained on.
    generator : numpy.random.Generator
        Source of the hidden cells.
    """
    remembered = others.remember(torch.float32)
    gaps = float(np.isnan(held_out.rows).mean())
    share = max(_MOST_HIDDEN - gaps, _LEAST_HIDDEN)
    rows = held_out.take(np.tile(np.arange(len(held_out)), _N_DRAWS))
    gapped, hidden = rows.hide((share, share), generator)
    filled = others.linear.fill(gapped)
    answers = []
    found = look_up_missing(module, filled, ~np.isnan(gapped), hidden, remembered)
    for own, (asked, parts) in zip(others.cells, found, strict=True):
        errors = rows.rows[asked][:, own] - filled[asked][:, own]
        answers.append(HiddenCells(errors, parts, rows.weight[asked], asked % len(held_out)))
    return answers

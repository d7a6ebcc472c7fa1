"""Answers to cells hidden from rows that training has not seen: how good they are."""

from dataclasses import dataclass

import numpy as np
import torch

from .row_attention import RowAttention
from .search import look_up_missing
from .training import KnownRows

# Draws of the hidden cells of each row.
_N_DRAWS = 4

# Cells that are hidden to be filled: few where many are missing already, since an answer should be
# judged with as many missing cells as it will meet.
_MOST_HIDDEN = 0.2
_LEAST_HIDDEN = 0.1

# Errors of held-out rows are clipped at this quantile: a few could carry most of the sum.
_QUANTILE = 0.95


@dataclass(frozen=True)
class HiddenCells:
    """Answers to cells hidden from rows that training has not seen, for one cell of a row.

    Attributes
    ----------
    errors : ndarray of shape (n_answers, n_own)
        The truth less the linear answer.
    steps : ndarray of shape (n_answers, n_own)
        The attention's steps from the linear answer.
    weight : ndarray of shape (n_answers,)
        How often each counts.
    rows : ndarray of int of shape (n_answers,)
        Indices of their rows.
    """

    errors: np.ndarray
    steps: np.ndarray
    weight: np.ndarray
    rows: np.ndarray

    @classmethod
    def join(cls, parts: "list[HiddenCells]") -> "HiddenCells":
        """Return the answers of several parts."""
        return cls(
            np.concatenate([part.errors for part in parts]),
            np.concatenate([part.steps for part in parts]),
            np.concatenate([part.weight for part in parts]),
            np.concatenate([part.rows for part in parts]),
        )

    @classmethod
    def none(cls, own: slice) -> "HiddenCells":
        """Return no answers for a cell of these encoded columns."""
        empty = np.empty((0, own.stop - own.start))
        return cls(empty, empty, np.empty(0), np.empty(0, dtype=int))

    def choose_gate(self) -> float:
        """Return the largest share of the steps, up to all, that isn't surely too large.

        It is the share of least squared error and a standard error more.
        """
        size = float(self.weight @ np.square(self.steps).sum(axis=1))
        if size <= 0 or not np.isfinite(size):
            return 0.0
        share = float(self.weight @ (self.steps * self.errors).sum(axis=1)) / size
        left = (self.steps * (self.errors - share * self.steps)).sum(axis=1)
        deviation = float(np.sqrt(np.square(self.weight * left).sum())) / size
        return float(np.clip(share + deviation, 0.0, 1.0))

    def leave(self, gate: float) -> np.ndarray:
        """Return the errors that are left with that share of the steps."""
        # Steps that aren't finite are none.
        return self.errors - gate * self.steps if gate > 0 else self.errors

    def measure_errors(self, gate: float) -> np.ndarray:
        """Return the absolute errors with that share of the steps, in ascending order."""
        return np.sort(np.abs(self.leave(gate)), axis=None)

    def measure_shrinkage(self, gate: float) -> float:
        """Return the root mean square of the errors as a share of that of the linear answers."""
        before = float(self.weight @ np.square(self.errors).sum(axis=1))
        after = float(self.weight @ np.square(self.leave(gate)).sum(axis=1))
        return float(np.sqrt(after / before)) if before > 0 else 1.0


def choose_gates(answers: list[HiddenCells]) -> np.ndarray:
    """Return the share of its steps that each cell of a row takes: 0 for all, if in doubt.

    The steps must be better than none by a standard error, over the cells together, which are
    many more than those of one column. Errors are compared row by row.
    """
    gates = np.array([cells.choose_gate() for cells in answers])
    rows = np.concatenate([cells.rows for cells in answers])
    if len(rows) == 0:
        return gates
    counts = np.bincount(rows)
    known = counts > 0

    def average(values: list[np.ndarray]) -> np.ndarray:
        return np.bincount(rows, np.concatenate(values))[known] / counts[known]

    before = average([np.square(cells.errors).sum(axis=1) for cells in answers])
    after = average(
        [
            np.square(cells.leave(gate)).sum(axis=1)
            for cells, gate in zip(answers, gates, strict=True)
        ]
    )
    weight = average([cells.weight for cells in answers])
    cap = np.quantile(before, _QUANTILE)
    gain = np.minimum(before, cap) - np.minimum(after, cap)
    mean = np.average(gain, weights=weight)
    error = np.sqrt(np.square(weight * (gain - mean)).sum()) / weight.sum()
    return gates if mean > error else np.zeros(len(gates))


def answer_hidden_cells(
    module: RowAttention,
    known: KnownRows,
    fold: np.ndarray,
    generator: np.random.Generator,
) -> list[HiddenCells]:
    """Return answers for each cell of held-out rows, from the others.

    Parameters
    ----------
    module : RowAttention
        The attention.
    known : KnownRows
        All rows.
    fold : ndarray of int of shape (n_held_out,)
        Indices of those that it was not trained on.
    generator : numpy.random.Generator
        Source of the hidden cells.
    """
    remembered = known.drop(fold).remember(torch.float32)
    held_out = known.take(fold)
    gaps = float(np.isnan(held_out.rows).mean())
    share = max(_MOST_HIDDEN - gaps, _LEAST_HIDDEN)
    rows = held_out.take(np.tile(np.arange(len(held_out)), _N_DRAWS))
    gapped, hidden = rows.hide((share, share), generator)
    filled = rows.linear.fill(gapped)
    answers = []
    found = look_up_missing(module, filled, ~np.isnan(gapped), hidden, remembered)
    for own, (asked, steps) in zip(known.cells, found, strict=True):
        errors = rows.rows[asked][:, own] - filled[asked][:, own]
        answers.append(HiddenCells(errors, steps, rows.weight[asked], fold[asked % len(fold)]))
    return answers

"""Completion by attention whose gates held-out rows set, and its intervals."""

import copy
import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch

from .._environment import RandomStreams, isolate_torch, limit_threads
from .._linear import Completion
from ..modules.cells import CellLayout
from .evaluation import HiddenCells, answer_hidden_cells, assess
from .hiding import list_cells
from .linear_answer import LinearAnswer
from .probabilities import IndicatorScale
from .row_attention import RememberedRows, RowAttention
from .search import look_up_missing
from .training import KnownRows, train_attention

#: Rows that are remembered: each missing cell is compared with all of them.
REMEMBERED_ROWS = 4096

# With fewer rows no distance can be told from another.
_FEWEST_ROWS = 30

# Held-out rows, and the rows from which one part of these is enough.
_N_FOLDS = 4
_FOLDS_OF_FEW = 3
_ONE_FOLD_FROM = 500


@dataclass(frozen=True)
class AttentionCompletion:
    """Fills missing cells of scaled rows.

    Attributes
    ----------
    layout : CellLayout
        What the encoded columns hold.
    linear : LinearAnswer
        The linear answer.
    indicators : IndicatorScale
        What stands for 0 and 1 in booleans and categories.
    attention : RowAttention
        What leaves the linear answer.
    gains : ndarray of shape (n_cells, 2)
        How far each cell of a row follows the parts of attention's step.
    rows : ndarray of shape (n_remembered, n_encoded)
        The rows that attention looks up, their own missing cells filled.
    observed : ndarray of bool of shape (n_remembered, n_encoded)
        Which of their cells were not missing.
    weight : ndarray of shape (n_remembered,)
        How often each counts.
    errors : tuple of ndarray
        For each cell of a row, the absolute errors of answers for cells hidden from held-out rows,
        in ascending order; none for categories.
    shrinkage : ndarray of shape (n_cells,)
        Root mean square of these errors, as a share of that of the linear answers.
    """

    layout: CellLayout
    linear: LinearAnswer
    indicators: IndicatorScale
    attention: RowAttention
    gains: np.ndarray
    rows: np.ndarray
    observed: np.ndarray
    weight: np.ndarray
    errors: tuple[np.ndarray, ...]
    shrinkage: np.ndarray

    @property
    def cells(self) -> tuple[slice, ...]:
        """The encoded columns of each cell of a row."""
        return self.attention.cells

    def complete(self, rows: np.ndarray) -> np.ndarray:
        """Return rows with missing cells filled by what is expected of them.

        Indicators of categories are filled by probabilities, scaled as the indicators are.
        Observed cells stay as they are, to the bit.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_encoded)
            Scaled rows; NaN is a missing cell.
        """
        out = rows.copy()
        incomplete = np.flatnonzero(np.isnan(rows).any(axis=1))
        if len(incomplete):
            part = rows[incomplete]
            filled = self._expect(part.astype(np.float64)).astype(rows.dtype)
            out[incomplete] = np.where(np.isnan(part), filled, part)
        return out

    def half_widths(self, coverage: float) -> np.ndarray:
        """Return how far the truth may be from what a missing number is filled with.

        Split-conformal quantiles of the errors for cells hidden from held-out rows (Lei et al.
        2018): a cell that is missing as they were is within them with that probability. They are
        inf where too few were hidden to tell, and NaN for booleans and categories.

        Parameters
        ----------
        coverage : float
            The probability, in (0, 1).

        Returns
        -------
        half_widths : ndarray of shape (n_encoded,)
            In scaled units.
        """
        widths = np.full(self.layout.n_encoded, np.nan)
        for own, errors in zip(self.cells, self.errors, strict=True):
            if self.layout.is_number[own.start]:
                rank = math.ceil(coverage * (len(errors) + 1))
                widths[own.start] = errors[rank - 1] if rank <= len(errors) else np.inf
        return widths

    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays."""
        weights = self.attention.state_dict()
        return {
            "layout": self.layout.get_state(),
            "linear": self.linear.get_state(),
            "zero": self.indicators.zero,
            "unit": self.indicators.unit,
            "attention": {name: value.cpu().numpy().copy() for name, value in weights.items()},
            "gains": self.gains,
            "rows": self.rows,
            "observed": self.observed,
            "weight": self.weight,
            "errors": list(self.errors),
            "shrinkage": self.shrinkage,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the completion of a stored state."""
        layout = CellLayout.from_state(state["layout"])
        attention = RowAttention(list_cells(layout), np.ones(state["attention"]["others"].shape))
        weights = {name: torch.from_numpy(value) for name, value in state["attention"].items()}
        attention.load_state_dict(weights)
        return cls(
            layout,
            LinearAnswer.from_state(state["linear"]),
            IndicatorScale(layout, state["zero"], state["unit"]),
            attention.eval(),
            state["gains"],
            state["rows"],
            state["observed"],
            state["weight"],
            tuple(state["errors"]),
            state["shrinkage"],
        )

    @cached_property
    def _remembered(self) -> RememberedRows:
        residuals = self.linear.measure_residuals(self.rows, self.cells)
        return RememberedRows.from_arrays(
            self.rows, residuals, self.observed, self.weight, torch.float64
        )

    @cached_property
    def _double(self) -> RowAttention:
        return copy.deepcopy(self.attention).double()

    def _expect(self, rows: np.ndarray) -> np.ndarray:
        missing = np.isnan(rows)
        filled = self.linear.fill(rows)
        answers = filled.copy()
        open_cells = np.repeat(self.gains.any(axis=1), [own.stop - own.start for own in self.cells])
        wanted = missing & open_cells
        if wanted.any():
            with isolate_torch():
                found = look_up_missing(self._double, filled, ~missing, wanted, self._remembered)
                for own, gains, (asked, parts) in zip(self.cells, self.gains, found, strict=True):
                    answers[asked, own] += np.einsum("k,nkj->nj", gains, parts)
        return self.indicators.normalize(answers)


def fit_attention(
    rows: np.ndarray,
    layout: CellLayout,
    streams: RandomStreams,
    weight: np.ndarray | None = None,
    completion: Completion | None = None,
) -> AttentionCompletion:
    """Return a completion fitted to rows.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_encoded)
        Scaled rows; NaN is a missing cell.
    layout : CellLayout
        What the encoded columns hold.
    streams : RandomStreams
        Source of all that is drawn.
    weight : ndarray of shape (n_rows,) or None, default=None
        How often each row counts.
    completion : Completion or None, default=None
        The normal distribution of the rows; None fits it.
    """
    generator = streams.make_numpy_generator()
    weight = np.ones(len(rows)) if weight is None else weight.astype(np.float64)
    counting = np.flatnonzero(weight > 0)
    if len(counting) > REMEMBERED_ROWS:
        counting = np.sort(generator.permutation(counting)[:REMEMBERED_ROWS])
    indicators = IndicatorScale.from_rows(rows, layout)
    rows, weight = rows[counting].astype(np.float64), weight[counting]
    weight = weight / weight.mean()
    linear = LinearAnswer.fit(rows, weight) if completion is None else LinearAnswer(completion)
    known = KnownRows(rows, weight, list_cells(layout), linear)
    with isolate_torch(), limit_threads(1):
        attention, answers = _train_by_folds(known.write_out(REMEMBERED_ROWS, generator), generator)
    found = assess(answers, attention.gains.detach().double().numpy())
    errors = tuple(
        np.sort(np.abs(left), axis=None) if left.shape[1] == 1 else np.empty(0)
        for left in found.left
    )
    attentive = AttentionCompletion(
        layout,
        known.linear,
        indicators,
        attention,
        found.gains,
        known.linear.fill(known.rows),
        ~np.isnan(known.rows),
        known.weight,
        errors,
        found.shrinkage,
    )
    # Rows whose own missing cells are better filled are better neighbours.
    return replace(attentive, rows=attentive.complete(known.rows))


def _train_by_folds(
    known: KnownRows, generator: np.random.Generator
) -> tuple[RowAttention, list[HiddenCells]]:
    """Return attention, and its answers to cells hidden from rows that it was not trained on.

    In tables of few rows it is the mean of several, each trained without some of them.
    """
    if len(known) < _FEWEST_ROWS or len(known.cells) < 2:
        untrained = RowAttention(known.cells, np.ones((len(known.cells), known.rows.shape[1])))
        return untrained, [HiddenCells.none(own) for own in known.cells]
    folds = np.array_split(generator.permutation(len(known)), _N_FOLDS)
    n_trained = 1 if len(known) >= _ONE_FOLD_FROM else _FOLDS_OF_FEW
    modules, answers = [], []
    for fold in folds[:n_trained]:
        others = known.drop(fold)
        module = train_attention(others, generator)
        modules.append(module)
        found = answer_hidden_cells(module, others, known.take(fold), generator)
        answers.append([replace(cells, rows=fold[cells.rows]) for cells in found])
    joined = [HiddenCells.join(list(parts)) for parts in zip(*answers, strict=True)]
    return RowAttention.average(modules), joined

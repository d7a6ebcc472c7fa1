"""How attention learns its distances: on observed cells that are hidden for a step."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .hiding import hide_cells
from .linear_answer import LinearAnswer
from .row_attention import Neighbourhood, RememberedRows, RowAttention

# Steps for each row, at least and at most so many.
_STEPS_A_ROW = 0.4
_N_STEPS = (200, 600)
_LEARNING_RATE = 0.05

# Rows that have cells hidden in a step, rows that these look up, and cells that are filled.
_QUERIES, _REMEMBERED, _CELLS = 128, 512, 16

# A wide table's linear answers cost the cube of its missing cells.
_QUERIED_CELLS = 2**14
_FEWEST_QUERIES = 32

# Shares of a row's observed cells that are hidden.
_HIDDEN_SHARES = (0.05, 0.5)

# Weights are taken for counts as long as writing all copies out takes no more than this times the
# memory.
_MOST_COPIES = 10

# Steps whose rows are filled at a time, and the most often that they are taken: of a wide table's
# hidden cells each step fills but a few.
_STEPS_AT_A_TIME, _MOST_PASSES = 20, 10


@dataclass(frozen=True)
class KnownRows:
    """Rows to learn from.

    Attributes
    ----------
    rows : ndarray of shape (n_rows, n_encoded)
        Scaled rows, in float64; NaN is a missing cell.
    weight : ndarray of shape (n_rows,)
        How often each counts, more than 0.
    cells : tuple of slice
        The encoded columns of each cell of a row.
    linear : LinearAnswer
        What fills them first.
    """

    rows: np.ndarray
    weight: np.ndarray
    cells: tuple[slice, ...]
    linear: LinearAnswer

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: np.ndarray) -> "KnownRows":
        """Return some of the rows."""
        return KnownRows(self.rows[indices], self.weight[indices], self.cells, self.linear)

    def drop(self, indices: np.ndarray) -> "KnownRows":
        """Return all rows but some, with a linear answer that knows nothing of these."""
        left = self.take(np.setdiff1d(np.arange(len(self)), indices))
        return replace(left, linear=LinearAnswer.fit(left.rows, left.weight))

    def write_out(self, most: int, generator: np.random.Generator) -> "KnownRows":
        """Return copies as rows of their own, at most so many, if weights are counts.

        A row whose cells are hidden then finds its copies among the others, as one with missing
        cells does. Counts are multiples of the least weight; copies are in a random order.
        """
        least = self.weight.min()
        if least * len(self) * _MOST_COPIES < self.weight.sum():
            return self
        shares = self.weight / least
        counts = np.rint(shares)
        if (counts == 1).all() or not np.allclose(shares, counts, rtol=1e-6, atol=0):
            return self
        copies = np.repeat(np.arange(len(self)), counts.astype(int))
        copies = generator.permutation(copies)[:most]
        return replace(self, rows=self.rows[copies], weight=np.ones(len(copies)))

    def remember(self, dtype: torch.dtype) -> RememberedRows:
        """Return them as rows to look up."""
        filled = self.linear.fill(self.rows)
        residuals = self.linear.measure_residuals(filled, self.cells)
        observed = ~np.isnan(self.rows)
        return RememberedRows.from_arrays(filled, residuals, observed, self.weight, dtype)

    def hide(
        self, shares: tuple[float, float], generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return rows with some of their observed cells missing, and which these are."""
        hidden = hide_cells(~np.isnan(self.rows), self.cells, shares, generator)
        return np.where(hidden, np.nan, self.rows), hidden


def train_attention(known: KnownRows, generator: np.random.Generator) -> RowAttention:
    """Return attention that was trained to fill hidden cells of some rows from the others.

    Parameters
    ----------
    known : KnownRows
        The rows.
    generator : numpy.random.Generator
        Source of the rows, cells and hidden cells of each step.
    """
    n_encoded = known.rows.shape[1]
    module = RowAttention(known.cells, known.linear.relate(known.cells, n_encoded))
    remembered = known.remember(torch.float32)
    optimizer = torch.optim.Adam(module.parameters(), lr=_LEARNING_RATE, fused=True)
    n_steps = int(np.clip(_STEPS_A_ROW * len(known), *_N_STEPS))
    for step, queries in enumerate(_draw_queries(known, n_steps, generator)):
        _set_rate(optimizer, step / n_steps)
        cells = generator.permutation(len(known.cells))[:_CELLS]
        loss = _measure_loss(module, cells, queries, remembered.take(queries.others))
        if loss.requires_grad:  # all of the cells may be missing
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return module.eval()


class _Queries(NamedTuple):
    """Rows with hidden cells.

    Attributes
    ----------
    filled : Tensor of shape (n_rows, n_encoded)
        The rows with linear answers.
    truth : Tensor of shape (n_rows, n_encoded)
        The rows without hidden cells.
    observed : Tensor of shape (n_rows, n_encoded)
        1 where a cell is neither missing nor hidden, else 0.
    hidden : Tensor of bool of shape (n_rows, n_encoded)
        Which cells are hidden.
    weight : Tensor of shape (n_rows,)
        How often each row counts.
    others : Tensor of int of shape (n_others,)
        Indices of the rows to look up.
    """

    filled: Tensor
    truth: Tensor
    observed: Tensor
    hidden: Tensor
    weight: Tensor
    others: Tensor


def _draw_queries(
    known: KnownRows, n_steps: int, generator: np.random.Generator
) -> Iterator[_Queries]:
    """Yield the rows of each step."""
    n_encoded = known.rows.shape[1]
    n_rows = min(max(_QUERIED_CELLS // n_encoded, _FEWEST_QUERIES), _QUERIES, len(known) // 3)
    n_all = min(n_rows + _REMEMBERED, len(known))
    n_passes = int(np.clip(len(known.cells) // (4 * _CELLS), 1, _MOST_PASSES))
    n_rounds = math.ceil(n_steps / _STEPS_AT_A_TIME)
    for done in range(0, n_rounds, n_passes):
        orders = [generator.permutation(len(known))[:n_all] for _ in range(_STEPS_AT_A_TIME)]
        queries = known.take(np.concatenate([order[:n_rows] for order in orders]))
        gapped, hidden = queries.hide(_HIDDEN_SHARES, generator)
        parts = (
            queries.linear.fill(gapped).astype(np.float32),
            np.nan_to_num(queries.rows).astype(np.float32),
            (~np.isnan(gapped)).astype(np.float32),
            hidden,
            queries.weight.astype(np.float32),
        )
        split = zip(*(torch.from_numpy(part).split(n_rows) for part in parts), strict=True)
        steps = []
        for order, own in zip(orders, split, strict=True):
            filled, truth, observed, missing, weight = own
            others = torch.from_numpy(order[n_rows:])
            steps.append(_Queries(filled, truth, observed, missing, weight, others))
        yield from min(n_passes, n_rounds - done) * steps


def _measure_loss(
    module: RowAttention, cells: np.ndarray, queries: _Queries, others: RememberedRows
) -> Tensor:
    """Return the mean over cells of the errors of both the answer and the neighbours alone.

    Where an answer hardly follows the neighbours, distances would learn little from its errors.
    """
    own = [torch.arange(module.cells[cell].start, module.cells[cell].stop) for cell in cells]
    which, asked = queries.hidden[:, [part[0] for part in own]].T.nonzero(as_tuple=True)
    if len(asked) == 0:
        return torch.zeros(())
    cell, columns = torch.from_numpy(cells)[which], torch.cat(own)
    rows = queries.filled[asked]
    weights = module.weigh_each(cell, rows, queries.observed[asked], others)
    found = Neighbourhood(
        weights @ others.values[:, columns], weights @ others.residuals[:, columns]
    )
    linear, truth = rows[:, columns], queries.truth[asked][:, columns]
    answer = linear + module.step(cell, linear, found)
    is_own = 1 - module.others[cell][:, columns]
    errors = ((answer - truth).square() + (found.values - truth).square()) * is_own
    # Each cell counts alike, in however many rows it is hidden.
    total = torch.zeros(len(cells)).index_add(0, which, queries.weight[asked])
    share = queries.weight[asked] / total[which] / total.count_nonzero()
    return share @ errors.sum(dim=1)


def _set_rate(optimizer: torch.optim.Optimizer, done: float) -> None:
    """Lower the learning rate along a half cosine."""
    for group in optimizer.param_groups:
        group["lr"] = 0.5 * _LEARNING_RATE * (1 + math.cos(math.pi * done))

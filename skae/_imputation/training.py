"""How attention learns its distances: on observed cells that are hidden for a step."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .hiding import hide_cells
from .linear_answer import LinearAnswer
from .row_attention import RememberedRows, RowAttention

_N_STEPS = 400
_LEARNING_RATE = 0.05

# Rows that have cells hidden in a step, rows that these look up, and cells that are filled.
_QUERIES, _REMEMBERED, _CELLS = 128, 512, 16

# A wide table's linear answers cost the cube of its missing cells.
_QUERIED_CELLS = 2**14
_FEWEST_QUERIES = 32

# Shares of a row's observed cells that are hidden.
_HIDDEN_SHARES = (0.05, 0.5)

# Steps whose rows are filled at a time.
_STEPS_AT_A_TIME = 20


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

    def remember(self, dtype: torch.dtype) -> RememberedRows:
        """Return them as rows to look up."""
        filled = self.linear.fill(self.rows)
        residuals = self.linear.measure_residuals(filled, self.cells)
        return RememberedRows(
            torch.from_numpy(filled).to(dtype),
            torch.from_numpy(residuals).to(dtype),
            torch.from_numpy(~np.isnan(self.rows)),
            torch.from_numpy(np.log(self.weight)).to(dtype),
        )

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
    cells, n_encoded = known.cells, known.rows.shape[1]
    module = RowAttention(cells, known.linear.relate(cells, n_encoded))
    remembered = known.remember(torch.float32)
    optimizer = torch.optim.Adam(module.parameters(), lr=_LEARNING_RATE)
    n_queries = min(max(_QUERIED_CELLS // n_encoded, _FEWEST_QUERIES), _QUERIES, len(known) // 3)
    n_others = min(_REMEMBERED, len(known) - n_queries)
    for first in range(0, _N_STEPS, _STEPS_AT_A_TIME):
        orders = [
            generator.permutation(len(known))[: n_queries + n_others]
            for _ in range(_STEPS_AT_A_TIME)
        ]
        queries = known.take(np.concatenate([order[:n_queries] for order in orders]))
        gapped, hidden = queries.hide(_HIDDEN_SHARES, generator)
        linear = torch.from_numpy(queries.linear.fill(gapped).astype(np.float32))
        parts = zip(
            orders,
            linear.split(n_queries),
            torch.from_numpy(~np.isnan(gapped)).split(n_queries),
            torch.from_numpy(hidden).split(n_queries),
            strict=True,
        )
        for step, (order, filled, observed, missing) in enumerate(parts, first):
            chosen = generator.permutation(len(cells))[:_CELLS]
            index = torch.from_numpy(order)
            truth = remembered.take(index[:n_queries])
            others = remembered.take(index[n_queries:])
            batch = _Queries(filled, observed.float(), missing, truth)
            _set_rate(optimizer, step)
            optimizer.zero_grad()
            loss = _measure_loss(module, chosen, batch, others)
            if loss.requires_grad:  # all of the chosen cells may be missing
                loss.backward()
                optimizer.step()
    return module.eval()


@dataclass(frozen=True)
class _Queries:
    """Rows with hidden cells."""

    filled: Tensor
    observed: Tensor
    hidden: Tensor
    truth: RememberedRows


def _measure_loss(
    module: RowAttention, chosen: np.ndarray, queries: _Queries, others: RememberedRows
) -> Tensor:
    """Return the mean over cells of the errors of both the answer and the neighbours alone.

    Where an answer hardly follows the neighbours, distances would learn little from its errors.
    """
    losses = []
    for cell in chosen.tolist():
        own = module.cells[cell]
        asked = queries.hidden[:, own.start].nonzero()[:, 0]
        known = others.take(others.observed[:, own.start].nonzero()[:, 0])
        if len(asked) == 0 or len(known.values) == 0:
            continue
        linear, truth = queries.filled[asked][:, own], queries.truth.values[asked][:, own]
        found = module.look_up(cell, queries.filled[asked], queries.observed[asked], known)
        answer = linear + module.step(cell, linear, found)
        errors = (answer - truth).square() + (found.values - truth).square()
        share = queries.truth.log_weight[asked].softmax(dim=0)
        losses.append(share @ errors.sum(dim=1))
    return torch.stack(losses).mean() if losses else torch.zeros(())


def _set_rate(optimizer: torch.optim.Optimizer, step: int) -> None:
    """Lower the learning rate along a half cosine."""
    rate = 0.5 * _LEARNING_RATE * (1 + math.cos(math.pi * step / _N_STEPS))
    for group in optimizer.param_groups:
        group["lr"] = rate

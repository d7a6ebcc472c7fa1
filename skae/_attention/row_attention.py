"""Attention of incomplete rows to remembered ones, with a distance for each column to fill."""

import copy
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

# Distances in training begin as the squared differences of related columns, times this.
_INITIAL_SCALE = 8.0

# So that columns without any relation can still find one.
_LEAST_WEIGHT = 1e-3

_INITIAL_SHARPNESS = 4.0

#: Logarithm of the weight of a cell that is missing: finite, so that no sum of weights is 0.
NEVER = -1e30


class RememberedRows(NamedTuple):
    """Rows that missing cells are filled from.

    Attributes
    ----------
    values, squares : Tensor of shape (n_rows, n_encoded)
        The rows, their own missing cells filled, and the squares of that.
    residuals : Tensor of shape (n_rows, n_encoded)
        What the linear answer, given all other cells of the row, misses.
    log_weight : Tensor of shape (n_rows, n_encoded)
        Logarithm of how often each cell counts, `NEVER` if it is missing.
    """

    values: Tensor
    squares: Tensor
    residuals: Tensor
    log_weight: Tensor

    @classmethod
    def from_arrays(
        cls,
        filled: np.ndarray,
        residuals: np.ndarray,
        observed: np.ndarray,
        weight: np.ndarray,
        dtype: torch.dtype,
    ) -> "RememberedRows":
        """Return rows of a precision."""
        log_weight = np.where(observed, np.log(weight)[:, None], NEVER)
        return cls(
            torch.from_numpy(filled).to(dtype),
            torch.from_numpy(np.square(filled)).to(dtype),
            torch.from_numpy(residuals).to(dtype),
            torch.from_numpy(log_weight).to(dtype),
        )

    def take(self, index: Tensor) -> "RememberedRows":
        """Return some of the rows."""
        return RememberedRows(*(part[index] for part in self))


class Neighbourhood(NamedTuple):
    """What similar rows say of one cell.

    Attributes
    ----------
    values : Tensor of shape (n_rows, n_own)
        The mean of their cells.
    residuals : Tensor of shape (n_rows, n_own)
        The mean of what the linear answer misses in them.
    """

    values: Tensor
    residuals: Tensor


class RowAttention(nn.Module):
    """Weights of remembered rows, and how far a cell follows them.

    A remembered row at the squared distance `d` weighs `(1 + d)^-sharpness`: the tails of a normal
    kernel would leave rows that lie far out with one neighbour.

    Parameters
    ----------
    cells : tuple of slice
        The encoded columns of each cell of a row.
    relation : ndarray of shape (n_cells, n_encoded)
        How closely encoded columns are related to each cell, from which its distance begins.
    """

    def __init__(self, cells: tuple[slice, ...], relation: np.ndarray) -> None:
        super().__init__()
        others = np.ones(relation.shape)
        for index, own in enumerate(cells):
            others[index, own] = 0.0
        related = relation * others
        related /= np.maximum(related.sum(axis=1, keepdims=True), 1e-12)
        initial = np.log(_INITIAL_SCALE * related + _LEAST_WEIGHT).astype(np.float32)
        self.cells = cells
        self.others: Tensor
        self.register_buffer("others", torch.from_numpy(others.astype(np.float32)))
        self.log_metric = nn.Parameter(torch.from_numpy(initial))
        self.log_sharpness = nn.Parameter(torch.full((len(cells),), _INITIAL_SHARPNESS).log())
        self.gains = nn.Parameter(torch.tensor([0.5, 0.0]).repeat(len(cells), 1))

    @classmethod
    def average(cls, modules: "list[RowAttention]") -> "RowAttention":
        """Return the mean of several, which are to fill the same cells."""
        mean = copy.deepcopy(modules[0])
        with torch.no_grad():
            for own, *others in zip(
                *(module.parameters() for module in (mean, *modules[1:])), strict=True
            ):
                own.copy_(torch.stack([own, *others]).mean(dim=0))
        return mean

    def look_up(
        self, cell: int, rows: Tensor, observed: Tensor, remembered: RememberedRows
    ) -> Neighbourhood:
        """Return what the remembered rows say of a cell.

        Parameters
        ----------
        cell : int
            Index of the cell.
        rows : Tensor of shape (n_rows, n_encoded)
            The rows, with any finite value in missing cells.
        observed : Tensor of shape (n_rows, n_encoded)
            1 where a cell is observed, else 0.
        remembered : RememberedRows
            The rows to look up.
        """
        metric = self.log_metric[cell].exp() * self.others[cell]
        own = self.cells[cell]
        distance = _measure_distance(rows, observed, metric, remembered)
        sharpness = self.log_sharpness[cell].exp()
        logits = remembered.log_weight[:, own.start] - sharpness * distance.log1p()
        parts = torch.cat([remembered.values[:, own], remembered.residuals[:, own]], dim=1)
        found = logits.softmax(dim=1) @ parts
        return Neighbourhood(*found.chunk(2, dim=1))

    def weigh_each(
        self, cells: Tensor, rows: Tensor, observed: Tensor, remembered: RememberedRows
    ) -> Tensor:
        """Return weights (n_rows, n_remembered) for one cell of each row, as `look_up` has them.

        Parameters
        ----------
        cells : Tensor of int of shape (n_rows,)
            Index of the cell of each row.
        rows, observed, remembered : Tensor and RememberedRows
            As in `look_up`.
        """
        metric = self.log_metric[cells].exp() * self.others[cells]
        distance = _measure_distance(rows, observed, metric, remembered)
        sharpness = self.log_sharpness[cells].exp()[:, None]
        first = torch.tensor([own.start for own in self.cells])[cells]
        logits = remembered.log_weight.T[first] - sharpness * distance.log1p()
        return logits.softmax(dim=1)

    def step(self, cells: Tensor, linear: Tensor, found: Neighbourhood) -> Tensor:
        """Return the step of each row's cell from the linear answer to what is expected."""
        way, residuals = self.gains[cells].split(1, dim=1)
        return way * (found.values - linear) + residuals * found.residuals


def _measure_distance(
    rows: Tensor, observed: Tensor, metric: Tensor, remembered: RememberedRows
) -> Tensor:
    """Return the squared distances (n_rows, n_remembered), in one metric or one for each row."""
    known = rows * observed
    distance = torch.addmm(
        (known.square() * metric).sum(dim=1, keepdim=True), observed * metric, remembered.squares.T
    )
    return torch.addmm(distance, known * metric, remembered.values.T, alpha=-2).clamp_min(0)

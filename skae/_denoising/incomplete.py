"""Densities of rows with missing cells, from densities of complete ones."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from .._data import Batch, CompletedRows
from .._linear import (
    Completion,
    LatentClasses,
    MixedCells,
    StackedClasses,
    draw_missing,
    fill_missing,
)
from ..modules import WienerFilter
from ..modules.cells import CellLayout

_SEED = 19950301


@dataclass(frozen=True)
class CellCodes:
    """What encoded columns hold, and the two values of those that are indicators.

    Attributes
    ----------
    layout : CellLayout
        What they hold.
    off, on : ndarray of shape (n_encoded,)
        The value of an indicator that is not set, and of one that is, in scaled units.
    """

    layout: CellLayout
    off: np.ndarray
    on: np.ndarray

    @classmethod
    def from_scaling(cls, layout: CellLayout, mean: np.ndarray, scale: np.ndarray) -> Self:
        """Return the codes of columns that are centred and scaled.

        Parameters
        ----------
        layout : CellLayout
            What they hold.
        mean, scale : ndarray of shape (n_encoded,)
            Of the encoded columns.
        """
        return cls(layout, -mean / scale, (1 - mean) / scale)

    @classmethod
    def from_numbers(cls, n_features: int) -> Self:
        """Return the codes of columns of numbers."""
        return cls(CellLayout.from_numbers(n_features), np.zeros(n_features), np.zeros(n_features))

    def read(self, batch: Batch) -> MixedCells:
        """Return the cells of rows."""
        mask = None if batch.mask is None else batch.mask.cpu().numpy()
        return MixedCells.from_encoded(batch.input.cpu().numpy(), mask, self.layout)

    def score(self, classes: LatentClasses | StackedClasses, batch: Batch) -> Tensor:
        """Return the log-density of rows' observed cells under latent classes."""
        return torch.from_numpy(classes.log_density(self.read(batch))).to(batch.input)

    def write(self, cells: MixedCells, like: Tensor) -> Tensor:
        """Return complete cells as rows."""
        return torch.from_numpy(cells.to_encoded(self.layout, self.off, self.on)).to(like)

    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays."""
        return {"layout": self.layout.get_state(), "off": self.off, "on": self.on}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the codes of a state."""
        return cls(CellLayout.from_state(state["layout"]), state["off"], state["on"])


@dataclass(frozen=True)
class DrawMissing:
    """Fills the missing cells of rows with draws given the observed ones.

    Around conditional means, which are functions of the observed cells, rows with noise would tell
    more of these than a whole row with noise does, and a denoiser would learn to read it.

    Attributes
    ----------
    layout : CellLayout
        What the columns hold.
    mean, scale : ndarray of shape (n_encoded,)
        Of the encoded columns.
    completion : Completion
        The normal distribution that cells are drawn from; levels have the probabilities that their
        indicators' means come closest to.
    """

    layout: CellLayout
    mean: np.ndarray
    scale: np.ndarray
    completion: Completion

    def __call__(self, X: np.ndarray) -> CompletedRows:
        """Return completed rows, the same at each call."""
        observed = ~np.isnan(X)
        if observed.all():
            return CompletedRows(np.ascontiguousarray(X))
        generator = np.random.default_rng(_SEED)
        rows = X.astype(np.float64)
        if not self.layout.is_numeric:
            self._draw_levels(rows, generator)
        drawn = draw_missing(rows, self.completion.moments, generator).astype(X.dtype)
        return CompletedRows(np.where(observed, X, drawn), observed)

    def _draw_levels(self, rows: np.ndarray, generator: np.random.Generator) -> None:
        """Set missing booleans and categories."""
        expected = fill_missing(rows, self.completion.moments) * self.scale + self.mean
        spans = [(index, index + 1) for index in self.layout.booleans]
        for first, end in [*spans, *self.layout.categories]:
            missing = np.flatnonzero(np.isnan(rows[:, first]))
            mass = expected[missing, first:end].clip(0, 1)
            if end - first == 1:
                is_set = generator.random((len(missing), 1)) < mass
            else:
                total = mass.cumsum(axis=1)
                drawn = generator.random((len(missing), 1)) * total[:, -1:]
                chosen = (drawn >= total).sum(axis=1).clip(max=end - first - 1)
                is_set = np.eye(end - first, dtype=bool)[chosen]
            values = (is_set - self.mean[first:end]) / self.scale[first:end]
            rows[missing, first:end] = values


def score_with_completion(
    codes: CellCodes,
    classes: LatentClasses | StackedClasses,
    batch: Batch,
    score: Callable[[Tensor], Tensor],
) -> tuple[Tensor, Tensor]:
    """Return the log-densities of observed cells under latent classes and under a score.

    A density of the observed cells is that of the row with any values of the missing ones, over
    the density of these values given the observed cells (Chib 1995, "Marginal likelihood from the
    Gibbs output"). The values are likely ones, and their density is that of the classes. The
    result is exact where both agree on it.

    Parameters
    ----------
    codes : CellCodes
        What the encoded columns hold.
    classes : LatentClasses or StackedClasses
        Classes, whose marginal densities are known.
    batch : Batch
        The rows.
    score : callable
        Returns the log-densities of complete rows.
    """
    cells = codes.read(batch)
    known = torch.from_numpy(classes.log_density(cells)).to(batch.input)
    mask = batch.mask
    if mask is None or bool(mask.all()):
        return known, score(batch.input)
    filled = classes.complete(cells)
    completed = codes.write(filled, batch.input)
    is_complete = mask.all(dim=1)
    rows = torch.where(is_complete[:, None], batch.input, completed)
    joint = torch.from_numpy(classes.log_density(filled)).to(known)
    given = torch.where(is_complete, torch.zeros_like(known), joint - known)
    own = score(rows) - given
    return known, torch.where(mask.any(dim=1), own, torch.zeros_like(own))


def make_gaussian_class(filter: WienerFilter) -> LatentClasses:
    """Return a filter's Gaussian of rows of numbers as the only class."""
    axes = filter.axes.double().cpu().numpy()
    spread = (filter.variances - filter.remainder).double().cpu().numpy()
    covariance = (axes.T * spread) @ axes
    covariance += float(filter.remainder) * np.eye(axes.shape[1])
    mean = filter.mean.double().cpu().numpy()
    return LatentClasses(np.ones(1), mean[None], covariance[None], np.empty((1, 0)))

"""Classes of codes, given which a row's numbers are normal and its other cells have masses.

A class predicts numbers by straight lines in the decoded ones, and the levels of a boolean or a
category by odds that grow with the decoded indicators. A code's density within each class is
normal. What is not normal in it, and the integral over codes, are left to weighted draws, so that
the masses of all rows add up to one whatever the decoder is.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from .._linear.latent_classes import MixedCells
from ..modules.cells import CellLayout

_LOG_2PI = math.log(2 * math.pi)

# Width of the curve by which a decoded indicator becomes the logarithm of a share, in frequencies
# of the level: far above it that is the logarithm itself, and below zero it falls on.
_CURVE_WIDTH = 0.25


class CellTensors(NamedTuple):
    """Cells of rows; those that are missing hold zeros.

    Attributes
    ----------
    numbers, is_known : Tensor of shape (n_rows, n_numbers)
        The numbers, and one for those that are observed.
    levels : Tensor of shape (n_rows, n_levels)
        One for each level of a boolean or category that the row has.
    is_seen : Tensor of shape (n_rows, n_blocks)
        One for the booleans and categories that are observed.
    """

    numbers: Tensor
    is_known: Tensor
    levels: Tensor
    is_seen: Tensor

    @classmethod
    def from_cells(cls, cells: MixedCells, device: torch.device | None = None) -> Self:
        """Return cells as tensors."""
        known = ~np.isnan(cells.numbers)
        seen = [cells.levels[:, block].sum(axis=1) for block in cells.blocks]
        arrays = (
            np.where(known, cells.numbers, 0.0),
            known.astype(np.float64),
            cells.levels,
            np.stack(seen, axis=1) if seen else np.empty((len(known), 0)),
        )
        return cls(*(torch.from_numpy(array).to(device) for array in arrays))

    def select(self, rows: slice | Tensor) -> "CellTensors":
        """Return those of some rows."""
        return CellTensors(*(part[rows] for part in self))


class Decoded(NamedTuple):
    """What a decoder says of cells.

    Attributes
    ----------
    numbers : Tensor of shape (..., n_numbers)
        Expected numbers.
    scores : Tensor of shape (..., n_levels)
        Something like the logarithms of the levels' shares.
    """

    numbers: Tensor
    scores: Tensor


@dataclass(frozen=True)
class CellMap:
    """Which of a decoder's outputs belong to which cells.

    Attributes
    ----------
    number : Tensor of shape (n_numbers,)
        Indices of the outputs that are numbers.
    level : Tensor of shape (n_levels,)
        Index of each level's output: the two of a boolean share one.
    shift, scale : Tensor of shape (n_levels,)
        A level's share is `shift + scale * output`.
    width : Tensor of shape (n_levels,)
        Shares below it make little difference.
    sizes : tuple of int
        Number of levels of each boolean, and then of each category.
    """

    number: Tensor
    level: Tensor
    shift: Tensor
    scale: Tensor
    width: Tensor
    sizes: tuple[int, ...]

    @classmethod
    def from_layout(
        cls, layout: CellLayout, mean: np.ndarray, scale: np.ndarray, mass: np.ndarray
    ) -> Self:
        """Return the map of scaled rows.

        Parameters
        ----------
        layout : CellLayout
            What the columns hold.
        mean, scale : ndarray of shape (n_encoded,)
            What was subtracted from columns, and what they were divided by then.
        mass : ndarray of shape (n_levels,)
            How frequent each level is.
        """
        level, shift, factor, sizes = [], [], [], []
        for index in layout.booleans:
            level += [index, index]
            shift += [1 - mean[index], mean[index]]
            factor += [-scale[index], scale[index]]
            sizes.append(2)
        for first, end in layout.categories:
            level += range(first, end)
            shift += list(mean[first:end])
            factor += list(scale[first:end])
            sizes.append(end - first)
        return cls(
            torch.tensor(layout.numbers, dtype=torch.long),
            torch.tensor(level, dtype=torch.long),
            torch.tensor(shift, dtype=torch.float64),
            torch.tensor(factor, dtype=torch.float64),
            torch.from_numpy(_CURVE_WIDTH * mass),
            tuple(sizes),
        )

    @property
    def blocks(self) -> Iterator[slice]:
        """The levels of each boolean and category."""
        first = 0
        for size in self.sizes:
            yield slice(first, first + size)
            first += size

    @property
    def owner(self) -> Tensor:
        """Which boolean or category each level belongs to."""
        sizes = torch.tensor(self.sizes, dtype=torch.long, device=self.level.device)
        return torch.arange(len(self.sizes), device=self.level.device).repeat_interleave(sizes)

    def read(self, output: Tensor) -> Decoded:
        """Return what a decoder's outputs say of cells."""
        ratio = self._find_share(output) / (2 * self.width)
        return Decoded(output[..., self.number], ratio.asinh())

    def read_jacobian(self, output: Tensor, jacobian: Tensor) -> Decoded:
        """Return the derivatives of what `read` returns, from the decoder's Jacobians."""
        share = self._find_share(output)
        slope = self.scale / (share.square() + (2 * self.width).square()).sqrt()
        scores = jacobian[:, self.level] * slope.unsqueeze(2)
        return Decoded(jacobian[:, self.number], scores)

    def _find_share(self, output: Tensor) -> Tensor:
        return self.shift + self.scale * output[..., self.level]

    def to(self, device: torch.device) -> "CellMap":
        """Return the map on a device."""
        return CellMap(
            self.number.to(device),
            self.level.to(device),
            self.shift.to(device),
            self.scale.to(device),
            self.width.to(device),
            self.sizes,
        )

    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays."""
        state = {field.name: getattr(self, field.name) for field in fields(self)}
        return {n: v.numpy() if isinstance(v, Tensor) else list(v) for n, v in state.items()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the map of a stored state."""
        sizes = tuple(int(size) for size in state["sizes"])
        tensors = {n: torch.from_numpy(v) for n, v in state.items() if n != "sizes"}
        return cls(**tensors, sizes=sizes)


class Expansion(NamedTuple):
    """Logarithms of densities of rows and codes, to the second order, for each class.

    Attributes
    ----------
    value : Tensor of shape (n_rows, n_classes)
        At the codes.
    gradient : Tensor of shape (n_rows, n_classes, n_components)
        With respect to the codes.
    precision : Tensor of shape (n_rows, n_classes, n_components, n_components)
        Minus the second derivatives, without those of the decoder (Gauss and Newton).
    """

    value: Tensor
    gradient: Tensor
    precision: Tensor


@dataclass(frozen=True)
class CodeClasses:
    """Classes of codes and of cells given them.

    Attributes
    ----------
    log_weight : Tensor of shape (n_classes,)
        Logarithms of the classes' weights.
    mean : Tensor of shape (n_classes, n_components)
        Means of the codes.
    covariance : Tensor of shape (n_classes, n_components, n_components)
        Their covariances.
    intercept, slope, variance : Tensor of shape (n_classes, n_numbers)
        A number is normal, around `intercept + slope * decoded`.
    bias : Tensor of shape (n_classes, n_levels)
        Log-odds of levels whose scores are zero.
    steepness : Tensor of shape (n_blocks,)
        What a boolean's or category's scores are multiplied by.
    orientation : Tensor of shape (n_components,)
        1 or -1: draws of codes that are turned around with their axes lead to the same results.
    """

    log_weight: Tensor
    mean: Tensor
    covariance: Tensor
    intercept: Tensor
    slope: Tensor
    variance: Tensor
    bias: Tensor
    steepness: Tensor
    orientation: Tensor

    @property
    def roots(self) -> Tensor:
        """Lower Cholesky factors of the codes' covariances."""
        return torch.linalg.cholesky(self.covariance)

    def log_prior(self, code: Tensor) -> Tensor:
        """Return the log-density `(..., n_classes)` of codes in each class, without its weight."""
        each = []
        for mean, root in zip(self.mean, self.roots, strict=True):
            flat = (code - mean).flatten(0, -2)
            white = torch.linalg.solve_triangular(root, flat.mT, upper=False)
            squares = white.square().sum(dim=0).view(code.shape[:-1])
            each.append(-0.5 * squares - root.diagonal().log().sum())
        return torch.stack(each, dim=-1) - 0.5 * code.shape[-1] * _LOG_2PI

    def log_likelihood(self, cells: CellTensors, decoded: Decoded, cell_map: CellMap) -> Tensor:
        """Return the log-density `(n_rows, n_draws, n_classes)` of rows given codes.

        Parameters
        ----------
        cells : CellTensors
            The rows.
        decoded : Decoded of shape (n_rows, n_draws, ...)
            What the decoder says of each row's draws.
        cell_map : CellMap
            Which of the decoder's outputs belong to which cells.
        """
        numbers = decoded.numbers
        known = cells.is_known.unsqueeze(1)
        precision, pull = 1 / self.variance, self.intercept / self.variance
        squares = (numbers.square() * known) @ (self.slope.square() * precision).T
        squares = squares - 2 * (numbers * cells.numbers.unsqueeze(1)) @ (self.slope * precision).T
        squares = squares + 2 * (numbers * known) @ (self.slope * pull).T
        result = self._score_rows(cells).unsqueeze(1) - 0.5 * squares
        logits = decoded.scores * self.steepness[cell_map.owner]
        result = result + (logits * cells.levels.unsqueeze(1)).sum(dim=-1, keepdim=True)
        return result - self._sum_totals(cells.is_seen.unsqueeze(1), logits, cell_map)

    def log_likelihood_of_all(
        self, cells: CellTensors, decoded: Decoded, cell_map: CellMap
    ) -> Tensor:
        """Return what `log_likelihood` does, for draws `(n_draws, ...)` that all rows share."""
        precision, pull = 1 / self.variance, self.intercept / self.variance
        numbers = decoded.numbers.unsqueeze(1)  # draws, classes, numbers
        known = numbers.square() * (self.slope.square() * precision)
        known = known + 2 * numbers * (self.slope * pull)
        squares = torch.einsum("nj,dkj->ndk", cells.is_known, known)
        cross = numbers * (self.slope * precision)
        squares = squares - 2 * torch.einsum("nj,dkj->ndk", cells.numbers, cross)
        result = self._score_rows(cells).unsqueeze(1) - 0.5 * squares
        logits = decoded.scores * self.steepness[cell_map.owner]
        result = result + (cells.levels @ logits.T).unsqueeze(2)
        totals = [
            torch.log(logits[:, own].exp() @ self.bias[:, own].exp().T) for own in cell_map.blocks
        ]
        if totals:
            result = result - torch.einsum("nb,bdk->ndk", cells.is_seen, torch.stack(totals))
        return result

    def _score_rows(self, cells: CellTensors) -> Tensor:
        """Return the part of the likelihood that doesn't depend on codes."""
        precision, pull = 1 / self.variance, self.intercept / self.variance
        squares = cells.numbers.square() @ precision.T - 2 * cells.numbers @ pull.T
        constant = self.intercept * pull + self.variance.log() + _LOG_2PI
        return cells.levels @ self.bias.T - 0.5 * (squares + cells.is_known @ constant.T)

    def _sum_totals(self, is_seen: Tensor, logits: Tensor, cell_map: CellMap) -> Tensor:
        """Return the logarithms of the observed blocks' sums of odds, summed over blocks."""
        total = logits.new_zeros(*logits.shape[:-1], len(self.bias))
        for index, own in enumerate(cell_map.blocks):
            sums = logits[..., own].exp() @ self.bias[:, own].exp().T
            total = total + is_seen[..., index, None] * sums.log()
        return total

    def expand(
        self, cells: CellTensors, code: Tensor, decoded: Decoded, slopes: Decoded, cell_map: CellMap
    ) -> Expansion:
        """Return the log-densities of rows and codes, weights included, around one code a row.

        Parameters
        ----------
        cells : CellTensors
            The rows.
        code : Tensor of shape (n_rows, n_components)
            Their codes.
        decoded, slopes : Decoded
            What the decoder says there, and its derivatives.
        cell_map : CellMap
            Which of the decoder's outputs belong to which cells.
        """
        one = Decoded(decoded.numbers.unsqueeze(1), decoded.scores.unsqueeze(1))
        value = self.log_likelihood(cells, one, cell_map).squeeze(1)
        value = value + self.log_prior(code) + self.log_weight
        steepness = self.steepness[cell_map.owner]
        odds = (decoded.scores * steepness).exp()
        turned = slopes.scores * steepness.unsqueeze(1)
        gradients, precisions = [], []
        for k, root in enumerate(self.roots):
            prior = torch.cholesky_inverse(root)
            line = slopes.numbers * self.slope[k].unsqueeze(1)
            weight = cells.is_known / self.variance[k]
            left = cells.numbers - self.slope[k] * decoded.numbers - self.intercept[k]
            gradient = (line * (weight * left).unsqueeze(2)).sum(dim=1)
            gradient = gradient + (self.mean[k] - code) @ prior
            precision = line.mT @ (line * weight.unsqueeze(2)) + prior
            mass = odds * self.bias[k].exp()
            expected = []
            for index, own in enumerate(cell_map.blocks):
                seen = cells.is_seen[:, index, None]
                share = seen * mass[:, own] / mass[:, own].sum(dim=1, keepdim=True)
                mass[:, own] = share
                expected.append((share.unsqueeze(2) * turned[:, own]).sum(dim=1))
            if expected:
                pull = (cells.levels - mass).unsqueeze(2)
                gradient = gradient + (turned * pull).sum(dim=1)
                means = torch.stack(expected, dim=1)
                precision = precision + turned.mT @ (turned * mass.unsqueeze(2))
                precision = precision - means.mT @ means
            gradients.append(gradient)
            precisions.append(precision)
        return Expansion(value, torch.stack(gradients, dim=1), torch.stack(precisions, dim=1))

    def to(self, device: torch.device) -> "CodeClasses":
        """Return the classes on a device."""
        return CodeClasses(*(getattr(self, field.name).to(device) for field in fields(self)))

    def get_state(self) -> dict[str, Any]:
        """Return arrays by name."""
        return {field.name: getattr(self, field.name).numpy() for field in fields(self)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the classes of a stored state."""
        return cls(**{name: torch.from_numpy(value) for name, value in state.items()})

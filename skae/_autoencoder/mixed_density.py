"""The density of rows of numbers, booleans and categories: by their codes, and by latent classes.

It is the density of the numbers times the mass of the other cells, of those that are observed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from scipy.special import logsumexp
from torch import Tensor

from .._data import (
    AnyRows,
    Batch,
    Rows,
    Scaling,
    block_length,
    subsample_indices,
    trim_weight_array,
)
from .._linear import NormalScores, score_cells
from .._linear.latent_classes import (
    ClassRecipe,
    LatentClasses,
    Marginals,
    MixedCells,
    group_by_pattern,
)
from .._linear.stacked_mixture import Split, split_for_stacking, weigh_densities
from .._training import Module, TrainedModule, TrainingResult
from .._training.losses import squared_error
from ..modules.cells import CellLayout
from ..modules.jacobian import Decoder
from .code_classes import CodeRows, fit_code_classes, widen
from .code_integral import count_cells, draw_codes
from .mixed_cells import CellMap, CellTensors, CodeClasses

# Rows that latent classes and classes of codes are fitted to, and that weigh one against the other.
_ROWS = 4000
_CODE_ROWS = 1000

# Classes of codes; with more rows each, and a code so small that integrals take little time.
_N_CLASSES = 4
_ROWS_EACH = 20
_MOST_CODES = 48

# Numbers of latent classes that are tried, with a variance for each number and with a covariance.
_N_APART = (1, 2, 4, 8, 16, 32)
_N_FULL = (1, 2, 4, 8)
_ROWS_APART = 8

# With more numbers, a covariance takes too long.
_FULL_UP_TO = 64

# Classes of full covariances times squared numbers.
_MOST_FULL = 4096

# Standard errors by which a density must be better than independent columns.
_SURE = 2.0

# Parts of a smaller share are left out.
_LEAST_SHARE = 0.01

# Cells of a block's largest array (rows x draws x levels).
_BLOCK_CELLS = 2**21


class MixedTask(NamedTuple):
    """What the density of mixed rows is fitted from besides the network, without the whole table.

    Attributes
    ----------
    layout : CellLayout
        What the encoded columns hold.
    scaling : Scaling
        How they are scaled.
    seen : Rows
        Evenly spread rows of those that the network has seen, without those that are trimmed.
    unseen : Rows or None
        The same of those that it has not, if there are such.
    n_rows : int
        How many rows the table has.
    is_mixture : bool
        Whether there are several classes.
    """

    layout: CellLayout
    scaling: Scaling
    seen: Rows
    unseen: Rows | None
    n_rows: int
    is_mixture: bool

    @classmethod
    def gather(
        cls,
        rows: AnyRows,
        trained: TrainedModule[Any],
        layout: CellLayout,
        scaling: Scaling,
        trim_fraction: float,
        result: TrainingResult[Any] | None = None,
        is_mixture: bool = True,
    ) -> "MixedTask":
        """Return the task of fitting the density of rows.

        Parameters
        ----------
        rows : Rows or StoredRows
            The rows.
        trained : TrainedModule
            The module.
        layout : CellLayout
            What their columns hold.
        scaling : Scaling
            How they are scaled.
        trim_fraction : float
            Share of rows, those of largest error, that doesn't count.
        result : TrainingResult or None, default=None
            Says which of them the network has not seen; None if it has seen all.
        is_mixture : bool, default=True
            Whether there are several classes.
        """
        trained_on, held_out = None, None
        if result is not None:
            trained_on, held_out = result.trained_on, result.held_out
        seen = _take_rows(rows if trained_on is None else trained_on, trained, trim_fraction)
        unseen = None if held_out is None else _take_rows(held_out, trained, trim_fraction)
        return cls(layout, scaling, seen, unseen, len(rows), is_mixture)


@dataclass(frozen=True)
class MixedDensity:
    """A mixture of what codes say of rows, and of latent classes, which know of no codes.

    A network may be far off on rows unlike those that it has seen. Latent classes bound the loss on
    each row; the share of both is what rows prefer that neither was fitted to.

    Attributes
    ----------
    layout : CellLayout
        What the encoded columns hold.
    margins : NormalScores
        By which numbers become normal scores.
    latent : tuple of LatentClasses
        Mixtures of classes of scores and other cells.
    latent_share : ndarray of shape (n_mixtures,)
        Their shares, of sum one.
    codes : CodeClasses
        Classes of codes.
    cell_map : CellMap
        Which of the decoder's outputs belong to which cells.
    share : float
        Share of the rows that codes make.
    n_rows : int
        Number of rows that all of this is fitted to.
    """

    layout: CellLayout
    margins: NormalScores
    latent: tuple[LatentClasses, ...]
    latent_share: np.ndarray
    codes: CodeClasses
    cell_map: CellMap
    share: float
    n_rows: int

    def log_density(self, module: Module, batch: Batch) -> Tensor:
        """Return the log-density of each row's observed cells, in nats."""
        cells, log_slope = score_cells(self.margins, read_cells(batch, self.layout))
        parts = [
            classes.log_density(cells) + np.log(share)
            for classes, share in zip(self.latent, self.latent_share, strict=True)
        ]
        device = batch.input.device
        total = torch.from_numpy(np.logaddexp.reduce(parts)).to(device)
        if self.share > 0:
            tensors, cell_map = CellTensors.from_cells(cells, device), self.cell_map.to(device)
            codes, code = self.codes.to(device), module.encode(batch.input)
            by_codes = integrate(codes, tensors, code, module.decode, cell_map)
            total = total + np.log1p(-self.share)
            total = torch.logaddexp(total, by_codes + np.log(self.share))
        total = total + torch.from_numpy(log_slope).to(device)
        # Draws would say so nearly.
        return total if batch.mask is None else total * batch.mask.any(dim=1)

    def block_length(self) -> int:
        """Return how many rows to score at a time."""
        n_cells = count_cells(self.layout.n_encoded, len(self.codes.mean))
        return block_length(n_cells, _BLOCK_CELLS, most_rows=_BLOCK_CELLS)

    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays."""
        return {
            "layout": self.layout.get_state(),
            "margins": self.margins.get_state(),
            "latent": [classes.get_state() for classes in self.latent],
            "latent_share": self.latent_share,
            "codes": self.codes.get_state(),
            "cell_map": self.cell_map.get_state(),
            "share": self.share,
            "n_rows": self.n_rows,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the density of a stored state."""
        return cls(
            CellLayout.from_state(state["layout"]),
            NormalScores(**state["margins"]),
            tuple(LatentClasses(**classes) for classes in state["latent"]),
            state["latent_share"],
            CodeClasses.from_state(state["codes"]),
            CellMap.from_state(state["cell_map"]),
            state["share"],
            state["n_rows"],
        )


@dataclass(frozen=True)
class _Problem:
    """Rows whose codes' classes are looked for.

    Attributes
    ----------
    module : Module
        The network, in double precision.
    cells : MixedCells
        The rows' cells, numbers as normal scores.
    code : Tensor of shape (n_rows, n_components)
        Their codes.
    weight : ndarray of shape (n_rows,)
        How often each counts.
    cell_map : CellMap
        Which of the decoder's outputs belong to which cells.
    mass : Tensor of shape (n_levels,)
        How frequent each level is.
    error_ratio : float
        How many times larger errors are of rows that the network has not seen.
    most_classes : int
        The largest number of classes.
    """

    module: Any
    cells: MixedCells
    code: Tensor
    weight: np.ndarray
    cell_map: CellMap
    mass: Tensor
    error_ratio: float
    most_classes: int

    def fit(self, indices: np.ndarray) -> CodeClasses:
        """Return the classes of some rows' codes."""
        n_classes = max(1, min(self.most_classes, len(indices) // _ROWS_EACH))
        recipe = ClassRecipe(n_classes, False, 1.0, 1.0)
        known = recipe.fit(self.cells.take(indices), self.weight[indices])
        indices = indices[subsample_indices(len(indices), _CODE_ROWS)]
        cells, device = self.cells.take(indices), self.code.device
        joint = known.log_joint(cells, group_by_pattern(cells.numbers))[:n_classes]
        share = torch.from_numpy(joint).to(device).softmax(dim=0).T
        rows = CodeRows(
            CellTensors.from_cells(cells, device),
            self.code[torch.from_numpy(indices).to(device)],
            torch.from_numpy(self.weight[indices]).to(device),
            self.mass,
        )
        codes = fit_code_classes(rows, share, self.module.decode, self.cell_map)
        return widen(codes, self.error_ratio)

    def score(self, codes: CodeClasses, indices: np.ndarray, are_seen: bool) -> np.ndarray:
        """Return the log-density of some rows by their codes, in nats.

        Errors of rows that the network has seen are too small: by that much their density is too
        large.
        """
        cells, device = self.cells.take(indices), self.code.device
        tensors = CellTensors.from_cells(cells, device)
        code = self.code[torch.from_numpy(indices).to(device)]
        found = integrate(codes, tensors, code, self.module.decode, self.cell_map).cpu().numpy()
        if not are_seen:
            return found
        n_observed = (tensors.is_known.sum(dim=1) + tensors.is_seen.sum(dim=1)).cpu().numpy()
        return found - 0.5 * (1 - 1 / self.error_ratio) * n_observed


def fit_mixed_density(
    task: MixedTask, trained: TrainedModule[Any], error_ratio: float
) -> MixedDensity:
    """Return the density of rows.

    Parameters
    ----------
    task : MixedTask
        The rows, what their columns hold, and which of them the network has seen.
    trained : TrainedModule
        The module.
    error_ratio : float
        How many times larger the squared error of rows is that it has not seen.
    """
    layout, scaling, is_mixture = task.layout, task.scaling, task.is_mixture
    own, unseen = task.seen, task.unseen
    batch, weight, n_own = own.batch, own.counts, len(own)
    if unseen is not None:
        batch, weight = _join(own, unseen), np.append(weight, unseen.counts)
    cells = read_cells(batch, layout)
    margins = NormalScores.fit(cells.numbers, weight)
    cells, _ = score_cells(margins, cells)
    order = _order_rows(cells, weight, n_own)
    cells, weight = cells.take(order), weight[order]
    batch = batch.select(torch.from_numpy(order).to(batch.input.device))
    # A single row, of which none can be held out, is left to speak for itself.
    splits = split_for_stacking(n_own) if n_own > 1 else [Split(np.arange(1), np.arange(1))]
    if unseen is not None:
        splits = [Split(np.arange(n_own), np.arange(n_own, len(weight)))]
    marginals = Marginals.from_cells(cells, weight)
    cell_map = CellMap.from_layout(layout, scaling.mean, scaling.scale, marginals.mass)
    module = trained.in_precision(torch.float64)
    device = next(module.parameters()).device
    code = trained.apply_to_rows(lambda module, part: module.encode(part.input), Rows(batch))
    problem = _Problem(
        module,
        cells,
        torch.from_numpy(code).to(device),
        weight,
        cell_map.to(device),
        torch.from_numpy(marginals.mass).to(device),
        error_ratio,
        max(1, min(_N_CLASSES, _MOST_CODES // code.shape[1])) if is_mixture else 1,
    )
    rivals = []
    with torch.no_grad():
        for split in splits:
            codes = problem.fit(split.fitted)
            rivals.append(problem.score(codes, split.held_out, unseen is None))
        if len(splits) > 1:
            codes = problem.fit(np.arange(len(weight)))
    recipes = list(_list_recipes(len(splits[0].fitted), cells, is_mixture))
    latent, shares, share = _stack(cells, weight, splits, recipes, np.concatenate(rivals))
    return MixedDensity(
        layout,
        margins,
        tuple(latent),
        shares,
        codes.to(torch.device("cpu")),
        cell_map,
        share,
        len(weight),
    )


def _order_rows(cells: MixedCells, weight: np.ndarray, n_first: int) -> np.ndarray:
    """Return an order of the first rows, then of the others, by how likely their columns are alone.

    It knows neither the order of columns and rows nor that of levels, and so folds don't either.
    """
    alone = ClassRecipe(1, False, 1.0, 1.0).fit(cells, weight).log_density(cells)
    return np.lexsort((np.round(alone, 8), np.arange(len(alone)) >= n_first))


def _stack(
    cells: MixedCells,
    weight: np.ndarray,
    splits: list[Split],
    recipes: list[ClassRecipe],
    rival: np.ndarray,
) -> tuple[list[LatentClasses], np.ndarray, float]:
    """Return latent classes, their shares, and the share of what codes say of held-out rows.

    Independent columns, the first recipe, make all rows unless others are surely better.
    """
    tables = []
    for split in splits:
        fits = [recipe.fit(cells.take(split.fitted), weight[split.fitted]) for recipe in recipes]
        others = cells.take(split.held_out)
        tables.append(np.column_stack([classes.log_density(others) for classes in fits]))
    table = np.column_stack([np.vstack(tables), rival])
    counts = weight[np.concatenate([split.held_out for split in splits])]
    shares = weigh_densities(table, counts)
    gain = logsumexp(table, axis=1, b=shares) - table[:, 0]
    mean = float(np.average(gain, weights=counts))
    spread = float(np.average(np.square(gain - mean), weights=counts))
    if mean < _SURE * np.sqrt(spread / len(gain)):
        return [recipes[0].fit(cells, weight)], np.ones(1), 0.0
    own = shares[:-1]
    kept = np.flatnonzero(own >= max(_LEAST_SHARE * own.sum(), np.finfo(np.float64).tiny))
    kept = kept if len(kept) else np.zeros(1, dtype=int)
    latent = [recipes[k].fit(cells, weight) for k in kept]
    own = own[kept] / own[kept].sum() if own[kept].any() else np.ones(1)
    # A share that is small is not worth its time, and none is trusted on rows of any kind.
    share = float(shares[-1])
    share = 0.0 if share < _LEAST_SHARE else min(share, 1 - 1 / len(gain))
    return latent, own, share


def integrate(
    codes: CodeClasses, cells: CellTensors, code: Tensor, decode: Decoder, cell_map: CellMap
) -> Tensor:
    """Return the log-density of rows, in nats.

    Parameters
    ----------
    codes : CodeClasses
        The classes of codes.
    cells : CellTensors
        The rows.
    code : Tensor of shape (n_rows, n_components)
        Codes near the likeliest ones.
    decode : callable
        The decoder.
    cell_map : CellMap
        Which of its outputs belong to which cells.
    """
    draws = draw_codes(codes, cells, code, decode, cell_map)
    return draws.log_weight(codes, cells, cell_map).flatten(1).logsumexp(dim=1)


def read_cells(batch: Batch, layout: CellLayout) -> MixedCells:
    """Return the cells of scaled rows."""
    observed = None if batch.mask is None else batch.mask.cpu().numpy()
    return MixedCells.from_encoded(batch.input.cpu().numpy(), observed, layout)


def _take_rows(rows: AnyRows, trained: TrainedModule[Any], trim_fraction: float) -> Rows:
    """Return evenly spread rows without those that are trimmed."""
    sample = rows.subsample()
    sample = sample.take(subsample_indices(len(sample), _ROWS))
    if trim_fraction == 0:
        return sample
    errors = trained.apply_to_rows(
        lambda module, batch: squared_error(module(batch.input), batch.input, batch.mask), sample
    )
    weight = trim_weight_array(errors, sample.counts, trim_fraction)
    return sample.take(np.flatnonzero(weight > 0))


def _join(rows: Rows, others: Rows) -> Batch:
    """Return both, without targets and weights."""
    first, second = rows.batch, others.batch
    mask = None
    if first.mask is not None or second.mask is not None:
        masks = [
            torch.ones_like(part.input, dtype=torch.bool) if part.mask is None else part.mask
            for part in (first, second)
        ]
        mask = torch.cat(masks)
    return Batch(torch.cat([first.input, second.input]), None, mask)


def _list_recipes(n_rows: int, cells: MixedCells, is_mixture: bool) -> Iterator[ClassRecipe]:
    """Yield one, two, four and more latent classes; one of independent columns first."""
    n_numbers = cells.numbers.shape[1]
    n_columns = n_numbers + len(cells.blocks)
    if not is_mixture:
        yield ClassRecipe(1, False, 1.0, 1.0)
        return
    for n_classes in _N_APART:
        if n_classes == 1 or n_classes * _ROWS_APART <= n_rows:
            yield ClassRecipe(n_classes, False, 1.0, 1.0)
    if not 1 < n_numbers <= _FULL_UP_TO:
        return
    for n_classes in _N_FULL:
        is_small = n_classes * n_numbers**2 <= _MOST_FULL
        if n_classes == 1 or (n_classes * _ROWS_APART <= n_rows and is_small):
            yield ClassRecipe(n_classes, True, float(n_columns), float(n_columns))

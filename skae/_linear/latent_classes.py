"""Latent classes of rows of numbers, booleans and categories, with missing cells.

Given its class a row's numbers are normal, and its booleans and categories are independent of them
and of each other (Hunt and Jorgensen 1999, "Mixture model clustering using the MULTIMIX program").
Unlike a Gaussian mixture of encoded columns this is a density of the numbers times a mass of the
rest. `sklearn.mixture` has no categories and no weights.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple, Self

import numpy as np

from ..modules.cells import CellLayout
from .gaussian_mixture import choose_spread_rows

_N_STEPS = 60

# Weight, in rows, of the mean of all rows in each class's mean: a class without rows stays finite.
_MEAN_ROWS = 0.01

# Rows added to each class's weight: one without rows keeps some.
_WEIGHT_ROWS = 1.0

# Weight, in rows, of equal frequencies in the frequencies of all rows: a level without rows has
# some mass.
_LEVEL_ROWS = 1.0

# Standard deviations, relative to those of all rows, of the classes that no row decides. They weigh
# one row together.
_BACKGROUND = (3.0, 10.0, 30.0)

# Share of the chosen row's own levels in the frequencies that a class begins with.
_BEGIN_SHARE = 0.3

# With more patterns of missing numbers, classes with full covariances are fitted to drawn ones.
_MOST_PATTERNS = 10

# Smallest eigenvalue of a correlation of numbers.
_LEAST_EIGENVALUE = 1e-4

# Cells of an evaluation's largest array (rows x classes x numbers).
_BLOCK_CELLS = 2**21

# Cells of the largest table of products of numbers that is kept (rows x pairs).
_PRODUCT_CELLS = 2**22

# Smallest variance of a number: whole numbers are that narrow where others are in the thousands.
_LEAST_VARIANCE = 1e-9

_SEED = 19990901
_TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class MixedCells:
    """Cells of rows, those of booleans and categories as indicators of their levels.

    Attributes
    ----------
    numbers : ndarray of shape (n_rows, n_numbers)
        The numbers; NaN is a missing one.
    levels : ndarray of shape (n_rows, n_levels)
        For each level of each boolean and category whether the row has it; zeros where the cell is
        missing.
    blocks : tuple of slice
        The levels of each boolean, and then of each category.
    """

    numbers: np.ndarray
    levels: np.ndarray
    blocks: tuple[slice, ...]

    @classmethod
    def from_encoded(
        cls, rows: np.ndarray, observed: np.ndarray | None, layout: CellLayout
    ) -> Self:
        """Return the cells of scaled rows.

        The mean of an indicator lies between its two values, so that one above zero is set.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_encoded)
            Scaled rows, whose missing cells hold any number.
        observed : ndarray of bool of shape (n_rows, n_encoded) or None
            Which cells are there; None is all.
        layout : CellLayout
            What the columns hold.
        """
        is_there = np.ones(rows.shape, dtype=bool) if observed is None else observed
        own = list(layout.numbers)
        numbers = np.where(is_there[:, own], rows[:, own], np.nan).astype(np.float64)
        parts = [np.empty((len(rows), 0))]
        for index in layout.booleans:
            is_set = rows[:, index] > 0
            parts.append(np.column_stack([~is_set, is_set]) & is_there[:, index, None])
        for first, end in layout.categories:
            is_set = np.eye(end - first, dtype=bool)[rows[:, first:end].argmax(axis=1)]
            parts.append(is_set & is_there[:, first, None])
        ends = np.cumsum([part.shape[1] for part in parts]).tolist()
        blocks = tuple(slice(first, end) for first, end in pairwise(ends))
        return cls(numbers, np.hstack(parts).astype(np.float64), blocks)

    def to_encoded(self, layout: CellLayout, off: np.ndarray, on: np.ndarray) -> np.ndarray:
        """Return complete cells as scaled rows.

        Parameters
        ----------
        layout : CellLayout
            What the columns hold.
        off, on : ndarray of shape (n_encoded,)
            What each indicator holds if it is not set and if it is; not read of numbers.
        """
        rows = np.empty((len(self), layout.n_encoded))
        rows[:, list(layout.numbers)] = self.numbers
        n_booleans = len(layout.booleans)
        for index, block in zip(layout.booleans, self.blocks[:n_booleans], strict=True):
            rows[:, index] = np.where(self.levels[:, block.start + 1] > 0, on[index], off[index])
        for (first, end), block in zip(layout.categories, self.blocks[n_booleans:], strict=True):
            is_set = self.levels[:, block] > 0
            rows[:, first:end] = np.where(is_set, on[first:end], off[first:end])
        return rows

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, index: np.ndarray | slice) -> Self:
        """Return the cells of some rows."""
        return type(self)(self.numbers[index], self.levels[index], self.blocks)


class Pattern(NamedTuple):
    """Rows whose numbers are missing in the same columns.

    Attributes
    ----------
    rows : ndarray of shape (n_rows,)
        Their indices.
    observed, missing : ndarray
        Indices of the columns.
    """

    rows: np.ndarray
    observed: np.ndarray
    missing: np.ndarray


def group_by_pattern(numbers: np.ndarray) -> list[Pattern]:
    """Return rows by which of their numbers are missing."""
    observed = ~np.isnan(numbers)
    if observed.all():
        columns = np.arange(numbers.shape[1])
        return [Pattern(np.arange(len(numbers)), columns, columns[:0])]
    packed = np.packbits(observed, axis=1)
    _, first, which = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(which.ravel()))[:-1]
    return [
        Pattern(rows, np.flatnonzero(observed[own]), np.flatnonzero(~observed[own]))
        for rows, own in zip(np.split(order, ends), first, strict=True)
    ]


class Marginals(NamedTuple):
    """The observed numbers and levels of all rows.

    Attributes
    ----------
    mean : ndarray of shape (n_numbers,)
        Of the numbers.
    covariance : ndarray of shape (n_numbers, n_numbers)
        Of the numbers.
    mass : ndarray of shape (n_levels,)
        Of each level among those of its column.
    """

    mean: np.ndarray
    covariance: np.ndarray
    mass: np.ndarray

    @classmethod
    def from_cells(cls, cells: MixedCells, weight: np.ndarray) -> Self:
        """Return those of weighted rows."""
        observed = ~np.isnan(cells.numbers)
        share = weight[:, None] * observed
        total = np.maximum(share.sum(axis=0), _TINY)
        mean = (share * np.where(observed, cells.numbers, 0.0)).sum(axis=0) / total
        centred = np.where(observed, cells.numbers - mean, 0.0)
        variance = (share * np.square(centred)).sum(axis=0) / total
        root = np.sqrt(np.maximum(variance, _LEAST_VARIANCE))
        both = np.maximum(share.T @ observed, _TINY)
        correlation = (centred * weight[:, None]).T @ centred / both / np.outer(root, root)
        if len(mean):
            # Of cells that are missing here and there it can have negative eigenvalues.
            values, vectors = np.linalg.eigh(correlation)
            correlation = (vectors * np.maximum(values, _LEAST_EIGENVALUE)) @ vectors.T
        mass = weight @ cells.levels
        for block in cells.blocks:
            size = block.stop - block.start
            mass[block] = (mass[block] + _LEVEL_ROWS / size) / (mass[block].sum() + _LEVEL_ROWS)
        return cls(mean, correlation * np.outer(root, root), mass)


@dataclass(frozen=True)
class LatentClasses:
    """A mixture of classes, in each of which numbers are normal and other cells independent.

    Attributes
    ----------
    weight : ndarray of shape (n_classes,)
        Sums to one.
    mean : ndarray of shape (n_classes, n_numbers)
        Of the numbers of each class.
    covariance : ndarray of shape (n_classes, n_numbers, n_numbers)
        Of the numbers; its diagonals, `(n_classes, n_numbers)`, where it is diagonal.
    log_mass : ndarray of shape (n_classes, n_levels)
        Of each level among those of its column.
    """

    weight: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    log_mass: np.ndarray

    @classmethod
    def fit_one(cls, cells: MixedCells, weight: np.ndarray) -> Self:
        """Return the only class of rows, each of which counts `weight` times."""
        mean, covariance, mass = Marginals.from_cells(cells, weight)
        return cls(np.ones(1), mean[None], covariance[None], np.log(mass)[None])

    @property
    def is_full(self) -> bool:
        """Whether covariances are matrices."""
        return self.covariance.ndim == 3

    def log_density(self, cells: MixedCells) -> np.ndarray:
        """Return the log of the density of observed numbers times the mass of other cells."""
        result = np.empty(len(cells))
        for rows in self._cut(len(cells)):
            part = cells.take(rows)
            joint = self.log_joint(part, group_by_pattern(part.numbers))
            top = joint.max(axis=0)
            result[rows] = top + np.log(np.exp(joint - top).sum(axis=0))
        return result

    def complete(self, cells: MixedCells) -> MixedCells:
        """Return rows with likely values of their missing cells.

        Numbers have their means in the row's likeliest class, other cells their likeliest level.
        """
        numbers, levels = cells.numbers.copy(), cells.levels.copy()
        for rows in self._cut(len(cells)):
            part = cells.take(rows)
            patterns = group_by_pattern(part.numbers)
            joint = self.log_joint(part, patterns)
            likeliest = joint.argmax(axis=0)
            share = np.exp(joint - joint.max(axis=0))
            numbers[rows] = self._fill_numbers(part.numbers, patterns, likeliest)
            mass = share.T @ np.exp(self.log_mass)
            for block in cells.blocks:
                own = levels[rows, block]
                is_missing = own.sum(axis=1) == 0
                chosen = mass[is_missing, block].argmax(axis=1)
                own[is_missing] = np.eye(block.stop - block.start)[chosen]
        return MixedCells(numbers, levels, cells.blocks)

    def log_joint(self, cells: MixedCells, patterns: list[Pattern]) -> np.ndarray:
        """Return the log-density `(n_classes, n_rows)` of class and row together."""
        joint = self.log_share(cells)
        if not self.is_full:
            return joint + self._score_diagonal(cells.numbers)
        for pattern in patterns:
            if len(pattern.observed):
                joint[:, pattern.rows] += self._score_full(cells.numbers, pattern)
        return joint

    def log_share(self, cells: MixedCells) -> np.ndarray:
        """Return the log of the mass `(n_classes, n_rows)` of class and levels together."""
        # A class that no row is of any more has no weight.
        weight = np.maximum(self.weight, np.finfo(np.float64).tiny)
        return self.log_mass @ cells.levels.T + np.log(weight)[:, None]

    def _score_diagonal(self, numbers: np.ndarray) -> np.ndarray:
        observed = ~np.isnan(numbers)
        known = np.where(observed, numbers, 0.0)
        precision = 1 / self.covariance
        pull = self.mean * precision
        constant = self.mean * pull + np.log(2 * np.pi * self.covariance)
        squares = precision @ np.square(known).T - 2 * (pull @ known.T)
        return -0.5 * (squares + constant @ observed.T)

    def _score_full(self, numbers: np.ndarray, pattern: Pattern) -> np.ndarray:
        own = pattern.observed
        whitener = np.linalg.inv(np.linalg.cholesky(self.covariance[:, own[:, None], own]))
        white = numbers[pattern.rows[:, None], own] @ whitener.mT
        white -= (whitener @ self.mean[:, own, None]).mT
        log_volume = -np.log(np.diagonal(whitener, axis1=1, axis2=2)).sum(axis=1)
        log_volume += 0.5 * len(own) * np.log(2 * np.pi)
        return -0.5 * np.einsum("cij,cij->ci", white, white) - log_volume[:, None]

    def _fill_numbers(
        self, numbers: np.ndarray, patterns: list[Pattern], of_class: np.ndarray
    ) -> np.ndarray:
        """Return numbers whose missing ones are their means in the class of each row."""
        filled = numbers.copy()
        for rows, observed, missing in patterns:
            if not len(missing):
                continue
            found = self.mean[of_class[rows][:, None], missing]
            if self.is_full and len(observed):
                slope = _regress(self.covariance, observed, missing)[of_class[rows]]
                off = (
                    numbers[rows[:, None], observed] - self.mean[of_class[rows][:, None], observed]
                )
                found = found + np.einsum("nij,nj->ni", slope, off)
            filled[rows[:, None], missing] = found
        return filled

    def _cut(self, n_rows: int) -> Iterator[slice]:
        length = max(_BLOCK_CELLS // (len(self.weight) * max(self.mean.shape[1], 8)), 1)
        return (slice(first, first + length) for first in range(0, n_rows, length))

    def get_state(self) -> dict[str, Any]:
        """Return plain arrays."""
        return {
            "weight": self.weight,
            "mean": self.mean,
            "covariance": self.covariance,
            "log_mass": self.log_mass,
        }


@dataclass(frozen=True)
class ClassRecipe:
    """What classes to fit, and what counts beside the rows.

    Attributes
    ----------
    n_classes : int
        Number of classes, without those of the background, which come last.
    is_full : bool
        Whether covariances are full, not diagonal.
    prior_rows : float
        Weight, in rows, of a class's share of the volume of all rows, in its covariance.
    level_rows : float
        Weight, in rows, of the frequencies of all rows, in its own.
    seed : int, default=0
        Chooses the rows that classes begin at.
    tolerance : float, default=5e-3
        Expectation maximization ends at steps that gain less, in nats a row.
    """

    n_classes: int
    is_full: bool
    prior_rows: float
    level_rows: float
    seed: int = 0
    tolerance: float = 5e-3

    def fit(self, cells: MixedCells, weight: np.ndarray) -> LatentClasses:
        """Return the classes of rows, each of which counts `weight` times."""
        return self.fit_rows(ClassRows(cells, weight))

    def fit_rows(self, rows: "ClassRows") -> LatentClasses:
        """Return the classes of rows that other recipes may have been fitted to.

        With many patterns of missing numbers, full covariances are fitted to one draw of these
        given the others of the row; held-out rows weigh what that costs.
        """
        weight = rows.weight
        if self.is_full and len(rows.patterns) > _MOST_PATTERNS:
            rows = rows.draw_missing(self.seed)
        problem = _Problem(self, rows)
        if not weight.any():  # of a row or two, all may be trimmed or held out
            return replace(problem, recipe=replace(self, n_classes=1)).begin()
        classes, last = problem.begin(), -np.inf
        for _ in range(_N_STEPS):
            share = problem.log_joint(classes)
            top = share.max(axis=0)
            share -= top
            np.exp(share, out=share)
            whole = share.sum(axis=0)
            bound = float(np.average(top + np.log(whole), weights=weight))
            if bound - last < self.tolerance:
                break
            last = bound
            share *= weight / whole
            classes = problem.maximize(share[: self.n_classes], classes)
        return classes


class ClassRows:
    """Rows that classes are fitted to, with what recipes share, found when first asked for.

    Parameters
    ----------
    cells : MixedCells
        The rows.
    weight : ndarray of shape (n_rows,)
        How often each row counts.
    """

    def __init__(self, cells: MixedCells, weight: np.ndarray) -> None:
        self.cells = cells
        self.weight = weight
        self._drawn: dict[int, ClassRows] = {}
        self._spread: dict[tuple[int, int], np.ndarray] = {}

    @cached_property
    def marginals(self) -> Marginals:
        """Those of all rows."""
        return Marginals.from_cells(self.cells, self.weight)

    @cached_property
    def patterns(self) -> list[Pattern]:
        """The rows by which of their numbers are missing."""
        return group_by_pattern(self.cells.numbers)

    @cached_property
    def products(self) -> "_Products | None":
        """The products of numbers; None if some are missing, or of too many."""
        if len(self.patterns) > 1 or len(self.patterns[0].missing):
            return None
        return _Products.of(self.cells.numbers - self.marginals.mean)

    @cached_property
    def standard(self) -> np.ndarray:
        """The numbers in standard deviations from their mean; missing ones are 0."""
        numbers, marginals = self.cells.numbers, self.marginals
        root = np.sqrt(np.diagonal(marginals.covariance))
        return np.where(np.isnan(numbers), 0.0, (numbers - marginals.mean) / root)

    def draw_missing(self, seed: int) -> "ClassRows":
        """Return the rows with a draw of each missing number, and the same marginals."""
        if seed not in self._drawn:
            numbers = _draw_missing(self.cells.numbers, self.patterns, self.marginals, seed)
            cells = MixedCells(numbers, self.cells.levels, self.cells.blocks)
            drawn = ClassRows(cells, self.weight)
            drawn.marginals = self.marginals
            self._drawn[seed] = drawn
        return self._drawn[seed]

    def choose_spread(self, n_chosen: int, seed: int) -> np.ndarray:
        """Return the indices of so many rows that lie far from each other."""
        key = n_chosen, seed
        if key not in self._spread:
            generator = np.random.default_rng([_SEED, seed])
            table = np.hstack([self.standard, self.cells.levels])
            self._spread[key] = choose_spread_rows(table, self.weight, n_chosen, generator)
        return self._spread[key]


@dataclass(frozen=True)
class _Products:
    """Complete numbers and their products, so that one matrix product sums over rows or columns.

    Attributes
    ----------
    numbers : ndarray of shape (n_rows, n_numbers)
        The numbers, less the means of all rows.
    pairs : ndarray of shape (n_rows, n_pairs)
        Products of two numbers, each pair once.
    """

    numbers: np.ndarray
    pairs: np.ndarray

    @classmethod
    def of(cls, numbers: np.ndarray) -> Self | None:
        """Return the products of centred numbers; None of too many."""
        size = numbers.shape[1]
        if not 0 < len(numbers) * size * (size + 1) // 2 <= _PRODUCT_CELLS:
            return None
        first, second = np.triu_indices(size)
        return cls(numbers, numbers[:, first] * numbers[:, second])

    def score(self, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
        """Return the log-densities `(n_classes, n_rows)` of numbers in each class."""
        size = mean.shape[1]
        whitener = np.linalg.inv(np.linalg.cholesky(covariance))
        precision = whitener.mT @ whitener
        pull = (precision @ mean[:, :, None])[:, :, 0]
        constant = np.log(np.diagonal(whitener, axis1=1, axis2=2)).sum(axis=1)
        constant -= 0.5 * ((pull * mean).sum(axis=1) + size * np.log(2 * np.pi))
        first, second = np.triu_indices(size)
        factor = np.where(first == second, -0.5, -1.0) * precision[:, first, second]
        result = factor @ self.pairs.T
        result += pull @ self.numbers.T
        result += constant[:, None]
        return result

    def sum(self, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the sums of numbers and of their products over rows with a share in each class."""
        size = self.numbers.shape[1]
        first, second = np.triu_indices(size)
        squares = np.empty((len(share), size, size))
        squares[:, first, second] = share @ self.pairs
        squares[:, second, first] = squares[:, first, second]
        return share @ self.numbers, squares


@dataclass(frozen=True)
class _Problem:
    """Rows, and what is known of their classes before any step."""

    recipe: ClassRecipe
    rows: ClassRows

    @property
    def cells(self) -> MixedCells:
        return self.rows.cells

    @property
    def marginals(self) -> Marginals:
        return self.rows.marginals

    @property
    def products(self) -> _Products | None:
        return self.rows.products if self.recipe.is_full else None

    def log_joint(self, classes: LatentClasses) -> np.ndarray:
        """Return the log-density `(n_classes, n_rows)` of class and row together."""
        if self.products is None:
            return classes.log_joint(self.cells, self.rows.patterns)
        joint = classes.log_share(self.cells)
        joint += self.products.score(classes.mean - self.marginals.mean, classes.covariance)
        return joint

    @property
    def prior(self) -> np.ndarray:
        """Return the covariance with which classes together have the volume of all rows."""
        covariance = self.marginals.covariance
        volume = self.recipe.n_classes ** (-2 / max(len(covariance), 1))
        return volume * (covariance if self.recipe.is_full else np.diagonal(covariance))

    def begin(self) -> LatentClasses:
        """Return classes around rows that lie far from each other."""
        n_classes, marginals = self.recipe.n_classes, self.marginals
        mean, mass = marginals.mean[None], marginals.mass[None]
        if n_classes > 1:
            root = np.sqrt(np.diagonal(marginals.covariance))
            chosen = self.rows.choose_spread(n_classes, self.recipe.seed)
            mean = self.rows.standard[chosen] * root + marginals.mean
            own = self.cells.levels[chosen]
            # A level whose cell is missing is as frequent as in all rows.
            for block in self.cells.blocks:
                unknown = own[:, block].sum(axis=1) == 0
                own[unknown, block] = marginals.mass[block]
            mass = (1 - _BEGIN_SHARE) * mass + _BEGIN_SHARE * own
        prior = self.prior
        covariance = np.broadcast_to(prior, (n_classes, *prior.shape))
        even = np.full(n_classes, 1 / n_classes)
        return self._add_background(LatentClasses(even, mean, covariance, np.log(mass)))

    def maximize(self, share: np.ndarray, before: LatentClasses) -> LatentClasses:
        """Return the likeliest classes of rows with a share `(n_classes, n_rows)` in each."""
        recipe, total = self.recipe, share.sum(axis=1)
        sums = _sum_full if recipe.is_full else _sum_diagonal
        mean, covariance = sums(self, share, before)
        mass = share @ self.cells.levels + recipe.level_rows * self.marginals.mass
        for block in self.cells.blocks:
            mass[:, block] /= mass[:, block].sum(axis=1, keepdims=True)
        rows = total + _WEIGHT_ROWS
        classes = LatentClasses(rows / rows.sum(), mean, covariance, np.log(mass))
        return self._add_background(classes)

    def _add_background(self, classes: LatentClasses) -> LatentClasses:
        marginals, n_numbers = self.marginals, len(self.marginals.mean)
        widths = np.square(_BACKGROUND if n_numbers else (1.0,))
        spread = marginals.covariance
        if not self.recipe.is_full:
            spread = np.diagonal(spread)
        n_more = len(widths)
        rows = np.append(classes.weight * self.rows.weight.sum(), np.full(n_more, 1 / n_more))
        return LatentClasses(
            rows / rows.sum(),
            np.vstack([classes.mean, np.tile(marginals.mean, (n_more, 1))]),
            np.concatenate([classes.covariance, np.multiply.outer(widths, spread)]),
            np.vstack([classes.log_mass, np.tile(np.log(marginals.mass), (n_more, 1))]),
        )


def _sum_diagonal(
    problem: _Problem, share: np.ndarray, before: LatentClasses
) -> tuple[np.ndarray, np.ndarray]:
    """Return the means and variances of the observed numbers of each class."""
    numbers, known_rows = problem.cells.numbers, problem.recipe.prior_rows
    observed = ~np.isnan(numbers)
    centred = np.where(observed, numbers - problem.marginals.mean, 0.0)
    total = share @ observed + _MEAN_ROWS
    centre = share @ centred / total
    squares = (share @ np.square(centred) - total * np.square(centre)).clip(min=0)
    variance = (squares + known_rows * problem.prior) / (total + known_rows)
    return centre + problem.marginals.mean, np.maximum(variance, _LEAST_VARIANCE)


def _sum_full(
    problem: _Problem, share: np.ndarray, before: LatentClasses
) -> tuple[np.ndarray, np.ndarray]:
    """Return the means and covariances of the numbers of each class, missing ones expected."""
    overall, known_rows = problem.marginals.mean, problem.recipe.prior_rows
    total = (share.sum(axis=1) + _MEAN_ROWS)[:, None]
    if problem.products is None:
        sums, squares = _sum_patterns(problem, share, before)
    else:
        sums, squares = problem.products.sum(share)
    centre = sums / total
    squares -= (total * centre)[:, :, None] * centre[:, None]
    squares += known_rows * problem.prior
    index = np.arange(len(overall))
    covariance = squares / (total + known_rows)[:, :, None]
    covariance[:, index, index] += _LEAST_VARIANCE
    return centre + overall, covariance


def _sum_patterns(
    problem: _Problem, share: np.ndarray, before: LatentClasses
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums of numbers and of their products, missing ones expected, in each class."""
    overall = problem.marginals.mean
    numbers = problem.cells.numbers - overall
    n_classes, size = len(share), numbers.shape[1]
    sums, squares = np.zeros((n_classes, size)), np.zeros((n_classes, size, size))
    for rows, observed, missing in problem.rows.patterns:
        own, part = share[:, rows], numbers[rows]
        if not len(missing):
            sums += own @ part
            squares += (part.T * own[:, None]) @ part
            continue
        mean, covariance = before.mean[:n_classes] - overall, before.covariance[:n_classes]
        slope = _regress(covariance, observed, missing)
        filled = np.empty((n_classes, *part.shape))
        filled[:, :, observed] = part[:, observed]
        off = part[:, observed] - mean[:, None, observed]
        filled[:, :, missing] = mean[:, None, missing] + off @ slope.mT
        sums += np.einsum("cn,cnj->cj", own, filled)
        squares += (filled.mT * own[:, None]) @ filled
        left = covariance[:, missing[:, None], missing]
        left = left - slope @ covariance[:, observed[:, None], missing]
        squares[:, missing[:, None], missing] += own.sum(axis=1)[:, None, None] * left
    return sums, squares


def _regress(covariance: np.ndarray, observed: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return the slopes (n_classes, n_missing, n_observed) of missing numbers on observed ones."""
    between = covariance[:, observed[:, None], missing]
    return np.linalg.solve(covariance[:, observed[:, None], observed], between).mT


def _draw_missing(
    numbers: np.ndarray, patterns: list[Pattern], marginals: Marginals, seed: int
) -> np.ndarray:
    """Return numbers with a draw of the missing ones given the others of the row."""
    generator = np.random.default_rng([_SEED, seed])
    covariance = marginals.covariance[None]
    drawn = numbers.copy()
    for rows, observed, missing in patterns:
        if not len(missing):
            continue
        slope = _regress(covariance, observed, missing)[0]
        left = covariance[0][missing[:, None], missing]
        left = left - slope @ covariance[0][observed[:, None], missing]
        values, vectors = np.linalg.eigh(left)
        noise = generator.standard_normal((len(rows), len(missing)))
        noise = noise * np.sqrt(values.clip(min=0)) @ vectors.T
        off = numbers[rows[:, None], observed] - marginals.mean[observed]
        drawn[rows[:, None], missing] = marginals.mean[missing] + off @ slope.T + noise
    return drawn

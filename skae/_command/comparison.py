"""Both models, fitted with each number of components and measured on the same rows."""

import sys
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.random import default_rng
from sklearn.model_selection import train_test_split
from tqdm import tqdm

from .._linear import count_components
from .arguments import CommandError, NothingToCompressError
from .encoding import Encoding
from .measurement import Classes, Fit, Measurement, Pair, Split, measure
from .models import fit_autoencoder, fit_pca, warm_up
from .printing import quote
from .shuffling import shuffle_columns
from .table import Table, Target, check_can_compress
from .verdict import Verdict, find_praised_size, reach_verdict

# A target with more different values is a quantity, or a name of each row.
_MOST_CLASSES = 100

# The numbers of components compared where none are asked for.
_USUAL_SIZES = (2, 4, 8, 16)


@dataclass(frozen=True)
class Plan:
    """What is known before models are fitted.

    Attributes
    ----------
    table : Table
        The table.
    split : Split
        Its split.
    classes : Classes or None
        Classes of its target, if it has any.
    seed : int
        The seed of everything random.
    sizes : tuple of int
        The numbers of components to compare.
    notes : list of str
        What the user should know, one line each.
    """

    table: Table
    split: Split
    classes: Classes | None
    seed: int
    sizes: tuple[int, ...]
    notes: list[str]


@dataclass(frozen=True)
class Comparison:
    """All that was measured.

    Attributes
    ----------
    plan : Plan
        What was to be compared.
    results : dict of int to Pair
        The measurements by number of components.
    map : Pair or None
        The measurements with two components, if they were asked for.
    verdict : Verdict
        What they say.
    """

    plan: Plan
    results: dict[int, Pair]
    map: Pair | None
    verdict: Verdict


@dataclass(frozen=True)
class Uncompared:
    """A table of fewer than two dimensions, by which a second one is judged.

    Attributes
    ----------
    table : Table
        The table.
    encoding : Encoding
        How its cells become numbers.
    seed : int
        The seed of everything random.
    reason : str
        Why models are not compared.
    """

    table: Table
    encoding: Encoding
    seed: int
    reason: str

    @classmethod
    def from_table(cls, table: Table, seed: int, reason: str) -> Self:
        """Return the table with the encoding of all its rows."""
        return cls(table, Encoding.fit(table.frame), seed, reason)

    @property
    def notes(self) -> list[str]:
        """What the user should know, one line each."""
        return [*self.encoding.describe(), *_describe_missing(self.table), *self.table.notes]


def plan_comparison(table: Table, components: tuple[float, ...] | None, seed: int) -> Plan:
    """Split and encode a table, and choose the numbers of components.

    Parameters
    ----------
    table : Table
        The table.
    components : tuple of int or float, or None
        Numbers of components, or shares of the variance that they are counted for; those that are
        too large for the table are left out. None takes the usual ones, or 1 if all of these are.
    seed : int
        Seed of the split and the models.

    Raises
    ------
    NothingToCompressError
        If the rows have fewer than two dimensions.
    """
    check_can_compress(table)
    split = _split_rows(table, seed)
    counted, share_notes = _count_components(table, split, components or _USUAL_SIZES)
    sizes, size_notes = _select_sizes(table, split, counted, components is not None)
    classes, class_notes = _encode_classes(table.target, split)
    return Plan(
        table=table,
        split=split,
        classes=classes,
        seed=seed,
        sizes=sizes,
        notes=[
            *split.encoding.describe(),
            *_describe_missing(table),
            *table.notes,
            *_describe_densities(split.encoding),
            *share_notes,
            *size_notes,
            *class_notes,
        ],
    )


def compare(plan: Plan, with_map: bool) -> Comparison:
    """Fit and measure both models.

    Parameters
    ----------
    plan : Plan
        What to compare.
    with_map : bool
        Whether to also measure two components, for a chart.
    """
    frame, split, seed = plan.table.frame, plan.split, plan.seed
    fitted_sizes = plan.sizes if not with_map or 2 in plan.sizes else (*plan.sizes, 2)
    pairs = _measure_pairs(frame, split, plan.classes, fitted_sizes, seed)
    results = {size: pairs[size] for size in plan.sizes}
    return Comparison(
        plan=plan,
        results=results,
        map=pairs[2] if with_map else None,
        verdict=reach_verdict(results, _measure_shuffled(frame, split, results, seed)),
    )


# The rows and their classes -----------------------------------------------------------


def _split_rows(table: Table, seed: int) -> Split:
    """Hold out a quarter of the rows."""
    train, test = train_test_split(np.arange(len(table.frame)), test_size=0.25, random_state=seed)
    encoding = Encoding.fit(table.frame.iloc[train])
    if not encoding.moments.varies.any():
        raise NothingToCompressError(
            f"{table.name} must have a column that varies, got {table.frame.shape[1]} columns of "
            f"a single value, or of identifiers, in all {len(train)} training rows"
        )
    return Split(train, test, encoding)


def _describe_missing(table: Table) -> list[str]:
    missing = table.missing
    if not missing.any():
        return []
    n_rows = int(missing.any(axis=1).sum())
    rows = "1 row" if n_rows == 1 else f"{n_rows} rows"
    return [f"missing cells: {missing.sum()} of {missing.size}, in {rows}"]


def _describe_densities(encoding: Encoding) -> list[str]:
    if encoding.columns.layout.is_numeric:
        return []
    return ["PCA has no log-likelihood of booleans and categories"]


def _count_components(
    table: Table, split: Split, components: tuple[float, ...]
) -> tuple[tuple[int, ...], list[str]]:
    """Return the numbers of components, those of shares counted by PCA of the training rows."""
    sizes, notes = {int(size) for size in components if size >= 1}, []
    shares = [size for size in components if size < 1]
    if shares:
        rows, generator = split.encoding.complete(table.frame.iloc[split.train]), default_rng(0)
        for share in shares:
            size = count_components(rows, None, share, 0.0, generator)
            notes.append(f"components for {share:g} of the variance: {size}")
            sizes.add(size)
    return tuple(sorted(sizes)), notes


def _select_sizes(
    table: Table, split: Split, components: tuple[int, ...], are_asked_for: bool
) -> tuple[tuple[int, ...], list[str]]:
    """Return the numbers of components with which PCA can leave something unexplained."""
    n_columns, n_train = table.frame.shape[1], len(split.train)
    n_dimensions = split.encoding.n_dimensions
    most = min(n_dimensions, n_train) - 1
    columns = f"{n_columns} columns"
    if n_dimensions != n_columns:
        columns += f" of {n_dimensions} dimensions"
    sizes = tuple(size for size in components if size <= most)
    if most < 1:
        raise NothingToCompressError(
            f"{table.name} must have two dimensions and two training rows at least, got {columns} "
            f"and {n_train} training rows: text that differs from row to row has no dimension, and "
            "a column of numbers with a single word in it is text"
        )
    if not sizes and are_asked_for:
        raise CommandError(
            f"--components must be at most {most} ({table.name} has {columns} and "
            f"{n_train} training rows), got {' '.join(map(str, components))}"
        )
    too_many = ", ".join(str(size) for size in components if size > most)
    if not too_many:
        return sizes, []
    shape = f"{columns} and {n_train} rows to train on"
    return sizes or (1,), [f"components left out (at most {most} with {shape}): {too_many}"]


def _encode_classes(target: Target | None, split: Split) -> tuple[Classes | None, list[str]]:
    """Return the target as classes, or None if it has none, and what the user should know."""
    if target is None:
        return None, []
    name = quote(target.name)
    codes, values = pd.factorize(target.values)
    n_classes = len(values)
    classes = Classes(n_classes, codes[split.train], codes[split.test])
    n_held_out = int((classes.test >= 0).sum())
    consequence = "no clustering and neighbour scores"
    if not 2 <= n_classes <= _MOST_CLASSES:
        return None, [
            f"target {name} has {n_classes} different values, expected 2 to "
            f"{_MOST_CLASSES} classes: {consequence}"
        ]
    if n_held_out < 2 * n_classes:
        return None, [
            f"target {name} has {n_classes} different values in {n_held_out} rows "
            f"held out, expected two rows a class or more: {consequence}"
        ]
    if not (classes.train >= 0).any():
        return None, [f"target {name} has no value in rows to train on: {consequence}"]
    n_missing = int((codes < 0).sum())
    if n_missing:
        return classes, [
            f"rows without a value of target {name}, left out of its scores: {n_missing}"
        ]
    return classes, []


# The measurements ---------------------------------------------------------------------


def _measure_shuffled(
    frame: pd.DataFrame, split: Split, results: dict[int, Pair], seed: int
) -> Pair | None:
    """Measure what the verdict would praise once more, on columns that are independent.

    Codes can pack the values of several columns into one number, as if their digits took turns.
    That explains variance, and would be taken for structure.
    """
    size = find_praised_size(results)
    if size is None:
        return None
    return _measure_pairs(shuffle_columns(frame, split, seed), split, None, (size,), seed)[size]


def _measure_pairs(
    frame: pd.DataFrame, split: Split, classes: Classes | None, sizes: tuple[int, ...], seed: int
) -> dict[int, Pair]:
    """Fit and measure both models with each number of components, behind a progress bar."""
    pairs: dict[int, Pair] = {}
    is_unseen = sys.stderr is None or not sys.stderr.isatty()
    with tqdm(total=2 * len(sizes), unit="fit", leave=False, disable=is_unseen) as bar:

        def measure_one(name: str, size: int, fit: Fit) -> Measurement:
            bar.set_description(f"{name}, {size} components")
            measurement = measure(fit, size, frame, split, classes, seed)
            bar.update()
            return measurement

        bar.set_description("loading")
        warm_up()
        for size in sizes:
            pairs[size] = Pair(
                pca=measure_one("PCA", size, fit_pca),
                autoencoder=measure_one("autoencoder", size, fit_autoencoder),
            )
    return pairs

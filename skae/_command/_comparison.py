"""Both models, at each number of components, on the same rows."""

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from ..inspection import explained_variance
from ._errors import CommandError
from ._models import AutoencoderModel, Model, PcaModel, warm_up
from ._scores import Classes, classes_of, kmeans_agreement, neighbour_accuracy
from ._split import Split, split_of
from ._tables import Table

#: What each model is called in reports.
MODELS: dict[str, Callable[[int, int], Model]] = {
    "PCA": PcaModel,
    "autoencoder": AutoencoderModel,
}
PCA_NAME, AUTOENCODER_NAME = MODELS


@dataclass(frozen=True)
class Measured:
    """What a model does with the rows held out.

    Attributes
    ----------
    explained_variance : float or None
        None where those rows have no variance.
    log_likelihood : float or None
        Mean log-density in nats a row; None where there is none.
    kmeans_agreement, neighbour_accuracy : float or None
        None without classes.
    fit_seconds : float
        Time that the fit took.
    n_epochs : int
        How many epochs the weights were trained; without any they are PCA's.
    codes : ndarray of shape (n_test, n_components)
        Their codes.
    errors : ndarray of shape (n_test,)
        Squared error of each row, in standardised columns.
    log_densities : ndarray of shape (n_test,) or None
        Log-density of each row.
    """

    explained_variance: float | None
    log_likelihood: float | None
    kmeans_agreement: float | None
    neighbour_accuracy: float | None
    fit_seconds: float
    n_epochs: int
    codes: np.ndarray
    errors: np.ndarray
    log_densities: np.ndarray | None


#: By number of components and name of the model.
Results = dict[int, dict[str, Measured]]


@dataclass(frozen=True)
class Comparison:
    """All that was measured.

    Attributes
    ----------
    table : Table
        The table.
    split : Split
        Its split.
    classes : Classes or None
        The target's, where it has any.
    seed : int
        Of everything random.
    results : Results
        What was measured.
    maps : dict of str to ndarray of shape (n_test, 2), or None
        Codes of two components by name of the model, where they were asked for.
    notes : list of str
        What the user should know, a line each.
    """

    table: Table
    split: Split
    classes: Classes | None
    seed: int
    results: Results
    maps: dict[str, np.ndarray] | None
    notes: list[str]


def compare(table: Table, asked: tuple[int, ...], seed: int, with_map: bool) -> Comparison:
    """Fit and measure both models.

    Parameters
    ----------
    table : Table
        The table.
    asked : tuple of int
        Numbers of components; those that are too many are left out.
    seed : int
        Of the split and the models.
    with_map : bool
        Whether codes of two components are wanted too, for a drawing.
    """
    split = split_of(table, seed)
    sizes, size_notes = _possible_sizes(table, split, asked)
    classes, class_notes = classes_of(table.target, split)
    fitted = sizes if not with_map or 2 in sizes else (*sizes, 2)
    everything: Results = {size: {} for size in fitted}
    with tqdm(total=len(fitted) * len(MODELS), unit="fit", leave=False, disable=_quiet()) as bar:
        bar.set_description("loading")
        warm_up()
        for size in fitted:
            for name, model in MODELS.items():
                bar.set_description(f"{name}, {size} components")
                measured = _measure(model(size, seed), table.X, split, classes, seed)
                everything[size][name] = measured
                bar.update()
    maps = None
    if with_map:
        maps = {name: measured.codes for name, measured in everything[2].items()}
    results = {size: everything[size] for size in sizes}
    notes = [*table.notes, *size_notes, *class_notes]
    return Comparison(table, split, classes, seed, results, maps, notes)


def _possible_sizes(
    table: Table, split: Split, asked: tuple[int, ...]
) -> tuple[tuple[int, ...], list[str]]:
    """Return the numbers of components that leave PCA something unexplained."""
    n_columns, n_train = table.X.shape[1], len(split.train)
    most = min(n_columns, n_train) - 1
    possible = tuple(size for size in asked if size <= most)
    shape = f"{n_columns} columns and {n_train} rows to train on"
    if not possible:
        got = " ".join(map(str, asked))
        raise CommandError(
            f"--components {got} was got, expected some of at most {most}: {table.name} has {shape}"
        )
    too_many = ", ".join(str(size) for size in asked if size > most)
    if not too_many:
        return possible, []
    return possible, [f"components left out (at most {most} with {shape}): {too_many}"]


def _measure(
    model: Model, X: np.ndarray, split: Split, classes: Classes | None, seed: int
) -> Measured:
    train, test = X[split.train], X[split.test]
    began = time.perf_counter()
    model.fit(train)
    seconds = time.perf_counter() - began
    codes, rebuilt = model.codes(test), model.reconstruct(test)
    densities = model.log_densities(test)
    agreement, accuracy = None, None
    if classes is not None:
        agreement = kmeans_agreement(codes, classes, seed)
        accuracy = neighbour_accuracy(model.codes(train), codes, classes)
    return Measured(
        explained_variance=_if_finite(
            explained_variance(test, rebuilt, mean=split.mean, scale=split.scale)
        ),
        log_likelihood=None if densities is None else _if_finite(float(densities.mean())),
        kmeans_agreement=agreement,
        neighbour_accuracy=accuracy,
        fit_seconds=seconds,
        n_epochs=model.n_epochs(),
        codes=codes,
        errors=split.squares(test, rebuilt),
        log_densities=densities,
    )


def _if_finite(figure: float) -> float | None:
    return figure if math.isfinite(figure) else None


def _quiet() -> bool:
    """Whether nobody would see a bar, asked anew each time, for streams are replaced."""
    return not sys.stderr.isatty()

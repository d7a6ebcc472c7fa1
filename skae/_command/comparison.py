"""Both models, fitted with each number of components and measured on the same rows."""

import math
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.random import default_rng
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_mutual_info_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from tqdm import tqdm

from .._linear import count_components
from .arguments import CommandError
from .encoding import Encoding
from .models import FittedModel, fit_autoencoder, fit_pca, warm_up
from .printing import quote
from .table import Table, Target

# The held-out rows have no variance if a cell's is less: columns have unit variance in training.
_NO_VARIANCE = 1e-24

# A target with more different values is a quantity, or a name of each row.
_MOST_CLASSES = 100
_N_NEIGHBOURS = 5

_Fit = Callable[[pd.DataFrame, int, int], FittedModel]


@dataclass(frozen=True)
class Measurement:
    """How a fitted model does on the held-out rows.

    Attributes
    ----------
    explained_variance : float or None
        Share of the variance of the observed cells; None if they have none.
    log_likelihood : float or None
        Mean log-density in nats a row; None if the model has no density of such rows.
    kmeans_agreement, neighbour_accuracy : float or None
        None without classes.
    fit_seconds : float
        Time that the fit took.
    n_epochs : int
        Epochs of training that the weights have seen; with none they are PCA's.
    codes : ndarray of shape (n_test, n_components)
        Codes of the rows.
    errors : ndarray of shape (n_test,)
        Squared error of each row's observed cells, in standardised columns.
    squares : ndarray of shape (n_test,)
        Squared norm of the same cells: the error of a model that explains nothing.
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
    squares: np.ndarray
    log_densities: np.ndarray | None


@dataclass(frozen=True)
class Pair:
    """Both models' measurements with the same number of components."""

    pca: Measurement
    autoencoder: Measurement

    def by_name(self) -> dict[str, Measurement]:
        """Return the measurements by the models' names in reports."""
        return {"PCA": self.pca, "autoencoder": self.autoencoder}


@dataclass(frozen=True)
class Split:
    """Indices of the training and the held-out rows, and the encoding of the former."""

    train: np.ndarray
    test: np.ndarray
    encoding: Encoding


@dataclass(frozen=True)
class Classes:
    """The class of each training and each held-out row; -1 where a row has none."""

    n_classes: int
    train: np.ndarray
    test: np.ndarray


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
        Classes of its target, if it has any.
    seed : int
        The seed of everything random.
    results : dict of int to Pair
        The measurements by number of components.
    map : Pair or None
        The measurements with two components, if they were asked for.
    notes : list of str
        What the user should know, one line each.
    """

    table: Table
    split: Split
    classes: Classes | None
    seed: int
    results: dict[int, Pair]
    map: Pair | None
    notes: list[str]


def compare(table: Table, components: tuple[float, ...], seed: int, with_map: bool) -> Comparison:
    """Fit and measure both models.

    Parameters
    ----------
    table : Table
        The table.
    components : tuple of int or float
        Numbers of components, or shares of the variance that they are counted for; those that are
        too large for the table are left out.
    seed : int
        Seed of the split and the models.
    with_map : bool
        Whether to also measure two components, for a chart.
    """
    split = _split_rows(table, seed)
    counted, share_notes = _count_components(table, split, components)
    sizes, size_notes = _select_sizes(table, split, counted)
    classes, class_notes = _encode_classes(table.target, split)
    fitted_sizes = sizes if not with_map or 2 in sizes else (*sizes, 2)
    pairs = _measure_pairs(table, split, classes, fitted_sizes, seed)
    return Comparison(
        table=table,
        split=split,
        classes=classes,
        seed=seed,
        results={size: pairs[size] for size in sizes},
        map=pairs[2] if with_map else None,
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


# The rows and their classes -----------------------------------------------------------


def _split_rows(table: Table, seed: int) -> Split:
    """Hold out a quarter of the rows."""
    train, test = train_test_split(np.arange(len(table.frame)), test_size=0.25, random_state=seed)
    encoding = Encoding.fit(table.frame.iloc[train])
    if not encoding.moments.varies.any():
        raise CommandError(
            f"{table.name} must have a column that varies, got {table.frame.shape[1]} columns of "
            f"a single value, or of identifiers, in all {len(train)} training rows; choose "
            "another table"
        )
    return Split(train, test, encoding)


def _describe_missing(table: Table) -> list[str]:
    missing = table.missing
    if not missing.any():
        return []
    n_rows = int(missing.any(axis=1).sum())
    return [f"missing cells: {missing.sum()} of {missing.size}, in {n_rows} rows"]


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
    table: Table, split: Split, components: tuple[int, ...]
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
        raise CommandError(
            f"{table.name} must have two dimensions and two training rows at least, got {columns} "
            f"and {n_train} training rows: text that differs from row to row has no dimension, and "
            "a column of numbers with a single word in it is text"
        )
    if not sizes:
        raise CommandError(
            f"--components must be at most {most} ({table.name} has {columns} and "
            f"{n_train} training rows), got {' '.join(map(str, components))}"
        )
    too_many = ", ".join(str(size) for size in components if size > most)
    if not too_many:
        return sizes, []
    shape = f"{columns} and {n_train} rows to train on"
    return sizes, [f"components left out (at most {most} with {shape}): {too_many}"]


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


def _measure_pairs(
    table: Table, split: Split, classes: Classes | None, sizes: tuple[int, ...], seed: int
) -> dict[int, Pair]:
    """Fit and measure both models with each number of components, behind a progress bar."""
    pairs: dict[int, Pair] = {}
    is_unseen = sys.stderr is None or not sys.stderr.isatty()
    with tqdm(total=2 * len(sizes), unit="fit", leave=False, disable=is_unseen) as bar:

        def measure(name: str, size: int, fit: _Fit) -> Measurement:
            bar.set_description(f"{name}, {size} components")
            measurement = _measure(fit, size, table.frame, split, classes, seed)
            bar.update()
            return measurement

        bar.set_description("loading")
        warm_up()
        for size in sizes:
            pairs[size] = Pair(
                pca=measure("PCA", size, fit_pca),
                autoencoder=measure("autoencoder", size, fit_autoencoder),
            )
    return pairs


def _measure(
    fit: _Fit, size: int, frame: pd.DataFrame, split: Split, classes: Classes | None, seed: int
) -> Measurement:
    train, test = frame.iloc[split.train], frame.iloc[split.test]
    start = time.perf_counter()
    model = fit(train, size, seed)
    seconds = time.perf_counter() - start
    codes, errors = model.encode(test), np.nansum(model.measure_errors(test), axis=1)
    scaled = split.encoding.scale(test)
    log_densities = model.score_samples(test)
    agreement, accuracy = None, None
    if classes is not None:
        agreement = _measure_agreement(codes, classes, seed)
        accuracy = _measure_accuracy(model.encode(train), codes, classes)
    return Measurement(
        explained_variance=_measure_share(errors, scaled),
        log_likelihood=None if log_densities is None else _drop_infinite(log_densities.mean()),
        kmeans_agreement=agreement,
        neighbour_accuracy=accuracy,
        fit_seconds=seconds,
        n_epochs=model.n_epochs,
        codes=codes,
        errors=errors,
        squares=np.nansum(np.square(scaled), axis=1),
        log_densities=log_densities,
    )


def _measure_share(errors: np.ndarray, scaled: np.ndarray) -> float | None:
    """Return the explained share of the variance of the observed cells."""
    total = np.nansum(np.square(scaled))
    if total <= _NO_VARIANCE * scaled.size:
        return None
    return _drop_infinite(1 - errors.sum() / total)


def _measure_agreement(codes: np.ndarray, classes: Classes, seed: int) -> float:
    """Return the adjusted mutual information of the classes with clusters of the codes."""
    has_class = classes.test >= 0
    kmeans = KMeans(classes.n_classes, n_init=10, random_state=seed)
    with warnings.catch_warnings():
        # Fewer different codes than classes is a poor code, which shows in the score.
        warnings.simplefilter("ignore", ConvergenceWarning)
        clusters = kmeans.fit_predict(codes[has_class])
    return float(adjusted_mutual_info_score(classes.test[has_class], clusters))


def _measure_accuracy(train: np.ndarray, test: np.ndarray, classes: Classes) -> float:
    """Return how often the nearest training codes predict the class of a held-out row."""
    has_class, is_scored = classes.train >= 0, classes.test >= 0
    classifier = KNeighborsClassifier(min(_N_NEIGHBOURS, int(has_class.sum())))
    classifier.fit(train[has_class], classes.train[has_class])
    return float(classifier.score(test[is_scored], classes.test[is_scored]))


def _drop_infinite(figure: float) -> float | None:
    return float(figure) if math.isfinite(figure) else None

"""A model, fitted to the training rows and measured on the held-out ones."""

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_mutual_info_score
from sklearn.neighbors import KNeighborsClassifier

from .encoding import Encoding
from .models import FittedModel

# The held-out rows have no variance if a cell's is less: columns have unit variance in training.
_NO_VARIANCE = 1e-24

_N_NEIGHBOURS = 5

#: Fits a model to rows, with a number of components and a seed.
Fit = Callable[[pd.DataFrame, int, int], FittedModel]


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
    loss_curve : tuple of float
        Training loss of each epoch that was run.
    held_out_curve : tuple of float
        Loss on the fit's own held-out rows, of PCA and of each epoch.
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
    loss_curve: tuple[float, ...]
    held_out_curve: tuple[float, ...]
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


def measure(
    fit: Fit, size: int, frame: pd.DataFrame, split: Split, classes: Classes | None, seed: int
) -> Measurement:
    """Fit a model and measure it."""
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
        loss_curve=model.loss_curve,
        held_out_curve=model.held_out_curve,
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
